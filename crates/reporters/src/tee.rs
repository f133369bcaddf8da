//! Fans events out to reporters, each on a thread of its own.

use crate::reporter::Reporter;
use cutover_core::event::{Event, Observer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many untold events a slow reporter may have before what may be dropped is left out for it.
///
/// Journal entries are never left out; a plan's steps bound their number.
const BACKLOG_MAX: usize = 1_000;

/// Name of the reporters' threads, so that a panic there can be told from one that matters.
pub const THREAD_NAME: &str = "reporter";

/// Passes every event on to every reporter and waits for none of them.
///
/// A reporter that fails or panics is dropped; the others go on.
pub struct Tee {
    ears: Mutex<Vec<Ear>>,
    ended: Mutex<Receiver<()>>,
    thread_count: usize,
}

/// The sending side of one reporter.
struct Ear {
    events: Sender<Arc<Event>>,
    backlog: Arc<AtomicUsize>,
}

impl Tee {
    /// Starts a thread for each reporter. A reporter whose thread cannot be started is left out.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Self {
        let (end, ended) = mpsc::channel();
        let ears: Vec<Ear> = reporters.into_iter().filter_map(|reporter| Ear::open(reporter, end.clone())).collect();
        let thread_count = ears.len();
        Self { ears: Mutex::new(ears), ended: Mutex::new(ended), thread_count }
    }

    /// Lets the reporters tell what they have left, for at most `patience`.
    ///
    /// One that takes longer is left behind: a closed terminal must not keep the process alive.
    pub fn finish(self, patience: Duration) {
        let Self { ears, ended, thread_count } = self;
        drop(ears);
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let until = std::time::Instant::now() + patience;
        for _ in 0..thread_count {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if ended.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

impl Observer for Tee {
    fn event(&self, event: &Event) {
        let event = Arc::new(event.clone());
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        ears.retain(|ear| ear.hear(&event));
    }
}

impl Ear {
    fn open(reporter: Box<dyn Reporter>, end: Sender<()>) -> Option<Self> {
        let (events, heard) = mpsc::channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&backlog);
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            // Whatever state a panicking reporter leaves behind is dropped with it.
            let _told = catch_unwind(AssertUnwindSafe(move || tell_all(reporter, &heard, &counter)));
            let _nobody_waits = end.send(());
        });
        thread.ok().map(|_| Self { events, backlog })
    }

    /// False when the reporter is gone.
    fn hear(&self, event: &Arc<Event>) -> bool {
        if may_be_dropped(event) && self.backlog.load(Ordering::Relaxed) >= BACKLOG_MAX {
            return true;
        }
        self.backlog.fetch_add(1, Ordering::Relaxed);
        self.events.send(Arc::clone(event)).is_ok()
    }
}

fn tell_all(mut reporter: Box<dyn Reporter>, heard: &Receiver<Arc<Event>>, backlog: &AtomicUsize) {
    for event in heard {
        backlog.fetch_sub(1, Ordering::Relaxed);
        if reporter.tell(&event).is_err() {
            return;
        }
    }
}

fn may_be_dropped(event: &Event) -> bool {
    match event {
        Event::Progressed { .. } | Event::Output { .. } | Event::Probed { .. } | Event::Waiting { .. } => true,
        Event::OnHost { happened, .. } => may_be_dropped(happened),
        Event::Began { .. }
        | Event::Recorded { .. }
        | Event::Ended { .. }
        | Event::Silent { .. }
        | Event::Fleet { .. }
        | Event::Stands { .. }
        | Event::Wave { .. }
        | Event::FleetEnded { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::journal::{Entry, Record};
    use cutover_core::plan::StepId;
    use jiff::Timestamp;
    use std::io;

    fn entry(seq: u64) -> Event {
        let entry = Entry::Cancelled { reason: "a signal".to_owned() };
        Event::Recorded { record: Record { seq, at: Timestamp::UNIX_EPOCH, host: None, entry } }
    }

    struct Panics;
    impl Reporter for Panics {
        fn tell(&mut self, _: &Event) -> io::Result<()> {
            panic!("on purpose")
        }
    }

    struct DiskFull;
    impl Reporter for DiskFull {
        fn tell(&mut self, _: &Event) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    /// Tells nothing until the gate's other side is dropped.
    struct Gated(Receiver<()>, Sender<Event>);
    impl Reporter for Gated {
        fn tell(&mut self, event: &Event) -> io::Result<()> {
            let _opened = self.0.recv();
            self.1.send(event.clone()).map_err(io::Error::other)
        }
    }

    struct Collects(Sender<Event>);
    impl Reporter for Collects {
        fn tell(&mut self, event: &Event) -> io::Result<()> {
            self.0.send(event.clone()).map_err(io::Error::other)
        }
    }

    #[test]
    fn a_broken_reporter_takes_nothing_from_the_others() {
        let (send, told) = mpsc::channel();
        let tee = Tee::new(vec![Box::new(Panics), Box::new(DiskFull), Box::new(Collects(send))]);
        (0..100).for_each(|at| tee.event(&entry(at)));
        tee.finish(Duration::from_secs(60));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), (0..100).map(entry).collect::<Vec<_>>());
    }

    #[test]
    fn a_reporter_that_hangs_slows_nothing_and_is_left_behind() {
        let (gate, gated) = mpsc::channel();
        let (send, _told) = mpsc::channel();
        let tee = Tee::new(vec![Box::new(Gated(gated, send))]);
        (0..10_000).for_each(|at| tee.event(&entry(at)));
        tee.finish(Duration::ZERO);
        drop(gate);
    }

    #[test]
    fn a_slow_reporter_misses_progress_and_never_an_entry() {
        let (gate, gated) = mpsc::channel();
        let (send, told) = mpsc::channel();
        let tee = Tee::new(vec![Box::new(Gated(gated, send))]);
        for at in 0..5_000 {
            tee.event(&Event::Progressed { step: StepId(0), done: at, total: 5_000, unit: "files".into() });
        }
        (0..100).for_each(|at| tee.event(&entry(at)));
        drop(gate);
        tee.finish(Duration::from_secs(60));
        let told: Vec<Event> = told.try_iter().collect();
        assert_eq!(told.iter().filter(|event| !may_be_dropped(event)).count(), 100);
        assert!(told.len() <= BACKLOG_MAX + 101, "{}", told.len());
    }
}
