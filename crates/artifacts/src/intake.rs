//! Bringing content into the blob store on several threads.

use crate::error::ArtifactError;
use cutover_core::artifact::ManifestEntry;
use cutover_disk::parallel::thread_count;
use cutover_disk::{Blob, BlobStore};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Larger files go to the store without being held in memory.
pub(crate) const MEMORY_BYTES_MAX: u64 = 1 << 20;
/// Small contents are handed over together: waking a thread costs as much as hashing one.
const BATCH_LENGTH: usize = 16;
const BATCH_BYTES: usize = 256 << 10;
/// How many batches wait at most: with all of them as large as they can be, 20 MiB.
const QUEUE_LENGTH: usize = 16;

/// A content on its way, with what it is known as.
type Item<K> = (K, Vec<u8>, bool);

/// Takes contents while worker threads hash and store them.
pub(crate) struct Intake<'a, K> {
    store: &'a BlobStore,
    /// `None`: contents are stored at once, on this thread.
    queue: Option<SyncSender<Vec<Item<K>>>>,
    batch: Vec<Item<K>>,
    batch_bytes: usize,
    stored: Vec<(K, Blob)>,
}

impl<'a, K: Send> Intake<'a, K> {
    fn new(store: &'a BlobStore, queue: Option<SyncSender<Vec<Item<K>>>>) -> Self {
        Self { store, queue, batch: Vec::new(), batch_bytes: 0, stored: Vec::new() }
    }

    /// Takes a content; `key` comes back with its blob.
    pub(crate) fn push(&mut self, key: K, content: Vec<u8>, executable: bool) -> Result<(), ArtifactError> {
        if self.queue.is_none() {
            self.stored.push(store_item(self.store, (key, content, executable))?);
            return Ok(());
        }
        self.batch_bytes += content.len();
        self.batch.push((key, content, executable));
        if self.batch.len() == BATCH_LENGTH || self.batch_bytes >= BATCH_BYTES {
            self.hand_over();
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        self.batch_bytes = 0;
        if let Some(queue) = &self.queue {
            // It fails only when every worker has stopped; their errors are returned in the end.
            let _ = queue.send(std::mem::take(&mut self.batch));
        }
    }
}

/// Runs `feed`, which pushes about `item_count` contents, and returns all that were stored.
pub(crate) fn take_in<K: Send>(
    store: &BlobStore,
    item_count: usize,
    feed: impl FnOnce(&mut Intake<'_, K>) -> Result<(), ArtifactError>,
) -> Result<Vec<(K, Blob)>, ArtifactError> {
    let worker_count = thread_count(item_count);
    if worker_count == 1 {
        let mut intake = Intake::new(store, None);
        feed(&mut intake)?;
        return Ok(intake.stored);
    }
    std::thread::scope(|scope| {
        let (queue, batches) = sync_channel(QUEUE_LENGTH);
        let batches = Arc::new(Mutex::new(batches));
        let start = |batches: Arc<_>| scope.spawn(move || work(store, &batches));
        let workers: Vec<_> = (0..worker_count).map(|_| start(Arc::clone(&batches))).collect();
        // Only the workers may hold the receiving end: when all have failed, sending must fail too.
        drop(batches);
        let mut intake = Intake::new(store, Some(queue));
        let fed = feed(&mut intake);
        intake.hand_over();
        // Closes the queue, which ends the workers.
        drop(intake);
        let mut stored = Vec::new();
        for worker in workers {
            stored.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        fed.map(|()| stored)
    })
}

fn work<K>(store: &BlobStore, batches: &Mutex<Receiver<Vec<Item<K>>>>) -> Result<Vec<(K, Blob)>, ArtifactError> {
    let mut stored = Vec::new();
    loop {
        let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return Ok(stored) };
        for item in batch {
            stored.push(store_item(store, item)?);
        }
    }
}

fn store_item<K>(store: &BlobStore, (key, content, executable): Item<K>) -> Result<(K, Blob), ArtifactError> {
    Ok((key, store.add_bytes(&content, executable)?))
}

/// The manifest's entry for a stored file.
pub(crate) fn file_entry(blob: Blob) -> ManifestEntry {
    ManifestEntry::File { digest: blob.digest, bytes: blob.bytes, executable: blob.executable }
}
