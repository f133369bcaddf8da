//! The hosts' journals are the truth; the history catches up with them.

use cutover_core::id::DeploymentId;
use cutover_core::store::{Store, StoreError};
use cutover_targets::host::transaction::{done_journals, open_journals};
use cutover_targets::host::{Layout, read_journal};
use std::path::Path;

/// Takes every journal of these places into the history that it does not know yet: of deployments that were
/// killed, recovered by someone else, or run while the history could not be written.
pub(crate) fn remember_all<'a>(store: &dyn Store, layouts: impl Iterator<Item = &'a Layout>) -> Result<(), StoreError> {
    for layout in layouts {
        for path in open_journals(layout) {
            remember(store, &path)?;
        }
        for path in done_journals(layout) {
            if !is_known(store, &path)? {
                remember(store, &path)?;
            }
        }
    }
    Ok(())
}

/// Whether the history has the end of this journal's deployment.
fn is_known(store: &dyn Store, journal: &Path) -> Result<bool, StoreError> {
    let id = journal.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| DeploymentId::new(stem).ok());
    let Some(id) = id else { return Ok(true) };
    match store.deployment(id.as_str()) {
        Ok(record) => Ok(record.outcome.is_some()),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remember(store: &dyn Store, journal: &Path) -> Result<(), StoreError> {
    // A journal that is damaged or newer is told about by the commands that act on it, not by those that look back.
    match read_journal(journal) {
        Ok(Some(recorded)) => store.ingest(&recorded.plan, &recorded.records),
        Ok(None) | Err(_) => Ok(()),
    }
}
