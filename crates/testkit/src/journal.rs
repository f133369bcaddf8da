//! A journal in memory that fails, crashes or is overtaken when told to.

use crate::clock::start;
use crate::fuse::{Fuse, crash};
use cutover_core::journal::{Entry, Journal, JournalError, Record};
use jiff::SignedDuration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// The most entries of one journal: an engine that goes round in circles is found out.
const ENTRY_COUNT_MAX: usize = 100_000;

/// When, around an append's effect, something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The entry was not kept.
    Before,
    /// The entry was kept, but nobody was told.
    After,
}

/// What goes wrong with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalFault {
    /// It says that it could not write.
    Fail(Moment),
    /// The process ends.
    Crash(Moment),
    /// Another engine takes the deployment up first.
    Overtaken,
}

/// A journal whose entries outlive the process under test: clones share them.
///
/// Entry number n is n seconds after [`start`].
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    kept: Arc<Mutex<Vec<Record>>>,
    faults: Arc<Mutex<VecDeque<(u32, JournalFault)>>>,
    fuse: Arc<Fuse>,
}

impl MemoryJournal {
    /// An empty journal in which nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same journal with a fuse that burns before and after every append.
    #[must_use]
    pub fn fused(mut self, fuse: Arc<Fuse>) -> Self {
        self.fuse = fuse;
        self
    }

    /// The same journal in which each fault happens after so many sound appends more.
    #[must_use]
    pub fn failing(mut self, faults: impl IntoIterator<Item = (u32, JournalFault)>) -> Self {
        self.faults = Arc::new(Mutex::new(faults.into_iter().collect()));
        self
    }

    /// Everything that was kept.
    pub fn records(&self) -> Vec<Record> {
        self.kept().clone()
    }

    /// Everything that was kept, without place and time.
    pub fn entries(&self) -> Vec<Entry> {
        self.kept().iter().map(|record| record.entry.clone()).collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.kept.lock().expect("a crash never unwinds through here")
    }

    fn keep(&self, entry: Entry) -> Record {
        let mut kept = self.kept();
        assert!(kept.len() < ENTRY_COUNT_MAX, "the engine never ends");
        let seq = kept.len() as u64 + 1;
        let at = start() + SignedDuration::from_secs(i64::try_from(seq).expect("tests keep few entries"));
        let record = Record { seq, at, host: None, entry };
        kept.push(record.clone());
        record
    }

    fn fault(&self) -> Option<JournalFault> {
        let mut faults = self.faults.lock().expect("a crash never unwinds through here");
        match faults.front_mut() {
            None => None,
            Some((0, _)) => faults.pop_front().map(|(_, fault)| fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, seq: u64, entry: &Entry) -> Result<Record, JournalError> {
        self.fuse.burn();
        let fault = self.fault();
        match fault {
            Some(JournalFault::Fail(Moment::Before)) => return Err(broken()),
            Some(JournalFault::Crash(Moment::Before)) => crash(),
            Some(JournalFault::Overtaken) => drop(self.keep(Entry::Resumed { by: "another engine".to_owned() })),
            Some(JournalFault::Fail(Moment::After) | JournalFault::Crash(Moment::After)) | None => {}
        }
        let found = self.kept().len() as u64 + 1;
        if found != seq {
            return Err(JournalError::Conflict { expected: seq, found });
        }
        let record = self.keep(entry.clone());
        self.fuse.burn();
        match fault {
            Some(JournalFault::Fail(Moment::After)) => Err(broken()),
            Some(JournalFault::Crash(Moment::After)) => crash(),
            Some(
                JournalFault::Fail(Moment::Before) | JournalFault::Crash(Moment::Before) | JournalFault::Overtaken,
            )
            | None => Ok(record),
        }
    }
}

fn broken() -> JournalError {
    let source = std::io::Error::other("the disk is gone");
    JournalError::Io { operation: "write", path: "memory".to_owned(), source }
}
