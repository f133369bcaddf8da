//! The file itself: who may read it, who may write it at once, what becomes of it when it is damaged or newer.

#![allow(clippy::unwrap_used)]

use cutover_core::record::summarize;
use cutover_core::store::{Filter, PAGE_ROWS_MAX, Scope, Store, StoreError};
use cutover_store::{SqliteStore, renew};
use cutover_testkit::Story;
use rusqlite::Connection;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state/history.sqlite");
    (folder, path)
}

fn with_deployments(path: &Path, count: i64) -> SqliteStore {
    let store = SqliteStore::open(path).unwrap();
    for number in 1..=count {
        let (plan, records) = Story::new(number).deployed();
        store.ingest(&plan, &records).unwrap();
    }
    store
}

fn count(store: &SqliteStore) -> usize {
    let mut count = 0;
    let show = &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.each(&Filter::default(), show).unwrap();
    count
}

#[test]
fn only_its_owner_can_read_the_file_and_its_companions() {
    let (_folder, path) = folder();
    let _store = with_deployments(&path, 1);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() >= 2, "the write-ahead log lies beside it: {names:?}");
    for name in names {
        assert_eq!(fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600, "{name:?}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "an open file is closed again");
}

#[test]
fn a_copy_has_what_the_file_and_its_log_have_and_changes_neither() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 1));
    let writer = with_deployments(&path, 2);
    let before = fs::read(&path).unwrap();

    let copy = SqliteStore::copy_of(&path).unwrap();
    let (plan, records) = Story::new(3).deployed();
    copy.ingest(&plan, &records).unwrap();

    assert_eq!((count(&copy), count(&writer)), (3, 2));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let (folder, path) = folder();
    assert!(matches!(SqliteStore::copy_of(&path), Err(StoreError::Failed { .. })), "there is no file");
    let odd = folder.path().join("what? 100%#.db");
    drop(with_deployments(&odd, 1));
    assert_eq!(count(&SqliteStore::copy_of(&odd).unwrap()), 1, "whatever its name is");
    Connection::open(&odd).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::copy_of(&odd), Err(StoreError::TooNew { found: 99, .. })));
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 1));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let bytes = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, supported: 8, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_file_says_so_and_is_set_aside_without_being_lost() {
    let (_folder, path) = folder();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rubbish = "not a database, ".repeat(1_000);
    fs::write(&path, &rubbish).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let (store, aside) = renew(&path).unwrap();
    assert_eq!((count(&store), fs::read_to_string(aside.unwrap()).unwrap()), (0, rubbish.clone()));
    // A second one does not take the place of the first.
    drop(store);
    fs::write(&path, &rubbish).unwrap();
    assert_eq!(renew(&path).unwrap().1.unwrap().extension().unwrap(), "damaged-2");
}

/// Else a new file would be read together with the log of an old one.
#[test]
fn the_write_ahead_log_of_a_damaged_file_goes_with_it() {
    // Given a history that another process has open, so that its log stays.
    let (_folder, path) = folder();
    let held = with_deployments(&path, 2);
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    // All of it is in the file itself: what is only in the log would be read from there in spite of the damage.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    Connection::open(&path).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
    let kept = inode(&log(&path));
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();

    let (store, aside) = renew(&path).unwrap();

    assert_eq!((inode(&log(&aside.unwrap())), count(&store)), (kept, 0));
    assert_ne!(inode(&log(&path)), kept, "the new history has a log of its own");
    drop(held);
}

#[test]
fn damage_that_opening_does_not_see_is_set_aside_too() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 50));
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[8_192..end].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    assert!(SqliteStore::open(&path).is_ok(), "the first page is whole");
    let (store, aside) = renew(&path).unwrap();
    assert!(aside.is_some());
    assert_eq!(count(&store), 0);
}

#[test]
fn a_sound_file_stays_where_it_is() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 2));
    // A row that a newer version wrote, say.
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE deployments SET kind = 'unheard of' WHERE number = 1", [])
        .unwrap();
    let error = SqliteStore::open(&path).unwrap().history(&Filter::default(), 5).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let (store, aside) = renew(&path).unwrap();
    assert_eq!((store.deployment("d-00002").unwrap().deployment.as_str(), aside), ("d-00002", None));
}

#[test]
fn bytes_changed_anywhere_in_the_file_are_an_error_and_never_a_panic() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 20));
    let sound = fs::read(&path).unwrap();
    for at in (0..sound.len()).step_by(997) {
        let mut bytes = sound.clone();
        let end = bytes.len().min(at + 64);
        bytes[at..end].fill(0xA5);
        fs::write(&path, bytes).unwrap();
        let asked = SqliteStore::open(&path).and_then(|store| {
            store.deployment("d-00020")?;
            store.history(&Filter::default(), 50)?;
            store.incidents(&Scope::default(), None)
        });
        if let Err(error) = asked {
            let plain = matches!(
                error,
                StoreError::Damaged { .. }
                    | StoreError::TooNew { .. }
                    | StoreError::NotFound { .. }
                    | StoreError::Failed { .. }
            );
            assert!(plain, "{error}");
        }
    }
}

/// Set for the process that [`several_processes_write_at_once`] starts; names the file and the first number.
const WRITER_VARIABLE: &str = "CUTOVER_TEST_WRITER";
const WRITER_DEPLOYMENTS: i64 = 25;

#[test]
fn several_processes_write_at_once() {
    if let Ok(job) = std::env::var(WRITER_VARIABLE) {
        return write(&job);
    }
    let (_folder, path) = folder();
    let writer = |first: i64| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "several_processes_write_at_once", "--nocapture"]);
        command.env(WRITER_VARIABLE, format!("{first} {}", path.display())).stdout(Stdio::null()).spawn().unwrap()
    };
    let writers: Vec<_> = [0, 100, 200, 300].map(writer).into();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let store = SqliteStore::open(&path).unwrap();
    // Each wrote its own and all wrote the shared one.
    assert_eq!(count(&store), 4 * WRITER_DEPLOYMENTS as usize + 1);
}

fn write(job: &str) {
    let (first, path) = job.split_once(' ').unwrap();
    let first: i64 = first.parse().unwrap();
    let (shared, records) = Story::new(999).rolled_back();
    for number in first..first + WRITER_DEPLOYMENTS {
        // Opened anew each time, as each command does.
        let store = SqliteStore::open(Path::new(path)).unwrap();
        let (plan, own) = Story::new(number).deployed();
        store.ingest(&plan, &own).unwrap();
        let so_far = usize::try_from(number - first).unwrap().min(records.len());
        store.ingest(&shared, &records[..so_far]).unwrap();
    }
}

#[test]
fn a_file_of_version_1_is_read() {
    let (_folder, path) = folder();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let dump = include_str!("data/history-v1.sql");
    Connection::open(&path).unwrap().execute_batch(dump).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let (plan, records) = Story::new(2).rolled_back();
    assert_eq!(store.deployment("d-00002").unwrap(), summarize(&plan, &records));
    assert_eq!(store.history(&Filter::default(), 10).unwrap().rows.len(), 2);
    let incidents = store.incidents(&Scope::default(), None).unwrap();
    assert_eq!(incidents[0].cause, "switch on localhost: probe /health: status 500");
    assert_eq!(store.releases(&Scope::default()).unwrap().len(), 1);
    assert_eq!(store.artifacts(&plan.project).unwrap().len(), 1);
    assert_eq!(store.usual_times(&Scope::default(), None).unwrap()["switch"], 1_000);
}

/// The newest page of a long history, from opening the file to having the rows. The limit is the whole command's.
#[test]
fn the_newest_page_of_100_000_deployments_comes_at_once() {
    let (_folder, path) = folder();
    drop(with_deployments(&path, 1));
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO deployments (id, kind, project, environment, release, original, artifact, commit_hash, subject,
            committed_at, dirty, asker, reason, began_at, ended_at, outcome, switched, cancelled, elapsed_ms)
        SELECT printf('copy-%06d', i), kind, project, environment, release, original, artifact, commit_hash, subject,
            committed_at, dirty, asker, reason, began_at + i, ended_at + i,
            CASE i % 50 WHEN 0 THEN 'failed' ELSE outcome END, switched, cancelled, elapsed_ms
        FROM n, deployments WHERE id = 'd-00001'";
    Connection::open(&path).unwrap().execute_batch(copies).unwrap();
    let scope = Scope { project: Some("shop".parse().unwrap()), environment: Some("production".parse().unwrap()) };
    let filters = [Filter::default(), Filter { scope, ..Filter::default() }];
    for filter in filters {
        let began = Instant::now();
        let page = SqliteStore::open(&path).unwrap().history(&filter, 50).unwrap();
        assert_eq!(page.rows[0].deployment.as_str(), "copy-100000");
        let took = began.elapsed();
        assert!(took < Duration::from_millis(50), "{took:?}");
    }
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.history(&Filter::default(), usize::MAX).unwrap().rows.len(), PAGE_ROWS_MAX);
    assert_eq!(count(&store), 100_001);
}

#[test]
fn an_older_file_learns_the_hosts_of_what_it_remembers() {
    // Given a file as an earlier version made it, with plans that are cut or are not what a plan is.
    let (_folder, path) = folder();
    drop(with_deployments(&path, 3));
    let (plan, records) = Story::new(4).host("web-2").deployed();
    SqliteStore::open(&path).unwrap().ingest(&plan, &records).unwrap();
    let old = Connection::open(&path).unwrap();
    let strange = [r#"{"steps":[{"host":"web-"#, r#"{"steps":["web-1",{"host":1}]}"#, "7"];
    for (deployment, plan) in (1..).zip(strange) {
        let changed = old.execute("UPDATE plans SET plan = ?2 WHERE deployment = ?1", (deployment, plan)).unwrap();
        assert_eq!(changed, 1);
    }
    let columns = ["forward", "promoted_from", "hosts", "divided", "starts"];
    columns
        .iter()
        .for_each(|column| old.execute_batch(&format!("ALTER TABLE deployments DROP COLUMN {column}")).unwrap());
    old.pragma_update(None, "user_version", 3).unwrap();
    drop(old);

    let mut rows = SqliteStore::open(&path).unwrap().history(&Filter::default(), 4).unwrap().rows;

    let row = rows.remove(0);
    assert_eq!((row.hosts, row.forward, row.promoted_from), (vec!["web-2".to_owned()], false, None));
    assert_eq!(rows.iter().map(|row| row.hosts.len()).collect::<Vec<_>>(), [0, 0, 0]);
}

#[test]
fn hosts_that_cannot_be_read_close_nothing_of_the_history() {
    let (_folder, path) = folder();
    let (plan, records) = Story::new(1).host("web-1").deployed();
    let store = SqliteStore::open(&path).unwrap();
    store.ingest(&plan, &records).unwrap();
    for hosts in ["", "web-1", r#"["web-"#, r#"{"web-1":1}"#] {
        Connection::open(&path).unwrap().execute("UPDATE deployments SET hosts = ?1", [hosts]).unwrap();

        let rows = store.history(&Filter::default(), 4).unwrap().rows;

        assert_eq!((rows.len(), rows[0].hosts.len()), (1, 0), "{hosts:?}");
    }
}
