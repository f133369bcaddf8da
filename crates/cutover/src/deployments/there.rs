//! Commands that look at an environment on another machine: they are answered there, by the same command.

use super::identity::asker;
use super::letter::{Letter, Question};
use super::place::{HERE_VARIABLE, Place};
use super::session::{connect, supervisor};
use crate::context::{Context, home};
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Digest;
use cutover_disk::write_unsynced;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Flags that are about places here, and those that the answering command gets anew; all take a value.
const LEFT_OUT: [&str; 3] = ["-C", "--config", "--color"];

/// Has this command line answered where the environment is; None when that is here. Gives the exit code.
pub(crate) fn ask(
    context: &Context,
    environment: &str,
    args: &[String],
    output: &mut dyn Write,
) -> Result<Option<i32>, CommandError> {
    let (name, config) = context.environment(environment)?;
    let place = Place::of(name, config)?;
    if place.is_here() {
        return Ok(None);
    }
    let color = if context.output.has_color() { "always" } else { "never" };
    let args = ["--color", color].map(str::to_owned).into_iter().chain(stripped(args)).collect();
    ask_host(context, place.host, args, output).map(Some)
}

/// Has a command line answered on one host. Gives the exit code.
pub(crate) fn ask_host(
    context: &Context,
    name: &str,
    args: Vec<String>,
    output: &mut dyn Write,
) -> Result<i32, CommandError> {
    let host = connect(context, name, &supervisor()?)?;
    let config = context.config_text()?;
    host.ask(&Letter::Question(Question { config, host: name.to_owned(), args, by: asker() }), output)
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
    let failed = |what: &str, error: &dyn std::error::Error| CommandError::new(ErrorKind::Failed, what).because(error);
    let prepared = home().and_then(|home| {
        let dir = home.join("configs");
        let path = dir.join(format!("{}.toml", Digest::of(question.config.as_bytes()).short()));
        fs::create_dir_all(&dir).map_err(|error| failed("make a place for the config", &error))?;
        write_unsynced(&path, question.config.as_bytes(), 0o600)?;
        Ok((std::env::current_exe().map_err(|error| failed("find Cutover's own executable", &error))?, path))
    });
    let (program, path) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    let mut command = Command::new(program);
    command.arg("--config").arg(path).args(&question.args);
    command.env(HERE_VARIABLE, &question.host).env("CUTOVER_BY", &question.by);
    failed("run the command that answers", &command.exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_places_here_does_not_travel() {
        let strip = |line: &str| stripped(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
        assert_eq!(strip("-C /srv status production --json"), "status production --json");
        assert_eq!(strip("-C/srv --config=a.toml --color never app test logs -n 5"), "app test logs -n 5");
        assert_eq!(strip("app test exec -- ls -C x --config y"), "app test exec -- ls -C x --config y");
    }
}
