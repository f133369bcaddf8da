//! Which processes belong to a world, by their surroundings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long what is about to end may take.
const GRACE: Duration = Duration::from_secs(10);

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

/// The processes that work in a world or were started for it, this one excepted.
pub(crate) fn of_world(root: &Path) -> Vec<Process> {
    let root = root.display().to_string();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Process> =
        pids.filter(|pid| belongs(*pid, &root)).map(|pid| Process { pid, command: command_line(pid) }).collect();
    // One without a command line has ended and waits to be reaped.
    found.retain(|process| !process.command.is_empty());
    found
}

/// What is left once everything that was about to end has ended.
pub(crate) fn left_over(root: &Path, expected: impl Fn(&Process) -> bool) -> Vec<Process> {
    let began = Instant::now();
    loop {
        let mut left = of_world(root);
        left.retain(|process| !expected(process));
        if left.is_empty() || began.elapsed() > GRACE {
            return left;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends everything in a world.
pub(crate) fn end_all(root: &Path) {
    let began = Instant::now();
    loop {
        let left = of_world(root);
        if left.is_empty() {
            return;
        }
        if began.elapsed() > GRACE {
            // What cannot be killed hangs in the kernel; whoever needs it gone will notice.
            return eprintln!("cannot be ended: {left:?}");
        }
        for process in left {
            kill(process.pid);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Ends a process at once; one that has ended already is fine.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
}

fn belongs(pid: u32, root: &str) -> bool {
    let here = |path: PathBuf| path.display().to_string().starts_with(root);
    let environment = || fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    pid != std::process::id()
        && (fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(here)
            || String::from_utf8_lossy(&environment()).contains(root))
}

fn command_line(pid: u32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ").trim().to_owned()
}

/// The real interpreter behind whatever `python3` is a launcher for.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}
