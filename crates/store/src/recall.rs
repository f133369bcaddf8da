//! Recalling one deployment, and what its kind usually takes.

use crate::fault::Fault;
use crate::history::Conditions;
use crate::value::{Columns, unsigned, word};
use cutover_core::id::{DeploymentId, TargetName};
use cutover_core::journal::{Entry, Record};
use cutover_core::metrics::median;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::Plan;
use cutover_core::record::{DeploymentRecord, summarize};
use cutover_core::store::{Scope, StoreError, USUAL_RUN_COUNT};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::BTreeMap;

/// How many candidates an ambiguous prefix names.
const CANDIDATE_COUNT: usize = 5;

/// The deployment with this id, or the only one whose id begins like this.
pub(crate) fn deployment(connection: &Connection, id_or_prefix: &str) -> Result<DeploymentRecord, Fault> {
    let number = find(connection, id_or_prefix)?;
    summary(connection, number)
}

/// The summary of this deployment, made anew from its plan and entries.
pub(crate) fn summary(connection: &Connection, number: i64) -> Result<DeploymentRecord, Fault> {
    Ok(summarize(&plan(connection, number)?, &entries(connection, number)?))
}

/// The number of the deployment with this id.
pub(crate) fn number(connection: &Connection, id: &DeploymentId) -> Result<i64, Fault> {
    let sql = "SELECT number FROM deployments WHERE id = ?1";
    let number = connection.prepare(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
    number.ok_or_else(|| not_found(id.as_str()))
}

/// When the deployment with this id began, as it stands in its column.
pub(crate) fn began_at(connection: &Connection, id: &DeploymentId) -> Result<i64, Fault> {
    let sql = "SELECT began_at FROM deployments WHERE id = ?1";
    let began_at = connection.prepare(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
    began_at.ok_or_else(|| not_found(id.as_str()))
}

fn not_found(name: &str) -> Fault {
    StoreError::NotFound { what: "deployment", name: name.to_owned() }.into()
}

fn find(connection: &Connection, id_or_prefix: &str) -> Result<i64, Fault> {
    // Identifiers are ASCII, so everything that begins like this sorts before this with a DEL behind it.
    let sql = format!(
        "SELECT number, id FROM deployments WHERE id >= ?1 AND id < ?1 || char(127) ORDER BY id LIMIT {CANDIDATE_COUNT}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([id_or_prefix])?;
    let mut found: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, row.get(1)?));
    }
    match found.as_slice() {
        [] => Err(not_found(id_or_prefix)),
        [(number, _)] => Ok(*number),
        // The exact one sorts first.
        [(number, id), ..] if id == id_or_prefix => Ok(*number),
        _ if id_or_prefix.is_empty() => Err(not_found(id_or_prefix)),
        _ => {
            let candidates = found.into_iter().map(|(_, id)| id).collect();
            Err(StoreError::Ambiguous { prefix: id_or_prefix.to_owned(), candidates }.into())
        }
    }
}

/// The plan of this deployment.
pub(crate) fn plan(connection: &Connection, number: i64) -> Result<Plan, Fault> {
    let sql = "SELECT plan FROM plans WHERE deployment = ?1";
    let plan: String = connection.prepare(sql)?.query_row([number], |row| row.get(0))?;
    Ok(serde_json::from_str(&plan)?)
}

/// The entries of this deployment, in order.
pub(crate) fn entries(connection: &Connection, number: i64) -> Result<Vec<Record>, Fault> {
    let sql = "SELECT seq, at, host, entry FROM entries WHERE deployment = ?1 ORDER BY seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([number])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let (seq, at, host) = (columns.count()?, columns.time()?, columns.plain::<Option<String>>()?);
        let entry: Entry = serde_json::from_str(&columns.plain::<String>()?)?;
        records.push(Record { seq, at, host, entry });
    }
    Ok(records)
}

/// The median time of each step in the last deployments that ended well.
pub(crate) fn usual_times(
    connection: &Connection,
    scope: &Scope,
    target: Option<&TargetName>,
) -> Result<BTreeMap<String, u64>, Fault> {
    let mut conditions = Conditions::of(scope);
    conditions.add("outcome = ?", [Value::from(word(&DeploymentOutcome::Deployed)?)]);
    // What found nothing to do has no usual step, and would push out those that have.
    conditions.add("(kind <> 'deploy' OR original IS NULL OR original <> release)", []);
    let on_target = if target.is_some() { "WHERE target = ?" } else { "" };
    let sql = format!(
        "SELECT name, elapsed_ms FROM step_times JOIN (SELECT number FROM deployments {}
            ORDER BY began_at DESC, id DESC LIMIT {USUAL_RUN_COUNT}) ON deployment = number {on_target}",
        conditions.clause()
    );
    let mut values = conditions.values();
    values.extend(target.map(|target| Value::from(target.as_str().to_owned())));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut samples: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        samples.entry(row.get(0)?).or_default().push(unsigned(row.get(1)?));
    }
    Ok(samples.into_iter().filter_map(|(name, times)| Some((name, median(times)?))).collect())
}
