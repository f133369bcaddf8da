//! What this machine remembers of a project. The hosts' journals are the truth: a history that cannot be written, or not
//! even be read, keeps nobody from the way back.

use crate::context::shown;
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use cutover_core::store::StoreError;
use cutover_store::{SqliteStore, renew};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A project's history on this machine, which is opened when it is first asked.
pub(crate) struct Memory {
    file: PathBuf,
    output: Output,
    history: Mutex<Option<History>>,
}

/// A history, as good as it can be had.
struct History {
    store: SqliteStore,
    grade: Grade,
}

/// How good a history is. When one fails, the next takes its place; only the first lasts longer than this process.
enum Grade {
    /// It is the file; and whether it was made anew since damage was seen in it.
    File { is_renewed: bool },
    /// It is a copy of a file that cannot be written, and why.
    Copy(Why),
    /// It began empty, as the file cannot be read, and why.
    Empty(Why),
}

/// Why the file will not do, and what to do.
#[derive(Clone)]
struct Why {
    told: String,
    advice: String,
}

impl Memory {
    /// The history in this file.
    pub(crate) fn new(file: PathBuf, output: Output) -> Self {
        Self { file, output, history: Mutex::new(None) }
    }

    /// Reads or writes the history. When it fails on the way the same is done again with the best that can be had instead, which
    /// is said once: a damaged file is made anew, and in place of one that cannot be written is what ends with this process.
    pub(crate) fn ask<T>(&self, ask: impl Fn(&SqliteStore) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.ask_graded(ask).map(|(answer, _)| answer)
    }

    /// The same for what must last, or must know all that was: only the file itself will do.
    pub(crate) fn ask_file<T>(&self, ask: impl Fn(&SqliteStore) -> Result<T, StoreError>) -> Result<T, CommandError> {
        match self.ask_graded(ask)? {
            (answer, None) => Ok(answer),
            (_, Some(why)) => Err(CommandError::new(ErrorKind::Failed, why.told).hint(why.advice)),
        }
    }

    /// Why only what is in journals is known, where that is so.
    pub(crate) fn gap(&self) -> Option<String> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        match &history.as_ref()?.grade {
            Grade::Empty(why) => Some(why.told.clone()),
            Grade::File { .. } | Grade::Copy(_) => None,
        }
    }

    /// The answer, and why it is not the file's.
    fn ask_graded<T>(
        &self,
        ask: impl Fn(&SqliteStore) -> Result<T, StoreError>,
    ) -> Result<(T, Option<Why>), StoreError> {
        let mut held = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut history = match held.take() {
            Some(history) => history,
            None => self.open()?,
        };
        loop {
            match ask(&history.store) {
                Err(error) if is_fault(&error) => history = self.next(history.grade, error)?,
                answer => {
                    let why = history.grade.why().cloned();
                    *held = Some(history);
                    return Ok((answer?, why));
                }
            }
        }
    }

    fn open(&self) -> Result<History, StoreError> {
        match SqliteStore::open(&self.file) {
            Ok(store) => Ok(History { store, grade: Grade::File { is_renewed: false } }),
            Err(error) => self.next(Grade::File { is_renewed: false }, error),
        }
    }

    /// What takes the place of a history that failed. Nothing takes that of one which needs no file.
    fn next(&self, grade: Grade, error: StoreError) -> Result<History, StoreError> {
        match (grade, error) {
            (Grade::File { is_renewed: false }, StoreError::Damaged { .. }) => match self.renewed() {
                Ok(store) => Ok(History { store, grade: Grade::File { is_renewed: true } }),
                Err(error) => self.copied(error),
            },
            (Grade::File { .. }, error @ StoreError::Damaged { .. }) | (Grade::Copy(_), error) => self.empty(error),
            (Grade::File { .. }, error) => self.copied(error),
            (Grade::Empty(_), error) => Err(error),
        }
    }

    /// The file after damage was seen in it.
    fn renewed(&self) -> Result<SqliteStore, StoreError> {
        let (store, aside) = renew(&self.file)?;
        if let Some(aside) = aside {
            let aside = shown(&aside);
            self.output.warn(&format!("the history was damaged and lies in {aside} now; the journals make it anew"));
        }
        Ok(store)
    }

    fn copied(&self, error: StoreError) -> Result<History, StoreError> {
        let Ok(store) = SqliteStore::copy_of(&self.file) else { return self.empty(error) };
        let why = Why::of(error, &self.file);
        self.warn(&why, "it is read as it is");
        Ok(History { store, grade: Grade::Copy(why) })
    }

    fn empty(&self, error: StoreError) -> Result<History, StoreError> {
        let store = SqliteStore::instead_of(&self.file)?;
        let why = Why::of(error, &self.file);
        self.warn(&why, "only what is in journals is known now");
        Ok(History { store, grade: Grade::Empty(why) })
    }

    fn warn(&self, why: &Why, instead: &str) {
        let advice = if why.advice.is_empty() { String::new() } else { format!(" ({})", why.advice) };
        let later = "what the hosts did stays in their journals and is read from there later";
        self.output.warn(&format!("{}; {instead}, and {later}{advice}", why.told));
    }
}

impl Grade {
    fn why(&self) -> Option<&Why> {
        match self {
            Self::File { .. } => None,
            Self::Copy(why) | Self::Empty(why) => Some(why),
        }
    }
}

/// Whether it is the history that failed, and not the question.
fn is_fault(error: &StoreError) -> bool {
    match error {
        StoreError::NotFound { .. } | StoreError::Ambiguous { .. } => false,
        StoreError::TooNew { .. } | StoreError::Damaged { .. } | StoreError::Failed { .. } => true,
    }
}

impl Why {
    fn of(error: StoreError, file: &Path) -> Self {
        let told = match &error {
            StoreError::Failed { operation, source, .. } => {
                format!("this machine's history {} cannot be written ({operation}: {source})", file.display())
            }
            StoreError::TooNew { .. }
            | StoreError::Damaged { .. }
            | StoreError::NotFound { .. }
            | StoreError::Ambiguous { .. } => error.to_string(),
        };
        let is_place = matches!(error, StoreError::Failed { .. });
        let error = CommandError::from(error);
        let error = if is_place { error.hint("CUTOVER_HOME can name another place") } else { error };
        Self { told, advice: error.advice() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{ColorChoice, GlobalArgs};
    use cutover_core::store::{Filter, Store};
    use cutover_testkit::Story;
    use std::fs;
    use tempfile::TempDir;

    /// What becomes of a file's bytes.
    type Spoil = fn(&mut [u8]);

    fn memory(file: &Path) -> Memory {
        let global = GlobalArgs { json: false, verbose: 0, color: ColorChoice::Never, directory: None, config: None };
        Memory::new(file.to_owned(), Output::new(&global))
    }

    /// A history that holds the first deployment.
    fn kept() -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("history.db");
        let (plan, records) = Story::new(1).deployed();
        SqliteStore::open(&file).unwrap().ingest(&plan, &records).unwrap();
        (folder, file)
    }

    fn take_in(memory: &Memory, number: i64) {
        let (plan, records) = Story::new(number).deployed();
        memory.ask(|store| store.ingest(&plan, &records)).unwrap();
    }

    fn known(memory: &Memory) -> Vec<String> {
        let page = memory.ask(|store| store.history(&Filter::default(), 10)).unwrap();
        page.rows.iter().map(|row| row.deployment.to_string()).collect()
    }

    /// Why what must last cannot be kept.
    fn refused(memory: &Memory) -> String {
        memory.ask_file(|_| Ok(())).unwrap_err().message().to_owned()
    }

    #[test]
    fn where_no_file_can_be_what_is_taken_in_is_known_as_long_as_the_process_runs() {
        let (_folder, file) = kept();
        let memory = memory(&file.join("beneath a file/history.db"));

        take_in(&memory, 2);

        assert_eq!(known(&memory), ["d-00002"]);
        assert!(
            refused(&memory).contains("beneath a file/history.db cannot be written (open: "),
            "{}",
            refused(&memory)
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_read_and_left_as_it_is() {
        let (_folder, file) = kept();
        // Given that SQLite may not make what it needs beside the file to write it.
        fs::create_dir(file.with_file_name("history.db-shm")).unwrap();
        let before = fs::read(&file).unwrap();
        let memory = memory(&file);

        take_in(&memory, 2);

        assert_eq!(known(&memory), ["d-00002", "d-00001"]);
        assert_eq!(fs::read(&file).unwrap(), before);
        assert!(refused(&memory).contains("history.db cannot be written"), "{}", refused(&memory));
    }

    #[test]
    fn what_a_newer_version_wrote_or_nobody_understands_keeps_nobody_from_asking() {
        // The schema's version stands in the header, and of a row its id before its kind.
        let newer: Spoil = |bytes| bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        let garbled: Spoil = |bytes| {
            let row = b"d-00001deploy";
            let at = bytes.windows(row.len()).position(|found| found == row).unwrap();
            bytes[at..at + row.len()].copy_from_slice(b"d-00001danced");
        };
        for (spoil, why) in [(newer, "has schema version 99"), (garbled, "history.db is damaged: unknown variant")] {
            let (_folder, file) = kept();
            let mut bytes = fs::read(&file).unwrap();
            spoil(&mut bytes);
            fs::write(&file, bytes).unwrap();
            let memory = memory(&file);

            assert_eq!(known(&memory), [""; 0], "{why}");
            take_in(&memory, 2);

            assert_eq!(known(&memory), ["d-00002"], "{why}");
            assert!(refused(&memory).contains(why), "{}", refused(&memory));
        }
    }

    #[test]
    fn a_damaged_file_is_made_anew_and_lasts() {
        let (_folder, file) = kept();
        fs::write(&file, "rubbish ".repeat(1_000)).unwrap();

        take_in(&memory(&file), 2);

        assert_eq!(known(&memory(&file)), ["d-00002"]);
        assert!(file.with_file_name("history.db.damaged-1").exists());
    }

    #[test]
    fn what_is_not_in_a_sound_history_is_said_of_it() {
        let (_folder, file) = kept();
        let told = memory(&file).ask(|store| store.deployment("d-9")).unwrap_err();
        assert!(matches!(told, StoreError::NotFound { .. }), "{told}");
    }
}
