//! The command line: global flags and the list of commands.

use crate::commands::Command;
use crate::exit::Exit;
use clap::{ArgAction, Args, Parser, ValueEnum};
use std::path::PathBuf;

/// From git push to healthy in production, and back by itself when it is not.
///
/// Cutover packs a commit into an artifact, places it as a release beside the live one, switches
/// atomically, restarts the service and watches its health. A release that is not healthy is
/// taken back by itself, and what happened is remembered.
///
/// A new project begins with `cutover init`, which looks at the repository and writes a commented
/// cutover.toml; `cutover demo` shows the whole on this machine in a folder of its own.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, propagate_version = true, after_long_help = Exit::table(), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print JSON: one object, or one a line where events come over time
    ///
    /// The format is stable; every object carries its version as "v". Errors come as
    /// {"v":1,"exit_code":…,"error":{…}} on the standard output too.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say more: what commands and probes say, and details of the steps
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Work as if started in this directory
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// The config, instead of the nearest cutover.toml in this directory or above
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// In pipes and files too
    Always,
    /// Not at all
    Never,
}
