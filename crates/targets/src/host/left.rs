//! The service that a release leaves behind: what is live runs in it, and what is to come does not.

use super::succession::{Planned, named, was_there};
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::id::{ReleaseId, TargetName};

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
