//! Listing deployments, newest first.

use crate::fault::Fault;
use crate::recall;
use crate::value::{Columns, nanoseconds, word};
use cutover_core::record::DeploymentRow;
use cutover_core::store::{Filter, PAGE_ROWS_MAX, Page, Scope, Standing};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use std::ops::ControlFlow;

/// Conditions of a query and the values that they name, in order.
#[derive(Default)]
pub(crate) struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Those that keep a query to one project and environment.
    pub(crate) fn of(scope: &Scope) -> Self {
        let mut conditions = Self::default();
        if let Some(project) = &scope.project {
            conditions.add("project = ?", [Value::from(project.as_str().to_owned())]);
        }
        if let Some(environment) = &scope.environment {
            conditions.add("environment = ?", [Value::from(environment.as_str().to_owned())]);
        }
        conditions
    }

    /// One more, with a value for each `?`.
    pub(crate) fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    /// The `WHERE` clause; empty when there are no conditions.
    pub(crate) fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }

    /// The values for the clause.
    pub(crate) fn values(self) -> Vec<Value> {
        self.values
    }
}

/// One page.
pub(crate) fn page(connection: &Connection, filter: &Filter, limit: usize) -> Result<Page, Fault> {
    let limit = limit.clamp(1, PAGE_ROWS_MAX);
    let mut rows = Vec::new();
    // One more than asked for tells whether there is another page.
    each(connection, filter, Some(limit + 1), &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.deployment.clone());
    Ok(Page { rows, next })
}

/// Every row that the filter lets through, until told to stop.
pub(crate) fn each(
    connection: &Connection,
    filter: &Filter,
    limit: Option<usize>,
    show: &mut dyn FnMut(DeploymentRow) -> ControlFlow<()>,
) -> Result<(), Fault> {
    let conditions = conditions(connection, filter)?;
    let limit = limit.map(|limit| format!("LIMIT {limit}")).unwrap_or_default();
    let sql = format!(
        "SELECT id, kind, project, environment, release, original, artifact, commit_hash, subject, committed_at, dirty,
            asker, reason, began_at, ended_at, outcome, switched, cancelled, elapsed_ms, failed_step, error,
            forward, promoted_from, hosts, divided, starts
        FROM deployments {} ORDER BY began_at DESC, id DESC {limit}",
        conditions.clause()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values()))?;
    while let Some(row) = rows.next()? {
        if show(deployment_row(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn conditions(connection: &Connection, filter: &Filter) -> Result<Conditions, Fault> {
    let mut conditions = Conditions::of(&filter.scope);
    match filter.standing {
        None => {}
        Some(Standing::Unfinished) => conditions.add("outcome IS NULL", []),
        Some(Standing::Ended(outcome)) => conditions.add("outcome = ?", [Value::from(word(&outcome)?)]),
    }
    if let Some(since) = filter.since {
        conditions.add("began_at >= ?", [Value::from(nanoseconds(since))]);
    }
    if let Some(before) = &filter.before {
        let began_at = recall::began_at(connection, before)?;
        let cursor = [Value::from(began_at), Value::from(before.as_str().to_owned())];
        conditions.add("(began_at, id) < (?, ?)", cursor);
    }
    if let Some(text) = &filter.text {
        search(&mut conditions, text);
    }
    Ok(conditions)
}

fn search(conditions: &mut Conditions, text: &str) {
    let fields = ["subject", "error", "reason", "asker", "commit_hash", "release", "id"];
    let sql = fields.map(|field| format!("{field} LIKE ? ESCAPE '\\'")).join(" OR ");
    let pattern = like(text);
    conditions.add(&format!("({sql})"), fields.map(|_| Value::from(pattern.clone())));
}

/// A pattern that finds this very text anywhere.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}

fn deployment_row(row: &Row<'_>) -> Result<DeploymentRow, Fault> {
    let mut columns = Columns::of(row);
    Ok(DeploymentRow {
        deployment: columns.word()?,
        kind: columns.word()?,
        project: columns.word()?,
        environment: columns.word()?,
        release: columns.word()?,
        original: columns.maybe_word()?,
        artifact: columns.plain()?,
        commit: columns.plain()?,
        subject: columns.plain()?,
        committed_at: columns.maybe_time()?,
        dirty: columns.plain()?,
        by: columns.plain()?,
        reason: columns.plain()?,
        began_at: columns.time()?,
        ended_at: columns.maybe_time()?,
        outcome: columns.maybe_word()?,
        switched: columns.plain()?,
        cancelled: columns.plain()?,
        elapsed_ms: columns.count()?,
        failed_step: columns.plain()?,
        error: columns.plain()?,
        forward: columns.plain()?,
        promoted_from: columns.maybe_word()?,
        // Taken from the plan, which is kept: one cell that cannot be read must not close the whole history.
        hosts: serde_json::from_str(&columns.plain::<String>()?).unwrap_or_default(),
        divided: columns.plain()?,
        starts: columns.plain()?,
    })
}
