//! Asking the programs of this machine.

use cutover_child::{ChildCommand, Leftovers, listen};
use cutover_core::config::{CommandLine, SystemdScope};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How much of it is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What a program says when it ends well.
pub(super) fn ask(argv: &[&str]) -> Option<String> {
    let command = CommandLine::Argv(argv.iter().map(|word| (*word).to_owned()).collect());
    let runtime = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    let variables: BTreeMap<String, Secret> =
        [("LC_ALL", "C"), ("SYSTEMD_PAGER", ""), ("SYSTEMD_COLORS", "0"), ("XDG_RUNTIME_DIR", &runtime)]
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .into();
    let masker = Masker::new([]);
    let child = ChildCommand {
        command: &command,
        cwd: Path::new("/"),
        variables: &variables,
        timeout: LIMIT,
        log: None,
        masker: &masker,
        leftovers: Leftovers::Kill,
    };
    let exit = listen(&child, ANSWER_BYTES_MAX, &|| false).ok()?;
    (exit.code == 0).then_some(exit.excerpt)
}

/// What systemd says of a unit; empty when it says nothing.
pub(super) fn show(unit: &str, scope: SystemdScope, properties: &str) -> BTreeMap<String, String> {
    let properties = format!("--property={properties}");
    let scope = if scope == SystemdScope::User { "--user" } else { "--system" };
    let said = ask(&["systemctl", scope, "show", &properties, "--", unit]).unwrap_or_default();
    let pairs = said.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}
