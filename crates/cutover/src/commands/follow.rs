//! `cutover app ENV logs -f`: what services log, as it comes.
//!
//! Nobody is told to stop: a follower ends with whoever reads it, here and on every host.

use crate::context::Context;
use crate::deployments::{is_asked_from_elsewhere, live_variables};
use crate::error::{CommandError, output_failed};
use crate::exit::Exit;
use cutover_core::config::HostConfig;
use cutover_core::id::TargetName;
use cutover_core::mask::{Masker, Stream};
use cutover_core::target::Failure;
use cutover_reporters::log_text;
use cutover_targets::host::Layout;
use cutover_targets::service::Service;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::io::{self, Read, Write, stdin, stdout};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long who asked from elsewhere may give no sign of life.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A line that is longer is cut.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One service whose log is followed.
pub(super) struct Followed<'a> {
    pub(super) name: &'a TargetName,
    pub(super) config: &'a HostConfig,
    pub(super) service: Box<dyn Service>,
    /// Which variables of its env file are secret.
    pub(super) secret_names: &'a BTreeSet<String>,
    /// What hides the secrets that are known beforehand.
    pub(super) masker: Masker,
}

/// Follows all of them until nobody reads that any more, or all fail.
pub(super) fn follow(context: &Context, all: &[Followed<'_>], lines: usize) -> Result<Exit, CommandError> {
    if is_asked_from_elsewhere() {
        end_with_asker()?;
    }
    let (output, json) = (Mutex::new(stdout()), context.output.json);
    let labels = all.len() > 1;
    let failures: Vec<(&TargetName, Failure)> = std::thread::scope(|scope| {
        let output = &output;
        let begin = |one| scope.spawn(move || Voice::new(one, output, json, labels).tell(lines));
        let threads: Vec<_> = all.iter().map(begin).collect();
        let ends = all.iter().zip(threads).filter_map(|(one, thread)| Some((one.name, thread.join().ok()?.err()?)));
        ends.inspect(|(name, failure)| {
            if labels {
                context.output.warn(&format!("{name}: {}", failure.message));
            }
        })
        .collect()
    });
    match failures.into_iter().next() {
        Some((_, failure)) => Err(failure.into()),
        // It ended because nobody took any more of it.
        None => Err(output_failed(&io::ErrorKind::BrokenPipe.into())),
    }
}

/// Ends this process when nobody reads its output any more, also while there is nothing to say.
pub(super) fn end_with_reader() -> Result<(), CommandError> {
    let watch = || {
        let output = stdout();
        let mut fds = [PollFd::new(&output, PollFlags::empty())];
        // Without flags, only its end is told (poll(2)).
        while poll(&mut fds, None).is_err() || fds[0].revents().is_empty() {}
        std::process::exit(Exit::Done as i32);
    };
    begin("reader", watch)
}

/// Ends this process when who asked from elsewhere is gone: its connection has ended, or says nothing any more.
fn end_with_asker() -> Result<(), CommandError> {
    let watch = || {
        let mut input = stdin();
        while is_readable(&input) && matches!(input.read(&mut [0; 64]), Ok(count) if count > 0) {}
        std::process::exit(Exit::Unreachable as i32);
    };
    begin("asker", watch)
}

fn begin(name: &str, watch: impl FnOnce() + Send + 'static) -> Result<(), CommandError> {
    let begun = std::thread::Builder::new().name(name.to_owned()).spawn(watch);
    begun.map(drop).map_err(|error| Failure::new(format!("watch the {name}: {error}")).into())
}

fn is_readable(input: &io::Stdin) -> bool {
    let timeout = Timespec::try_from(SILENCE_MAX).ok();
    poll(&mut [PollFd::new(input, PollFlags::IN)], timeout.as_ref()).is_ok_and(|count| count > 0)
}

/// Tells what one service logs, line by line.
struct Voice<'a> {
    one: &'a Followed<'a>,
    output: &'a Mutex<io::Stdout>,
    json: bool,
    label: String,
    env_file: Option<(u64, i64, i64)>,
    masker: Masker,
    stream: Stream,
    /// What was masked and has no end yet.
    begun: Vec<u8>,
}

impl<'a> Voice<'a> {
    fn new(one: &'a Followed<'a>, output: &'a Mutex<io::Stdout>, json: bool, labels: bool) -> Self {
        let masker = one.masker.clone();
        let label = if labels { format!("{} | ", one.name) } else { String::new() };
        Self { one, output, json, label, env_file: None, stream: masker.stream(), masker, begun: Vec::new() }
    }

    fn tell(mut self, lines: usize) -> Result<(), Failure> {
        self.look_for_secrets()?;
        let one = self.one;
        one.service.follow_log(lines, &mut |piece| self.take(piece))
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.look_for_secrets().map_err(|failure| io::Error::other(failure.message))?;
        self.stream.push(piece, &mut self.begun);
        if piece.ends_with(b"\n") {
            // Nothing more of this line comes: what might have been the beginning of a secret is none.
            self.stream.finish(&mut self.begun);
        }
        let end = match self.begun.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.begun.len() > LINE_BYTES_MAX => self.begun.len(),
            None => return Ok(()),
        };
        let whole: Vec<u8> = self.begun.drain(..end).collect();
        let told: String = String::from_utf8_lossy(&whole).lines().map(|line| self.line(line)).collect();
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(told.as_bytes()).and_then(|()| output.flush())
    }

    fn line(&self, line: &str) -> String {
        if self.json {
            return serde_json::json!({ "v": 1, "target": self.one.name, "line": line }).to_string() + "\n";
        }
        format!("{}{}\n", self.label, log_text(line))
    }

    /// A deployment may bring other secrets; they are in the env file before the service says them.
    fn look_for_secrets(&mut self) -> Result<(), Failure> {
        let Some(file) = self.one.config.env_file.as_ref().filter(|_| !self.one.secret_names.is_empty()) else {
            return Ok(());
        };
        let path = Layout::new(&self.one.config.deploy_to).shared().join(file);
        let now = std::fs::metadata(path).ok().map(|is| (is.ino(), is.ctime(), is.ctime_nsec()));
        if now == self.env_file {
            return Ok(());
        }
        let variables = live_variables(self.one.config)?;
        let secrets = variables.iter().filter(|(name, _)| self.one.secret_names.contains(*name));
        self.masker = self.masker.and(secrets.map(|(name, value)| (name.as_str(), value)));
        self.stream.finish(&mut self.begun);
        (self.stream, self.env_file) = (self.masker.stream(), now);
        Ok(())
    }
}
