//! Incidents: opened, closed and listed, in whatever order deployments are taken in.

use crate::fault::Fault;
use crate::history::Conditions;
use crate::recall;
use crate::value::nanoseconds;
use cutover_core::record::{DeploymentRecord, Incident, closes, incident};
use cutover_core::store::{PAGE_ROWS_MAX, Scope};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

/// Opens this deployment's own incident if it has one, and closes those that it closes.
pub(crate) fn take(connection: &Connection, number: i64, summary: &DeploymentRecord) -> Result<(), Fault> {
    let closing = first_closing_after(connection, summary)?;
    let closing = closing.map(|number| recall::summary(connection, number)).transpose()?;
    if let Some(own) = incident(summary, closing.as_ref()) {
        put(connection, number, &own)?;
    }
    if !closes(summary) {
        return Ok(());
    }
    for stuck in stuck_before(connection, summary)? {
        if let Some(closed) = incident(&recall::summary(connection, stuck)?, Some(summary)) {
            put(connection, stuck, &closed)?;
        }
    }
    Ok(())
}

/// What [`closes`] says of a row, so that the first such row can be asked for.
const CLOSES: &str = "(outcome = 'rolled_back'
    OR outcome = 'deployed' AND (kind <> 'deploy' OR original IS NULL OR original <> release))";

fn first_closing_after(connection: &Connection, summary: &DeploymentRecord) -> Result<Option<i64>, Fault> {
    let sql = format!(
        "SELECT number FROM deployments WHERE project = ?1 AND environment = ?2
            AND (began_at, id) > (?3, ?4) AND {CLOSES}
        ORDER BY began_at, id LIMIT 1"
    );
    let place = (
        summary.project.as_str(),
        summary.environment.as_str(),
        nanoseconds(summary.began_at),
        summary.deployment.as_str(),
    );
    Ok(connection.prepare(&sql)?.query_row(place, |row| row.get(0)).optional()?)
}

/// Stuck deployments before this one that none between has closed.
fn stuck_before(connection: &Connection, summary: &DeploymentRecord) -> Result<Vec<i64>, Fault> {
    let sql = "SELECT stuck.number FROM deployments stuck
            JOIN incidents ON incidents.deployment = stuck.number
            LEFT JOIN deployments closing ON closing.id = incidents.closed_by
        WHERE stuck.project = ?1 AND stuck.environment = ?2 AND stuck.outcome = 'stuck'
            AND (stuck.began_at, stuck.id) < (?3, ?4)
            AND (closing.id IS NULL OR (closing.began_at, closing.id) > (?3, ?4))";
    let mut statement = connection.prepare(sql)?;
    let place = (
        summary.project.as_str(),
        summary.environment.as_str(),
        nanoseconds(summary.began_at),
        summary.deployment.as_str(),
    );
    let numbers = statement.query_map(place, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(numbers)
}

fn put(connection: &Connection, number: i64, incident: &Incident) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO incidents
            (deployment, project, environment, opened_at, closed_at, closed_by, incident)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare(sql)?.execute(params![
        number,
        incident.project.as_str(),
        incident.environment.as_str(),
        nanoseconds(incident.opened_at),
        incident.closed_at.map(nanoseconds),
        incident.closed_by.as_ref().map(|by| by.as_str()),
        serde_json::to_string(incident)?,
    ])?;
    Ok(())
}

/// The incidents of a scope, newest first. A rollback by hand that closed another incident is told there.
pub(crate) fn list(connection: &Connection, scope: &Scope, since: Option<Timestamp>) -> Result<Vec<Incident>, Fault> {
    let mut conditions = Conditions::of(scope);
    if let Some(since) = since {
        conditions.add("opened_at >= ?", [Value::from(nanoseconds(since))]);
    }
    conditions.add(
        "NOT EXISTS (SELECT 1 FROM deployments own
            JOIN incidents mended ON mended.closed_by = own.id AND mended.deployment <> own.number
            WHERE own.number = incidents.deployment AND own.kind = 'rollback' AND own.outcome = 'deployed')",
        [],
    );
    let sql = format!(
        "SELECT incident FROM incidents {} ORDER BY opened_at DESC, deployment DESC LIMIT {PAGE_ROWS_MAX}",
        conditions.clause()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values()))?;
    let mut incidents = Vec::new();
    while let Some(row) = rows.next()? {
        incidents.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(incidents)
}
