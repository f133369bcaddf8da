//! A deployment's first and last words.

use super::line::{Line, Tone};
use super::words::{duration, one_line};
use cutover_core::id::ReleaseId;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::rollout::Whole;
use std::time::Duration;

/// How many characters of a commit hash people read.
const COMMIT_LENGTH: usize = 7;

/// How many hosts are named in the last words.
const NAMED_COUNT_MAX: usize = 5;

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
        PlanKind::Restart if plan.starts => format!("Starting {project} in {environment}: release {release}"),
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

/// What is known of an end besides the outcome.
pub(super) struct End<'a> {
    pub(super) need: &'a Need,
    pub(super) warning_count: usize,
    /// Whether what was brought back does not run.
    pub(super) down: bool,
    /// Whether no release was switched to.
    pub(super) is_untouched: bool,
    /// The hosts on which the release stays.
    pub(super) live_on: Vec<&'a str>,
    /// The hosts on which it does not.
    pub(super) not_on: Vec<&'a str>,
}

/// How it ended, and what is live now.
pub(super) fn ended(plan: &Plan, outcome: DeploymentOutcome, took: Duration, end: &End<'_>) -> Vec<Line> {
    let End { need, warning_count, live_on, not_on, .. } = end;
    let took = duration(took);
    let (tone, text) = match outcome {
        DeploymentOutcome::RolledBack | DeploymentOutcome::Failed if !live_on.is_empty() => {
            return divided(plan, &took, (live_on, not_on), "");
        }
        DeploymentOutcome::Deployed => (Tone::Good, format!("✓ {}{}", deployed(plan, &took), warned(*warning_count))),
        DeploymentOutcome::RolledBack => (Tone::Back, format!("↩ Rolled back in {took}: {}", rolled_back(plan))),
        DeploymentOutcome::Failed => (Tone::Bad, format!("✗ Failed after {took}: {}", failed(plan, end))),
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

/// The hosts of a change, by what is to be said of them.
pub(super) struct Stand<'a> {
    /// Where all of them stand, in numbers.
    pub(super) overview: &'a str,
    /// Those on which it is done.
    pub(super) done: Vec<&'a str>,
    /// Those that ended otherwise.
    pub(super) not_done: Vec<&'a str>,
    /// Those that could not be reached.
    pub(super) missing: Vec<&'a str>,
    /// Those that were lost.
    pub(super) lost: Vec<&'a str>,
    /// The release to which all went back that did; None where these differ.
    pub(super) original: Option<&'a ReleaseId>,
    /// Whether some had it before, and keep it.
    pub(super) has_idle: bool,
}

/// How a change of several hosts ended, and where they stand.
pub(super) fn fleet_ended(plan: &Plan, whole: Whole, took: Duration, stand: &Stand<'_>) -> Vec<Line> {
    let (took, overview, release) = (duration(took), stand.overview, &plan.release);
    let (tone, text) = match whole {
        Whole::Divided => return divided(plan, &took, (&stand.done, &stand.not_done), &format!("; {overview}")),
        Whole::Done | Whole::Unchanged | Whole::Skipped => {
            (Tone::Good, format!("✓ {}; {overview}", deployed(plan, &took)))
        }
        Whole::RolledBack => {
            let back = match stand.original {
                // These have the release, or one of the same artifact.
                _ if stand.has_idle => "hosts that were switched are back on the releases that they had".to_owned(),
                None => format!("hosts are back on the releases that they had, {release} is live on none"),
                Some(original) => format!("release {original} is live and healthy again, {release} is not"),
            };
            (Tone::Back, format!("↩ Rolled back in {took}: {back}; {overview}"))
        }
        Whole::Failed => (Tone::Bad, format!("✗ Failed after {took}; {overview}")),
        Whole::Stuck => (Tone::Bad, format!("✗ Stuck after {took}: a person is needed; {overview}")),
        Whole::InDoubt => {
            let lost = named(&stand.lost);
            (Tone::Bad, format!("✗ In doubt after {took}: how it ends on {lost} is not known; {overview}"))
        }
        Whole::NotDone => (Tone::Bad, format!("✗ Not done after {took}; {overview}")),
    };
    [Line::whole(tone, text)].into_iter().chain(missing(plan, whole, &stand.missing)).collect()
}

/// What is left to be done where hosts were left out.
fn missing(plan: &Plan, whole: Whole, hosts: &[&str]) -> Option<Line> {
    let again = match plan.kind {
        PlanKind::Deploy => "deploy",
        PlanKind::Rollback => "roll back",
        PlanKind::Restart if plan.starts => "start",
        PlanKind::Restart => "restart",
    };
    let text = format!("  ! left out, and as before: {}; {again} again once it can be reached", named(hosts));
    (whole == Whole::Skipped).then(|| Line::whole(Tone::Warning, text))
}

/// What runs differs from host to host.
fn divided(plan: &Plan, took: &str, (live_on, not_on): (&[&str], &[&str]), overview: &str) -> Vec<Line> {
    let (release, environment) = (&plan.release, &plan.environment);
    let (live_on, not_on) = (named(live_on), named(not_on));
    let before = plan.original.as_ref().map_or_else(String::new, |original| format!(" ({original})"));
    vec![
        Line::whole(
            Tone::Bad,
            format!("✗ Divided after {took}: release {release} stays on {live_on}, and is not on {not_on}{overview}"),
        ),
        Line::whole(
            Tone::Strong,
            format!(
                "  make all hosts alike: deploy again, or what was live before{before}: cutover deploy {environment} --commit COMMIT"
            ),
        ),
    ]
}

/// A few hosts by name.
fn named(hosts: &[&str]) -> String {
    let names: Vec<String> = hosts.iter().take(NAMED_COUNT_MAX).map(|host| one_line(host)).collect();
    let more = hosts.len().saturating_sub(names.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    names.join(", ") + &more
}

/// Where the rest of the story is, when there is more to know than that it went well.
pub(super) fn more(plan: &Plan, outcome: DeploymentOutcome) -> Option<Line> {
    (outcome != DeploymentOutcome::Deployed).then(|| read_more(plan))
}

/// Where the rest of the story is.
pub(super) fn read_more(plan: &Plan) -> Line {
    Line::whole(Tone::Plain, format!("  read more: cutover logs {}", plan.deployment))
}

fn deployed(plan: &Plan, took: &str) -> String {
    let Plan { project, environment, release, .. } = plan;
    match plan.kind {
        PlanKind::Deploy if plan.finds_nothing_to_do() => {
            format!("Nothing changed: {project} in {environment} is release {release} already")
        }
        PlanKind::Deploy => format!("Deployed in {took}: {project} in {environment} is release {release}"),
        PlanKind::Rollback => format!("Rolled back in {took}: {project} in {environment} is release {release} again"),
        PlanKind::Restart if plan.starts => {
            format!("Started in {took}: {project} in {environment} is release {release}")
        }
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

fn failed(plan: &Plan, end: &End<'_>) -> String {
    match &plan.original {
        Some(original) if end.down => {
            format!("everything is as before: release {original} is current, and its service does not run")
        }
        Some(original) if plan.kind == PlanKind::Restart => format!("release {original} is live as before"),
        Some(original) => format!("nothing that runs was changed; release {original} is live"),
        None if end.is_untouched => "nothing that runs was changed; no release is live".to_owned(),
        None => "no release was live before, and none is now".to_owned(),
    }
}
