//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use super::way_back::WayBack;
use crate::host::action::{Action, Holding, Work};
use crate::host::current::no_way_back;
use crate::host::left::{Planned, was_there};
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
    let own = old_service(site, holding.service.as_ref()).filter(|_| !is_another_targets(site, holding));
    let Some(service) = own else {
        return way.without_service().map(Restoration::from);
    };
    let service = service.as_ref();
    match &before.service {
        Some(was) if was.active && is_untouched(&way, was, &service.state()?) => {
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

/// Whether other targets of the plan take over this one's service: before it is looked at here, and afterwards.
fn who_takes_over(site: &Site<'_>) -> (bool, bool) {
    let Some(old) = site.original_service() else { return (false, false) };
    let is_here = |step: &Step<Action>| step.target == *site.target && matches!(step.action.work, Work::Hold(_));
    let takes_over = |step: &Step<Action>| {
        let Work::Restart(service) = &step.action.work else { return false };
        let is_other = step.target != *site.target;
        is_other && Planned::new(service, &step.target, &step.action.deploy_to, site.original).takes_over(&old)
    };
    let (before, after) = site.steps.split_at(site.steps.iter().position(is_here).unwrap_or(site.steps.len()));
    (before.iter().any(takes_over), after.iter().any(takes_over))
}

/// Whether this target had no service, and the one that it was to get was another target's, which brings it back itself.
fn is_another_targets(site: &Site<'_>, holding: &Holding) -> bool {
    let Some(new) = holding.service.as_ref().filter(|_| site.original_service().is_none()) else { return false };
    let new = Planned::new(new, site.target, site.layout.root(), site.original);
    let others = site.steps.iter().filter(|step| step.target != *site.target);
    let others = others.filter(|step| matches!(step.action.work, Work::Hold(_)));
    let mut theirs = others.filter_map(|step| was_there(&step.target, &step.action.deploy_to, site.original));
    theirs.any(|old| new.takes_over(&old))
}

/// The service as the live release has it; as the new one has it when nothing is live.
pub(super) fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_service().map(|service| service.open());
    recorded.or_else(|| Some(service::open(config?, &site.service_site())))
}
