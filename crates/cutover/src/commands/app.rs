//! `cutover app`.

use super::HostArgs;
use super::deploy::WaitArgs;
use super::exec::{NOT_EXECUTABLE, NOT_FOUND};
use super::follow::{Followed, follow};
use super::reason::masked;
use super::stop;
use crate::context::Context;
use crate::deployments::{
    Place, Session, Task, Variables, is_asked_from_elsewhere, kept_secrets, live_release, live_variables,
};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::{Args, Subcommand};
use cutover_child::Inherited;
use cutover_core::config::HostConfig;
use cutover_core::id::TargetName;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_reporters::log_text;
use cutover_targets::host::Layout;
use cutover_targets::service::{LogMark, LogPlace};
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Look at, enter, stop, start or restart the service itself
///
/// Examples:
///   cutover app production logs                        # the last 100 lines
///   cutover app production logs -n 1000 --target api
///   cutover app production logs -f                     # and what comes, of all hosts
///   cutover app production exec -- python manage.py check
///   cutover app production restart                     # under the lock, verified like a deployment
///   cutover app production stop                        # until it is started, or something is deployed
///   cutover app production start                       # what does not run; verified like a deployment
///   cutover app production restart --target worker     # of several targets only this one
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AppArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    pub(super) only: HostArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the last lines of the service's log, with secrets masked and without terminal escapes
    ///
    /// Masked is what the env files of the live release and of the kept ones have, and what is known here without running a
    /// command: environment variables and files.
    Logs {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
        /// Go on with what comes, across restarts and deployments, until Ctrl-C (exit code 130)
        #[arg(short, long)]
        follow: bool,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
    /// Run a command in the live release, with its env file's variables; its exit code is ours
    ///
    /// Where there is no such command that is 127, and 126 where it cannot be run, as a shell has it. Of several hosts it is
    /// the highest, and each whose own is not 0 is named with it.
    ///
    /// Of the caller's own environment it has what a service inherits: PATH, HOME, the user's name, locale, time zone.
    ///
    /// On this machine it has our terminal and our input. On another one it has neither: its input is empty, so that what asks
    /// something (a shell, a prompt) ends or fails at once. Give it all that it needs as arguments, or go there with `ssh -t`.
    Exec {
        /// The target, when there are several
        #[arg(long)]
        target: Option<String>,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Restart the service under the lock, verify it, and remember that
    Restart {
        #[command(flatten)]
        targets: TargetArgs,
        /// Why, for the history
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        waiting: WaitArgs,
    },
    /// Stop the service under the lock, and leave it stopped
    ///
    /// `start`, `restart`, `deploy` and `rollback` start it again; a deployment that fails leaves it stopped, as it was. So
    /// does a reboot, unless it is a systemd unit that is enabled: that one starts at boot. It is no deployment, so that the
    /// history does not have it; `cutover status` shows that the service does not run.
    Stop {
        #[command(flatten)]
        targets: TargetArgs,
        #[command(flatten)]
        waiting: WaitArgs,
    },
    /// Start the services that do not run under the lock, verify them, and remember that
    ///
    /// Targets where nothing is live yet are passed over.
    Start {
        #[command(flatten)]
        targets: TargetArgs,
        /// Why, for the history
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        waiting: WaitArgs,
    },
}

/// Which of the environment's targets are meant.
#[derive(Debug, Args)]
struct TargetArgs {
    /// Only this target; may be given several times
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
}

/// What a program must know of the terminal that it has.
const TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "NO_COLOR"];

/// The most of a log that is looked at, in bytes.
const LOG_BYTES_MAX: usize = 16 << 20;

impl AppArgs {
    /// The environment whose own machines answer it, and which of them.
    pub(super) fn asks(&self) -> Option<(&str, &HostArgs)> {
        match self.verb {
            Verb::Logs { .. } | Verb::Exec { .. } | Verb::Stop { .. } => Some((&self.environment, &self.only)),
            Verb::Restart { .. } | Verb::Start { .. } => None,
        }
    }

    /// The targets that are named; none where all are meant.
    fn targets(&self) -> &[String] {
        match &self.verb {
            Verb::Logs { target, .. } | Verb::Exec { target, .. } => target.as_slice(),
            Verb::Restart { targets, .. } | Verb::Stop { targets, .. } | Verb::Start { targets, .. } => &targets.target,
        }
    }

    /// The hosts that are asked: those that have what is meant.
    pub(super) fn hosts(&self, context: &Context) -> Result<Vec<String>, CommandError> {
        let (name, environment) = context.environment(&self.environment)?;
        let places = Place::narrowed(Place::all(name, environment)?, &self.only.host, self.targets())?;
        Ok(places.into_iter().map(|place| place.host.to_owned()).collect())
    }

    /// What hides the secrets that are known here in what hosts say their services logged.
    pub(super) fn masker(&self, context: &Context) -> Result<Masker, CommandError> {
        match self.verb {
            Verb::Logs { .. } => {
                let secrets = at_hand(context, &self.environment)?;
                Ok(Masker::new(secrets.iter().map(|(name, value)| (name.as_str(), value))))
            }
            Verb::Exec { .. } | Verb::Restart { .. } | Verb::Stop { .. } | Verb::Start { .. } => Ok(Masker::new([])),
        }
    }

    /// Says, to somebody at a terminal, that what is run elsewhere has none.
    pub(super) fn warn_of_no_terminal(&self, context: &Context) {
        if self.command().is_some() && !is_asked_from_elsewhere() && io::stdin().is_terminal() {
            let way = "pass what it needs as arguments, or use `ssh -t`";
            context
                .output
                .warn(&format!("on another machine the command has no terminal, and its input is empty: {way}"));
        }
    }

    /// The command that it runs, with an exit code of its own.
    pub(super) fn command(&self) -> Option<&[String]> {
        match &self.verb {
            Verb::Exec { command, .. } => Some(command),
            Verb::Logs { .. } | Verb::Restart { .. } | Verb::Stop { .. } | Verb::Start { .. } => None,
        }
    }

    /// Whether it goes on until it is stopped.
    pub(super) fn follows(&self) -> bool {
        matches!(self.verb, Verb::Logs { follow: true, .. })
    }

    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let mut session = Session::open_without_variables(context, &self.environment)?;
        session.narrow(&self.only.host, self.targets())?;
        match &self.verb {
            Verb::Logs { lines, follow, .. } => logs(context, &session, *lines, *follow),
            Verb::Exec { command, .. } => exec(context, &session, command),
            Verb::Restart { reason, waiting, .. } => {
                change(context, session, ("restart", &Task::Restart), reason, waiting)
            }
            Verb::Start { reason, waiting, .. } => change(context, session, ("start", &Task::Start), reason, waiting),
            Verb::Stop { waiting, .. } => stop::stop(context, &session, &with_service(&session)?, waiting),
        }
    }
}

/// One target's place.
type Chosen<'a> = (&'a TargetName, &'a HostConfig, Layout);

/// The targets that are meant.
fn chosen<'a>(session: &'a Session<'_>) -> Vec<Chosen<'a>> {
    session.place().layouts().collect()
}

/// Those of them that have a service.
fn with_service<'a>(session: &'a Session<'_>) -> Result<Vec<Chosen<'a>>, CommandError> {
    let mut chosen = chosen(session);
    chosen.retain(|(_, config, _)| config.service.is_some());
    if chosen.is_empty() { Err(no_service()) } else { Ok(chosen) }
}

fn names(session: &Session<'_>) -> String {
    session.place().targets.keys().map(TargetName::as_str).collect::<Vec<_>>().join(", ")
}

fn logs(context: &Context, session: &Session<'_>, lines: usize, follows: bool) -> Result<Exit, CommandError> {
    let chosen = with_service(session)?;
    if follows {
        return follow(context, &followed(context, session, &chosen)?, lines);
    }
    let at_hand = asked_here(context, session)?;
    for one @ (name, _, _) in &chosen {
        match log(context, session, one, &at_hand) {
            Ok(text) => tell_log(context, name, &text, lines)?,
            // One that cannot be read hides none of the others.
            Err(error) if chosen.len() > 1 => context.output.warn(&format!("{name}: {}", error.message())),
            Err(error) => return Err(error),
        }
    }
    Ok(Exit::Done)
}

/// The services whose logs can be read. One that cannot hides none of the others.
fn followed<'a>(
    context: &Context,
    session: &'a Session<'_>,
    chosen: &'a [Chosen<'a>],
) -> Result<Vec<Followed<'a>>, CommandError> {
    let secret_names = &session.variables.secret_names;
    let (mut followed, mut failures) = (Vec::new(), Vec::new());
    let at_hand = asked_here(context, session)?;
    for (name, config, layout) in chosen {
        let Some(service) = &config.service else { continue };
        let service = session.service(name, config, service, layout);
        match service.check_log().and_then(|()| masker(context, session, config, &at_hand)) {
            Ok(masker) => followed.push(Followed { name, config, service, secret_names, masker }),
            Err(failure) => failures.push((name, failure)),
        }
    }
    if followed.is_empty()
        && let Some((_, failure)) = failures.pop()
    {
        return Err(failure.into());
    }
    failures.iter().for_each(|(name, failure)| context.output.warn(&format!("{name}: {}", failure.message)));
    Ok(followed)
}

/// Hides the secrets that the live release and the kept ones run with, and those that are at hand where this was asked.
fn masker(
    context: &Context,
    session: &Session<'_>,
    config: &HostConfig,
    at_hand: &[(String, Secret)],
) -> Result<Masker, Failure> {
    let unread = |path: &Path| {
        let path = path.display();
        context
            .output
            .warn(&format!("{path} cannot be read: secrets that only it has are not hidden in what was logged"));
    };
    let kept = kept_secrets(config, &session.variables.secret_names, &unread)?;
    Ok(Masker::new(kept.iter().chain(at_hand).map(|(name, value)| (name.as_str(), value))))
}

/// The secrets that are at hand where this was asked: none on a host that answers for somebody else.
fn asked_here(context: &Context, session: &Session<'_>) -> Result<Vec<(String, Secret)>, CommandError> {
    if is_asked_from_elsewhere() { Ok(Vec::new()) } else { at_hand(context, session.place().name.as_str()) }
}

/// The environment's secrets that are known here.
fn at_hand(context: &Context, environment: &str) -> Result<Vec<(String, Secret)>, CommandError> {
    Ok(Variables::at_hand(context.environment(environment)?.1, &context.project()?.dir))
}

/// What a service logged, with its secrets masked.
fn log(
    context: &Context,
    session: &Session<'_>,
    (name, config, layout): &Chosen<'_>,
    at_hand: &[(String, Secret)],
) -> Result<String, CommandError> {
    let Some(service) = &config.service else { return Ok(String::new()) };
    let service = session.service(name, config, service, layout);
    service.check_log()?;
    let beginning = LogMark { at: jiff::Timestamp::UNIX_EPOCH, ..LogMark::now(LogPlace::Time) };
    let text = service.log_since(&beginning, LOG_BYTES_MAX)?;
    Ok(masker(context, session, config, at_hand)?.mask(&text))
}

fn tell_log(context: &Context, name: &TargetName, text: &str, lines: usize) -> Result<(), CommandError> {
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    if context.output.json {
        return context.output.json(&serde_json::json!({ "v": 1, "target": name, "lines": last }));
    }
    context.output.text(&last.iter().map(|line| log_text(line) + "\n").collect::<String>())
}

fn exec(context: &Context, session: &Session<'_>, command: &[String]) -> Result<Exit, CommandError> {
    let mut chosen = chosen(session).into_iter();
    let (Some((_, config, layout)), None) = (chosen.next(), chosen.next()) else {
        return Err(CommandError::new(ErrorKind::Usage, "name one target with --target")
            .hint(format!("there are: {}", names(session))));
    };
    let (program, arguments) =
        command.split_first().ok_or_else(|| CommandError::new(ErrorKind::Usage, "name a command"))?;
    live_release(&layout)?;
    let mut child = Command::new(program);
    // Here as on any host: what a service inherits and the release's own variables. The terminal is the caller's.
    child.env_clear().envs(Inherited::Services.variables()).args(arguments).current_dir(layout.current());
    child.envs(TERMINAL.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    child.envs(live_variables(config)?.iter().map(|(name, value)| (name, value.expose())));
    if is_asked_from_elsewhere() {
        // What comes in there is for Cutover, and does not end before the command does.
        child.stdin(Stdio::null());
    }
    // From here on this process is the command: terminal, signals and exit code are its own.
    let error = child.exec();
    let told = CommandError::new(ErrorKind::Failed, format!("run {program} in {}", layout.current().display()));
    told.because(&error).tell(&context.output);
    // As a shell ends: whoever asked can tell this from what the command itself ends with.
    std::process::exit(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE })
}

fn no_service() -> CommandError {
    CommandError::new(ErrorKind::Usage, "nothing runs here: no target has a service")
        .state("nothing was changed")
        .hint("`service` of a target in cutover.toml says what runs its releases")
}

fn change(
    context: &Context,
    mut session: Session<'_>,
    (purpose, task): (&str, &Task),
    reason: &str,
    waiting: &WaitArgs,
) -> Result<Exit, CommandError> {
    if session.place().targets.values().all(|config| config.service.is_none()) {
        return Err(no_service());
    }
    session.reason = masked(context, &session, reason)?;
    session.wait = waiting.limit();
    session.supersede = waiting.supersede();
    session.change(purpose, task)
}
