//! Crashes at a chosen moment.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

/// What a crashing process unwinds with.
#[derive(Debug)]
pub struct Crash;

/// Crashes the process under test. It says nothing and runs no error path.
pub fn crash() -> ! {
    resume_unwind(Box::new(Crash))
}

/// What became of the process under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survived<T> {
    /// It ended by itself.
    Ended(T),
    /// It crashed.
    Crashed,
}

/// Lets a process under test run, and survives its crash. A panic that is no [`Crash`] goes on.
pub fn surviving<T>(process: impl FnOnce() -> T) -> Survived<T> {
    match catch_unwind(AssertUnwindSafe(process)) {
        Ok(value) => Survived::Ended(value),
        Err(payload) if payload.is::<Crash>() => Survived::Crashed,
        Err(payload) => resume_unwind(payload),
    }
}

/// Counts the moments at which a process could crash, and crashes at the chosen ones.
#[derive(Debug, Default)]
pub struct Fuse(Mutex<VecDeque<u32>>);

impl Fuse {
    /// Crashes after so many moments; then again after so many more; and so on.
    pub fn new(crashes: impl IntoIterator<Item = u32>) -> Self {
        Self(Mutex::new(crashes.into_iter().collect()))
    }

    /// One moment passes.
    pub fn burn(&self) {
        if self.burned() {
            crash();
        }
    }

    fn burned(&self) -> bool {
        let mut crashes = self.0.lock().expect("a crash never unwinds through here");
        match crashes.front_mut() {
            None => false,
            Some(0) => crashes.pop_front().is_some(),
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}
