//! What the probes of a live release see at this moment.

use crate::deployments::{Variables, kept_secrets, live_variables};
use cutover_core::config::{EnvironmentConfig, HostConfig, ProbeKind};
use cutover_core::id::{EnvironmentName, TargetName};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_targets::host::{Layout, Release};
use cutover_targets::service::{LogMark, LogPlace, Service, ServiceState};
use cutover_targets::verify::{Seen, Verification, Within, observe_once};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long probes may take: somebody waits for the answer. All of a target that ask for one have two seconds together. A command has
/// its own time, and is not run where that is longer than this.
const WITHIN: Within = Within { answers: Duration::from_secs(2), command: Duration::from_secs(30) };

/// What was seen.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    /// Whether every probe passed; None where none failed, and some were not done in time.
    healthy: Option<bool>,
    /// What each saw, in the configured order.
    #[serde(serialize_with = "told")]
    probes: Vec<Seen>,
}

/// Whose health is looked at.
pub(super) struct Patient<'a> {
    pub(super) environment: (&'a EnvironmentName, &'a EnvironmentConfig),
    pub(super) target: (&'a TargetName, &'a HostConfig),
    pub(super) layout: &'a Layout,
    pub(super) release: &'a Release,
    pub(super) service: Option<&'a dyn Service>,
}

/// Asks each probe that a release was made with, once; those of the config where it does not say. None where there is nothing to
/// ask: no probe but of the log, which is about a start, or a service that somebody stopped.
pub(super) fn look(patient: &Patient<'_>, state: Option<&ServiceState>) -> Result<Option<Health>, Failure> {
    let Patient { environment: (_, environment), target: (_, config), layout, release, service } = patient;
    let verify = release.verify.as_ref().unwrap_or(&config.verify);
    if verify.probes.is_empty() || state.is_some_and(|state| !state.active && !state.wanted) {
        return Ok(None);
    }
    let secret_names = Variables::unknown(environment).secret_names;
    let kept = kept_secrets(config, &secret_names, &|_| ())?;
    let masker = Masker::new(kept.iter().map(|(name, value)| (name.as_str(), value)));
    let seen = observe_once(
        &Verification {
            config: verify,
            service: *service,
            mark: &LogMark::now(LogPlace::None),
            restarted: false,
            release: &layout.release(&release.id),
            variables: &variables(patient)?,
            masker: &masker,
        },
        WITHIN,
    );
    Ok(Health::of(seen))
}

/// What a command probe has in a deployment, but for the mark of that: nothing may take it for what a deployment left.
fn variables(patient: &Patient<'_>) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut variables = live_variables(patient.target.1)?;
    let own = [
        ("CUTOVER_ENVIRONMENT", patient.environment.0.as_str()),
        ("CUTOVER_TARGET", patient.target.0.as_str()),
        ("CUTOVER_RELEASE", patient.release.id.as_str()),
        ("CUTOVER_COMMIT", &patient.release.commit),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), Secret::new(value))));
    Ok(variables)
}

impl Health {
    fn of(mut probes: Vec<Seen>) -> Option<Self> {
        // A command that was not run says so itself.
        let is_late = |seen: &&mut Seen| seen.is_unfinished && !matches!(seen.probe.kind, ProbeKind::Command { .. });
        for seen in probes.iter_mut().filter(is_late) {
            seen.result.error = format!("not done within {} s", WITHIN.answers.as_secs());
        }
        let all: Vec<Option<bool>> = probes.iter().map(verdict).collect();
        let healthy = match all.contains(&Some(false)) {
            true => Some(false),
            false => (!all.contains(&None)).then_some(true),
        };
        (!probes.is_empty()).then_some(Self { healthy, probes })
    }

    /// In words, each with whether it is well, where that is known: what was observed where all is well, else what is not.
    pub(super) fn lines(&self) -> Vec<(Option<bool>, String)> {
        if self.healthy == Some(true) {
            let seen: Vec<String> = self.probes.iter().map(passed).collect();
            return vec![(self.healthy, format!("healthy: {}", seen.join("; ")))];
        }
        let line = |seen: &Seen| {
            let word = match verdict(seen) {
                Some(true) => return None,
                Some(false) => "NOT healthy",
                None => "not known",
            };
            Some((verdict(seen), format!("{word}: {}: {}", asked(seen), seen.result.error)))
        };
        self.probes.iter().filter_map(line).collect()
    }
}

/// Whether a probe passed, where that is known.
fn verdict(seen: &Seen) -> Option<bool> {
    (!seen.is_unfinished).then_some(seen.result.healthy)
}

/// What the probes saw, in JSON.
fn told<S: Serializer>(probes: &[Seen], serializer: S) -> Result<S::Ok, S::Error> {
    let one = |seen: &Seen| {
        let mut told = serde_json::to_value(&seen.result)?;
        if let Some(healthy) = told.get_mut("healthy") {
            *healthy = verdict(seen).map_or(Value::Null, Value::Bool);
        }
        Ok(told)
    };
    let all: Result<Vec<Value>, serde_json::Error> = probes.iter().map(one).collect();
    all.map_err(S::Error::custom)?.serialize(serializer)
}

fn asked(seen: &Seen) -> String {
    let at = &seen.result.endpoint;
    match seen.probe.kind {
        ProbeKind::Http { .. } => format!("GET {at}"),
        ProbeKind::Tcp { .. } => format!("tcp {at}"),
        ProbeKind::Command { .. } => format!("command {at}"),
        ProbeKind::Log { .. } | ProbeKind::Unit { .. } => at.clone(),
    }
}

fn passed(seen: &Seen) -> String {
    let (asked, result) = (asked(seen), &seen.result);
    // That a command ended with 0 is said by its having passed.
    let code = result.code.filter(|code| *code != 0).map_or_else(String::new, |code| format!(" {code}"));
    let took = result.latency_ms.map_or_else(String::new, |ms| format!(" in {ms} ms"));
    format!("{asked}{code}{took}")
}
