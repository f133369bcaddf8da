//! The tables, and how older files become newer ones.

use crate::fault::Fault;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The schema version that this code writes; it is kept in `PRAGMA user_version`.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Migration number n leads from version n to n + 1. They are never changed once released.
const MIGRATIONS: [&str; 8] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8];

const VERSION_1: &str = "
CREATE TABLE deployments (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    release TEXT NOT NULL,
    original TEXT,
    artifact TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    committed_at INTEGER,
    dirty INTEGER NOT NULL,
    asker TEXT NOT NULL,
    reason TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    switched INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    failed_step TEXT,
    error TEXT
) STRICT;
CREATE INDEX deployments_by_time ON deployments (began_at, id);
CREATE INDEX deployments_by_place ON deployments (project, environment, began_at, id);
CREATE INDEX deployments_by_outcome ON deployments (project, environment, outcome, began_at, id);

-- Apart from the rows that lists show, so that listing does not read them.
CREATE TABLE plans (
    deployment INTEGER PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    plan TEXT NOT NULL
) STRICT;

CREATE TABLE entries (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (deployment, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE step_times (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    PRIMARY KEY (deployment, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE probes (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    place INTEGER NOT NULL,
    step INTEGER NOT NULL,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    healthy INTEGER NOT NULL,
    code INTEGER,
    latency_ms INTEGER,
    body TEXT NOT NULL,
    error TEXT NOT NULL,
    pid INTEGER,
    attempt_count INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (deployment, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    deployment INTEGER PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    closed_by TEXT,
    incident TEXT NOT NULL
) STRICT;
CREATE INDEX incidents_by_time ON incidents (opened_at);
CREATE INDEX incidents_by_closing ON incidents (closed_by);

CREATE TABLE releases (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    target TEXT NOT NULL,
    host TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    current INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    release TEXT NOT NULL,
    PRIMARY KEY (project, environment, target, host, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    packed_at INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;
";

/// A project's whole history, as `cutover history` lists it: without this it is sorted anew each time.
const VERSION_2: &str = "CREATE INDEX deployments_by_project ON deployments (project, began_at, id);";

/// Whose journal has an entry, where a deployment went to several hosts.
const VERSION_3: &str = "ALTER TABLE entries ADD COLUMN host TEXT;";

/// Whether a rollback undoes one.
const VERSION_4: &str = "ALTER TABLE deployments ADD COLUMN forward INTEGER NOT NULL DEFAULT 0;";

/// Which environment had verified what was promoted.
const VERSION_5: &str = "ALTER TABLE deployments ADD COLUMN promoted_from TEXT;";

/// The hosts of a deployment as a list in JSON, so that lists need not read the plans. Older ones are asked once; one that cannot be
/// read has none, and does not keep the rest of the history closed.
const VERSION_6: &str = "
ALTER TABLE deployments ADD COLUMN hosts TEXT NOT NULL DEFAULT '[]';
UPDATE deployments SET hosts = (
    SELECT json_group_array(host) FILTER (WHERE typeof(host) = 'text') FROM (
        SELECT CASE step.type WHEN 'object' THEN json_extract(step.value, '$.host') END AS host
        FROM plans, json_each(CASE WHEN json_valid(plans.plan) THEN plans.plan ELSE '{}' END, '$.steps') AS step
        WHERE plans.deployment = deployments.number
        GROUP BY host ORDER BY min(step.key)
    )
);
";

/// Whether a release stays on some of its hosts only. Of older deployments nobody asked.
const VERSION_7: &str = "ALTER TABLE deployments ADD COLUMN divided INTEGER NOT NULL DEFAULT 0;";

/// Whether a restart started what did not run. Of older ones nobody asked.
const VERSION_8: &str = "ALTER TABLE deployments ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;";

/// The version of the file; the one thing that every opening reads.
pub(crate) fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings an older file to [`VERSION`], all or nothing; another process may be doing the same.
pub(crate) fn migrate(connection: &Connection) -> Result<(), Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let from = version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if from < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(transaction.commit()?)
}
