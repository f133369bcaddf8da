//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use super::restart;
use super::way_back::WayBack;
use crate::host::action::Holding;
use crate::host::current::no_way_back;
use crate::host::release::linked;
use crate::host::site::Site;
use crate::host::succession::{taken, who_takes_over};
use crate::service::{self, Named, Service, ServiceState};
use cutover_core::config::ServiceConfig;
use cutover_core::id::ReleaseId;
use cutover_core::target::{Before, Failure, Outcome, Progress, Restoration, Unwinding};
use serde::{Deserialize, Serialize};

/// What ran.
#[derive(Debug, Serialize, Deserialize)]
struct HoldBefore {
    live: Option<ReleaseId>,
    service: Option<ServiceState>,
    /// What ran in a target that has its turn later, and is taken over from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<ServiceState>,
}

/// Reads what runs. Fails where there would be no way back to it.
pub(crate) fn capture(site: &Site<'_>, holding: &Holding) -> Result<Before, Failure> {
    let service = old_service(site, holding.service.as_ref());
    let state = service.as_ref().map(|service| service.state()).transpose()?;
    let live = linked(&site.layout.current())?;
    no_way_back(site.layout, state.as_ref())?;
    let taken = taken_from_later(site, holding).map(|taken| taken.open().state()).transpose()?;
    Before::encode(&HoldBefore { live, service: state, taken })
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
    let restored = restore_own(&way, holding, &before)?;
    give_back(&way, holding, &before)?;
    Ok(restored)
}

fn restore_own(way: &WayBack<'_>, holding: &Holding, before: &HoldBefore) -> Result<Restoration, Failure> {
    let Some(service) = old_service(way.site, holding.service.as_ref()) else {
        return way.without_service().map(Restoration::from);
    };
    let service = service.as_ref();
    match &before.service {
        Some(was) if was.active && is_untouched(way, was, &service.state()?) => {
            way.kept_running(service).map(Restoration::from)
        }
        Some(was) if was.active => way.revive(service).map(Restoration::from),
        Some(was) if was.wanted && before.live.is_some() => Ok(way.try_to_revive(service)),
        Some(_) | None => way.stay_down(service),
    }
}

/// Whether what runs is what ran. Another target that takes the service over starts it in its own place: where it did so before this one
/// was looked at, the new release ran even then; where it does so afterwards, its process tells, if that is known.
fn is_untouched(way: &WayBack<'_>, was: &ServiceState, now: &ServiceState) -> bool {
    let (before, after) = who_takes_over(way.site);
    let may_be_anothers = before || after && way.unwinding.went_on && now.main.is_none();
    !may_be_anothers && way.is_untouched(was, now)
}

/// What this target takes over from one that has its turn later.
fn taken_from_later(site: &Site<'_>, holding: &Holding) -> Option<Named> {
    let taken = taken(site, holding.service.as_ref()?).filter(|taken| taken.is_later)?;
    Some(taken.service)
}

/// Brings back what this target had taken over: the one that ran it has done so by now where it had its turn at all, but it need not
/// have had one. That one's words say it, in its place.
fn give_back(way: &WayBack<'_>, holding: &Holding, before: &HoldBefore) -> Result<(), Failure> {
    let Some(was) = before.taken.as_ref().filter(|_| restart::mark(way.site).is_some()) else { return Ok(()) };
    let Some(taken) = taken_from_later(way.site, holding) else { return Ok(()) };
    let service = taken.open();
    if !was.active {
        return way.stay_down(service.as_ref()).map(drop);
    }
    let now = service.state()?;
    let is_untouched = now.active && now.main.is_some() && now.main == was.main;
    if is_untouched { Ok(()) } else { way.give_back(service.as_ref()) }
}

/// The service as the live release has it; as the new one has it when nothing is live, unless that is another target's by now.
pub(super) fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_service().map(|service| service.open());
    let new = || config.filter(|config| taken(site, config).is_none());
    recorded.or_else(|| Some(service::open(new()?, &site.service_site())))
}
