//! What strikes.

use crate::agent::Held;
use crate::client::Started;
use crate::ran::Ran;
use crate::shop::Shop;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::Duration;

/// How long a network that comes back was away.
const AWAY: Duration = Duration::from_secs(5);

/// Something that ends, or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of the client; its ssh notices by itself.
    ClientKilled,
    /// SIGKILL of the client's ssh.
    SshKilled,
    /// SIGKILL of the sshd that serves the connection.
    SshdKilled,
    /// SIGKILL of the agent.
    AgentKilled,
    /// SIGSTOP of the client and its ssh, until the host has come to an end.
    ClientStopped,
    /// The network is away for some seconds.
    NetworkAway,
    /// The network does not come back before the host has come to an end and the client is gone.
    NetworkGone,
    /// A power cut; the machine boots again.
    PowerCut,
}

/// All of them.
pub(crate) const FAULTS: [Fault; 8] = [
    Fault::ClientKilled,
    Fault::SshKilled,
    Fault::SshdKilled,
    Fault::AgentKilled,
    Fault::ClientStopped,
    Fault::NetworkAway,
    Fault::NetworkGone,
    Fault::PowerCut,
];

impl Fault {
    /// Whether the agent lives on, so that the host comes to an end by itself.
    pub(crate) fn spares_agent(self) -> bool {
        !matches!(self, Self::AgentKilled | Self::PowerCut)
    }

    /// Strikes while the agent is held, lets it go on, and waits until the machine is at rest. Gives what the client said.
    pub(crate) fn strike(self, shop: &Shop, client: Started, agent: Held) -> Ran {
        match self {
            Self::ClientKilled => kill(client.pid()),
            Self::SshKilled => kill(ssh_of(client.pid()).expect("the client runs ssh")),
            Self::SshdKilled => kill(parent_of(agent.pid).expect("the agent was started by sshd")),
            Self::AgentKilled => kill(agent.pid),
            Self::ClientStopped => client.signal(Signal::STOP),
            Self::NetworkAway | Self::NetworkGone => shop.host.unplug(),
            Self::PowerCut => shop.host.cut_power(),
        }
        agent.release();
        match self {
            Self::ClientKilled | Self::SshKilled | Self::SshdKilled | Self::AgentKilled => {}
            Self::ClientStopped => {
                shop.await_idle();
                client.signal(Signal::CONT);
            }
            Self::NetworkAway => {
                std::thread::sleep(AWAY);
                shop.host.plug_in();
            }
            Self::NetworkGone => {
                shop.await_idle();
                client.signal(Signal::KILL);
                shop.host.plug_in();
            }
            Self::PowerCut => {
                client.signal(Signal::KILL);
                shop.host.power_on();
            }
        }
        shop.await_idle();
        client.end()
    }
}

pub(crate) fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    Pid::from_raw(status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?)
}

/// The ssh that a client runs.
pub(crate) fn ssh_of(pid: Pid) -> Option<Pid> {
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_ssh = |child: &Pid| {
        fs::read_to_string(format!("/proc/{}/comm", child.as_raw_nonzero())).is_ok_and(|name| name.trim() == "ssh")
    };
    pids.filter_map(Pid::from_raw).filter(|child| parent_of(*child) == Some(pid)).find(is_ssh)
}
