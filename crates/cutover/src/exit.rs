//! How the process ends. These numbers are fixed: scripts rely on them.

use cutover_core::next::DeploymentOutcome;
use std::process::ExitCode;

/// The exit codes, for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed, and nothing new is live.
    Failed = 1,
    /// The command line or the config is wrong.
    Usage = 2,
    /// The release was taken back; the one before is healthy.
    RolledBack = 3,
    /// A person is needed.
    Stuck = 4,
    /// The checks failed.
    ChecksFailed = 5,
    /// Another deployment or a lock is in the way.
    Locked = 6,
    /// A host could not be reached.
    Unreachable = 7,
}

impl Exit {
    const ALL: [(Self, &str); 8] = [
        (Self::Done, "done"),
        (Self::Failed, "failed, nothing new is live"),
        (Self::Usage, "the command line or cutover.toml is wrong"),
        (Self::RolledBack, "rolled back, the previous release is healthy"),
        (Self::Stuck, "stuck, a person is needed"),
        (Self::ChecksFailed, "the checks failed"),
        (Self::Locked, "another deployment or a lock is in the way"),
        (Self::Unreachable, "a host could not be reached"),
    ];

    /// The table for `cutover --help`.
    pub(crate) fn table() -> String {
        let rows = Self::ALL.iter().map(|(exit, meaning)| format!("  {}  {meaning}\n", *exit as u8));
        "Exit codes:\n".to_owned() + &rows.collect::<String>()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<DeploymentOutcome> for Exit {
    fn from(outcome: DeploymentOutcome) -> Self {
        match outcome {
            DeploymentOutcome::Deployed => Self::Done,
            DeploymentOutcome::RolledBack => Self::RolledBack,
            DeploymentOutcome::Failed => Self::Failed,
            DeploymentOutcome::Stuck => Self::Stuck,
        }
    }
}
