//! What the errors of deployments mean for the user.

use super::{CommandError, ErrorKind};
use crate::deployments::{PlaceError, RunError, VariablesError};
use cutover_core::target::Failure;
use cutover_targets::host::lock::LockError;
use cutover_targets::host::obstacle_above;
use cutover_targets::host::transaction::TransactionError;
use cutover_targets::setup::SetupError;
use std::io::ErrorKind as ErrorKindOfIo;
use std::path::Path;

const NOTHING_CHANGED: &str = "nothing was changed";

impl From<PlaceError> for CommandError {
    fn from(error: PlaceError) -> Self {
        let told = Self::of(ErrorKind::Config, &error).state(NOTHING_CHANGED);
        match error {
            PlaceError::Empty(name) => {
                told.hint(format!("add [environments.{name}.hosts] with a line like: app = [\"localhost\"]"))
            }
            PlaceError::Elsewhere(_) => told,
            PlaceError::Shared { .. } => told.hint("give every target a deploy_to of its own"),
        }
    }
}

impl From<VariablesError> for CommandError {
    fn from(error: VariablesError) -> Self {
        if error.cancelled {
            return Self::of(ErrorKind::Failed, &error).state(NOTHING_CHANGED);
        }
        Self::of(ErrorKind::Config, &error).state(NOTHING_CHANGED).hint(
            "`secrets` of the environment says where each comes from: a variable of yours to set, a file or a command",
        )
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        let told = Self::new(ErrorKind::Failed, &failure.message).state(NOTHING_CHANGED).excerpt(failure.excerpt);
        failure.hint.into_iter().fold(told, Self::hint)
    }
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Refused(failure) => failure.into(),
            SetupError::Locked(failure) => Self { kind: ErrorKind::Locked, ..failure.into() },
            SetupError::HalfWay(failure) => Self::from(failure)
                .state("some of it was made; that is written down on the host")
                .hint("`cutover setup ENV` goes on from here; `cutover setup ENV --remove` takes it back"),
        }
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Transaction(error) => error.into(),
            RunError::Plan(failure) => failure.into(),
            RunError::Id(error) => error.into(),
            RunError::Stuck { may_be_retried, .. } => {
                let told = Self::of(ErrorKind::Stuck, &error).state("the newer deployment was not begun");
                let told = if may_be_retried {
                    told.hint("put right what it says, then run `cutover resume ENV`")
                } else {
                    told
                };
                told.hint("once it has been put right by hand, `cutover resume ENV --abandon` closes it")
            }
        }
    }
}

impl From<TransactionError> for CommandError {
    fn from(error: TransactionError) -> Self {
        let (kind, state, hint) = match error {
            TransactionError::Lock(error) => return error.into(),
            TransactionError::Place(failure) => return failure.into(),
            TransactionError::Begin(_) => (
                ErrorKind::Failed,
                NOTHING_CHANGED,
                "nothing is done that cannot be recorded: make room there (512 KiB do: df -h; df -i), or make .cutover/ writable, then try again",
            ),
            TransactionError::NameTaken { .. } => {
                (ErrorKind::Failed, NOTHING_CHANGED, "run the same again: it gets a new name")
            }
            TransactionError::Read { .. } => (
                ErrorKind::Stuck,
                "the deployment that it belongs to is left as it is",
                "see docs/operations.md on journals that cannot be read",
            ),
            TransactionError::Elsewhere { .. } => (
                ErrorKind::Stuck,
                "it is left as it is, and nothing newer was begun",
                "put that target back into cutover.toml, then run `cutover resume ENV`; `--abandon` closes it as it stands",
            ),
            TransactionError::File { .. } => (
                ErrorKind::Stuck,
                "its deployment is still open; nothing that runs was touched",
                "make .cutover/journal writable, then run the same again",
            ),
            TransactionError::Interrupted { .. } => (
                ErrorKind::Stuck,
                "what was begun stays as it is",
                "make the journal writable, then run `cutover resume ENV`",
            ),
        };
        Self::of(kind, &error).state(state).hint(hint)
    }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        let kind = match &error {
            LockError::Held(_) | LockError::Maintenance(_) | LockError::Superseded(_) | LockError::TimedOut { .. } => {
                ErrorKind::Locked
            }
            LockError::Cancelled | LockError::Io { .. } | LockError::Disk(_) => ErrorKind::Failed,
        };
        let told = Self::of(kind, &error).state(NOTHING_CHANGED);
        match error {
            LockError::Held(_) => told.hint(
                "--wait queues up behind it (deploy, rollback, app restart); `cutover lock ENV status` shows who waits",
            ),
            LockError::Maintenance(_) => told.hint("`cutover lock ENV release` ends it"),
            LockError::TimedOut { .. } => {
                told.hint("wait longer with --wait=SECONDS; `cutover lock ENV status` shows who waits")
            }
            LockError::Superseded(_) => told.hint("nothing is to be done: the newer deployment takes this one's place"),
            LockError::Cancelled => told,
            LockError::Io { source, path, .. } => told.hint(lock_advice(&source, &path)),
            LockError::Disk(error) => told.hint(lock_advice(&error.source, &error.path)),
        }
    }
}

fn lock_advice(error: &std::io::Error, path: &Path) -> String {
    match error.kind() {
        ErrorKindOfIo::StorageFull | ErrorKindOfIo::QuotaExceeded => {
            "free some space (df -h; df -i), then try again".to_owned()
        }
        _ => obstacle_above(path).map_or_else(
            || ".cutover/ in deploy_to must be writable by the user who deploys".to_owned(),
            |obstacle| obstacle.advice(),
        ),
    }
}
