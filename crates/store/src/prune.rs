//! Retention.

use crate::fault::Fault;
use crate::value::unsigned;
use cutover_core::id::{EnvironmentName, ProjectName};
use cutover_core::store::Pruned;
use rusqlite::{Connection, OptionalExtension};

/// The newest deployment of an environment that is one too many.
const TOO_OLD: &str = "
SELECT began_at, id FROM deployments WHERE project = ?1 AND environment = ?2
    ORDER BY began_at DESC, id DESC LIMIT 1 OFFSET ?3";

/// That deployment and older ones, less those that are still needed: unfinished or stuck ones, those behind an open
/// incident, the last that went live, and whatever made a release that serves or served before.
const DEPLOYMENTS: &str = "
DELETE FROM deployments WHERE project = ?1 AND environment = ?2 AND (began_at, id) <= (?3, ?4)
    AND outcome IS NOT NULL AND outcome <> 'stuck'
    AND number NOT IN (SELECT deployment FROM incidents WHERE closed_at IS NULL)
    AND EXISTS (SELECT 1 FROM deployments later
        WHERE later.project = deployments.project AND later.environment = deployments.environment
            AND later.outcome = 'deployed' AND (later.began_at, later.id) > (deployments.began_at, deployments.id))
    AND NOT EXISTS (SELECT 1 FROM releases
        WHERE releases.project = deployments.project AND releases.environment = deployments.environment
            AND releases.id = deployments.release AND (releases.current OR releases.previous))";

/// Artifacts older than that which no remembered deployment and no release has.
const ARTIFACTS: &str = "
DELETE FROM artifacts WHERE project = ?1 AND packed_at < ?2
    AND id NOT IN (SELECT artifact FROM deployments)
    AND id NOT IN (SELECT artifact FROM releases)";

/// Forgets what is older than the newest `keep` deployments of an environment and not needed.
pub(crate) fn prune(
    connection: &Connection,
    project: &ProjectName,
    environment: &EnvironmentName,
    keep: usize,
) -> Result<Pruned, Fault> {
    let (project, environment) = (project.as_str(), environment.as_str());
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    let too_old: Option<(i64, String)> = connection
        .prepare(TOO_OLD)?
        .query_row((project, environment, keep), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((began_at, id)) = too_old else { return Ok(Pruned::default()) };
    let deployment_count = connection.execute(DEPLOYMENTS, (project, environment, began_at, id))?;
    let artifact_count = connection.execute(ARTIFACTS, (project, began_at))?;
    let count = |rows: usize| unsigned(i64::try_from(rows).unwrap_or(i64::MAX));
    Ok(Pruned { deployment_count: count(deployment_count), artifact_count: count(artifact_count) })
}
