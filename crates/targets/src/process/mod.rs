//! What `/proc` says of processes: who they are, what they use, and which sockets they hold.
//!
//! Reading is kept apart from parsing: the `parse_*` functions are pure.

mod cgroup;
mod identity;
mod sock_diag;
mod socket;

pub use cgroup::cgroup_members;
pub use cutover_child::stat::{
    ProcessStat, all_stats, command_of, cwd_of, descendants, memory_bytes, parse_stat, pids, stat_of, uid_of,
    with_variable,
};
pub use identity::{Clock, ProcessIdentity, boot_id};
pub use socket::{Listener, holders, is_exclusive, listeners_at, parse_listeners};

use rustix::process::{Pid, Signal};

/// Sends a signal to a process. Nobody there is fine.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a whole process group. Nobody there is fine.
pub fn signal_group(leader: u32, signal: Signal) {
    let leader = i32::try_from(leader).ok().and_then(Pid::from_raw);
    if let Some(leader) = leader {
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}
