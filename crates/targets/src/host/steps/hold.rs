//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use crate::host::release::{Release, linked};
use crate::host::site::Site;
use crate::service::{self, Service, ServiceState};
use crate::verify::{self, Verification};
use cutover_core::config::ServiceConfig;
use cutover_core::id::ReleaseId;
use cutover_core::target::{Before, Failure, FailureKind, Outcome, Progress};
use serde::{Deserialize, Serialize};

/// What ran.
#[derive(Debug, Serialize, Deserialize)]
struct HoldBefore {
    live: Option<ReleaseId>,
    service: Option<ServiceState>,
}

/// Reads what runs.
pub(crate) fn capture(site: &Site<'_>, config: Option<&ServiceConfig>) -> Result<Before, Failure> {
    let service = old_service(site, config);
    let state = service.as_ref().map(|service| service.state()).transpose()?;
    Before::encode(&HoldBefore { live: linked(&site.layout.current())?, service: state })
}

/// Does nothing but say what runs.
pub(crate) fn apply(before: &Before) -> Result<Outcome, Failure> {
    let before: HoldBefore = before.decode()?;
    let live = before.live.map_or_else(|| "nothing is live".to_owned(), |id| format!("{id} is live"));
    Ok(Outcome::unchanged(match before.service {
        Some(state) => format!("{live}, {}", state.description),
        None => live,
    }))
}

/// Brings what ran to life again and sees it healthy.
pub(crate) fn restore(
    site: &Site<'_>,
    config: Option<&ServiceConfig>,
    before: &Before,
    progress: &dyn Progress,
) -> Result<String, Failure> {
    let before: HoldBefore = before.decode()?;
    let Some(service) = old_service(site, config) else { return Ok("no service to restart".to_owned()) };
    let was = before.service.as_ref().filter(|state| state.active);
    let (Some(live), Some(was)) = (&before.live, was) else {
        service.stop(progress)?;
        return Ok("service stopped, as before".to_owned());
    };
    let now = service.state()?;
    if now.active && now.main.is_some() && now.main == was.main {
        return Ok(format!("{live} kept running"));
    }
    revive(site, service.as_ref(), live, progress)
}

fn revive(
    site: &Site<'_>,
    service: &dyn Service,
    live: &ReleaseId,
    progress: &dyn Progress,
) -> Result<String, Failure> {
    let mark = service.log_mark();
    let advise = |error: Failure| {
        Failure { message: format!("bring release {live} back: {}", error.message), ..error }
            .kind(FailureKind::Unhealthy)
            .hint("current points to it again; find out why it is not healthy, then run `cutover resume`")
    };
    service.restart(progress).map_err(advise)?;
    let release = Release::read(site.layout, live)?;
    let Some(config) = release.verify else { return Ok(format!("{live} restarted")) };
    let verification = Verification {
        config: &config,
        service: Some(service),
        mark: &mark,
        restarted: true,
        release: &site.layout.release(live),
        variables: &site.hook_variables(),
        masker: &site.masker(),
    };
    verify::verify(&verification, progress).map_err(advise)?;
    Ok(format!("{live} is back and healthy"))
}

/// The service as the live release has it; as the new one has it when nothing is live.
fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_release().and_then(|release| release.service);
    recorded.as_ref().or(config).map(|config| service::open(config, &site.service_site()))
}
