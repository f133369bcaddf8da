//! What a deployment that died has left: commands that still run, and files under temporary names.
//!
//! An install, a hook or a migration carries the deployment's id in its environment, which survives whatever became of its
//! parents. Services are never started with it.

use super::executor::HostPlan;
use super::layout::Layout;
use super::site::DEPLOYMENT_VARIABLE;
use crate::process::{signal, with_variable};
use cutover_core::id::DeploymentId;
use cutover_disk::remove_temporaries;
use rustix::process::Signal;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Kills every process of this user that belongs to the deployment, and waits until they are gone.
pub(super) fn end(deployment: &DeploymentId) {
    let began = Instant::now();
    loop {
        let mut found = with_variable(DEPLOYMENT_VARIABLE, deployment.as_str());
        found.remove(&std::process::id());
        if found.is_empty() || began.elapsed() > WAIT {
            return;
        }
        for pid in found {
            signal(pid, Signal::KILL);
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
    remove_temporaries(&layout.logs(&plan.deployment), false, &nobody);
    // The maintenance lock is written here, by anyone at any time.
    remove_temporaries(&layout.own(), false, &|process| std::path::Path::new(&format!("/proc/{process}")).exists());
}
