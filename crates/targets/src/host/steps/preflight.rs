//! Preflight: finds out whether the rest can succeed, before anything is touched.

use super::hold::old_service;
use crate::doctor::ports;
use crate::host::action::{Preflight, Verification, Work};
use crate::host::current::{live, no_way_back, other_project};
use crate::host::layout::Layout;
use crate::host::release::{Release, disk, io, linked, previous_release, stray};
use crate::host::site::Site;
use crate::host::standing::obstacle;
use crate::service::{self, Service};
use cutover_core::config::ServiceConfig;
use cutover_core::moment::moment;
use cutover_core::plan::PlanKind;
use cutover_core::size;
use cutover_core::target::{Failure, FailureKind, Outcome};
use cutover_disk::free_space;
use rustix::fs::Access;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Checks everything and reports everything that is wrong at once.
pub(crate) fn apply(site: &Site<'_>, preflight: &Preflight) -> Result<Outcome, Failure> {
    linked(&site.layout.current())?;
    // A restart switches nothing, so that it has nothing to do with what was live before.
    let switches = site.kind != PlanKind::Restart;
    if switches {
        previous_release(site.layout)?;
    }
    let room = check_room(site, preflight)?;
    let service = preflight.service.as_ref().map(|config| service::open(config, &site.service_site()));
    let files = missing_files(site.layout, &preflight.linked_files);
    let files = files.map(|file| format!("linked file {} is missing: put it there", file.display()));
    let missing = missing_programs(preflight).chain(files);
    let missing = missing.chain(preflight.misfits.iter().cloned()).map(Failure::new);
    let standing = other_project(site.layout, site.project).into_iter().chain(nowhere_to_go_back(site, preflight));
    let (taken, ports) = taken_ports(site, preflight.service.as_ref(), service.as_deref());
    let service_faults = service_faults(service.as_deref(), preflight);
    let faults: Vec<Failure> = standing.chain(missing).chain(service_faults).chain(taken).collect();
    if !faults.is_empty() {
        return Err(all_of(&faults));
    }
    let mut outcome = Outcome::unchanged(room);
    outcome.warnings.extend(ports);
    outcome.warnings.extend(preflight.remarks.iter().cloned());
    outcome.warnings.extend(stray_warning(site).filter(|_| switches));
    outcome.warnings.extend(clock_warning(site).into_iter().chain(log_warning(service.as_deref(), preflight)));
    Ok(outcome)
}

/// What somebody else's script left behind is no reason not to begin, but should be known.
fn stray_warning(site: &Site<'_>) -> Option<String> {
    let link = site.layout.previous();
    let target = stray(&link)?;
    Some(format!("{} leads to {}, where nothing is: it counts as none", link.display(), target.display()))
}

/// Why what runs could not be brought back. `hold` looks once more, before anything that is live is touched.
fn nowhere_to_go_back(site: &Site<'_>, preflight: &Preflight) -> Option<Failure> {
    if live(site.layout).is_some() {
        return None;
    }
    let service = old_service(site, preflight.service.as_ref());
    // One that cannot be looked at is told of as such.
    let state = service.and_then(|service| service.state().ok());
    no_way_back(site.layout, state.as_ref()).err()
}

/// One failure that tells them all, with what was said to each; the first advice is given.
fn all_of(faults: &[Failure]) -> Failure {
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let said: String = faults.iter().map(|fault| fault.excerpt.as_str()).collect();
    let failure = Failure::new(format!("preflight: {}", messages.join("; "))).excerpt(&said);
    match faults.iter().find_map(|fault| fault.hint.clone()) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn check_room(site: &Site<'_>, preflight: &Preflight) -> Result<String, Failure> {
    let root = site.layout.root();
    let free = free_space(existing(root)?).map_err(disk)?;
    let (bytes, inodes) = (
        preflight.bytes.saturating_add(preflight.bytes_free_min),
        preflight.inodes.saturating_add(preflight.inodes_free_min),
    );
    let full = |what: String| {
        Err(Failure::new(format!("preflight: {} has too little room: {what}", root.display()))
            .kind(FailureKind::NoSpace)
            .hint("free some space, lower keep_releases, or lower disk_free_min"))
    };
    if free.bytes < bytes {
        return full(format!(
            "{} free, the release takes up to {} and {} must remain",
            size::bytes(free.bytes),
            size::bytes(preflight.bytes),
            size::bytes(preflight.bytes_free_min)
        ));
    }
    if free.inodes < inodes {
        return full(format!(
            "{} inodes free, the release takes up to {} and {} must remain",
            free.inodes, preflight.inodes, preflight.inodes_free_min
        ));
    }
    Ok(format!("{} free", size::bytes(free.bytes)))
}

/// The directory itself, or the one in which it will be made: a rehearsal makes none.
fn existing(root: &Path) -> Result<&Path, Failure> {
    let nearest = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    let is_usable = nearest.is_dir() && rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if is_usable {
        return Ok(nearest);
    }
    let why = format!("{} is no directory that this user can write in", nearest.display());
    let failure = Failure::new(format!("preflight: {} cannot be used: {why}", root.display()));
    let advice = obstacle(&Layout::new(root)).map(|obstacle| obstacle.fix);
    Err(failure.hint(advice.unwrap_or_else(|| format!("{} must belong to the user who deploys", root.display()))))
}

fn missing_programs(preflight: &Preflight) -> impl Iterator<Item = String> {
    let missing = preflight.programs.iter().filter(|program| find_program(program).is_none());
    missing.map(|program| format!("program {program} is not on the PATH"))
}

/// Where a program lies: as given when it has a slash, else by `PATH`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_executable(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok() && path.is_file()
}

/// Files that every release shares, and that are not there.
pub(crate) fn missing_files(layout: &Layout, linked_files: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let shared = layout.shared();
    linked_files.iter().map(move |file| shared.join(file)).filter(|file| !file.exists())
}

/// What would stop the service from being restarted, or from being seen healthy afterwards.
fn service_faults(service: Option<&dyn Service>, preflight: &Preflight) -> Vec<Failure> {
    let Some(service) = service else { return Vec::new() };
    let log = preflight.awaits_log.then(|| service.check_log().err()).flatten();
    service.check().err().into_iter().chain(log).collect()
}

/// Ports of which it is sure that a service which is started now cannot have them, and in words those that it might not get. What a
/// unit or a user's commands stop and hand over when they start is not known here, nor what a service does that runs already.
fn taken_ports(
    site: &Site<'_>,
    config: Option<&ServiceConfig>,
    service: Option<&dyn Service>,
) -> (Vec<Failure>, Vec<String>) {
    let (Some(service), Some(verify)) = (service, site.verify) else { return Default::default() };
    let taken = ports::taken((site.target, verify), site.layout, service);
    if taken.is_empty() {
        return Default::default();
    }
    let is_new = matches!(config, Some(ServiceConfig::Process(_))) && service.state().is_ok_and(|state| !state.active);
    let (mut sure, mut unsure) = (Vec::new(), Vec::new());
    for taken in taken {
        let (leave, stay) = neighbours(site, taken.at);
        if taken.is_held_by(&leave) {
            continue;
        }
        let is_sure = is_new && taken.for_sure && !taken.is_held_by(&stay);
        if is_sure { sure.push(taken) } else { unsure.push(taken) }
    }
    let refused = sure.into_iter().map(|taken| Failure::new(taken.what).hint(taken.fix)).collect();
    (refused, unsure.into_iter().map(|taken| format!("{}: {}", taken.what, taken.fix)).collect())
}

/// The processes of the plan's other targets on this host: of those that are stopped or started anew before this target's service is
/// started and have no need of this port then, and of all others, of which that is not known.
fn neighbours(site: &Site<'_>, at: SocketAddr) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut leave, mut stay, mut is_before) = (BTreeSet::new(), BTreeSet::new(), true);
    for step in site.steps {
        let Work::Verify(Verification { service, verify }) = &step.action.work else { continue };
        if step.target == *site.target {
            is_before = false;
            continue;
        }
        let layout = Layout::new(&step.action.deploy_to);
        let place = service::Site::to_look_at(step.target.clone(), layout.root());
        let service = service.as_ref().map(|config| service::open(config, &place));
        let leaves = is_before && !ports::asked(verify).contains(&at);
        let side = if leaves { &mut leave } else { &mut stay };
        side.extend(ports::members(&step.target, &layout, service.as_deref()));
    }
    (leave, stay)
}

/// Without the log fatal lines go unseen: people should know, and the probes still judge.
fn log_warning(service: Option<&dyn Service>, preflight: &Preflight) -> Option<String> {
    let failure = service.filter(|_| preflight.watches_log)?.check_log().err()?;
    Some(format!("fatal lines will not be seen: {failure}"))
}

/// Releases are ordered by number, so a clock that jumped back harms nothing; people should know, though.
fn clock_warning(site: &Site<'_>) -> Option<String> {
    let latest = Release::list(site.layout).into_iter().map(|release| release.created_at).max()?;
    (latest > site.made_at).then(|| {
        format!(
            "the clock says {}, but a release was made at {}: did it jump back? Releases go by their number, \
             so nothing is confused; set the clock right (timedatectl), for times in the history are wrong meanwhile",
            moment(site.made_at),
            moment(latest)
        )
    })
}

/// Makes the directories that everything else relies on.
pub fn make_directories(layout: &Layout) -> Result<(), Failure> {
    let (own, private) = (layout.own(), private_directories(layout));
    let open = [layout.releases(), layout.shared(), own.join("manifests"), own.join("envs")];
    for directory in open.iter().chain(&private) {
        std::fs::create_dir_all(directory).map_err(|e| unusable(layout, io("create", directory, &e)))?;
    }
    for directory in &private {
        rustix::fs::chmod(directory, rustix::fs::Mode::from_raw_mode(0o700))
            .map_err(|e| unusable(layout, io("protect", directory, &e.into())))?;
    }
    Ok(())
}

/// Those of these directories that only the user who deploys may enter.
pub(in crate::host) fn private_directories(layout: &Layout) -> [PathBuf; 5] {
    let own = layout.own();
    [own.join("env"), own.join("logs"), layout.queue(), layout.open_journals(), layout.done_journals()]
}

/// A directory of ours that cannot be used. On a full disk the failure has its own advice.
fn unusable(layout: &Layout, failure: Failure) -> Failure {
    if failure.kind == FailureKind::NoSpace {
        return failure;
    }
    let why = obstacle(layout).map_or_else(String::new, |obstacle| format!(": {}", obstacle.advice()));
    failure.hint(format!("{} must exist, be writable and belong to the user who deploys{why}", layout.root().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_not_there_yet_is_measured_where_it_will_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();

        assert_eq!(existing(&dir.path().join("a/b")).unwrap(), dir.path());
        assert!(existing(&file.join("b")).unwrap_err().message.contains("is no directory that this user can write in"));
    }
}
