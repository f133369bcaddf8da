//! The lock: a kernel lock that cannot outlive its holder, a queue for those who wait, and the maintenance lock.

use super::layout::Layout;
use super::queue::{Ticket, waiters};
use cutover_core::id::DeploymentId;
use cutover_core::moment::moment;
use cutover_disk::{DiskError, write_atomic};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who holds or waits for a lock, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who.
    pub by: String,
    /// Why: "deploy 4f2c1ab \"Fix the login\"".
    pub reason: String,
    /// Their deployment.
    pub deployment: Option<DeploymentId>,
    /// Their process on this host.
    pub pid: u32,
    /// Since when; None when they left no word of it.
    pub since: Option<Timestamp>,
    /// Until when, for a maintenance lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A waiter that makes older waiters give up.
    #[serde(default)]
    pub supersedes: bool,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another deployment runs.
    #[error("locked by {}", told(.0))]
    Held(Box<Holder>),
    /// Someone wants no deployments for now.
    #[error("maintenance lock by {}", told(.0))]
    Maintenance(Box<Holder>),
    /// A newer deployment took this one's place in the queue.
    #[error("superseded in the queue by {}: {}", .0.by, .0.reason)]
    Superseded(Box<Holder>),
    /// Stopping was asked for while waiting.
    #[error("cancelled while waiting for the lock")]
    Cancelled,
    /// It did not come free in time.
    #[error("still locked after {} s by {}", .waited.as_secs(), told(.holder))]
    TimedOut {
        /// Who holds it.
        holder: Box<Holder>,
        /// How long was waited.
        waited: Duration,
    },
    /// The lock's files cannot be used.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The lock's files cannot be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Who, since when, until when and why, as far as it is known.
fn told(holder: &Holder) -> String {
    let Holder { by, reason, since, until, .. } = holder;
    let since = since.map_or_else(String::new, |since| format!(" since {}", moment(since)));
    let until = until.map_or_else(String::new, |until| format!(" until {}", moment(until)));
    format!("{by}{since}{until}: {reason}")
}

/// The lock, held. It is given back when this is dropped, or by the kernel when the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The kernel gives it back in any case; an empty file only spares readers an old name.
        let _ = self.file.set_len(0);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// How long and how to wait for the lock.
pub struct Waiting<'a> {
    /// None: not at all.
    pub limit: Option<Duration>,
    /// What time it is: a maintenance lock may expire while one waits.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Whether a maintenance lock of one's own is in the way like anybody else's: it is there to keep deployments out.
    pub heeds_own: bool,
    /// Whether stopping was asked for.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Told once per change of who is in the way: the holder, and how many wait before this one.
    pub told: &'a dyn Fn(&Holder, u32),
}

const POLL: Duration = Duration::from_millis(50);
/// Who only looks takes the lock for a moment; another one that meets it tries again for this long.
const READER_GRACE: Duration = Duration::from_millis(40);

/// Takes the lock, or says who has it. With a limit it queues up: first come, first served.
pub fn acquire(layout: &Layout, me: &Holder, waiting: &Waiting<'_>) -> Result<Lock, LockError> {
    let Some(limit) = waiting.limit else { return try_acquire(layout, me, waiting, None) };
    let ticket = Ticket::draw(&layout.queue(), me)?;
    let (began, mut told) = (Instant::now(), None);
    loop {
        let in_the_way = match try_acquire(layout, me, waiting, Some(&ticket)) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held(holder) | LockError::Maintenance(holder)) => holder,
            Err(other) => return Err(other),
        };
        ticket.give_way()?;
        if (waiting.cancelled)() {
            return Err(LockError::Cancelled);
        }
        if began.elapsed() >= limit {
            return Err(LockError::TimedOut { holder: in_the_way, waited: limit });
        }
        let ahead = u32::try_from(waiters(&layout.queue()).iter().filter(|w| w.number < ticket.number).count())
            .unwrap_or(u32::MAX);
        if told.as_ref() != Some(&(in_the_way.clone(), ahead)) {
            (waiting.told)(&in_the_way, ahead);
            told = Some((in_the_way, ahead));
        }
        std::thread::sleep(POLL);
    }
}

/// One try. Those who were here first go first, also before someone who does not wait.
fn try_acquire(
    layout: &Layout,
    me: &Holder,
    waiting: &Waiting<'_>,
    ticket: Option<&Ticket>,
) -> Result<Lock, LockError> {
    let is_heeded = |holder: &Holder| waiting.heeds_own || holder.by != me.by;
    if let Some(holder) = maintenance(layout, (waiting.now)())?.filter(is_heeded) {
        return Err(LockError::Maintenance(Box::new(holder)));
    }
    let before_me =
        waiters(&layout.queue()).into_iter().find(|waiter| ticket.is_none_or(|mine| waiter.number < mine.number));
    if let Some(waiter) = before_me {
        return Err(LockError::Held(Box::new(waiter.holder)));
    }
    let mut file = open(&layout.lock())?;
    if !lock_with_grace(&file, &layout.lock())? {
        return Err(LockError::Held(Box::new(who_holds(&mut file, &layout.lock()))));
    }
    // The name is for readers only: a full disk must not stop whoever wants to make room or to resume.
    let _ = write_holder(&mut file, me);
    Ok(Lock { file })
}

fn lock_with_grace(file: &File, path: &Path) -> Result<bool, LockError> {
    let began = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if began.elapsed() < READER_GRACE => std::thread::sleep(Duration::from_millis(2)),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(errno) => return Err(LockError::Io { operation: "lock", path: path.to_owned(), source: errno.into() }),
        }
    }
}

/// Who holds the lock now; None when it is free.
pub fn holder(layout: &Layout) -> Option<Holder> {
    let path = layout.lock();
    let mut file = File::open(&path).ok()?;
    // As a deployment takes it, for it would also be stopped by one who locks the file for reading only.
    let is_free = lock_with_grace(&file, &path).unwrap_or(true);
    (!is_free).then(|| who_holds(&mut file, &path))
}

/// Who holds the lock that could not be taken. Cutover never locks for reading: what the file then says is out of date.
fn who_holds(file: &mut File, path: &Path) -> Holder {
    let is_for_reading = flock(&*file, FlockOperation::NonBlockingLockShared).is_ok();
    let named = if is_for_reading { None } else { read_holder(file) };
    named.unwrap_or_else(|| Holder {
        by: "an unknown process".to_owned(),
        reason: format!("it left no reason; `fuser -v {}` names it", path.display()),
        ..unknown()
    })
}

/// Who waits, first in line first.
pub fn queue(layout: &Layout) -> Vec<Holder> {
    waiters(&layout.queue()).into_iter().map(|waiter| waiter.holder).collect()
}

/// The maintenance lock, unless it has expired. Fails when it can't be told whether there is one.
pub fn maintenance(layout: &Layout, now: Timestamp) -> Result<Option<Holder>, LockError> {
    let path = layout.maintenance();
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(HOLDER_BYTES_MAX).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LockError::Io { operation: "read", path, source }),
    }
    // One that makes no sense is still one: someone meant something by it.
    let holder: Holder = serde_json::from_slice(&text).unwrap_or_else(|_| unknown());
    Ok(holder.until.is_none_or(|until| until > now).then_some(holder))
}

/// Sets the maintenance lock; it stays until it expires or is released.
pub fn set_maintenance(layout: &Layout, holder: &Holder) -> Result<(), LockError> {
    let json = serde_json::to_vec_pretty(holder).map_err(|e| LockError::Io {
        operation: "encode",
        path: layout.maintenance(),
        source: e.into(),
    })?;
    Ok(write_atomic(&layout.maintenance(), &json, 0o644)?)
}

/// Releases the maintenance lock. Gives whether there was one.
pub fn release_maintenance(layout: &Layout) -> Result<bool, LockError> {
    match std::fs::remove_file(layout.maintenance()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LockError::Io { operation: "remove", path: layout.maintenance(), source }),
    }
}

pub(super) fn unknown() -> Holder {
    Holder {
        by: "someone".to_owned(),
        reason: "no reason was left".to_owned(),
        deployment: None,
        pid: 0,
        since: None,
        until: None,
        supersedes: false,
    }
}

fn open(path: &Path) -> Result<File, LockError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = options.map_err(|source| LockError::Io { operation: "open", path: path.to_owned(), source })?;
    close_to_others(&file);
    Ok(file)
}

/// Whoever can open the file can lock it. Where it cannot be closed to others it is a lock all the same.
fn close_to_others(file: &File) {
    if file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o077 != 0) {
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
}

/// The largest holder record that is read, in bytes.
const HOLDER_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(HOLDER_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(super) fn write_holder(file: &mut File, me: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&serde_json::to_vec(me)?)
}

#[cfg(test)]
mod tests {
    use super::super::queue::numbers;
    use super::*;
    use std::cell::Cell;

    fn layout() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.queue()).unwrap();
        (dir, layout)
    }

    fn me(by: &str) -> Holder {
        Holder { by: by.to_owned(), reason: "test".to_owned(), ..unknown() }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const AT_ONCE: Waiting<'_> =
        Waiting { limit: None, now: &|| NOW, heeds_own: true, cancelled: &|| false, told: &|_, _| {} };

    #[test]
    fn a_held_lock_names_its_holder_and_is_free_when_dropped() {
        let (_dir, layout) = layout();
        let lock = acquire(&layout, &me("ann"), &AT_ONCE).unwrap();

        let refused = acquire(&layout, &me("bob"), &AT_ONCE).unwrap_err();

        assert!(matches!(refused, LockError::Held(holder) if holder.by == "ann"));
        assert_eq!(holder(&layout).unwrap().by, "ann");
        drop(lock);
        assert!(holder(&layout).is_none());
        acquire(&layout, &me("bob"), &AT_ONCE).unwrap();
    }

    #[test]
    fn a_lock_that_is_held_for_reading_is_told_as_locked_by_an_unknown_process() {
        let (_dir, layout) = layout();
        drop(acquire(&layout, &me("ann"), &AT_ONCE).unwrap());
        std::fs::write(layout.lock(), serde_json::to_vec(&me("ann")).unwrap()).unwrap();
        let reader = File::open(layout.lock()).unwrap();
        flock(&reader, FlockOperation::NonBlockingLockShared).unwrap();

        let refused = acquire(&layout, &me("bob"), &AT_ONCE).unwrap_err();

        assert!(refused.to_string().starts_with("locked by an unknown process: it left no reason"), "{refused}");
        assert_eq!(holder(&layout).unwrap().by, "an unknown process");
        drop(reader);
        assert!(holder(&layout).is_none());
    }

    #[test]
    fn a_lock_in_the_way_says_until_when_it_is() {
        let (_dir, layout) = layout();
        let until = Some(at(3600));
        set_maintenance(&layout, &Holder { since: Some(at(60)), until, ..me("ann") }).unwrap();
        let told = "ann since 1970-01-01 00:01:00 UTC until 1970-01-01 01:00:00 UTC: test";

        let refused = acquire(&layout, &me("bob"), &AT_ONCE).unwrap_err();
        let waited = acquire(&layout, &me("bob"), &Waiting { limit: Some(Duration::ZERO), ..AT_ONCE }).unwrap_err();

        assert_eq!(refused.to_string(), format!("maintenance lock by {told}"));
        assert_eq!(waited.to_string(), format!("still locked after 0 s by {told}"));
    }

    #[test]
    fn nobody_else_can_open_the_lock_and_an_older_one_is_closed_to_them() {
        let (_dir, layout) = layout();
        let mode = || layout.lock().metadata().unwrap().permissions().mode() & 0o777;
        drop(acquire(&layout, &me("ann"), &AT_ONCE).unwrap());
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(layout.lock(), std::fs::Permissions::from_mode(0o644)).unwrap();

        drop(acquire(&layout, &me("ann"), &AT_ONCE).unwrap());

        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn waiters_are_served_in_their_order_and_nobody_jumps_the_queue() {
        let (_dir, layout) = layout();
        let lock = acquire(&layout, &me("ann"), &AT_ONCE).unwrap();
        let first = Ticket::draw(&layout.queue(), &me("bob")).unwrap();
        let second = Ticket::draw(&layout.queue(), &me("cid")).unwrap();
        drop(lock);

        assert!(
            matches!(try_acquire(&layout, &me("dan"), &AT_ONCE, None), Err(LockError::Held(holder)) if holder.by == "bob")
        );
        assert!(
            matches!(try_acquire(&layout, &me("cid"), &AT_ONCE, Some(&second)), Err(LockError::Held(holder)) if holder.by == "bob")
        );
        try_acquire(&layout, &me("bob"), &AT_ONCE, Some(&first)).unwrap();
        drop(first);
        try_acquire(&layout, &me("cid"), &AT_ONCE, Some(&second)).unwrap();
    }

    #[test]
    fn a_ticket_whose_waiter_died_is_removed() {
        let (_dir, layout) = layout();
        std::fs::write(layout.queue().join("00000000000000000001.json"), "{}").unwrap();

        acquire(&layout, &me("ann"), &AT_ONCE).unwrap();

        assert!(numbers(&layout.queue()).is_empty());
    }

    #[test]
    fn a_newer_waiter_supersedes_an_older_one_when_it_says_so() {
        let (_dir, layout) = layout();
        let _lock = acquire(&layout, &me("ann"), &AT_ONCE).unwrap();
        let newer = Cell::new(None);
        let queue_up = |_: &Holder, _: u32| {
            newer.set(Some(Ticket::draw(&layout.queue(), &Holder { supersedes: true, ..me("cid") }).unwrap()));
        };
        let waiting = Waiting { limit: Some(Duration::from_secs(10)), told: &queue_up, ..AT_ONCE };

        let refused = acquire(&layout, &me("bob"), &waiting).unwrap_err();

        assert!(matches!(refused, LockError::Superseded(holder) if holder.by == "cid"));
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_maintenance_lock_holds_until_it_expires() {
        let (_dir, layout) = layout();
        set_maintenance(&layout, &Holder { until: Some(at(100)), ..me("ops") }).unwrap();

        let acquire_at = |second| acquire(&layout, &me("ann"), &Waiting { now: &|| at(second), ..AT_ONCE });
        assert!(matches!(acquire_at(99), Err(LockError::Maintenance(_))));
        acquire_at(101).unwrap();
        assert!(release_maintenance(&layout).unwrap());
        assert!(!release_maintenance(&layout).unwrap());
    }

    #[test]
    fn ones_own_maintenance_lock_keeps_only_those_out_who_heed_it() {
        let (_dir, layout) = layout();
        set_maintenance(&layout, &me("ann")).unwrap();
        let own = Waiting { heeds_own: false, ..AT_ONCE };

        assert!(matches!(acquire(&layout, &me("ann"), &AT_ONCE), Err(LockError::Maintenance(_))));
        assert!(matches!(acquire(&layout, &me("bob"), &own), Err(LockError::Maintenance(_))));
        acquire(&layout, &me("ann"), &own).unwrap();
    }

    #[test]
    fn who_waits_behind_a_maintenance_lock_sees_it_expire() {
        let (_dir, layout) = layout();
        set_maintenance(&layout, &Holder { until: Some(at(100)), ..me("ops") }).unwrap();
        let now = Cell::new(99);
        let waiting = Waiting {
            limit: Some(Duration::from_secs(10)),
            now: &|| at(now.get()),
            told: &|_, _| now.set(101),
            ..AT_ONCE
        };

        acquire(&layout, &me("ann"), &waiting).unwrap();

        assert_eq!(now.get(), 101, "it was told about the lock first");
    }

    #[test]
    fn a_maintenance_lock_that_cannot_be_looked_at_is_not_taken_for_none() {
        let (_dir, layout) = layout();
        std::fs::create_dir(layout.maintenance()).unwrap();

        let refused = acquire(&layout, &me("ann"), &AT_ONCE).unwrap_err();

        assert!(matches!(refused, LockError::Io { operation: "read", .. }), "{refused}");
    }

    #[test]
    fn a_lock_whose_holder_cannot_be_written_is_held_all_the_same() {
        let (_dir, layout) = layout();
        std::os::unix::fs::symlink("/dev/full", layout.lock()).unwrap();

        let _lock = acquire(&layout, &me("ann"), &AT_ONCE).unwrap();

        assert!(holder(&layout).is_some());
    }
}
