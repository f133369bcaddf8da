//! Taking a deployment in, as far as it went.

use crate::fault::Fault;
use crate::incidents;
use crate::recall;
use crate::value::{nanoseconds, signed, word};
use cutover_core::id::DeploymentId;
use cutover_core::journal::Record;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::Plan;
use cutover_core::record::{DeploymentRecord, DeploymentRow, Part, StepState, split, summarize, unite};
use rusqlite::{Connection, OptionalExtension, params};

/// Takes in what is new of a deployment. What is known already, or older than what is known, changes nothing.
///
/// Several hosts' parts of one deployment may come one by one: they are told apart by their host, and each must be one that
/// the others name. What is told of another environment under the same name is no part of it, and a part that has ended stays
/// as it is, unless it ended stuck.
pub(crate) fn ingest(connection: &Connection, plan: &Plan, records: &[Record]) -> Result<(), Fault> {
    let Some(known) = known(connection, &plan.deployment)? else { return put(connection, plan, records) };
    let (plan_before, records_before) = (recall::plan(connection, known)?, recall::entries(connection, known)?);
    if (&plan.project, &plan.environment) != (&plan_before.project, &plan_before.environment) {
        return Ok(());
    }
    let Some((plan, records)) = joined(split(&plan_before, &records_before), split(plan, records)) else {
        return Ok(());
    };
    for table in ["plans", "entries", "step_times", "probes"] {
        connection.prepare(&format!("DELETE FROM {table} WHERE deployment = ?1"))?.execute([known])?;
    }
    put(connection, &plan, &records)
}

fn put(connection: &Connection, plan: &Plan, records: &[Record]) -> Result<(), Fault> {
    let summary = summarize(plan, records);
    let number = put_row(connection, &DeploymentRow::from(&summary))?;
    put_plan(connection, number, plan)?;
    put_entries(connection, number, records)?;
    put_step_times(connection, number, &summary)?;
    put_probes(connection, number, &summary)?;
    incidents::take(connection, number, &summary)
}

/// What is known with what is told, as one; None when nothing in it is new.
fn joined(mut parts: Vec<Part>, told: Vec<Part>) -> Option<(Plan, Vec<Record>)> {
    let mut is_new = false;
    for part in told {
        let is_theirs = parts.iter().all(|known| known.goes_with(&part));
        match parts.iter_mut().find(|known| known.host() == part.host()) {
            Some(known) if known.records.len() >= part.records.len() || is_closed(known) => continue,
            Some(known) if known.plan.fleet == part.plan.fleet => *known = part,
            None if is_theirs => parts.push(part),
            Some(_) | None => continue,
        }
        is_new = true;
    }
    is_new.then(|| unite(parts)).flatten()
}

/// Whether nothing can be added to it: a person may have what is stuck tried again.
fn is_closed(part: &Part) -> bool {
    let outcome = summarize(&part.plan, &part.records).outcome;
    outcome.is_some_and(|outcome| outcome != DeploymentOutcome::Stuck)
}

/// The number of a deployment that is here.
fn known(connection: &Connection, id: &DeploymentId) -> Result<Option<i64>, Fault> {
    let sql = "SELECT number FROM deployments WHERE id = ?1";
    Ok(connection.prepare(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?)
}

fn put_row(connection: &Connection, row: &DeploymentRow) -> Result<i64, Fault> {
    let sql = "INSERT INTO deployments (id, kind, project, environment, release, original, artifact, commit_hash,
            subject, committed_at, dirty, asker, reason, began_at, ended_at, outcome, switched, cancelled, elapsed_ms,
            failed_step, error, forward, promoted_from, hosts, divided, starts)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
            ?23, ?24, ?25, ?26)
        ON CONFLICT (id) DO UPDATE SET kind = ?2, release = ?5, original = ?6, ended_at = ?15, outcome = ?16, switched = ?17, cancelled = ?18,
            elapsed_ms = ?19, failed_step = ?20, error = ?21, hosts = ?24, divided = ?25, starts = ?26
        RETURNING number";
    let values = params![
        row.deployment.as_str(),
        word(&row.kind)?,
        row.project.as_str(),
        row.environment.as_str(),
        row.release.as_str(),
        row.original.as_ref().map(|original| original.as_str()),
        row.artifact,
        row.commit,
        row.subject,
        row.committed_at.map(nanoseconds),
        row.dirty,
        row.by,
        row.reason,
        nanoseconds(row.began_at),
        row.ended_at.map(nanoseconds),
        row.outcome.as_ref().map(word).transpose()?,
        row.switched,
        row.cancelled,
        signed(row.elapsed_ms),
        row.failed_step,
        row.error,
        row.forward,
        row.promoted_from.as_ref().map(|from| from.as_str()),
        serde_json::to_string(&row.hosts)?,
        row.divided,
        row.starts,
    ];
    Ok(connection.prepare(sql)?.query_row(values, |row| row.get(0))?)
}

fn put_plan(connection: &Connection, number: i64, plan: &Plan) -> Result<(), Fault> {
    let sql = "INSERT INTO plans (deployment, plan) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.prepare(sql)?.execute(params![number, serde_json::to_string(plan)?])?;
    Ok(())
}

fn put_entries(connection: &Connection, number: i64, records: &[Record]) -> Result<(), Fault> {
    let sql = "INSERT INTO entries (deployment, seq, at, host, entry) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare(sql)?;
    for record in records {
        let entry = serde_json::to_string(&record.entry)?;
        insert.execute(params![number, signed(record.seq), nanoseconds(record.at), record.host, entry])?;
    }
    Ok(())
}

/// Only what went well says how long a step usually takes.
fn put_step_times(connection: &Connection, number: i64, summary: &DeploymentRecord) -> Result<(), Fault> {
    if summary.outcome != Some(DeploymentOutcome::Deployed) {
        return Ok(());
    }
    let sql =
        "INSERT OR REPLACE INTO step_times (deployment, step, name, target, elapsed_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = connection.prepare(sql)?;
    for step in summary.steps.iter().filter(|step| step.state == StepState::Applied) {
        let elapsed_ms = step.elapsed_ms.map(signed).unwrap_or(0);
        insert.execute(params![number, step.id.0, step.name, step.target.as_str(), elapsed_ms])?;
    }
    Ok(())
}

fn put_probes(connection: &Connection, number: i64, summary: &DeploymentRecord) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO probes (deployment, place, step, host, name, endpoint, healthy, code, latency_ms,
            body, error, pid, attempt_count, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let mut insert = connection.prepare(sql)?;
    for (place, probe) in summary.probes.iter().enumerate() {
        let result = &probe.result;
        insert.execute(params![
            number,
            signed(place as u64),
            probe.step.0,
            probe.host,
            result.name,
            result.endpoint,
            result.healthy,
            result.code,
            result.latency_ms.map(signed),
            result.body,
            result.error,
            result.pid,
            result.attempt_count,
            nanoseconds(result.at),
        ])?;
    }
    Ok(())
}
