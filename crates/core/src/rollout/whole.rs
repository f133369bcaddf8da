//! How a change of several hosts ended as a whole: the one place where that is made of how each of them stands.

use super::Standing;
use crate::config::OnUnreachable;
use crate::next::DeploymentOutcome;
use serde::{Deserialize, Serialize};

/// How the whole ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// It is done on every host; on some there may have been nothing to do.
    Done,
    /// There was nothing to do on any host.
    Unchanged,
    /// It is done on every host but those that could not be reached, without which it was to be done.
    Skipped,
    /// The new release stays on some hosts, and others do not have it.
    Divided,
    /// Where the new release had been live, the one before is live and healthy again.
    RolledBack,
    /// No host has what was asked for; all are as before.
    Failed,
    /// A person is needed on some host.
    Stuck,
    /// Nobody knows how it ends on a host that was lost.
    InDoubt,
    /// On some host nothing was begun: it refused, or could not be reached.
    NotDone,
}

/// What else the end of the whole depends on.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// What hosts mean that cannot be reached.
    pub on_unreachable: OnUnreachable,
    /// Whether another release is brought live: hosts of which some were only restarted are not divided.
    pub brings_release: bool,
}

impl Whole {
    /// How the whole ended where its hosts stand so. The first of these that fits is said: what needs a person, what is not known,
    /// what differs, what was taken back, what was not begun, what failed, what went well.
    pub fn of(hosts: &[Standing], terms: Terms) -> Self {
        let has = |standing| hosts.contains(&standing);
        let ended = |outcome| has(Standing::Ended(outcome));
        let is_missing = has(Standing::Unreachable);
        let may_miss = terms.on_unreachable == OnUnreachable::Skip;
        let went_back = ended(DeploymentOutcome::RolledBack) || ended(DeploymentOutcome::Failed);
        if ended(DeploymentOutcome::Stuck) {
            Self::Stuck
        } else if hosts.iter().any(|host| *host == Standing::Lost || !host.is_over()) {
            Self::InDoubt
        } else if went_back && ended(DeploymentOutcome::Deployed) && terms.brings_release {
            Self::Divided
        } else if ended(DeploymentOutcome::RolledBack) {
            Self::RolledBack
        } else if has(Standing::Refused) || is_missing && !may_miss {
            Self::NotDone
        } else if ended(DeploymentOutcome::Failed) {
            Self::Failed
        } else if is_missing && hosts.iter().all(|host| *host == Standing::Unreachable) {
            Self::NotDone
        } else if is_missing {
            Self::Skipped
        } else if ended(DeploymentOutcome::Deployed) {
            Self::Done
        } else {
            Self::Unchanged
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeploymentOutcome::{Deployed, Failed, RolledBack, Stuck};
    use Standing::{Ended, Lost, Refused, Unchanged, Unreachable};

    const REFUSE: Terms = Terms { on_unreachable: OnUnreachable::Refuse, brings_release: true };
    const SKIP: Terms = Terms { on_unreachable: OnUnreachable::Skip, brings_release: true };
    const RESTART: Terms = Terms { brings_release: false, ..REFUSE };

    /// Every end that a host can come to.
    const ENDS: [Standing; 8] =
        [Ended(Deployed), Unchanged, Ended(RolledBack), Ended(Failed), Ended(Stuck), Lost, Unreachable, Refused];

    /// How the whole ended where two hosts ended like this; the row is the one, the column the other, as in [`ENDS`].
    #[rustfmt::skip]
    const TABLE: [[Whole; 8]; 8] = {
        use Whole::{Divided as DV, Done as D, Failed as F, InDoubt as I, NotDone as N, RolledBack as R, Stuck as S, Unchanged as U};
        [
            //           done u'd rolled failed stuck lost n'reached refused
            /* done   */ [D,  D,  DV,  DV,  S,  I,  N,  N],
            /* u'd    */ [D,  U,  R,   F,   S,  I,  N,  N],
            /* rolled */ [DV, R,  R,   R,   S,  I,  R,  R],
            /* failed */ [DV, F,  R,   F,   S,  I,  N,  N],
            /* stuck  */ [S,  S,  S,   S,   S,  S,  S,  S],
            /* lost   */ [I,  I,  I,   I,   S,  I,  I,  I],
            /* n'r'ed */ [N,  N,  R,   N,   S,  I,  N,  N],
            /* ref'ed */ [N,  N,  R,   N,   S,  I,  N,  N],
        ]
    };

    #[test]
    fn the_whole_is_what_is_true_of_all_hosts_together() {
        for (row, one) in TABLE.iter().zip(ENDS) {
            for (expected, other) in row.iter().zip(ENDS) {
                assert_eq!(Whole::of(&[one, other], REFUSE), *expected, "{one:?} and {other:?}");
                // A third one that ended like one of them changes nothing.
                assert_eq!(Whole::of(&[other, one, other], REFUSE), *expected, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_host_that_may_be_missing_is_told_of_and_stops_nothing() {
        let with_missing = |other| Whole::of(&[other, Unreachable], SKIP);
        let expected = [
            (Ended(Deployed), Whole::Skipped),
            (Unchanged, Whole::Skipped),
            (Ended(RolledBack), Whole::RolledBack),
            (Ended(Failed), Whole::Failed),
            (Ended(Stuck), Whole::Stuck),
            (Lost, Whole::InDoubt),
            (Unreachable, Whole::NotDone),
            (Refused, Whole::NotDone),
        ];
        for (other, whole) in expected {
            assert_eq!(with_missing(other), whole, "{other:?}");
        }
        assert_eq!(Whole::of(&[Ended(Deployed), Ended(RolledBack), Unreachable], SKIP), Whole::Divided);
    }

    #[test]
    fn hosts_that_were_restarted_have_the_release_that_the_others_have() {
        assert_eq!(Whole::of(&[Ended(Deployed), Ended(Failed)], RESTART), Whole::Failed);
        assert_eq!(Whole::of(&[Ended(Deployed), Ended(Deployed)], RESTART), Whole::Done);
    }

    #[test]
    fn what_has_not_ended_is_not_known() {
        assert_eq!(Whole::of(&[Ended(Deployed), Standing::Settling], REFUSE), Whole::InDoubt);
    }
}
