//! One process's state, family and use of the machine.

use rustix::param::{clock_ticks_per_second, page_size};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The most characters of a command that are shown.
const COMMAND_LENGTH_MAX: usize = 80;

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    /// Its number.
    pub pid: u32,
    /// Its program's name, at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `Z` …
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Processor time in clock ticks, user and system together.
    pub cpu_ticks: u64,
    /// When it began, in clock ticks since the machine started.
    pub start_ticks: u64,
}

impl ProcessStat {
    /// Whether it ended and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Processor time in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        self.cpu_ticks * 1000 / clock_ticks_per_second().max(1)
    }
}

/// Reads the text of `/proc/<pid>/stat`. The name may hold spaces and parentheses: the last one ends it.
pub fn parse_stat(text: &str) -> Option<ProcessStat> {
    let (pid, rest) = text.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let id = |at: usize| fields.get(at)?.parse::<i64>().ok().map(|id| u32::try_from(id).unwrap_or(0));
    Some(ProcessStat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: id(1)?,
        group: id(2)?,
        session: id(3)?,
        cpu_ticks: number(11)?.saturating_add(number(12)?),
        start_ticks: number(19)?,
    })
}

/// The state of the process with this number, when there is one.
pub fn stat_of(pid: u32) -> Option<ProcessStat> {
    // A program may call itself anything: its name need not be UTF-8.
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

/// The state of every process that this user may see.
pub fn all_stats() -> Vec<ProcessStat> {
    pids().filter_map(stat_of).collect()
}

/// The numbers of all processes.
pub fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Living processes that descend from `root`, which is not among them.
pub fn descendants(root: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<(u32, bool)>> = BTreeMap::new();
    for stat in all_stats() {
        children.entry(stat.parent).or_default().push((stat.pid, stat.is_dead()));
    }
    let (mut found, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(parent) = open.pop() {
        for (pid, dead) in children.remove(&parent).unwrap_or_default() {
            open.push(pid);
            if !dead {
                found.insert(pid);
            }
        }
    }
    found
}

/// Living processes of this machine, or this container, that were started with this environment variable.
///
/// Another container may have the same paths, and its processes' marks then name the same place: they are not of this one
/// (`pid_namespaces(7)`). One whose container cannot be seen counts.
pub fn with_variable(name: &str, value: &str) -> BTreeSet<u32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace("self");
    let is_here =
        |pid: &u32| namespace(&pid.to_string()).is_none_or(|theirs| own.as_ref().is_none_or(|own| theirs == *own));
    with_variable_anywhere(name, value).into_iter().filter(is_here).collect()
}

/// Living processes that were started with this environment variable, also those of containers that are seen from here.
pub(crate) fn with_variable_anywhere(name: &str, value: &str) -> BTreeSet<u32> {
    let wanted = format!("{name}={value}");
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let alive = |pid: &u32| stat_of(*pid).is_some_and(|stat| !stat.is_dead());
    pids().filter(has).filter(alive).collect()
}

/// Resident memory in bytes; pages that processes share are counted for each.
pub fn memory_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_size() as u64))
}

/// The directory that the process is in; None when this user may not know.
pub fn cwd_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The user that the process runs as.
pub fn uid_of(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

/// The program's name, for people.
///
/// Arguments are left out: they are other people's, and may hold what should not be shown.
pub fn command_of(pid: u32) -> String {
    let name = stat_of(pid).map(|stat| stat.name).unwrap_or_default();
    let plain = name.chars().map(|c| if c.is_control() { '?' } else { c });
    plain.take(COMMAND_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn kill(pid: u32) {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    const TAIL: &str = "S 1 42 42 0 -1 4194560 1 2 3 4 70 30 5 6 20 0 1 0 98765 1000 200 0";

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = parse_stat(&format!("42 (a) S 9 (b) {TAIL}")).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state, stat.parent), (42, "a) S 9 (b", 'S', 1));
        assert_eq!((stat.cpu_ticks, stat.start_ticks), (100, 98765));
    }

    #[test]
    fn what_is_not_a_stat_is_refused() {
        for text in ["", "42", "42 (a)", "42 (a) ", "x (a) S 1 1 1", "42 (a) S 1 42 42 0"] {
            assert_eq!(parse_stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn who_carries_a_mark_in_another_pid_namespace_is_not_of_this_one() {
        let (name, value) = ("CUTOVER_TEST_NAMESPACE", std::process::id().to_string());
        let marked = |program: &str, args: &[&str]| {
            let mut command = std::process::Command::new(program);
            command.args(args).env(name, &value).stdout(std::process::Stdio::piped()).spawn()
        };
        // Given one process here and, where this user may make one, one in a namespace of its own.
        let mut here = marked("sleep", &["60"]).unwrap();
        let inside =
            ["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "sh", "-c", "echo; exec sleep 60"];
        let mut there = marked("unshare", &inside).unwrap();
        let is_there = there.stdout.as_mut().unwrap().read(&mut [0]).unwrap() == 1;

        let (found, anywhere) = (with_variable(name, &value), with_variable_anywhere(name, &value));

        let in_the_other = if is_there { descendants(there.id()) } else { BTreeSet::new() };
        for child in [&mut here, &mut there] {
            let _ended = child.kill();
            child.wait().unwrap();
        }
        assert!(found.contains(&here.id()));
        assert!(found.is_disjoint(&in_the_other) && anywhere.is_superset(&in_the_other), "{found:?} {in_the_other:?}");
    }

    #[test]
    fn own_children_are_descendants() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        while descendants(child.id()).is_empty() {
            std::thread::yield_now();
        }
        let grandchildren = descendants(child.id());
        assert!(descendants(std::process::id()).is_superset(&grandchildren));
        grandchildren.iter().for_each(|pid| kill(*pid));
        child.wait().unwrap();
    }
}
