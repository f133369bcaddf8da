//! What the probes of a live release see at this moment.

use crate::deployments::{Variables, kept_secrets, live_variables};
use cutover_core::config::{EnvironmentConfig, HostConfig, ProbeConfig, ProbeKind};
use cutover_core::id::{EnvironmentName, TargetName};
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_targets::host::{Layout, Release};
use cutover_targets::service::{LogMark, LogPlace, Service, ServiceState};
use cutover_targets::verify::{Verification, observe_once};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long all probes of a target may take together: somebody waits for the answer.
const WITHIN: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    /// Whether every probe passed.
    healthy: bool,
    /// What each saw, in the configured order.
    probes: Vec<ProbeResult>,
    /// What each asked, in words.
    #[serde(skip)]
    asked: Vec<String>,
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
    fn of(seen: Vec<(ProbeConfig, ProbeResult)>) -> Option<Self> {
        let asked = seen.iter().map(|(probe, result)| asked(probe, result)).collect();
        let probes: Vec<ProbeResult> = seen.into_iter().map(|(_, result)| result).collect();
        let healthy = probes.iter().all(|result| result.healthy);
        (!probes.is_empty()).then_some(Self { healthy, probes, asked })
    }

    pub(super) fn healthy(&self) -> bool {
        self.healthy
    }

    /// In words: what was observed where all is well, else what is not.
    pub(super) fn lines(&self) -> Vec<String> {
        let all = self.asked.iter().zip(&self.probes);
        if self.healthy {
            let seen: Vec<String> = all.map(|(asked, result)| passed(asked, result)).collect();
            return vec![format!("healthy: {}", seen.join("; "))];
        }
        let failed = all.filter(|(_, result)| !result.healthy);
        failed.map(|(asked, result)| format!("NOT healthy: {asked}: {}", result.error)).collect()
    }
}

fn asked(probe: &ProbeConfig, result: &ProbeResult) -> String {
    let at = &result.endpoint;
    match probe.kind {
        ProbeKind::Http { .. } => format!("GET {at}"),
        ProbeKind::Tcp { .. } => format!("tcp {at}"),
        ProbeKind::Command { .. } => format!("command {at}"),
        ProbeKind::Log { .. } | ProbeKind::Unit { .. } => at.clone(),
    }
}

fn passed(asked: &str, result: &ProbeResult) -> String {
    // That a command ended with 0 is said by its having passed.
    let code = result.code.filter(|code| *code != 0).map_or_else(String::new, |code| format!(" {code}"));
    let took = result.latency_ms.map_or_else(String::new, |ms| format!(" in {ms} ms"));
    format!("{asked}{code}{took}")
}
