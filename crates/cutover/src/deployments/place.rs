//! Which targets of an environment are on this machine.

use cutover_core::config::{EnvironmentConfig, HostConfig, TargetConfig};
use cutover_core::id::{EnvironmentName, TargetName};
use cutover_targets::host::Layout;
use std::collections::BTreeMap;
use std::path::Path;

/// The host name that means this machine.
const LOCALHOST: &str = "localhost";

/// One environment with its targets on this machine.
pub(crate) struct Place<'a> {
    /// Its name.
    pub(crate) name: &'a EnvironmentName,
    /// Its configuration.
    pub(crate) environment: &'a EnvironmentConfig,
    /// Its targets.
    pub(crate) targets: BTreeMap<TargetName, &'a HostConfig>,
}

/// An environment that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It names no hosts.
    #[error("environment {0} has no hosts: there is nowhere to deploy to")]
    Empty(String),
    /// A host that is another machine.
    #[error("target {target} of environment {environment} is on {host}: this version deploys to localhost only")]
    Remote {
        /// The environment.
        environment: String,
        /// The target.
        target: String,
        /// The host.
        host: String,
    },
    /// Two targets in one directory.
    #[error("targets {one} and {other} have the same deploy_to {path}")]
    Shared {
        /// A target.
        one: String,
        /// Another.
        other: String,
        /// Their directory.
        path: String,
    },
}

impl<'a> Place<'a> {
    /// The environment's targets on this machine.
    pub(crate) fn of(name: &'a EnvironmentName, environment: &'a EnvironmentConfig) -> Result<Self, PlaceError> {
        let mut place = Self { name, environment, targets: BTreeMap::new() };
        for (target, hosts) in &environment.hosts {
            place.add(target, hosts)?;
        }
        if place.targets.is_empty() { Err(PlaceError::Empty(name.to_string())) } else { Ok(place) }
    }

    fn add(&mut self, target: &TargetName, hosts: &[String]) -> Result<(), PlaceError> {
        if let Some(host) = hosts.iter().find(|host| *host != LOCALHOST) {
            return Err(PlaceError::Remote {
                environment: self.name.to_string(),
                target: target.to_string(),
                host: host.clone(),
            });
        }
        let Some(TargetConfig::Host(config)) = self.environment.targets.get(target).filter(|_| !hosts.is_empty())
        else {
            return Ok(());
        };
        if let Some((other, _)) = self.targets.iter().find(|(_, other)| other.deploy_to == config.deploy_to) {
            let path = config.deploy_to.display().to_string();
            return Err(PlaceError::Shared { one: other.to_string(), other: target.to_string(), path });
        }
        self.targets.insert(target.clone(), config);
        Ok(())
    }

    /// Each target's directory.
    pub(crate) fn directories(&self) -> Vec<&'a Path> {
        self.targets.values().map(|config| config.deploy_to.as_path()).collect()
    }

    /// Each target with the paths under its directory.
    pub(crate) fn layouts(&self) -> impl Iterator<Item = (&TargetName, &'a HostConfig, Layout)> {
        self.targets.iter().map(|(name, config)| (name, *config, Layout::new(&config.deploy_to)))
    }
}
