//! Recovery at boot: what `resume` does, without a client and without a config.

use super::conductor::RunError;
use super::session::supervisor;
use super::signals::{self, CANCEL};
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use cutover_core::next::DeploymentOutcome;
use cutover_targets::host::gate::Nobody;
use cutover_targets::host::lock::{Holder, Waiting};
use cutover_targets::host::transaction::{Recovery, Surroundings, Transaction};
use cutover_targets::host::{Layout, open_journals};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who recovers, in journals and locks.
const BY: &str = "boot";
/// How long somebody else may have the lock: whoever has it recovers too.
const WAIT: Duration = Duration::from_secs(600);
/// How long reporters may take to tell what they have left.
const PATIENCE: Duration = Duration::from_secs(5);

/// Finishes or takes back what is unfinished in these places; tells it on the standard output, which is the journal.
///
/// There is no artifact and there are no variables: what needs them fails, and is taken back, as after any `resume` whose
/// caller has neither.
pub(crate) fn recover(context: &Context, places: &[PathBuf]) -> Result<Exit, CommandError> {
    let is_unfinished = |path: &&PathBuf| !open_journals(&Layout::new(path)).is_empty();
    if !places.iter().filter(|path| path.is_dir()).any(|path| is_unfinished(&path)) {
        context.output.text("nothing is unfinished\n")?;
        return Ok(Exit::Done);
    }
    signals::watch().map_err(|error| {
        CommandError::new(ErrorKind::Failed, "watch for signals").because(&error).state("nothing was changed")
    })?;
    let tee = context.output.tee(BTreeMap::new());
    let supervisor = supervisor()?;
    let surroundings =
        Surroundings { observer: &tee, cancel: &CANCEL, by: BY, supervisor: &supervisor, coordinator: &Nobody };
    let ended = drive(places, &surroundings).map_err(CommandError::from);
    tee.finish(PATIENCE);
    Ok(ended?.map_or(Exit::Done, Exit::from))
}

fn drive(places: &[PathBuf], surroundings: &Surroundings<'_>) -> Result<Option<DeploymentOutcome>, RunError> {
    let paths: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    let cancelled = || CANCEL.is_cancelled();
    let waiting =
        Waiting { limit: Some(WAIT), now: &Timestamp::now, heeds_own: true, cancelled: &cancelled, told: &|_, _| {} };
    let holder = Holder {
        by: BY.to_owned(),
        reason: "recover what a power cut left".to_owned(),
        deployment: None,
        pid: std::process::id(),
        since: Some(Timestamp::now()),
        until: None,
        supersedes: false,
    };
    let transaction = Transaction::begin(&paths, &holder, &waiting, surroundings)?;
    let ended = transaction.recover(Recovery::GoOn, &|_| None)?;
    Ok(ended.last().map(|ended| ended.outcome))
}
