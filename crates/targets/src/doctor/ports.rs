//! Whether somebody else is at the ports that probes ask.

use super::Finding;
use crate::process::{command_of, holders, listeners_at};
use crate::service::Service;
use crate::verify::is_local;
use cutover_core::config::{HostConfig, ProbeConfig, ProbeKind, ProbeOwner};
use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};

pub(super) fn examine(config: &HostConfig, service: &dyn Service) -> Vec<Finding> {
    let ours = service.processes().unwrap_or_default();
    let probes = config.verify.probes.iter().filter(|probe| probe.owner == ProbeOwner::Release);
    let ports: BTreeSet<SocketAddr> = probes.filter_map(address).flatten().filter(|at| is_local(at.ip())).collect();
    ports.into_iter().map(|at| port(at, &ours)).collect()
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

fn port(at: SocketAddr, ours: &BTreeSet<u32>) -> Finding {
    let listeners = listeners_at(at);
    if listeners.is_empty() {
        return Finding::fine("port", format!("{at} is free: nothing runs there yet"));
    }
    let is_ours = |inode: u64| !holders(inode, Some(ours)).0.is_empty();
    if listeners.iter().all(|listener| is_ours(listener.inode)) {
        return Finding::fine("port", format!("{at} is answered by the service"));
    }
    let stranger = listeners.iter().find(|listener| !is_ours(listener.inode));
    let (pids, _) = stranger.map(|listener| holders(listener.inode, None)).unwrap_or_default();
    let who = pids
        .first()
        .map_or_else(|| "a process of another user".to_owned(), |pid| format!("pid {pid} ({})", command_of(*pid)));
    let fix = "end it, give the service another port, or let the probe ask the port that this service listens on (another environment's \
               may answer here); `owner = \"any\"` when a proxy is meant to answer";
    Finding::failed("port", format!("{at} is taken by {who}, which is no part of the service"), fix)
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
