//! Groups of which one run at a time goes on, as GitHub's `concurrency` has them.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a run waits for its turn: those before it deploy to real machines.
const TURN_PATIENCE: Duration = Duration::from_secs(600);

/// Who holds each group, and who waits for it, in order.
#[derive(Default)]
pub(super) struct Groups {
    lines: Mutex<HashMap<String, Vec<Member>>>,
    moved: Condvar,
}

struct Member {
    run: u64,
    /// Whether a newer one has taken its place.
    replaced: bool,
}

/// What a workflow says of a group.
pub(super) struct Wish<'a> {
    /// The group, whose name has no case.
    pub(super) group: &'a str,
    /// Whether the newest ends all others.
    pub(super) replaces: bool,
    /// Whether all that wait are kept.
    pub(super) queues: bool,
}

/// A run's place in a group, which the next one gets when this is dropped, also where a test fails meanwhile.
pub(super) struct Entered<'g> {
    groups: &'g Groups,
    run: u64,
    group: String,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.groups.leave(self.run, &self.group);
    }
}

impl Groups {
    fn lines(&self) -> MutexGuard<'_, HashMap<String, Vec<Member>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the group; None when a newer run took this one's place meanwhile. `end` is told of each run that holds the
    /// group and shall end.
    pub(super) fn enter(&self, run: u64, wish: &Wish<'_>, end: impl Fn(u64)) -> Option<Entered<'_>> {
        let until = Instant::now() + TURN_PATIENCE;
        let group = wish.group.to_lowercase();
        let mut lines = self.lines();
        let line = lines.entry(group.clone()).or_default();
        for (place, member) in line.iter_mut().enumerate() {
            let holds = place == 0;
            member.replaced |= if holds { wish.replaces } else { !wish.queues };
            if holds && wish.replaces {
                end(member.run);
            }
        }
        line.push(Member { run, replaced: false });
        self.moved.notify_all();
        loop {
            let line = lines.entry(group.clone()).or_default();
            let place = line.iter().position(|member| member.run == run).expect("who waits is in the line");
            if place == 0 {
                return Some(Entered { groups: self, run, group });
            }
            if line[place].replaced {
                line.remove(place);
                return None;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                line.remove(place);
                drop(lines);
                panic!("run {run} never had its turn in {group}");
            }
            (lines, _) = self.moved.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the next one in.
    fn leave(&self, run: u64, group: &str) {
        self.lines().entry(group.to_owned()).or_default().retain(|member| member.run != run);
        self.moved.notify_all();
    }

    /// Waits until so many are in the line of a group, the one that holds it included.
    pub(super) fn await_line(&self, group: &str, count: usize) {
        let group = group.to_lowercase();
        let is_short = |lines: &mut HashMap<String, Vec<Member>>| lines.get(&group).map_or(0, Vec::len) < count;
        let waited = self.moved.wait_timeout_while(self.lines(), PATIENCE, is_short);
        let (lines, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(lines);
        assert!(!timeout.timed_out(), "there were never {count} in the line of {group}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn who_fails_in_a_group_lets_the_next_one_in() {
        let groups = Groups::default();
        let wish = Wish { group: "Deploy", replaces: false, queues: true };
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _entered = groups.enter(1, &wish, |_| {});
            panic!("the first run fails");
        }));
        assert!(failed.is_err());

        // It is let in at once: nobody is left in the line.
        assert_eq!(groups.lines()["deploy"].len(), 0);
        let second = groups.enter(2, &wish, |_| {});
        assert!(second.is_some());
        groups.await_line("deploy", 1);
    }
}
