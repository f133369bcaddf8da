//! Stop: the service that ran the live release is ended where the release to come has none. `hold` brings it back.

use crate::host::site::Site;
use crate::service::Retired;
use cutover_core::target::{Failure, Outcome, Progress};

/// Stops it. Who may not do that says so, and what does: nothing depends on it any more.
pub(crate) fn apply(site: &Site<'_>, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let left = site.original_service().filter(|left| !site.is_run_on(left));
    let Some(left) = left else { return Ok(Outcome::unchanged("no service is left behind")) };
    let name = left.told();
    Ok(match left.open().retire(progress)? {
        Retired::Gone(remark) => Outcome {
            warnings: remark.into_iter().collect(),
            ..Outcome::changed(format!("{name} does not run any more"))
        },
        Retired::Refused(refusal) => {
            let why = refusal.hint.unwrap_or(refusal.message);
            let warning = format!("{name}, which this release has no more, still runs: {why}");
            Outcome { warnings: vec![warning], ..Outcome::unchanged(format!("{name} still runs")) }
        }
    })
}
