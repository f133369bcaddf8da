//! What setup will do: decided from what a host shall have, what it has, and what an earlier setup made there.

use super::look::{Found, Old};
use super::parts::{FileKind, Part, ROOT};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Something that setup made, and what stood there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The part.
    pub part: Part,
    /// What it replaced; None: nothing was there.
    pub before: Option<Old>,
}

/// One change of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Make a part, where this stands now.
    Make(Made),
    /// Take back what an earlier setup made.
    TakeBack(Made),
}

/// What is made or taken back, in order.
pub(super) fn plan(parts: Vec<(Part, Found)>, made: &[Made]) -> Vec<Change> {
    let names: Vec<String> = parts.iter().map(|(part, _)| part.name()).collect();
    // Others may have had their keys let in: one's own setup takes nobody's away.
    let is_key = |made: &Made| matches!(made.part, Part::Line { .. });
    let obsolete = made.iter().rev().filter(|made| !is_key(made) && !names.contains(&made.part.name()));
    let obsolete: Vec<Change> = obsolete.cloned().map(Change::TakeBack).collect();
    let missing = parts.into_iter().filter_map(|(part, found)| match found {
        Found::Right => None,
        Found::Absent => Some(Change::Make(Made { part, before: None })),
        Found::Other(old) => Some(Change::Make(Made { part, before: Some(old) })),
    });
    missing.chain(obsolete).collect()
}

/// Everything that an earlier setup made, last first.
pub(super) fn removal(made: &[Made]) -> Vec<Change> {
    made.iter().rev().cloned().map(Change::TakeBack).collect()
}

/// A program and its arguments.
pub type Argv = Vec<String>;

fn argv(words: &[&str]) -> Argv {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Change {
    /// The part that it is about, and what stood or stands there.
    pub fn made(&self) -> &Made {
        match self {
            Self::Make(made) | Self::TakeBack(made) => made,
        }
    }

    /// The programs that do it; none for what is done to files alone.
    pub fn commands(&self) -> Vec<Argv> {
        match self {
            Self::Make(Made { part, .. }) => making(part),
            Self::TakeBack(Made { part, .. }) => taking_back(part),
        }
    }
}

fn making(part: &Part) -> Vec<Argv> {
    match part {
        // A password that none fits: unlike a locked account, it lets keys in everywhere.
        Part::User { name, home } => vec![argv(&[
            "useradd",
            "--create-home",
            "--home-dir",
            &home.to_string_lossy(),
            "--shell",
            "/bin/bash",
            "--user-group",
            "--password",
            "*",
            "--",
            name,
        ])],
        Part::Member { user, group } => vec![argv(&["gpasswd", "--add", user, group])],
        Part::Linger { user } => vec![argv(&["loginctl", "enable-linger", "--", user])],
        Part::Directory { .. } | Part::File { .. } | Part::Program { .. } | Part::Line { .. } | Part::Link { .. } => {
            Vec::new()
        }
    }
}

fn taking_back(part: &Part) -> Vec<Argv> {
    match part {
        Part::User { name, .. } => vec![argv(&["userdel", "--remove", "--", name])],
        Part::Member { user, group } => vec![argv(&["gpasswd", "--delete", user, group])],
        Part::Linger { user } => vec![argv(&["loginctl", "disable-linger", "--", user])],
        Part::File { path, kind: FileKind::Unit, .. } => vec![argv(&["systemctl", "stop", "--", &unit(path)])],
        // Units of theirs end with their manager, which ends with the account.
        Part::File { kind: FileKind::Sudoers | FileKind::Journald | FileKind::UserUnit, .. }
        | Part::Directory { .. }
        | Part::Program { .. }
        | Part::Line { .. }
        | Part::Link { .. } => Vec::new(),
    }
}

/// Has a user's own manager read its units anew. One that does not run reads them when it starts.
const RELOAD: &str = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user daemon-reload || true";

/// What must hear of the changes, once they are made.
pub(super) fn afterwards(changes: &[Change]) -> Vec<Argv> {
    // A manager goes with its user.
    let user_goes =
        changes.iter().any(|change| matches!(change, Change::TakeBack(Made { part: Part::User { .. }, .. })));
    let mut commands: Vec<Argv> = Vec::new();
    for command in changes.iter().filter_map(|change| afterwards_of(&change.made().part, user_goes)) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

fn afterwards_of(part: &Part, user_goes: bool) -> Option<Argv> {
    match part {
        Part::File { kind: FileKind::Unit, .. } => Some(argv(&["systemctl", "daemon-reload"])),
        // The links are those by which units start at boot.
        Part::Link { owner, .. } if owner == ROOT => Some(argv(&["systemctl", "daemon-reload"])),
        Part::File { kind: FileKind::UserUnit, owner, .. } | Part::Link { owner, .. } => {
            (!user_goes).then(|| argv(&["runuser", "-u", owner, "--", "sh", "-c", RELOAD]))
        }
        Part::File { kind: FileKind::Journald, .. } => {
            Some(argv(&["systemctl", "restart", "systemd-journald.service"]))
        }
        Part::File { kind: FileKind::Sudoers, .. }
        | Part::User { .. }
        | Part::Member { .. }
        | Part::Directory { .. }
        | Part::Program { .. }
        | Part::Line { .. }
        | Part::Linger { .. } => None,
    }
}

fn unit(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
