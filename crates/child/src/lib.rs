//! Running commands: bounded in time and output, masked, and never left behind.
//!
//! [`run`] is for commands of the user's own and programs that change something, [`listen`] for what they are asked,
//! [`ask`] for tools that may ask a person in turn. [`Running`] and [`Timed`] are what these are made of, for a command
//! whose output is read as a stream, and [`Git`] is the user's own.

mod environment;
mod error;
mod git;
mod mark;
mod output;
mod running;
mod source;
pub mod stat;
mod timed;
mod watch;

pub use environment::{Inherited, PATH_DEFAULT, withhold_own};
pub use error::{ChildError, signal_name};
pub use git::{Answer, Git, GitError, GitRunning};
pub use mark::kill_marked;
pub use running::{Kin, Running};
pub use timed::Timed;

use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::{EXCERPT_BYTES_MAX, Progress};
use mark::Mark;
use output::Output;
use source::Source;
use std::collections::BTreeMap;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use watch::{Watch, Watched};

/// What to run, and within which bounds.
#[derive(Clone, Copy)]
pub struct ChildCommand<'a> {
    /// The command line.
    pub command: &'a CommandLine,
    /// The directory it runs in.
    pub cwd: &'a Path,
    /// Variables on top of what is [`Inherited`]; the only way for a secret of the environment to reach the command.
    pub variables: &'a BTreeMap<String, Secret>,
    /// How long it may run before it is told to end.
    pub timeout: Duration,
    /// File that its masked output is appended to (mode 0600). Losing it never fails the command.
    pub log: Option<&'a Path>,
    /// Hides secrets in whatever it says.
    pub masker: &'a Masker,
    /// What happens to processes that it leaves behind.
    pub leftovers: Leftovers<'a>,
}

/// What happens to processes that outlive the command that began them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers<'a> {
    /// They are killed, also when they have left the command's group: nothing of a hook or an install stays.
    Kill,
    /// They stay. What they print is not read any more, and whoever goes on printing ends by it.
    Leave,
    /// They stay, and may go on printing: the command starts a service.
    Serve {
        /// Where it goes, as it is said. The file is begun anew and is for this user only; its directory must be there.
        output: &'a Path,
    },
}

impl Leftovers<'_> {
    /// What may stay outlives the caller, whose credentials it shall not have.
    fn inherited(self) -> Inherited {
        match self {
            Self::Kill => Inherited::Tools,
            Self::Leave | Self::Serve { .. } => Inherited::Services,
        }
    }
}

/// A command that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildExit {
    /// Its exit code.
    pub code: i32,
    /// The end of what it said, masked.
    pub excerpt: String,
}

/// Runs a command to its end, passing on each line of its output.
///
/// The command has its own process group, no terminal and no standard input. At the time limit or
/// when stopping is asked for, the whole group is told to end and a little later killed. An exit
/// code other than 0 is not an error here; death by a signal is.
pub fn run(child: &ChildCommand<'_>, progress: &dyn Progress) -> Result<ChildExit, ChildError> {
    let output = Output::new(&masker(child), child.log, Some(progress), EXCERPT_BYTES_MAX);
    watch(child, output, &|| progress.cancelled())
}

/// Runs a command like [`run`], but tells nobody what it says: the newest `bytes_max` of it are the excerpt.
pub fn listen(
    child: &ChildCommand<'_>,
    bytes_max: usize,
    cancelled: &dyn Fn() -> bool,
) -> Result<ChildExit, ChildError> {
    watch(child, Output::new(&masker(child), child.log, None, bytes_max), cancelled)
}

/// Hides also the credentials that the command inherits: tools like to print the address that they talk to.
fn masker(child: &ChildCommand<'_>) -> Masker {
    let inherited = child.leftovers.inherited().credentials();
    child.masker.and(inherited.iter().map(|credential| ("", credential)))
}

fn watch(
    child: &ChildCommand<'_>,
    mut output: Output<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ChildExit, ChildError> {
    let ends = match child.leftovers {
        Leftovers::Kill | Leftovers::Leave => Source::pipe(),
        Leftovers::Serve { output } => Source::file(output),
    };
    let (source, writer) = ends.map_err(ChildError::Pipe)?;
    let mark = (child.leftovers == Leftovers::Kill).then(Mark::new);
    let running = start(child, writer, mark.as_ref())?;
    let mut take = |chunk: &[u8]| output.push(chunk);
    let watch = Watch { running, source: Some(source), mark, take: &mut take, cancelled };
    let watched = watch.until_the_end(child.timeout);
    judge(watched, output.finish(), child.timeout)
}

fn start(child: &ChildCommand<'_>, writer: OwnedFd, mark: Option<&Mark>) -> Result<Running, ChildError> {
    if !child.cwd.is_dir() {
        return Err(ChildError::Directory { path: child.cwd.to_owned() });
    }
    let mut command = command(child.command, child.cwd, child.leftovers.inherited());
    command.envs(child.variables.iter().map(|(name, value)| (name, value.expose())));
    mark.iter().for_each(|mark| mark.put(&mut command));
    let errors = writer.try_clone().map_err(ChildError::Pipe)?;
    command.stdout(writer).stderr(errors);
    // The parent's ends of the pipe close here, with `command`.
    begin(command, Kin::Group)
}

fn begin(mut command: Command, kin: Kin) -> Result<Running, ChildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    Running::start(&mut command, kin).map_err(|source| ChildError::Start { program, source })
}

fn judge(watched: Watched, excerpt: String, timeout: Duration) -> Result<ChildExit, ChildError> {
    let status = match watched {
        Watched::Ended(status) => status.map_err(ChildError::Wait)?,
        Watched::TimedOut => return Err(ChildError::TimedOut { timeout, excerpt }),
        Watched::Cancelled => return Err(ChildError::Cancelled),
    };
    match status.code() {
        Some(code) => Ok(ChildExit { code, excerpt }),
        None => Err(ChildError::Signalled { signal: status.signal().unwrap_or(0), excerpt }),
    }
}

/// A command that is asked for something: what it prints is the answer.
pub struct Question<'a> {
    /// The command line.
    pub command: &'a CommandLine,
    /// The directory it runs in.
    pub cwd: &'a Path,
    /// How long it may take: a person may have to answer it.
    pub timeout: Duration,
    /// How much of its answer is kept, in bytes.
    pub bytes_max: usize,
    /// Whether to stop waiting.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// Asks a command. Only its standard output is read; its errors and its questions go to the user's terminal.
///
/// It has Cutover's whole environment, since it is a tool of the user's own that holds what Cutover shall know, and stays
/// in Cutover's process group, so that it may ask at the terminal. When it is given up, whatever descends from it is
/// killed with it. An exit code other than 0 is an error.
pub fn ask(question: &Question<'_>) -> Result<Vec<u8>, ChildError> {
    let (source, writer) = Source::pipe().map_err(ChildError::Pipe)?;
    let mut command = program(question.command, question.cwd);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::inherit());
    let running = begin(command, Kin::Descendants)?;
    let mut answer = Vec::new();
    let mut take = |chunk: &[u8]| {
        let room = question.bytes_max.saturating_sub(answer.len());
        answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
    };
    let watch = Watch { running, source: Some(source), mark: None, take: &mut take, cancelled: question.cancelled };
    let watched = watch.until_the_end(question.timeout);
    match judge(watched, String::new(), question.timeout)?.code {
        0 => Ok(answer),
        code => Err(ChildError::Refused { code }),
    }
}

/// A command in its own process group with what it inherits, no input, and no output yet.
///
/// A program with a relative path that has a directory is looked for under `cwd`.
pub fn command(line: &CommandLine, cwd: &Path, inherited: Inherited) -> Command {
    let mut command = program(line, cwd);
    command.env_clear().envs(inherited.variables()).stdin(Stdio::null()).process_group(0);
    command
}

fn program(line: &CommandLine, cwd: &Path) -> Command {
    let mut command = match line {
        CommandLine::Shell(script) => with_arguments(Path::new("sh"), &["-c".to_owned(), script.clone()]),
        CommandLine::Argv(argv) => {
            let (program, arguments) = argv.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
            with_arguments(&resolve(program, cwd), arguments)
        }
    };
    command.current_dir(cwd);
    command
}

fn with_arguments(program: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn resolve(program: &str, cwd: &Path) -> std::path::PathBuf {
    if program.contains('/') { cwd.join(program) } else { program.into() }
}

/// Sets a pipe's reading end to return at once when there is nothing to read.
pub fn make_nonblocking(reader: &PipeReader) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(reader)?;
    Ok(rustix::fs::fcntl_setfl(reader, flags | rustix::fs::OFlags::NONBLOCK)?)
}
