//! The service that a release leaves behind: what is live runs in it, and what is to come does not.

use super::layout::Layout;
use super::release::Release;
use crate::service::{Named, Site};
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::id::{ReleaseId, TargetName};
use std::path::Path;

/// A service by its place.
pub(in crate::host) fn named(config: &ServiceConfig, target: &TargetName, deploy_to: &Path) -> Named {
    Named { config: config.clone(), site: Site::to_look_at(target.clone(), deploy_to) }
}

/// A service that a plan runs.
pub(crate) struct Planned {
    service: Named,
    /// Whether its target ran another one before, or none: it may take over from another target's.
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
        let is_new = was_there(target, deploy_to, original).is_none_or(|old| !old.is_same(&service));
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

/// A service that will not be needed any more.
pub(super) struct Left {
    name: String,
    is_by_commands: bool,
    successor: Option<String>,
}

impl Left {
    /// What runs the live release of a target, where nothing or another service runs the one to come, and none of the plan's
    /// targets runs it on.
    pub(super) fn by(
        target: &TargetName,
        config: &HostConfig,
        original: Option<&ReleaseId>,
        planned: &[Planned],
    ) -> Option<Self> {
        let old = was_there(target, &config.deploy_to, original)?;
        if planned.iter().any(|planned| planned.runs_on(&old)) {
            return None;
        }
        let new = config.service.as_ref().map(|service| named(service, target, &config.deploy_to));
        let is_by_commands = matches!(old.config, ServiceConfig::Command { .. });
        Some(Self { name: old.told(), is_by_commands, successor: new.map(|new| new.told()) })
    }

    /// Whether it ends before the new release is live: nothing takes over from it, or its own commands may come with its release.
    pub(super) fn ends_before(&self) -> bool {
        self.successor.is_none() || self.is_by_commands
    }

    /// What people should know beforehand.
    pub(super) fn remark(&self, target: &TargetName) -> String {
        let Self { name, successor, .. } = self;
        let successor = successor.as_ref().map_or_else(String::new, |new| format!(", but {new}"));
        format!("{target}: stops {name}, which this release has no more{successor}")
    }
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
