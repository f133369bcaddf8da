//! `cutover deploy`.

use super::packing::{named, pack};
use super::reason::{joined, masked};
use super::required::OverrideArgs;
use super::words;
use super::work_tree::{warn_beside, warn_of_uncommitted};
use crate::context::Context;
use crate::deployments::{Host, Session, Task};
use crate::depot::{self, Noted, Revision};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use cutover_artifacts::{Artifact, PackSource};
use cutover_reporters::one_line;
use std::time::Duration;

/// Bring a commit live, and take it back by itself when it is not healthy
///
/// Packs the commit (HEAD unless told otherwise), takes the environment's lock, puts the release
/// together beside the live one, switches `current` atomically, restarts the service, and watches
/// its health. Up to the switch a failure touches nothing that runs. From the switch on, a failure
/// brings back links, env file and service together, and the old release is seen healthy before
/// anything is called rolled back.
///
/// A deployment that was killed half-way is taken back first. When nothing changed since the last
/// deployment, it says so and restarts nothing.
///
/// A commit or a tag that is named is not packed again when the store of `[artifact.store]` has its
/// artifact: what was built once is deployed everywhere.
///
/// With `artifact.signers` in cutover.toml, only what one of them has signed is deployed (exit code 5):
/// what is packed here is signed with the key of `build`. Where there is none, nothing is packed, and what one of
/// them has signed of the commit is deployed.
///
/// A commit that has not passed the environment's `required_checks` is refused (exit code 5).
///
/// Examples:
///   cutover deploy production                     # HEAD
///   cutover deploy production --commit v1.4.0     # a tag, a branch or a hash
///   cutover deploy production --tag v1.4.0        # a tag, and nothing else of that name
///   cutover deploy production --artifact 3fa9c1   # what was built before, byte for byte
///   cutover deploy production --artifact ./shop   # a file that `build --output` wrote elsewhere
///   cutover deploy production --dry-run           # check everything that changes nothing live
///   cutover deploy production --wait              # queue up behind a running deployment
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DeployArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    how: HowArgs,
}

/// How an artifact is brought live.
#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// Check everything that changes nothing live, show what would be done, and stop
    #[arg(long)]
    dry_run: bool,
    /// Restart the service even when nothing changed
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    required: OverrideArgs,
    #[command(flatten)]
    waiting: WaitArgs,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Which artifact is meant.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct WhatArgs {
    /// An artifact by its id or the beginning of it, or a file that `cutover build --output` wrote
    #[arg(long, value_name = "ID|FILE")]
    artifact: Option<String>,
    /// A commit: a branch, a tag, a hash
    #[arg(long, value_name = "REV")]
    commit: Option<String>,
    /// A tag: its commit's artifact
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    tag: Option<String>,
    /// The work tree with its uncommitted changes; the release is marked dirty
    #[arg(long)]
    dirty: bool,
}

/// Whether and how to wait for the lock.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Queue up when the environment is locked, for at most so many seconds (an hour when no number is given)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "3600")]
    wait: Option<u64>,
    /// Make older deployments in the queue give up in favour of this one
    #[arg(long, requires = "wait")]
    supersede: bool,
}

impl WaitArgs {
    /// How long to wait.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.wait.map(Duration::from_secs)
    }

    /// Whether older waiters give up.
    pub(crate) fn supersede(&self) -> bool {
        self.supersede
    }
}

impl DeployArgs {
    /// Deploys.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let session = Session::open(context, &self.environment)?;
        let connections = session.connect()?;
        let artifact = find_artifact(context, &self.what, depot::signed_instead)?;
        if depot::signers(context.project()?).is_some() {
            depot::vouch_here(context, &artifact).map_err(|error| error.state("nothing was deployed"))?;
        }
        self.how.bring(context, session, connections, &artifact)
    }
}

impl HowArgs {
    /// Brings an artifact live, when it has passed what is required.
    pub(super) fn bring(
        &self,
        context: &Context,
        mut session: Session<'_>,
        connections: Vec<Option<Host>>,
        artifact: &Artifact,
    ) -> Result<Exit, CommandError> {
        if let Some(signer) = depot::judge(context, artifact)?
            && !context.output.json
        {
            context.output.error(&format!("artifact {} is signed by {}\n", artifact.id.short(), one_line(&signer)))?;
        }
        let overridden = self.required.judge(context, session.place().name.as_str(), artifact)?;
        let overridden = overridden.map(|note| masked(context, &session, &note)).transpose()?;
        overridden.iter().for_each(|note| context.output.warn(note));
        let reason = masked(context, &session, &self.reason)?;
        let reasons = overridden.into_iter().chain(Some(reason).filter(|reason| !reason.is_empty()));
        session.reason = joined(&reasons.collect::<Vec<_>>());
        session.wait = self.waiting.limit();
        session.supersede = self.waiting.supersede();
        if self.dry_run {
            return super::plan::rehearse(context, &session, connections, artifact, self.restart);
        }
        let record = &artifact.record;
        let purpose = format!("deploy {} {}", words::commit(&record.commit, record.dirty), record.subject);
        // Before it is live: whoever dies on the way has noted it, and nobody prunes what is about to be live.
        depot::note(context, session.place().name, &artifact.id, Noted::Deploying);
        // Once this is live, it is the last one.
        let gone = session.gone();
        let exit = session.change_through(connections, purpose.trim(), &deployment(artifact, self.restart))?;
        session.warn_of_gone(&gone);
        Ok(exit)
    }
}

/// What brings an artifact live.
pub(super) fn deployment(artifact: &Artifact, restart: bool) -> Task {
    Task::Deploy {
        artifact: artifact.id,
        subject: artifact.record.subject.clone(),
        committed_at: artifact.record.committed_at,
        restart,
    }
}

/// The artifact that is meant: found by its id, or packed now, unless something else is found instead or that is refused.
pub(crate) fn find_artifact(
    context: &Context,
    what: &WhatArgs,
    instead: impl Fn(&Context, &PackSource) -> Result<Option<Artifact>, CommandError>,
) -> Result<Artifact, CommandError> {
    let named_revision = what.tag.as_deref().map(Revision::Tag).or(what.commit.as_deref().map(Revision::Any));
    if let Some(revision) = &named_revision
        && let Some(artifact) = depot::of_revision(context, revision)?
    {
        let _unknown = warn_of_uncommitted(context, None)?;
        return Ok(artifact);
    }
    let source = match (&what.artifact, &named_revision) {
        (Some(name), _) => {
            // An artifact is deployed from where there is no repository, too.
            let _unknown = warn_of_uncommitted(context, None)?;
            return named(context, name);
        }
        (None, _) if what.dirty => PackSource::WorkTree,
        (None, Some(revision)) => PackSource::Commit(revision.to_string()),
        (None, None) => PackSource::Commit("HEAD".to_owned()),
    };
    if let Some(artifact) = instead(context, &source)? {
        let _unknown = warn_of_uncommitted(context, Some(&source))?;
        return Ok(artifact);
    }
    let (artifact, unknown) = if context.project()?.config.artifact.build.is_some() {
        // Before the build, which may take a while: whoever forgot to commit wants to stop here.
        let unknown = warn_of_uncommitted(context, Some(&source))?;
        (pack(context, &source, false)?, unknown)
    } else {
        let (packed, unknown) = warn_beside(context, &source, || pack(context, &source, false))?;
        (packed?, unknown)
    };
    unknown.iter().for_each(|why| {
        context.output.warn(&format!("nobody knows whether there are uncommitted changes: {why}"));
    });
    Ok(artifact)
}
