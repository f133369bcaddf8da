//! A change under the lock.

use super::session::{RunError, Session};
use cutover_artifacts::ArtifactBlobs;
use cutover_core::artifact::Manifest;
use cutover_core::id::{DeploymentId, ReleaseId};
use cutover_core::next::DeploymentOutcome;
use cutover_core::record::summarize;
use cutover_core::target::Failure;
use cutover_targets::host::planner::Wish;
use cutover_targets::host::transaction::{Ended, Transaction};
use cutover_targets::host::{HostPlan, Offer, linked};
use jiff::Timestamp;

/// A change that may be made: the lock is held, and whatever died before is dealt with.
pub(crate) struct Begun<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) transaction: Transaction<'a>,
    pub(super) id: DeploymentId,
    pub(super) now: Timestamp,
    /// Deployments that had died and were brought to an end.
    pub(crate) recovered: Vec<Ended>,
}

impl Begun<'_> {
    /// Fails when something that was recovered needs a person first.
    pub(crate) fn refuse_if_stuck(&self) -> Result<(), RunError> {
        let stuck = self.recovered.iter().find(|ended| ended.outcome == DeploymentOutcome::Stuck);
        stuck.map_or(Ok(()), |ended| {
            let (deployment, why) = (ended.plan.deployment.clone(), last_error(ended));
            Err(RunError::Stuck { deployment, why, may_be_retried: ended.may_be_retried() })
        })
    }

    /// What a plan is made from.
    pub(crate) fn wish<'w>(&'w self, by: &'w str) -> Wish<'w> {
        self.session.wish(self.id.clone(), self.now, by)
    }

    /// The release that is live on the first target.
    pub(crate) fn live(&self) -> Result<Option<ReleaseId>, Failure> {
        let first = self.session.place.layouts().next();
        first.map_or(Ok(None), |(_, _, layout)| linked(&layout.current()))
    }

    /// Whether every service runs.
    pub(crate) fn is_serving(&self) -> bool {
        self.session.place.layouts().all(|(name, config, layout)| {
            let Some(service) = &config.service else { return true };
            self.session.service(name, service, &layout).state().is_ok_and(|state| state.active)
        })
    }

    /// Drives a plan to its end and remembers it.
    pub(crate) fn run(&self, plan: HostPlan, artifact: Option<(&Manifest, &ArtifactBlobs)>) -> Result<Ended, RunError> {
        let offer = artifact.map(|(manifest, blobs)| Offer {
            id: manifest.id(),
            manifest: manifest.clone(),
            blobs,
            variables: self.session.variables.offered(),
        });
        let ended = self.transaction.run(plan, offer.as_ref())?;
        self.session.remember(&ended);
        Ok(ended)
    }
}

/// The failure that a person must deal with.
fn last_error(ended: &Ended) -> String {
    let record = ended.plan.erased().ok().map(|plan| summarize(&plan, &ended.records));
    let restore_failure = record.and_then(|record| record.restore_failure);
    restore_failure.map_or_else(
        || "a step that cannot be taken back was begun, and then it failed".to_owned(),
        |failure| failure.failure.message,
    )
}
