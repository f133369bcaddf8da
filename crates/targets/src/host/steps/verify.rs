//! Verify: the release is observed to be healthy, by its own processes.

use super::restart;
use crate::host::action;
use crate::host::site::Site;
use crate::service::{self, LogMark, LogPlace};
use crate::verify::{self, Verification};
use cutover_core::target::{Failure, Outcome, Progress};

/// Observes until healthy, or says why not.
pub(crate) fn apply(
    site: &Site<'_>,
    wanted: &action::Verification,
    progress: &dyn Progress,
) -> Result<Outcome, Failure> {
    let service = wanted.service.as_ref().map(|config| service::open(config, &site.service_site()));
    let restarted = restart::mark(site);
    let now = || service.as_ref().map_or_else(|| LogMark::now(LogPlace::None), |service| service.log_mark());
    let mark = restarted.clone().unwrap_or_else(now);
    let verification = Verification {
        config: &wanted.verify,
        service: service.as_deref(),
        mark: &mark,
        restarted: restarted.is_some(),
        release: &site.layout.release(site.release),
        variables: &site.hook_variables(),
        masker: &site.masker(),
    };
    let probes = verify::verify(&verification, progress)?;
    Ok(Outcome { note: note(probes.len(), service.is_some()), probes, ..Outcome::default() })
}

fn note(probe_count: usize, has_service: bool) -> String {
    match probe_count {
        0 if !has_service => "nothing to observe: no service, no probes".to_owned(),
        0 => "service is active".to_owned(),
        1 => "1 probe passed".to_owned(),
        count => format!("{count} probes passed"),
    }
}
