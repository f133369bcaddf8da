//! Running the build command.

use super::PackObserver;
use crate::error::{ArtifactError, BuildError};
use cutover_core::config::{ArtifactConfig, CommandLine};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The longest line that is handed on in one piece.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// How many lines wait at most before the command has to.
const QUEUE_LENGTH: usize = 1024;
/// How often the command's end, the time and a wish to cancel are looked for between lines.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long output is still taken after the command and all of its group have ended.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What a build may know of this machine: where tools are, who the user is, which way leads out.
const PASSED_VARIABLES: [&str; 26] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    "CI",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CARGO_HOME",
    "RUSTUP_HOME",
];

/// Runs the build command, if there is one, in `dir`; its whole process group ends with it.
///
/// Standard input is empty. `CUTOVER_COMMIT` is the commit's hash and `SOURCE_DATE_EPOCH` its time.
pub(crate) fn run_build(
    config: &ArtifactConfig,
    dir: &Path,
    hash: &str,
    committed_at: Timestamp,
    observer: &mut dyn PackObserver,
) -> Result<(), ArtifactError> {
    let Some(line) = &config.build else { return Ok(()) };
    let mut command = command(line);
    command.current_dir(dir).env_clear();
    command.envs(PASSED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("CUTOVER_COMMIT", hash).env("SOURCE_DATE_EPOCH", committed_at.as_second().to_string());
    Ok(run(command, config.build_timeout, observer)?)
}

fn command(line: &CommandLine) -> Command {
    let (program, args): (&OsStr, Vec<&str>) = match line {
        CommandLine::Shell(text) => ("sh".as_ref(), vec!["-c", text]),
        CommandLine::Argv(argv) => {
            (argv.first().map_or("", String::as_str).as_ref(), argv.iter().skip(1).map(String::as_str).collect())
        }
    };
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn run(mut command: Command, limit: Duration, observer: &mut dyn PackObserver) -> Result<(), BuildError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(BuildError::Start)?;
    let lines = read_lines(&mut child);
    let mut group = Group { child };
    let ended = follow(&group, &lines, Instant::now() + limit, observer);
    let status = group.end();
    drain(&lines, observer);
    match ended {
        End::Exited => judge(status),
        End::TimedOut => Err(BuildError::TimedOut(limit)),
        End::Cancelled => Err(BuildError::Cancelled),
    }
}

/// Why following a build ended.
enum End {
    Exited,
    TimedOut,
    Cancelled,
}

fn judge(status: io::Result<ExitStatus>) -> Result<(), BuildError> {
    let status = status.map_err(BuildError::NoStatus)?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(BuildError::ExitCode(code)),
        (None, signal) => Err(BuildError::Killed(signal.unwrap_or_default())),
    }
}

/// Hands on lines until the command has exited, its time is over or it is cancelled.
fn follow(group: &Group, lines: &Receiver<Vec<u8>>, deadline: Instant, observer: &mut dyn PackObserver) -> End {
    loop {
        match lines.recv_timeout(LOOK_INTERVAL) {
            Ok(line) => observer.build_output(&line),
            // It closed its output and may still work.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_INTERVAL),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if observer.is_cancelled() {
            return End::Cancelled;
        }
        if Instant::now() >= deadline {
            return End::TimedOut;
        }
        if group.has_exited() {
            return End::Exited;
        }
    }
}

/// Hands on what is still in the pipes. A process that left the group could hold them open for
/// ever, so the time is bounded.
fn drain(lines: &Receiver<Vec<u8>>, observer: &mut dyn PackObserver) {
    let deadline = Instant::now() + DRAIN_MAX;
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        observer.build_output(&line);
    }
}

/// A process group whose leader has not been waited for, so that its id is still its own.
struct Group {
    child: Child,
}

impl Group {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether the leader has ended; it is left to be waited for.
    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let waited = self.pid().map(|pid| waitid(WaitId::Pid(pid), options));
        // When even waiting fails there is nothing to wait for: the status is found missing later.
        !matches!(waited, Some(Ok(None)))
    }

    /// Kills all that is left of the group, then takes the leader's status.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(pid) = self.pid() {
            // It fails when nothing is left, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only after a panic of the observer is anything left here.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.end();
        }
    }
}

fn read_lines(child: &mut Child) -> Receiver<Vec<u8>> {
    let (queue, lines) = sync_channel(QUEUE_LENGTH);
    if let Some(stdout) = child.stdout.take() {
        read_stream(stdout, queue.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_stream(stderr, queue);
    }
    lines
}

/// The thread is not joined: it ends with the pipe, or with its first line after nobody listens.
fn read_stream(stream: impl Read + Send + 'static, queue: SyncSender<Vec<u8>>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if queue.send(line).is_err() {
                return;
            }
        }
    });
}
