//! What only root can do: mounts, immutable files, tracing with faults.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether a test that needs root can run. Named as skipped where it cannot; in CI it must run.
pub(crate) fn is_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test} needs root, and in CI it must run");
    eprintln!("skipped: {test} needs root");
    false
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// How much room a file system has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many bytes.
    Bytes(u64),
    /// So many inodes.
    Inodes(u64),
}

/// A small file system in memory, gone when this is dropped.
pub(crate) struct Tmpfs(PathBuf);

const PAGE_BYTES: u64 = 4096;
const BYTES: u64 = 64 << 20;
const INODES: u64 = 16_384;

impl Tmpfs {
    /// Mounts it over an empty directory.
    pub(crate) fn over(path: &Path) -> Self {
        let options = format!("size={BYTES},nr_inodes={INODES},mode=755");
        run("mount", &["-t", "tmpfs", "-o", &options, "cutover-test", path.to_str().unwrap()]);
        Self(path.to_owned())
    }

    /// Leaves only so much room.
    pub(crate) fn leave(&self, room: Room) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let used = (stat.f_blocks - stat.f_bfree) * PAGE_BYTES;
        let (bytes, inodes) = match room {
            // A size of 0 would mean no limit.
            Room::Bytes(free) => ((used + free).max(PAGE_BYTES), INODES),
            Room::Inodes(free) => (BYTES, stat.f_files - stat.f_ffree + free),
        };
        self.resize(bytes, inodes);
    }

    /// Gives all the room back.
    pub(crate) fn free(&self) {
        self.resize(BYTES, INODES);
    }

    fn resize(&self, bytes: u64, inodes: u64) {
        let options = format!("remount,size={bytes},nr_inodes={inodes}");
        run("mount", &["-o", &options, self.0.to_str().unwrap()]);
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A directory that can only be read, through a mount on itself.
pub(crate) struct ReadOnly(PathBuf);

impl ReadOnly {
    pub(crate) fn over(path: &Path) -> Self {
        let text = path.to_str().unwrap();
        run("mount", &["--bind", text, text]);
        let mounted = Self(path.to_owned());
        run("mount", &["-o", "remount,bind,ro", text]);
        mounted
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn unmount(path: &Path) {
    // Lazily: a process that still has a file open there must not keep the mount.
    let _unmounted = Command::new("umount").arg("--lazy").arg(path).status();
}

/// A file or directory that not even root can change.
pub(crate) struct Immutable(PathBuf);

impl Immutable {
    /// None where the file system knows no such thing.
    pub(crate) fn new(path: &Path) -> Option<Self> {
        let changed = Command::new("chattr").arg("+i").arg(path).output();
        changed.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _changed = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}
