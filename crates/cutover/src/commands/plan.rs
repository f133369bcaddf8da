//! `cutover plan`, and the rehearsal of `cutover deploy --dry-run`.

use super::deploy::{WhatArgs, deployment, find_artifact};
use super::previews;
use super::required::{lacking, listed};
use crate::context::Context;
use crate::deployments::{Host, Session, audit};
use crate::depot;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::Artifact;
use std::cell::RefCell;

/// Show what a deployment would do and what would change; touch nothing
///
/// Lists the steps in their order and draws the line from which on traffic is concerned. A step that
/// cannot be taken back (a migration without `down`) is marked: from there on a failure needs a
/// person. Files are compared with the live release, variables by name only; a secret whose value cannot
/// be had here is taken to be as it is where it is live.
///
/// The plan is made where the release would go, as a deployment makes it. Hosts that would do the
/// same are told of together, in the order in which they would be switched.
///
/// Examples:
///   cutover plan production                   # HEAD
///   cutover plan production --commit v1.4.0   # a tag, a branch or a hash
///   cutover plan production --json            # the same for machines
///
/// With --json, a line for each host:
/// {"v":1,"host":…,"wave":…,"release":…,"original":…,"steps":[…],"files":{"app":{"added":…}},"unchanged":…}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PlanArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(flatten)]
    what: WhatArgs,
}

impl PlanArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let (session, unknown) = Session::open_for_look(context, &self.environment)?;
        let connections = session.connect()?;
        let unsignable = RefCell::new(None);
        let artifact = find_artifact(context, &self.what, |context, source| {
            // Why a deployment would be refused is told below.
            Ok(depot::signed_instead(context, source).unwrap_or_else(|error| {
                unsignable.replace(Some(error));
                None
            }))
        })?;
        let seen = session.preview(connections, &artifact, &deployment(&artifact, false), false)?;
        let rest = previews::tell(context, seen)?;
        warn(context, &session, &artifact)?;
        session.warn_of_gone(&session.gone());
        if let Some(unknown) = unknown {
            context.output.warn(&format!("a deployment would be refused: {unknown}"));
        }
        let lacking = lacking(context, &self.environment, &artifact)?;
        if !lacking.is_empty() {
            context.output.warn(&format!("a deployment would be refused: {}", listed(&lacking)));
        }
        // What a deployment would sign needs no signature yet.
        let is_signed_then = depot::can_sign(context, &artifact)?;
        let unsigned = if is_signed_then { unsignable.take() } else { depot::judge(context, &artifact).err() };
        if let Some(error) = unsigned {
            context.output.warn(&format!("a deployment would be refused: {}", error.message()));
        }
        rest.tell(context)
    }
}

/// Says where secrets lie open.
fn warn(context: &Context, session: &Session<'_>, artifact: &Artifact) -> Result<(), CommandError> {
    let blobs = context.artifacts()?.blobs()?;
    let mut warnings = audit::artifact_warnings(session.place(), &session.variables, &artifact.manifest, &blobs);
    warnings.extend(audit::unignored(session.place(), &artifact.manifest, &context.project()?.dir));
    warnings.iter().for_each(|warning| context.output.warn(warning));
    Ok(())
}

/// Shows the plan and checks everything that can be checked without changing anything.
pub(super) fn rehearse(
    context: &Context,
    session: &Session<'_>,
    connections: Vec<Option<Host>>,
    artifact: &Artifact,
    restart: bool,
) -> Result<Exit, CommandError> {
    let seen = session.preview(connections, artifact, &deployment(artifact, restart), true)?;
    let rest = previews::tell(context, seen)?;
    warn(context, session, artifact)?;
    rest.tell_rehearsed(context)
}
