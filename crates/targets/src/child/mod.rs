//! Running a command of the user's own: bounded, masked, and never left behind.

mod environment;
mod error;
mod output;
mod watch;

pub use environment::{PATH_DEFAULT, base_environment};
pub use error::{ChildError, signal_name};

use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::Progress;
use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What to run, and within which bounds.
#[derive(Clone, Copy)]
pub struct ChildCommand<'a> {
    /// The command line.
    pub command: &'a CommandLine,
    /// The directory it runs in.
    pub cwd: &'a Path,
    /// Variables on top of [`base_environment`]; the only way for a secret to reach the command.
    pub variables: &'a BTreeMap<String, Secret>,
    /// How long it may run before it is told to end.
    pub timeout: Duration,
    /// File that its masked output is appended to (mode 0600). Losing it never fails the command.
    pub log: Option<&'a Path>,
    /// Hides secrets in whatever it says.
    pub masker: &'a Masker,
    /// What happens to processes that it leaves behind.
    pub leftovers: Leftovers,
}

/// What happens to processes that outlive the command that began them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are killed: nothing of a hook or an install stays.
    Kill,
    /// They stay: a command that starts a service. What they print is not read any more.
    Leave,
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
    let (reader, writer) = io::pipe().map_err(ChildError::Pipe)?;
    let process = spawn(child, writer)?;
    watch::to_the_end(process, reader, child, progress)
}

fn spawn(child: &ChildCommand<'_>, writer: PipeWriter) -> Result<Child, ChildError> {
    if !child.cwd.is_dir() {
        return Err(ChildError::Directory { path: child.cwd.to_owned() });
    }
    let mut command = command(child.command, child.cwd);
    command.envs(child.variables.iter().map(|(name, value)| (name, value.expose())));
    let errors = writer.try_clone().map_err(ChildError::Pipe)?;
    command.stdout(writer).stderr(errors);
    let program = command.get_program().to_string_lossy().into_owned();
    // The parent's ends of the pipe close here, with `command`.
    command.spawn().map_err(|source| ChildError::Start { program, source })
}

/// A command in its own process group with the base environment, no input, and no output yet.
///
/// A program with a relative path that has a directory is looked for under `cwd`.
pub fn command(line: &CommandLine, cwd: &Path) -> Command {
    let mut command = match line {
        CommandLine::Shell(script) => with_arguments(Path::new("sh"), &["-c".to_owned(), script.clone()]),
        CommandLine::Argv(argv) => {
            let (program, arguments) = argv.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
            with_arguments(&resolve(program, cwd), arguments)
        }
    };
    command.current_dir(cwd).env_clear().envs(base_environment()).stdin(Stdio::null()).process_group(0);
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
pub(crate) fn make_nonblocking(reader: &PipeReader) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(reader)?;
    Ok(rustix::fs::fcntl_setfl(reader, flags | rustix::fs::OFlags::NONBLOCK)?)
}
