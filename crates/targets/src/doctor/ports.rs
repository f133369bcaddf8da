//! Whether somebody else is at the ports that probes ask.

use super::Finding;
use crate::host::{Layout, Release, linked};
use crate::process::{Listener, command_of, cwd_of, holders, is_exclusive, listeners_at, uid_of};
use crate::service::{Service, Site, open};
use crate::verify::is_local;
use cutover_core::config::{HostConfig, ProbeConfig, ProbeKind, ProbeOwner, VerifyConfig};
use cutover_core::id::TargetName;
use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

pub(super) fn examine(
    (name, config): (&TargetName, &HostConfig),
    layout: &Layout,
    service: &dyn Service,
) -> Vec<Finding> {
    seen((name, &config.verify), layout, service).into_iter().map(|(at, taken)| told(at, taken)).collect()
}

/// A port that somebody else has.
pub(crate) struct Taken {
    /// The port, and who has it.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: &'static str,
    /// Whether no service that is started now can have it as well: it is known who has it, and they share it with nobody.
    pub(crate) for_sure: bool,
    /// Where it is.
    pub(crate) at: SocketAddr,
    /// Who holds each socket there that is not the service's.
    holders: Vec<BTreeSet<u32>>,
}

impl Taken {
    /// Whether it is free once these processes have let go of it.
    pub(crate) fn is_held_by(&self, processes: &BTreeSet<u32>) -> bool {
        self.holders.iter().all(|pids| !pids.is_disjoint(processes))
    }
}

/// The ports of these probes that somebody else has than the service.
pub(crate) fn taken(target: (&TargetName, &VerifyConfig), layout: &Layout, service: &dyn Service) -> Vec<Taken> {
    seen(target, layout, service).into_iter().filter_map(|(_, seen)| seen.err()).collect()
}

/// What is seen at each port that a probe asks: what is well there, or by whom it is taken.
fn seen(
    (name, verify): (&TargetName, &VerifyConfig),
    layout: &Layout,
    service: &dyn Service,
) -> Vec<(SocketAddr, Result<&'static str, Taken>)> {
    let ports = asked(verify);
    if ports.is_empty() {
        return Vec::new();
    }
    let ours = Ours::of(name, layout, service);
    ports.into_iter().map(|at| (at, port(at, &ours))).collect()
}

/// The ports of this machine at which the release must answer.
pub(crate) fn asked(verify: &VerifyConfig) -> BTreeSet<SocketAddr> {
    let probes = verify.probes.iter().filter(|probe| probe.owner == ProbeOwner::Release);
    probes.filter_map(address).flatten().filter(|at| is_local(at.ip())).collect()
}

/// The processes of a target: its service's, and those of what runs the live release, where that is another one.
pub(crate) fn members(name: &TargetName, layout: &Layout, service: Option<&dyn Service>) -> BTreeSet<u32> {
    let mut members = service.and_then(|service| service.processes().ok()).unwrap_or_default();
    let live = linked(&layout.current()).ok().flatten().and_then(|live| Release::read(layout, &live).ok());
    if let Some(Release { service: Some(config), target, .. }) = live {
        let site = Site::to_look_at(target.unwrap_or_else(|| name.clone()), layout.root());
        members.extend(open(&config, &site).processes().unwrap_or_default());
    }
    members
}

fn told(at: SocketAddr, seen: Result<&'static str, Taken>) -> Finding {
    match seen {
        Ok(well) => Finding::fine("port", format!("{at} {well}")),
        Err(taken) => Finding::failed("port", taken.what, taken.fix),
    }
}

/// Who may be at the port: the service, and what runs the live release, which a deployment stops where that is another one.
struct Ours {
    members: BTreeSet<u32>,
    deploy_to: PathBuf,
}

impl Ours {
    fn of(name: &TargetName, layout: &Layout, service: &dyn Service) -> Self {
        let members = members(name, layout, Some(service));
        let deploy_to = layout.root().canonicalize().unwrap_or_else(|_| layout.root().to_owned());
        Self { members, deploy_to }
    }

    /// Whether a listener is theirs. Nobody is accused of whom nothing can be known.
    fn have(&self, listener: &Listener) -> bool {
        if !holders(listener.inode, Some(&self.members)).0.is_empty() {
            return true;
        }
        let (others, _) = holders(listener.inode, None);
        let runs_here = |pid: &u32| cwd_of(*pid).is_some_and(|cwd| cwd.starts_with(&self.deploy_to));
        let is_same_user = || self.members.iter().find_map(|pid| uid_of(*pid)) == Some(listener.uid);
        // systemd hands its sockets over; a service without a pid file is known by its directory only.
        others.contains(&1)
            || (self.members.is_empty() && others.iter().any(runs_here))
            || (others.is_empty() && is_same_user())
    }
}

/// Where a probe asks; None for one that asks at no port, or at one that nobody knows.
fn address(probe: &ProbeConfig) -> Option<Vec<SocketAddr>> {
    let place = match &probe.kind {
        ProbeKind::Tcp { address, .. } => address.clone(),
        ProbeKind::Http { url, .. } => authority(url),
        ProbeKind::Command { .. } | ProbeKind::Log { .. } | ProbeKind::Unit { .. } => return None,
    };
    place.to_socket_addrs().ok().map(Iterator::collect)
}

/// Host and port of a URL.
fn authority(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let place = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if scheme == "https" { 443 } else { 80 };
    if has_port { place.to_owned() } else { format!("{place}:{port}") }
}

fn port(at: SocketAddr, ours: &Ours) -> Result<&'static str, Taken> {
    let listeners = listeners_at(at);
    if listeners.is_empty() {
        return Ok("is free: nothing runs there yet");
    }
    let strangers: Vec<&Listener> = listeners.iter().filter(|listener| !ours.have(listener)).collect();
    let Some(stranger) = strangers.first() else {
        return Ok("is answered by the service");
    };
    let (pids, _) = holders(stranger.inode, None);
    let who = pids
        .first()
        .map_or_else(|| "a process of another user".to_owned(), |pid| format!("pid {pid} ({})", command_of(*pid)));
    let fix = "end it, give the service another port, or let the probe ask the port that this service listens on (another environment's \
               may answer here); `owner = \"any\"` when a proxy is meant to answer";
    let what = format!("{at} is taken by {who}, which is no part of the service");
    let for_sure = !pids.is_empty() && is_exclusive(stranger.address);
    let holders = strangers.iter().map(|stranger| holders(stranger.inode, None).0.into_iter().collect()).collect();
    Err(Taken { what, fix, for_sure, at, holders })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_it_is_asked() {
        assert_eq!(authority("http://127.0.0.1:8000/health?a=b:1"), "127.0.0.1:8000");
        assert_eq!(authority("https://[::1]/"), "[::1]:443");
        assert_eq!(authority("http://shop.example.org"), "shop.example.org:80");
    }
}
