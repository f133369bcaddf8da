//! The memory of Cutover: every deployment, release, probe and incident, in one SQLite file.
//!
//! The journals are the truth; this is what makes them quick to ask. So the file is written with
//! `synchronous=NORMAL` in WAL mode: a power cut can lose the last transactions but never damage the file, and
//! what was lost is taken in again at the next contact. A damaged file is set aside by
//! [`renew`], and what the journals still know is taken in again like all that a history has missed.

mod fault;
mod history;
mod incidents;
mod ingest;
mod inventory;
mod open;
mod prune;
mod recall;
mod schema;
mod value;

use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, TargetName};
use cutover_core::journal::Record;
use cutover_core::plan::Plan;
use cutover_core::record::{ArtifactRecord, DeploymentRecord, DeploymentRow, Incident, ReleaseRecord};
use cutover_core::store::{Filter, Page, Pruned, ReleasePlace, Scope, Store, StoreError};
use fault::Fault;
use jiff::Timestamp;
pub use open::renew;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A history in one SQLite file. Several processes may use the same file at once.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the history at this path, or makes an empty one that only its owner can read.
    ///
    /// # Errors
    /// When it was written by a newer version, is damaged, or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::connect(path).map_err(|fault| fault.explain("open", path))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// A copy of the history at this path that ends with it: for whoever cannot write that one, which is not touched. What its
    /// last writer had not yet moved from the log beside it may be missing.
    ///
    /// # Errors
    /// When it was written by a newer version, is damaged, too large to copy, or cannot be read.
    pub fn copy_of(path: &Path) -> Result<Self, StoreError> {
        let connection = open::copy(path).map_err(|fault| fault.explain("read", path))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// An empty history that ends with it, in place of the one at this path.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn instead_of(path: &Path) -> Result<Self, StoreError> {
        let connection = open::in_memory().map_err(|fault| fault.explain("begin", path))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        ask(&self.connection).map_err(|fault| fault.explain("read", &self.path))
    }

    /// Changes everything or nothing. The transaction is a writer from its beginning, so that waiting for another
    /// writer never ends in a conflict.
    fn write<T>(&self, change: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let changed = || {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        changed().map_err(|fault: Fault| fault.explain("write", &self.path))
    }
}

impl Store for SqliteStore {
    fn ingest(&self, plan: &Plan, records: &[Record]) -> Result<(), StoreError> {
        self.write(|connection| ingest::ingest(connection, plan, records))
    }

    fn deployment(&self, id_or_prefix: &str) -> Result<DeploymentRecord, StoreError> {
        self.read(|connection| recall::deployment(connection, id_or_prefix))
    }

    fn plan(&self, id: &DeploymentId) -> Result<Plan, StoreError> {
        self.read(|connection| recall::plan(connection, recall::number(connection, id)?))
    }

    fn entries(&self, id: &DeploymentId) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| recall::entries(connection, recall::number(connection, id)?))
    }

    fn history(&self, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        self.read(|connection| history::page(connection, filter, limit))
    }

    fn each(&self, filter: &Filter, show: &mut dyn FnMut(DeploymentRow) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.read(|connection| history::each(connection, filter, None, show))
    }

    fn usual_times(&self, scope: &Scope, target: Option<&TargetName>) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read(|connection| recall::usual_times(connection, scope, target))
    }

    fn incidents(&self, scope: &Scope, since: Option<Timestamp>) -> Result<Vec<Incident>, StoreError> {
        self.read(|connection| incidents::list(connection, scope, since))
    }

    fn put_releases(&self, place: &ReleasePlace, releases: &[ReleaseRecord]) -> Result<(), StoreError> {
        self.write(|connection| inventory::put_releases(connection, place, releases))
    }

    fn releases(&self, scope: &Scope) -> Result<Vec<(ReleasePlace, ReleaseRecord)>, StoreError> {
        self.read(|connection| inventory::releases(connection, scope))
    }

    fn put_artifact(&self, artifact: &ArtifactRecord) -> Result<(), StoreError> {
        self.write(|connection| inventory::put_artifact(connection, artifact))
    }

    fn artifacts(&self, project: &ProjectName) -> Result<Vec<ArtifactRecord>, StoreError> {
        self.read(|connection| inventory::artifacts(connection, project))
    }

    fn prune(&self, project: &ProjectName, environment: &EnvironmentName, keep: usize) -> Result<Pruned, StoreError> {
        self.write(|connection| prune::prune(connection, project, environment, keep))
    }
}
