//! Which shared store there is, and who speaks to it.

use super::no_store;
use super::shelf::Shelf;
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use crate::github::{self, Account, store_token};
use cutover_artifacts::depot::{Credentials, Depot, Directory, Objects, S3, S3Access};
use cutover_core::config::ArtifactStoreKind;
use cutover_core::patience::Patience;
use cutover_core::secret::{S3_VARIABLES, Secret};
use cutover_reporters::github::RealPace;
use cutover_targets::verify::root_certs;
use std::time::Duration;

const KEY_ID_VARIABLE: &str = S3_VARIABLES[0];
const SECRET_VARIABLE: &str = S3_VARIABLES[1];
const TOKEN_VARIABLE: &str = S3_VARIABLES[2];

/// How much is borne of a store for what a command can do without: a request that has waited in vain is not sent again.
const BRIEF: Patience = Patience { request: Duration::from_secs(5), total: Duration::from_secs(10), attempt_count: 2 };

/// The project's shared store; None where its config has none.
pub(crate) fn open(context: &Context) -> Result<Option<Depot>, CommandError> {
    open_with(context, None)
}

/// The same, for words that a command can do without: a store that is silent must not keep it for minutes.
pub(super) fn open_briefly(context: &Context) -> Result<Option<Depot>, CommandError> {
    open_with(context, Some(BRIEF))
}

fn open_with(context: &Context, brief: Option<Patience>) -> Result<Option<Depot>, CommandError> {
    let (project, patience) = (context.project()?, brief.unwrap_or_default());
    let Some(store) = &project.config.artifact.store else { return Ok(None) };
    let objects: Box<dyn Objects> = match &store.kind {
        ArtifactStoreKind::Directory(path) => Box::new(Directory::open(path)?),
        ArtifactStoreKind::S3(config) => {
            let certs = root_certs().map_err(|why| CommandError::new(ErrorKind::Usage, why))?;
            let pace = Box::new(RealPace);
            let access = S3Access { credentials: Some(credentials()?), certs, pace, patience };
            Box::new(S3::new(config, access)?)
        }
        ArtifactStoreKind::GitHub(config) => {
            let account = Account::of_store(&project.dir, config.repository.as_deref())?;
            let account = account.map_err(|why| unreachable(&why))?;
            let shelf = Shelf::new(account.client_with(patience)?, &account.repository, &config.tag);
            Box::new(if brief.is_some() { shelf.briefly() } else { shelf })
        }
    };
    Ok(Some(Depot::new(objects, project.config.name.clone())))
}

/// The error of a store at GitHub that nobody can speak for.
fn unreachable(why: &str) -> CommandError {
    CommandError::new(ErrorKind::Usage, format!("the artifact store at GitHub cannot be spoken to: {why}"))
        .hint("GITHUB_TOKEN is a job's own token, or one of your own that may read and write contents of the repository")
        .hint("`repository` of [artifact.store.github] names another repository, and CUTOVER_ARTIFACTS_TOKEN is for that one")
}

/// The project's shared store, which the command is about.
pub(crate) fn needed(context: &Context) -> Result<Depot, CommandError> {
    open(context)?.ok_or_else(no_store)
}

/// Whether this process was given nothing that it could speak to the store with, as a job that runs what strangers wrote.
pub(super) fn is_without_credentials(context: &Context) -> bool {
    match kind(context) {
        Some(ArtifactStoreKind::S3(_)) => {
            [KEY_ID_VARIABLE, SECRET_VARIABLE].iter().all(|name| variable(name).is_none())
        }
        Some(ArtifactStoreKind::GitHub(config)) => store_token(config.repository.as_deref()).is_err(),
        Some(ArtifactStoreKind::Directory(_)) | None => false,
    }
}

/// Whether this is a CI's job for a pull request that was given nothing to speak to the store with: what nobody has looked at
/// yet is not shared.
pub(crate) fn is_kept_out(context: &Context) -> bool {
    is_of_pull_request() && is_without_credentials(context)
}

/// Whether this is a job of GitHub Actions for a pull request, or one of GitLab CI for a merge request.
/// <https://docs.gitlab.com/ci/variables/predefined_variables/>
pub(super) fn is_of_pull_request() -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|found| found == value);
    let is_at_github = is("GITHUB_ACTIONS", "true") && is("GITHUB_EVENT_NAME", "pull_request");
    is_at_github || is("GITLAB_CI", "true") && is("CI_PIPELINE_SOURCE", "merge_request_event")
}

/// Whether this is a job of GitHub Actions whose token also opens the store: what it may there is up to its `permissions`.
pub(super) fn is_job_of_store(context: &Context) -> bool {
    matches!(kind(context), Some(ArtifactStoreKind::GitHub(_))) && github::token().is_some()
}

fn kind(context: &Context) -> Option<&ArtifactStoreKind> {
    context.project().ok()?.config.artifact.store.as_ref().map(|store| &store.kind)
}

fn variable(name: &str) -> Option<String> {
    // A CI sets a variable and leaves it empty for a secret that it does not have.
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn credentials() -> Result<Credentials, CommandError> {
    let needed = |name: &str| {
        variable(name).ok_or_else(|| {
            CommandError::new(ErrorKind::Usage, format!("the artifact store needs credentials: {name} is not set"))
                .hint(format!(
                    "set {KEY_ID_VARIABLE} and {SECRET_VARIABLE}, and {TOKEN_VARIABLE} where they are for a while"
                ))
        })
    };
    let (key_id, secret) = (needed(KEY_ID_VARIABLE)?, Secret::new(needed(SECRET_VARIABLE)?));
    Ok(Credentials { key_id, secret, token: variable(TOKEN_VARIABLE).map(Secret::new) })
}
