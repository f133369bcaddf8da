//! Asking the programs of this machine.

use crate::tool;
use cutover_child::Leftovers;
use cutover_core::config::SystemdScope;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How much of it is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What a program says when it ends well.
pub(crate) fn ask(argv: &[&str]) -> Option<String> {
    let exit = tool::ask(argv, SystemdScope::User, LIMIT, Leftovers::Kill, ANSWER_BYTES_MAX).ok()?;
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
