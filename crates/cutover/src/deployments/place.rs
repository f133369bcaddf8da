//! Where an environment's targets are.

use crate::error::{CommandError, ErrorKind};
use cutover_core::config::{EnvironmentConfig, HostConfig, TargetConfig};
use cutover_core::id::{EnvironmentName, TargetName};
use cutover_targets::host::Layout;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The host name that means this machine.
const LOCALHOST: &str = "localhost";

/// What the config calls the machine that a question is answered on.
pub(super) const HERE_VARIABLE: &str = "CUTOVER_HERE";

/// Whether this process answers a question that came from elsewhere.
pub(crate) fn is_asked_from_elsewhere() -> bool {
    std::env::var_os(HERE_VARIABLE).is_some()
}

/// One environment with its targets on one host.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    /// Its name.
    pub(crate) name: &'a EnvironmentName,
    /// The host, as the config calls it.
    pub(crate) host: &'a str,
    /// Its targets.
    pub(crate) targets: BTreeMap<TargetName, &'a HostConfig>,
}

/// An environment that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It names no hosts.
    #[error("environment {0} has no hosts: there is nowhere to deploy to")]
    Empty(String),
    /// It is on other machines.
    #[error("environment {0} is on other machines")]
    Elsewhere(String),
    /// Two targets in one directory.
    #[error("targets {one} and {other} {why}")]
    Shared {
        /// A target.
        one: String,
        /// Another.
        other: String,
        /// What they have.
        why: String,
    },
}

impl<'a> Place<'a> {
    /// The environment's targets on each of its hosts, in the config's order. At least one.
    pub(crate) fn all(name: &'a EnvironmentName, environment: &'a EnvironmentConfig) -> Result<Vec<Self>, PlaceError> {
        let mut places: Vec<Self> = Vec::new();
        for (target, hosts) in &environment.hosts {
            for host in hosts {
                let at = places.iter().position(|place| place.host == host).unwrap_or_else(|| {
                    places.push(Self { name, host, targets: BTreeMap::new() });
                    places.len() - 1
                });
                places[at].add(environment, target)?;
            }
        }
        places.retain(|place| !place.targets.is_empty());
        if let Ok(here) = std::env::var(HERE_VARIABLE) {
            // A question is answered: this machine is one of the hosts, and the others are asked for themselves.
            places.retain(|place| place.host == here);
        }
        if places.is_empty() { Err(PlaceError::Empty(name.to_string())) } else { Ok(places) }
    }

    /// Those of these places that have one of these names, with no other targets; empty lists mean all.
    pub(crate) fn narrowed(places: Vec<Self>, hosts: &[String], targets: &[String]) -> Result<Vec<Self>, CommandError> {
        let there: BTreeSet<&str> =
            places.iter().flat_map(|place| place.targets.keys()).map(TargetName::as_str).collect();
        assert_known("target", targets, &there, &|name| there.contains(name))?;
        let is_host = |name: &str| places.iter().any(|place| place.is_called(name));
        assert_known("host", hosts, &places.iter().map(|place| place.host).collect(), &is_host)?;
        let is_meant = |place: &Self| hosts.is_empty() || hosts.iter().any(|name| place.is_called(name));
        let narrowed = places.into_iter().filter(is_meant).map(|mut place| {
            place.targets.retain(|name, _| targets.is_empty() || targets.iter().any(|meant| meant == name.as_str()));
            place
        });
        let narrowed: Vec<Self> = narrowed.filter(|place| !place.targets.is_empty()).collect();
        if narrowed.is_empty() {
            let (targets, hosts) = (targets.join(", "), hosts.join(", "));
            return Err(CommandError::new(ErrorKind::Usage, format!("{targets} is not on {hosts}")));
        }
        Ok(narrowed)
    }

    /// The environment's targets on this machine; an error when they are elsewhere.
    pub(crate) fn here(name: &'a EnvironmentName, environment: &'a EnvironmentConfig) -> Result<Self, PlaceError> {
        let here = Self::all(name, environment)?.into_iter().find(Self::is_here);
        here.ok_or_else(|| PlaceError::Elsewhere(name.to_string()))
    }

    /// Whether somebody who says this means its host: as the config has it, or without who logs in there.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.host == name || self.host.rsplit_once('@').is_some_and(|(_user, host)| host == name)
    }

    /// Whether it is this machine.
    pub(crate) fn is_here(&self) -> bool {
        self.host == LOCALHOST || std::env::var(HERE_VARIABLE).is_ok_and(|name| name == self.host)
    }

    fn add(&mut self, environment: &'a EnvironmentConfig, target: &TargetName) -> Result<(), PlaceError> {
        let Some(TargetConfig::Host(config)) = environment.targets.get(target) else { return Ok(()) };
        let collides = self.targets.iter().find_map(|(name, other)| Some((name, other.collides_with(config)?)));
        if let Some((other, why)) = collides {
            return Err(PlaceError::Shared { one: other.to_string(), other: target.to_string(), why });
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

fn assert_known(
    what: &str,
    names: &[String],
    there: &BTreeSet<&str>,
    is_known: &dyn Fn(&str) -> bool,
) -> Result<(), CommandError> {
    let unknown = names.iter().find(|name| !is_known(name));
    unknown.map_or(Ok(()), |unknown| {
        let there = there.iter().copied().collect::<Vec<_>>().join(", ");
        Err(CommandError::new(ErrorKind::Usage, format!("no {what} {unknown:?} in this environment"))
            .hint(format!("there are: {there}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::Config;

    #[test]
    fn only_the_hosts_of_the_targets_that_are_named_are_left() {
        let target = |name: &str| format!("[targets.{name}.host]\ndeploy_to = \"/srv/{name}\"\n");
        let hosts = "[environments.production.hosts]\napi = [\"web-1\", \"web-2\"]\nworker = [\"web-2\", \"back\"]\n";
        let config =
            Config::check(&format!("name = \"shop\"\n{}{}{hosts}", target("api"), target("worker"))).config.unwrap();
        let (name, environment) = config.environments.first_key_value().unwrap();
        let narrowed = |hosts: &[&str], targets: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let places = Place::all(name, environment).unwrap();
            let left =
                Place::narrowed(places, &names(hosts), &names(targets)).map_err(|error| error.message().to_owned())?;
            Ok(left
                .iter()
                .map(|place| format!("{} {}", place.host, place.targets.len()))
                .collect::<Vec<_>>()
                .join(", "))
        };
        let refused = |why: &str| Err::<String, String>(why.to_owned());
        assert_eq!(narrowed(&[], &[]), Ok("web-1 1, web-2 2, back 1".to_owned()));
        assert_eq!(narrowed(&[], &["worker"]), Ok("web-2 1, back 1".to_owned()));
        assert_eq!(narrowed(&["web-2"], &["worker", "api"]), Ok("web-2 2".to_owned()));
        assert_eq!(narrowed(&["back"], &["api"]), refused("api is not on back"));
        assert_eq!(narrowed(&[], &["apo"]), refused("no target \"apo\" in this environment"));
        assert_eq!(narrowed(&["web-3"], &[]), refused("no host \"web-3\" in this environment"));
    }
}
