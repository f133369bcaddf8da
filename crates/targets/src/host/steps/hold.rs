//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use super::way_back::WayBack;
use crate::host::action::{Action, Holding, Work};
use crate::host::current::no_way_back;
use crate::host::left::named;
use crate::host::release::linked;
use crate::host::site::Site;
use crate::service::{self, Service, ServiceState};
use cutover_core::config::ServiceConfig;
use cutover_core::id::ReleaseId;
use cutover_core::plan::Step;
use cutover_core::target::{Before, Failure, Outcome, Progress, Restoration, Unwinding};
use serde::{Deserialize, Serialize};

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
    no_way_back(site.layout, state.as_ref())?;
    Before::encode(&HoldBefore { live, service: state })
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
        Some(was) if was.active && !was_taken_over(site) && way.is_untouched(was, &service.state()?) => {
            way.kept_running(service).map(Restoration::from)
        }
        Some(was) if was.active => way.revive(service).map(Restoration::from),
        Some(was) if was.wanted && before.live.is_some() => Ok(way.try_to_revive(service)),
        Some(_) | None => way.stay_down(service),
    }
}

/// Whether another target of the plan had started this one's service anew before it was looked at: what ran then was the new release.
fn was_taken_over(site: &Site<'_>) -> bool {
    let is_here = |step: &&Step<Action>| step.target == *site.target && matches!(step.action.work, Work::Hold(_));
    let before = site.steps.iter().take_while(|step| !is_here(step));
    let restarted = before.filter_map(|step| {
        let Work::Restart(service) = &step.action.work else { return None };
        Some(named(service, &step.target, &step.action.deploy_to))
    });
    site.original_service().is_some_and(|old| old.is_among(&restarted.collect::<Vec<_>>()))
}

/// The service as the live release has it; as the new one has it when nothing is live.
pub(super) fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_service().map(|service| service.open());
    recorded.or_else(|| Some(service::open(config?, &site.service_site())))
}
