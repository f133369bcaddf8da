//! `cutover lock`.

use super::since::span;
use super::words;
use crate::context::Context;
use crate::deployments::{Place, asker};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::{Args, ValueEnum};
use cutover_targets::host::lock::{self, Holder};
use cutover_targets::host::{Layout, prepare_directories};
use jiff::SignedDuration;
use serde_json::json;

/// Show, set or release an environment's maintenance lock
///
/// While the maintenance lock is set, deployments and rollbacks of the environment are refused with
/// exit code 6, or wait with --wait. It has a reason, and it can expire by itself. The lock of a
/// running deployment is another one: the kernel holds it, so it ends with its process and needs no
/// releasing; `status` shows its holder and who waits.
///
/// Examples:
///   cutover lock production status
///   cutover lock production acquire --reason "database move" --for 2h
///   cutover lock production release
///
/// With --json: {"v":1,"deployment":…,"maintenance":…,"queue":[…]}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LockArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// What to do
    #[arg(value_enum)]
    verb: Verb,
    /// Why nothing shall be deployed
    #[arg(long, value_name = "TEXT", default_value = "maintenance")]
    reason: String,
    /// When the maintenance lock ends by itself: 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    expires: Option<SignedDuration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verb {
    /// Show who holds or waits for a lock
    Status,
    /// Set the maintenance lock
    Acquire,
    /// Release the maintenance lock
    Release,
}

impl LockArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let (name, environment) = context.environment(&self.environment)?;
        let place = Place::here(name, environment)?;
        for (_, _, layout) in place.layouts() {
            self.act(context, &layout)?;
        }
        Ok(Exit::Done)
    }

    fn act(&self, context: &Context, layout: &Layout) -> Result<(), CommandError> {
        match self.verb {
            Verb::Status => tell(context, layout),
            Verb::Acquire => self.acquire(context, layout),
            Verb::Release => release(context, layout),
        }
    }

    fn acquire(&self, context: &Context, layout: &Layout) -> Result<(), CommandError> {
        let now = context.now();
        if let Some(holder) = lock::maintenance(layout, now)?.filter(|holder| holder.by != asker()) {
            let message = format!("maintenance lock is held by {}: {}", holder.by, holder.reason);
            return Err(CommandError::new(ErrorKind::Locked, message).hint("`cutover lock ENV release` ends it"));
        }
        prepare_directories(layout)?;
        let until = self.expires.and_then(|span| now.checked_add(span).ok());
        let holder = Holder {
            by: asker(),
            reason: self.reason.clone(),
            deployment: None,
            pid: std::process::id(),
            since: now,
            until,
            supersedes: false,
        };
        lock::set_maintenance(layout, &holder)?;
        tell(context, layout)
    }
}

fn release(context: &Context, layout: &Layout) -> Result<(), CommandError> {
    let released = lock::release_maintenance(layout)?;
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "released": released }));
    }
    context.output.text(if released { "maintenance lock released\n" } else { "there was no maintenance lock\n" })
}

fn tell(context: &Context, layout: &Layout) -> Result<(), CommandError> {
    let (deployment, maintenance, queue) =
        (lock::holder(layout), lock::maintenance(layout, context.now())?, lock::queue(layout));
    if context.output.json {
        return context
            .output
            .json(&json!({ "v": 1, "deployment": deployment, "maintenance": maintenance, "queue": queue }));
    }
    let line = |what: &str, holder: &Holder| words::holder(what, holder, context.now()) + "\n";
    let mut text = String::new();
    text.extend(maintenance.iter().map(|holder| line("maintenance lock by", holder)));
    text.extend(deployment.iter().map(|holder| line("locked by", holder)));
    text.extend(queue.iter().map(|holder| line("waiting:", holder)));
    context.output.text(if text.is_empty() { "not locked\n" } else { &text })
}
