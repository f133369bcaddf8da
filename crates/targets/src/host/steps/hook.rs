//! The user's own commands: install, migrate and after.

use crate::host::action::{Hook, Migration};
use crate::host::release::{disk, io};
use crate::host::site::Site;
use cutover_child::{ChildCommand, Leftovers};
use cutover_core::config::CommandLine;
use cutover_core::target::{Failure, Outcome, Progress};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs a hook in the release.
pub(crate) fn apply(site: &Site<'_>, hook: &Hook, progress: &dyn Progress) -> Result<Outcome, Failure> {
    run(site, &hook.name, &hook.hook.command, hook.hook.timeout, progress)
}

/// Runs the migrations forth.
pub(crate) fn migrate(site: &Site<'_>, migration: &Migration, progress: &dyn Progress) -> Result<Outcome, Failure> {
    run(site, "migrate", &migration.migrate.up, migration.migrate.timeout, progress)
}

/// Runs the migrations back, when there is a way back.
pub(crate) fn migrate_back(site: &Site<'_>, migration: &Migration, progress: &dyn Progress) -> Result<String, Failure> {
    match migration.down() {
        Some(down) => run(site, "migrate-down", down, migration.migrate.timeout, progress).map(|outcome| outcome.note),
        None => Ok("the old release works with the new schema".to_owned()),
    }
}

fn run(
    site: &Site<'_>,
    name: &str,
    command: &CommandLine,
    timeout: Duration,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let log = log_file(site, name)?;
    let child = ChildCommand {
        command,
        cwd: &site.layout.release(site.release),
        variables: &site.hook_variables(),
        timeout,
        log: Some(&log),
        masker: &site.masker(),
        leftovers: Leftovers::Kill,
    };
    let subject = format!("run {name}");
    let ended = cutover_child::run(&child, progress)
        .map_err(|error| error.failure(&subject))
        .and_then(|exit| exit.success(&subject));
    match ended {
        Ok(()) => Ok(Outcome::changed(command.to_string())),
        Err(failure) => Err(with_log(failure, &log)),
    }
}

/// The failure with the place of the whole log.
pub(crate) fn with_log(mut failure: Failure, log: &Path) -> Failure {
    failure.log = Some(log.display().to_string());
    failure
}

/// A log file of this deployment, in a directory that only this user can read.
pub(crate) fn log_file(site: &Site<'_>, name: &str) -> Result<PathBuf, Failure> {
    let directory = site.layout.logs(site.deployment);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|e| io("create", &directory, &e))?;
    cutover_disk::sync_dir(&directory).map_err(disk)?;
    Ok(directory.join(format!("{name}.log")))
}
