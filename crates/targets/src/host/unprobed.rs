//! What is not seen of a service that has no probe.

use crate::verify::soak_of;
use cutover_core::config::HostConfig;
use cutover_core::id::{ReleaseId, TargetName};

/// A probe as people write it.
const PROBE: &str = "probes = [{ http = { url = \"http://127.0.0.1:8000/health\" } }]";
/// The probe of a service that answers nobody.
const UNIT_PROBE: &str = "probes = [{ unit = { stable = \"10s\" } }]";

/// What is not seen of a target's service, and what to do about it; None where a probe sees to it.
pub(crate) fn unprobed(target: &TargetName, config: &HostConfig) -> Option<(String, String)> {
    let what = format!("no probe says whether target {target} works: only {}", seen(config)?);
    let fix = format!(
        "give [targets.{target}.host.verify] one, such as {PROBE}; {UNIT_PROBE} where its process is all there is to see"
    );
    Some((what, fix))
}

/// The same of a release that is gone back to. It is seen by the probes that it was made with, for what is asked now it need
/// not know: to refuse it for that would keep people from going back.
pub(super) fn unprobed_release(
    target: &TargetName,
    config: &HostConfig,
    as_it_was: &HostConfig,
    release: &ReleaseId,
) -> Option<String> {
    let seen = seen(as_it_was)?;
    let now = if config.verify.probes.is_empty() { "" } else { ", and is not asked what cutover.toml asks now" };
    Some(format!(
        "release {release} of target {target} was made without a probe{now}: only {seen}; see for yourself that it works"
    ))
}

/// What is seen where there is no probe.
fn seen(config: &HostConfig) -> Option<String> {
    let is_unprobed = config.service.is_some() && config.verify.probes.is_empty();
    is_unprobed.then(|| format!("that its process runs on for {:?} is seen", soak_of(&config.verify)))
}
