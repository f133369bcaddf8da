//! Ends what a deployment that died has left running: an install, a hook, a migration.
//!
//! Such commands carry the deployment's id in their environment, which survives whatever became of
//! their parents. Services are never started with it.

use super::site::DEPLOYMENT_VARIABLE;
use cutover_core::id::DeploymentId;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Kills every process of this user that belongs to the deployment, and waits until they are gone.
pub(super) fn end(deployment: &DeploymentId) {
    let wanted = format!("{DEPLOYMENT_VARIABLE}={deployment}");
    let began = Instant::now();
    loop {
        let found = processes(wanted.as_bytes());
        if found.is_empty() || began.elapsed() > WAIT {
            return;
        }
        for pid in found {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(POLL);
    }
}

fn processes(wanted: &[u8]) -> Vec<Pid> {
    let Ok(directory) = std::fs::read_dir("/proc") else { return Vec::new() };
    let me = std::process::id();
    let pids =
        directory.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| *pid != me);
    // Other users' environments can't be read, and their processes are none of ours.
    let belongs = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|all| all.split(|b| *b == 0).any(|variable| variable == wanted))
    };
    pids.filter(belongs).filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}
