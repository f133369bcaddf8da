//! What `git status` says of a work tree.

use super::failed;
use crate::error::ArtifactError;
use cutover_core::artifact::is_commit_hash;
use std::ops::ControlFlow;

/// Whether files count that are neither tracked nor ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewFiles {
    /// A new directory stands for what is in it.
    Seen,
    Unseen,
}

impl NewFiles {
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Seen => "--untracked-files=normal",
            Self::Unseen => "--untracked-files=no",
        }
    }
}

/// What is checked out, and where the work tree differs from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The commit; None before the first one.
    pub(crate) head: Option<String>,
    /// One path that differs.
    pub(crate) difference: Option<Vec<u8>>,
}

impl State {
    /// Takes in a record of `git status --porcelain=v2 --branch -z --no-renames` (git-status(1), "Porcelain Format Version 2"). Headers come
    /// first, and the first path is enough.
    pub(super) fn read(&mut self, record: &[u8]) -> Result<ControlFlow<()>, ArtifactError> {
        if let Some(header) = record.strip_prefix(b"# ") {
            let head = header.strip_prefix(b"branch.oid ").and_then(|oid| std::str::from_utf8(oid).ok());
            self.head = self.head.take().or(head.filter(|oid| is_commit_hash(oid)).map(str::to_owned));
            return Ok(ControlFlow::Continue(()));
        }
        let unexpected = || failed("status", format!("unexpected record {:?}", String::from_utf8_lossy(record)));
        // So many fields stand before the path, which may have spaces.
        let fields_before = match record.first() {
            Some(b'1') => 8,
            Some(b'u') => 10,
            Some(b'?') => 1,
            Some(_) | None => return Err(unexpected()),
        };
        let path = record.splitn(fields_before + 1, |byte| *byte == b' ').nth(fields_before);
        self.difference = Some(path.ok_or_else(unexpected)?.to_vec());
        Ok(ControlFlow::Break(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// What is known after these records, and whether the last one ended it.
    fn read(records: &[&str]) -> Result<(State, bool), ArtifactError> {
        let (mut state, mut is_over) = (State::default(), false);
        for record in records {
            is_over = state.read(record.as_bytes())?.is_break();
        }
        Ok((state, is_over))
    }

    #[test]
    fn the_commit_and_the_first_path_are_read() {
        let header = format!("# branch.oid {COMMIT}");
        let changed = format!("1 .M N... 100644 100644 100644 {COMMIT} {COMMIT} a b.py");
        let conflict = format!("u UU N... 100644 100644 100644 100644 {COMMIT} {COMMIT} {COMMIT} a b.py");
        for record in [&changed, &conflict, "? a b.py"] {
            let (state, is_over) = read(&[&header, "# branch.head main", record]).unwrap();
            assert!(is_over);
            assert_eq!(state, State { head: Some(COMMIT.to_owned()), difference: Some(b"a b.py".to_vec()) });
        }
    }

    #[test]
    fn before_the_first_commit_there_is_none() {
        assert_eq!(read(&["# branch.oid (initial)", "# branch.head main"]).unwrap(), (State::default(), false));
    }

    #[test]
    fn a_record_that_is_not_understood_is_an_error_and_no_guess() {
        for record in ["", "?", "1 .M N... x", "! ignored", "9 x"] {
            assert!(matches!(read(&[record]), Err(ArtifactError::Git(_))), "{record}");
        }
    }
}
