//! What a deployment that died has left: commands that still run, and files under temporary names.
//!
//! An install, a hook or a migration carries the deployment's id in its environment, which survives whatever became of its
//! parents. Services are never started with it.

use super::executor::HostPlan;
use super::layout::Layout;
use super::site::DEPLOYMENT_VARIABLE;
use cutover_child::kill_marked;
use cutover_core::id::DeploymentId;
use cutover_disk::remove_temporaries;

/// Kills every process of this user that belongs to the deployment, and waits until they are gone.
pub(super) fn end(deployment: &DeploymentId) {
    kill_marked(DEPLOYMENT_VARIABLE, deployment.as_str());
}

/// Removes files under temporary names wherever a deployment makes some. Only who holds the lock may.
pub(super) fn sweep(layout: &Layout, plan: &HostPlan) {
    let nobody = |_| false;
    remove_temporaries(layout.root(), false, &nobody);
    remove_temporaries(&layout.release(&plan.release), true, &nobody);
    // A release that is left is marked, too.
    plan.original.iter().for_each(|original| remove_temporaries(&layout.release(original), false, &nobody));
    for directory in [layout.own().join("env"), layout.own().join("manifests"), layout.logs(&plan.deployment)] {
        remove_temporaries(&directory, false, &nobody);
    }
    remove_temporaries(&layout.blobs(), true, &nobody);
    // The maintenance lock is written here, by anyone at any time.
    remove_temporaries(&layout.own(), false, &|process| std::path::Path::new(&format!("/proc/{process}")).exists());
}
