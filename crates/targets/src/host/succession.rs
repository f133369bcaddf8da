//! Which services of a plan go on with what runs, and which of them were another target's before.

use super::action::{Action, Work};
use super::layout::Layout;
use super::release::Release;
use super::site::Site;
use crate::service::{self, Named};
use cutover_core::config::ServiceConfig;
use cutover_core::id::{ReleaseId, TargetName};
use cutover_core::plan::Step;
use std::path::Path;

/// A service by its place.
pub(in crate::host) fn named(config: &ServiceConfig, target: &TargetName, deploy_to: &Path) -> Named {
    Named { config: config.clone(), site: service::Site::to_look_at(target.clone(), deploy_to) }
}

/// A service that a plan runs.
pub(crate) struct Planned {
    service: Named,
    /// Whether its target ran none like it before: it may take over from another target's.
    is_new: bool,
}

impl Planned {
    pub(in crate::host) fn new(
        config: &ServiceConfig,
        target: &TargetName,
        deploy_to: &Path,
        original: Option<&ReleaseId>,
    ) -> Self {
        let service = named(config, target, deploy_to);
        let is_new = was_there(target, deploy_to, original).is_none_or(|old| !service.is_kept_from(&old));
        Self { service, is_new }
    }

    /// Whether this is what ran before. Two targets' commands may be the same words and mean a service each, as `docker compose down`
    /// does: one takes over from the other's only where it is new.
    pub(in crate::host) fn runs_on(&self, old: &Named) -> bool {
        self.service.is_same(old) || self.takes_over(old)
    }

    /// Whether it takes over what another target ran.
    pub(in crate::host) fn takes_over(&self, old: &Named) -> bool {
        self.is_new && (self.service.is_same(old) || self.service.is_stopped_alike(old))
    }
}

/// What ran a target's live release, as that release has it.
pub(in crate::host) fn was_there(target: &TargetName, deploy_to: &Path, original: Option<&ReleaseId>) -> Option<Named> {
    let live = Release::read(&Layout::new(deploy_to), original?).ok()?;
    Some(named(live.service.as_ref()?, live.target.as_ref().unwrap_or(target), deploy_to))
}

/// A service that a target of a plan takes over from another one.
pub(in crate::host) struct Taken {
    /// As the target that it was taken from ran it.
    pub(in crate::host) service: Named,
    /// Whether that one has its turn after who takes it. Its own way back may never begin then.
    pub(in crate::host) is_later: bool,
}

/// What this service of the site's target takes over.
pub(in crate::host) fn taken(site: &Site<'_>, config: &ServiceConfig) -> Option<Taken> {
    let new = Planned::new(config, site.target, site.layout.root(), site.original);
    let here = place(site)?;
    site.steps.iter().enumerate().find_map(|(at, step)| {
        if step.target == *site.target || !matches!(step.action.work, Work::Hold(_)) {
            return None;
        }
        let old = was_there(&step.target, &step.action.deploy_to, site.original)?;
        if !new.takes_over(&old) || keeps(site, &step.target, &old) {
            return None;
        }
        let place = service::Site { name: old.site.name, deploy_to: old.site.deploy_to, ..site.service_site() };
        Some(Taken { service: Named { config: old.config, site: place }, is_later: at > here })
    })
}

/// Whether other targets of the plan take over what the site's target ran: before it is looked at there, and afterwards.
pub(in crate::host) fn who_takes_over(site: &Site<'_>) -> (bool, bool) {
    let Some(old) = site.original_service().filter(|old| !keeps(site, site.target, old)) else { return (false, false) };
    let takes_over = |step: &Step<Action>| {
        let Work::Restart(service) = &step.action.work else { return false };
        let is_other = step.target != *site.target;
        is_other && Planned::new(service, &step.target, &step.action.deploy_to, site.original).takes_over(&old)
    };
    let (before, after) = site.steps.split_at(place(site).unwrap_or(site.steps.len()));
    (before.iter().any(takes_over), after.iter().any(takes_over))
}

/// Where the plan first looks at the site's target.
fn place(site: &Site<'_>) -> Option<usize> {
    site.steps.iter().position(|step| step.target == *site.target && matches!(step.action.work, Work::Hold(_)))
}

/// Whether a target of the plan goes on with what it ran.
fn keeps(site: &Site<'_>, target: &TargetName, old: &Named) -> bool {
    let mut own = site.steps.iter().filter(|step| step.target == *target);
    own.any(|step| {
        let Work::Restart(service) = &step.action.work else { return false };
        named(service, target, &step.action.deploy_to).is_kept_from(old)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::CommandLine;
    use std::time::Duration;

    fn by_commands(stop: &str, deploy_to: &str, is_new: bool) -> Planned {
        let shell = |line: &str| CommandLine::Shell(line.to_owned());
        let config = ServiceConfig::Command {
            restart: shell("start"),
            stop: shell(stop),
            status: shell("status"),
            pid_file: None,
            timeout: Duration::from_secs(1),
        };
        Planned { service: named(&config, &TargetName::new("web").unwrap(), Path::new(deploy_to)), is_new }
    }

    #[test]
    fn commands_of_two_places_are_one_service_where_the_same_words_stop_it_and_one_of_them_is_new() {
        let old = by_commands("ctl stop web", "/srv/web", false).service;
        let runs_on = |stop: &str, deploy_to: &str, is_new| by_commands(stop, deploy_to, is_new).runs_on(&old);

        assert!(runs_on("ctl halt web", "/srv/web", false));
        assert!(runs_on("ctl stop web", "/srv/api", true));
        assert!(!runs_on("ctl stop web", "/srv/api", false), "that one ran beside it");
        assert!(!runs_on("ctl stop api", "/srv/api", true));
    }
}
