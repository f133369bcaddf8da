//! The blob store as its users see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use cutover_core::artifact::Digest;
use cutover_disk::{Blob, BlobError, BlobState, BlobStore, Linked, Removed, remove_tree};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

struct Bed {
    dir: TempDir,
    store: BlobStore,
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(&dir.path().join("blobs")).unwrap();
    Bed { dir, store }
}

fn blob(content: &[u8], executable: bool) -> Blob {
    Blob { digest: Digest::of(content), bytes: content.len() as u64, executable }
}

fn file_count(dir: &Path) -> usize {
    let count = |entry: io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { file_count(&path) } else { 1 }
    };
    fs::read_dir(dir).unwrap().map(count).sum()
}

/// Writes to a file in place, as a service does that runs as root.
fn write_in_place(path: &Path, content: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    OpenOptions::new().write(true).open(path).unwrap().write_all(content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

fn hours_later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(7200)
}

#[test]
fn content_is_stored_under_its_digest_read_only_and_stamped() {
    let Bed { store, .. } = bed();
    for executable in [false, true] {
        let blob = blob(b"content", executable);
        assert_eq!(store.state(&blob).unwrap(), BlobState::Missing);

        store.insert(&blob, &mut &b"content"[..]).unwrap();
        store.sync().unwrap();

        let metadata = fs::metadata(store.path(&blob.digest, executable)).unwrap();
        assert_eq!(metadata.mode() & 0o777, if executable { 0o555 } else { 0o444 });
        assert!(metadata.modified().unwrap() < SystemTime::now() - Duration::from_secs(86_400));
        assert!(store.has(&blob).unwrap());
        let mut read = String::new();
        store.open_blob(&blob.digest).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "content");
    }
    assert_eq!(file_count(store.root()), 2);
}

#[test]
fn all_ways_of_storing_give_the_same_blob() {
    let Bed { dir, store } = bed();
    let content = vec![7; 700_000];
    let path = dir.path().join("file");
    fs::write(&path, &content).unwrap();
    let expected = blob(&content, false);

    assert_eq!(store.add_bytes(&content, false).unwrap(), expected);
    assert_eq!(store.add(&mut &content[..], 700_000, false).unwrap(), expected);
    assert_eq!(store.add_file(&File::open(&path).unwrap(), false).unwrap(), expected);
    store.insert_file(&expected, &File::open(&path).unwrap()).unwrap();
    store.insert(&expected, &mut &content[..]).unwrap();

    assert!(store.has(&expected).unwrap());
    assert_eq!(file_count(store.root()), 1, "no temporary file is left");
}

#[test]
fn content_that_is_not_what_was_announced_is_refused() {
    let Bed { dir, store } = bed();
    let announced = blob(b"content", false);
    let path = dir.path().join("file");
    fs::write(&path, "c0ntent").unwrap();

    for offered in [&b"c0ntent"[..], b"conten", b"content and more", b""] {
        let result = store.insert(&announced, &mut &offered[..]);
        assert!(matches!(result, Err(BlobError::Mismatch(digest)) if digest == announced.digest));
    }
    assert!(matches!(store.insert_file(&announced, &File::open(&path).unwrap()), Err(BlobError::Mismatch(_))));
    assert!(matches!(store.add(&mut &b"content"[..], 6, false), Err(BlobError::TooLarge(6))));
    assert_eq!(file_count(store.root()), 0);
}

#[test]
fn an_endless_reader_is_read_no_further_than_announced() {
    let Bed { store, .. } = bed();
    let mut endless = io::repeat(0);
    assert!(matches!(store.insert(&blob(&[0; 1000], false), &mut endless), Err(BlobError::Mismatch(_))));
    assert!(matches!(store.add(&mut endless, 1 << 20, false), Err(BlobError::TooLarge(_))));
}

#[test]
fn a_reader_that_fails_leaves_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let Bed { store, .. } = bed();
    assert!(matches!(store.insert(&blob(b"x", false), &mut Broken), Err(BlobError::Read(_))));
    assert_eq!(file_count(store.root()), 0);
}

#[test]
fn a_link_shares_the_inode_and_replaces_nothing() {
    let Bed { dir, store } = bed();
    let blob = store.add_bytes(b"content", true).unwrap();
    let destination = dir.path().join("run");

    assert_eq!(store.link(&blob, &destination).unwrap(), Linked::Hard);

    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&destination), inode(&store.path(&blob.digest, true)));
    assert!(matches!(store.link(&blob, &destination), Err(BlobError::Disk(_))));
    let other = Blob { executable: false, ..blob };
    assert!(matches!(store.link(&other, &dir.path().join("data")), Err(BlobError::Missing(_))));
}

#[test]
fn a_blob_that_a_release_wrote_to_is_never_linked_again() {
    for damage in [&b"CONTENT"[..], b"longer content"] {
        let Bed { dir, store } = bed();
        let blob = store.add_bytes(b"content", false).unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        store.link(&blob, &old).unwrap();
        write_in_place(&old, damage);

        let result = store.link(&blob, &new);

        assert!(matches!(result, Err(BlobError::Damaged(digest)) if digest == blob.digest));
        assert!(!new.exists());
        assert_eq!(store.state(&blob).unwrap(), BlobState::Missing);
        store.insert(&blob, &mut &b"content"[..]).unwrap();
        store.link(&blob, &new).unwrap();
        assert_eq!(fs::read(&new).unwrap(), b"content");
    }
}

#[test]
fn a_touched_blob_with_good_content_is_set_right() {
    let Bed { store, .. } = bed();
    let blob = store.add_bytes(b"content", false).unwrap();
    let path = store.path(&blob.digest, false);
    let stamped = fs::metadata(&path).unwrap().modified().unwrap();
    File::open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();

    assert_eq!(store.state(&blob).unwrap(), BlobState::Sound);

    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.modified().unwrap(), metadata.mode() & 0o777), (stamped, 0o444));
}

#[test]
fn different_content_of_equal_size_has_different_times() {
    let Bed { store, .. } = bed();
    let modified = |content: &[u8]| {
        let blob = store.add_bytes(content, false).unwrap();
        fs::metadata(store.path(&blob.digest, false)).unwrap().modified().unwrap()
    };
    assert_ne!(modified(b"version 1"), modified(b"version 2"));
}

#[test]
fn a_sweep_removes_what_nothing_needs_and_only_that() {
    let Bed { dir, store } = bed();
    let [linked, kept, unneeded] =
        [&b"linked"[..], b"kept", b"unneeded"].map(|content| store.add_bytes(content, false).unwrap());
    store.link(&linked, &dir.path().join("release")).unwrap();
    fs::write(store.root().join(".cutover-tmp-1-1"), "left by a crash").unwrap();
    fs::write(store.root().join("README"), "not ours").unwrap();
    let keep = HashSet::from([kept.digest]);

    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    assert_eq!(store.remove_unlinked(&keep, hour_ago).unwrap(), Removed::default(), "all are fresh");

    assert_eq!(store.remove_unlinked(&keep, later()).unwrap(), Removed { blob_count: 1, bytes: 8 });
    assert_eq!(store.remove_unlinked(&keep, hours_later()).unwrap(), Removed { blob_count: 1, bytes: 15 });

    assert!(store.has(&linked).unwrap() && store.has(&kept).unwrap() && !store.has(&unneeded).unwrap());
    assert!(store.root().join("README").exists());
    remove_tree(&dir.path().join("release")).unwrap();
    assert_eq!(store.remove_unlinked(&HashSet::new(), later()).unwrap().blob_count, 2);
}

#[test]
fn several_writers_and_a_sweeper_do_not_disturb_each_other() {
    let Bed { dir, store } = bed();
    let root = store.root().to_owned();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (root, dir) = (&root, dir.path());
            scope.spawn(move || {
                let store = BlobStore::open(root).unwrap();
                for round in 0..100 {
                    let blob = store.add_bytes(format!("content {}", round % 10).as_bytes(), false).unwrap();
                    match store.link(&blob, &dir.join(format!("{writer}-{round}"))) {
                        Ok(_) | Err(BlobError::Missing(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50 {
                store.remove_unlinked(&HashSet::new(), later()).unwrap();
            }
        });
    });
    for path in fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        assert!(fs::read_to_string(path).unwrap().starts_with("content "));
    }
}
