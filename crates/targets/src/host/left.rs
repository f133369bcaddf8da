//! The service that a release leaves behind: what is live runs in it, and what is to come does not.

use super::layout::Layout;
use super::release::Release;
use crate::service::{Named, Site};
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::id::{ReleaseId, TargetName};

/// A service that will not be needed any more.
pub(super) struct Left {
    name: String,
    successor: Option<String>,
}

impl Left {
    /// What runs the live release of a target, where nothing or another service runs the one to come.
    pub(super) fn by(target: &TargetName, config: &HostConfig, original: Option<&ReleaseId>) -> Option<Self> {
        let live = Release::read(&Layout::new(&config.deploy_to), original?).ok()?;
        let named = |config: &ServiceConfig, target: &TargetName, to: &HostConfig| Named {
            config: config.clone(),
            site: Site::to_look_at(target.clone(), &to.deploy_to),
        };
        let old = named(live.service.as_ref()?, live.target.as_ref().unwrap_or(target), config);
        let new = config.service.as_ref().map(|service| named(service, target, config));
        let is_kept = new.as_ref().is_some_and(|new| old.is_same(new));
        (!is_kept).then(|| Self { name: old.told(), successor: new.map(|new| new.told()) })
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
