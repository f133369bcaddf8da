//! A deployment's journal on disk: fsynced before anything is done on its word.

use super::spare::Spare;
use cutover_core::id::DeploymentId;
use cutover_core::journal::{
    Chain, Entry, Header, JOURNAL_BYTES_MAX, Journal, JournalError, Record, Recorded, decode, header,
};
use cutover_core::plan::{Plan, PlanKind};
use cutover_disk::is_no_space;
use jiff::Timestamp;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes reserved behind the last record, so that a full disk can't stop the unwinding from being recorded.
const RESERVE_BYTES: u64 = 256 * 1024;

/// An open journal file. Its kernel lock is held, so that no other engine can drive the same deployment.
pub struct FileJournal {
    file: File,
    path: PathBuf,
    chain: Chain,
    next_seq: u64,
    end: u64,
    now: fn() -> Timestamp,
}

impl FileJournal {
    /// Makes a journal with its header and reserves room for its entries. Nothing has been done yet when this fails. Where the
    /// disk is full, a way back takes the room that was kept for it.
    pub fn create<A: Serialize + Clone>(
        path: &Path,
        plan: &Plan<A>,
        now: fn() -> Timestamp,
    ) -> Result<Self, JournalError> {
        let make = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        match (Self::create_in(path, plan, now, make), plan.kind) {
            (Err(error), PlanKind::Rollback | PlanKind::Restart) if is_full(&error) => {
                let spare = path.parent().and_then(Spare::beside);
                let spare = spare.and_then(|spare| spare.give(path).ok());
                spare.map_or(Err(error), |file| Self::create_in(path, plan, now, || Ok(file)))
            }
            (created, PlanKind::Deploy | PlanKind::Rollback | PlanKind::Restart) => created,
        }
    }

    fn create_in<A: Serialize + Clone>(
        path: &Path,
        plan: &Plan<A>,
        now: fn() -> Timestamp,
        make: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, JournalError> {
        let file = make().map_err(|source| JournalError::Io {
            operation: "create",
            path: path.display().to_string(),
            source,
        })?;
        let mut journal = Self { file, path: path.to_owned(), chain: Chain::default(), next_seq: 1, end: 0, now };
        journal.begin(&header(plan)).inspect_err(|_| {
            // It holds no complete header, so readers would drop it too.
            let _ = std::fs::remove_file(path);
        })?;
        Ok(journal)
    }

    fn begin<A: Serialize>(&mut self, header: &Header<A>) -> Result<(), JournalError> {
        self.lock()?;
        let mut chain = self.chain.clone();
        let line = chain.encode(header).map_err(|e| self.io("encode", e.into()))?;
        let bytes = line.len() as u64 + RESERVE_BYTES;
        self.reserve(bytes)?;
        // Room that was kept is more than a journal needs: the steps may have the rest.
        let _ = self.file.set_len(bytes);
        self.write(&line)?;
        self.chain = chain;
        self.sync_directory()
    }

    /// Opens a journal to go on with it. Ok(None): its header was never completed, so nothing was done.
    pub fn open<A: DeserializeOwned>(
        path: &Path,
        now: fn() -> Timestamp,
    ) -> Result<Option<(Self, Recorded<A>)>, JournalError> {
        let io = |operation, source| JournalError::Io { operation, path: path.display().to_string(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| io("open", e))?;
        let mut journal = Self { file, path: path.to_owned(), chain: Chain::default(), next_seq: 1, end: 0, now };
        journal.lock()?;
        let Some(recorded) = read::<A>(path)? else { return Ok(None) };
        journal.chain = recorded.chain.clone();
        journal.next_seq = recorded.records.len() as u64 + 1;
        journal.end = recorded.sound_bytes as u64;
        journal.drop_torn_tail()?;
        Ok(Some((journal, recorded)))
    }

    /// A torn record would stand where the next one goes: overwrite it with zeros first.
    fn drop_torn_tail(&mut self) -> Result<(), JournalError> {
        let length = self.file.metadata().map_err(|e| self.io("read", e))?.len();
        let torn = usize::try_from(length.saturating_sub(self.end)).unwrap_or(JOURNAL_BYTES_MAX).min(JOURNAL_BYTES_MAX);
        let mut tail = vec![0; torn];
        self.file.read_exact_at(&mut tail, self.end).map_err(|e| self.io("read", e))?;
        let Some(last) = tail.iter().rposition(|byte| *byte != 0) else { return Ok(()) };
        self.file.write_all_at(&vec![0; last + 1], self.end).map_err(|e| self.io("write", e))?;
        self.file.sync_data().map_err(|e| self.io("write", e))
    }

    fn lock(&self) -> Result<(), JournalError> {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => JournalError::Conflict { expected: self.next_seq, found: self.next_seq },
            other => self.io("lock", other.into()),
        })
    }

    fn reserve(&self, bytes: u64) -> Result<(), JournalError> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // Not every file system can reserve; written zeros are the same promise.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL) => {
                let zeros = vec![0; usize::try_from(bytes).unwrap_or(0)];
                self.file.write_all_at(&zeros, 0).map_err(|e| self.io("reserve 256 KiB for", e))
            }
            Err(errno) => Err(self.io("reserve 256 KiB for", errno.into())),
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<(), JournalError> {
        self.file.write_all_at(line, self.end).map_err(|e| self.io("write", e))?;
        self.file.sync_data().map_err(|e| self.io("write", e))?;
        self.end += line.len() as u64;
        Ok(())
    }

    /// Whether something stands where the next record goes: another engine wrote, in spite of the lock.
    fn is_overtaken(&self) -> Result<bool, JournalError> {
        let mut byte = [0];
        let count = self.file.read_at(&mut byte, self.end).map_err(|e| self.io("read", e))?;
        Ok(count == 1 && byte[0] != 0)
    }

    fn sync_directory(&self) -> Result<(), JournalError> {
        let Some(directory) = self.path.parent() else { return Ok(()) };
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| self.io("write", e))
    }

    fn io(&self, operation: &'static str, source: std::io::Error) -> JournalError {
        JournalError::Io { operation, path: self.path.display().to_string(), source }
    }

    /// Gives the reserved room back and moves the journal among those that have ended: its last act.
    pub fn finish(&self, done: &Path, deployment: &DeploymentId) -> Result<(), JournalError> {
        // Every record is on disk already: room that stays reserved is no reason not to file it.
        let _ = self.file.set_len(self.end);
        let to = done.join(journal_name(deployment));
        std::fs::rename(&self.path, &to).map_err(|e| self.io("move", e))?;
        self.sync_directory()?;
        if let Some(spare) = Spare::beside(done) {
            spare.lay_up();
        }
        File::open(done).and_then(|d| d.sync_all()).map_err(|e| self.io("move", e))
    }
}

/// Whether it is for want of room.
fn is_full(error: &JournalError) -> bool {
    matches!(error, JournalError::Io { source, .. } if is_no_space(source))
}

impl Journal for FileJournal {
    fn append(&mut self, seq: u64, entry: &Entry) -> Result<Record, JournalError> {
        if seq != self.next_seq || self.is_overtaken()? {
            return Err(JournalError::Conflict { expected: seq, found: self.next_seq.max(seq + 1) });
        }
        let record = Record { seq, at: (self.now)(), host: None, entry: entry.clone() };
        let mut chain = self.chain.clone();
        let line = chain.encode(&record).map_err(|e| self.io("encode", e.into()))?;
        self.write(&line)?;
        self.chain = chain;
        self.next_seq += 1;
        Ok(record)
    }
}

/// A journal's file name.
pub fn journal_name(deployment: &DeploymentId) -> String {
    format!("{deployment}.journal")
}

/// Reads a journal without locking it.
pub fn read<A: DeserializeOwned>(path: &Path) -> Result<Option<Recorded<A>>, JournalError> {
    let io = |source| JournalError::Io { operation: "read", path: path.display().to_string(), source };
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    decode(&bytes)
}
