//! Deployments on a host that have no end yet: what became of them, and what to do.

use cutover_core::id::EnvironmentName;
use cutover_core::journal::Record;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, Reversal, Step};
use cutover_core::record::{DeploymentRecord, StepState, summarize};
use cutover_targets::host::{Action, read_journal};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A deployment whose journal is open.
#[derive(Debug, Serialize)]
pub(crate) struct Unfinished {
    deployment: String,
    state: State,
    /// Where it stopped, or why a person is needed.
    why: String,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its process ended before it did, or is still at it.
    Unfinished,
    /// It could not be taken back; that can be tried again.
    Stuck,
    /// It was stopped behind something that has no way back: trying again changes nothing.
    NoWayBack,
    /// Its journal cannot be read.
    Unreadable,
}

impl Unfinished {
    /// What a journal says; None when nothing was begun.
    pub(crate) fn read(journal: &Path) -> Option<Self> {
        let deployment = journal.file_stem()?.to_string_lossy().into_owned();
        let (state, why) = match read_journal::<Action>(journal) {
            Ok(recorded) => {
                let recorded = recorded?;
                state_of(&recorded.plan.erased().ok()?, &recorded.records)
            }
            Err(error) => (State::Unreadable, error.to_string()),
        };
        Some(Self { deployment, state, why })
    }

    /// What a deployment that came now would do about it, or why it would not be made.
    pub(crate) fn before_the_next(&self, environment: &EnvironmentName) -> String {
        let Self { deployment, state, why } = self;
        match state {
            State::Unfinished => format!(
                "deployment {deployment} is unfinished ({why}): it would be taken back first, or brought to its end where its \
                 release was verified already; what is live may then be another release"
            ),
            State::Stuck => format!(
                "deployment {deployment} is stuck ({why}): taking it back would be tried again first, and nothing is deployed \
                 while that fails; put right what it says"
            ),
            State::NoWayBack => format!(
                "deployment {deployment} is stuck ({why}): nothing is deployed until it is put right by hand and closed, \
                 `cutover resume {environment} --abandon`"
            ),
            State::Unreadable => format!(
                "the journal of deployment {deployment} cannot be read ({why}): nothing is deployed until that is put right"
            ),
        }
    }

    /// In a few lines, the last one saying what to do.
    pub(crate) fn lines(&self, environment: &EnvironmentName) -> Vec<String> {
        let Self { deployment, state, why } = self;
        match state {
            State::Unfinished => vec![
                format!("deployment {deployment} is unfinished: {why}"),
                format!(
                    "  go on with it: cutover resume {environment}; the next deployment or rollback takes it back first"
                ),
            ],
            State::Stuck => vec![
                format!("deployment {deployment} is stuck: {why}"),
                format!(
                    "  put that right, then: cutover resume {environment} (with --abandon when nothing is left to do)"
                ),
            ],
            State::NoWayBack => vec![
                format!("deployment {deployment} is stuck: {why}"),
                format!("  put that right by hand, then close it: cutover resume {environment} --abandon"),
            ],
            State::Unreadable => vec![
                format!("the journal of deployment {deployment} cannot be read: {why}"),
                "  what to do: docs/operations.md, \"Journals that cannot be read\"".to_owned(),
            ],
        }
    }
}

fn state_of(plan: &Plan, records: &[Record]) -> (State, String) {
    let record = summarize(plan, records);
    if record.outcome == Some(DeploymentOutcome::Stuck) {
        return why_stuck(plan, &record);
    }
    let at = record.steps.iter().rev().find(|step| step.state != StepState::Pending);
    let place = at.map_or_else(|| "nothing was begun".to_owned(), |step| format!("it stopped at {}", step.name));
    let failure =
        record.failure.map_or_else(String::new, |error| format!(", after {}: {}", error.name, error.failure.message));
    (State::Unfinished, place + &failure)
}

fn why_stuck(plan: &Plan, record: &DeploymentRecord) -> (State, String) {
    if let Some(error) = &record.restore_failure {
        return (State::Stuck, format!("could not take back {}: {}", error.name, error.failure.message));
    }
    let was_begun = |step: &&Step<Value>| {
        let state = record.steps.get(step.id.0 as usize).map(|step| step.state);
        step.reversal == Reversal::Irreversible && state.is_some_and(|state| state != StepState::Pending)
    };
    let step = plan.steps.iter().find(was_begun).map_or("what was begun", |step| step.name.as_str());
    let failure = record.failure.as_ref();
    let failure = failure.map_or_else(String::new, |error| format!("{}: {}; ", error.name, error.failure.message));
    (State::NoWayBack, format!("{failure}{step} cannot be taken back"))
}
