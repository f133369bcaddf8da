//! The keys of a probe.

use super::command::Command;
use super::kind::{MapOf, Whole};
use super::names::{AnyText, Owner, Text};
use super::places::{Address, HeaderName, Url};
use super::table::table;
use super::units::{Limit, Time};
use super::{ProbeConfig, ProbeKind, ProbeOwner};

/// The longest name that is made from a probe, in characters.
const MADE_NAME_LENGTH_MAX: usize = 60;

/// Every key of a probe; [`probe`] makes the chosen kind from it.
pub(super) struct ProbeParts {
    name: Option<String>,
    owner: ProbeOwner,
    http: Option<ProbeKind>,
    tcp: Option<ProbeKind>,
    command: Option<ProbeKind>,
    log: Option<ProbeKind>,
    unit: Option<ProbeKind>,
}

table! {
    /// One observation of health.
    ProbeTable for ProbeConfig = ProbeParts {
        /// Shown in reports; made from the probe when absent.
        name: Text, optional;
        /// Whose process must answer: the new release's, or anyone's (a proxy, another host).
        owner: Owner, default "'release'";
        /// An HTTP request is answered as expected.
        http: HttpTable, optional;
        /// A TCP connection is accepted.
        tcp: TcpTable, optional;
        /// A command exits with 0.
        command: CommandProbeTable, optional;
        /// A line appears in the service's log.
        log: LogTable, optional;
        /// The service is active and does not restart.
        unit: UnitTable, optional;
    }
    one_of ["http", "tcp", "command", "log", "unit"],
    into probe,
}

fn probe(parts: ProbeParts) -> Option<ProbeConfig> {
    let kind = parts.http.or(parts.tcp).or(parts.command).or(parts.log).or(parts.unit)?;
    let name = parts.name.unwrap_or_else(|| made_name(&kind));
    Some(ProbeConfig { name, owner: parts.owner, kind })
}

fn made_name(kind: &ProbeKind) -> String {
    let name = match kind {
        ProbeKind::Http { url, .. } => url.clone(),
        ProbeKind::Tcp { address, .. } => format!("tcp {address}"),
        ProbeKind::Command { run, .. } => format!("command {run}"),
        ProbeKind::Log { contains } => format!("log {contains}"),
        ProbeKind::Unit { .. } => "unit".to_owned(),
    };
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MADE_NAME_LENGTH_MAX).collect()
}

table! {
    /// An HTTP request is answered as expected.
    HttpTable for ProbeKind = ProbeKind::Http {
        /// What is requested, with GET.
        url: Url, required;
        /// Expected status.
        status: Whole<u16, 100, 599>, default "200";
        /// Text that the body must contain.
        body: Text, optional;
        /// Response headers that must be there, and the text that each must contain.
        headers: MapOf<HeaderName, AnyText>, default "{}";
        /// Slower answers fail.
        latency_max: Limit, optional;
        /// How many redirects to follow.
        redirects: Whole<u32, 0, 20>, default "0";
        /// How long one attempt may take.
        timeout: Limit, default "'5s'";
    }
}

table! {
    /// A TCP connection is accepted.
    TcpTable for ProbeKind = ProbeKind::Tcp {
        /// `host:port`.
        address: Address, required;
        /// How long one attempt may take.
        timeout: Limit, default "'5s'";
    }
}

table! {
    /// A command exits with 0.
    CommandProbeTable for ProbeKind = ProbeKind::Command {
        /// What to run, in the release directory.
        run: Command, required;
        /// How long one attempt may take.
        timeout: Limit, default "'10s'";
    }
}

table! {
    /// A line appears in the service's log after the restart.
    LogTable for ProbeKind = ProbeKind::Log {
        /// Text that a line must contain.
        contains: Text, required;
    }
}

table! {
    /// The service is active and does not restart.
    UnitTable for ProbeKind = ProbeKind::Unit {
        /// How long it must not have restarted.
        stable: Time, default "'0s'";
    }
}
