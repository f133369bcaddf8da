//! What holds for the whole host: who deploys, where, how much room there is, what happens at boot.

use super::ask::{ask, show};
use super::unit::outdated;
use super::{Finding, Patient, Verdict};
use crate::host::{Layout, Obstacle, lock, obstacle, own_name};
use cutover_core::config::{HostConfig, ServiceConfig, SystemdScope};
use cutover_core::moment::moment;
use cutover_core::size;
use cutover_disk::{digest_of_file, free_space};
use jiff::Timestamp;
use rustix::fs::{Access, access};
use std::path::Path;

const SETUP: &str = "`cutover setup ENV` sees to it";
/// Where setup places Cutover for the boot.
const PROGRAMS: &str = "/usr/local/lib/cutover";

pub(super) fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = vec![user(patient.is_asked_from_elsewhere), agent_dir(patient.program)];
    if Path::new("/run/systemd/system").is_dir() {
        let scope = if uses(patient, SystemdScope::User) { SystemdScope::User } else { SystemdScope::System };
        findings.push(journald());
        findings.push(boot(patient, scope));
        findings.extend((scope == SystemdScope::User).then(linger));
    }
    findings
}

fn uses(patient: &Patient<'_>, wanted: SystemdScope) -> bool {
    let services = patient.targets.iter().filter_map(|(_, config, _)| config.service.as_ref());
    let mut scopes = services.filter_map(|service| match service {
        ServiceConfig::Systemd { scope, .. } => Some(*scope),
        ServiceConfig::Command { .. } | ServiceConfig::Process(_) => None,
    });
    scopes.any(|scope| scope == wanted)
}

fn user(comes_by_ssh: bool) -> Finding {
    user_of(rustix::process::geteuid().is_root(), comes_by_ssh)
}

fn user_of(is_root: bool, comes_by_ssh: bool) -> Finding {
    if is_root {
        let fix = if comes_by_ssh {
            "deploy as a user of its own: `[ssh] user = \"deploy\"`, then `cutover setup ENV`"
        } else {
            "run Cutover as a user of its own (`sudo -u deploy …`), to whom deploy_to belongs"
        };
        return Finding::warning("user", "deployments run as root", fix);
    }
    Finding::fine("user", format!("deployments run as {}", own_name()))
}

fn agent_dir(program: &Path) -> Finding {
    match program.parent().filter(|dir| access(*dir, Access::WRITE_OK).is_ok()) {
        Some(dir) => Finding::fine("agent", format!("it lies in {}, which can be written to", dir.display())),
        None => {
            Finding::warning("agent", "its directory cannot be written to", "make ~/.cache writable for who deploys")
        }
    }
}

/// A directory for a target: whose it is, whether deployments are wanted there, and how much room there is.
pub(super) fn place(config: &HostConfig, layout: &Layout) -> Vec<Finding> {
    let found = room_for_releases(config, layout);
    let wanted = maintenance(layout).filter(|_| found[0].verdict != Verdict::Failed);
    found.into_iter().chain(wanted).collect()
}

/// Whether releases can be put there, first of all; then how much room there is.
pub(super) fn room_for_releases(config: &HostConfig, layout: &Layout) -> Vec<Finding> {
    let root = layout.root();
    if let Some(Obstacle { what, fix }) = obstacle(layout) {
        return vec![Finding::failed("deploy_to", what, fix)];
    }
    let what = if root.is_dir() { "can be written to" } else { "is not there yet, and the first deployment makes it" };
    let mut findings = vec![Finding::fine("deploy_to", format!("{} {what}", root.display()))];
    let nearest = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    let Ok(free) = free_space(nearest) else { return findings };
    let (least, fewest) = (config.disk_free_min_bytes, config.inodes_free_min);
    findings.push(room("disk", (free.bytes, least), &size::bytes, "free", "disk_free_min"));
    findings.push(room("inodes", (free.inodes, fewest), &|count| count.to_string(), "inodes free", "inodes_free_min"));
    findings
}

/// Somebody wants no deployments now.
fn maintenance(layout: &Layout) -> Option<Finding> {
    match lock::maintenance(layout, Timestamp::now()) {
        Ok(held) => held.map(|held| {
            let until = held.until.map_or_else(String::new, |until| format!(" until {}", moment(until)));
            let what = format!("{} holds the maintenance lock{until}: {}", held.by, held.reason);
            Finding::failed("lock", what, "wait for its end, or `cutover lock ENV release`")
        }),
        Err(error) => Some(Finding::failed("lock", error.to_string(), "put it right, or remove it")),
    }
}

fn room(area: &str, (free, least): (u64, u64), told: &dyn Fn(u64) -> String, unit: &str, key: &str) -> Finding {
    if free < least {
        let fix = format!("free some space, lower keep_releases, or lower {key}");
        return Finding::failed(area, format!("{} {unit}, and {} must remain", told(free), told(least)), fix);
    }
    Finding::fine(area, format!("{} {unit}", told(free)))
}

fn journald() -> Finding {
    let config = ask(&["systemd-analyze", "cat-config", "systemd/journald.conf"]).unwrap_or_default();
    let limit = config.lines().rev().find_map(|line| line.trim().strip_prefix("SystemMaxUse="));
    match limit.filter(|limit| !limit.is_empty()) {
        Some(limit) => Finding::fine("journal", format!("may use {limit}")),
        None => Finding::warning("journal", "nothing says how much room the journal may use", SETUP),
    }
}

fn linger() -> Finding {
    let name = own_name();
    if Path::new("/var/lib/systemd/linger").join(&name).exists() {
        return Finding::fine("linger", format!("the systemd of {name} runs without a login"));
    }
    let fix = format!("`sudo loginctl enable-linger {name}`, or `cutover setup ENV`");
    Finding::failed("linger", format!("the systemd of {name} ends with their last login, and the service with it"), fix)
}

/// Whether a boot recovers by itself, and with a Cutover that understands what this one writes.
fn boot(patient: &Patient<'_>, scope: SystemdScope) -> Finding {
    let unit = format!("cutover-{}.service", patient.slug);
    let shown = show(&unit, scope, "UnitFileState,ActiveState");
    let is = |property: &str, value: &str| shown.get(property).is_some_and(|there| there == value);
    if !is("UnitFileState", "enabled") {
        let what = format!("{unit} is not there: what a power cut leaves waits for the next command");
        return Finding::warning("boot", what, SETUP);
    }
    if let Some(found) = patient.outdated.iter().find(|found| found.unit == unit) {
        return Finding { area: "boot".to_owned(), ..outdated(found) };
    }
    if is("ActiveState", "failed") {
        let what = format!("{unit} failed: a person is needed");
        return Finding::failed("boot", what, format!("`systemctl status {unit}` says why; then `cutover resume ENV`"));
    }
    let digest = |path: &Path| digest_of_file(path).ok();
    let placed = Path::new(PROGRAMS).join(&patient.slug).join("cutover");
    if digest(&placed) != digest(patient.program) {
        let what = format!("{unit} runs another version of Cutover than deployments do");
        return Finding::warning("boot", what, "run `cutover setup ENV` with the version that you deploy with");
    }
    Finding::fine("boot", "what a power cut leaves is recovered at boot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_advised_by_the_way_that_it_came() {
        let fix = |comes_by_ssh| user_of(true, comes_by_ssh).fix.unwrap();
        assert!(fix(true).contains("[ssh] user"));
        assert!(fix(false).starts_with("run Cutover as a user of its own") && !fix(false).contains("ssh"));
        assert_eq!(user_of(false, true).verdict, Verdict::Fine);
    }
}
