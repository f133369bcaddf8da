//! `cutover rollback`.

use super::deploy::WaitArgs;
use crate::context::Context;
use crate::deployments::{Begun, Session};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_core::id::ReleaseId;
use cutover_targets::host::transaction::Recovery;
use cutover_targets::host::{HostPlan, Layout, Release, planner};

/// Bring an earlier release live again, with the env file that it had
///
/// Without a release it goes to the last good one before the live one, by the order in which
/// releases were made, never by times. The release that is left is marked bad, so that no later
/// rollback chooses it by itself; it can still be named. Nothing is built or received, so it takes
/// about as long as the service's restart. A release that turns out not to be healthy is taken
/// back, and what was live before the rollback is live again.
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
        session.reason.clone_from(&self.reason);
        session.wait = self.waiting.limit();
        session.supersede = self.waiting.supersede();
        session.change("rollback", Recovery::TakeBack, |begun| {
            begun.refuse_if_stuck()?;
            let plan = self.plan(begun)?;
            Ok(Some(begun.run(plan, None)?))
        })
    }

    fn plan(&self, begun: &Begun<'_>) -> Result<HostPlan, CommandError> {
        let by = crate::deployments::asker();
        let wish = begun.wish(&by);
        let release = match (&self.release, wish.targets.values().next()) {
            (Some(named), Some(config)) => find(&Layout::new(&config.deploy_to), named)?,
            (None, Some(config)) => planner::last_good(config)?,
            (_, None) => return Err(CommandError::new(ErrorKind::Config, "the environment has no targets")),
        };
        if begun.live()?.as_ref() == Some(&release) {
            return Err(CommandError::new(ErrorKind::Usage, format!("release {release} is live already"))
                .state("nothing was changed"));
        }
        Ok(planner::rollback(&wish, &release)?)
    }
}

/// The one release whose id is this or begins with it.
fn find(layout: &Layout, named: &str) -> Result<ReleaseId, CommandError> {
    let ids: Vec<ReleaseId> = Release::list(layout).into_iter().rev().map(|release| release.id).collect();
    // A release that is not listed can't be read: the plan says why.
    let exact = ReleaseId::new(named).ok().filter(|id| layout.release(id).is_dir());
    let fitting: Vec<&ReleaseId> = ids.iter().filter(|id| id.as_str().starts_with(named)).collect();
    match (exact, fitting.as_slice()) {
        (Some(id), _) => Ok(id),
        (None, [id]) => Ok((*id).clone()),
        (None, []) => Err(unknown(format!("no release {named:?} in {}", layout.releases().display()), &ids)),
        (None, _) => Err(unknown(format!("release {named:?} is ambiguous"), fitting)),
    }
}

fn unknown<'a>(what: String, ids: impl IntoIterator<Item = &'a ReleaseId>) -> CommandError {
    let ids: Vec<&str> = ids.into_iter().map(ReleaseId::as_str).collect();
    let there = if ids.is_empty() { "there are none yet".to_owned() } else { format!("there are: {}", ids.join(", ")) };
    CommandError::new(ErrorKind::Usage, what).state("nothing was changed").hint(there)
}
