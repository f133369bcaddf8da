//! Bringing content into the blob store on several threads.

use crate::error::ArtifactError;
use crate::parallel::thread_count;
use cutover_core::artifact::{Digest, ManifestEntry};
use cutover_disk::{Blob, BlobStore, DiskError};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Larger files go to the store without being held in memory.
pub(crate) const MEMORY_BYTES_MAX: u64 = 1 << 20;
/// How many contents wait at most: 64 MiB of them.
const QUEUE_LENGTH: usize = 64;

/// A content on its way, with what it is known as.
type Item<K> = (K, Vec<u8>, bool);

/// Takes contents while worker threads hash and store them.
pub(crate) struct Intake<'a, K> {
    store: &'a BlobStore,
    queue: Option<SyncSender<Item<K>>>,
    stored: Vec<(K, Blob)>,
}

impl<K: Send> Intake<'_, K> {
    /// Takes a content; `key` comes back with its blob.
    pub(crate) fn push(&mut self, key: K, content: Vec<u8>, executable: bool) -> Result<(), ArtifactError> {
        let item = (key, content, executable);
        match &self.queue {
            // It fails only when every worker has stopped; their errors are returned in the end.
            Some(queue) => drop(queue.send(item)),
            None => self.stored.push(store_item(self.store, item)?),
        }
        Ok(())
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
        let mut intake = Intake { store, queue: None, stored: Vec::new() };
        feed(&mut intake)?;
        return Ok(intake.stored);
    }
    std::thread::scope(|scope| {
        let (queue, items) = sync_channel(QUEUE_LENGTH);
        let items = Arc::new(Mutex::new(items));
        let workers: Vec<_> = (0..worker_count)
            .map(|_| Arc::clone(&items))
            .map(|items| scope.spawn(move || work(store, &items)))
            .collect();
        // Only the workers may hold the receiving end: when all have failed, sending must fail too.
        drop(items);
        let fed = feed(&mut Intake { store, queue: Some(queue), stored: Vec::new() });
        let mut stored = Vec::new();
        for worker in workers {
            stored.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        fed.map(|()| stored)
    })
}

fn work<K>(store: &BlobStore, items: &Mutex<Receiver<Item<K>>>) -> Result<Vec<(K, Blob)>, ArtifactError> {
    let mut stored = Vec::new();
    loop {
        let item = items.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match item {
            Ok(item) => stored.push(store_item(store, item)?),
            Err(_) => return Ok(stored),
        }
    }
}

fn store_item<K>(store: &BlobStore, (key, content, executable): Item<K>) -> Result<(K, Blob), ArtifactError> {
    Ok((key, keep_bytes(store, &content, executable)?))
}

/// Stores a content unless the store has it.
pub(crate) fn keep_bytes(store: &BlobStore, content: &[u8], executable: bool) -> Result<Blob, DiskError> {
    let blob = Blob { digest: Digest::of(content), bytes: content.len() as u64, executable };
    if store.has(&blob)? { Ok(blob) } else { store.add_bytes(content, executable) }
}

/// The manifest's entry for a stored file.
pub(crate) fn file_entry(blob: Blob) -> ManifestEntry {
    ManifestEntry::File { digest: blob.digest, bytes: blob.bytes, executable: blob.executable }
}
