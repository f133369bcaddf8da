//! Words that several commands use for the same thing.

pub(super) use cutover_core::moment::moment;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::PlanKind;
use cutover_core::record::{DeploymentRow, ReleaseState};
use cutover_reporters::{duration, one_line};
use cutover_targets::host::lock::Holder;
use jiff::Timestamp;
use std::time::Duration;

/// How many characters of a commit hash people read.
const COMMIT_LENGTH: usize = 7;

/// How a deployment ended, with its symbol.
pub(crate) fn outcome(outcome: Option<DeploymentOutcome>) -> &'static str {
    match outcome {
        Some(DeploymentOutcome::Deployed) => "✓ deployed",
        Some(DeploymentOutcome::RolledBack) => "↩ rolled back",
        Some(DeploymentOutcome::Failed) => "✗ failed",
        Some(DeploymentOutcome::Stuck) => "✗ stuck",
        None => "… unfinished",
    }
}

/// How a deployment ended whose release stays on some hosts only.
pub(super) const DIVIDED: &str = "✗ divided";

/// How a deployment of the history ended, with its symbol.
pub(crate) fn end(row: &DeploymentRow) -> &'static str {
    match (row.kind, row.outcome) {
        (PlanKind::Deploy, Some(DeploymentOutcome::Deployed)) if !row.is_change() => "✓ no change",
        (PlanKind::Rollback | PlanKind::Restart, Some(DeploymentOutcome::Deployed)) => "✓ done",
        (_, Some(_)) if row.divided => DIVIDED,
        (_, Some(DeploymentOutcome::Failed)) if row.was_called_off() => "· not begun",
        (PlanKind::Deploy | PlanKind::Rollback | PlanKind::Restart, ended) => outcome(ended),
    }
}

/// What a deployment was made for.
pub(super) fn kind(kind: PlanKind, starts: bool) -> &'static str {
    match kind {
        PlanKind::Restart if starts => "start",
        PlanKind::Deploy => "deploy",
        PlanKind::Rollback => "rollback",
        PlanKind::Restart => "restart",
    }
}

/// A commit as people read it, and whether more than the commit was packed.
pub(crate) fn commit(hash: &str, dirty: bool) -> String {
    let short: String = one_line(hash).chars().take(COMMIT_LENGTH).collect();
    match (short.is_empty(), dirty) {
        (true, _) => "no commit".to_owned(),
        (false, true) => short + " with uncommitted changes",
        (false, false) => short,
    }
}

/// How long ago, in one unit: "3h ago"; a clock that jumped back gives "just now".
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_secs() {
        ..60 => "just now".to_owned(),
        seconds @ 60..3_600 => format!("{}m ago", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h ago", seconds / 3_600),
        seconds @ 172_800.. => format!("{}d ago", seconds / 86_400),
    }
}

/// How far a release has come.
pub(crate) fn release_state(state: ReleaseState) -> &'static str {
    match state {
        ReleaseState::Staged => "staged",
        ReleaseState::Live => "live, unverified",
        ReleaseState::Good => "good",
        ReleaseState::Bad => "bad",
        ReleaseState::Unknown => "unknown",
    }
}

/// Who holds or waits for a lock, since when, until when, and why.
pub(crate) fn holder(what: &str, holder: &Holder, now: Timestamp) -> String {
    let Holder { by, reason, since, until, .. } = holder;
    let since = since.map_or_else(
        || "since an unknown time".to_owned(),
        |since| format!("since {} ({})", moment(since), ago(since, now)),
    );
    let until = until.map_or_else(String::new, |until| format!(", until {}", moment(until)));
    one_line(&format!("{what} {by} {since}{until}: {reason}"))
}

/// Milliseconds as people read them.
pub(super) fn took(elapsed_ms: u64) -> String {
    duration(Duration::from_millis(elapsed_ms))
}
