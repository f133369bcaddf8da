//! Preparing a host, as root on it: what it shall have is a list of parts, what is to be done a list of changes.
//!
//! Each change is written down before it is made, together with what it replaces, so that all of it can be taken back.
//! See `docs/design/0014-setup.md`.

mod account;
mod act;
mod look;
mod parts;
mod place;
mod plan;
mod receipt;
mod unit;

pub use look::{Found, Old};
pub use parts::{FileKind, Part, Wish, slug};
pub use place::Owner;
pub use plan::{Argv, Change, Made};

use account::account;
use cutover_core::target::Failure;
use look::look;
use plan::{afterwards, plan, removal};
use receipt::Receipt;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The changes in order.
    pub changes: Vec<Change>,
    /// The programs that are run after them.
    pub afterwards: Vec<Argv>,
    /// What was left where it is, and why.
    pub left: Vec<String>,
}

/// Why a host was not prepared.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing was begun.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// Some of it was made, and is written down.
    #[error(transparent)]
    HalfWay(Failure),
}

/// Carries the order out, as root; `program` is Cutover itself.
pub fn perform(order: &Order, program: &Path) -> Result<Report, SetupError> {
    let mut receipt = Receipt::read(&order.wish.slug())?;
    let changes = match order.task {
        Task::Prepare => plan(looked_at(&order.wish, program)?, &receipt.made),
        Task::Remove { .. } => removal(&receipt.made),
    };
    let mut report = Report { afterwards: afterwards(&changes), changes, left: Vec::new() };
    if order.dry_run || report.changes.is_empty() {
        return Ok(report);
    }
    check_needs(&report)?;
    let _lock = receipt.lock()?;
    let with_data = order.task == Task::Remove { with_data: true };
    for change in &report.changes {
        let left = match change {
            Change::Make(made) => make(made, &mut receipt, program).map(|()| None),
            Change::TakeBack(made) => take_back(change, made, with_data, &mut receipt, &report.left),
        };
        report.left.extend(left.map_err(SetupError::HalfWay)?);
    }
    report.afterwards.iter().try_for_each(act::run).map_err(SetupError::HalfWay)?;
    Ok(report)
}

fn looked_at(wish: &Wish, program: &Path) -> Result<Vec<(Part, Found)>, Failure> {
    let home = account(&wish.user)?.map_or_else(|| PathBuf::from("/home").join(&wish.user), |account| account.home);
    let parts = wish.parts(&home).into_iter();
    parts.map(|part| look(&part, program).map(|found| (part, found))).collect()
}

fn make(made: &Made, receipt: &mut Receipt, program: &Path) -> Result<(), Failure> {
    receipt.note(made)?;
    Change::Make(made.clone()).commands().iter().try_for_each(act::run)?;
    act::make(&made.part, program)
}

/// Takes a part back. An account stays as long as something of it was left.
fn take_back(
    change: &Change,
    made: &Made,
    with_data: bool,
    receipt: &mut Receipt,
    left: &[String],
) -> Result<Option<String>, Failure> {
    if let (Part::User { name, .. }, false) = (&made.part, left.is_empty()) {
        return Ok(Some(format!("user {name} owns what is left")));
    }
    if let Part::User { name, .. } = &made.part {
        if account(name)?.is_none() {
            // It was written down, and never made; or it is gone already.
            return receipt.forget(made).map(|()| None);
        }
        account::end_all_of(name)?;
    }
    for argv in change.commands() {
        let done = act::run(&argv);
        // What does not run need not be stopped.
        done.or_else(|failure| if argv[0] == "systemctl" { Ok(()) } else { Err(failure) })?;
    }
    let stays = act::take_back(made, with_data)?;
    if stays.is_none() {
        receipt.forget(made)?;
    }
    Ok(stays)
}

/// Fails before anything is touched when a program is missing.
fn check_needs(report: &Report) -> Result<(), Failure> {
    let sudoers =
        |change: &Change| matches!(change, Change::Make(Made { part: Part::File { kind: FileKind::Sudoers, .. }, .. }));
    let visudo = report.changes.iter().any(sudoers).then(|| "visudo".to_owned());
    let commands = report.changes.iter().flat_map(Change::commands).chain(report.afterwards.clone());
    let programs = commands.filter_map(|argv| argv.into_iter().next()).chain(visudo);
    let mut missing: Vec<String> = programs.filter(|name| crate::host::find_program(name).is_none()).collect();
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("prepare the host: it lacks {}", missing.join(", ")))
        .hint("on Debian and Ubuntu: apt-get install sudo passwd systemd"))
}
