//! The accounts of this machine.

use super::place::Owner;
use cutover_child::withhold_own;
use cutover_core::target::Failure;
use cutover_disk::read_bounded;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long processes may take to end after they were asked to, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Where the accounts of this machine stand (passwd(5)), and how much of that is read, in bytes.
const PASSWD: &str = "/etc/passwd";
const PASSWD_BYTES_MAX: u64 = 1 << 20;

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) owner: Owner,
    pub(super) home: PathBuf,
}

/// The account of this name; None when there is none.
pub(super) fn account(name: &str) -> Result<Option<Account>, Failure> {
    let asked = withhold_own(&mut Command::new("getent")).args(["passwd", "--", name]).output();
    let said = asked.map_err(|error| Failure::new(format!("look for user {name}: {error}")))?;
    // 2: the name is not known (getent(1)).
    match said.status.code() {
        Some(0) => parse(&String::from_utf8_lossy(&said.stdout))
            .map(Some)
            .ok_or_else(|| Failure::new(format!("look for user {name}: its entry is not understood"))),
        Some(2) => Ok(None),
        _ => Err(Failure::new(format!("look for user {name}: getent failed"))),
    }
}

/// Who runs this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAccount {
    /// Their name.
    pub name: String,
    /// Their home directory.
    pub home: PathBuf,
}

/// The account of who runs this process, without asking another program: as this machine has it, or, where accounts come
/// from elsewhere, as the environment says. None where neither knows.
pub fn own_account() -> Option<OwnAccount> {
    let uid = rustix::process::geteuid().as_raw();
    let passwd = read_bounded(Path::new(PASSWD), PASSWD_BYTES_MAX).unwrap_or_default();
    of_uid(&String::from_utf8_lossy(&passwd), uid).or_else(|| {
        let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok()?;
        let home = PathBuf::from(std::env::var_os("HOME")?);
        // After a change of the user these can be somebody else's.
        let is_own = fs::metadata(&home).is_ok_and(|there| there.uid() == uid);
        is_own.then_some(OwnAccount { name, home })
    })
}

fn of_uid(passwd: &str, uid: u32) -> Option<OwnAccount> {
    passwd.lines().find_map(|line| {
        let Account { owner, home } = parse(line)?;
        let name = line.split(':').next()?.to_owned();
        (owner.uid == uid).then_some(OwnAccount { name, home })
    })
}

/// A line of passwd(5).
fn parse(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.trim_end().split(':').collect();
    let [_, _, uid, gid, _, home, _] = fields[..] else { return None };
    Some(Account { owner: Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? }, home: home.into() })
}

/// Who has this name; None when nobody has yet.
pub(super) fn owner(name: &str) -> Result<Option<Owner>, Failure> {
    Ok(account(name)?.map(|account| account.owner))
}

/// Ends all processes of an account that is about to go: first they are asked, then they are killed.
pub(super) fn end_all_of(name: &str) -> Result<(), Failure> {
    let Some(Owner { uid, .. }) = owner(name)?.filter(|owner| owner.uid != 0) else { return Ok(()) };
    for signal in [Signal::TERM, Signal::KILL] {
        let until = Instant::now() + PATIENCE;
        for pid in processes_of(uid) {
            // One that has ended meanwhile is just what is wanted.
            let _ = kill_process(pid, signal);
        }
        while Instant::now() < until {
            if processes_of(uid).is_empty() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
    Err(Failure::new(format!("end the processes of {name}: some do not end")))
}

fn processes_of(uid: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let theirs = processes.filter(|process| process.metadata().is_ok_and(|metadata| metadata.uid() == uid));
    theirs.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

/// Waits until a user's own manager can be talked to, which lingering starts.
pub(super) fn await_manager(name: &str) -> Result<(), Failure> {
    let Some(Owner { uid, .. }) = owner(name)? else { return Ok(()) };
    let (socket, until) = (PathBuf::from(format!("/run/user/{uid}/systemd/private")), Instant::now() + PATIENCE);
    while !Path::new(&socket).exists() {
        if Instant::now() > until {
            return Err(Failure::new(format!("start the systemd of {name}: {} is not there", socket.display()))
                .hint("`systemctl status user@` with the user's number says why; it needs libpam-systemd"));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_its_entry() {
        let account = Account { owner: Owner { uid: 1001, gid: 1002 }, home: "/srv/deploy".into() };
        assert_eq!(parse("deploy:*:1001:1002:,,,:/srv/deploy:/bin/bash\n"), Some(account));
        assert_eq!(parse("deploy:*:1001\n"), None);
    }

    #[test]
    fn whose_a_number_is_stands_in_the_list_of_accounts() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n+::::::\ndeploy:*:1001:1002:,,,:/srv/deploy:/bin/bash\n";
        let deploy = OwnAccount { name: "deploy".to_owned(), home: "/srv/deploy".into() };
        assert_eq!(of_uid(passwd, 1001), Some(deploy));
        assert_eq!(of_uid(passwd, 1002), None);
    }
}
