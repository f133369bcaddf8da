//! Running programs of the machine itself, such as systemd's: in its root, with the same words everywhere.

use cutover_child::{ChildCommand, ChildError, ChildExit, Leftovers, listen};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program, and within which bounds it is run.
pub(crate) struct Tool<'a> {
    pub(crate) command: &'a CommandLine,
    pub(crate) variables: &'a BTreeMap<String, Secret>,
    pub(crate) timeout: Duration,
    pub(crate) masker: &'a Masker,
    pub(crate) leftovers: Leftovers<'a>,
}

impl<'a> Tool<'a> {
    pub(crate) fn child(&self) -> ChildCommand<'a> {
        let Self { command, variables, timeout, masker, leftovers } = *self;
        ChildCommand { command, cwd: Path::new("/"), variables, timeout, log: None, masker, leftovers }
    }
}

/// Runs a program, of which nobody is told what it says: the newest `bytes_max` of that are kept.
pub(crate) fn ask(
    argv: &[&str],
    scope: SystemdScope,
    timeout: Duration,
    leftovers: Leftovers<'_>,
    bytes_max: usize,
) -> Result<ChildExit, ChildError> {
    let command = CommandLine::Argv(argv.iter().map(|word| (*word).to_owned()).collect());
    let (variables, masker) = (variables(scope), Masker::new([]));
    let tool = Tool { command: &command, variables: &variables, timeout, masker: &masker, leftovers };
    listen(&tool.child(), bytes_max, &|| false)
}

/// Names a user's directory for sockets and the like.
const RUNTIME_DIR_VARIABLE: &str = "XDG_RUNTIME_DIR";

/// This user's directory for sockets. Sessions without PAM don't name it; it is where systemd puts it for every user
/// (pam_systemd(8)).
pub(crate) fn runtime_dir() -> PathBuf {
    let usual = || format!("/run/user/{}", rustix::process::geteuid().as_raw()).into();
    std::env::var_os(RUNTIME_DIR_VARIABLE).map_or_else(usual, PathBuf::from)
}

/// What has programs say the same everywhere, and those of systemd's find the manager of this scope.
pub(crate) fn variables(scope: SystemdScope) -> BTreeMap<String, Secret> {
    let mut variables =
        BTreeMap::from([("SYSTEMD_PAGER", String::new()), ("SYSTEMD_COLORS", "0".into()), ("LC_ALL", "C".into())]);
    if scope == SystemdScope::User && std::env::var_os(RUNTIME_DIR_VARIABLE).is_none() {
        variables.insert(RUNTIME_DIR_VARIABLE, runtime_dir().display().to_string());
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect()
}
