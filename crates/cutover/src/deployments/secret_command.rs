//! Asking a command for a secret: bounded, and ended when stopping is asked for.

use super::signals::{self, CANCEL};
use cutover_child::{ChildError, Question, ask};
use cutover_core::config::CommandLine;
use std::path::Path;
use std::time::Duration;

/// How long a command may take: a person may have to answer it.
const LIMIT: Duration = Duration::from_secs(300);

/// What a command in `root` prints, at most `bytes_max` of it, or in words why there is nothing.
///
/// Its standard error goes to the user's terminal: tools like `op` and `pass` ask there.
pub(super) fn output(command: &CommandLine, root: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    signals::watch().map_err(|error| format!("watch for signals: {error}"))?;
    let cancelled = || CANCEL.is_cancelled();
    let question = Question { command, cwd: root, timeout: LIMIT, bytes_max, cancelled: &cancelled };
    ask(&question).map_err(|error| match error {
        ChildError::Cancelled => "cancelled".to_owned(),
        error => format!("its command: {error}"),
    })
}
