//! Retention.

use crate::fault::Fault;
use crate::value::{nanoseconds, unsigned};
use cutover_core::store::Pruned;
use jiff::Timestamp;
use rusqlite::Connection;

/// Old deployments, less those that are still needed: unfinished or stuck ones, those behind an open incident, the
/// last that went live in each environment, and whatever made a release that serves or served before.
const DEPLOYMENTS: &str = "
DELETE FROM deployments WHERE began_at < ?1
    AND outcome IS NOT NULL AND outcome <> 'stuck'
    AND number NOT IN (SELECT deployment FROM incidents WHERE closed_at IS NULL)
    AND EXISTS (SELECT 1 FROM deployments later
        WHERE later.project = deployments.project AND later.environment = deployments.environment
            AND later.outcome = 'deployed' AND (later.began_at, later.id) > (deployments.began_at, deployments.id))
    AND NOT EXISTS (SELECT 1 FROM releases
        WHERE releases.project = deployments.project AND releases.environment = deployments.environment
            AND releases.id = deployments.release AND (releases.current OR releases.previous))";

/// Old artifacts that no remembered deployment and no release has.
const ARTIFACTS: &str = "
DELETE FROM artifacts WHERE packed_at < ?1
    AND id NOT IN (SELECT artifact FROM deployments)
    AND id NOT IN (SELECT artifact FROM releases)";

/// Forgets what is older than this and not needed.
pub(crate) fn prune(connection: &Connection, before: Timestamp) -> Result<Pruned, Fault> {
    let before = nanoseconds(before);
    let deployment_count = connection.execute(DEPLOYMENTS, [before])?;
    let artifact_count = connection.execute(ARTIFACTS, [before])?;
    let count = |rows: usize| unsigned(i64::try_from(rows).unwrap_or(i64::MAX));
    Ok(Pruned { deployment_count: count(deployment_count), artifact_count: count(artifact_count) })
}
