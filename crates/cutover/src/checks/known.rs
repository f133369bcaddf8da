//! What checks said of commits, kept from one command to the next.

use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::is_commit_hash;
use cutover_core::check::CommitChecks;
use cutover_core::check::run::{RUN_VERSION, Run};
use cutover_disk::{DiskError, read_bounded, write_unsynced};
use serde::Deserialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The largest file about one commit, in bytes.
const KNOWN_BYTES_MAX: u64 = 256 << 10;
/// Of how many commits this is kept; the oldest are forgotten.
const COMMIT_COUNT_MAX: usize = 1000;
/// The largest record of a run that is read, in bytes: it may have thousands of failed cases.
const RUN_BYTES_MAX: u64 = 64 << 20;
/// The most checks that it may have: strangers may have written it.
const CHECK_COUNT_MAX: usize = 1_000;

/// What is known of commits, one file for each.
pub(crate) struct KnownChecks {
    dir: PathBuf,
}

impl KnownChecks {
    /// What is kept among the data of a project.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("checks").join("commits") }
    }

    /// What is known of a commit. What cannot be read is not known.
    pub(crate) fn get(&self, commit: &str) -> CommitChecks {
        let path = self.path(commit);
        let bytes = path.and_then(|path| read_bounded(&path, KNOWN_BYTES_MAX).ok());
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps what a run said of its commit. A run that judged no commit says nothing of one.
    pub(crate) fn note(&self, run: &Run) -> Result<(), DiskError> {
        let Some((commit, path)) = run.commit.as_ref().and_then(|commit| Some((commit, self.path(commit)?))) else {
            return Ok(());
        };
        fs::create_dir_all(&self.dir).map_err(|error| DiskError::new("make directory", &self.dir, error))?;
        // Else one that read before another wrote would put back what a check said earlier.
        let _alone = self.lock()?;
        let mut known = self.get(commit);
        known.merge(CommitChecks::of(run));
        let json =
            serde_json::to_vec(&known).map_err(|error| DiskError::new("write", &path, std::io::Error::from(error)))?;
        write_unsynced(&path, &json, 0o600)?;
        self.forget_oldest();
        Ok(())
    }

    /// Ends when the file is closed, however that happens.
    fn lock(&self) -> Result<File, DiskError> {
        let path = self.dir.join("lock");
        let failed = |error| DiskError::new("lock", &path, error);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// The file of a commit; None of what is no hash, which may come from a file that others wrote.
    fn path(&self, commit: &str) -> Option<PathBuf> {
        is_commit_hash(commit).then(|| self.dir.join(format!("{commit}.json")))
    }

    /// What cannot be removed stays: it takes little room.
    fn forget_oldest(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let aged = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
        let mut files: Vec<(SystemTime, PathBuf)> = entries.filter_map(Result::ok).filter_map(aged).collect();
        files.retain(|(_, path)| path.extension().is_some());
        files.sort();
        let excess = files.len().saturating_sub(COMMIT_COUNT_MAX);
        files.iter().take(excess).for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

/// What `cutover check --json` prints.
#[derive(Deserialize)]
struct Printed {
    v: u32,
    run: Run,
}

/// The version of that which is read.
const PRINTED_VERSION: u32 = 1;

/// Reads the record of a run that `cutover check --json` wrote, perhaps on another machine.
pub(crate) fn read_run(path: &Path) -> Result<Run, CommandError> {
    let failed = |why: &dyn std::error::Error| {
        let cannot = format!("cannot read the record of checks {}", path.display());
        let hint = "`cutover check --json > checks.json` writes one";
        CommandError::new(ErrorKind::Usage, cannot).because(why).hint(hint)
    };
    let bytes = read_bounded(path, RUN_BYTES_MAX).map_err(|error| failed(&error))?;
    let printed: Printed = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
    if (printed.v, printed.run.version) != (PRINTED_VERSION, RUN_VERSION) {
        let why = format!("the record of checks {} was written by another version of Cutover", path.display());
        return Err(CommandError::new(ErrorKind::Usage, why).hint("write it with this one"));
    }
    if printed.run.checks.len() > CHECK_COUNT_MAX {
        let why = format!("the record of checks {} has more than {CHECK_COUNT_MAX} checks", path.display());
        return Err(CommandError::new(ErrorKind::Usage, why));
    }
    Ok(printed.run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::check::run::{CheckRun, Conclusion, Why};
    use cutover_core::id::CheckName;
    use jiff::Timestamp;

    fn run(commit: Option<&str>, check: &str) -> Run {
        let failed = CheckRun::queued(check).ended(Conclusion::Failure, Why::Gates);
        Run { commit: commit.map(str::to_owned), ..Run::new(Timestamp::UNIX_EPOCH, 1.0, vec![failed]) }
    }

    fn found(known: &CommitChecks, check: &str) -> Option<Conclusion> {
        let check = CheckName::new(check).unwrap();
        known.lacking([&check]).into_iter().find_map(|lacking| lacking.found)
    }

    #[test]
    fn what_several_runs_said_of_a_commit_is_kept_and_other_commits_have_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (known, commit) = (KnownChecks::of(dir.path()), "a".repeat(40));
        known.note(&run(Some(&commit), "unit")).unwrap();
        known.note(&run(Some(&commit), "lint")).unwrap();
        known.note(&run(None, "types")).unwrap();
        let kept = known.get(&commit);
        assert_eq!(found(&kept, "unit"), Some(Conclusion::Failure));
        assert_eq!(found(&kept, "lint"), Some(Conclusion::Failure));
        assert_eq!(found(&kept, "types"), None);
        assert!(known.get(&"b".repeat(40)).is_empty());
    }

    #[test]
    fn what_is_no_hash_names_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let known = KnownChecks::of(dir.path());
        known.note(&run(Some("../../../evil"), "unit")).unwrap();
        assert!(!dir.path().join("checks").exists());
        assert!(known.get("../../../evil").is_empty());
    }
}
