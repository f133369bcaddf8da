//! A deployment's first and last words.

use super::line::{Line, Tone};
use super::words::{duration, one_line};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use std::time::Duration;

/// How many characters of a commit hash people read.
const COMMIT_LENGTH: usize = 7;

/// What will be done on several hosts. What was live may differ from one to the other.
pub(super) fn fleet_began(plan: &Plan, resumed: bool, host_count: usize) -> Vec<Line> {
    let heading = format!("{} on {host_count} hosts", heading(plan, resumed));
    [Line::whole(Tone::Strong, heading)].into_iter().chain(commit_line(plan)).chain(promotion_line(plan)).collect()
}

fn heading(plan: &Plan, resumed: bool) -> String {
    let (project, environment, release) = (&plan.project, &plan.environment, &plan.release);
    let what = match plan.kind {
        PlanKind::Deploy if plan.original.as_ref() == Some(release) => {
            format!("Looking at {project} in {environment}: release {release}")
        }
        PlanKind::Deploy => format!("Deploying {project} to {environment}: release {release}"),
        PlanKind::Rollback => format!("Rolling {project} in {environment} back to release {release}"),
        PlanKind::Restart => format!("Restarting {project} in {environment}: release {release}"),
    };
    let again = if resumed { format!(" (goes on with deployment {})", plan.deployment) } else { String::new() };
    what + &again
}

fn commit_line(plan: &Plan) -> Option<Line> {
    commit(plan).map(|commit| Line::headed(Tone::Plain, "  commit ", commit))
}

/// Where the artifact was verified before.
fn promotion_line(plan: &Plan) -> Option<Line> {
    plan.promoted_from.as_ref().map(|from| Line::headed(Tone::Plain, "  promoted from ", from.to_string()))
}

/// What will be done, and instead of what.
pub(super) fn began(plan: &Plan, resumed: bool, retold: bool) -> Vec<Line> {
    let mut lines = vec![Line::whole(Tone::Strong, heading(plan, resumed))];
    lines.extend(commit_line(plan));
    lines.extend(promotion_line(plan));
    if let Some(original) = &plan.original
        && *original != plan.release
    {
        let when = if retold { "  live before " } else { "  live now " };
        lines.push(Line::headed(Tone::Plain, when, original.to_string()));
    }
    lines
}

fn commit(plan: &Plan) -> Option<String> {
    let hash: String = one_line(&plan.commit).chars().take(COMMIT_LENGTH).collect();
    let dirty = if plan.dirty { " with uncommitted changes" } else { "" };
    (!hash.is_empty()).then(|| format!("{hash}{dirty} {}", one_line(&plan.subject)).trim_end().to_owned())
}

/// What a person is needed for.
#[derive(Default)]
pub(super) struct Need {
    /// One line for each thing that could not be taken back.
    pub(super) why: Vec<String>,
    /// Whether taking it back can be tried again.
    pub(super) can_be_tried_again: bool,
}

/// What was seen on the way to the end.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) warning_count: usize,
    /// Whether what was brought back does not run.
    pub(super) down: bool,
    /// Whether no release was switched to.
    pub(super) is_untouched: bool,
}

/// How it ended, and what is live now.
pub(super) fn ended(plan: &Plan, outcome: DeploymentOutcome, took: Duration, need: &Need, seen: Seen) -> Vec<Line> {
    let took = duration(took);
    let (tone, text) = match outcome {
        DeploymentOutcome::Deployed => {
            (Tone::Good, format!("✓ {}{}", deployed(plan, &took), warned(seen.warning_count)))
        }
        DeploymentOutcome::RolledBack => (Tone::Back, format!("↩ Rolled back in {took}: {}", rolled_back(plan))),
        DeploymentOutcome::Failed => (Tone::Bad, format!("✗ Failed after {took}: {}", failed(plan, seen))),
        DeploymentOutcome::Stuck => (Tone::Bad, format!("✗ Stuck after {took}: a person is needed")),
    };
    let mut lines = vec![Line::whole(tone, text)];
    if outcome == DeploymentOutcome::Stuck {
        lines.extend(need.why.iter().map(|why| Line::whole(Tone::Plain, format!("  {why}"))));
        let again = if need.can_be_tried_again {
            format!("  mend it, then: cutover resume {}", plan.environment)
        } else {
            format!("  put right by hand what it left, then close it: cutover resume {} --abandon", plan.environment)
        };
        lines.push(Line::whole(Tone::Strong, again));
    }
    lines
}

/// How a change of several hosts ended, and where they stand.
pub(super) fn fleet_ended(plan: &Plan, outcome: Option<DeploymentOutcome>, took: Duration, overview: &str) -> Line {
    let took = duration(took);
    let (tone, text) = match outcome {
        Some(DeploymentOutcome::Deployed) => (Tone::Good, format!("✓ {}; {overview}", deployed(plan, &took))),
        Some(DeploymentOutcome::RolledBack) => (Tone::Back, format!("↩ Rolled back in {took}; {overview}")),
        Some(DeploymentOutcome::Failed) => (Tone::Bad, format!("✗ Failed after {took}; {overview}")),
        Some(DeploymentOutcome::Stuck) => (Tone::Bad, format!("✗ Stuck after {took}: a person is needed; {overview}")),
        None => (Tone::Bad, format!("✗ Not done after {took}; {overview}")),
    };
    Line::whole(tone, text)
}

/// Where the rest of the story is, when there is more to know than that it went well.
pub(super) fn more(plan: &Plan, outcome: DeploymentOutcome) -> Option<Line> {
    let text = format!("  read more: cutover logs {}", plan.deployment);
    (outcome != DeploymentOutcome::Deployed).then(|| Line::whole(Tone::Plain, text))
}

fn deployed(plan: &Plan, took: &str) -> String {
    let Plan { project, environment, release, .. } = plan;
    let already_live = plan.original.as_ref() == Some(release);
    match plan.kind {
        PlanKind::Deploy if already_live => {
            format!("Nothing changed: {project} in {environment} is release {release} already")
        }
        PlanKind::Deploy => format!("Deployed in {took}: {project} in {environment} is release {release}"),
        PlanKind::Rollback => format!("Rolled back in {took}: {project} in {environment} is release {release} again"),
        PlanKind::Restart => format!("Restarted in {took}: {project} in {environment} is release {release}"),
    }
}

fn warned(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; there is 1 warning".to_owned(),
        count => format!("; there are {count} warnings"),
    }
}

fn rolled_back(plan: &Plan) -> String {
    match &plan.original {
        Some(original) => format!("release {original} is live and healthy again, {} is not", plan.release),
        None => "what was there before is back".to_owned(),
    }
}

fn failed(plan: &Plan, seen: Seen) -> String {
    match &plan.original {
        Some(original) if seen.down => {
            format!("everything is as before: release {original} is current, and its service does not run")
        }
        Some(original) if plan.kind == PlanKind::Restart => format!("release {original} is live as before"),
        Some(original) => format!("nothing that runs was changed; release {original} is live"),
        None if seen.is_untouched => "nothing that runs was changed; no release is live".to_owned(),
        None => "no release was live before, and none is now".to_owned(),
    }
}
