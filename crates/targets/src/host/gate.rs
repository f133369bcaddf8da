//! Gates: where a host of several waits for the coordinator, and what it does when that is gone.

use cutover_core::config::OnLostCoordinator;
use cutover_core::id::DeploymentId;
use cutover_core::rollout::Gate;
use cutover_core::target::{Failure, Outcome, Progress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Await {
    /// The gate.
    pub gate: Gate,
    /// What happens at the second gate when the coordinator is gone.
    pub on_lost: OnLostCoordinator,
}

/// What was heard at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Go on.
    Go,
    /// The coordinator is gone, or says nothing any more.
    Lost,
    /// Stop.
    Stop,
}

/// A host at a gate.
#[derive(Debug, Clone, Copy)]
pub struct WaitingHost<'a> {
    /// The gate.
    pub gate: Gate,
    /// The deployment.
    pub deployment: &'a DeploymentId,
    /// The artifact that it brings live.
    pub artifact: &'a str,
}

/// The coordinator, as a host sees it.
pub trait Coordinator: Sync {
    /// Says that this host stands at a gate, and waits for the answer. `stopped` says whether stopping was asked for
    /// meanwhile.
    fn wait_at(&self, waiting: &WaitingHost<'_>, stopped: &dyn Fn() -> bool) -> Heard;
}

/// Nobody: the host decides for itself, as after a crash.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Coordinator for Nobody {
    fn wait_at(&self, _waiting: &WaitingHost<'_>, _stopped: &dyn Fn() -> bool) -> Heard {
        Heard::Lost
    }
}

/// Who takes up a deployment whose coordinator is gone, and knows how far its other hosts came: where one of them has
/// settled, all were healthy, and all were to settle.
#[derive(Debug, Clone, Copy)]
pub struct Successor<'a> {
    /// Deployments that have settled on another host.
    pub settled: &'a BTreeSet<DeploymentId>,
}

impl Coordinator for Successor<'_> {
    fn wait_at(&self, waiting: &WaitingHost<'_>, stopped: &dyn Fn() -> bool) -> Heard {
        match waiting.gate {
            Gate::Settle if stopped() => Heard::Stop,
            Gate::Settle if self.settled.contains(waiting.deployment) => Heard::Go,
            Gate::Settle | Gate::Switch => Heard::Lost,
        }
    }
}

/// Waits at a gate.
pub(crate) fn apply(
    coordinator: &dyn Coordinator,
    awaited: &Await,
    (deployment, artifact): (&DeploymentId, &str),
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let waiting = WaitingHost { gate: awaited.gate, deployment, artifact };
    match (coordinator.wait_at(&waiting, &|| progress.cancelled()), awaited) {
        (Heard::Go, _) => Ok(Outcome::unchanged("")),
        (Heard::Stop, _) => Err(Failure::cancelled()),
        (Heard::Lost, Await { gate: Gate::Settle, on_lost: OnLostCoordinator::Keep }) => {
            let warning =
                "the client that coordinates the hosts is gone: this one keeps the new release, as configured";
            Ok(Outcome { warnings: vec![warning.to_owned()], ..Outcome::unchanged("") })
        }
        (Heard::Lost, Await { gate, .. }) => Err(lost(*gate)),
    }
}

fn lost(gate: Gate) -> Failure {
    let when = match gate {
        Gate::Switch => "before this host was told to switch",
        Gate::Settle => "before all hosts were healthy",
    };
    Failure::new(format!("the client that coordinates the hosts is gone {when}"))
        .hint("the hosts go back by themselves; deploy again when the client is back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::target::FailureKind;
    use cutover_testkit::conformance::Silent;

    struct Says(Heard);

    impl Coordinator for Says {
        fn wait_at(&self, _waiting: &WaitingHost<'_>, _stopped: &dyn Fn() -> bool) -> Heard {
            self.0
        }
    }

    fn at(gate: Gate, on_lost: OnLostCoordinator, heard: Heard) -> Result<Outcome, Failure> {
        apply(&Says(heard), &Await { gate, on_lost }, (&deployment("d1"), "a1"), &Silent)
    }

    #[test]
    fn without_a_coordinator_nobody_switches_and_who_is_healthy_does_as_configured() {
        use OnLostCoordinator::{Keep, Restore};
        for policy in [Keep, Restore] {
            assert!(at(Gate::Switch, policy, Heard::Lost).is_err(), "nobody switches without being told");
            assert!(at(Gate::Switch, policy, Heard::Go).is_ok() && at(Gate::Settle, policy, Heard::Go).is_ok());
            assert_eq!(at(Gate::Settle, policy, Heard::Stop).unwrap_err().kind, FailureKind::Cancelled);
        }
        assert!(at(Gate::Settle, Restore, Heard::Lost).is_err());
        assert_eq!(at(Gate::Settle, Keep, Heard::Lost).unwrap().warnings.len(), 1);
    }

    #[test]
    fn who_takes_it_up_goes_forward_only_where_another_host_has_settled() {
        let (settled, waiting) = (BTreeSet::from([deployment("d1")]), [deployment("d1"), deployment("d2")]);
        let successor = Successor { settled: &settled };
        let hear = |gate, deployment, stopped: bool| {
            successor.wait_at(&WaitingHost { gate, deployment, artifact: "a1" }, &|| stopped)
        };
        assert_eq!(hear(Gate::Settle, &waiting[0], false), Heard::Go);
        assert_eq!(hear(Gate::Settle, &waiting[1], false), Heard::Lost);
        assert_eq!(hear(Gate::Switch, &waiting[0], false), Heard::Lost);
        assert_eq!(hear(Gate::Settle, &waiting[0], true), Heard::Stop);
    }

    fn deployment(id: &str) -> DeploymentId {
        DeploymentId::new(id).unwrap()
    }
}
