//! What a deployment that died has left: commands that still run, and files under temporary names.
//!
//! An install, a hook or a migration carries the deployment's id in its environment, which survives whatever became of its
//! parents. Services are never started with it.

use super::executor::HostPlan;
use super::layout::Layout;
use super::site::DEPLOYMENT_VARIABLE;
use cutover_core::id::DeploymentId;
use cutover_disk::remove_temporaries;
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

/// Removes files under temporary names wherever a deployment makes some. Only who holds the lock may.
pub(super) fn sweep(layout: &Layout, plan: &HostPlan) {
    let nobody = |_| false;
    remove_temporaries(layout.root(), false, &nobody);
    remove_temporaries(&layout.release(&plan.release), true, &nobody);
    // A release that is left is marked, too.
    plan.original.iter().for_each(|original| remove_temporaries(&layout.release(original), false, &nobody));
    for directory in [layout.own().join("env"), layout.own().join("manifests")] {
        remove_temporaries(&directory, false, &nobody);
    }
    remove_temporaries(&layout.blobs(), true, &nobody);
    // The maintenance lock is written here, by anyone at any time.
    remove_temporaries(&layout.own(), false, &|process| std::path::Path::new(&format!("/proc/{process}")).exists());
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
