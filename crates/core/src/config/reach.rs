//! Whether an environment's variables reach the services that they are meant for: that takes an env file.

use super::kind::Node;
use super::sink::{Sink, show};
use super::{HostConfig, ServiceConfig, SystemdScope, TargetConfig};
use crate::id::TargetName;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::DeTable;

/// The keys that give variables.
const GIVING: [&str; 2] = ["env", "secrets"];

/// Warns of each service that gets none of the variables that its environment gives.
///
/// No kind of service has another way to them. Commands of one's own may need none, as a proxy's; where the environment's
/// variables reach another target, these are left alone.
pub(super) fn warn_of_unreached(
    name: &str,
    environment: &DeTable<'_>,
    targets: &BTreeMap<TargetName, TargetConfig>,
    sink: &mut Sink,
) {
    let Some(span) = GIVING.iter().find_map(|key| given(environment, key)) else { return };
    let reaches_any = targets.values().any(|TargetConfig::Host(host)| host.env_file.is_some());
    for (target, TargetConfig::Host(host)) in
        targets.iter().filter(|(_, TargetConfig::Host(host))| host.env_file.is_none())
    {
        let Some(advice) = host.service.as_ref().and_then(|service| advice(name, host, service, reaches_any)) else {
            continue;
        };
        let message =
            format!("the variables of `environments.{}` never reach the service of `targets.{target}`", show(name));
        let hint = format!("add env_file = \".env\" to [targets.{target}.host]{advice}");
        sink.warning(span.clone(), message, "written to no env file", Some(hint));
    }
}

/// Where a key gives at least one variable.
fn given(environment: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (written, node): (_, &Node<'_>) = environment.get_key_value(key)?;
    let value = node.get_ref();
    let is_empty =
        value.as_table().is_none_or(DeTable::is_empty) && value.as_array().is_none_or(|list| list.is_empty());
    (!is_empty).then(|| written.span())
}

/// What else is to be done; None for a service that may be meant to get nothing.
fn advice(environment: &str, host: &HostConfig, service: &ServiceConfig, reaches_any: bool) -> Option<String> {
    match service {
        ServiceConfig::Process(_) => Some(": the process is given what stands in it".to_owned()),
        ServiceConfig::Systemd { start: Some(_), .. } => {
            Some(format!("; then `cutover setup {}` makes the unit read it", show(environment)))
        }
        // Root would read it, at a path that who deploys can turn to any other file.
        ServiceConfig::Systemd { start: None, scope: SystemdScope::System, .. } => {
            Some("; and let the unit read it as its own user (docs/setup.md, \"A unit of your own\"), or say in `service.start` what it runs".to_owned())
        }
        ServiceConfig::Systemd { start: None, scope: SystemdScope::User, .. } => {
            let file = host.deploy_to.join("current/.env");
            Some(format!(", and EnvironmentFile=-{} to the unit", file.display()))
        }
        ServiceConfig::Command { .. } if reaches_any => None,
        ServiceConfig::Command { .. } => Some(", and let the commands read it".to_owned()),
    }
}
