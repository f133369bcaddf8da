//! `cutover app`.

use crate::context::Context;
use crate::deployments::{Session, asker};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::{Args, Subcommand};
use cutover_core::mask::Masker;
use cutover_reporters::log_text;
use cutover_targets::host::planner;
use cutover_targets::host::transaction::Recovery;
use cutover_targets::service::{LogMark, LogPlace};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Look at, enter or restart the service itself
///
/// Examples:
///   cutover app production logs                        # the last 100 lines
///   cutover app production logs -n 1000 --target api
///   cutover app production exec -- python manage.py shell
///   cutover app production restart                     # under the lock, verified like a deployment
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AppArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the last lines of the service's log, with secrets masked and without terminal escapes
    Logs {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
    },
    /// Run a command in the live release, with its env file's variables; its exit code is ours
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
        /// Why, for the history
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
}

/// The most of a log that is looked at, in bytes.
const LOG_BYTES_MAX: usize = 16 << 20;

impl AppArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let session = Session::open_without_variables(context, &self.environment)?;
        match &self.verb {
            Verb::Logs { lines, target } => logs(context, &session, *lines, target.as_deref()),
            Verb::Exec { target, command } => exec(&session, target.as_deref(), command),
            Verb::Restart { reason } => restart(session, reason),
        }
    }
}

fn logs(context: &Context, session: &Session<'_>, lines: usize, target: Option<&str>) -> Result<Exit, CommandError> {
    let wanted = session.place.layouts().filter(|(name, _, _)| target.is_none_or(|target| name.as_str() == target));
    for (name, config, layout) in wanted {
        let Some(service) = &config.service else { continue };
        let beginning = LogMark { at: jiff::Timestamp::UNIX_EPOCH, ..LogMark::now(LogPlace::Time) };
        let text = session.service(name, service, &layout).log_since(&beginning, LOG_BYTES_MAX)?;
        let masked = live_masker(session, &layout).mask(&text);
        let all: Vec<&str> = masked.lines().collect();
        let last = &all[all.len().saturating_sub(lines)..];
        if context.output.json {
            context.output.json(&serde_json::json!({ "v": 1, "target": name, "lines": last }))?;
        } else {
            let text: String = last.iter().map(|line| log_text(line) + "\n").collect();
            context.output.text(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// Masks the secrets that the live release runs with.
fn live_masker(session: &Session<'_>, layout: &cutover_targets::host::Layout) -> Masker {
    let variables = session.live_variables(layout);
    let secret_names = &session.variables.secret_names;
    Masker::new(
        variables.iter().filter(|(name, _)| secret_names.contains(*name)).map(|(name, value)| (name.as_str(), value)),
    )
}

fn exec(session: &Session<'_>, target: Option<&str>, command: &[String]) -> Result<Exit, CommandError> {
    let mut places = session.place.layouts().filter(|(name, _, _)| target.is_none_or(|target| name.as_str() == target));
    let (Some((_, _, layout)), None) = (places.next(), places.next()) else {
        return Err(CommandError::new(ErrorKind::Usage, "name one target with --target"));
    };
    let (program, arguments) =
        command.split_first().ok_or_else(|| CommandError::new(ErrorKind::Usage, "name a command"))?;
    let mut child = Command::new(program);
    child.args(arguments).current_dir(layout.current());
    child.envs(session.live_variables(&layout).iter().map(|(name, value)| (name, value.expose())));
    // From here on this process is the command: terminal, signals and exit code are its own.
    let error = child.exec();
    Err(CommandError::new(ErrorKind::Failed, format!("run {program} in {}", layout.current().display()))
        .because(&error))
}

fn restart(mut session: Session<'_>, reason: &str) -> Result<Exit, CommandError> {
    reason.clone_into(&mut session.reason);
    session.change("restart", Recovery::TakeBack, |begun| {
        begun.refuse_if_stuck()?;
        let live = begun.live().ok_or_else(|| {
            CommandError::new(ErrorKind::Usage, "nothing is live yet").hint("`cutover deploy` comes first")
        })?;
        let by = asker();
        let plan = planner::restart(&begun.wish(&by), &live, true)?;
        Ok(Some(begun.run(plan, None)?))
    })
}
