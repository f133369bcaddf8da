//! Whether a command ends with exit code 0.

use super::Verification;
use super::observe::Observation;
use cutover_child::{ChildCommand, ChildError, Leftovers, listen};
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::target::{EXCERPT_BYTES_MAX, Progress};
use std::time::{Duration, Instant};

/// The longest command line that is shown, in characters.
const ENDPOINT_LENGTH_MAX: usize = 200;

/// Runs the command in the release directory with the environment's variables.
pub(super) fn observe(
    command: &CommandLine,
    limit: Duration,
    asked: &Verification<'_>,
    progress: &dyn Progress,
) -> Observation {
    let (cwd, variables, masker) = (asked.release, asked.variables, asked.masker);
    let child = ChildCommand { command, cwd, variables, timeout: limit, log: None, masker, leftovers: Leftovers::Kill };
    let began = Instant::now();
    let ended = listen(&child, EXCERPT_BYTES_MAX, &|| progress.cancelled());
    let mut seen = Observation::at(endpoint(command, masker));
    seen.latency = Some(began.elapsed());
    match ended {
        Ok(exit) => {
            seen.code = Some(exit.code);
            let fault = (exit.code != 0).then(|| with_last_words(format!("exit code {}", exit.code), &exit.excerpt));
            Observation { fault, body: exit.excerpt.into_bytes(), ..seen }
        }
        Err(ChildError::TimedOut { excerpt, .. }) => {
            let fault = with_last_words(format!("did not end within {limit:.1?}"), &excerpt);
            seen.body = excerpt.into_bytes();
            seen.fault(fault)
        }
        Err(e) => seen.fault(e.to_string()),
    }
}

/// A command that was not run, because it may take so long.
pub(super) fn too_long(command: &CommandLine, timeout: Duration, masker: &Masker) -> Observation {
    let seen = Observation::at(endpoint(command, masker)).fault(format!("not run now, for it may take {timeout:?}"));
    Observation { is_unfinished: true, ..seen }
}

/// The command line as it is shown: masked before it is cut, so that no part of a secret is left.
fn endpoint(command: &CommandLine, masker: &Masker) -> String {
    masker.mask(&command.to_string()).chars().take(ENDPOINT_LENGTH_MAX).collect()
}

/// What is wrong, with the last line that the command said: whoever looks for the reason looks there first.
fn with_last_words(what: String, said: &str) -> String {
    match said.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!("{what}: {line}"),
        None => what,
    }
}
