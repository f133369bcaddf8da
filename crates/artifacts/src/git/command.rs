//! Running one git command: arguments as a list, output bounded, never longer than a time limit.

use super::read_part;
use crate::error::ArtifactError;
use cutover_child::{Kin, Running as Process, Timed, withhold_own};
use cutover_core::artifact::{ENTRY_COUNT_MAX, PATH_LENGTH_MAX};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a git command may take: a first listing on a slow disk fits, a hung network file
/// system does not stop us for ever.
pub(super) const TIME_MAX: Duration = Duration::from_secs(600);
/// How much of a failing command's message is kept.
const MESSAGE_BYTES_MAX: u64 = 4096;
/// What is read from git at once.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Git configuration that a user sets on purpose is kept; everything else that could turn git to
/// another repository, as within a hook, is not.
const KEPT_VARIABLES: [&str; 4] =
    ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"];

#[derive(Debug, Clone)]
pub(super) struct Git {
    dir: PathBuf,
}

/// What a finished command said.
pub(super) struct Answer {
    pub(super) exit_code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    stderr: String,
}

/// A command that is under way; dropped early, it is killed.
pub(super) struct Running {
    process: Process,
    message: Option<JoinHandle<String>>,
    began: Instant,
    name: String,
}

impl Git {
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it runs.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command whose whole output is wanted, at most `bytes_max` of it.
    pub(super) fn answer(&self, args: &[&str], bytes_max: u64) -> Result<Answer, ArtifactError> {
        let mut running = self.start(args, Stdio::null())?;
        let mut stdout = Vec::new();
        let read = running.stdout()?.take(bytes_max).read_to_end(&mut stdout);
        read.map_err(|error| failed(&running.name, &error))?;
        let (status, stderr) = running.finish()?;
        Ok(Answer { exit_code: status.code(), stdout, stderr })
    }

    /// Runs a command whose output is NUL-separated records.
    pub(super) fn records<T>(
        &self,
        args: &[&str],
        parse: fn(&[u8]) -> Result<T, ArtifactError>,
    ) -> Result<Vec<T>, ArtifactError> {
        let mut running = self.start(args, Stdio::null())?;
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, running.stdout()?);
        let mut records = Vec::new();
        while let Some(record) =
            read_part(&mut reader, 0, 4 * PATH_LENGTH_MAX as u64).map_err(|error| failed(args[0], &error))?
        {
            if records.len() == ENTRY_COUNT_MAX {
                return Err(failed(args[0], &format!("more than {ENTRY_COUNT_MAX} paths")));
            }
            records.push(parse(&record)?);
        }
        running.succeed()?;
        Ok(records)
    }

    /// The first of the NUL-terminated records that a command prints, cut to `bytes_max`; it is stopped there. None when it prints
    /// nothing.
    pub(super) fn first_record(&self, args: &[&str], bytes_max: u64) -> Result<Option<Vec<u8>>, ArtifactError> {
        let mut running = self.start(args, Stdio::null())?;
        let mut record = Vec::new();
        let mut reader = BufReader::new(running.stdout()?.take(bytes_max));
        reader.read_until(0, &mut record).map_err(|error| failed(args[0], &error))?;
        if record.is_empty() {
            running.succeed()?;
            return Ok(None);
        }
        record.pop_if(|last| *last == 0);
        Ok(Some(record))
    }

    pub(super) fn start(&self, args: &[&str], stdin: Stdio) -> Result<Running, ArtifactError> {
        let mut command = self.command(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        // It may have to ask at the terminal: a partial clone is filled through ssh.
        let started = Process::start(&mut command, Kin::Descendants);
        let mut process = started.map_err(|error| failed(args[0], &format!("cannot be started: {error}")))?;
        let stderr = process.child().stderr.take();
        let message = stderr.map(|stderr| std::thread::spawn(move || read_message(stderr)));
        Ok(Running { process, message, began, name: args[0].to_owned() })
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

impl Running {
    pub(super) fn stdin(&mut self) -> Option<ChildStdin> {
        self.process.child().stdin.take()
    }

    pub(super) fn stdout(&mut self) -> Result<Timed<ChildStdout>, ArtifactError> {
        let stdout = self.process.child().stdout.take();
        let stdout = stdout.ok_or_else(|| failed(&self.name, &"its output is taken already"))?;
        Ok(Timed::new(stdout, self.began, TIME_MAX))
    }

    /// Waits for the end and demands that it went well.
    pub(super) fn succeed(self) -> Result<(), ArtifactError> {
        let name = self.name.clone();
        let (status, stderr) = self.finish()?;
        if status.success() { Ok(()) } else { Err(failed(&name, &message_or_status(&stderr))) }
    }

    fn finish(mut self) -> Result<(ExitStatus, String), ArtifactError> {
        if !self.process.wait_until(self.began + TIME_MAX) {
            return Err(failed(&self.name, &format!("not done after {} s, killed", TIME_MAX.as_secs())));
        }
        let status = self.process.status().map_err(|error| failed(&self.name, &error))?;
        let message = self.message.take().map(|message| message.join().unwrap_or_default());
        Ok((status, message.unwrap_or_default()))
    }
}

impl Answer {
    pub(super) fn into_bytes(self, name: &str) -> Result<Vec<u8>, ArtifactError> {
        if self.exit_code == Some(0) { Ok(self.stdout) } else { Err(self.failure(name)) }
    }

    pub(super) fn into_text(self, name: &str) -> Result<String, ArtifactError> {
        Ok(String::from_utf8_lossy(&self.into_bytes(name)?).into_owned())
    }

    pub(super) fn failure(&self, name: &str) -> ArtifactError {
        failed(name, &message_or_status(&self.stderr))
    }
}

pub(super) fn failed(command: &str, detail: &dyn std::fmt::Display) -> ArtifactError {
    ArtifactError::Git { command: command.to_owned(), detail: detail.to_string() }
}

fn message_or_status(stderr: &str) -> &str {
    if stderr.is_empty() { "failed without a message" } else { stderr }
}

/// Reads all that a command says on standard error, keeping its beginning as one line.
fn read_message(mut stderr: impl Read) -> String {
    let mut message = Vec::new();
    // A message that cannot be read is told like none at all.
    let _ = stderr.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut message);
    let _ = io::copy(&mut stderr, &mut io::sink());
    let lines = String::from_utf8_lossy(&message);
    lines.lines().map(|line| line.trim_start_matches("fatal: ")).collect::<Vec<_>>().join("; ")
}

fn is_harmful(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let chosen = KEPT_VARIABLES.contains(&name.as_ref())
        || ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"].iter().any(|kept| name.starts_with(kept));
    name.starts_with("GIT_") && !chosen
}
