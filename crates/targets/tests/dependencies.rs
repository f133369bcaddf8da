//! Dependency environments: built once, used again while they are sound.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod support;

use cutover_core::config::PythonConfig;
use cutover_core::next::DeploymentOutcome::{Deployed, Failed};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Artifact, Place};

/// Makes "environments" that hold nothing but a copy of itself, and says yes to everything else.
const INTERPRETER: &str =
    "#!/bin/sh\nif [ \"$2\" = venv ]; then mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python\"; fi\n";

/// A release with this list of requirements.
fn v(number: u32, requirements: &str) -> Artifact {
    let version = format!("v{number}");
    Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &version), ("requirements.txt", requirements)])
}

/// A place whose releases have an environment each; None where `uv` would build them with a real interpreter.
fn place(tools: &Path) -> Option<Place> {
    let path = std::env::var_os("PATH")?;
    if std::env::split_paths(&path).any(|directory| directory.join("uv").exists()) {
        eprintln!("skipped: uv is installed here, and would not build with a made-up interpreter");
        return None;
    }
    let interpreter = tools.join("python");
    std::fs::write(&interpreter, INTERPRETER).unwrap();
    std::fs::set_permissions(&interpreter, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut place = Place::new();
    place.config.python = Some(PythonConfig {
        requirements: Some("requirements.txt".into()),
        wheels: None,
        interpreter: interpreter.display().to_string(),
        smoke: Vec::new(),
        install_timeout: Duration::from_secs(30),
        smoke_timeout: Duration::from_secs(30),
    });
    Some(place)
}

/// The interpreter in the environment of the live release.
fn live_interpreter(place: &Place) -> PathBuf {
    place.path("current/.venv").canonicalize().unwrap().join("bin/python")
}

#[test]
fn a_damaged_environment_that_is_live_is_refused_and_not_touched() {
    let tools = tempfile::tempdir().unwrap();
    let Some(place) = place(tools.path()) else { return };
    place.deploy(&v(1, "# one"));
    let interpreter = live_interpreter(&place);
    std::fs::remove_file(&interpreter).unwrap();
    let before = place.picture();

    let ended = place.deploy(&v(2, "# one"));

    assert_eq!(ended.outcome, Failed);
    let told = format!("{:?}", ended.records);
    assert!(told.contains("is damaged") && told.contains("and the live release uses it"), "{told}");
    assert_eq!(place.picture(), before);
    assert!(!interpreter.exists(), "nothing was built over what is live");
}

#[test]
fn a_damaged_environment_that_nothing_live_uses_is_built_anew() {
    let tools = tempfile::tempdir().unwrap();
    let Some(place) = place(tools.path()) else { return };
    place.deploy(&v(1, "# one"));
    let interpreter = live_interpreter(&place);
    place.deploy(&v(2, "# two"));
    std::fs::write(&interpreter, "#!/bin/sh\nexit 1\n").unwrap();

    let ended = place.deploy(&v(3, "# one"));

    assert_eq!(ended.outcome, Deployed);
    assert_eq!(live_interpreter(&place), interpreter);
    assert_eq!(std::fs::read_to_string(&interpreter).unwrap(), INTERPRETER);
}

#[test]
fn a_sound_environment_is_used_again() {
    let tools = tempfile::tempdir().unwrap();
    let Some(place) = place(tools.path()) else { return };
    place.deploy(&v(1, "# one"));
    let marker = live_interpreter(&place).with_file_name("marker");
    std::fs::write(&marker, "").unwrap();

    assert_eq!(place.deploy(&v(2, "# one")).outcome, Deployed);

    assert!(marker.exists());
}

#[test]
fn the_environment_of_a_release_that_cannot_be_read_is_not_pruned() {
    let tools = tempfile::tempdir().unwrap();
    let Some(place) = place(tools.path()) else { return };
    place.deploy(&v(1, "# one"));
    let interpreter = live_interpreter(&place);
    place.deploy(&v(2, "# two"));
    let previous = place.path("previous").canonicalize().unwrap();
    std::fs::write(previous.join("release.json"), "").unwrap();

    assert_eq!(place.restart().outcome, Deployed);
    let ended = place.deploy(&v(2, "# three"));

    assert_eq!(ended.outcome, Deployed);
    assert!(interpreter.exists());
}
