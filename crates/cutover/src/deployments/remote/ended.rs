//! What a host tells of deployments that came to their end: what of it is kept here, and what the user is told of it.

use super::{Errand, Trouble};
use crate::deployments::letter::Untold;
use crate::deployments::order::Order;
use cutover_core::id::DeploymentId;
use cutover_targets::host::HostPlan;
use cutover_targets::host::transaction::Ended;
use cutover_targets::remote::frame::ENDED_BYTES_MAX;
use std::collections::{BTreeMap, BTreeSet};

/// Whose deployment it is that a host tells of.
enum Whose {
    /// Its own, under the name that it has now.
    Own,
    /// Its own, under a name that no host of the environment has any more.
    Renamed(String),
    /// One that names this other host of the environment.
    Another(String),
    /// None that was asked about.
    Nobodys,
}

/// What the user is told of it: what is not kept here, and what is kept under another name.
#[derive(Default)]
pub(super) struct Remarks {
    large: BTreeSet<DeploymentId>,
    of_others: BTreeMap<String, BTreeSet<DeploymentId>>,
    of_earlier_names: BTreeMap<String, BTreeSet<DeploymentId>>,
    /// Under which name the host told of each: it has part in each once.
    names: BTreeMap<DeploymentId, String>,
}

impl Remarks {
    /// A deployment is too large to be told of.
    pub(super) fn large(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        let Untold { deployment } = serde_json::from_slice(payload)?;
        self.large.insert(deployment);
        Ok(())
    }

    /// In sentences.
    pub(super) fn sentences(&self, host: &str) -> Vec<String> {
        let large = (!self.large.is_empty()).then(|| {
            let (which, mib) = (named(&self.large), ENDED_BYTES_MAX >> 20);
            format!(
                "{host} did not tell of {which}: a host tells at most {mib} MiB of each, and that is more; the history here \
                 lacks it, and its journal lies on {host}"
            )
        });
        let of_others = self.of_others.iter().map(|(other, which)| {
            format!(
                "what {host} tells of {} was left out: it names {other}, which is another host, and a host speaks for itself \
                 alone",
                named(which)
            )
        });
        let renamed = self.of_earlier_names.iter().map(|(name, which)| {
            format!(
                "{host} tells of {} as {name}, a name that no host of this environment has now; the history has it so",
                named(which)
            )
        });
        large.into_iter().chain(of_others).chain(renamed).collect()
    }
}

/// The newest by its name, and how many more there are.
fn named(which: &BTreeSet<DeploymentId>) -> String {
    let newest = which.last().map(ToString::to_string).unwrap_or_default();
    match which.len() {
        0 | 1 => format!("deployment {newest}"),
        count => format!("{count} deployments, the newest {newest}"),
    }
}

/// Takes the end of a deployment. What is not of what was asked for is passed over.
///
/// What a host did under another name stays under it: that is how it is known here already, and how the other hosts of the
/// deployment name this one.
pub(super) fn take(errand: &Errand<'_>, payload: &[u8], remarks: &mut Remarks) -> Result<(), Trouble> {
    let ended: Ended = serde_json::from_slice(payload)?;
    if !is_of(&ended, errand.order) {
        return Ok(());
    }
    let deployment = ended.plan.deployment.clone();
    match once(whose(&ended, errand), &ended, remarks) {
        Whose::Own => (errand.ended)(&ended),
        Whose::Renamed(name) => {
            remarks.of_earlier_names.entry(name).or_default().insert(deployment);
            (errand.ended)(&ended);
        }
        Whose::Another(host) => {
            remarks.of_others.entry(host).or_default().insert(deployment);
        }
        Whose::Nobodys => {}
    }
    Ok(())
}

/// The same, but another's where the host told of this deployment already under another name.
fn once(whose: Whose, ended: &Ended, remarks: &mut Remarks) -> Whose {
    let Some(host) = ended.plan.steps.first().map(|step| step.host.clone()) else { return whose };
    let told = remarks.names.entry(ended.plan.deployment.clone()).or_insert_with(|| host.clone());
    if *told == host { whose } else { Whose::Another(host) }
}

/// The longest name of a host, in bytes: what DNS allows, a user and a port.
const HOST_LENGTH_MAX: usize = 400;

/// Whether a text can be the name of a host in a config: it is shown and kept.
fn is_host(name: &str) -> bool {
    (1..=HOST_LENGTH_MAX).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
}

/// Whether a deployment is one of the order's environment, about a target of it. What no journal could have held is none.
fn is_of(ended: &Ended, order: &Order) -> bool {
    let plan = &ended.plan;
    plan.check().is_ok()
        && [&plan.commit, &plan.artifact].iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric()))
        && (1..).zip(&ended.records).all(|(seq, record)| record.seq == seq)
        && plan.project == order.project
        && plan.environment == order.environment
        && plan.steps.iter().any(|step| order.targets.contains_key(&step.target))
        && plan.steps.iter().map(|step| &step.host).chain(&plan.fleet).all(|host| is_host(host))
        && is_in_fleet(plan, order)
        && ended.records.iter().all(|record| record.host.is_none())
}

/// Whether a deployment of several hosts is one of this host's, and, where this client has it made, of those hosts.
fn is_in_fleet(plan: &HostPlan, order: &Order) -> bool {
    let is_own = plan.deployment == order.deployment;
    let is_part = plan.fleet.is_empty() || plan.steps.first().is_some_and(|step| plan.fleet.contains(&step.host));
    is_part && (!is_own || plan.fleet == order.fleet())
}

/// A host has no say in what happened elsewhere, so a deployment is of one host alone: of this one, whatever the config called
/// it then. A name that another host has now speaks for that one, or is of a copy of its disk.
fn whose(ended: &Ended, errand: &Errand<'_>) -> Whose {
    let steps = &ended.plan.steps;
    let Some(host) = steps.first().map(|step| &step.host) else { return Whose::Nobodys };
    if steps.iter().any(|step| step.host != *host) {
        return Whose::Nobodys;
    }
    if *host == errand.order.host {
        return Whose::Own;
    }
    let whose = if errand.hosts.contains(host) { Whose::Another } else { Whose::Renamed };
    whose(host.clone())
}
