//! What several environments of one host need: whose setup made it does not matter, the last one takes it back.

use super::parts::Part;
use std::path::Path;

impl Part {
    /// Whether both are about one and the same thing of the host, though they may want it otherwise.
    pub(super) fn is_about(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Line { path, line, .. }, Self::Line { path: other_path, line: other_line, .. }) => {
                path == other_path && key(line) == key(other_line)
            }
            (one, other) => one.name() == other.name(),
        }
    }

    /// Whether it cannot do without the other: it is the same thing, or lies in it or belongs to it.
    pub(super) fn needs(&self, other: &Self) -> bool {
        let lies_in = |dir: &Path| self.path().is_some_and(|path| path != dir && path.starts_with(dir));
        let is_in = match other {
            Self::User { name, home } => self.user() == name || lies_in(home),
            Self::Directory { path, .. } => lies_in(path),
            Self::Member { .. }
            | Self::File { .. }
            | Self::Program { .. }
            | Self::Line { .. }
            | Self::Link { .. }
            | Self::Linger { .. } => false,
        };
        is_in || self.is_about(other)
    }

    /// Whether two environments want different things in one place.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let is_exact = matches!(self, Self::Directory { .. } | Self::File { .. } | Self::Link { .. });
        is_exact && self.is_about(other) && self != other
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Directory { path, .. }
            | Self::File { path, .. }
            | Self::Program { path }
            | Self::Line { path, .. }
            | Self::Link { path, .. } => Some(path),
            Self::User { .. } | Self::Member { .. } | Self::Linger { .. } => None,
        }
    }

    /// Whose it is.
    pub(super) fn user(&self) -> &str {
        match self {
            Self::User { name: user, .. }
            | Self::Member { user, .. }
            | Self::Linger { user }
            | Self::Directory { owner: user, .. }
            | Self::File { owner: user, .. }
            | Self::Line { owner: user, .. }
            | Self::Link { owner: user, .. } => user,
            Self::Program { .. } => super::parts::ROOT,
        }
    }
}

/// The key itself, which has a kind before it and a comment behind it.
pub(super) fn key(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}
