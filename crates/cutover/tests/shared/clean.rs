//! Programs that know nothing of this machine's settings.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program that works in a repository, for Ada, with a home and a Cutover of its own.
pub(crate) fn clean_command(program: &str, repository: &Path, home: &Path, cutover_home: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository).stdin(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    command.env("CUTOVER_HOME", cutover_home).env("CUTOVER_BY", "ada");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
    }
    command
}
