//! The hosts' journals are the truth; the history catches up with them.

use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, TargetName};
use cutover_core::store::{Filter, ReleasePlace, Store, StoreError};
use cutover_targets::host::{Layout, Release, done_journals, open_journals, read_journal};
use std::collections::HashSet;
use std::path::Path;

/// About as many journals as a host keeps.
const RECENT_COUNT: usize = 200;

/// Takes every journal of a place into the history that it does not know yet: of deployments that were killed,
/// recovered by someone else, or run while the history could not be written.
pub(crate) fn catch_up(store: &dyn Store, layout: &Layout) -> Result<(), StoreError> {
    for path in open_journals(layout) {
        remember(store, &path)?;
    }
    let recent = recently_ended(store)?;
    for path in done_journals(layout) {
        let listed = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| recent.contains(stem));
        if !listed && !is_known(store, &path)? {
            remember(store, &path)?;
        }
    }
    Ok(())
}

/// The newest deployments that the history knows the end of: one question instead of one for each journal.
fn recently_ended(store: &dyn Store) -> Result<HashSet<String>, StoreError> {
    let page = store.history(&Filter::default(), RECENT_COUNT)?;
    let ended = page.rows.into_iter().filter(|row| row.outcome.is_some());
    Ok(ended.map(|row| row.deployment.to_string()).collect())
}

/// Whether the history has the end of this journal's deployment.
fn is_known(store: &dyn Store, journal: &Path) -> Result<bool, StoreError> {
    let id = journal.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| DeploymentId::new(stem).ok());
    let Some(id) = id else { return Ok(false) };
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

/// Remembers which releases a place holds now, so that their artifacts are kept.
pub(super) fn remember_releases(
    store: &dyn Store,
    project: &ProjectName,
    environment: &EnvironmentName,
    target: &TargetName,
    layout: &Layout,
) -> Result<(), StoreError> {
    let place = ReleasePlace {
        project: project.clone(),
        environment: environment.clone(),
        target: target.clone(),
        host: "localhost".to_owned(),
    };
    let releases: Vec<_> = Release::list(layout).iter().map(|release| release.record(layout)).collect();
    store.put_releases(&place, &releases)
}
