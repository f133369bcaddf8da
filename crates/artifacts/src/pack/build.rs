//! Running the build command.

use super::PackObserver;
use crate::error::{ArtifactError, BuildError};
use cutover_child::{ChildCommand, Leftovers, run};
use cutover_core::config::ArtifactConfig;
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::Progress;
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs the build command, if there is one, in `dir`; its whole process group ends with it.
///
/// Standard input is empty. `CUTOVER_COMMIT` is the commit's hash and `SOURCE_DATE_EPOCH` its time.
pub(crate) fn run_build(
    config: &ArtifactConfig,
    dir: &Path,
    hash: &str,
    committed_at: Timestamp,
    observer: &mut dyn PackObserver,
) -> Result<(), ArtifactError> {
    let Some(line) = &config.build else { return Ok(()) };
    let seconds = committed_at.as_second().to_string();
    let variables = [("CUTOVER_COMMIT", hash), ("SOURCE_DATE_EPOCH", &seconds)];
    let build = ChildCommand {
        command: line,
        cwd: dir,
        variables: &BTreeMap::from(variables.map(|(name, value)| (name.to_owned(), Secret::new(value)))),
        timeout: config.build_timeout,
        log: None,
        // Whoever observes knows the secrets, and masks.
        masker: &Masker::new([]),
        leftovers: Leftovers::Kill,
    };
    let exit = run(&build, &Observed(RefCell::new(observer))).map_err(BuildError::Child)?;
    match exit.code {
        0 => Ok(()),
        code => Err(BuildError::ExitCode(code).into()),
    }
}

/// Passes on what a build says.
struct Observed<'a>(RefCell<&'a mut dyn PackObserver>);

impl Progress for Observed<'_> {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}
    fn output(&self, line: &str) {
        self.0.borrow_mut().build_output(line);
    }
    fn probed(&self, _result: &ProbeResult) {}
    fn cancelled(&self) -> bool {
        self.0.borrow().is_cancelled()
    }
}
