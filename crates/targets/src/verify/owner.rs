//! Whose process answers at a local address.

use super::Verification;
use crate::process::{Listener, ProcessIdentity, command_of, cwd_of, holders, listeners_at, uid_of};
use crate::service::Service;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Who answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A process of the release.
    Release {
        pid: Option<u32>,
        /// What could not be made sure of.
        note: Option<String>,
    },
    /// No socket of this machine that could be seen.
    Nobody,
    /// Somebody else, or nobody knows who.
    Foreign { pid: Option<u32>, why: String },
}

/// Whether an address is this machine's own. Binding to it is the kernel's own answer.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Finds out whose process listens at these addresses. All that listen must be the release's:
/// which of them takes the next connection is not decided.
pub(super) fn who_answers(
    addresses: &[SocketAddr],
    service: &dyn Service,
    asked: &Verification<'_>,
    main: Option<&ProcessIdentity>,
) -> Answer {
    let members = match service.processes() {
        Ok(members) => members,
        Err(failure) => return Answer::Foreign { pid: None, why: failure.message },
    };
    let mut found = Answer::Nobody;
    for (address, listener) in addresses.iter().flat_map(|a| listeners_at(*a).into_iter().map(move |l| (a, l))) {
        found = owner_of(*address, &listener, &members, asked, main);
        if matches!(found, Answer::Foreign { .. }) {
            break;
        }
    }
    found
}

fn owner_of(
    address: SocketAddr,
    listener: &Listener,
    members: &BTreeSet<u32>,
    asked: &Verification<'_>,
    main: Option<&ProcessIdentity>,
) -> Answer {
    let (ours, unreadable) = holders(listener.inode, Some(members));
    if !ours.is_empty() {
        return fresh(address, &ours, asked);
    }
    let (others, _) = holders(listener.inode, None);
    if members.is_empty()
        && let Some(pid) = others.iter().find(|pid| runs_in_release(**pid, asked))
    {
        // A service without a pid file is known only by the directory that it runs in.
        return Answer::Release { pid: Some(*pid), note: Some("weaker: owner known by its directory only".to_owned()) };
    }
    let same_user = main.and_then(|main| uid_of(main.pid)).is_some_and(|uid| uid == listener.uid);
    if others.is_empty() && unreadable && same_user {
        return Answer::Release { pid: None, note: Some("weaker: owner known by its user only".to_owned()) };
    }
    foreign(address, listener, others.first().copied())
}

fn runs_in_release(pid: u32, asked: &Verification<'_>) -> bool {
    let release = std::fs::canonicalize(asked.release).unwrap_or_else(|_| asked.release.to_owned());
    is_fresh(pid, asked) && cwd_of(pid).is_some_and(|cwd| cwd.starts_with(release))
}

/// Whether a process began with the run that is verified.
fn is_fresh(pid: u32, asked: &Verification<'_>) -> bool {
    !asked.restarted || ProcessIdentity::of(pid).is_some_and(|process| asked.mark.clock.is_before(&process))
}

/// Of the processes that hold the socket, at least one must have begun with this run.
fn fresh(address: SocketAddr, ours: &BTreeSet<u32>, asked: &Verification<'_>) -> Answer {
    match ours.iter().find(|pid| is_fresh(**pid, asked)) {
        Some(pid) => Answer::Release { pid: Some(*pid), note: None },
        None => Answer::Foreign {
            pid: ours.first().copied(),
            why: format!(
                "port {} is answered by a process from before the restart: {}",
                address.port(),
                name(ours.first().copied())
            ),
        },
    }
}

fn foreign(address: SocketAddr, listener: &Listener, pid: Option<u32>) -> Answer {
    let who = if pid.is_some() { name(pid) } else { format!("a process of user {}", listener.uid) };
    let why = format!(
        "port {} is answered by {who}, which is not part of the release's service: let the probe ask the service's own port, or, if a proxy is \
         meant to answer, set owner = \"any\"",
        address.port()
    );
    Answer::Foreign { pid, why }
}

fn name(pid: Option<u32>) -> String {
    pid.map_or_else(|| "a process that is gone".to_owned(), |pid| format!("pid {pid} ({})", command_of(pid)))
}
