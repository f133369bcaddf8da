//! A connection to a host by the user's own OpenSSH client.

use super::destination::Destination;
use super::way::Way;
use cutover_child::withhold_own;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of what `ssh` says on its standard error is kept.
const MESSAGE_BYTES_MAX: u64 = 16 << 10;
/// Seconds until a host that does not answer is given up, and between two looks whether it is still there.
const OPTIONS: [&str; 5] = [
    // A host key that nobody has confirmed is never accepted, whatever the user's own config allows.
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    // The connection carries bytes, not a session.
    "RequestTTY=no",
];

/// How long `ssh` may take to end once nothing is read from it any more, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// Ctrl-C reaches all that runs in the terminal. It is for Cutover, which asks the host to stop, and then still needs the
/// connection. `ssh` leaves signals alone that are ignored when it begins.
const HEEDLESS: &str = "trap '' INT HUP; exec \"$0\" \"$@\"";

/// How hosts are reached.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The user's configuration of `ssh`; None: the files that `ssh` reads by itself.
    pub config_file: Option<PathBuf>,
    /// The user, unless the host names one.
    pub user: Option<String>,
    /// The port, unless the host names one.
    pub port: Option<u16>,
    /// The key to use, and no other; None: those that `ssh` finds.
    pub identity: Option<Identity>,
    /// Hosts on the way, in order, as `ssh -J` takes them.
    pub jump: Vec<String>,
    /// Public keys that hosts may have besides those that `ssh` knows, by `host` or `host:port`.
    pub host_keys: BTreeMap<String, Vec<String>>,
    /// Variables of this process that are nobody's business on the way: secrets of the environments.
    pub withheld: BTreeSet<String>,
}

impl Options {
    /// Fails where a file that they name is not there.
    pub fn check(&self) -> Result<(), Failure> {
        let missing = |key: &str, file: &Path| {
            Failure::new(format!("ssh.{key} names {}, and there is no such file", file.display()))
        };
        match &self.identity {
            Some(Identity::File(file)) if !file.is_file() => {
                return Err(missing("identity", file).hint(
                    "make a key with `ssh-keygen -t ed25519`, or leave `identity` out: ssh then finds its keys itself",
                ));
            }
            Some(Identity::File(_) | Identity::Key(_)) | None => {}
        }
        match &self.config_file {
            Some(file) if !file.is_file() => {
                Err(missing("config_file", file).hint("write it, or leave `config_file` out"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Keeps secrets from a program of OpenSSH. It needs none, and hands its environment to whatever its configuration runs
    /// (`ProxyCommand`, `Match exec`).
    pub(super) fn withhold(&self, command: &mut Command) {
        withhold_own(command);
        for name in &self.withheld {
            command.env_remove(name);
        }
    }
}

/// A private key.
#[derive(Debug, Clone)]
pub enum Identity {
    /// In a file that `ssh` reads itself.
    File(PathBuf),
    /// The key itself, unencrypted.
    Key(Secret),
}

/// `ssh` at work.
#[derive(Debug)]
pub struct Connection {
    child: Child,
    message: Option<JoinHandle<String>>,
    way: Option<Way>,
}

impl Connection {
    /// Starts `ssh` with a command for the host's shell. Whether it gets there shows when reading.
    pub fn open(host: &str, options: &Options, command: &str) -> Result<Self, Failure> {
        let destination = Destination::of(host, options);
        let way = Way::prepare(&destination, options)?;
        let mut ssh = Command::new("sh");
        ssh.args(["-c", HEEDLESS, "ssh", "-F"]).arg(way.config());
        ssh.args(destination.args(&options.jump));
        ssh.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        // No environment, agent or forwarding of ours is anybody's business there.
        ssh.args(["-a", "-x", "-T", "--", &destination.host, command]);
        options.withhold(&mut ssh);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn().map_err(|error| cannot_run("ssh", &error))?;
        let stderr = child.stderr.take();
        let message = stderr.map(|stderr| std::thread::spawn(move || read_message(stderr)));
        Ok(Self { child, message, way: Some(way) })
    }

    /// The host has let us in: whatever was there for that alone is not needed any more.
    pub fn authenticated(&mut self) {
        self.way = None;
    }

    /// Where to write to and read from, once.
    pub fn pipes(&mut self) -> io::Result<(ChildStdin, ChildStdout)> {
        match (self.child.stdin.take(), self.child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok((stdin, stdout)),
            _ => Err(io::Error::other("the connection is in use already")),
        }
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        // Nothing happens to one that has ended.
        let _ = self.child.kill();
    }

    /// Waits for the end, and makes it one that does not come by itself; gives how it ended and what `ssh` and the host's
    /// shell said.
    pub fn finish(mut self) -> io::Result<(ExitStatus, String)> {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        self.end();
        let status = self.child.wait()?;
        let message = self.message.take().map(|message| message.join().unwrap_or_default());
        Ok((status, message.unwrap_or_default()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It ends by itself when its pipes are closed; one that hangs must not outlive us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A part of the OpenSSH client that does not start.
pub(super) fn cannot_run(program: &str, error: &io::Error) -> Failure {
    Failure::new(format!("run {program}: {error}")).hint("install the OpenSSH client: Cutover connects with it")
}

/// All that is said on standard error, its beginning kept.
fn read_message(mut stderr: impl Read) -> String {
    let mut message = Vec::new();
    // What cannot be read is told like nothing at all.
    let _ = stderr.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut message);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&message).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_of_the_way_is_given_a_secret_of_ours() {
        // What whoever runs the tests has set: a test cannot set variables of its own process.
        let (secret, other) = ("CARGO_MANIFEST_DIR", "CARGO_PKG_NAME");
        assert!([secret, other].iter().all(|name| std::env::var_os(name).is_some()), "run by cargo");
        let dir = tempfile::tempdir().unwrap();
        let (config, seen) = (dir.path().join("config"), dir.path().join("seen"));
        std::fs::write(&config, format!("Match exec \"env >>{}\"\n", seen.display())).unwrap();
        // With a pin, `ssh` is also asked beforehand what it makes of the host.
        let host_keys = [("127.0.0.1:1".to_owned(), vec!["ssh-ed25519 AAAA".to_owned()])].into();
        let withheld = [secret.to_owned()].into();
        let options = Options { config_file: Some(config), host_keys, withheld, ..Options::default() };

        Connection::open("127.0.0.1:1", &options, "true").unwrap().finish().unwrap();

        let seen = std::fs::read_to_string(&seen).unwrap();
        let count = |name: &str| seen.lines().filter(|line| line.starts_with(&format!("{name}="))).count();
        assert!(count(other) >= 2 && count(secret) == 0, "{} of {secret}, {} of {other}", count(secret), count(other));
    }

    #[test]
    fn a_connection_that_does_not_end_is_ended() {
        // Not through `open`: what is tried is how any child that hangs is dealt with.
        let mut hangs = Command::new("sleep");
        hangs.arg("1000").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = hangs.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let message = Some(std::thread::spawn(move || read_message(stderr)));
        let began = Instant::now();

        let (status, _) = Connection { child, message, way: None }.finish().unwrap();

        assert!(!status.success() && began.elapsed() >= PATIENCE);
    }
}
