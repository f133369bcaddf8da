//! Settle: the release is marked good.

use crate::host::action::Settlement;
use crate::host::release::{RELEASE_FILE, Release, ReleaseState};
use crate::host::site::Site;
use cutover_core::target::{Failure, Outcome};

/// Marks the release good, and the one that was left on purpose bad.
pub(crate) fn apply(site: &Site<'_>, settlement: &Settlement) -> Result<Outcome, Failure> {
    Release::mark(site.layout, site.release, ReleaseState::Good, "")?;
    if let Some(original) = site.original.filter(|original| settlement.leave_original_bad && *original != site.release)
    {
        if Release::read(site.layout, original).is_err() {
            let warning = format!(
                "release {original}, which was left, has no readable {RELEASE_FILE} and cannot be marked bad: nobody goes back to it \
                 without that; remove it, or deploy its commit again where it is wanted"
            );
            let settled = Outcome::changed(format!("{} is good", site.release));
            return Ok(Outcome { warnings: vec![warning], ..settled });
        }
        Release::mark(site.layout, original, ReleaseState::Bad, &format!("left by rollback {}", site.deployment))?;
        return Ok(Outcome::changed(format!("{} is good, {original} is marked bad", site.release)));
    }
    Ok(Outcome::changed(format!("{} is good", site.release)))
}
