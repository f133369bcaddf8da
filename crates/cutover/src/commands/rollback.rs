//! `cutover rollback`.

use super::deploy::WaitArgs;
use super::reason::masked;
use crate::context::Context;
use crate::deployments::{Session, Task};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;

/// Bring an earlier release live again, with the env file that it had
///
/// Without a release it goes to the last good one before the live one, by the order in which
/// releases were made, never by times. The release that is left is marked bad, so that no later
/// rollback chooses it by itself; it can still be named. Where a deployment was left unfinished after its
/// release had been live, it is taken back, and that is all. Naming one that was made after the live
/// one undoes a rollback: it is good again once it is healthy, and what is left is not marked.
/// Of several hosts, those that are on it already stay as they are.
/// Nothing is built or received, so it takes about as long as the service's restart. A release that
/// turns out not to be healthy is taken back, and what was live before the rollback is live again.
///
/// Examples:
///   cutover rollback production                          # to the last good release
///   cutover rollback production 20261121101500-a1b2c3d   # to this one
///   cutover rollback production 202611211015             # the same, when no other begins like this
///   cutover releases production                          # which there are
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RollbackArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// The release to go to, by its id or the beginning of it; the last good one when none is named
    #[arg(value_name = "RELEASE")]
    release: Option<String>,
    #[command(flatten)]
    waiting: WaitArgs,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl RollbackArgs {
    /// Rolls back.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let mut session = Session::open_without_variables(context, &self.environment)?;
        session.reason = masked(context, &session, &self.reason)?;
        session.wait = self.waiting.limit();
        session.supersede = self.waiting.supersede();
        let task = Task::Rollback { release: self.release.clone() };
        session.look_back(&task)?;
        session.change("rollback", &task)
    }
}
