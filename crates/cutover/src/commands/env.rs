//! `cutover env`.

use super::plan::VariableChanges;
use crate::context::Context;
use crate::deployments::Session;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::{Args, Subcommand};
use serde_json::json;

/// Compare an environment's variables and secrets with the live env file, by name
///
/// Values are never shown. The env file is written by `cutover deploy`, with the release that it
/// belongs to, and the old one is kept as `.env.bak.<time>`.
///
/// Examples:
///   cutover env production diff
///
/// With --json: {"v":1,"targets":{"app":{"added":[…],"changed":[…],"removed":[…]}}}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EnvArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Verb {
    /// Name the variables that the next deployment would add, change or remove
    Diff,
}

impl EnvArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        match self.verb {
            Verb::Diff => self.diff(context),
        }
    }

    fn diff(&self, context: &Context) -> Result<Exit, CommandError> {
        let session = Session::open(context, &self.environment)?;
        session.refuse_elsewhere()?;
        let wanted = &session.variables.values;
        let mut changes = Vec::new();
        for (name, config) in &session.place().targets {
            changes.push((name.to_string(), VariableChanges::of(config, wanted)?));
        }
        if context.output.json {
            let targets: serde_json::Map<_, _> =
                changes.into_iter().map(|(name, changes)| (name, json!(changes))).collect();
            context.output.json(&json!({ "v": 1, "targets": targets }))?;
            return Ok(Exit::Done);
        }
        for (name, changes) in changes {
            context.output.text(&format!("{name}: {}\n", changes.words()))?;
        }
        Ok(Exit::Done)
    }
}
