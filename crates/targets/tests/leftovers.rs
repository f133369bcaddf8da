//! What a deployment that was killed left on disk, and who takes it away.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod support;

use cutover_core::secret::Secret;
use std::path::PathBuf;
use support::{Artifact, Place};

fn v(number: u32) -> Artifact {
    Artifact::of(&format!("{number}").repeat(40), &[("VERSION", &format!("v{number}"))])
}

fn place() -> Place {
    let mut place = Place::new();
    place.config.env_file = Some(PathBuf::from(".env"));
    place.variables.insert("TOKEN".into(), Secret::new("made up"));
    place
}

/// An unfinished journal of the same plan as one that has ended: nothing of it was begun.
fn reopen(place: &Place) {
    let done = std::fs::read_dir(place.path(".cutover/journal/done")).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(done.path()).unwrap();
    let header = text.split_inclusive('\n').next().unwrap();
    std::fs::write(place.path(".cutover/journal/open").join(done.file_name()), header).unwrap();
}

#[test]
fn a_recovery_removes_what_was_left_under_temporary_names() {
    let place = place();
    let deployment = place.deploy(&v(1)).plan.deployment;
    let live = place.live().unwrap();
    let before = place.picture();
    let left = [
        ".cutover-tmp-1-0".to_owned(),
        format!("{live}/.cutover-tmp-1-1"),
        ".cutover/env/.cutover-tmp-1-2".to_owned(),
        ".cutover/manifests/.cutover-tmp-1-3".to_owned(),
        ".cutover/blobs/ab/.cutover-tmp-1-4".to_owned(),
        format!(".cutover/logs/{deployment}/.cutover-tmp-1-5"),
    ];
    for directory in [".cutover/blobs/ab".to_owned(), format!(".cutover/logs/{deployment}")] {
        std::fs::create_dir_all(place.path(&directory)).unwrap();
    }
    left.iter().for_each(|name| std::fs::write(place.path(name), "TOKEN=made up").unwrap());
    reopen(&place);

    place.deploy(&v(1));

    let still: Vec<&String> = left.iter().filter(|name| place.path(name).exists()).collect();
    assert_eq!(still, Vec::<&String>::new());
    assert!(before.keys().all(|name| place.path(name).symlink_metadata().is_ok()));
}

#[test]
fn an_env_file_whose_release_is_gone_goes_too() {
    let place = place();
    place.deploy(&v(1));
    // A prune that was killed had removed the release already, but not this.
    let orphan = place.path(".cutover/env/20200101000000-1234567");
    std::fs::write(&orphan, "TOKEN=made up").unwrap();

    place.deploy(&v(2));

    assert!(!orphan.exists());
    assert_eq!(std::fs::read_dir(place.path(".cutover/env")).unwrap().count(), 2, "one for each release");
}
