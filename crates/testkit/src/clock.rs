//! A clock that goes only when told to, also backwards.

use cutover_core::engine::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::Mutex;

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct FrozenClock(Mutex<Timestamp>);

impl FrozenClock {
    /// Stands at this time.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Jumps to this time.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().expect("no test panics while it holds the clock") = now;
    }

    /// Goes on, or back when negative.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().expect("no test panics while it holds the clock");
        *now = now.checked_add(by).expect("tests stay within the calendar");
    }
}

impl Default for FrozenClock {
    /// Stands at 2026-11-21T10:00:00Z.
    fn default() -> Self {
        Self::at(start())
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics while it holds the clock")
    }
}

/// Where fake time begins: 2026-11-21T10:00:00Z.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_795_255_200).expect("a time within the calendar")
}
