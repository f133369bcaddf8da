//! Restart: the service is started anew on the release.

use super::hook::log_file;
use crate::host::action::Work;
use crate::host::release::{disk, read_json};
use crate::host::site::Site;
use crate::service::{self, LogMark, Retired, Service, ServiceState};
use cutover_core::config::ServiceConfig;
use cutover_core::id::DeploymentId;
use cutover_core::target::{Before, Failure, Outcome, Progress, tail};
use cutover_disk::write_atomic;
use serde::{Deserialize, Serialize};

/// What ran, and where its log stood.
#[derive(Debug, Serialize, Deserialize)]
struct RestartBefore {
    service: ServiceState,
    mark: LogMark,
}

/// What the verification needs to know of the restart before it.
#[derive(Debug, Serialize, Deserialize)]
struct RestartRecord {
    deployment: DeploymentId,
    mark: LogMark,
}

/// The most of a failed start's log that is kept, in bytes.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Reads what runs and where its log stands.
pub(crate) fn capture(site: &Site<'_>, config: &ServiceConfig) -> Result<Before, Failure> {
    let service = service::open(config, &site.service_site());
    let (service, mark) = service.state_and_mark(site.is_log_watched())?;
    Before::encode(&RestartBefore { service, mark })
}

/// Restarts the service.
pub(crate) fn apply(
    site: &Site<'_>,
    config: &ServiceConfig,
    before: &Before,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let before: RestartBefore = before.decode()?;
    let record = RestartRecord { deployment: site.deployment.clone(), mark: before.mark };
    let json = serde_json::to_vec(&record).map_err(|e| Failure::new(format!("encode the restart's record: {e}")))?;
    write_atomic(&site.layout.restart_record(site.target), &json, 0o600).map_err(disk)?;
    let left = replaced(site, config).filter(|replaced| !site.is_run_on(replaced) && !is_stopped_before(site));
    let remark = left.map_or(Ok(None), |left| put_down(left.open().as_ref(), progress))?;
    let service = service::open(config, &site.service_site());
    service.restart(progress)?;
    Ok(Outcome { warnings: remark.into_iter().collect(), ..Outcome::changed(service.state()?.description) })
}

/// Stops what this service takes over from: both would do the same work. Gives what somebody should see to besides.
fn put_down(replaced: &dyn Service, progress: &dyn Progress) -> Result<Option<String>, Failure> {
    match replaced.retire(progress)? {
        Retired::Gone(remark) => Ok(remark),
        Retired::Refused(refusal) => Err(refusal),
    }
}

/// The service that ran the live release, when the release to come runs in another one.
fn replaced(site: &Site<'_>, config: &ServiceConfig) -> Option<service::Named> {
    let new = service::Named { config: config.clone(), site: site.service_site() };
    site.original_service().filter(|old| !old.is_same(&new))
}

/// Whether a step of its own has stopped what ran, while its release was still live.
fn is_stopped_before(site: &Site<'_>) -> bool {
    site.steps.iter().any(|step| step.target == *site.target && matches!(step.action.work, Work::Stop))
}

/// Where the log stood before this deployment restarted the service; None when it did not.
pub(crate) fn mark(site: &Site<'_>) -> Option<LogMark> {
    let record: RestartRecord = read_json(&site.layout.restart_record(site.target)).ok()?;
    (record.deployment == *site.deployment).then_some(record.mark)
}

/// Keeps the log of the failed start before it is lost. The service itself is brought back by `hold`, once links
/// and env file are as they were; where that is another one, or none, this one is put down here, while its release, with which its
/// commands may come, is still live.
pub(crate) fn restore(
    site: &Site<'_>,
    config: &ServiceConfig,
    before: &Before,
    progress: &dyn Progress,
) -> Result<String, Failure> {
    let before: RestartBefore = before.decode()?;
    let service = service::open(config, &site.service_site());
    let kept = keep_log(site, service.as_ref(), &before.mark);
    let is_new = site.original_service().is_none() || replaced(site, config).is_some();
    if is_new && !before.service.active {
        put_out(service.as_ref(), progress)?;
    }
    Ok(kept)
}

/// Stops what shall not run. What could not be started need not be stoppable, nor what was stopped by commands that are gone by now; what
/// is not seen to run may run all the same, so that it is asked about only afterwards.
pub(super) fn put_out(service: &dyn Service, progress: &dyn Progress) -> Result<(), Failure> {
    let is_down = || service.state().is_ok_and(|state| !state.active && !state.wanted);
    service.stop(progress).or_else(|failure| if is_down() { Ok(()) } else { Err(failure) })
}

/// Gives where the log lies. Losing it on a full disk must not stop the way back.
fn keep_log(site: &Site<'_>, service: &dyn Service, mark: &LogMark) -> String {
    let log = service.log_since(mark, LOG_BYTES_MAX).unwrap_or_else(|failure| format!("({failure})\n"));
    let text = site.masker().mask(&log);
    let kept = log_file(site, "service").and_then(|path| {
        write_atomic(&path, tail(&text, LOG_BYTES_MAX).as_bytes(), 0o600).map_err(disk)?;
        Ok(path)
    });
    kept.map_or_else(
        |error| format!("the log of the failed start could not be kept: {error}"),
        |path| format!("log kept in {}", path.display()),
    )
}
