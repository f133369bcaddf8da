//! How a release spreads over several hosts: who is told what next, decided from how each of them stands.
//!
//! Each host drives its own plan under the law. At two gates it waits for the coordinator: before anything live is
//! changed, and once it is healthy, while it can still go back. No IO, no clock.

mod whole;

use crate::config::{OnFailure, OnUnreachable, RolloutConfig};
use crate::next::DeploymentOutcome;
use serde::{Deserialize, Serialize};
pub use whole::{Terms, Whole};

/// Where a host waits for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Everything is staged, and nothing live was changed.
    Switch,
    /// The new release is live and was seen healthy.
    Settle,
}

impl Gate {
    /// The name of the step in which a host waits there.
    pub fn step_name(self) -> &'static str {
        match self {
            Self::Switch => "await-switch",
            Self::Settle => "await-others",
        }
    }
}

/// What the coordinator says to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Go on behind the gate.
    Go(Gate),
    /// Take back whatever was begun.
    Stop,
}

/// How a host stands, as the coordinator knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is on its way to the first gate.
    Preparing,
    /// It waits at the first gate.
    Staged,
    /// It was told to switch.
    Switching,
    /// It waits at the second gate.
    Healthy,
    /// It waits at the second gate, as far as is known: it has not answered for a while.
    Silent,
    /// It waits no longer, or cannot be heard any more: it goes back by itself, or does what `on_lost_coordinator` says.
    /// Until that is known, the new release may be live there.
    Leaving,
    /// It was told to settle.
    Settling,
    /// It was told to stop.
    Stopping,
    /// It could not be reached; nothing was begun there.
    Unreachable,
    /// It refused before anything was begun: locked, stuck, or not fit.
    Refused,
    /// The connection broke after something was begun. It goes on by itself.
    Lost,
    /// There was nothing to do: it has what was asked for, and what runs is as before.
    Unchanged,
    /// Its deployment came to an end.
    Ended(DeploymentOutcome),
}

impl Standing {
    /// Whether nothing more will be heard of it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Unreachable | Self::Refused | Self::Lost | Self::Unchanged | Self::Ended(_))
    }

    /// Whether the new release may be live there and can still be taken back.
    fn may_be_live(self) -> bool {
        matches!(self, Self::Switching | Self::Healthy | Self::Silent | Self::Leaving | Self::Stopping)
    }
}

/// A rollout: the policy, and what is special about the hosts.
#[derive(Debug, Clone, Copy)]
pub struct Rollout<'a> {
    /// The policy.
    pub config: &'a RolloutConfig,
    /// The host that runs the migrations, when there are any: it goes first, alone, and back last.
    pub migrating: Option<usize>,
}

/// What the coordinator does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Tells these hosts, by their number.
    Tell(Vec<(usize, Word)>),
    /// Lets the pause before this wave pass; waves are counted from 0.
    Pause(usize),
    /// Waits until a host stands differently.
    Wait,
    /// Nothing more is to be done.
    Over,
}

impl Rollout<'_> {
    /// Decides what the coordinator does next. `paused` says for how many waves the pause has passed, `cancelled`
    /// whether a person asked to stop.
    ///
    /// - Nobody switches before everybody is staged.
    /// - A wave begins when the one before it is healthy; in a wave, at most `max_unavailable` switch at once.
    /// - Nobody settles before everybody is healthy and has answered lately; from then on nobody is told to stop.
    /// - When a host fails, those that have not switched stop, and the others go back or settle, as the policy says.
    pub fn next(&self, hosts: &[Standing], paused: usize, cancelled: bool) -> Next {
        if hosts.iter().all(|host| host.is_over()) {
            return Next::Over;
        }
        if hosts.contains(&Standing::Settling) {
            return Next::Wait;
        }
        if cancelled || self.has_failed(hosts) {
            return tell(self.back(hosts, cancelled));
        }
        self.forth(hosts, paused)
    }

    fn has_failed(&self, hosts: &[Standing]) -> bool {
        hosts.iter().enumerate().any(|(at, host)| match host {
            // Without the host that migrates, the others would go live on what was not migrated.
            Standing::Unreachable => self.config.on_unreachable == OnUnreachable::Refuse || self.migrating == Some(at),
            Standing::Refused | Standing::Lost | Standing::Leaving | Standing::Stopping => true,
            Standing::Ended(outcome) => *outcome != DeploymentOutcome::Deployed,
            Standing::Preparing
            | Standing::Staged
            | Standing::Switching
            | Standing::Healthy
            | Standing::Silent
            | Standing::Settling
            | Standing::Unchanged => false,
        })
    }

    fn back(&self, hosts: &[Standing], cancelled: bool) -> Vec<(usize, Word)> {
        let keeps = self.config.on_failure == OnFailure::Keep && !cancelled;
        let word = |(at, host): (usize, &Standing)| match host {
            Standing::Preparing | Standing::Staged => Some((at, Word::Stop)),
            Standing::Healthy if keeps => Some((at, Word::Go(Gate::Settle))),
            // Those that were not healthy yet find out by themselves whether they become it.
            Standing::Switching | Standing::Silent if keeps => None,
            Standing::Switching | Standing::Healthy | Standing::Silent => {
                (!self.goes_back_later(at, hosts)).then_some((at, Word::Stop))
            }
            Standing::Settling
            | Standing::Leaving
            | Standing::Stopping
            | Standing::Unreachable
            | Standing::Refused
            | Standing::Lost
            | Standing::Unchanged
            | Standing::Ended(_) => None,
        };
        hosts.iter().enumerate().filter_map(word).collect()
    }

    /// The migration is taken back when no other host may need it any more.
    fn goes_back_later(&self, host: usize, hosts: &[Standing]) -> bool {
        self.migrating == Some(host) && hosts.iter().enumerate().any(|(at, other)| at != host && other.may_be_live())
    }

    fn forth(&self, hosts: &[Standing], paused: usize) -> Next {
        if hosts.contains(&Standing::Preparing) {
            return Next::Wait;
        }
        for (number, wave) in self.waves(hosts).iter().enumerate() {
            let in_wave = |standing| wave.iter().filter(move |at| hosts[**at] == standing);
            if in_wave(Standing::Healthy).count() == wave.len() {
                continue;
            }
            let is_fresh = in_wave(Standing::Staged).count() == wave.len();
            if number > paused && is_fresh && !self.config.pause.is_zero() {
                return Next::Pause(number);
            }
            let at_once = self.config.max_unavailable.of(hosts.len());
            let busy = in_wave(Standing::Switching).count() + in_wave(Standing::Silent).count();
            let room = at_once.saturating_sub(busy);
            let go = in_wave(Standing::Staged).take(room).map(|at| (*at, Word::Go(Gate::Switch)));
            return tell(go.collect());
        }
        tell(
            (0..hosts.len())
                .filter(|at| hosts[*at] == Standing::Healthy)
                .map(|at| (at, Word::Go(Gate::Settle)))
                .collect(),
        )
    }

    /// The waves of those that take part, by their numbers: a host that has nothing to do is none of them.
    ///
    /// Meaningful once nobody is preparing any more.
    pub fn waves(&self, hosts: &[Standing]) -> Vec<Vec<usize>> {
        let takes_part = |at: &usize| {
            matches!(hosts[*at], Standing::Staged | Standing::Switching | Standing::Healthy | Standing::Silent)
        };
        let mut rest: Vec<usize> = (0..hosts.len()).filter(takes_part).collect();
        let count = rest.len();
        let mut waves = Vec::new();
        let mut canaries = self.config.canary.map_or(0, |canary| canary.of(count));
        if let Some(at) = self.migrating.and_then(|host| rest.iter().position(|other| *other == host)) {
            waves.push(vec![rest.remove(at)]);
            canaries = canaries.saturating_sub(1);
        }
        let others = rest.split_off(canaries.min(rest.len()));
        waves.extend([rest].into_iter().filter(|wave| !wave.is_empty()));
        waves.extend(others.chunks(self.config.batch.of(count)).map(<[usize]>::to_vec));
        waves
    }
}

fn tell(words: Vec<(usize, Word)>) -> Next {
    if words.is_empty() { Next::Wait } else { Next::Tell(words) }
}

/// How the whole ended: as its worst host. None when no host's end is known.
pub fn outcome(hosts: impl IntoIterator<Item = DeploymentOutcome>) -> Option<DeploymentOutcome> {
    hosts.into_iter().max_by_key(|outcome| match outcome {
        DeploymentOutcome::Deployed => 0,
        DeploymentOutcome::Failed => 1,
        DeploymentOutcome::RolledBack => 2,
        DeploymentOutcome::Stuck => 3,
    })
}

#[cfg(test)]
mod tests;
