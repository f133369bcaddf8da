//! Groups of which one run at a time goes on, as GitHub's `concurrency` has them.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

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

impl Groups {
    fn lines(&self) -> MutexGuard<'_, HashMap<String, Vec<Member>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the group; false when a newer run took this one's place meanwhile. `end` is told of each run that holds the
    /// group and shall end.
    pub(super) fn enter(&self, run: u64, wish: &Wish<'_>, end: impl Fn(u64)) -> bool {
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
                return true;
            }
            if line[place].replaced {
                line.remove(place);
                return false;
            }
            lines = self.moved.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the next one in.
    pub(super) fn leave(&self, run: u64, group: &str) {
        self.lines().entry(group.to_lowercase()).or_default().retain(|member| member.run != run);
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
