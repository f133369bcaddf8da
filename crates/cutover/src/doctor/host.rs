//! What is found on a host, and on the way there.

use super::Ward;
use crate::bounded::Bounded;
use crate::context::Context;
use crate::deployments::{
    Place, Variables, ask_there, changed_key, is_asked_from_elsewhere, not_apart, open_service, ssh_options, supervisor,
};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use cutover_core::config::{EnvironmentConfig, HostConfig, ServiceConfig};
use cutover_core::id::{EnvironmentName, TargetName};
use cutover_targets::doctor::{Finding, Patient, examine as examine_host};
use cutover_targets::host::Layout;
use cutover_targets::remote::destination::Destination;
use cutover_targets::remote::host_key::{Trust, trust};
use cutover_targets::setup::{outdated_units, slug};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// From how far apart clocks are a warning.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What a host says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    v: u32,
    /// What its clock says.
    now: Timestamp,
    findings: Vec<Finding>,
}

/// Looks at one host, from here and from there.
pub(super) fn examine(context: &Context, place: &Place<'_>) -> Result<Ward, CommandError> {
    let (environment, host) = (Some(place.name.clone()), Some(place.host.to_owned()));
    if place.is_here() {
        return Ok(Ward { environment, host, reached: true, findings: own(context, place)? });
    }
    let mut findings = vec![key(context, place.host)?];
    let (began, mut said) = (Instant::now(), Bounded::default());
    let args = ["--json", "doctor", place.name.as_str()].map(str::to_owned).to_vec();
    let reached = match ask_there(context, place.host, args, &mut said)
        .map(|_| serde_json::from_slice::<Answer>(&said.bytes))
    {
        Ok(Ok(answer)) => {
            findings.push(Finding::fine("login", "the host lets us in"));
            findings.push(clock(answer.now, SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX)));
            findings.extend(answer.findings);
            true
        }
        Ok(Err(_)) => {
            let what = "the host does not answer as this version does";
            findings.push(Finding::failed("agent", what, "try again with -v; please report what it says"));
            true
        }
        Err(error) => {
            findings.push(Finding::failed("login", error.reason(), error.advice()));
            false
        }
    };
    Ok(Ward { environment, host, reached, findings })
}

/// Whether the host is who it was.
fn key(context: &Context, host: &str) -> Result<Finding, CommandError> {
    let options = ssh_options(context.project()?);
    let is_pinned = options.host_keys.contains_key(&Destination::parse(host).place());
    let setup = "`cutover setup ENV` shows its key, and pins it once you say that it is right";
    Ok(match trust(host, &options) {
        Ok(Trust::Known) if is_pinned => Finding::fine("host key", "is pinned in cutover.toml"),
        Ok(Trust::Known) => {
            Finding::warning("host key", "is known here, but not pinned: colleagues and CI do not know it", setup)
        }
        Ok(Trust::Unknown) => Finding::failed("host key", "nobody has confirmed it", setup),
        Ok(Trust::Changed(stands)) => {
            let advice = changed_key(&Destination::parse(host).place(), stands.as_ref()).join("; ");
            Finding::failed("host key", "is another one than the one that is known", advice)
        }
        Err(failure) => {
            let said = failure.excerpt.lines().next_back().map_or_else(String::new, |said| format!(": {said}"));
            Finding::failed("host key", failure.message + &said, failure.hint.unwrap_or_default())
        }
    })
}

/// The host's clock was read at some moment of the way there and back.
fn clock(there: Timestamp, way: SignedDuration) -> Finding {
    let behind = Timestamp::now().duration_since(there);
    let apart = if behind.is_negative() { -behind } else { (behind - way).max(SignedDuration::ZERO) };
    if apart <= SKEW_MAX {
        return Finding::fine("clock", "agrees with this machine's");
    }
    let direction = if behind.is_negative() { "ahead of" } else { "behind" };
    let what = format!("is {} s {direction} this machine's", apart.as_secs());
    Finding::warning("clock", what, "set it right: `timedatectl set-ntp true` on whichever is wrong")
}

/// Answers whoever asks from elsewhere.
pub(super) fn answer(
    context: &Context,
    environments: &[(&EnvironmentName, &EnvironmentConfig)],
) -> Result<Exit, CommandError> {
    for (name, environment) in environments {
        if let Some(place) = Place::all(name, environment)?.iter().find(|place| place.is_here()) {
            let findings = own(context, place)?;
            context.output.json(&Answer { v: 1, now: Timestamp::now(), findings })?;
            return Ok(Exit::Done);
        }
    }
    Err(CommandError::new(ErrorKind::Config, "this host is none of the environment's"))
}

/// Looks at this machine as a host.
fn own(context: &Context, place: &Place<'_>) -> Result<Vec<Finding>, CommandError> {
    let project = context.project()?;
    let (supervisor, variables) = (supervisor()?, Variables::unknown(context.environment(place.name.as_str())?.1));
    let service = |name: &TargetName, config: &HostConfig, service: &ServiceConfig, layout: &Layout| {
        open_service(&variables, &supervisor, name, (config, service), layout)
    };
    let patient = Patient {
        project: &project.config.name,
        slug: slug(&project.config.name, place.name),
        outdated: outdated_units(
            &project.config.name,
            place.name,
            place.targets.iter().map(|(name, config)| (name, *config)),
        ),
        program: &supervisor.program,
        is_asked_from_elsewhere: is_asked_from_elsewhere(),
        service: &service,
        targets: place.layouts().collect(),
    };
    let apart = not_apart(project, place).map(|found| Finding::failed("deploy_to", found.what, found.fix));
    Ok(examine_host(&patient).into_iter().chain(apart).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_targets::doctor::Verdict;

    #[test]
    fn clocks_may_differ_by_what_the_way_takes_and_no_more() {
        let ago = |seconds| Timestamp::now() - SignedDuration::from_secs(seconds);
        let verdict = |there, way| clock(there, SignedDuration::from_secs(way)).verdict;
        assert_eq!(verdict(ago(20), 18), Verdict::Fine);
        assert_eq!(verdict(ago(20), 2), Verdict::Warning);
        assert_eq!(verdict(ago(-20), 18), Verdict::Warning);
        assert!(clock(ago(-3600), SignedDuration::ZERO).what.contains("s ahead of"));
    }
}
