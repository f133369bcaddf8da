//! What is known of the last deployments to several hosts before one of them is resumed.

use cutover_core::id::DeploymentId;
use cutover_core::next::DeploymentOutcome;
use cutover_core::record::{Part, summarize};
use cutover_core::rollout::Standing;
use std::collections::{BTreeMap, BTreeSet};

/// How the last deployments ended on the hosts where they did.
#[derive(Debug, Default)]
pub(super) struct Earlier(BTreeMap<DeploymentId, BTreeMap<String, End>>);

/// How a deployment ended on a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) standing: Standing,
    /// Whether another release was to be brought live there.
    pub(super) switches: bool,
}

impl Earlier {
    /// Notes how a deployment ended on its hosts, as each of them says itself.
    pub(super) fn note(&mut self, deployment: DeploymentId, parts: &[Part]) {
        let ends = parts.iter().filter_map(|part| {
            let host = (*part.plan.hosts().first()?).to_owned();
            Some((host, End { standing: standing(part)?, switches: part.plan.steps.iter().any(|step| step.switches) }))
        });
        self.0.insert(deployment, ends.collect());
    }

    /// The deployments that have settled on a host. What is resumed of these must go forward on the others.
    pub(super) fn settled(&self) -> BTreeSet<DeploymentId> {
        let has_settled = |ends: &BTreeMap<String, End>| {
            ends.values()
                .any(|end| matches!(end.standing, Standing::Unchanged | Standing::Ended(DeploymentOutcome::Deployed)))
        };
        self.0.iter().filter(|(_, ends)| has_settled(ends)).map(|(deployment, _)| deployment.clone()).collect()
    }

    /// How what others resume had ended on a host on which nothing is unfinished: the newest of these.
    pub(super) fn end(&self, host: &str, resumed: &BTreeSet<DeploymentId>) -> End {
        let ended = resumed.iter().rev().find_map(|deployment| self.0.get(deployment)?.get(host));
        ended.copied().unwrap_or(End { standing: Standing::Unchanged, switches: false })
    }
}

/// How a host stands whose part has ended.
fn standing(part: &Part) -> Option<Standing> {
    let outcome = summarize(&part.plan, &part.records).outcome?;
    let is_idle = outcome == DeploymentOutcome::Deployed && part.plan.finds_nothing_to_do();
    Some(if is_idle { Standing::Unchanged } else { Standing::Ended(outcome) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_testkit::{Story, Told};

    fn part(story: Story, host: &str, tell: fn(Story) -> Told) -> Part {
        let (plan, records) = tell(story.host(host));
        Part { plan, records }
    }

    #[test]
    fn a_host_with_nothing_unfinished_stands_as_the_resumed_deployment_ended_there() {
        let parts = [
            part(Story::new(1), "back", Story::rolled_back),
            part(Story::new(1), "done", Story::deployed),
            part(Story::new(1), "idle", Story::nothing_to_do),
            part(Story::new(1), "dead", Story::unfinished),
        ];
        let (deployment, mut earlier) = (parts[0].plan.deployment.clone(), Earlier::default());
        earlier.note(deployment.clone(), &parts);
        let resumed = BTreeSet::from([deployment]);
        let standing = |host| earlier.end(host, &resumed).standing;

        assert_eq!(standing("back"), Standing::Ended(DeploymentOutcome::RolledBack));
        assert_eq!(standing("done"), Standing::Ended(DeploymentOutcome::Deployed));
        assert_eq!([standing("idle"), standing("dead"), standing("new")], [Standing::Unchanged; 3]);
        assert_eq!(earlier.end("back", &BTreeSet::new()).standing, Standing::Unchanged, "it is not what is resumed");
        assert_eq!(earlier.settled(), resumed);
    }

    #[test]
    fn what_went_back_wherever_it_ended_has_settled_nowhere() {
        let parts = [part(Story::new(1), "back", Story::rolled_back), part(Story::new(1), "dead", Story::unfinished)];
        let mut earlier = Earlier::default();
        earlier.note(parts[0].plan.deployment.clone(), &parts);

        assert_eq!(earlier.settled(), BTreeSet::new());
    }
}
