//! Processes that are told apart even when their number is given to another one.

use super::stat_of;
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fs;
use std::time::Duration;

/// One process, for ever: its number may be used again, the three together never are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the machine started.
    pub start_ticks: u64,
    /// Which start of the machine that was.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The living process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat_of(pid).filter(|stat| !stat.is_dead())?;
        Some(Self { pid, start_ticks: stat.start_ticks, boot_id: boot_id() })
    }

    /// A child of this process, also when it has ended but was not reaped yet.
    pub fn of_child(child: &std::process::Child) -> Option<Self> {
        let stat = stat_of(child.id())?;
        Some(Self { pid: stat.pid, start_ticks: stat.start_ticks, boot_id: boot_id() })
    }

    /// Whether exactly this process still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// How long ago it began, by a clock that nobody can set.
    pub fn age(&self) -> Duration {
        let ticks = Clock::now().ticks.saturating_sub(self.start_ticks);
        Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
    }
}

/// A moment by the clock that processes' beginnings are measured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Clock ticks since the machine started.
    pub ticks: u64,
    /// Which start of the machine.
    pub boot_id: String,
}

impl Clock {
    /// This moment.
    pub fn now() -> Self {
        let since_boot = clock_gettime(ClockId::Boottime);
        let (seconds, nanos) = (since_boot.tv_sec.unsigned_abs(), since_boot.tv_nsec.unsigned_abs());
        let per_second = clock_ticks_per_second();
        Self { ticks: seconds * per_second + nanos * per_second / 1_000_000_000, boot_id: boot_id() }
    }

    /// Whether a process began at this moment or after it.
    pub fn is_before(&self, process: &ProcessIdentity) -> bool {
        process.boot_id != self.boot_id || process.start_ticks >= self.ticks
    }
}

/// The kernel's name for this start of the machine; empty where it is not told.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_no_later_one_with_its_number() {
        let me = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessIdentity { start_ticks: me.start_ticks + 1, ..me.clone() }.is_alive());
        assert!(!ProcessIdentity { boot_id: "another".into(), ..me }.is_alive());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        child.kill().unwrap();
        while identity.is_alive() {
            std::thread::yield_now();
        }
        assert!(stat_of(child.id()).is_some(), "it is not reaped yet");
        child.wait().unwrap();
    }

    #[test]
    fn a_moment_tells_older_from_newer_processes() {
        let before = Clock::now();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(before.is_before(&identity));
        assert!(!before.is_before(&ProcessIdentity { start_ticks: before.ticks.saturating_sub(1), ..identity }));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
