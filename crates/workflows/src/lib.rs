//! The CI of Cutover's users: workflows for GitHub Actions and GitLab CI, made from a config.
//!
//! What is written is complete and is the user's to commit; nothing of it is made while it runs. Texts of the config are data
//! wherever they stand: never a part of a script, and an expression of the CI only where Cutover writes one. [`yaml`] writes,
//! [`actions`] lists what others made; the rest says what a workflow does. No disk, no network.

#![forbid(unsafe_code)]

pub mod actions;
mod badges;
mod expression;
mod github;
mod gitlab;
mod names;
mod scripts;
mod warnings;
pub mod yaml;

pub use badges::{Badge, github_badges, gitlab_badges};
pub use github::{github, needed_repository_secrets, needed_secrets, project_action, required_check};
pub use gitlab::gitlab;

use cutover_core::config::{ArtifactStoreKind, Config};
use cutover_core::secret::{ARTIFACTS_TOKEN_VARIABLE, S3_VARIABLES};

/// What the first line of every file begins with that is written, from whichever config.
pub const MARK: &str = "# Written by `cutover workflows` from ";

/// What workflows are made from.
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    /// What `cutover.toml` says.
    pub config: &'a Config,
    /// The directory of `cutover.toml` within the repository; None: its top. Nothing that GitHub would take for an expression:
    /// where it stands none can be, nor be said not to be one.
    pub directory: Option<&'a str>,
}

impl Project<'_> {
    /// The first line of every file that is written from this config, so that it is known again. Another config of the same
    /// repository has another one: neither takes the other's files for its own.
    pub fn mark(&self) -> String {
        let config = match self.directory {
            Some(directory) => format!("{:?}", format!("{directory}/cutover.toml")),
            None => "cutover.toml".to_owned(),
        };
        format!("{MARK}{config}. Change that, and run it again.")
    }
}

/// The secrets that a shared store of artifacts takes. Credentials that are for a while are no secrets of a CI's settings.
pub(crate) fn store_variables(config: &Config) -> &'static [&'static str] {
    const LASTING: &[&str] = &[S3_VARIABLES[0], S3_VARIABLES[1]];
    match config.artifact.store.as_ref().map(|store| &store.kind) {
        Some(ArtifactStoreKind::S3(_)) => LASTING,
        // A job's own token is for its own repository.
        Some(ArtifactStoreKind::GitHub(store)) if store.repository.is_some() => &[ARTIFACTS_TOKEN_VARIABLE],
        Some(ArtifactStoreKind::GitHub(_) | ArtifactStoreKind::Directory(_)) | None => &[],
    }
}

/// Whether artifacts are shared in a release of the repository itself, which a job's own token opens.
pub(crate) fn shares_in_own_release(config: &Config) -> bool {
    match config.artifact.store.as_ref().map(|store| &store.kind) {
        Some(ArtifactStoreKind::GitHub(store)) => store.repository.is_none(),
        Some(ArtifactStoreKind::S3(_) | ArtifactStoreKind::Directory(_)) | None => false,
    }
}

/// A file of a CI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the repository's top.
    pub path: String,
    /// All of it; begins with [`Project::mark`].
    pub text: String,
}

/// The files of a CI, and what to think of first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Every file, by path.
    pub files: Vec<File>,
    /// What will probably not work as it stands; sentences without a period.
    pub warnings: Vec<String>,
}

/// Every path that Cutover may have written earlier, for this CI: what is not rendered any more is in the way.
pub const GITHUB_PATHS: [&str; 7] = [
    ".github/actions/cutover/action.yml",
    github::CHECKS,
    github::DEPLOY,
    github::PULL_REQUEST,
    github::MANUAL,
    github::REPORT,
    github::ROLLBACK,
];

/// Like [`GITHUB_PATHS`], for GitLab.
pub const GITLAB_PATHS: [&str; 1] = [gitlab::PATH];
