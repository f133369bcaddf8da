//! Smoke: the release's modules are imported with the release's own interpreter.

use super::hook::{log_file, with_log};
use crate::host::action::Smoke;
use crate::host::site::Site;
use cutover_child::{ChildCommand, Leftovers, run};
use cutover_core::config::{CommandLine, PythonConfig};
use cutover_core::target::{Failure, Outcome, Progress};
use std::path::Path;

const IMPORT: &str =
    "import importlib, sys\nsys.path.insert(0, '')\nfor name in sys.argv[1:]: importlib.import_module(name)";

/// Imports the modules.
pub(crate) fn apply(site: &Site<'_>, smoke: &Smoke, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let release = site.layout.release(site.release);
    let log = log_file(site, "smoke")?;
    let interpreter = interpreter(&release, &smoke.python);
    let words = [interpreter.as_str(), "-c", IMPORT]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(smoke.python.smoke.iter().cloned());
    let child = ChildCommand {
        command: &CommandLine::Argv(words.collect()),
        cwd: &release,
        variables: &site.hook_variables(),
        timeout: smoke.python.smoke_timeout,
        log: Some(&log),
        masker: &site.masker(),
        leftovers: Leftovers::Kill,
    };
    let names = smoke.python.smoke.join(", ");
    let subject = format!("import {names}");
    let ended = run(&child, progress).map_err(|error| error.failure(&subject)).and_then(|exit| exit.success(&subject));
    ended.map_err(|failure| with_log(failure, &log))?;
    // The log of a success says nothing; a missing one says the same.
    let _ = std::fs::remove_file(&log);
    Ok(Outcome::unchanged(names))
}

/// The release's own interpreter; the host's where no environment was built.
pub(crate) fn interpreter(release: &Path, python: &PythonConfig) -> String {
    let own = release.join(super::dependencies::LINK).join("bin/python");
    if own.exists() { own.display().to_string() } else { python.interpreter.clone() }
}
