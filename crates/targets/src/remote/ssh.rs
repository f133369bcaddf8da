//! A connection to a host by the user's own OpenSSH client.

use std::io::{self, Read};
use std::path::PathBuf;
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
    /// `ssh -F`.
    pub config_file: Option<PathBuf>,
    /// The user, unless the host names one.
    pub user: Option<String>,
    /// The port, unless the host names one.
    pub port: Option<u16>,
}

/// `ssh` at work.
#[derive(Debug)]
pub struct Connection {
    child: Child,
    message: Option<JoinHandle<String>>,
}

impl Connection {
    /// Starts `ssh` with a command for the host's shell. Whether it gets there shows when reading.
    pub fn open(host: &str, options: &Options, command: &str) -> io::Result<Self> {
        let mut ssh = Command::new("sh");
        ssh.args(["-c", HEEDLESS, "ssh"]);
        ssh.args(options.config_file.iter().flat_map(|file| ["-F".as_ref(), file.as_os_str()]));
        ssh.args(options.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        ssh.args(options.user.iter().filter(|_| !host.contains('@')).flat_map(|user| ["-l", user]));
        ssh.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
        // No environment, agent or forwarding of ours is anybody's business there.
        ssh.args(["-a", "-x", "-T", "--", host, command]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = ssh.spawn()?;
        let stderr = child.stderr.take();
        let message = stderr.map(|stderr| std::thread::spawn(move || read_message(stderr)));
        Ok(Self { child, message })
    }

    /// Where to write to and read from, once.
    pub fn pipes(&mut self) -> io::Result<(ChildStdin, ChildStdout)> {
        match (self.child.stdin.take(), self.child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok((stdin, stdout)),
            _ => Err(io::Error::other("the connection is in use already")),
        }
    }

    /// Waits for the end, and makes it one that does not come by itself; gives how it ended and what `ssh` and the host's
    /// shell said.
    pub fn finish(mut self) -> io::Result<(ExitStatus, String)> {
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        // Nothing happens to one that has ended.
        let _ = self.child.kill();
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
    fn a_connection_that_does_not_end_is_ended() {
        // Not through `open`: what is tried is how any child that hangs is dealt with.
        let mut hangs = Command::new("sleep");
        hangs.arg("1000").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = hangs.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let message = Some(std::thread::spawn(move || read_message(stderr)));
        let began = Instant::now();

        let (status, _) = Connection { child, message }.finish().unwrap();

        assert!(!status.success() && began.elapsed() >= PATIENCE);
    }
}
