//! When each host of several was heard of last, and what follows from that.
//!
//! A host believes in its coordinator for one lease after the last word, and the coordinator in a host for no longer: a
//! connection can be dead for minutes without ending.

use cutover_core::rollout::{Gate, Standing};
use std::time::{Duration, Instant};

/// What is known of the hosts' presence.
pub(super) struct Contacts {
    lease: Duration,
    hosts: Vec<Contact>,
}

struct Contact {
    /// When the last question was asked that was answered; None for this very process, which is always there.
    asked_at: Option<Instant>,
    /// Since when it has been at a gate.
    at_gate_since: Instant,
    /// Whether it was told to switch.
    has_switched: bool,
    /// When its connection was over, while it may still run the new release.
    lost_at: Option<Instant>,
}

impl Contacts {
    /// Hosts that are asked from now on; for each, whether it is another machine.
    pub(super) fn new(lease: Duration, are_far: &[bool], now: Instant) -> Self {
        let contact = |is_far: &bool| Contact {
            asked_at: is_far.then_some(now),
            at_gate_since: now,
            has_switched: false,
            lost_at: None,
        };
        Self { lease, hosts: are_far.iter().map(contact).collect() }
    }

    /// It was told to switch.
    pub(super) fn switches(&mut self, at: usize) {
        self.hosts[at].has_switched = true;
    }

    /// It came to a gate.
    pub(super) fn at_gate(&mut self, at: usize, now: Instant) {
        self.hosts[at].at_gate_since = now;
    }

    /// It answered a question: it waits at this gate, or at none. How it stands then.
    pub(super) fn answered(
        &mut self,
        at: usize,
        standing: Standing,
        asked_at: Instant,
        gate: Option<Gate>,
    ) -> Standing {
        let host = &mut self.hosts[at];
        host.asked_at = host.asked_at.max(Some(asked_at));
        let expected = match standing {
            Standing::Staged => Gate::Switch,
            Standing::Healthy | Standing::Silent => Gate::Settle,
            _ => return standing,
        };
        // An answer to an earlier question can overtake nothing, but may have been given before the gate was reached.
        if gate != Some(expected) && asked_at > host.at_gate_since { Standing::Leaving } else { standing }
    }

    /// How it stands after it was not heard of for a while.
    pub(super) fn pass(&self, at: usize, standing: Standing, now: Instant) -> Standing {
        let host = &self.hosts[at];
        let silence = host.asked_at.map_or(Duration::ZERO, |asked_at| now.saturating_duration_since(asked_at));
        let lost_for = host.lost_at.map(|lost_at| now.saturating_duration_since(lost_at));
        match standing {
            Standing::Healthy | Standing::Silent if silence > self.lease => Standing::Leaving,
            Standing::Healthy | Standing::Silent if silence > self.lease / 2 => Standing::Silent,
            Standing::Silent => Standing::Healthy,
            // It may have heard a last word after its last answer, and needs time to go back.
            Standing::Leaving if lost_for.is_some_and(|time| time > self.lease.saturating_mul(2)) => Standing::Lost,
            standing => standing,
        }
    }

    /// Its connection is over: how it stands then.
    pub(super) fn lost(&mut self, at: usize, now: Instant) -> Standing {
        let host = &mut self.hosts[at];
        host.lost_at = Some(now);
        if host.has_switched { Standing::Leaving } else { Standing::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Healthy, Leaving, Lost, Settling, Silent, Staged, Switching};

    const LEASE: Duration = Duration::from_secs(30);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn who_does_not_answer_is_silent_and_then_believed_gone_and_who_answers_is_there_again() {
        let began = Instant::now();
        let mut contacts = Contacts::new(LEASE, &[true], began);
        assert_eq!(contacts.pass(0, Healthy, began + seconds(15)), Healthy);
        assert_eq!(contacts.pass(0, Healthy, began + seconds(16)), Silent);
        assert_eq!(contacts.answered(0, Silent, began + seconds(10), Some(Gate::Settle)), Silent);
        assert_eq!(contacts.pass(0, Silent, began + seconds(17)), Healthy);
        assert_eq!(contacts.pass(0, Silent, began + seconds(41)), Leaving);
        assert_eq!(contacts.pass(0, Switching, began + seconds(41)), Switching, "it has no lease while it works");
    }

    #[test]
    fn this_very_process_need_not_answer() {
        let began = Instant::now();
        let contacts = Contacts::new(LEASE, &[false], began);
        assert_eq!(contacts.pass(0, Healthy, began + seconds(3600)), Healthy);
    }

    #[test]
    fn who_says_that_it_waits_no_longer_is_not_told_to_settle() {
        let began = Instant::now();
        let mut contacts = Contacts::new(LEASE, &[true], began);
        contacts.at_gate(0, began + seconds(5));
        assert_eq!(
            contacts.answered(0, Healthy, began + seconds(4), None),
            Healthy,
            "asked before it came to the gate"
        );
        assert_eq!(contacts.answered(0, Healthy, began + seconds(6), Some(Gate::Settle)), Healthy);
        assert_eq!(contacts.answered(0, Healthy, began + seconds(7), None), Leaving);
        assert_eq!(contacts.answered(0, Staged, began + seconds(7), None), Leaving);
        assert_eq!(contacts.answered(0, Settling, began + seconds(7), None), Settling, "it was told to go on");
    }

    #[test]
    fn who_is_lost_may_run_the_new_release_for_a_while_when_it_had_switched() {
        let began = Instant::now();
        let mut contacts = Contacts::new(LEASE, &[true, true], began);
        contacts.switches(1);
        assert_eq!(contacts.lost(0, began), Lost);
        assert_eq!(contacts.lost(1, began), Leaving);
        assert_eq!(contacts.pass(1, Leaving, began + 2 * LEASE), Leaving);
        assert_eq!(contacts.pass(1, Leaving, began + 2 * LEASE + seconds(1)), Lost);
    }
}
