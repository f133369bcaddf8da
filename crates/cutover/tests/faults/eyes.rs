//! Looking at the world from outside: files, links, processes.

use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What counts under a `deploy_to`: links, releases and what they share, without Cutover's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct World(BTreeMap<PathBuf, String>);

impl World {
    pub(crate) fn of(app: &Path) -> Self {
        let mut found = BTreeMap::new();
        for top in ["current", "previous", "releases", "shared"] {
            look(app, &app.join(top), &mut found);
        }
        Self(found)
    }

    /// The same without a release that was kept as bad.
    pub(crate) fn without_bad(mut self, app: &Path) -> Self {
        let names: Vec<PathBuf> = entries(&app.join("releases")).into_iter().filter(|path| is_bad(path)).collect();
        for name in names {
            let name = name.strip_prefix(app).unwrap().to_owned();
            self.0.retain(|path, _| !path.starts_with(&name));
        }
        self
    }

    /// What differs, for a message.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let all = self.0.keys().chain(other.0.keys()).collect::<std::collections::BTreeSet<_>>();
        let of = |world: &Self, path: &PathBuf| world.0.get(path).cloned().unwrap_or_else(|| "nothing".to_owned());
        let differs = |path: &&&PathBuf| self.0.get(**path) != other.0.get(**path);
        all.iter()
            .filter(differs)
            .map(|path| format!("{}: {} → {}", path.display(), of(self, path), of(other, path)))
            .collect()
    }
}

fn look(root: &Path, path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    let seen = if metadata.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().display())
    } else if metadata.is_dir() {
        format!("directory {mode:o}")
    } else {
        format!("file {mode:o} {:?}", String::from_utf8_lossy(&fs::read(path).unwrap_or_default()))
    };
    found.insert(path.strip_prefix(root).unwrap().to_owned(), seen);
    if metadata.is_dir() {
        entries(path).iter().for_each(|entry| look(root, entry, found));
    }
}

/// What lies in a directory; nothing when it is not there.
pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|listing| listing.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default()
}

/// Every file and link under a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(directory) {
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_dir { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn is_bad(release: &Path) -> bool {
    fs::read_to_string(release.join("release.json")).is_ok_and(|text| text.contains("\"state\": \"bad\""))
}

/// What a deployment leaves only when it is under way.
pub(crate) fn half_done(app: &Path) -> Vec<PathBuf> {
    let own = app.join(".cutover");
    let partials =
        entries(&app.join("releases")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "partial"));
    let staged = entries(&own.join("env")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "staged"));
    partials.chain(staged).chain(entries(&own.join("journal/open"))).chain(entries(&own.join("queue"))).collect()
}

/// The numbers of all processes.
pub(crate) fn pids() -> Vec<u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The environment of a process, as it was started with.
pub(crate) fn environment(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// Processes that were started in this directory's world; all of them have it in their environment.
pub(crate) fn processes_of(dir: &Path) -> Vec<u32> {
    let dir = dir.as_os_str().as_encoded_bytes().to_owned();
    pids().into_iter().filter(|pid| contains(&environment(*pid), &dir)).collect()
}

/// Commands of deployments that still run: number and command line of each.
pub(crate) fn of_deployments(dir: &Path) -> Vec<String> {
    let is_one =
        |pid: &u32| environment(*pid).split(|byte| *byte == 0).any(|one| one.starts_with(b"CUTOVER_DEPLOYMENT="));
    let shown = |pid: u32| {
        format!("{pid}: {}", String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()))
    };
    processes_of(dir).into_iter().filter(is_one).filter(|pid| !is_dead(*pid)).map(shown).collect()
}

fn is_dead(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Kills whatever runs in this directory's world, until nothing does.
pub(crate) fn end_all(dir: &Path) {
    for _ in 0..500 {
        let alive: Vec<u32> = processes_of(dir).into_iter().filter(|pid| !is_dead(*pid)).collect();
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                // It may have ended by itself meanwhile.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Does something again and again beside the test, until it is asked for its findings.
pub(crate) struct Watcher<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Watcher<T> {
    pub(crate) fn start(mut findings: T, mut look: impl FnMut(&mut T) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                look(&mut findings);
            }
            findings
        });
        Self { stop, thread }
    }

    pub(crate) fn findings(self) -> T {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Counts how often `current` is missing or leads nowhere.
pub(crate) fn watch_current(app: &Path) -> Watcher<u32> {
    let current = app.join("current");
    Watcher::start(0, move |missing| {
        *missing += u32::from(!current.join("VERSION").exists());
        thread::sleep(Duration::from_micros(200));
    })
}
