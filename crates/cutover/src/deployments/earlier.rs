//! What is known of the last deployments to several hosts before one of them is resumed.

use cutover_core::id::DeploymentId;
use cutover_core::next::DeploymentOutcome;
use cutover_core::record::{Part, summarize};
use cutover_core::rollout::{Gate, Standing};
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
    /// Whether it was to wait there until all hosts were healthy.
    waits: bool,
}

impl End {
    /// How a deployment ended where it had nothing to do.
    const IDLE: Self = Self { standing: Standing::Unchanged, switches: false, waits: false };

    fn of(part: &Part) -> Option<Self> {
        let steps = &part.plan.steps;
        let waits = steps.iter().any(|step| step.name == Gate::Settle.step_name());
        let outcome = summarize(&part.plan, &part.records).outcome?;
        let is_one_of_several = part.plan.fleet.len() > 1;
        let is_idle = part.plan.finds_nothing_to_do() || is_one_of_several && !waits;
        if is_idle && outcome == DeploymentOutcome::Deployed {
            return Some(Self::IDLE);
        }
        Some(Self { standing: Standing::Ended(outcome), switches: part.plan.switches(), waits })
    }

    /// Whether all hosts were healthy, as far as this one tells. One that had nothing to do did not wait for the others.
    fn has_settled(&self) -> bool {
        self.waits && self.standing == Standing::Ended(DeploymentOutcome::Deployed)
    }
}

impl Earlier {
    /// Notes how a deployment ended on its hosts, as each of them says itself.
    pub(super) fn note(&mut self, deployment: DeploymentId, parts: &[Part]) {
        let ends = parts.iter().filter_map(|part| {
            let host = (*part.plan.hosts().first()?).to_owned();
            Some((host, End::of(part)?))
        });
        self.0.insert(deployment, ends.collect());
    }

    /// The deployments that have settled on a host. What is resumed of these must go forward on the others.
    pub(super) fn settled(&self) -> BTreeSet<DeploymentId> {
        self.0
            .iter()
            .filter(|(_, ends)| ends.values().any(End::has_settled))
            .map(|(deployment, _)| deployment.clone())
            .collect()
    }

    /// How what others resume had ended on a host on which nothing is unfinished: the newest of these.
    pub(super) fn end(&self, host: &str, resumed: &BTreeSet<DeploymentId>) -> End {
        let ended = resumed.iter().rev().find_map(|deployment| self.0.get(deployment)?.get(host));
        ended.copied().unwrap_or(End::IDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::plan::Plan;
    use cutover_core::record::{split, unite};
    use cutover_testkit::{Story, Told};

    type Tell = fn(Story) -> Told;

    /// What several hosts tell of one deployment, as it is read from one that was united.
    fn parts(told: &[(&str, Tell)]) -> Vec<Part> {
        let fleet: Vec<String> = told.iter().map(|(host, _)| (*host).to_owned()).collect();
        let part = |(host, tell): &(&str, Tell)| {
            let (plan, records) = tell(Story::new(1).waiting_for_others().host(host));
            Part { plan: Plan { fleet: fleet.clone(), ..plan }, records }
        };
        let (plan, records) = unite(told.iter().map(part).collect()).unwrap();
        split(&plan, &records)
    }

    #[test]
    fn a_host_with_nothing_unfinished_stands_as_the_resumed_deployment_ended_there() {
        let parts = parts(&[
            ("back", Story::rolled_back),
            ("done", Story::deployed),
            ("idle", Story::nothing_to_do),
            ("dead", Story::unfinished),
        ]);
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
        let parts = parts(&[("back", Story::rolled_back), ("dead", Story::unfinished)]);
        let mut earlier = Earlier::default();
        earlier.note(parts[0].plan.deployment.clone(), &parts);

        assert_eq!(earlier.settled(), BTreeSet::new());
    }

    #[test]
    fn a_host_that_had_nothing_to_do_says_nothing_of_the_others() {
        let parts = parts(&[("idle", Story::nothing_to_do), ("dead", Story::unfinished)]);
        let mut earlier = Earlier::default();
        earlier.note(parts[0].plan.deployment.clone(), &parts);

        assert_eq!(earlier.settled(), BTreeSet::new());
    }
}
