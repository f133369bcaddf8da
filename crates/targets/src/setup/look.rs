//! What a host has of a part already.

use super::account::{account, owner};
use super::claims::key;
use super::parts::Part;
use super::place::{Entry, Owner, Place, TEXT_BYTES_MAX, kept_mode};
use cutover_child::withhold_own;
use cutover_core::target::Failure;
use cutover_disk::digest_of_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where systemd notes who lingers (loginctl(1)).
const LINGERING: &str = "/var/lib/systemd/linger";

const MOVE_AWAY: &str = "see what it is, and move it away";

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

/// Looks at what is there; changes nothing. Fails at what setup could not replace, or could not bring back.
pub(super) fn look(part: &Part, program: &Path) -> Result<Found, Failure> {
    let failed = |error: io::Error| {
        let failure = Failure::new(format!("look at {}: {error}", part.name()));
        // These are our own words about what somebody put there.
        if error.raw_os_error().is_none() { failure.hint(MOVE_AWAY) } else { failure }
    };
    match part {
        Part::User { name, home } => look_at_account(name, home).map_err(failed),
        Part::Member { user, group } => Ok(is_there(is_member(user, group))),
        Part::Linger { user } => Ok(is_there(Path::new(LINGERING).join(user).exists())),
        Part::Directory { path, owner: name, mode } => {
            let owner = owner(name)?;
            look_at_directory(path, owner, *mode).map_err(failed)
        }
        Part::File { path, owner: name, mode, text, .. } => {
            let owner = owner(name)?;
            let is_right = |place: &Place, entry: Entry| {
                let is_same = owner == Some(entry.owner) && entry.mode == *mode && !entry.is_link;
                Ok(is_same && place.text().is_ok_and(|there| there == *text))
            };
            entry(path, is_right).and_then(with_copy).map_err(failed)
        }
        Part::Program { path } => look_at_program(path, program).map_err(failed),
        Part::Line { path, owner: name, line } => {
            let owner = owner(name)?;
            look_at_line(path, owner, line).map_err(failed)
        }
        Part::Link { path, to, .. } => {
            let found = entry(path, |place, entry| Ok(entry.is_link && place.link()? == *to));
            found.and_then(with_copy).map_err(failed)
        }
    }
}

fn is_there(is_there: bool) -> Found {
    if is_there { Found::Right } else { Found::Absent }
}

/// An account without a home can be one that was not made to its end.
fn look_at_account(name: &str, home: &Path) -> io::Result<Found> {
    let Some(account) = account(name).map_err(|failure| io::Error::other(failure.message))? else {
        return Ok(Found::Absent);
    };
    let has_home = Place::of(home)?.map(|place| place.entry()).transpose()?.flatten().is_some();
    Ok(if has_home { Found::Right } else { Found::Other(Old { owner: account.owner, mode: 0, text: None, to: None }) })
}

fn look_at_directory(path: &Path, owner: Option<Owner>, mode: u32) -> io::Result<Found> {
    entry(path, |_, entry| {
        if !entry.is_dir {
            return Err(io::Error::other("there is something else where a directory shall be"));
        }
        Ok(owner == Some(entry.owner) && kept_mode(entry.mode, mode) == entry.mode)
    })
}

/// sshd believes no key in a file that somebody else may write to, and root adds none to what is not a file.
fn look_at_line(path: &Path, owner: Option<Owner>, line: &str) -> io::Result<Found> {
    entry(path, |place, entry| {
        if !entry.is_file {
            return Err(io::Error::other("there is a link, a directory, a pipe or a device where a file shall be"));
        }
        let is_trusted = owner.is_some_and(|owner| Trust::in_keys(entry, owner).is_whole);
        Ok(has_line(&place.text()?, line) && is_trusted)
    })
}

/// Whom a file of keys belongs to, and who may write to it, so that sshd believes it.
pub(super) struct Trust {
    pub(super) owner: Owner,
    pub(super) mode: u32,
    /// Whether that is so already.
    pub(super) is_whole: bool,
}

impl Trust {
    /// Root may keep the keys of a user, too.
    pub(super) fn in_keys(there: Entry, user: Owner) -> Self {
        let owner = if there.owner.uid == 0 || there.owner.uid == user.uid { there.owner } else { user };
        let mode = there.mode & !0o022;
        Self { owner, mode, is_whole: owner == there.owner && mode == there.mode }
    }
}

fn entry(path: &Path, is_right: impl FnOnce(&Place, Entry) -> io::Result<bool>) -> io::Result<Found> {
    let Some(place) = Place::of(path)? else { return Ok(Found::Absent) };
    let Some(entry) = place.entry()? else { return Ok(Found::Absent) };
    if is_right(&place, entry)? {
        return Ok(Found::Right);
    }
    let text = if entry.is_file { place.text().ok() } else { None };
    let to = if entry.is_link { Some(place.link()?) } else { None };
    Ok(Found::Other(Old { owner: entry.owner, mode: entry.mode, text, to }))
}

/// What is replaced must be possible to bring back.
fn with_copy(found: Found) -> io::Result<Found> {
    match found {
        Found::Other(Old { text: None, to: None, .. }) => {
            let why = format!(
                "there is no regular file, or one of which no copy can be kept: more than {} KiB, or no text",
                TEXT_BYTES_MAX >> 10
            );
            Err(io::Error::other(why))
        }
        Found::Right | Found::Absent | Found::Other(_) => Ok(found),
    }
}

fn look_at_program(path: &Path, program: &Path) -> io::Result<Found> {
    let digest = |path: &Path| digest_of_file(path).map_err(io::Error::other);
    entry(path, |_, entry| {
        Ok(entry.is_file && entry.mode == 0o755 && entry.owner.uid == 0 && digest(path)? == digest(program)?)
    })
}

/// Whether a text has the key of this line, perhaps with restrictions before it and another comment behind it.
pub(super) fn has_line(text: &str, line: &str) -> bool {
    let Some(key) = key(line) else { return false };
    let is_key = |there: &str| !there.starts_with('#') && there.split_whitespace().any(|word| word == key);
    text.lines().any(is_key)
}

fn is_member(user: &str, group: &str) -> bool {
    let said = withhold_own(&mut Command::new("id")).args(["-nG", "--", user]).output();
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
