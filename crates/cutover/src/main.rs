//! From git push to healthy in production, and back by itself when it is not.

mod bounded;
mod checks;
mod cli;
mod commands;
mod context;
mod demo;
mod deployments;
mod depot;
mod diagnostics;
mod doctor;
mod error;
mod exit;
mod github;
mod init;
mod limits;
mod memory;
mod output;
mod panic;
mod release;
mod setup;
mod side_by_side;

use clap::Parser;
use cli::{Cli, ColorChoice, GlobalArgs};
use context::Context;
use error::{CommandError, ErrorKind};
use exit::Exit;
use output::Output;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The first file descriptor behind standard input, output and error.
const FIRST_INHERITED: i32 = 3;

fn main() -> ExitCode {
    let cli = Cli::try_parse();
    // A lock or pipe that the caller had open must not live on in a service that Cutover starts. Before any thread begins.
    // What becomes a service has the files that systemd gave it.
    if !cli.as_ref().is_ok_and(|cli| cli.command.becomes_another()) {
        close_fds::CloseFdsBuilder::new().cloexecfrom(FIRST_INHERITED);
    }
    limits::survive();
    limits::keep_strangers_out();
    panic::keep();
    match cli {
        Ok(cli) => run(&cli).into(),
        Err(error) => refuse(&error).into(),
    }
}

fn run(cli: &Cli) -> Exit {
    let output = Output::new(&cli.global);
    // Nothing of the command is used after a panic but the message that it left behind.
    let ended = catch_unwind(AssertUnwindSafe(|| perform(cli, output.clone())));
    let result = ended.unwrap_or_else(|_| Err(CommandError::bug(panic::last())));
    result.unwrap_or_else(|error| error.tell(&output))
}

fn perform(cli: &Cli, output: Output) -> Result<Exit, CommandError> {
    if let Some(directory) = &cli.global.directory {
        context::go_to(directory).map_err(|error| {
            CommandError::new(ErrorKind::Usage, format!("cannot change to directory {}", directory.display()))
                .because(&error)
        })?;
    }
    cli.command.run(&Context::new(&cli.global, output))
}

/// Tells what is wrong with the command line, or the help that was asked for.
fn refuse(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // Help that nobody reads any more is no failure.
        let _printed = error.print();
        return Exit::Done;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let global = GlobalArgs { json: true, verbose: 0, color: ColorChoice::Never, directory: None, config: None };
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return CommandError::new(ErrorKind::Usage, message).tell(&Output::new(&global));
    }
    let _printed = error.print();
    Exit::Usage
}
