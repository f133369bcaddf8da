//! Where several hosts go back to together. Each knows no releases but its own, and some may be there already: they are asked
//! before anything is begun.

use super::draft::find;
use super::order::{Order, Task};
use super::place::Place;
use crate::error::{CommandError, ErrorKind};
use cutover_core::id::ReleaseId;
use cutover_core::journal::Entry;
use cutover_core::next::{DeploymentOutcome, stopped};
use cutover_core::plan::PlanKind;
use cutover_core::target::Failure;
use cutover_targets::host::planner::last_good_before;
use cutover_targets::host::{Action, HostPlan, Layout, Release, linked, open_journals, read_journal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Where a rollback finds a host, and where it would go by itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outlook {
    /// What is live, once what is unfinished was brought to its end.
    live: Option<Known>,
    /// What it would go back to.
    goal: Option<Known>,
    /// Whether a deployment is unfinished, or at work.
    is_unfinished: bool,
    /// Whether it is at its goal as soon as that one was taken back.
    arrives: bool,
}

/// A release and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    release: ReleaseId,
    artifact: String,
}

impl Outlook {
    /// What is seen on this machine. Changes nothing.
    pub(super) fn of(order: &Order) -> Result<Self, CommandError> {
        let place = order.place();
        let named = if let Task::Rollback { release } = &order.task { release.as_deref() } else { None };
        let Some((_, config, layout)) = place.layouts().next() else { return Ok(Self::default()) };
        let unfinished = unfinished(&place)?;
        let is_unfinished = unfinished.is_some();
        let (live, before) = match unfinished {
            None => (linked(&layout.current())?, None),
            Some((plan, DeploymentOutcome::Deployed)) => (Some(plan.release), None),
            // A rollback to no release in particular is done with that, as on a host of its own.
            Some((plan, DeploymentOutcome::RolledBack)) if plan.kind == PlanKind::Deploy && named.is_none() => {
                (None, plan.original)
            }
            Some((plan, DeploymentOutcome::RolledBack | DeploymentOutcome::Failed)) => (plan.original, None),
            Some((plan, DeploymentOutcome::Stuck)) => {
                return Err(Failure::new(format!("deployment {} is stuck", plan.deployment)).into());
            }
        };
        let arrives = before.is_some();
        let goal = before.or_else(|| match named {
            Some(named) => find(&layout, named).ok(),
            None => last_good_before(config, &order.project, live.as_ref()).ok(),
        });
        let known = |release: Option<ReleaseId>| release.and_then(|release| Known::read(&layout, release));
        Ok(Self { live: known(live), goal: known(goal), is_unfinished, arrives })
    }

    fn is_at(&self, artifact: &str) -> bool {
        self.live.as_ref().is_some_and(|live| live.artifact == artifact)
    }

    fn goes_to(&self, artifact: &str) -> bool {
        self.goal.as_ref().is_some_and(|goal| goal.artifact == artifact)
    }

    /// Where it stays when all go to this artifact; None where it has to go there.
    fn stays_at(&self, artifact: &str) -> Option<&ReleaseId> {
        let (live, goal) = (self.live.as_ref(), self.goal.as_ref());
        if self.arrives {
            return goal.map(|goal| &goal.release);
        }
        // Two releases can have one artifact: who would go from the one to the other does that.
        let stays = self.is_at(artifact) && (!self.goes_to(artifact) || live == goal);
        live.filter(|_| stays).map(|live| &live.release)
    }
}

impl Known {
    /// None where a release does not say what it was made of.
    fn read(layout: &Layout, release: ReleaseId) -> Option<Self> {
        let artifact = Release::read(layout, &release).ok()?.artifact.to_string();
        Some(Self { release, artifact })
    }
}

/// The deployment of this place that has no end yet, with the end that it comes to when it is stopped.
fn unfinished(place: &Place<'_>) -> Result<Option<(HostPlan, DeploymentOutcome)>, CommandError> {
    let journals = place.layouts().flat_map(|(_, _, layout)| open_journals(&layout));
    // Several targets have one journal. Whose is out of reach says so when it is asked to go back.
    let journals: BTreeSet<PathBuf> = journals.filter_map(|path| path.canonicalize().ok()).collect();
    let mut all = Vec::new();
    for path in journals {
        let read = read_journal::<Action>(&path).map_err(|error| Failure::new(error.to_string()))?;
        all.extend(read);
    }
    if all.len() > 1 {
        return Err(Failure::new("several deployments are unfinished").into());
    }
    Ok(all.pop().map(|recorded| {
        let entries: Vec<Entry> = recorded.records.into_iter().map(|record| record.entry).collect();
        let outcome = stopped(&recorded.plan, &entries);
        (recorded.plan, outcome)
    }))
}

/// Which of these hosts stay where they are, and at which release, since the others go back to it. None do where nobody can tell:
/// each says then by itself why it does not go back. `is_whole` says whether these are all hosts.
pub(super) fn agree(hosts: &[(String, Outlook)], is_whole: bool) -> Result<BTreeMap<String, ReleaseId>, CommandError> {
    let goals: BTreeSet<&str> =
        hosts.iter().filter_map(|(_, seen)| Some(seen.goal.as_ref()?.artifact.as_str())).collect();
    let all = |fits: &dyn Fn(&Outlook) -> bool| hosts.iter().all(|(_, seen)| fits(seen));
    let common = goals.iter().copied().find(|goal| all(&|seen| seen.goes_to(goal)));
    let mut halfway = goals.iter().copied().filter(|goal| all(&|seen| seen.goes_to(goal) || seen.is_at(goal)));
    let goal = common.or_else(|| halfway.next().filter(|_| halfway.next().is_none()));
    let Some(goal) = goal else {
        let is_known = is_whole && all(&|seen| seen.goal.is_some() && !seen.is_unfinished);
        return if is_known { Err(apart(hosts)) } else { Ok(BTreeMap::new()) };
    };
    // What is live everywhere is refused as on one host.
    if all(&|seen| !seen.arrives && seen.stays_at(goal).is_some()) {
        return Ok(BTreeMap::new());
    }
    Ok(hosts.iter().filter_map(|(host, seen)| Some((host.clone(), seen.stays_at(goal)?.clone()))).collect())
}

/// That hosts would go back to what is not the same.
fn apart(hosts: &[(String, Outlook)]) -> CommandError {
    let goal = |(host, seen): &(String, Outlook)| Some(format!("{host} to {}", seen.goal.as_ref()?.release));
    let goals: Vec<String> = hosts.iter().filter_map(goal).collect();
    let told = format!("the hosts would go back to different releases: {}", goals.join(", "));
    CommandError::new(ErrorKind::Failed, told)
        .state("nothing was changed")
        .hint("name the release: `cutover releases ENV` lists what each host has")
}

#[cfg(test)]
mod tests;
