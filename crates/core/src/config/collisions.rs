//! Two places that are one: deployments that would replace each other's releases, or restart each other's unit. Or whose probes
//! ask at one port, so that one of the two would be judged by the other's service.

use super::environment::MergedTargets;
use super::kind::Node;
use super::places::{machine, split_port};
use super::sink::{Sink, show};
use super::{HostConfig, ProbeConfig, ProbeKind, ProbeOwner, ServiceConfig, SystemdScope, TargetConfig};
use crate::id::TargetName;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use toml::de::DeTable;

/// The most places that are compared; only a text with far more hosts than a fleet has comes to more.
const PLACE_COUNT_MAX: usize = 20_000;

/// The most probes of a place that are compared.
const PROBE_COUNT_MAX: usize = 50;
/// Names of the machine that asks, by which whoever listens at all of its addresses is reached.
const HERE: [&str; 5] = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"];

/// One target of an environment on one host.
#[derive(Clone, Copy)]
struct Place<'c> {
    environment: &'c str,
    target: &'c TargetName,
    /// As the config names it.
    host: &'c str,
    config: &'c HostConfig,
    /// Where the environment names the target's hosts.
    key: (usize, usize),
}

/// Reports each target of an environment whose place on a host is another's, or lies in it.
///
/// Works on merged targets: what an environment does not override, its place above all, it has from `[targets]`, and two
/// environments on one host so come to be in one place without a word of it in the text.
pub(super) fn check(environments: &DeTable<'_>, merged: &MergedTargets, sink: &mut Sink) {
    let mut machines: BTreeMap<String, Vec<Place<'_>>> = BTreeMap::new();
    for place in places(environments, merged).into_iter().take(PLACE_COUNT_MAX) {
        machines.entry(machine(place.host)).or_default().push(place);
    }
    let (mut directories_told, mut units_told) = (Told::new(), Told::new());
    for places in machines.values_mut() {
        directories(places, &mut directories_told, sink);
        units(places, &mut units_told, sink);
    }
    // Of two that are one place altogether that is all there is to say.
    let mut told: Told<'_> = directories_told.union(&units_told).copied().collect();
    machines.values().for_each(|places| ports(places, &mut told, sink));
}

fn places<'c>(environments: &'c DeTable<'_>, merged: &'c MergedTargets) -> Vec<Place<'c>> {
    let mut found = Vec::new();
    for (environment, targets) in merged {
        let hosts = environments.get(environment.as_str()).and_then(|node: &Node<'_>| node.get_ref().get("hosts"));
        let Some(hosts) = hosts.and_then(|hosts| hosts.get_ref().as_table()) else { continue };
        for (target, TargetConfig::Host(config)) in targets {
            let Some((key, listed)) = hosts.get_key_value(target.as_str()) else { continue };
            let key = (key.span().start, key.span().end);
            // One host may stand there without a list.
            let several = listed.get_ref().as_array().into_iter().flat_map(|list| list.iter());
            let named = std::iter::once(listed).chain(several).filter_map(|host| host.get_ref().as_str());
            found.extend(named.map(|host| Place { environment, target, host, config, key }));
        }
    }
    found
}

/// What was told of two places already: a fleet's hosts collide all alike.
type Told<'c> = BTreeSet<[(&'c str, &'c TargetName); 2]>;

fn directories<'c>(places: &mut [Place<'c>], told: &mut Told<'c>, sink: &mut Sink) {
    // Sorted by components, whatever lies beneath a directory follows it directly.
    places.sort_by(|a, b| a.config.deploy_to.cmp(&b.config.deploy_to).then(a.key.cmp(&b.key)));
    let mut above: Option<Place<'_>> = None;
    for place in places.iter() {
        match above.and_then(|above| Some((above, above.config.overlap(place.config)?))) {
            Some((above, overlap)) => report([&above, place], &same_directory(overlap, &above, place), told, sink),
            None => above = Some(*place),
        }
    }
}

/// How the directories of two are not of their own, where each needs one for what it makes and removes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlap {
    Same,
    /// One lies in the other.
    Nested,
}

impl HostConfig {
    fn overlap(&self, other: &Self) -> Option<Overlap> {
        let (one, other) = (&self.deploy_to, &other.deploy_to);
        let is_nested = one.starts_with(other) || other.starts_with(one);
        is_nested.then_some(if one == other { Overlap::Same } else { Overlap::Nested })
    }

    /// Why both cannot be on one host: each needs a directory of its own.
    pub fn collides_with(&self, other: &Self) -> Option<String> {
        let (shown, inner) = (self.deploy_to.display(), other.deploy_to.display());
        Some(match self.overlap(other)? {
            Overlap::Same => format!("have the same deploy_to {shown}"),
            Overlap::Nested => format!("have a deploy_to that lies in the other's: {shown} and {inner}"),
        })
    }
}

fn same_directory(overlap: Overlap, one: &Place<'_>, other: &Place<'_>) -> Collision {
    let (shown, inner) = (one.config.deploy_to.display(), other.config.deploy_to.display());
    let why = match overlap {
        Overlap::Same => format!("is deployed to {shown}"),
        Overlap::Nested => format!("is deployed to {shown} or {inner}, of which one lies in the other,"),
    };
    let consequence = "each deployment would replace the other's release";
    Collision { why, label: "not a place of its own", consequence, key: "deploy_to" }
}

fn units<'c>(places: &[Place<'c>], told: &mut Told<'c>, sink: &mut Sink) {
    let mut seen: BTreeMap<(&str, Option<&str>), Place<'_>> = BTreeMap::new();
    for place in places {
        let Some(ServiceConfig::Systemd { unit, scope, .. }) = &place.config.service else { continue };
        // Each user has a service manager of their own.
        let manager = match scope {
            SystemdScope::System => None,
            SystemdScope::User => Some(place.host.rsplit_once('@').map_or("", |(user, _)| user)),
        };
        match seen.get(&(unit.as_str(), manager)) {
            // Two targets of one environment are brought live by one deployment, which may well restart them together.
            Some(first) if first.environment == place.environment => {}
            Some(first) => {
                let why = format!("is run by {unit}");
                let consequence = "each deployment would restart the other's service";
                let collision = Collision { why, label: "one unit for two", consequence, key: "service.unit" };
                report([first, place], &collision, told, sink);
            }
            None => drop(seen.insert((unit, manager), *place)),
        }
    }
}

/// Reports places whose services cannot both be meant by their probes. No mistake: who says that anybody's answer counts, or
/// runs them in turns, may mean it.
fn ports<'c>(places: &[Place<'c>], told: &mut Told<'c>, sink: &mut Sink) {
    let mut seen: BTreeMap<(String, String), Place<'_>> = BTreeMap::new();
    for place in places.iter().filter(|place| place.config.service.is_some()) {
        for (at, shown) in place.config.verify.probes.iter().take(PROBE_COUNT_MAX).filter_map(port) {
            let Some(first) = seen.get(&at) else {
                seen.insert(at, *place);
                continue;
            };
            // Two targets of one environment may be of one unit, which is whom both mean.
            let is_one = first.target == place.target || first.unit().is_some_and(|unit| place.unit() == Some(unit));
            if first.environment == place.environment && is_one {
                continue;
            }
            let why = format!("is probed at {shown}");
            let consequence = "one of the two services answers there, and deployments of the other one fail";
            let label = "one port for two";
            report([first, place], &Collision { why, label, consequence, key: "verify.probes" }, told, sink);
        }
    }
}

/// Where on its own machine a probe asks for the release's own service, for comparing and for people.
fn port(probe: &ProbeConfig) -> Option<((String, String), &str)> {
    let (authority, usual) = match &probe.kind {
        ProbeKind::Tcp { address, .. } => (address.as_str(), ""),
        ProbeKind::Http { url, .. } => {
            let (scheme, rest) = url.split_once("://")?;
            (&rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())], if scheme == "https" { "443" } else { "80" })
        }
        ProbeKind::Command { .. } | ProbeKind::Log { .. } | ProbeKind::Unit { .. } => return None,
    };
    let (host, port) = split_port(authority);
    let host = host.to_ascii_lowercase();
    let is_ours = probe.owner == ProbeOwner::Release && (HERE.contains(&host.as_str()) || host.starts_with("127."));
    let host = if HERE.contains(&host.as_str()) { HERE[0].to_owned() } else { host };
    is_ours.then(|| ((host, port.unwrap_or(usual).to_owned()), authority))
}

struct Collision {
    why: String,
    label: &'static str,
    consequence: &'static str,
    /// What the later one needs of its own.
    key: &'static str,
}

fn report<'c>([one, other]: [&Place<'c>; 2], collision: &Collision, told: &mut Told<'c>, sink: &mut Sink) {
    let (first, later) = if one.key <= other.key { (one, other) } else { (other, one) };
    if !told.insert([first, later].map(|place| (place.environment, place.target))) {
        return;
    }
    let Collision { why, label, consequence, key } = collision;
    let message = format!("{} {why} on {}, as {} is", later.name(), later.host, first.name());
    let span: Range<usize> = later.key.0..later.key.1;
    let hint = Some(format!("{consequence}; {}", later.advice(key, first)));
    if *key == "verify.probes" {
        sink.warning(span, message, label, hint);
    } else {
        sink.error(span, message, label, hint);
    }
}

impl Place<'_> {
    fn unit(&self) -> Option<&str> {
        match self.config.service.as_ref()? {
            ServiceConfig::Systemd { unit, .. } => Some(unit),
            ServiceConfig::Command { .. } | ServiceConfig::Process(_) => None,
        }
    }

    fn name(&self) -> String {
        format!("`targets.{}` of `environments.{}`", self.target, show(self.environment))
    }

    fn advice(&self, key: &str, other: &Place<'_>) -> String {
        if (self.environment, self.target) == (other.environment, other.target) {
            return "name the host once".to_owned();
        }
        let table = if self.environment == other.environment {
            format!("targets.{}.host", self.target)
        } else {
            format!("environments.{}.targets.{}.host", show(self.environment), self.target)
        };
        let example = match (key, self.environment == other.environment) {
            ("deploy_to", false) => beside(&self.config.deploy_to, self.environment),
            ("deploy_to", true) => beside(&self.config.deploy_to, self.target.as_str()),
            ("verify.probes", _) => {
                return format!(
                    "give it a port of its own, and let its probes ask there: `{key}` in [{table}]; `owner = \"any\"` where a proxy \
                     answers for both"
                );
            }
            (_, _) => return format!("give it a unit of its own: `{key}` in [{table}]"),
        };
        format!("give it a directory of its own: {key} = {example:?} in [{table}]")
    }
}

/// A directory beside this one.
fn beside(directory: &Path, suffix: &str) -> String {
    format!("{}-{}", directory.display(), show(suffix))
}
