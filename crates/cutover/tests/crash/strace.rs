//! The executioner: counts the system calls by which a process changes the world, and ends it with SIGKILL at the
//! entry of a chosen one. Only the process's main thread is followed, which is the one that drives the steps; that keeps the
//! counting exact, and commands that it starts are left alone.

use crate::run::Ran;
use crate::world::World;
use std::collections::HashMap;
use std::fmt;
use std::process::Command;

/// System calls that change something others can see, or stand where something else is at work. Those that this
/// machine's architecture doesn't have are passed over.
const CALLS: &str = "?pwrite64,?write,?fdatasync,?fsync,?syncfs,?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,\
?unlink,?unlinkat,?rmdir,?mkdir,?mkdirat,?fallocate,?ftruncate,?fchmod,?fchmodat,?chmod,?utimensat,?flock,\
?copy_file_range,?ioctl,?openat,?clone,?clone3,?vfork,?poll,?ppoll,?wait4,?waitid,?kill,?pidfd_open,?exit_group";

/// One call: the `nth` of its name in the process's main thread.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) nth: usize,
    /// How it looked when it was counted, files by their paths.
    pub(crate) line: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}: {}", self.name, self.nth, self.line)
    }
}

impl Call {
    /// Whether it is part of putting an entry into a deployment's journal.
    pub(crate) fn is_journal(&self) -> bool {
        matches!(self.name.as_str(), "pwrite64" | "fdatasync") && self.line.contains("/journal/open/")
    }

    /// Whether it gave or took a name, or room: what atomicity is made of.
    pub(crate) fn is_name(&self) -> bool {
        const STEMS: [&str; 8] = ["rename", "link", "symlink", "unlink", "rmdir", "mkdir", "fallocate", "ftruncate"];
        !self.line.contains(" = -1 ") && STEMS.iter().any(|stem| self.name.starts_with(stem))
    }

    fn counts(&self) -> bool {
        match self.name.as_str() {
            "openat" => self.line.contains("O_CREAT"),
            "ioctl" => self.line.contains("FICLONE"),
            _ => true,
        }
    }
}

/// Why nothing can be killed here; None when it can.
pub(crate) fn missing() -> Option<String> {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]).output();
    match tried {
        Err(error) => Some(format!("strace cannot be started: {error}")),
        Ok(output) if !output.status.success() => {
            Some(format!("strace does not work here: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
        Ok(_) => None,
    }
}

/// Runs `cutover` undisturbed and gives the calls that it made.
pub(crate) fn count(world: &World, args: &[&str]) -> (Ran, Vec<Call>) {
    let log = world.path("tmp/strace.log");
    let mut command = world.command("strace");
    command
        .args(["-qq", "-y", "-a", "1", "-s", "40", "-e", &format!("trace={CALLS}"), "-e", "signal=none", "-o"])
        .arg(&log);
    let ran = Ran::of(command.arg(env!("CARGO_BIN_EXE_cutover")).args(args));
    let text = std::fs::read(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    (ran, parse(&String::from_utf8_lossy(&text)))
}

fn parse(log: &str) -> Vec<Call> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        calls.push(Call { name: name.to_owned(), nth: *nth, line: line.to_owned() });
    }
    calls.retain(Call::counts);
    calls
}

/// Runs `cutover` and kills it at the entry of a call, before the call does anything.
pub(crate) fn kill_at(world: &World, args: &[&str], call: &Call) -> Ran {
    let mut command = world.command("strace");
    let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
    command.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={}", call.name), "-e", &inject]);
    Ran::of(command.arg(env!("CARGO_BIN_EXE_cutover")).args(args))
}
