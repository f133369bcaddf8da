//! Commands that look at an environment on other machines: they are answered there, by the same command.

use super::identity::asker;
use super::letter::{Letter, Question};
use super::lines::{Lines, label};
use super::place::{HERE_VARIABLE, Place};
use super::remote::{Hearing, Host, breathe, say_errors};
use super::session::{connect, connect_all, supervisor};
use crate::context::{Context, home};
use crate::error::{CommandError, ErrorKind, output_failed};
use crate::exit::Exit;
use cutover_core::artifact::Digest;
use cutover_disk::write_unsynced;
use cutover_targets::remote::bootstrap::prune;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

/// Flags that are about places here, and those that the answering command gets anew; all take a value.
const LEFT_OUT: [&str; 4] = ["-C", "--config", "--color", "--host"];

/// The most that is passed on of what this machine, as one of several, says on standard error, in bytes.
const ERRORS_BYTES_MAX: u64 = 16 << 10;

/// A command line that is to be answered where an environment is.
pub(crate) struct Inquiry<'a> {
    /// The environment.
    pub(crate) environment: &'a str,
    /// Only these of its hosts; all when none is named.
    pub(crate) hosts: &'a [String],
    /// The command line.
    pub(crate) args: &'a [String],
    /// Whether lines are told as they come; else each host's answer is told whole.
    pub(crate) streams: bool,
    /// Whether the answer has no end.
    pub(crate) follows: bool,
    /// Whether it is told of each of several hosts with which exit code it ended there, where that is not 0.
    pub(crate) tells_codes: bool,
    /// Told when it is answered by another process than this one, before that is asked.
    pub(crate) leaves: &'a (dyn Fn() + Sync),
    /// Told of each of several hosts that could not be asked, as soon as that is known.
    pub(crate) unheard: &'a (dyn Fn(&str, &CommandError) + Sync),
}

/// Whether an environment is not just on this machine.
pub(crate) fn goes_elsewhere(context: &Context, environment: &str) -> Result<bool, CommandError> {
    let (name, config) = context.environment(environment)?;
    let places = Place::all(name, config)?;
    Ok(!places.is_empty() && !is_only_here(&places))
}

/// Whether all of an environment is this machine: then who asks answers by itself.
fn is_only_here(all: &[Place<'_>]) -> bool {
    matches!(all, [place] if place.is_here())
}

/// Has a command line answered where the environment is; None when that is here. Gives the exit code, the worst of several.
pub(crate) fn ask(
    context: &Context,
    inquiry: &Inquiry<'_>,
    output: &mut (dyn Write + Send),
) -> Result<Option<i32>, CommandError> {
    let (name, config) = context.environment(inquiry.environment)?;
    let all = Place::all(name, config)?;
    let hosts: Vec<&str> = all.iter().map(|place| place.host).collect();
    if let Some(unknown) = inquiry.hosts.iter().find(|host| !all.iter().any(|place| place.is_called(host))) {
        return Err(CommandError::new(ErrorKind::Usage, format!("{name} has no host {unknown:?}"))
            .hint(format!("there are: {}", hosts.join(", "))));
    }
    let is_wanted =
        |place: &&Place<'_>| inquiry.hosts.is_empty() || inquiry.hosts.iter().any(|host| place.is_called(host));
    let places: Vec<&Place<'_>> = all.iter().filter(is_wanted).collect();
    if is_only_here(&all) {
        return Ok(None);
    }
    (inquiry.leaves)();
    match places.as_slice() {
        [place] if !place.is_here() => {
            let host = connect(context, place.host, &supervisor()?)?;
            let question = question(context, place.host, words(context, inquiry.args))?;
            let hearing = Hearing { is_endless: inquiry.follows, ..Hearing::default() };
            host.ask(&Letter::Question(question), hearing, output).map(Some)
        }
        places => ask_several(context, inquiry, places, output).map(Some),
    }
}

/// A command line as it travels.
fn words(context: &Context, args: &[String]) -> Vec<String> {
    let color = if context.output.has_color() { "always" } else { "never" };
    ["--color", color].map(str::to_owned).into_iter().chain(stripped(args)).collect()
}

fn question(context: &Context, host: &str, args: Vec<String>) -> Result<Question, CommandError> {
    Ok(Question { config: context.config_text()?, host: host.to_owned(), args, by: asker() })
}

/// Has a command line answered on one host. Gives the exit code.
pub(crate) fn ask_host(
    context: &Context,
    name: &str,
    args: Vec<String>,
    output: &mut dyn Write,
) -> Result<i32, CommandError> {
    let host = connect(context, name, &supervisor()?)?;
    host.ask(&Letter::Question(question(context, name, args)?), Hearing::default(), output)
}

/// Asks several hosts at once. One that cannot be reached is told about, and hides none of the others.
fn ask_several(
    context: &Context,
    inquiry: &Inquiry<'_>,
    places: &[&Place<'_>],
    output: &mut (dyn Write + Send),
) -> Result<i32, CommandError> {
    let connections = connect_all(context, &supervisor()?, places.iter().copied())?;
    let question = question(context, "", words(context, inquiry.args))?;
    let questions = places.iter().map(|place| Question { host: place.host.to_owned(), ..question.clone() });
    let asked = connections.into_iter().zip(questions);
    let width = places.iter().map(|place| place.host.chars().count()).max().unwrap_or(0);
    let (output, voice, is_endless) = (Mutex::new(output), &context.output, inquiry.follows);
    let shared = inquiry.streams.then_some(&output);
    let answers: Vec<(Vec<u8>, i32)> = std::thread::scope(|scope| {
        let ask = move |(far, question): (Result<Option<Host>, CommandError>, Question)| {
            scope.spawn(move || {
                let mut lines = Lines::new(&question.host, width, voice.json, shared);
                let begun = AtomicBool::new(false);
                let hearing = Hearing { is_endless, label: &label(&question.host, width), begun: Some(&begun) };
                let code = far.map_or_else(Err, |far| ask_one(far, question.clone(), hearing, &mut lines));
                if is_endless && begun.into_inner() && is_lost(&code) {
                    told_code(inquiry, &question.host, width, code);
                    give_up(shared);
                }
                (lines.finish(), told_code(inquiry, &question.host, width, code))
            })
        };
        let threads: Vec<_> = asked.map(ask).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut worst = 0;
    for (held, code) in answers {
        output.write_all(&held).and_then(|()| output.flush()).map_err(|error| output_failed(&error))?;
        worst = worst.max(code);
    }
    Ok(worst)
}

/// Whether a host that had answered cannot be heard any more.
fn is_lost(code: &Result<i32, CommandError>) -> bool {
    matches!(code, Err(error) if error.kind() == ErrorKind::Unreachable)
}

/// Ends this process where what follows has no end: who thinks that all hosts are followed must not go on without one. The others'
/// answers end with their connections, and no line is cut.
fn give_up(shared: Option<&Mutex<&mut (dyn Write + Send)>>) -> ! {
    let _whole = shared.map(|output| output.lock().unwrap_or_else(PoisonError::into_inner));
    std::process::exit(Exit::Unreachable as i32)
}

/// The exit code of one of several hosts, told where that is of interest.
fn told_code(inquiry: &Inquiry<'_>, host: &str, width: usize, code: Result<i32, CommandError>) -> i32 {
    match code {
        Ok(code) => {
            if code != 0 && inquiry.tells_codes {
                say_errors(&label(host, width), &format!("exit code {code}"));
            }
            code
        }
        // Whoever follows several wants to know at once that one is gone.
        Err(error) => {
            (inquiry.unheard)(host, &error);
            Exit::Unreachable as i32
        }
    }
}

/// Has one of several hosts answer.
fn ask_one(
    far: Option<Host>,
    question: Question,
    hearing: Hearing<'_>,
    output: &mut dyn Write,
) -> Result<i32, CommandError> {
    match far {
        Some(far) => far.ask(&Letter::Question(question), hearing, output),
        None => ask_near(&question, hearing, output),
    }
}

/// Has this machine answer, as one host among others.
fn ask_near(question: &Question, hearing: Hearing<'_>, output: &mut dyn Write) -> Result<i32, CommandError> {
    let failed =
        |error: &dyn std::error::Error| CommandError::new(ErrorKind::Failed, "ask this machine").because(error);
    let input = if hearing.is_endless { Stdio::piped() } else { Stdio::null() };
    let mut command = answering(question)?;
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    child.stdin.take().into_iter().for_each(breathe);
    let (said, errors) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on_errors(errors, hearing.label));
        if let Some(mut said) = said {
            // What cannot be passed on is no reason not to wait for its end.
            let _passed = io::copy(&mut said, output);
        }
    });
    Ok(child.wait().map_err(|error| failed(&error))?.code().unwrap_or(Exit::Failed as i32))
}

fn pass_on_errors(errors: Option<ChildStderr>, label: &str) {
    let Some(mut errors) = errors else { return };
    let lines = BufReader::new(errors.by_ref().take(ERRORS_BYTES_MAX)).lines();
    lines.map_while(Result::ok).for_each(|line| say_errors(label, &line));
    // Who says more is not to be ended by it.
    let _left_out = io::copy(&mut errors, &mut io::sink());
}

/// Puts `--` before the command with which a command line ends: flags in it are its own, whatever they are called.
pub(crate) fn set_apart(args: &mut Vec<String>, command: &[String]) {
    args.truncate(args.len().saturating_sub(command.len()));
    if args.last().is_none_or(|last| last != "--") {
        args.push("--".to_owned());
    }
    args.extend_from_slice(command);
}

/// A command line without [`LEFT_OUT`].
fn stripped(args: &[String]) -> Vec<String> {
    let (mut kept, mut args) = (Vec::new(), args.iter());
    while let Some(arg) = args.next() {
        if arg == "--" {
            kept.push(arg.clone());
            kept.extend(args.cloned());
            break;
        }
        let with_value =
            |flag: &&str| arg.strip_prefix(*flag).is_some_and(|rest| rest.starts_with('=') || *flag == "-C");
        if LEFT_OUT.contains(&arg.as_str()) {
            args.next();
        } else if !LEFT_OUT.iter().any(with_value) {
            kept.push(arg.clone());
        }
    }
    kept
}

/// Becomes the command that answers a question here; comes back only when that is not possible.
pub(crate) fn answer(question: &Question) -> CommandError {
    match answering(question) {
        Ok(mut command) => {
            let error = command.exec();
            CommandError::new(ErrorKind::Failed, "run the command that answers").because(&error)
        }
        Err(error) => error,
    }
}

/// The file in which a config is kept: each state of it that was asked with has its own, and those of long ago go.
fn kept(home: &Path, config: &[u8]) -> Result<PathBuf, CommandError> {
    let dir = home.join("configs");
    let path = dir.join(format!("{}.toml", Digest::of(config).short()));
    fs::create_dir_all(&dir)
        .map_err(|error| CommandError::new(ErrorKind::Failed, "make a directory").because(&error))?;
    write_unsynced(&path, config, 0o600)?;
    prune(&dir, &path);
    Ok(path)
}

/// A file without a place, which this process and what it becomes can read.
fn in_memory(config: &[u8]) -> io::Result<PathBuf> {
    let mut file = File::from(memfd_create("cutover.toml", MemfdFlags::empty())?);
    file.write_all(config)?;
    // Never closed: its number is its name.
    Ok(PathBuf::from(format!("/proc/self/fd/{}", file.into_raw_fd())))
}

/// The command that answers a question on this machine.
fn answering(question: &Question) -> Result<Command, CommandError> {
    let failed = |what: &str, error: &dyn std::error::Error| CommandError::new(ErrorKind::Failed, what).because(error);
    let text = question.config.as_bytes();
    // A disk that is full keeps nobody from looking, or from stopping what runs.
    let path = home()
        .and_then(|home| kept(&home, text))
        .or_else(|_| in_memory(text))
        .map_err(|error| CommandError::new(ErrorKind::Failed, "make a place for the config").because(&error))?;
    let program = std::env::current_exe().map_err(|error| failed("find Cutover's own executable", &error))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(path).args(&question.args);
    command.env(HERE_VARIABLE, &question.host).env("CUTOVER_BY", &question.by);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_cannot_be_kept_is_read_from_memory() {
        let dir = tempfile::tempdir().unwrap();
        let (home, config) = (dir.path().join("home"), b"name = \"shop\"\n");
        let path = kept(&home, config).unwrap();
        assert_eq!((path.parent(), fs::read(&path).unwrap().as_slice()), (Some(&*home.join("configs")), &config[..]));
        // Given a home that cannot be made.
        assert!(kept(&path.join("home"), config).is_err());

        let path = in_memory(config).unwrap();

        assert_eq!(fs::read(&path).unwrap(), config);
        let read = Command::new("cat").arg(&path).output().unwrap();
        assert_eq!(read.stdout, config, "what it becomes can read it, too");
    }

    #[test]
    fn what_is_about_places_here_does_not_travel() {
        let strip = |line: &str| stripped(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
        assert_eq!(strip("-C /srv status production --json"), "status production --json");
        assert_eq!(strip("status production --host web1 --host=web2"), "status production");
        assert_eq!(strip("-C/srv --config=a.toml --color never app test logs -n 5"), "app test logs -n 5");
        assert_eq!(strip("app test exec -- ls -C x --config y"), "app test exec -- ls -C x --config y");
    }

    #[test]
    fn a_command_keeps_its_flags_with_and_without_two_dashes_before_it() {
        let travels = |line: &str, command: &str| {
            let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let mut args = words(line);
            set_apart(&mut args, &words(command));
            stripped(&args).join(" ")
        };
        let command = "git -C /srv log --color always -- --host";
        for dashes in ["", "-- "] {
            let line = format!("app test exec --host web-1 {dashes}{command}");
            assert_eq!(travels(&line, command), format!("app test exec -- {command}"));
        }
    }
}
