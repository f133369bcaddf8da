//! What lies where: releases and artifacts.

use crate::fault::Fault;
use crate::history::Conditions;
use crate::value::{Columns, nanoseconds};
use cutover_core::id::ProjectName;
use cutover_core::record::{ArtifactRecord, ReleaseRecord};
use cutover_core::store::{PAGE_ROWS_MAX, ReleasePlace, Scope};
use rusqlite::{Connection, params, params_from_iter};

/// Replaces what a place is known to hold.
pub(crate) fn put_releases(
    connection: &Connection,
    place: &ReleasePlace,
    releases: &[ReleaseRecord],
) -> Result<(), Fault> {
    let key = params![place.project.as_str(), place.environment.as_str(), place.target.as_str(), place.host];
    let forget = "DELETE FROM releases WHERE project = ?1 AND environment = ?2 AND target = ?3 AND host = ?4";
    connection.prepare(forget)?.execute(key)?;
    let sql = "INSERT INTO releases (project, environment, target, host, id, created_at, artifact, current, previous,
            release)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let mut insert = connection.prepare(sql)?;
    for release in releases {
        insert.execute(params![
            place.project.as_str(),
            place.environment.as_str(),
            place.target.as_str(),
            place.host,
            release.id.as_str(),
            nanoseconds(release.created_at),
            release.artifact,
            release.current,
            release.previous,
            serde_json::to_string(release)?,
        ])?;
    }
    Ok(())
}

/// The releases of every place in a scope, newest first.
pub(crate) fn releases(connection: &Connection, scope: &Scope) -> Result<Vec<(ReleasePlace, ReleaseRecord)>, Fault> {
    let conditions = Conditions::of(scope);
    let sql = format!(
        "SELECT project, environment, target, host, release FROM releases {} ORDER BY created_at DESC, id DESC",
        conditions.clause()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values()))?;
    let mut releases = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let place = ReleasePlace {
            project: columns.word()?,
            environment: columns.word()?,
            target: columns.word()?,
            host: columns.plain()?,
        };
        releases.push((place, serde_json::from_str(&columns.plain::<String>()?)?));
    }
    Ok(releases)
}

/// Takes an artifact's record, or a newer one of the same artifact.
pub(crate) fn put_artifact(connection: &Connection, artifact: &ArtifactRecord) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO artifacts (project, id, packed_at, artifact) VALUES (?1, ?2, ?3, ?4)";
    let body = serde_json::to_string(artifact)?;
    let values = params![artifact.project.as_str(), artifact.id, nanoseconds(artifact.packed_at), body];
    connection.prepare(sql)?.execute(values)?;
    Ok(())
}

/// The artifacts of a project, newest first.
pub(crate) fn artifacts(connection: &Connection, project: &ProjectName) -> Result<Vec<ArtifactRecord>, Fault> {
    let sql = format!(
        "SELECT artifact FROM artifacts WHERE project = ?1 ORDER BY packed_at DESC, id DESC LIMIT {PAGE_ROWS_MAX}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([project.as_str()])?;
    let mut artifacts = Vec::new();
    while let Some(row) = rows.next()? {
        artifacts.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(artifacts)
}
