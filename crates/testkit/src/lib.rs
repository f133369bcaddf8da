//! Fakes and suites for the tests of Cutover: a world in memory, a journal that crashes, a clock that stands
//! still, and the conformance suite that every adapter passes.
//!
//! A crash is an unwinding with [`Crash`] that nothing but [`surviving`] stops: no error path of the code
//! under test runs, as none would if the process were killed.

pub mod clock;
pub mod conformance;
pub mod fuse;
pub mod fuzz;
pub mod github;
pub mod journal;
pub mod observer;
pub mod plan;
pub mod runner;
pub mod s3;
pub mod story;
pub mod target;
mod yaml;

pub use clock::FrozenClock;
pub use fuse::{Crash, Fuse, Survived, surviving};
pub use fuzz::{at_least, fuzz};
pub use journal::{JournalFault, MemoryJournal, Moment};
pub use observer::{NullObserver, RecordingObserver};
pub use plan::{name, plan, step};
pub use story::{Story, Told, minute};
pub use target::{FakeTarget, Fault, Slots, Verb, World};
pub use yaml::yaml;
