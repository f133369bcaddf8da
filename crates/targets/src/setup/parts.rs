//! What a prepared host has: known from the config alone.

use super::unit::{RecoveryUnit, ServiceUnit, wanted_by};
use crate::service::sudo_rule;
use cutover_core::artifact::Digest;
use cutover_core::config::{HostConfig, ServiceConfig, SystemdScope};
use cutover_core::id::{EnvironmentName, ProjectName, TargetName};
use cutover_core::target::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where Cutover lies for units, beneath a directory for each environment.
const PROGRAMS: &str = "/usr/local/lib/cutover";
/// Who may read the whole journal.
const JOURNAL_GROUP: &str = "systemd-journal";
/// What journald may keep: enough to look back, and never a full disk.
const JOURNAL_LIMITS: &str = "\
# Written by `cutover setup`: logs must not fill the disk.
[Journal]
SystemMaxUse=1G
SystemKeepFree=1G
RuntimeMaxUse=100M
MaxRetentionSec=3month
";
pub(super) const ROOT: &str = "root";
/// How much of a key names it.
const KEY_END_LENGTH: usize = 12;
/// The longest slug, in bytes: names of files are made from it, and of 255 bytes at most.
const SLUG_LENGTH_MAX: usize = 200;
/// The longest name of a user, in bytes, as useradd(8) has it.
const USER_LENGTH_MAX: usize = 32;

/// What a host is to be prepared for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Who deploys there.
    pub user: String,
    /// The public key that lets them in, as in a `.pub` file; None: nobody comes from elsewhere.
    pub key: Option<String>,
    /// The environment's targets on the host.
    pub targets: BTreeMap<TargetName, HostConfig>,
}

/// One thing that a prepared host has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// An account.
    User {
        /// Its name.
        name: String,
        /// Its home directory.
        home: PathBuf,
    },
    /// An account in a group.
    Member {
        /// The account.
        user: String,
        /// The group.
        group: String,
    },
    /// A directory.
    Directory {
        /// Where.
        path: PathBuf,
        /// Whose.
        owner: String,
        /// Its permissions when it is made; one that is there keeps its own.
        mode: u32,
    },
    /// A file with just this text.
    File {
        /// Where.
        path: PathBuf,
        /// Whose.
        owner: String,
        /// Its permissions.
        mode: u32,
        /// What stands in it.
        text: String,
        /// Who must hear of it.
        kind: FileKind,
    },
    /// Cutover itself.
    Program {
        /// Where.
        path: PathBuf,
    },
    /// A line in a file that may have others.
    Line {
        /// The file.
        path: PathBuf,
        /// Whose.
        owner: String,
        /// The line.
        line: String,
    },
    /// A link.
    Link {
        /// Where.
        path: PathBuf,
        /// Whose.
        owner: String,
        /// Where it leads.
        to: PathBuf,
    },
    /// A user's own systemd that runs without a login.
    Linger {
        /// The user.
        user: String,
    },
}

/// Who must hear of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// `visudo`, before it is put in place.
    Sudoers,
    /// The system's manager.
    Unit,
    /// The user's manager.
    UserUnit,
    /// journald.
    Journald,
}

impl Part {
    /// What it is, in words that name one part alone.
    pub fn name(&self) -> String {
        match self {
            Self::User { name, .. } => format!("user {name}"),
            Self::Member { user, group } => format!("{user} in group {group}"),
            Self::Directory { path, .. } => format!("directory {}", path.display()),
            Self::File { path, .. } => format!("file {}", path.display()),
            Self::Program { path } => format!("program {}", path.display()),
            Self::Line { path, line, .. } => format!("line {:?} in {}", key_name(line), path.display()),
            Self::Link { path, .. } => format!("link {}", path.display()),
            Self::Linger { user } => format!("lingering of {user}"),
        }
    }
}

/// A public key as people know it: its kind, its end, and its comment.
fn key_name(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end: String = key.chars().skip(key.chars().count().saturating_sub(KEY_END_LENGTH)).collect();
    format!("{kind} …{end} {}", words.next().unwrap_or_default()).trim_end().to_owned()
}

/// Project and environment as a word for names of files and units: `shop-production`. No two environments have the same.
///
/// Dashes of the project are doubled, and no environment begins with one: the first odd number of them ends the project. A
/// dot, which sudo does not want in names of files, is `_d`, and an underscore `__`.
pub fn slug(project: &ProjectName, environment: &EnvironmentName) -> String {
    let plain = |name: &str| name.replace('_', "__").replace('.', "_d");
    let slug = format!("{}-{}", plain(project.as_str()).replace('-', "--"), plain(environment.as_str()));
    // `_x` is part of no other slug.
    if slug.len() > SLUG_LENGTH_MAX { format!("_x{}", Digest::of(slug.as_bytes())) } else { slug }
}

impl Wish {
    pub(super) fn slug(&self) -> String {
        slug(&self.project, &self.environment)
    }

    /// The environment in the words of people.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.project, self.environment)
    }

    /// Fails for a name that means more than a user to sudo, or to the programs that are given it.
    pub(super) fn check_user(&self) -> Result<(), Failure> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let begins_well = self.user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if begins_well && self.user.chars().all(is_plain) && self.user.len() <= USER_LENGTH_MAX {
            return Ok(());
        }
        Err(Failure::new(format!("prepare the host for {:?}: that is no name for who deploys", self.user))
            .hint("use a-z, 0-9, _ . and -, and begin with a letter"))
    }

    fn units(&self, wanted: SystemdScope) -> Vec<&str> {
        let services = self.targets.values().filter_map(|config| config.service.as_ref());
        let units = services.filter_map(|service| match service {
            ServiceConfig::Systemd { unit, scope, .. } if *scope == wanted => Some(unit.as_str()),
            ServiceConfig::Systemd { .. } | ServiceConfig::Command { .. } | ServiceConfig::Process(_) => None,
        });
        units.collect()
    }

    /// The recovery runs in the user's systemd when that is where services are.
    fn recovery_scope(&self) -> SystemdScope {
        if self.units(SystemdScope::User).is_empty() { SystemdScope::System } else { SystemdScope::User }
    }

    /// All that the host is to have, in the order in which it can be made.
    pub(super) fn parts(&self, home: &Path) -> Vec<Part> {
        let mut parts = self.account_parts(home);
        parts.extend(self.key_parts(home));
        parts.extend(self.targets.values().map(|config| self.directory(&config.deploy_to, &self.user)));
        parts.extend(self.sudo_parts());
        parts.extend(self.user_unit_dirs(home));
        // Before the units, which run it.
        parts.extend(self.program_parts());
        let services = self.targets.iter().flat_map(|(name, config)| self.service_parts(name, config, home));
        parts.extend(services);
        parts.extend(self.recovery_parts(home));
        parts.extend(self.journal_parts());
        let lingers = self.recovery_scope() == SystemdScope::User;
        parts.extend(lingers.then(|| Part::Linger { user: self.user.clone() }));
        parts
    }

    fn directory(&self, path: &Path, owner: &str) -> Part {
        Part::Directory { path: path.to_owned(), owner: owner.to_owned(), mode: 0o755 }
    }

    /// Root is there, and may do everything already.
    fn account_parts(&self, home: &Path) -> Vec<Part> {
        if self.user == ROOT {
            return Vec::new();
        }
        let (name, user, group) = (self.user.clone(), self.user.clone(), JOURNAL_GROUP.to_owned());
        vec![Part::User { name, home: home.to_owned() }, Part::Member { user, group }]
    }

    fn key_parts(&self, home: &Path) -> Vec<Part> {
        let Some(line) = self.key.clone() else { return Vec::new() };
        let (path, owner) = (home.join(".ssh"), self.user.clone());
        let file = path.join("authorized_keys");
        vec![Part::Directory { path, owner: owner.clone(), mode: 0o700 }, Part::Line { path: file, owner, line }]
    }

    fn sudo_parts(&self) -> Option<Part> {
        let units = self.units(SystemdScope::System);
        let rule = sudo_rule(&self.user, units.iter().copied());
        (!units.is_empty() && self.user != ROOT).then(|| Part::File {
            path: format!("/etc/sudoers.d/cutover-{}", self.slug()).into(),
            owner: ROOT.to_owned(),
            mode: 0o440,
            text: format!("# Written by `cutover setup`: just what deployments do.\n{rule}\n"),
            kind: FileKind::Sudoers,
        })
    }

    fn user_unit_dirs(&self, home: &Path) -> Vec<Part> {
        if self.recovery_scope() == SystemdScope::System {
            return Vec::new();
        }
        let paths = [".config", ".config/systemd", ".config/systemd/user", ".config/systemd/user/default.target.wants"];
        paths.iter().map(|path| self.directory(&home.join(path), &self.user)).collect()
    }

    fn service_parts(&self, name: &TargetName, config: &HostConfig, home: &Path) -> Vec<Part> {
        let Some(ServiceConfig::Systemd { unit, scope, timeout, start: Some(start) }) = &config.service else {
            return Vec::new();
        };
        let title = format!("{} of {} ({})", name, self.project, self.environment);
        let (user, scope, timeout, program) = (&self.user, *scope, *timeout, &self.program());
        let service = ServiceUnit { title: &title, user, scope, config, start, timeout, program };
        self.unit_parts(unit, scope, service.text(), home)
    }

    /// Where Cutover stays.
    fn program(&self) -> PathBuf {
        Path::new(PROGRAMS).join(self.slug()).join("cutover")
    }

    fn program_parts(&self) -> Vec<Part> {
        let dirs = [PathBuf::from(PROGRAMS), Path::new(PROGRAMS).join(self.slug())];
        let dirs = dirs.iter().map(|path| self.directory(path, ROOT));
        dirs.chain([Part::Program { path: self.program() }]).collect()
    }

    fn recovery_parts(&self, home: &Path) -> Vec<Part> {
        let scope = self.recovery_scope();
        let unit = RecoveryUnit {
            title: &self.title(),
            user: &self.user,
            scope,
            program: &self.program(),
            deploy_to: self.targets.values().map(|config| config.deploy_to.as_path()).collect(),
            units: self.units(scope),
        };
        self.unit_parts(&format!("cutover-{}.service", self.slug()), scope, unit.text(), home)
    }

    /// A unit, and the link by which it starts at boot.
    fn unit_parts(&self, unit: &str, scope: SystemdScope, text: String, home: &Path) -> Vec<Part> {
        let (dir, owner, kind) = match scope {
            SystemdScope::System => (PathBuf::from("/etc/systemd/system"), ROOT, FileKind::Unit),
            SystemdScope::User => (home.join(".config/systemd/user"), self.user.as_str(), FileKind::UserUnit),
        };
        let path = dir.join(unit);
        let wants = dir.join(format!("{}.wants", wanted_by(scope)));
        let link = Part::Link { path: wants.join(unit), owner: owner.to_owned(), to: path.clone() };
        vec![Part::File { path, owner: owner.to_owned(), mode: 0o644, text, kind }, self.directory(&wants, owner), link]
    }

    fn journal_parts(&self) -> Vec<Part> {
        let dir = PathBuf::from("/etc/systemd/journald.conf.d");
        let path = dir.join(format!("cutover-{}.conf", self.slug()));
        let (owner, text) = (ROOT.to_owned(), JOURNAL_LIMITS.to_owned());
        vec![self.directory(&dir, ROOT), Part::File { path, owner, mode: 0o644, text, kind: FileKind::Journald }]
    }
}

#[cfg(test)]
mod tests;
