//! When a deployment hurt what serves: opened, closed, and told.

use super::deployment::DeploymentRecord;
use super::report;
use super::row::finds_nothing_to_do;
use super::step::StepState;
use crate::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use crate::next::DeploymentOutcome;
use crate::plan::{Phase, PlanKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that served, or was to serve, was not healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name: `incident-` and the deployment that opened it.
    pub id: String,
    /// The project.
    pub project: ProjectName,
    /// Where.
    pub environment: EnvironmentName,
    /// The targets of the deployment.
    pub targets: Vec<TargetName>,
    /// The deployment that opened it.
    pub deployment: DeploymentId,
    /// The release that was taken back, or was to be.
    pub release: ReleaseId,
    /// Why it was opened, in one line.
    pub cause: String,
    /// When the deployment failed, was cancelled, or was asked to be taken back.
    pub opened_at: Timestamp,
    /// When health was back; None while it is not.
    pub closed_at: Option<Timestamp>,
    /// The deployment that brought health back.
    pub closed_by: Option<DeploymentId>,
    /// What happened, when, what probes and logs said, how it stands, what to do: Markdown.
    pub report: String,
}

/// The incident that this deployment opened, if it did.
///
/// It did when it had reached traffic and was rolled back; when it got stuck after a step that
/// changes what runs was begun; and when it is a person's rollback of what served to something earlier. A rollback
/// closes its own incident; what is still stuck is closed by `closing`, a later deployment that
/// [`closes`].
pub fn incident(record: &DeploymentRecord, closing: Option<&DeploymentRecord>) -> Option<Incident> {
    if !opens(record) {
        return None;
    }
    let closing = if record.outcome == Some(DeploymentOutcome::Stuck) { closing } else { Some(record) };
    let mut incident = Incident {
        id: format!("incident-{}", record.deployment),
        project: record.project.clone(),
        environment: record.environment.clone(),
        targets: record.targets.iter().map(|target| target.name.clone()).collect(),
        deployment: record.deployment.clone(),
        release: release(record),
        cause: cause(record),
        opened_at: opened_at(record),
        closed_at: closing.and_then(|closing| closing.ended_at),
        closed_by: closing.filter(|closing| closing.ended_at.is_some()).map(|closing| closing.deployment.clone()),
        report: String::new(),
    };
    incident.report = report::markdown(&incident, record);
    Some(incident)
}

/// Whether this deployment's end means that what serves was seen healthy: it closes what was open before it.
///
/// One that found nothing to do ends deployed too, but it has not looked.
pub fn closes(record: &DeploymentRecord) -> bool {
    match record.outcome {
        Some(DeploymentOutcome::Deployed) => {
            !finds_nothing_to_do(record.kind, &record.release, record.original.as_ref())
        }
        Some(DeploymentOutcome::RolledBack) => true,
        Some(DeploymentOutcome::Failed | DeploymentOutcome::Stuck) | None => false,
    }
}

/// All incidents of these deployments, which stand in the order in which they began.
///
/// A stuck deployment's incident is closed by the next deployment of its project and environment that [`closes`].
/// A person's rollback that closes one so does not open another.
pub fn incidents(records: &[DeploymentRecord]) -> Vec<Incident> {
    let mut found: Vec<Incident> = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let same =
            |other: &&DeploymentRecord| other.project == record.project && other.environment == record.environment;
        let closing = records[at + 1..].iter().filter(same).find(|later| closes(later));
        let mends = found.iter().any(|earlier| earlier.closed_by.as_ref() == Some(&record.deployment));
        if !(mends && is_by_hand(record)) {
            found.extend(incident(record, closing));
        }
    }
    found
}

/// Whether it is a person's rollback of what served, and ended well.
pub(crate) fn is_by_hand(record: &DeploymentRecord) -> bool {
    record.kind == PlanKind::Rollback && record.outcome == Some(DeploymentOutcome::Deployed)
}

/// Whether a person took back by it what served, for something earlier.
fn takes_back(record: &DeploymentRecord) -> bool {
    is_by_hand(record) && !record.forward && record.original.is_some()
}

fn opens(record: &DeploymentRecord) -> bool {
    let taken_back = record.switched && record.outcome == Some(DeploymentOutcome::RolledBack);
    let live_begun = record.steps.iter().any(|step| step.phase == Phase::Live && step.state != StepState::Pending);
    let was_stuck = record.stuck_at.is_some() && live_begun;
    let unfinished = record.outcome.is_none();
    (taken_back || was_stuck || takes_back(record)) && !unfinished
}

fn release(record: &DeploymentRecord) -> ReleaseId {
    let served = record.original.as_ref().filter(|_| is_by_hand(record));
    served.unwrap_or(&record.release).clone()
}

fn opened_at(record: &DeploymentRecord) -> Timestamp {
    let failed_at = record.failure.as_ref().map(|failure| failure.at);
    failed_at.or(record.cancelled_at).or(record.stuck_at).unwrap_or(record.began_at)
}

fn cause(record: &DeploymentRecord) -> String {
    let asked = if record.reason.is_empty() { "no reason given" } else { record.reason.as_str() };
    match (&record.failure, &record.restore_failure) {
        (Some(failure), _) => format!("{} on {}: {}", failure.name, failure.host, failure.failure.message),
        (None, _) if record.cancelled => format!("cancelled: {}", record.cancel_reason),
        (None, Some(failure)) => format!("restore {} on {}: {}", failure.name, failure.host, failure.failure.message),
        (None, None) => format!("rolled back by {}: {asked}", record.by),
    }
}
