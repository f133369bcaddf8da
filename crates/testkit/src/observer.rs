//! Observers for tests.

use cutover_core::event::{Event, Observer};
use std::sync::Mutex;

/// An observer that forgets everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullObserver;

impl Observer for NullObserver {
    fn event(&self, _: &Event) {}
}

/// An observer that keeps everything.
#[derive(Debug, Default)]
pub struct RecordingObserver(Mutex<Vec<Event>>);

impl RecordingObserver {
    /// What it was told so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().expect("no test panics while it holds the events").clone()
    }
}

impl Observer for RecordingObserver {
    fn event(&self, event: &Event) {
        self.0.lock().expect("no test panics while it holds the events").push(event.clone());
    }
}
