//! The env file that is live, as whoever looks at it may read it.

use cutover_core::config::HostConfig;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_disk::read_regular;
use cutover_targets::host::{Layout, obstacle_above};
use cutover_targets::supervisor::{ENV_BYTES_MAX, parse_env};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The most env files that are kept beside a live one: of as many releases as can be kept, and as many backups.
const KEPT_COUNT_MAX: usize = 2_000;

/// The variables of a target's live env file; none when there is no such file. One that cannot be read is a failure:
/// nobody may take it for an empty one.
pub(crate) fn live_variables(config: &HostConfig) -> Result<BTreeMap<String, Secret>, Failure> {
    let Some(file) = &config.env_file else { return Ok(BTreeMap::new()) };
    read(&Layout::new(&config.deploy_to).shared().join(file))
}

/// The secrets of a target's live env file, and those that the env files of kept releases and the backups still have: what
/// was logged with them is still in the log. A kept one that cannot be read is told to `unread`, and hides no log.
pub(crate) fn kept_secrets(
    config: &HostConfig,
    names: &BTreeSet<String>,
    unread: &dyn Fn(&Path),
) -> Result<Vec<(String, Secret)>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = BTreeSet::new();
    let mut learn = |variables: BTreeMap<String, Secret>| {
        let secrets = variables.iter().filter(|(name, _)| names.contains(*name));
        known.extend(secrets.map(|(name, value)| (name.clone(), value.expose().to_owned())));
    };
    learn(live_variables(config)?);
    for path in kept_env_files(&Layout::new(&config.deploy_to), config.env_file.as_deref()) {
        made_out(&path).map_or_else(|| unread(&path), &mut learn);
    }
    Ok(known.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

/// What can be made out in an env file that may be another program's, in a way of its own; None where it cannot be read.
fn made_out(path: &Path) -> Option<BTreeMap<String, Secret>> {
    let bytes = match read_regular(path, ENV_BYTES_MAX) {
        Err(error) if error.is_not_found() => return Some(BTreeMap::new()),
        read => read.ok()?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim().trim_start_matches("export ").trim().to_owned();
        Some((name, Secret::new(value.trim().trim_matches(['"', '\'']))))
    };
    Some(parse_env(&text).unwrap_or_else(|_| text.lines().filter_map(pair).collect()))
}

/// Every env file that is kept beside the live one. What cannot be listed has none that this user could read.
fn kept_env_files(layout: &Layout, live: Option<&Path>) -> Vec<PathBuf> {
    let of_releases = files_in(&layout.envs());
    let backups = live.map(|live| layout.shared().join(live)).into_iter().flat_map(|live| {
        let name = live.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_backup = move |path: &PathBuf| {
            path.file_name().is_some_and(|backup| backup.to_string_lossy().starts_with(&format!("{name}.bak.")))
        };
        files_in(live.parent().unwrap_or(&live)).filter(is_backup)
    });
    of_releases.chain(backups).take(KEPT_COUNT_MAX).collect()
}

fn files_in(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path())
}

/// The variables of an env file; none when it is not there, or no longer.
fn read(path: &Path) -> Result<BTreeMap<String, Secret>, Failure> {
    let failed = |why: &dyn Display| Failure::new(format!("read env file {}: {why}", path.display()));
    let bytes = match read_regular(path, ENV_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(&error.source).hint(advice(error.source.kind(), path))),
    };
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is no text").hint(NOT_OURS))?;
    parse_env(&text).map_err(|error| failed(&error))
}

/// What to do about an env file that Cutover cannot have written.
const NOT_OURS: &str = "Cutover did not write it: move it away, and the next deployment writes one";

fn advice(kind: ErrorKind, path: &Path) -> String {
    match kind {
        // Too much, or no file at all.
        ErrorKind::FileTooLarge | ErrorKind::InvalidInput => NOT_OURS.to_owned(),
        _ => obstacle_above(path).map_or_else(
            || "it belongs to the user who deploys: run this as that user".to_owned(),
            |obstacle| obstacle.advice(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

    use super::*;
    use cutover_core::config::{Config, TargetConfig};

    #[test]
    fn a_backup_that_another_program_wrote_gives_its_secrets_and_hides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"{}\"\nenv_file = \".env\"\n",
            dir.path().display()
        );
        let TargetConfig::Host(config) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        fs::create_dir(dir.path().join("shared")).unwrap();
        fs::write(dir.path().join("shared/.env"), "TOKEN=live\nLEVEL=info\n").unwrap();
        fs::write(dir.path().join("shared/.env.bak.20260101"), b"# caf\xe9\nno pair\nexport TOKEN = 'by hand'\n")
            .unwrap();

        let kept = kept_secrets(&config, &["TOKEN".to_owned()].into(), &|path| panic!("{}", path.display())).unwrap();

        let values: Vec<&str> = kept.iter().map(|(_, value)| value.expose()).collect();
        assert_eq!(values, ["by hand", "live"]);
    }
}
