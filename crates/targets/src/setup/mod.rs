//! Preparing a host, as root on it: what it shall have is a list of parts, what is to be done a list of changes.
//!
//! Each change is written down before it is made, together with what it replaces, so that all of it can be taken back.
//! See `docs/design/0014-setup.md`.

mod account;
mod act;
mod claims;
mod commands;
mod foreign;
mod lock;
mod look;
mod occupied;
mod outdated;
mod parts;
mod place;
mod plan;
mod receipt;
mod stays;
mod unit;
mod users;
mod work;

pub use account::{OwnAccount, own_account};
pub use commands::Argv;
pub use look::{Found, Old};
pub use outdated::{Author, Outdated, outdated_units};
pub use parts::{FileKind, Part, Wish, slug};
pub use place::Owner;
pub use plan::{Change, Made};

use account::account;
use cutover_core::target::Failure;
use look::look;
use plan::{plan, removal};
use receipt::{RECEIPTS, Receipt};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use work::Work;

/// The words by which Cutover, started by a unit, becomes its service: the env file follows, then `--` and the command.
pub const ENV_EXEC: [&str; 3] = ["agent", "exec", "--env-file"];

/// What is asked of a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What it is to be prepared for.
    pub wish: Wish,
    /// Whether that is made or taken back.
    pub task: Task,
    /// Whether to tell only, and change nothing.
    pub dry_run: bool,
}

/// Whether a host is prepared, or what was prepared is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Make what is missing.
    Prepare,
    /// Take back what was made.
    Remove {
        /// And with it releases, shared files and whatever else lies in directories that were made.
        with_data: bool,
    },
}

/// What was done on a host, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The changes in order.
    pub changes: Vec<Change>,
    /// The programs that are run after them.
    pub afterwards: Vec<Argv>,
    /// The units that ran, and were stopped because they are taken back.
    pub stopped: Vec<String>,
    /// What was left where it is, and why.
    pub left: Vec<String>,
    /// Whether directories are among that, for what lies in them.
    pub keeps_data: bool,
}

/// Why a host was not prepared.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing was begun.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// Another setup is at work on the host; nothing was begun.
    #[error(transparent)]
    Locked(Failure),
    /// Some of it was made, and is written down.
    #[error(transparent)]
    HalfWay(Failure),
}

/// Carries the order out, as root; `program` is Cutover itself.
pub fn perform(order: &Order, program: &Path) -> Result<Report, SetupError> {
    order.wish.check_user()?;
    // First of all: what another setup makes or takes back meanwhile would not be seen.
    let _lock = if order.dry_run { None } else { Some(lock::take(Path::new(lock::LOCK))?) };
    let receipt = Receipt::read(Path::new(RECEIPTS), &order.wish.slug(), &order.wish.title())?;
    let changes = match order.task {
        Task::Prepare => {
            occupied::check(&order.wish, &receipt)?;
            let parts = looked_at(&order.wish, program)?;
            foreign::check(&parts, &receipt, &|path| path.symlink_metadata().is_ok())?;
            plan(parts, &receipt)?
        }
        Task::Remove { .. } => removal(&receipt),
    };
    let with_data = order.task == Task::Remove { with_data: true };
    let work = Work { receipt, program, with_data, run: &act::run };
    if order.dry_run { Ok(work.foretold(changes)) } else { work.perform(changes) }
}

fn looked_at(wish: &Wish, program: &Path) -> Result<Vec<(Part, Found)>, Failure> {
    let home = account(&wish.user)?.map_or_else(|| PathBuf::from("/home").join(&wish.user), |account| account.home);
    let parts = wish.parts(&home).into_iter();
    parts.map(|part| look(&part, program).map(|found| (part, found))).collect()
}
