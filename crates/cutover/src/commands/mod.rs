//! One file per command. To add one: a file with its arguments, whose doc comment is its help, and
//! a line here.

mod build;
mod history;
mod logs;
mod metrics;
mod packing;
mod schema;
mod since;
mod table;
mod words;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(build::BuildArgs),
    History(history::HistoryArgs),
    Logs(logs::LogsArgs),
    Metrics(metrics::MetricsArgs),
    Schema(schema::SchemaArgs),
}

impl Command {
    /// Does what was asked for.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        match self {
            Self::Build(args) => args.run(context),
            Self::History(args) => args.run(context),
            Self::Logs(args) => args.run(context),
            Self::Metrics(args) => args.run(context),
            Self::Schema(args) => args.run(context),
        }
    }
}
