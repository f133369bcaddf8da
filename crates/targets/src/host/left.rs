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

/// A service that will not be needed any more.
pub(super) struct Left {
    name: String,
    successor: Option<String>,
}

impl Left {
    /// What runs the live release of a target, where nothing or another service runs the one to come, and none of the plan's
    /// targets runs it on.
    pub(super) fn by(
        target: &TargetName,
        config: &HostConfig,
        original: Option<&ReleaseId>,
        planned: &[Named],
    ) -> Option<Self> {
        let live = Release::read(&Layout::new(&config.deploy_to), original?).ok()?;
        let old = named(live.service.as_ref()?, live.target.as_ref().unwrap_or(target), &config.deploy_to);
        let new = config.service.as_ref().map(|service| named(service, target, &config.deploy_to));
        (!old.is_among(planned)).then(|| Self { name: old.told(), successor: new.map(|new| new.told()) })
    }

    /// Whether nothing takes over from it.
    pub(super) fn has_no_successor(&self) -> bool {
        self.successor.is_none()
    }

    /// What people should know beforehand.
    pub(super) fn remark(&self, target: &TargetName) -> String {
        let Self { name, successor } = self;
        let successor = successor.as_ref().map_or_else(String::new, |new| format!(", but {new}"));
        format!("{target}: stops {name}, which this release has no more{successor}")
    }
}
