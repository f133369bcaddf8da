//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use super::way_back::WayBack;
use crate::host::action::Holding;
use crate::host::layout::Layout;
use crate::host::release::linked;
use crate::host::site::Site;
use crate::process::cwd_of;
use crate::service::{self, Service, ServiceState};
use cutover_core::config::ServiceConfig;
use cutover_core::id::ReleaseId;
use cutover_core::target::{Before, Failure, Outcome, Progress, Restoration, Unwinding};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What ran.
#[derive(Debug, Serialize, Deserialize)]
struct HoldBefore {
    live: Option<ReleaseId>,
    service: Option<ServiceState>,
}

/// Reads what runs. Fails where there would be no way back to it.
pub(crate) fn capture(site: &Site<'_>, holding: &Holding) -> Result<Before, Failure> {
    let service = old_service(site, holding.service.as_ref());
    let state = service.as_ref().map(|service| service.state()).transpose()?;
    let live = linked(&site.layout.current())?;
    match &live {
        Some(live) => assert_there(site.layout, live)?,
        None => assert_no_release_runs(site.layout, state.as_ref())?,
    }
    Before::encode(&HoldBefore { live, service: state })
}

fn assert_there(layout: &Layout, live: &ReleaseId) -> Result<(), Failure> {
    if layout.release(live).is_dir() {
        return Ok(());
    }
    let current = layout.current();
    Err(Failure::new(format!("{} points to release {live}, which is not there", current.display())).hint(format!(
        "nothing was touched, for there would be no way back; point it to a release that is there, \
         or remove it (`rm {}`) to deploy without one",
        current.display()
    )))
}

/// A release that runs, and that no link leads to, could not be started again.
fn assert_no_release_runs(layout: &Layout, state: Option<&ServiceState>) -> Result<(), Failure> {
    let running = state.and_then(|state| cwd_of(state.main.as_ref()?.pid));
    let Some(release) = running.filter(|cwd| cwd.is_dir() && is_release(layout, cwd)) else { return Ok(()) };
    let (current, name) = (layout.current(), release.file_name().unwrap_or_default().to_string_lossy().into_owned());
    Err(Failure::new(format!("the service runs in {}, and {} is missing", release.display(), current.display())).hint(
        format!(
            "nothing was touched, for there would be no way back; make the link again: \
             `ln -s releases/{name} {}`",
            current.display()
        ),
    ))
}

fn is_release(layout: &Layout, cwd: &Path) -> bool {
    let releases = layout.releases().canonicalize();
    releases.is_ok_and(|releases| cwd.parent() == Some(releases.as_path()))
}

/// Does nothing but say what runs.
pub(crate) fn apply(holding: &Holding, before: &Before) -> Result<Outcome, Failure> {
    let before: HoldBefore = before.decode()?;
    let live = before.live.map_or_else(|| "nothing is live".to_owned(), |id| format!("{id} is live"));
    let mut outcome = Outcome::unchanged(match before.service {
        Some(state) => format!("{live}, {}", state.description),
        None => live,
    });
    outcome.warnings.clone_from(&holding.remarks);
    Ok(outcome)
}

/// Brings what ran to life again. Where a release had been switched to, what runs now is seen healthy as well.
pub(crate) fn restore(
    site: &Site<'_>,
    holding: &Holding,
    before: &Before,
    unwinding: Unwinding,
    progress: &dyn Progress,
) -> Result<Restoration, Failure> {
    let before: HoldBefore = before.decode()?;
    let way = WayBack { site, live: before.live.as_ref(), verify: holding.verify.as_ref(), unwinding, progress };
    let Some(service) = old_service(site, holding.service.as_ref()) else {
        return way.without_service().map(Restoration::from);
    };
    let service = service.as_ref();
    match &before.service {
        Some(was) if was.active && way.is_untouched(was, &service.state()?) => {
            way.kept_running(service).map(Restoration::from)
        }
        Some(was) if was.active => way.revive(service).map(Restoration::from),
        Some(was) if was.wanted && before.live.is_some() => Ok(way.try_to_revive(service)),
        Some(_) | None => way.stay_down(service),
    }
}

/// The service as the live release has it; as the new one has it when nothing is live.
fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_service().map(|service| service.open());
    recorded.or_else(|| Some(service::open(config?, &site.service_site())))
}
