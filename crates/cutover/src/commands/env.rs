//! `cutover env`.

use super::previews::variable_words;
use super::seen::{alike, conclude, part};
use crate::context::Context;
use crate::deployments::{Session, VariableChanges};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::{Args, Subcommand};
use cutover_core::id::TargetName;
use serde_json::json;
use std::collections::BTreeMap;

/// Compare an environment's variables and secrets with the live env file, by name
///
/// Values are never shown. Of secrets whose values cannot be had here it is said whether they are new,
/// and that nobody here knows whether they are different. Each host's own file is looked at, and hosts that are alike are told of
/// together. The env file is written by `cutover deploy`, with the release that it
/// belongs to, and the old one is kept as `.env.bak.<time>`.
///
/// Examples:
///   cutover env production diff
///
/// With --json, a line for each host: {"v":1,"host":…,"targets":{"app":{"added":[…],"changed":[…],"removed":[…],"unknown":[…]}}}.
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
        let (session, unknown) = Session::open_for_look(context, &self.environment)?;
        let all = session.compare_variables(session.connect()?);
        let host_count = all.len();
        let (seen, unseen) = part(all);
        if context.output.json {
            for (host, targets) in seen {
                context.output.json(&json!({ "v": 1, "host": host, "targets": targets }))?;
            }
        } else {
            let text = |(hosts, changes): (Vec<&str>, &_)| {
                let hosts = if host_count > 1 { format!("{}:\n", hosts.join(", ")) } else { String::new() };
                hosts + &lines(changes)
            };
            context.output.text(&alike(&seen).into_iter().map(text).collect::<String>())?;
        }
        if let Some(unknown) = unknown {
            context.output.warn(&format!("{unknown}; a deployment would be refused"));
        }
        conclude(context, unseen)
    }
}

fn lines(targets: &BTreeMap<TargetName, VariableChanges>) -> String {
    targets.iter().map(|(name, changes)| format!("{name}: {}\n", variable_words(changes))).collect()
}
