//! The env file: staged where only this user can read it, then made the live one, the old one kept as a backup.
//!
//! The live file is replaced by links and renames only, so that a full disk can't stop a restore.

use crate::host::action::EnvFile;
use crate::host::env_text;
use crate::host::release::{disk, io};
use crate::host::site::Site;
use crate::supervisor::ENV_BYTES_MAX;
use cutover_core::plan::PlanKind;
use cutover_core::target::{Before, Failure, Outcome};
use cutover_disk::{read_bounded, sync_dir, write_atomic};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How many digits the time in a backup's name has: `20261121101500`.
const BACKUP_TIME_LENGTH: usize = 14;

/// What is replaced: whether there was an env file, and the name it is kept under.
#[derive(Debug, Serialize, Deserialize)]
struct EnvBefore {
    existed: bool,
    backup: Option<String>,
}

/// Writes the variables to a file of mode 0600 that nothing reads yet.
pub(crate) fn stage(site: &Site<'_>, env: &EnvFile) -> Result<Outcome, Failure> {
    let staged = site.layout.staged_env(site.deployment);
    if staged.exists() {
        return Ok(Outcome::unchanged("staged already"));
    }
    if site.kind == PlanKind::Rollback {
        return stage_kept(site, &staged);
    }
    let variables = site.offer.and_then(|offer| offer.variables.as_ref()).ok_or_else(|| {
        Failure::new("stage the env file: nobody offers its values any more")
            .hint("deploy again where the environment's variables and secrets can be had")
    })?;
    let text = env_text::render(variables);
    if text.expose().len() as u64 > ENV_BYTES_MAX {
        return Err(Failure::new(format!("stage the env file: the variables take more than {ENV_BYTES_MAX} bytes"))
            .hint("put what is large into a file, and its path into the variable"));
    }
    write_atomic(&staged, text.expose().as_bytes(), 0o600).map_err(disk)?;
    Ok(Outcome::changed(format!("{} variables, {} of them secret", variables.len(), env.secrets.len())))
}

/// Takes up the env file that the release was live with.
fn stage_kept(site: &Site<'_>, staged: &Path) -> Result<Outcome, Failure> {
    let kept = site.layout.release_env(site.release);
    std::fs::hard_link(&kept, staged).map_err(|e| io("link", &kept, &e))?;
    Ok(Outcome::changed(format!("as release {} had it", site.release)))
}

/// Removes the staged file.
pub(crate) fn restore_stage(site: &Site<'_>) -> Result<String, Failure> {
    remove(&site.layout.staged_env(site.deployment))?;
    Ok("staged env file removed".to_owned())
}

/// Reads what will be replaced, and chooses the backup's name.
pub(crate) fn capture(site: &Site<'_>, env: &EnvFile) -> Result<Before, Failure> {
    let Some(live) = live(site, env) else { return Before::encode(&EnvBefore { existed: false, backup: None }) };
    let existed = live.exists();
    let changes = existed && !same_content(&live, &site.layout.staged_env(site.deployment));
    Before::encode(&EnvBefore { existed, backup: changes.then(|| backup_name(site, &live)) })
}

/// Makes the staged file the live one.
pub(crate) fn apply(site: &Site<'_>, env: &EnvFile, before: &Before) -> Result<Outcome, Failure> {
    let before: EnvBefore = before.decode()?;
    let (staged, kept) = (site.layout.staged_env(site.deployment), site.layout.release_env(site.release));
    if staged.exists() {
        keep_for_release(&staged, &kept)?;
    }
    let Some(live) = live(site, env) else { return Ok(Outcome::unchanged("for hooks only")) };
    if before.existed && before.backup.is_none() {
        remove(&staged)?;
        return Ok(Outcome::unchanged("the same as before"));
    }
    if let Some(backup) = &before.backup {
        back_up(&live, &live.with_file_name(backup))?;
    }
    // A missing staged file means that an earlier attempt came this far.
    if staged.exists() {
        if let Some(parent) = live.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("create", parent, &e))?;
        }
        std::fs::rename(&staged, &live).map_err(|e| io("replace", &live, &e))?;
    }
    sync_parent(&live)?;
    Ok(Outcome::changed(
        before.backup.map_or_else(|| "written".to_owned(), |backup| format!("written, the old one kept as {backup}")),
    ))
}

/// Brings the old env file back.
pub(crate) fn restore(site: &Site<'_>, env: &EnvFile, before: &Before) -> Result<String, Failure> {
    let before: EnvBefore = before.decode()?;
    if site.kind == PlanKind::Deploy {
        remove(&site.layout.release_env(site.release))?;
    }
    let Some(live) = live(site, env) else { return Ok("nothing to bring back".to_owned()) };
    match &before.backup {
        Some(backup) => {
            let backup = live.with_file_name(backup);
            if backup.exists() {
                // rename(2) does nothing for two names of one file, as after a half-finished apply.
                std::fs::rename(&backup, &live).map_err(|e| io("bring back", &live, &e))?;
                remove(&backup)?;
            }
        }
        None if !before.existed => remove(&live)?,
        None => {}
    }
    sync_parent(&live)?;
    Ok("env file as before".to_owned())
}

fn live(site: &Site<'_>, env: &EnvFile) -> Option<PathBuf> {
    env.path.as_ref().map(|path| site.layout.shared().join(path))
}

/// Keeps the release's own name for its env file, so that a rollback brings back exactly what it had.
fn keep_for_release(staged: &Path, kept: &Path) -> Result<(), Failure> {
    match std::fs::hard_link(staged, kept) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io("link", kept, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the old file a second name before the first one is taken from it. It stays one file, so that it comes back with
/// its mode, its owner and all else that a copy would lose.
fn back_up(live: &Path, backup: &Path) -> Result<(), Failure> {
    match std::fs::hard_link(live, backup) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(io("back up", live, &error)
            .hint("it must belong to the user who deploys, or be readable and writable for that user")),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io("back up", live, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn backup_name(site: &Site<'_>, live: &Path) -> String {
    let name = live.file_name().and_then(|name| name.to_str()).unwrap_or(".env");
    let base = format!("{name}.bak.{}", site.made_at.strftime("%Y%m%d%H%M%S"));
    let free = |candidate: &String| !live.with_file_name(candidate).exists();
    // Two deployments in one second, or a clock that jumped back, must not take each other's backup.
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base)
}

/// Where a name stands among an env file's backups; None when it is none of ours, but something that a person put there.
pub(crate) fn backup_place(live_name: &str, name: &str) -> Option<(u64, u32)> {
    let time = name.strip_prefix(live_name)?.strip_prefix(".bak.")?;
    let (time, number) = time.split_once('-').unwrap_or((time, "1"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let place = (time.parse().ok()?, number.parse().ok()?);
    (time.len() == BACKUP_TIME_LENGTH && is_number(time) && is_number(number)).then_some(place)
}

fn same_content(one: &Path, other: &Path) -> bool {
    // One that is too large to be read is none that was staged.
    let content = |path: &Path| read_bounded(path, ENV_BYTES_MAX).ok();
    content(one).is_some_and(|text| content(other) == Some(text))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("remove", path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_parent(path: &Path) -> Result<(), Failure> {
    path.parent().map_or(Ok(()), |parent| sync_dir(parent).map_err(disk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_ordered_by_time_and_number_and_others_are_left_alone() {
        let place = |name: &str| backup_place(".env", name);
        assert!(place(".env.bak.20261121101500") < place(".env.bak.20261121101500-2"));
        assert!(place(".env.bak.20261121101500-2") < place(".env.bak.20261121101500-10"));
        assert!(place(".env.bak.20261121101500-10") < place(".env.bak.20261121101501"));
        let theirs = ["mine", "2026", "20261121101500-", "20261121101500-old", "20261121101500.gz", "+0261121101500"];
        for theirs in theirs {
            assert_eq!(place(&format!(".env.bak.{theirs}")), None, "{theirs}");
        }
        assert_eq!(place(".env"), None);
    }
}
