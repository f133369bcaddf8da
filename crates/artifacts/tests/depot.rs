//! Stores that several machines share: one suite for all kinds, and what can go wrong with each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;
mod suite;

use common::project;
use cutover_artifacts::depot::{
    Content, Credentials, Depot, DepotError, Directory, Listed, ObjectError, Objects, Provenance, S3, S3Access,
};
use cutover_core::artifact::Digest;
use cutover_core::config::S3Config;
use cutover_core::patience::{Pace, Patience};
use cutover_core::secret::Secret;
use cutover_testkit::s3::{FakeS3, Mishap};
use jiff::Timestamp;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use suite::{DAY, LIMIT, Shared, every_kind_of_place, packed, prune_old, put, said};
use tempfile::TempDir;
use ureq::tls::RootCerts;

/// Time that passes only when somebody sleeps.
struct Asleep(Mutex<Timestamp>);

impl Pace for Asleep {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, pause: Duration) {
        *self.0.lock().unwrap() += pause;
    }
}

/// A place that several machines share.
enum Place {
    Directory(TempDir),
    S3(FakeS3),
}

impl Place {
    fn directory() -> Self {
        Self::Directory(tempfile::tempdir().unwrap())
    }

    fn s3() -> Self {
        Self::S3(FakeS3::start("shop", "made-up-id").unwrap())
    }
}

impl Shared for Place {
    fn objects(&self) -> Box<dyn Objects> {
        match self {
            Self::Directory(dir) => Box::new(Directory::open(dir.path()).unwrap()),
            Self::S3(fake) => Box::new(S3::new(&bucket(fake), access("made-up-id")).unwrap()),
        }
    }
}

mod directory {
    use super::{Place, every_kind_of_place, suite};

    every_kind_of_place!(Place::directory());
}

mod s3 {
    use super::{Place, every_kind_of_place, suite};

    every_kind_of_place!(Place::s3());
}

fn bucket(fake: &FakeS3) -> S3Config {
    let (bucket, region, prefix) = ("shop".to_owned(), "us-east-1".to_owned(), "all/artifacts".to_owned());
    S3Config { bucket, endpoint: Some(fake.endpoint()), region, prefix, path_style: None }
}

fn access(key_id: &str) -> S3Access {
    let credentials = Credentials { key_id: key_id.to_owned(), secret: Secret::new("made-up-secret"), token: None };
    let pace = Box::new(Asleep(Mutex::new(Timestamp::from_second(1_800_000_000).unwrap())));
    S3Access { credentials: Some(credentials), certs: RootCerts::WebPki, pace, patience: Patience::default() }
}

#[test]
fn a_service_that_has_trouble_is_borne_and_everything_is_there_once() {
    let mishaps = [
        Mishap::Answer(503, "SlowDown"),
        Mishap::Answer(500, "InternalError"),
        Mishap::HungUp,
        Mishap::DoneAndHungUp,
        Mishap::DoneAndCut,
    ];
    for mishap in mishaps {
        for method in ["PUT", "GET"] {
            let (bed, artifact) = packed();
            let place = Place::s3();
            let Place::S3(fake) = &place else { panic!("it is one") };
            for _ in 0..4 {
                fake.order(method, mishap.clone());
            }
            put(&place.depot(), &bed.store, &artifact).unwrap();
            let (depot, other) = (place.depot(), bed.other_store("other"));
            let kept = depot.kept(&artifact.id).unwrap().unwrap();
            assert_eq!(depot.pull(&kept, &other, LIMIT, bed.now).unwrap().id, artifact.id, "{mishap:?} {method}");
            assert_eq!(fake.keys().len(), 3, "{:?}", fake.keys());
        }
    }
}

#[test]
fn an_upload_that_ends_anywhere_leaves_nothing_that_is_taken_for_an_artifact() {
    let (bed, artifact) = packed();
    // The file, the commit's name, the record.
    for done in 0..3 {
        let place = Place::s3();
        let Place::S3(fake) = &place else { panic!("it is one") };
        let error = {
            let depot = place.depot();
            (0..done).for_each(|_| fake.order("PUT", Mishap::DoneAndHungUp));
            (0..6).for_each(|_| fake.order("PUT", Mishap::Answer(403, "AccessDenied")));
            put(&depot, &bed.store, &artifact).unwrap_err()
        };
        assert!(
            error.to_string().contains("AccessDenied") && error.hint().unwrap().contains("s3:PutObject"),
            "{error}"
        );

        let depot = place.depot();
        assert_eq!(depot.find(&artifact.id.to_string()).unwrap(), None);
        assert!(depot.of_commit(&artifact.record.commit).unwrap().is_empty());
        assert_eq!(depot.newest(10).unwrap().count, 0);
    }
}

#[test]
fn a_service_that_never_answers_is_given_up_after_six_attempts_and_one_that_refuses_after_one() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    (0..6).for_each(|_| fake.order("GET", Mishap::HungUp));
    let error = place.objects().read("a", 1).unwrap_err().to_string();
    assert!(error.contains("read a in bucket shop") && error.contains("asked 6 times"), "{error}");
    assert_eq!(fake.received().len(), 6);

    let stranger = S3::new(&bucket(fake), access("another-id")).unwrap();
    (0..4).for_each(|_| fake.order("GET", Mishap::Answer(403, "InvalidAccessKeyId")));
    let error = DepotError::from(stranger.read("a", 1).unwrap_err());
    assert!(error.hint().unwrap().contains("AWS_ACCESS_KEY_ID"), "{error}");
    assert_eq!(fake.received().len(), 7);
    let elsewhere = S3Config { bucket: "other".to_owned(), ..bucket(fake) };
    let empty = FakeS3::start("shop", "made-up-id").unwrap();
    let elsewhere = S3Config { endpoint: Some(empty.endpoint()), ..elsewhere };
    let error = DepotError::from(S3::new(&elsewhere, access("made-up-id")).unwrap().list("a", 1).unwrap_err());
    assert!(error.to_string().contains("NoSuchBucket") && error.hint().unwrap().contains("make the bucket"), "{error}");
}

#[test]
fn a_service_that_is_silent_is_given_up_however_much_may_come_from_it() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    (0..2).for_each(|_| fake.order("GET", Mishap::Silent));
    let patience = Patience { request: Duration::from_millis(300), attempt_count: 2, ..Patience::default() };
    let hasty = S3::new(&bucket(fake), S3Access { patience, ..access("made-up-id") }).unwrap();

    let began = Instant::now();
    let error = hasty.list("a/", 10).unwrap_err();

    assert!(matches!(error, ObjectError::Unheard { .. }), "{error}");
    // What a list may be large would take half a minute, twice.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[test]
fn a_list_is_whole_or_an_error_and_comes_to_an_end() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    let objects = place.objects();
    (0..8).for_each(|number| objects.put(&format!("a/{number}"), &mut &b""[..]).unwrap());
    // Given three pages, of which the last two are not there.
    for code in ["NoSuchKey", ""] {
        fake.order("GET", Mishap::None);
        fake.order("GET", Mishap::Answer(404, code));
        let error = objects.list("a/", 100).unwrap_err().to_string();
        assert!(error.contains("404 instead of a list"), "{error}");
    }
    // Given pages that always lead to another one: to one that was, or to new ones without any key.
    let page = |token: &str| {
        let next = format!("<NextContinuationToken>{token}</NextContinuationToken>");
        format!("<ListBucketResult><IsTruncated>true</IsTruncated>{next}</ListBucketResult>")
    };
    let before = fake.received().len();
    (0..3).for_each(|number| fake.order("GET", Mishap::Say(page(&(number % 2).to_string()))));
    assert!(objects.list("a/", 100).unwrap_err().to_string().contains("does not come to an end"));
    assert_eq!(fake.received().len(), before + 3);
    (0..100).for_each(|number| fake.order("GET", Mishap::Say(page(&number.to_string()))));
    assert!(objects.list("a/", 100).unwrap_err().to_string().contains("does not come to an end"));
    assert_eq!(objects.list("a/", 100).unwrap().len(), 8);
}

#[test]
fn a_service_that_refuses_before_it_has_read_all_is_heard_and_what_is_small_is_asked_first() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    let large = vec![7; 16 << 20];
    fake.order("PUT", Mishap::Refuse(403, "AccessDenied"));
    let error = place.objects().put("a", &mut &large[..]).unwrap_err().to_string();
    assert!(error.contains("403 AccessDenied") && !error.contains("asked"), "{error}");
    assert_eq!(fake.received().len(), 1);
    place.objects().put("a", &mut &large[..]).unwrap();
    assert!(place.read("a") == large);

    let (bed, artifact) = packed();
    let provenance = Provenance { statement: b"{}".to_vec(), signature: Some(b"by me".to_vec()) };
    fake.order("PUT", Mishap::Refuse(403, "AccessDenied"));
    let exported = || bed.store.export_file(&artifact).unwrap();
    assert!(place.depot().put(exported(), Some(&provenance)).is_err());
    let before = fake.received().len();
    assert!(fake.received()[before - 1].ends_with(".intoto.json"));
    place.depot().put(exported(), Some(&provenance)).unwrap();
    let kinds: Vec<String> =
        fake.received()[before..].iter().map(|asked| asked.rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!((&kinds[..3], &kinds[4]), (&["json", "sig", "cutover"].map(str::to_owned)[..], &"json".to_owned()));
}

#[test]
fn the_end_of_a_line_after_a_key_is_no_part_of_it_and_one_within_is_told_at_once() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    place.objects().put("a", &mut &b"x"[..]).unwrap();
    let with = |key_id: &str, token: &str| {
        let mut access = access(key_id);
        access.credentials.as_mut().unwrap().token = Some(Secret::new(token));
        S3::new(&bucket(fake), access).unwrap()
    };
    assert_eq!(with("made-up-id\n", " made-up-token\r\n").read("a", 1).unwrap().unwrap(), b"x");
    for (key_id, token) in [("made-up\nid", "made-up-token"), ("made-up-id", "made-up\ntoken")] {
        let error = DepotError::from(with(key_id, token).read("a", 1).unwrap_err());
        assert!(error.hint().unwrap().contains("AWS_SESSION_TOKEN"), "{error}");
        assert!(!error.to_string().contains("asked"), "{error}");
    }
    assert_eq!(fake.received().len(), 2, "nothing was sent that cannot be");
}

/// A place in which something happens before the operation of this number.
struct Interrupted {
    inner: Box<dyn Objects>,
    left: AtomicUsize,
    act: Box<dyn Fn() + Send + Sync>,
}

impl Interrupted {
    fn step(&self) -> &dyn Objects {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            (self.act)();
        }
        &*self.inner
    }
}

impl Objects for Interrupted {
    fn place(&self) -> &str {
        self.inner.place()
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        self.step().put(name, content)
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut fs::File) -> Result<bool, ObjectError> {
        self.step().fetch(name, bytes_max, into)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        self.step().read(name, bytes_max)
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        self.step().list(prefix, count_max)
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        self.step().remove(name)
    }
}

#[test]
fn what_is_renewed_while_it_is_removed_is_there_with_its_file_or_not_at_all() {
    let (bed, artifact) = packed();
    let now = bed.now + 20 * DAY;
    for is_renewed_within in [true, false] {
        let mut stayed = Vec::new();
        for step in 0..12 {
            let place = Place::directory();
            put(&place.depot(), &bed.store, &artifact).unwrap();
            let (other, kept) = (place.depot(), place.depot().kept(&artifact.id).unwrap().unwrap());
            // Given one of both that comes in between before this operation of the other one.
            let renewed = kept.clone();
            let act: Box<dyn Fn() + Send + Sync> = if is_renewed_within {
                Box::new(move || drop(other.renew(renewed.clone(), now)))
            } else {
                Box::new(move || prune_old(&other, now))
            };
            let inner = Interrupted { inner: place.objects(), left: AtomicUsize::new(step), act };
            let depot = Depot::new(Box::new(inner), project());
            let told = if is_renewed_within {
                prune_old(&depot, now);
                true
            } else {
                depot.renew(kept, now).is_ok()
            };
            let standing = place.depot().standing(&artifact.id).unwrap();
            assert!(standing.as_ref().is_none_or(|there| there.has_file), "{is_renewed_within} {step}: {standing:?}");
            assert!(is_renewed_within || told == standing.is_some(), "{step}: what it says is so");
            stayed.push(standing.is_some());
        }
        assert!(stayed.contains(&true) && stayed.contains(&false), "it came in between: {stayed:?}");
    }
}

#[test]
fn what_is_no_file_or_too_large_stops_nobody_from_the_others() {
    let place = Place::directory();
    let Place::Directory(dir) = &place else { panic!("it is one") };
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let commit = &artifact.record.commit;
    let ids = ["a", "b", "c", "d"].map(|letter| letter.repeat(64));
    for id in &ids {
        place.tamper(&format!("sample/artifacts/{id}/{}.cutover", "e".repeat(64)), Some(b"x"));
        place.tamper(&format!("sample/commits/{commit}/{id}"), Some(b"x"));
    }
    let path = |id: &str| dir.path().join(format!("sample/artifacts/{id}/record.json"));
    let [pipe, folder, large, link] = &ids;
    rustix::fs::mkfifoat(rustix::fs::CWD, path(pipe), rustix::fs::Mode::RUSR).unwrap();
    fs::create_dir(path(folder)).unwrap();
    fs::File::create(path(large)).unwrap().set_len(64 << 20).unwrap();
    symlink(path(&artifact.id.to_string()), path(link)).unwrap();
    let said_at = format!("sample/checks/{commit}/{}.json", Digest::of(b"large"));
    place.tamper(&said_at, Some(&vec![b' '; 64 << 20]));

    let depot = place.depot();
    for id in &ids {
        let error = depot.find(id).unwrap_err();
        assert!(matches!(&error, DepotError::Damaged { .. }), "{error}");
    }
    assert_eq!(depot.of_commit(commit).unwrap().len(), 1);
    assert_eq!(depot.newest(10).unwrap().artifacts.len(), 1);
    prune_old(&depot, bed.now);
    assert!(depot.find(&artifact.id.to_string()).unwrap().is_some());
    depot.note_checks(commit, &said("tests", "success", 1)).unwrap();
    assert_eq!(depot.checks(commit).unwrap(), said("tests", "success", 1));
}

#[test]
fn a_directory_that_is_missing_is_not_made_and_links_and_halves_in_it_are_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let error = DepotError::from(Directory::open(&dir.path().join("mount")).unwrap_err());
    assert!(error.hint().unwrap().contains("mount it"), "{error}");

    let place = Place::Directory(dir);
    let Place::Directory(dir) = &place else { panic!("it is one") };
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let beside: PathBuf = dir.path().join("sample/artifacts").join(artifact.id.to_string());
    let half = format!(".partial-{}", "0a".repeat(16));
    let theirs = [beside.join(".partial-notes"), dir.path().join("bank").join(&half)];
    fs::create_dir(dir.path().join("bank")).unwrap();
    fs::write(beside.join(&half), "half").unwrap();
    let half_made = dir.path().join("sample").join(&half);
    fs::create_dir(&half_made).unwrap();
    theirs.iter().for_each(|path| fs::write(path, "theirs").unwrap());
    symlink("/etc/passwd", dir.path().join("sample/link")).unwrap();
    symlink("/etc", dir.path().join("sample/etc")).unwrap();
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
    assert!(place.objects().fetch("sample/link", LIMIT, &mut tempfile::tempfile().unwrap()).is_err());

    place.objects().tidy("sample/", Timestamp::now());
    assert!(beside.join(&half).exists() && half_made.exists(), "somebody may be writing it");
    place.objects().tidy("sample/", Timestamp::now() + 2 * DAY);
    assert!(!beside.join(&half).exists() && !half_made.exists());
    assert!(theirs.iter().all(|path| path.exists()), "what is not this project's, or not ours at all, stays");
}

#[test]
fn no_link_in_a_directory_leads_out_of_it_whatever_is_done() {
    // Given a directory of somebody else, with files that look like ours, and links to it in a store.
    let (dir, victim) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (commit, json) = ("c".repeat(40), r#"{"tests":{"conclusion":"success","at":"2026-11-21T10:00:00Z"}}"#);
    let name = format!("{}.json", Digest::of(b"a"));
    fs::write(victim.path().join(&name), json).unwrap();
    fs::create_dir_all(dir.path().join("sample/checks")).unwrap();
    symlink(victim.path(), dir.path().join("sample/checks").join(&commit)).unwrap();
    symlink(victim.path(), dir.path().join("bank")).unwrap();
    symlink(victim.path().join(&name), dir.path().join("sample/record.json")).unwrap();

    let place = Place::Directory(dir);
    let (depot, objects) = (place.depot(), place.objects());
    let error = depot.note_checks(&commit, &said("tests", "failure", 1)).unwrap_err();
    assert!(error.hint().unwrap().contains("links"), "{error}");
    assert!(depot.checks(&commit).is_err());
    let through = format!("bank/{name}");
    assert!(objects.put("bank/new", &mut &b"x"[..]).is_err() && objects.put("bank/a/new", &mut &b"x"[..]).is_err());
    assert!(objects.read(&through, LIMIT).is_err() && objects.read("sample/record.json", LIMIT).is_err());
    assert!(objects.fetch(&through, LIMIT, &mut tempfile::tempfile().unwrap()).is_err());
    assert!(objects.list("bank/", 10).is_err() && objects.remove(&through).is_err());

    // Then all is as it was there.
    let left: Vec<_> = fs::read_dir(victim.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [name.as_str()]);
    assert_eq!(fs::read_to_string(victim.path().join(&name)).unwrap(), json);
}

#[test]
fn what_is_made_in_a_directory_is_its_groups_whatever_the_umask_takes() {
    let place = Place::directory();
    let Place::Directory(dir) = &place else { panic!("it is one") };
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o2070;
    // A umask leaves a group less than all of this, or more than nothing.
    for (root, group, dirs, files) in [(0o2775, "shared", 0o2070, 0o060), (0o700, "own", 0, 0)] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(root)).unwrap();
        place.objects().put(&format!("{group}/a/b"), &mut &b"x"[..]).unwrap();
        assert_eq!((mode(group), mode(&format!("{group}/a"))), (dirs, dirs), "{root:o}");
        assert_eq!(mode(&format!("{group}/a/b")), files, "{root:o}");
        assert_eq!(fs::read_dir(dir.path().join(group)).unwrap().count(), 1);
    }
}
