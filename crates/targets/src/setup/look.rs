//! What a host has of a part already.

use super::account::{account, owner};
use super::parts::Part;
use super::place::{Entry, Owner, Place};
use cutover_core::target::Failure;
use cutover_disk::digest_of_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where systemd notes who lingers (loginctl(1)).
const LINGERING: &str = "/var/lib/systemd/linger";

/// What stands where a part shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Just that.
    Right,
    /// Nothing.
    Absent,
    /// Something else.
    Other(Old),
}

/// What a part replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Old {
    /// Whose it is.
    pub owner: Owner,
    /// Its permissions.
    pub mode: u32,
    /// A file's text; None for what has none, or none that could be kept.
    pub text: Option<String>,
    /// Where a link leads.
    pub to: Option<PathBuf>,
}

/// Looks at what is there; changes nothing.
pub(super) fn look(part: &Part, program: &Path) -> Result<Found, Failure> {
    let failed = |error: io::Error| Failure::new(format!("look at {}: {error}", part.name()));
    match part {
        Part::User { name, .. } => Ok(is_there(account(name)?.is_some())),
        Part::Member { user, group } => Ok(is_there(is_member(user, group))),
        Part::Linger { user } => Ok(is_there(Path::new(LINGERING).join(user).exists())),
        Part::Directory { path, owner: name, mode } => {
            let owner = owner(name)?;
            entry(path, |_, entry| Ok(entry.is_dir && owner == Some(entry.owner) && entry.mode == *mode))
                .map_err(failed)
        }
        Part::File { path, owner: name, mode, text, .. } => {
            let owner = owner(name)?;
            let is_right = |place: &Place, entry: Entry| {
                let is_same = owner == Some(entry.owner) && entry.mode == *mode && !entry.is_link;
                Ok(is_same && place.text().is_ok_and(|there| there == *text))
            };
            entry(path, is_right).map_err(failed)
        }
        Part::Program { path } => look_at_program(path, program).map_err(failed),
        Part::Line { path, line, .. } => entry(path, |place, _| Ok(has_line(&place.text()?, line))).map_err(failed),
        Part::Link { path, to, .. } => {
            entry(path, |place, entry| Ok(entry.is_link && place.link()? == *to)).map_err(failed)
        }
    }
}

fn is_there(is_there: bool) -> Found {
    if is_there { Found::Right } else { Found::Absent }
}

fn entry(path: &Path, is_right: impl FnOnce(&Place, Entry) -> io::Result<bool>) -> io::Result<Found> {
    let Some(place) = Place::of(path)? else { return Ok(Found::Absent) };
    let Some(entry) = place.entry()? else { return Ok(Found::Absent) };
    if is_right(&place, entry)? {
        return Ok(Found::Right);
    }
    let text = if entry.is_dir || entry.is_link { None } else { place.text().ok() };
    let to = if entry.is_link { Some(place.link()?) } else { None };
    Ok(Found::Other(Old { owner: entry.owner, mode: entry.mode, text, to }))
}

fn look_at_program(path: &Path, program: &Path) -> io::Result<Found> {
    let digest = |path: &Path| digest_of_file(path).map_err(io::Error::other);
    entry(path, |_, entry| Ok(entry.mode == 0o755 && entry.owner.uid == 0 && digest(path)? == digest(program)?))
}

/// Whether a text has the key of this line, perhaps with restrictions before it and another comment behind it.
pub(super) fn has_line(text: &str, line: &str) -> bool {
    let Some(key) = line.split_whitespace().nth(1) else { return false };
    let is_key = |there: &str| !there.starts_with('#') && there.split_whitespace().any(|word| word == key);
    text.lines().any(is_key)
}

fn is_member(user: &str, group: &str) -> bool {
    let said = Command::new("id").args(["-nG", "--", user]).output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).split_whitespace().any(|name| name == group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_whatever_stands_around_it_but_not_when_it_is_struck_out() {
        let line = "ssh-ed25519 AAAAkey ada@laptop";
        assert!(has_line("ssh-rsa AAAAother x\nfrom=\"10.0.0.1\" ssh-ed25519 AAAAkey ada@old\n", line));
        assert!(!has_line("# ssh-ed25519 AAAAkey ada@laptop\nssh-ed25519 AAAAother ada@laptop\n", line));
    }
}
