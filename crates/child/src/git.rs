//! Running the user's own `git`: arguments as a list, output bounded, never longer than a time limit, and in the repository that was meant.

use crate::{Kin, Running, Timed, withhold_own};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a command may take: a first listing on a slow disk fits, and a long way to a remote. A hung network file system does
/// not stop us for ever.
const TIME_MAX: Duration = Duration::from_secs(600);
/// How much of a failing command's message is kept, in bytes.
const MESSAGE_BYTES_MAX: u64 = 4096;

/// What a user sets on purpose and is kept (git(1), "Environment Variables"): whose configuration, how a remote is reached, and who makes a
/// tag. Everything else of git's could turn it to another repository, as within a hook, or change what it says.
const KEPT: [&str; 15] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
];
/// The same, by how their names begin.
const KEPT_BEGINNINGS: [&str; 6] =
    ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_HTTP_"];

/// A command of git that failed, or said what nobody understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("git {command}: {detail}")]
pub struct GitError {
    /// The command, such as `ls-tree`.
    pub command: String,
    /// What git said, or what is wrong with its output.
    pub detail: String,
}

impl GitError {
    /// The failure of this command.
    pub fn new(command: &str, detail: impl Into<String>) -> Self {
        Self { command: command.to_owned(), detail: detail.into() }
    }
}

/// git, as it is run in a directory.
#[derive(Debug, Clone)]
pub struct Git {
    dir: PathBuf,
}

/// What a finished command said.
pub struct Answer {
    /// None where a signal ended it.
    pub exit_code: Option<i32>,
    /// Its standard output, as far as it was wanted.
    pub stdout: Vec<u8>,
    message: String,
}

/// A command that is under way; dropped early, it is killed.
pub struct GitRunning {
    process: Running,
    message: Option<JoinHandle<String>>,
    began: Instant,
    name: String,
}

impl Git {
    /// git in this directory, and so for the repository that it lies in.
    pub fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it runs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command to its end, whatever that is. Of its output at most `bytes_max` are wanted: it is not heard any more after them, and so may
    /// end badly.
    pub fn answer(&self, args: &[&str], bytes_max: u64) -> Result<Answer, GitError> {
        let mut running = self.start(args, Stdio::null())?;
        let mut stdout = Vec::new();
        let read = running.stdout()?.take(bytes_max).read_to_end(&mut stdout);
        read.map_err(|error| GitError::new(&running.name, error.to_string()))?;
        let (status, message) = running.finish()?;
        Ok(Answer { exit_code: status.code(), stdout, message })
    }

    /// Starts a command whose output is read as a stream.
    pub fn start(&self, args: &[&str], stdin: Stdio) -> Result<GitRunning, GitError> {
        let name = args.first().copied().unwrap_or_default();
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        // It may have to ask at the terminal, for a passphrase: a partial clone is filled through ssh.
        let started = Running::start(&mut command, Kin::Descendants);
        let mut process = started.map_err(|error| GitError::new(name, format!("cannot be started: {error}")))?;
        let stderr = process.child().stderr.take();
        let message =
            stderr.map(|stderr| std::thread::spawn(move || read_message(Timed::new(stderr, began, TIME_MAX))));
        Ok(GitRunning { process, message, began, name: name.to_owned() })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_harmful(name)) {
            command.env_remove(name);
        }
        withhold_own(&mut command);
        // Replacement objects would give one commit different contents on different machines.
        command.envs([("GIT_NO_REPLACE_OBJECTS", "1"), ("GIT_OPTIONAL_LOCKS", "0"), ("GIT_TERMINAL_PROMPT", "0")]);
        command.env("LC_ALL", "C").arg("--no-pager").args(["-c", "core.fsmonitor=false"]).arg("-C").arg(&self.dir);
        command.args(args);
        command
    }
}

impl GitRunning {
    /// Its standard input, where one was asked for; the first time only.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.process.child().stdin.take()
    }

    /// Its standard output; the first time only.
    pub fn stdout(&mut self) -> Result<Timed<ChildStdout>, GitError> {
        let stdout = self.process.child().stdout.take();
        let stdout = stdout.ok_or_else(|| GitError::new(&self.name, "its output is taken already"))?;
        Ok(Timed::new(stdout, self.began, TIME_MAX))
    }

    /// Waits for the end and demands that it went well.
    pub fn succeed(self) -> Result<(), GitError> {
        let name = self.name.clone();
        let (status, message) = self.finish()?;
        if status.success() { Ok(()) } else { Err(GitError::new(&name, message_or_status(&message))) }
    }

    fn finish(mut self) -> Result<(ExitStatus, String), GitError> {
        if !self.process.wait_until(self.began + TIME_MAX) {
            return Err(GitError::new(&self.name, format!("not done after {} s, killed", TIME_MAX.as_secs())));
        }
        let status = self.process.status().map_err(|error| GitError::new(&self.name, error.to_string()))?;
        let message = self.message.take().map(|message| message.join().unwrap_or_default());
        Ok((status, message.unwrap_or_default()))
    }
}

impl Answer {
    /// Its output, where the command of this name went well.
    pub fn into_bytes(self, name: &str) -> Result<Vec<u8>, GitError> {
        if self.exit_code == Some(0) { Ok(self.stdout) } else { Err(self.failure(name)) }
    }

    /// The same as a text; what is none is shown as `�`.
    pub fn into_text(self, name: &str) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.into_bytes(name)?).into_owned())
    }

    /// That the command of this name failed, in git's own words.
    pub fn failure(&self, name: &str) -> GitError {
        GitError::new(name, message_or_status(&self.message))
    }
}

fn message_or_status(message: &str) -> &str {
    if message.is_empty() { "failed without a message" } else { message }
}

/// Reads all that a command says on standard error, keeping its beginning as one line.
fn read_message(mut stderr: impl Read) -> String {
    let mut message = Vec::new();
    // A message that cannot be read is told like none at all.
    let _ = stderr.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut message);
    let _ = io::copy(&mut stderr, &mut io::sink());
    let text = String::from_utf8_lossy(&message);
    let lines = text.lines().map(|line| line.trim_start_matches("fatal: ").trim()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

fn is_harmful(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_kept = KEPT.contains(&name.as_ref()) || KEPT_BEGINNINGS.iter().any(|kept| name.starts_with(kept));
    name.starts_with("GIT_") && !is_kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_withheld_and_the_way_to_a_remote_is_kept() {
        for harmful in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_LITERAL_PATHSPECS", "GIT_CONFIG_PARAMETERS"]
        {
            assert!(is_harmful(OsStr::new(harmful)), "{harmful}");
        }
        for kept in
            ["GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_KEY_0", "GIT_COMMITTER_DATE", "PATH"]
        {
            assert!(!is_harmful(OsStr::new(kept)), "{kept}");
        }
    }

    #[test]
    fn a_command_that_fails_is_told_in_gits_words_and_by_its_name() {
        let nowhere = tempfile::tempdir().unwrap();
        let git = Git::in_dir(nowhere.path());

        let answer = git.answer(&["rev-parse", "--verify", "HEAD"], 100).unwrap();
        let failed = git.start(&["rev-parse", "HEAD"], Stdio::null()).unwrap().succeed().unwrap_err();

        assert_eq!(answer.exit_code, Some(128));
        assert!(failed.to_string().starts_with("git rev-parse: not a git repository"), "{failed}");
        assert_eq!(answer.into_text("rev-parse").unwrap_err(), failed);
    }

    #[test]
    fn no_more_output_is_taken_than_was_asked_for() {
        let nowhere = tempfile::tempdir().unwrap();
        let answer = Git::in_dir(nowhere.path()).answer(&["help", "--all"], 7).unwrap();
        assert_eq!(answer.stdout.len(), 7);
    }
}
