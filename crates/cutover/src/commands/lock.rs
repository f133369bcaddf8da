//! `cutover lock`.

use super::HostArgs;
use super::reason::masked_here;
use super::since::span;
use super::words;
use crate::context::Context;
use crate::deployments::{Place, asker};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::{Args, ValueEnum};
use cutover_targets::host::lock::{self, Holder, LockError};
use cutover_targets::host::{Layout, prepare_directories};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// Why nothing shall be deployed, when nobody says it.
const REASON_DEFAULT: &str = "maintenance";

/// Show, set or release an environment's maintenance lock
///
/// While the maintenance lock is set, deployments and rollbacks of the environment are refused with
/// exit code 6, or wait with --wait. `app stop`, `start` and `restart` are refused to everybody but
/// whoever holds it, who has set it to work there. It has a reason, and it can expire by itself. The lock of a
/// running deployment is another one: the kernel holds it, so it ends with its process and needs no
/// releasing; `status` shows its holder and who waits.
///
/// Acquiring a lock that is yours already renews it: it then ends when --for says, or when it is
/// released, and keeps its reason unless there is a new one. What it was before is said. Somebody
/// else's is refused with exit code 6.
///
/// Examples:
///   cutover lock production status
///   cutover lock production acquire --reason "database move" --for 2h
///   cutover lock production release
///
/// With --json: {"v":1,"deployment":…,"maintenance":…,"queue":[…]}, and after a renewal
/// "renewed":… with the lock as it was.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LockArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// What to do
    #[arg(value_enum)]
    verb: Verb,
    /// Why nothing shall be deployed; "maintenance" when nothing is said
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// When the maintenance lock ends by itself: 90s, 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    expires: Option<SignedDuration>,
    #[command(flatten)]
    pub(super) only: HostArgs,
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
            Verb::Status => tell(context, layout, None),
            Verb::Acquire => self.acquire(context, layout),
            Verb::Release => release(context, layout),
        }
    }

    fn acquire(&self, context: &Context, layout: &Layout) -> Result<(), CommandError> {
        let now = context.now();
        let old = lock::maintenance(layout, now)?;
        if let Some(theirs) = old.as_ref().filter(|holder| holder.by != asker()) {
            return Err(LockError::Maintenance(Box::new(theirs.clone())).into());
        }
        prepare_directories(layout)?;
        let reason = self.reason.as_deref().map(|reason| masked_here(context, reason)).transpose()?;
        lock::set_maintenance(layout, &self.holder(reason, old.as_ref(), now))?;
        tell(context, layout, old.as_ref())
    }

    /// The lock as it is set now, in place of an older one of the same asker.
    fn holder(&self, reason: Option<String>, old: Option<&Holder>, now: Timestamp) -> Holder {
        let reason = reason.or_else(|| old.map(|old| old.reason.clone()));
        Holder {
            by: asker(),
            reason: reason.unwrap_or_else(|| REASON_DEFAULT.to_owned()),
            deployment: None,
            pid: std::process::id(),
            since: old.and_then(|old| old.since).or(Some(now)),
            until: self.expires.and_then(|span| now.checked_add(span).ok()),
            supersedes: false,
        }
    }
}

fn release(context: &Context, layout: &Layout) -> Result<(), CommandError> {
    let released = lock::release_maintenance(layout)?;
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "released": released }));
    }
    context.output.text(if released { "maintenance lock released\n" } else { "there was no maintenance lock\n" })
}

/// Tells who holds the locks and who waits; first what a maintenance lock was that has just been renewed.
fn tell(context: &Context, layout: &Layout, renewed: Option<&Holder>) -> Result<(), CommandError> {
    let (deployment, maintenance, queue) =
        (lock::holder(layout), lock::maintenance(layout, context.now())?, lock::queue(layout));
    if context.output.json {
        let mut told = json!({ "v": 1, "deployment": deployment, "maintenance": maintenance, "queue": queue });
        renewed.iter().for_each(|old| told["renewed"] = json!(old));
        return context.output.json(&told);
    }
    let line = |what: &str, holder: &Holder| words::holder(what, holder, context.now()) + "\n";
    let mut text = renewed.zip(maintenance.as_ref()).map_or_else(String::new, |(old, new)| renewal(old, new));
    text.extend(maintenance.iter().map(|holder| line("maintenance lock by", holder)));
    text.extend(deployment.iter().map(|holder| line("locked by", holder)));
    text.extend(queue.iter().map(|holder| line("waiting:", holder)));
    context.output.text(if text.is_empty() { "not locked\n" } else { &text })
}

fn renewal(old: &Holder, new: &Holder) -> String {
    let end = |holder: &Holder| holder.until.map_or_else(|| "when it is released".to_owned(), words::moment);
    format!("your maintenance lock is renewed: it was to end {}, now it ends {}\n", end(old), end(new))
}
