//! The programs by which parts are made and taken back, and those that must hear of it.

use super::parts::{FileKind, Part, ROOT};
use serde::{Deserialize, Serialize};

/// A program and its arguments.
pub type Argv = Vec<String>;

fn argv(words: &[&str]) -> Argv {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The programs that make a part.
pub(super) fn making(part: &Part) -> Vec<Argv> {
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

/// The programs that take one back, which was there before or was not.
pub(super) fn taking_back(part: &Part, was_there: bool) -> Vec<Argv> {
    match part {
        Part::User { name, .. } if !was_there => vec![argv(&["userdel", "--remove", "--", name])],
        Part::Member { user, group } => vec![argv(&["gpasswd", "--delete", user, group])],
        Part::Linger { user } => vec![argv(&["loginctl", "disable-linger", "--", user])],
        Part::File { .. } => Running::of(part).map(|unit| unit.systemctl(&["stop"])).into_iter().collect(),
        Part::User { .. } | Part::Directory { .. } | Part::Program { .. } | Part::Line { .. } | Part::Link { .. } => {
            Vec::new()
        }
    }
}

/// Something that must be run once changes are made; written down before them, so that it is run in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owed {
    /// The system's manager reads its units anew.
    SystemUnits,
    /// A user's own manager does.
    UserUnits(String),
    /// journald reads its limits anew.
    Journald,
}

impl Owed {
    /// What a change of this part makes necessary.
    pub(super) fn after(part: &Part) -> Option<Self> {
        match part {
            Part::File { kind: FileKind::Unit, .. } => Some(Self::SystemUnits),
            // The links are those by which units start at boot.
            Part::Link { owner, .. } if owner == ROOT => Some(Self::SystemUnits),
            Part::File { kind: FileKind::UserUnit, owner, .. } | Part::Link { owner, .. } => {
                Some(Self::UserUnits(owner.clone()))
            }
            Part::File { kind: FileKind::Journald, .. } => Some(Self::Journald),
            Part::File { kind: FileKind::Sudoers, .. }
            | Part::User { .. }
            | Part::Member { .. }
            | Part::Directory { .. }
            | Part::Program { .. }
            | Part::Line { .. }
            | Part::Linger { .. } => None,
        }
    }

    /// The program that does it.
    pub(super) fn argv(&self) -> Argv {
        match self {
            Self::SystemUnits => argv(&["systemctl", "daemon-reload"]),
            Self::UserUnits(user) => users_systemctl(user, &["daemon-reload"]),
            Self::Journald => argv(&["systemctl", "restart", "systemd-journald.service"]),
        }
    }
}

/// A unit that may run while its file is taken back.
pub(super) struct Running<'p> {
    pub(super) name: String,
    /// Whose manager runs it; None: the system's.
    pub(super) user: Option<&'p str>,
}

impl<'p> Running<'p> {
    /// The unit of a part that is one.
    pub(super) fn of(part: &'p Part) -> Option<Self> {
        let Part::File { path, kind, owner, .. } = part else { return None };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match kind {
            FileKind::Unit => Some(Self { name, user: None }),
            FileKind::UserUnit => Some(Self { name, user: Some(owner) }),
            FileKind::Sudoers | FileKind::Journald => None,
        }
    }

    /// Has its manager do this with it.
    pub(super) fn systemctl(&self, words: &[&str]) -> Argv {
        let words: Vec<&str> = words.iter().copied().chain(["--", &self.name]).collect();
        match self.user {
            None => argv(&[&["systemctl"], words.as_slice()].concat()),
            Some(user) => users_systemctl(user, &words),
        }
    }
}

/// Talks to a user's own manager. One that does not run has nothing to do: it reads its units when it starts.
const USERS_SYSTEMCTL: &str = "export XDG_RUNTIME_DIR=/run/user/$(id -u); test ! -S \"$XDG_RUNTIME_DIR/systemd/private\" || \
                               exec systemctl --user \"$@\"";

fn users_systemctl(user: &str, words: &[&str]) -> Argv {
    argv(&[&["runuser", "-u", user, "--", "sh", "-c", USERS_SYSTEMCTL, "systemctl"], words].concat())
}
