//! A private key that is ours to keep: in the memory of an `ssh-agent` that lives no longer than we need it.

use super::ssh::cannot_run;
use cutover_child::Timed;
use cutover_child::withhold_own;
use cutover_core::secret::{SSH_KEY_VARIABLE, Secret};
use cutover_core::target::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the agent may take to have the key.
const LIMIT: Duration = Duration::from_secs(15);
/// How much is read of what it says.
const ANSWER_BYTES_MAX: u64 = 32 << 10;
/// The largest key in bytes.
const KEY_BYTES_MAX: usize = 64 << 10;

/// Gives the agent as many bytes of its input as the key has, says the public half, and waits for the end of its input.
///
/// `ssh-agent` ends when this command has ended, which is also when we were killed, within ten seconds; and it keeps the key
/// for five minutes at most.
const SCRIPT: &str = "echo $SSH_AGENT_PID; head -c $1 | ssh-add -q -t 300 - && ssh-add -L && exec cat";

/// Where the key is.
#[derive(Debug)]
pub(super) enum Keyring {
    /// In an agent's memory.
    Agent(Agent),
    /// In a file of this user alone, where there is no `ssh-agent`: in the private directory, and gone with it.
    File(PathBuf),
}

/// An `ssh-agent` of our own.
#[derive(Debug)]
pub(super) struct Agent {
    shell: Child,
    pid: Option<Pid>,
    /// The command waits for its end.
    _input: ChildStdin,
    socket: PathBuf,
    public: PathBuf,
}

impl Keyring {
    /// Takes a key; `dir` is this user's alone.
    pub(super) fn open(dir: &Path, key: &Secret) -> Result<Self, Failure> {
        let text = key.expose().replace("\r\n", "\n");
        // What copies a key through a form likes to lose its last newline, which `ssh` wants.
        let text = format!("{}\n", text.trim());
        if text.len() > KEY_BYTES_MAX || !text.starts_with("-----BEGIN ") {
            return Err(no_key());
        }
        match Agent::start(dir, text.len()) {
            Ok((shell, input)) => Agent::take(shell, input, dir, &text).map(Self::Agent),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::write(dir, &text),
            Err(error) => Err(cannot_run("ssh-agent", &error)),
        }
    }

    fn write(dir: &Path, text: &str) -> Result<Self, Failure> {
        let path = dir.join("key");
        cutover_disk::write_unsynced(&path, text.as_bytes(), 0o600)
            .map_err(|error| Failure::new(format!("keep the key of {SSH_KEY_VARIABLE} for ssh: {error}")))?;
        Ok(Self::File(path))
    }
}

impl Agent {
    /// Where it listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The file with the key's public half.
    pub(super) fn public(&self) -> &Path {
        &self.public
    }

    fn start(dir: &Path, key_bytes: usize) -> io::Result<(Child, ChildStdin)> {
        let mut agent = Command::new("ssh-agent");
        agent.arg("-a").arg(dir.join("agent")).args(["sh", "-c", SCRIPT, "sh", &key_bytes.to_string()]);
        withhold_own(&mut agent).env_remove("DISPLAY").env("SSH_ASKPASS_REQUIRE", "never");
        agent.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = agent.spawn()?;
        let input = shell.stdin.take().ok_or_else(|| io::Error::other("it has no input"))?;
        Ok((shell, input))
    }

    /// Gives it the key, and hears the public half.
    fn take(mut shell: Child, mut input: ChildStdin, dir: &Path, key: &str) -> Result<Self, Failure> {
        // One that ends early is told by what it says.
        let _sent = input.write_all(key.as_bytes()).and_then(|()| input.flush());
        let said = shell.stdout.take().map(|stdout| Timed::new(stdout, Instant::now(), LIMIT).take(ANSWER_BYTES_MAX));
        let mut lines = said.map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let pid = lines.next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        let public = lines.next();
        let (socket, path) = (dir.join("agent"), dir.join("key.pub"));
        let agent = Self { shell, pid, _input: input, socket, public: path };
        let public = public.ok_or_else(no_key)?;
        cutover_disk::write_unsynced(&agent.public, format!("{public}\n").as_bytes(), 0o600)
            .map_err(|error| Failure::new(format!("write the public half of {SSH_KEY_VARIABLE}: {error}")))?;
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It is the child of a process that is ours and waits for nothing but us: its number is nobody else's yet.
        let _ = self.pid.map(|pid| kill_process(pid, Signal::KILL));
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn no_key() -> Failure {
    Failure::new(format!("{SSH_KEY_VARIABLE} holds no private key that ssh-add takes"))
        .hint("put a whole key into it, without a passphrase: from `-----BEGIN` to `-----END … -----`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A private key that is made for the test, and its public half.
    fn made(dir: &Path) -> (String, String) {
        let path = dir.join("made");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&path).status();
        assert!(made.unwrap().success());
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let (private, public) = (read(path.clone()), read(path.with_extension("pub")));
        fs::remove_file(&path).unwrap();
        (private, public.trim().to_owned())
    }

    #[test]
    fn the_key_is_in_an_agent_and_nowhere_else_and_the_agent_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = made(dir.path());
        // As a form gives it: with another kind of newline, and without the last one.
        let pasted = Secret::new(private.trim().replace('\n', "\r\n"));

        let Keyring::Agent(agent) = Keyring::open(dir.path(), &pasted).unwrap() else { panic!("not in an agent") };

        let pid = agent.pid.unwrap();
        assert!(fs::read_to_string(agent.public()).unwrap().starts_with(&public));
        let listed = Command::new("ssh-add").arg("-L").env("SSH_AUTH_SOCK", agent.socket()).output().unwrap();
        assert!(String::from_utf8(listed.stdout).unwrap().starts_with(&public));
        let secret = private.lines().nth(2).unwrap();
        let files =
            fs::read_dir(dir.path()).unwrap().filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
        assert!(files.into_iter().all(|text| !text.contains(secret)));
        drop(agent);
        // It was told to end, and does so in its own time.
        let until = Instant::now() + Duration::from_secs(60);
        let status = || fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        while !(status().is_empty() || status().contains(") Z ")) {
            assert!(Instant::now() < until, "it lives: {}", status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_without_being_repeated() {
        let dir = tempfile::tempdir().unwrap();
        for text in
            ["sesame-open", "-----BEGIN OPENSSH PRIVATE KEY-----\nsesame-open\n-----END OPENSSH PRIVATE KEY-----"]
        {
            let failure = Keyring::open(dir.path(), &Secret::new(text)).unwrap_err();
            assert!(failure.message.contains(SSH_KEY_VARIABLE), "{failure}");
            assert!(!format!("{failure:?}").contains("sesame"), "{failure:?}");
        }
    }
}
