//! One target's place on this host, as a step sees it.

use super::action::Action;
use super::layout::Layout;
use super::release::Release;
use super::succession::Planned;
use crate::service;
use crate::supervisor::{ENV_BYTES_MAX, parse_env};
use cutover_core::artifact::{BlobSource, Digest, Manifest};
use cutover_core::config::VerifyConfig;
use cutover_core::id::{DeploymentId, ProjectName, ReleaseId, TargetName};
use cutover_core::mask::Masker;
use cutover_core::plan::{PlanKind, Step};
use cutover_core::secret::Secret;
use cutover_disk::read_regular;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the client brings for a deployment. A recovery has no offer: it lives on what the host has.
pub struct Offer<'a> {
    /// The artifact's id.
    pub id: Digest,
    /// What the artifact holds.
    pub manifest: Manifest,
    /// Where its blobs can be read.
    pub blobs: &'a dyn BlobSource,
    /// The environment's variables and secrets; None when they could not be had, which is not the same as having none.
    pub variables: Option<BTreeMap<String, Secret>>,
}

/// The program that supervises `process` services: Cutover itself.
#[derive(Debug, Clone)]
pub struct SupervisorProgram {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments before the supervisor's directory.
    pub arguments: Vec<String>,
}

/// Marks every command of a deployment, so that a recovery can end what outlived it.
pub(crate) const DEPLOYMENT_VARIABLE: &str = "CUTOVER_DEPLOYMENT";

/// Everything that a step may look at.
pub(crate) struct Site<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) target: &'a TargetName,
    pub(crate) release: &'a ReleaseId,
    pub(crate) original: Option<&'a ReleaseId>,
    pub(crate) deployment: &'a DeploymentId,
    pub(crate) kind: PlanKind,
    pub(crate) project: &'a ProjectName,
    pub(crate) environment: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) by: &'a str,
    pub(crate) made_at: Timestamp,
    pub(crate) offer: Option<&'a Offer<'a>>,
    pub(crate) supervisor: &'a SupervisorProgram,
    pub(crate) env_file: Option<PathBuf>,
    /// All that the plan does on this host.
    pub(crate) steps: &'a [Step<Action>],
    /// What the plan runs on this host, whichever target it is of.
    pub(crate) services: &'a [Planned],
    pub(crate) secret_names: &'a BTreeSet<String>,
    /// How the release's health will be observed.
    pub(crate) verify: Option<&'a VerifyConfig>,
}

impl Site<'_> {
    /// Whether what the service logs decides about its health.
    pub(crate) fn is_log_watched(&self) -> bool {
        self.verify.is_some_and(VerifyConfig::watches_log)
    }

    /// The place as services see it.
    pub(crate) fn service_site(&self) -> service::Site {
        service::Site {
            name: self.target.clone(),
            deploy_to: self.layout.root().to_owned(),
            env_file: self.env_file.clone(),
            supervisor_program: self.supervisor.program.clone(),
            supervisor_args: self.supervisor.arguments.clone(),
            masker: self.masker(),
            secret_names: self.secret_names.clone(),
        }
    }

    /// The release that was live before, as it describes itself.
    pub(crate) fn original_release(&self) -> Option<Release> {
        Release::read(self.layout, self.original?).ok()
    }

    /// What ran the release that was live before, as that release has it.
    pub(crate) fn original_service(&self) -> Option<service::Named> {
        let Release { target, service, .. } = self.original_release()?;
        let site = service::Site { name: target.unwrap_or_else(|| self.target.clone()), ..self.service_site() };
        Some(service::Named { config: service?, site })
    }

    /// Whether one of the plan's targets runs it on.
    pub(crate) fn is_run_on(&self, old: &service::Named) -> bool {
        self.services.iter().any(|planned| planned.runs_on(old))
    }

    /// The environment's variables as the host has them: staged for this deployment, else live, else as the release was
    /// live with them. Without an `env_file` only the last of these outlives the pruning.
    pub(crate) fn variables(&self) -> BTreeMap<String, Secret> {
        let live = self.env_file.as_ref().map(|file| self.layout.shared().join(file));
        let files = [Some(self.layout.staged_env(self.deployment)), live, Some(self.layout.release_env(self.release))];
        files.into_iter().flatten().find_map(|path| read_env(&path)).unwrap_or_default()
    }

    /// What hooks get besides the environment's variables.
    pub(crate) fn hook_variables(&self) -> BTreeMap<String, Secret> {
        let mut variables = self.variables();
        let own = [
            ("CUTOVER_ENVIRONMENT", self.environment),
            ("CUTOVER_TARGET", self.target.as_str()),
            ("CUTOVER_RELEASE", self.release.as_str()),
            (DEPLOYMENT_VARIABLE, self.deployment.as_str()),
            ("CUTOVER_COMMIT", self.commit),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), Secret::new(value))));
        variables
    }

    /// Masks the secrets that this host knows: these, and those of the release before, whose service may still speak.
    pub(crate) fn masker(&self) -> Masker {
        let live = self.env_file.as_ref().map(|file| self.layout.shared().join(file));
        let original = self.original.map(|original| self.layout.release_env(original));
        let before = live.into_iter().chain(original).filter_map(|path| read_env(&path));
        let known: Vec<_> = std::iter::once(self.variables()).chain(before).flatten().collect();
        let secrets = known.iter().filter(|(name, _)| self.secret_names.contains(name));
        Masker::new(secrets.map(|(name, value)| (name.as_str(), value)))
    }
}

/// The variables of an env file, if there is one. One that a person wrote for another reader is that reader's business.
fn read_env(path: &Path) -> Option<BTreeMap<String, Secret>> {
    let bytes = read_regular(path, ENV_BYTES_MAX).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(parse_env(&text).unwrap_or_default())
}
