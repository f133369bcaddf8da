//! The agent at work on a machine, held at the very call where a fault is to strike.

use crate::host::Host;
use crate::shop::{Shop, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Calls at which it is held: an entry into the journal, a name that is given, a command that is started.
pub(crate) const CALLS: [&str; 5] = ["pwrite64", "rename", "renameat2", "clone3", "vfork"];

/// One call: the `nth` of its name that the agent's main thread makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) call: &'static str,
    pub(crate) nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.call, self.nth)
    }
}

/// A process that is an agent on this machine, by its number here.
pub(crate) fn find(host: &Host) -> Option<Pid> {
    let address = host.address();
    let group = format!("/cutover-bed-{}/", address.split('.').nth(2)?);
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let text = |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let is_agent =
        |pid: &i32| text(*pid, "cmdline").ends_with("\0agent\0serve\0") && text(*pid, "cgroup").contains(&group);
    pids.into_iter().find(is_agent).and_then(Pid::from_raw)
}

/// An agent that is traced.
pub(crate) struct Held {
    pub(crate) pid: Pid,
    strace: Child,
    log: PathBuf,
}

impl Held {
    /// Follows the agent that waits for its order; it will stop at the point, when it comes there.
    pub(crate) fn follow(shop: &Shop, point: Option<Point>) -> Self {
        let pid = wait_for("an agent", || find(&shop.host));
        let log = shop.client.path("strace.log");
        let _from_before = fs::remove_file(&log);
        let mut strace = Command::new("strace");
        strace.args(["-y", "-s", "200", "-p", &pid.as_raw_nonzero().to_string()]).arg("-o").arg(&log);
        strace.args(["-e", &format!("trace={}", CALLS.map(|call| format!("?{call}")).join(","))]);
        if let Some(Point { call, nth }) = point {
            strace.args(["-e", &format!("inject={call}:signal=STOP:when={nth}")]);
        }
        let strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let held = Self { pid, strace, log };
        wait_for("the agent is traced", || held.status("TracerPid").filter(|tracer| tracer != "0"));
        held
    }

    fn status(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
    }

    /// Waits until it has stopped at its point; false when it ended without coming there.
    pub(crate) fn await_stop(&mut self) -> bool {
        wait_for("the agent stops or ends", || {
            if self.log().contains("--- stopped by SIGSTOP") {
                return Some(true);
            }
            self.strace.try_wait().unwrap().map(|_| false)
        })
    }

    /// Lets it go on, untraced.
    pub(crate) fn release(mut self) {
        // strace lets go of whom it follows when it is told to end.
        let _over = kill_process(Pid::from_child(&self.strace), Signal::TERM);
        self.strace.wait().unwrap();
        let _ended = kill_process(self.pid, Signal::CONT);
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How often each call was made once it has ended.
    pub(crate) fn counts(mut self) -> BTreeMap<&'static str, usize> {
        self.strace.wait().unwrap();
        let log = self.log();
        CALLS
            .into_iter()
            .map(|call| (call, log.lines().filter(|line| line.starts_with(&format!("{call}("))).count()))
            .collect()
    }

    /// The call at which it stopped, as text.
    pub(crate) fn at(&self) -> String {
        self.log()
            .lines()
            .rfind(|line| CALLS.iter().any(|call| line.starts_with(call)))
            .unwrap_or_default()
            .chars()
            .take(160)
            .collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
