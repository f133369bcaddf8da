//! `cutover promote`.

use super::deploy::HowArgs;
use super::live::{Live, Purpose, places, verified};
use super::status;
use super::words;
use crate::context::Context;
use crate::deployments::Session;
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::{Artifact, ArtifactError};

/// What is live somewhere is to be live elsewhere, too.
const PURPOSE: Purpose = Purpose { done: "promoted", state: "nothing was deployed" };

/// Bring to one environment what another one has verified, byte for byte
///
/// Asks FROM's hosts what is live there now: it must be one artifact on all of them, found good by
/// a deployment, and its service must run. That artifact is deployed to TO, as `deploy` would;
/// nothing is built or packed again. TO has its own variables, hosts and `required_checks`.
/// `history` says where it was promoted from.
///
/// The artifact must be on this machine or in the store of `[artifact.store]`. `cutover build`
/// packs the same again from the same commit; `cutover deploy TO --artifact FILE` takes what was
/// exported elsewhere.
///
/// Examples:
///   cutover promote staging production
///   cutover promote staging production --dry-run           # show what would change, and stop
///   cutover promote staging production --reason "release 42"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PromoteArgs {
    /// The environment that has verified it
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment to bring it to
    #[arg(value_name = "TO")]
    pub(super) to: String,
    #[command(flatten)]
    how: HowArgs,
}

impl PromoteArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        if self.from == self.to {
            let why = format!("{} is both where it comes from and where it goes", self.from);
            return Err(CommandError::new(ErrorKind::Usage, why).state("nothing was deployed"));
        }
        let mut session = Session::open(context, &self.to)?;
        session.promoted_from = Some(context.environment(&self.from)?.0.clone());
        let connections = session.connect()?;
        let seen = status::seen(context, &self.from)?;
        let live = verified(&self.from, &places(context, &self.from)?, &seen, PURPOSE)?;
        let artifact = self.stored(context, &live)?;
        self.how.bring(context, session, connections, &artifact)
    }

    fn stored(&self, context: &Context, live: &Live) -> Result<Artifact, CommandError> {
        match context.artifacts()?.get(&live.artifact.to_string()) {
            Err(ArtifactError::NotFound(_)) => {
                if let Some(artifact) = depot::lacking(context, &live.artifact.to_string())? {
                    return Ok(artifact);
                }
                let (id, commit) = (live.artifact.short(), words::commit(&live.commit, false));
                let message = format!(
                    "artifact {id} of commit {commit}, live in {}, is not {}",
                    self.from,
                    depot::here_or_there(context)?
                );
                Err(CommandError::new(ErrorKind::Failed, message).state("nothing was deployed").hint(format!(
                    "`cutover build --commit {}` packs it again, with the same id where the build is reproducible; \
                     `cutover deploy {} --artifact FILE` takes what was exported where it was built",
                    live.commit, self.to
                )))
            }
            found => Ok(found?),
        }
    }
}
