//! Which checks are run, and what of them is left out.

use crate::error::{CommandError, ErrorKind};
use cutover_artifacts::{Changes, Filter};
use cutover_core::config::CheckConfig;
use cutover_core::id::CheckName;
use std::collections::{BTreeMap, BTreeSet};

/// The checks of a config that are asked for.
pub(crate) type Wanted<'c> = Vec<(&'c CheckName, &'c CheckConfig)>;

/// These checks and all that they need; all of them where none is named.
pub(crate) fn choose<'c>(
    checks: &'c BTreeMap<CheckName, CheckConfig>,
    names: &[String],
) -> Result<Wanted<'c>, CommandError> {
    if checks.is_empty() {
        let told = CommandError::new(ErrorKind::Config, "there is nothing to check: cutover.toml has no [checks]");
        return Err(told.hint("the simplest one is two lines: [checks.tests] and run = \"pytest\""));
    }
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        open.extend(checks.keys().map(CheckName::as_str));
    }
    while let Some(name) = open.pop() {
        let (known, config) =
            checks.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| unknown(checks, name))?;
        if wanted.insert(known.as_str()) {
            open.extend(config.needs.iter().map(CheckName::as_str));
        }
    }
    Ok(checks.iter().filter(|(name, _)| wanted.contains(name.as_str())).collect())
}

fn unknown(checks: &BTreeMap<CheckName, CheckConfig>, name: &str) -> CommandError {
    let known: Vec<&str> = checks.keys().map(CheckName::as_str).collect();
    CommandError::new(ErrorKind::Usage, format!("no check {name:?} in cutover.toml"))
        .hint(format!("there are: {}", known.join(", ")))
}

/// Whether what a check does, or what is said of it, depends on what the change touches.
pub(crate) fn depends_on_changes(config: &CheckConfig) -> bool {
    judges_a_part(config) || !config.reports.coverage.is_empty()
}

/// Whether it judges some paths only. Whoever judges all is run for a change of nothing, too: an empty commit is how many start a CI anew.
fn judges_a_part(config: &CheckConfig) -> bool {
    !config.paths.iter().any(|pattern| pattern == "**")
}

/// Why a check is left out: nothing that it judges is touched. Where the branch has all commits already nothing is left out:
/// what it has must be sound as it is.
pub(crate) fn left_out(config: &CheckConfig, changes: Option<&Changes>) -> Result<Option<String>, CommandError> {
    let Some(changes) = changes.filter(|changes| !changes.is_merged && judges_a_part(config)) else { return Ok(None) };
    let filter = Filter::new(&config.paths, &[])?;
    let since: String = changes.since.chars().take(7).collect();
    let is_touched = changes.paths.iter().any(|path| filter.takes(path));
    Ok((!is_touched).then(|| {
        let paths = config.paths.join(", ");
        format!("nothing of {paths} differs from {since}, where this left {}", changes.base)
    }))
}
