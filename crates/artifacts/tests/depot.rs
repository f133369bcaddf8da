//! Stores that several machines share: one suite for all kinds, and what can go wrong with each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;
mod suite;

use common::{bed, head};
use cutover_artifacts::Artifact;
use cutover_artifacts::depot::{
    Credentials, DepotError, DepotRetention, Directory, ObjectError, Objects, Provenance, S3, S3Access,
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
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use suite::{
    DAY, LIMIT, LIST_MAX, Shared, Watched, aged, every_kind_of_place, packed, production, prune_old, put, said,
};
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
    fn all() -> [Self; 2] {
        [Self::directory(), Self::s3()]
    }

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
    assert!(place.depot().put(&mut exported(), Some(&provenance)).is_err());
    let before = fake.received().len();
    assert!(fake.received()[before - 1].ends_with(".provenance.json"));
    place.depot().put(&mut exported(), Some(&provenance)).unwrap();
    let kinds: Vec<String> =
        fake.received()[before..].iter().map(|asked| asked.rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!((&kinds[..2], &kinds[3]), (&["json", "cutover"].map(str::to_owned)[..], &"json".to_owned()));
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

fn broken(doing: &str, name: &str) -> ObjectError {
    let (doing, place) = (format!("{doing} {name}"), "a broken place".to_owned());
    ObjectError::Failed { doing, place, why: "an input/output error".to_owned() }
}

#[test]
fn a_commit_leads_to_what_was_put_while_what_led_to_it_before_was_removed() {
    let place = Arc::new(Place::Directory(tempfile::tempdir().unwrap()));
    let Place::Directory(dir) = &*place else { panic!("it is one") };
    let (bed, artifact) = packed();
    let commit = artifact.record.commit.clone();
    let link = dir.path().join(format!("sample/commits/{commit}/{}", artifact.id));
    let inner = place.clone();
    // Given a name below the commit that is old when somebody prunes, just before the record is there.
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if doing == "put" && name.ends_with("/record.json") {
            let long_ago = std::time::SystemTime::now() - 2 * DAY;
            fs::File::options().write(true).open(&link).unwrap().set_modified(long_ago).unwrap();
            assert_eq!(prune_old(&inner.depot(), Timestamp::now()).leftover_count, 1);
        }
        Ok(())
    });
    assert!(matches!(put(&depot, &bed.store, &artifact), Err(DepotError::Leaving { .. })));
    put(&place.depot(), &bed.store, &artifact).unwrap();
    assert_eq!(place.depot().of_commit(&commit).unwrap().len(), 1);
}

#[test]
fn a_prune_that_died_holds_nobody_up_for_long_and_the_next_one_takes_away_its_mark() {
    let place = Place::Directory(tempfile::tempdir().unwrap());
    let Place::Directory(dir) = &place else { panic!("it is one") };
    let (bed, artifact) = packed();
    let mark = format!("sample/artifacts/{}/{}.leaving", artifact.id, "0a".repeat(16));
    place.tamper(&mark, Some(b""));
    let refused = put(&place.depot(), &bed.store, &artifact).unwrap_err();
    assert!(refused.to_string().contains("is being removed from") && refused.hint().is_some(), "{refused}");
    assert!(place.depot().note_deploying(&production(), &artifact.id, bed.now).is_err());

    let died_at = std::time::SystemTime::now() - Duration::from_hours(2);
    fs::File::options().write(true).open(dir.path().join(&mark)).unwrap().set_modified(died_at).unwrap();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    assert!(place.depot().note_deploying(&production(), &artifact.id, bed.now).unwrap());

    let pruned = prune_old(&place.depot(), Timestamp::now() + 2 * DAY);
    assert_eq!((pruned.leftover_count, pruned.kept_count), (1, 1));
    assert!(!place.names().contains(&mark), "{:?}", place.names());
}

#[test]
fn a_full_disk_is_pruned_without_a_byte_more_and_what_needs_no_mark_goes_first() {
    let place = Place::directory();
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    place.depot().note_deploying(&production(), &artifact.id, bed.now).unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let (heard, reader) = (done.clone(), place.objects());
    // Given a disk that takes names and no bytes.
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if doing == "remove" {
            heard.lock().unwrap().push(name.to_owned());
            if name.ends_with(".leaving") {
                assert_eq!(reader.read(name, LIMIT).unwrap().unwrap(), b"", "a mark has no bytes");
            }
        }
        if doing == "put" { Err(broken(doing, name)) } else { Ok(()) }
    });

    assert_eq!(prune_old(&depot, bed.now + 20 * DAY).removed.len(), 1);

    assert!(done.lock().unwrap()[0].contains("/deploying/"), "{:?}", done.lock().unwrap());
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn deployments_that_were_refused_oust_nothing_that_is_live_and_hold_what_they_meant_for_two_weeks() {
    for place in Place::all() {
        let mut bed = bed();
        let all = aged(&place, &mut bed, &[0, 0, 0]);
        let [live, meant, forgotten] = &all[..] else { panic!("three") };
        let (depot, now) = (place.depot(), bed.now + 60 * DAY);
        depot.note_deployed(&production(), &live.id, bed.now).unwrap();
        depot.note_deploying(&production(), &forgotten.id, bed.now + 40 * DAY).unwrap();
        // Given many attempts since, and as many that brought live what was never there.
        for number in 0..25_u8 {
            let at = bed.now + 50 * DAY + Duration::from_secs(u64::from(number));
            depot.note_deploying(&production(), &meant.id, at).unwrap();
            depot.note_deployed(&production(), &Digest::of(&[number]), at).unwrap();
        }

        let pruned = prune_old(&depot, now);

        let removed: Vec<Digest> = pruned.removed.iter().map(|record| record.id).collect();
        assert_eq!(removed, [forgotten.id]);
        let notes = |kind: &str| place.names().iter().filter(|name| name.contains(kind)).count();
        assert_eq!((notes("/deploying/"), notes("/deployed/")), (25, 21), "the last 20 of each sort stay");
    }
}

#[test]
fn a_prune_that_fails_half_way_says_what_it_has_removed_and_nothing_that_stays() {
    let place = Place::Directory(tempfile::tempdir().unwrap());
    let mut bed = bed();
    let mut ids: Vec<Digest> = aged(&place, &mut bed, &[0, 0, 0]).iter().map(|artifact| artifact.id).collect();
    ids.sort_unstable();
    let file = place.depot().kept(&ids[1]).unwrap().unwrap().sha256;
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if doing == "remove" && name.ends_with(&format!("{file}.cutover")) { Err(broken(doing, name)) } else { Ok(()) }
    });
    let (pinned, commits) = Default::default();
    let (now, keep_for) = (bed.now + 20 * DAY, 10 * DAY);
    let retention = DepotRetention { now, keep_for, pinned: &pinned, commits: &commits, dry_run: false };

    let cut = depot.prune(&retention).unwrap_err();

    assert!(cut.error.to_string().contains("an input/output error"), "{}", cut.error);
    let removed: Vec<Digest> = cut.pruned.removed.iter().map(|record| record.id).collect();
    assert_eq!(removed, ids[..1]);
    assert_eq!(place.depot().newest(10).unwrap().count, 1, "the record of the second is gone");
    assert!(!place.names().iter().any(|name| name.ends_with(".leaving")), "nobody has to wait for it");
}

#[test]
fn a_store_with_more_names_than_one_list_has_is_pruned_in_parts() {
    for place in Place::all() {
        let mut bed = bed();
        let all = aged(&place, &mut bed, &[0, 0, 0, 0, 20]);
        let depot = Watched::depot(place.objects(), 6, |_, _, _| Ok(()));
        assert!(depot.newest(10).unwrap_err().hint().unwrap().contains("artifact prune"));

        let pruned = prune_old(&depot, bed.now);

        assert_eq!((pruned.removed.len(), pruned.kept_count), (4, 1));
        assert_eq!(depot.newest(10).unwrap().artifacts[0].record.id, all[4].id);
        // Given more under one name than there could be.
        (0..10).for_each(|number| place.tamper(&format!("sample/deployed/production/{number}"), Some(b"x")));
        let (pinned, commits) = Default::default();
        let (now, keep_for) = (bed.now, 10 * DAY);
        let retention = DepotRetention { now, keep_for, pinned: &pinned, commits: &commits, dry_run: true };
        let hint = depot.prune(&retention).unwrap_err().error.hint().unwrap();
        assert!(hint.contains("other means") && !hint.contains("prune"), "{hint}");
    }
}

#[test]
fn of_a_commit_with_very_many_artifacts_the_newest_are_looked_at() {
    let place = Place::Directory(tempfile::tempdir().unwrap());
    let (bed, artifact) = packed();
    let commit = &artifact.record.commit;
    (0..60_u8).for_each(|number| {
        place.tamper(&format!("sample/commits/{commit}/{}", Digest::of(&[number])), Some(b"x"));
    });
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let found = place.depot().of_commit(commit).unwrap();
    assert_eq!(found.iter().map(|kept| kept.record.id).collect::<Vec<_>>(), [artifact.id]);
}

#[test]
fn what_says_that_it_was_packed_in_the_future_ages_all_the_same_and_is_the_last_of_its_commit() {
    for place in Place::all() {
        let (mut bed, artifact) = packed();
        // Given two artifacts of one commit, of which one says so.
        bed.config.include = vec!["main.py".to_owned()];
        let other = bed.pack(&head()).unwrap();
        [&artifact, &other].iter().for_each(|artifact| put(&place.depot(), &bed.store, artifact).unwrap());
        let says = |artifact: &Artifact, at: &str| {
            let record = format!("sample/artifacts/{}/record.json", artifact.id);
            let mut told: serde_json::Value = serde_json::from_slice(&place.read(&record)).unwrap();
            told["record"]["packed_at"] = at.into();
            place.tamper(&record, Some(told.to_string().as_bytes()));
        };
        says(&artifact, "9999-01-01T00:00:00Z");
        says(&other, "2026-11-01T00:00:00Z");

        let found = place.depot().of_commit(&artifact.record.commit).unwrap();
        assert_eq!(found.iter().map(|kept| kept.record.id).collect::<Vec<_>>(), [other.id, artifact.id]);
        assert_eq!(place.depot().newest(10).unwrap().artifacts[0].record.id, other.id);
        let renewed = place.depot().renew(found[1].clone(), bed.now).unwrap().unwrap();
        assert_eq!(renewed.record.packed_at, bed.now);
        says(&artifact, "9999-01-01T00:00:00Z");
        let pruned = prune_old(&place.depot(), Timestamp::now() + 20 * DAY);
        assert_eq!(pruned.removed.len(), 2, "the place says since when it is there");
    }
}

#[test]
fn a_statement_is_never_beside_another_ones_signature_wherever_a_second_upload_ends() {
    let (bed, artifact) = packed();
    let said = |by: &str| Provenance {
        statement: format!("{{\"by\":\"{by}\"}}").into_bytes(),
        signature: Some(by.as_bytes().to_vec()),
    };
    let mut found = Vec::new();
    for step in 0..6 {
        let place = Place::Directory(tempfile::tempdir().unwrap());
        let exported = || bed.store.export_file(&artifact).unwrap();
        let kept = place.depot().put(&mut exported(), Some(&said("one"))).unwrap();
        let cut =
            Watched::depot(
                place.objects(),
                LIST_MAX,
                move |number, doing, name| {
                    if number >= step { Err(broken(doing, name)) } else { Ok(()) }
                },
            );
        let ended = cut.put(&mut exported(), Some(&said("another")));
        assert!(ended.is_err(), "{step}");
        let now = place.depot().provenance(&kept).unwrap().unwrap();
        assert!(now == said("one") || now == said("another"), "{step}: {now:?}");
        found.push(now == said("another"));
    }
    assert!(found.contains(&true) && found.contains(&false), "it was cut before and after: {found:?}");
}

#[test]
fn whether_an_artifact_is_there_whole_is_asked_of_its_own_names_alone() {
    let place = Place::Directory(tempfile::tempdir().unwrap());
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let listed = Arc::new(Mutex::new(Vec::new()));
    let heard = listed.clone();
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if doing == "list" {
            heard.lock().unwrap().push(name.to_owned());
        }
        Ok(())
    });
    assert!(depot.standing(&artifact.id).unwrap().unwrap().has_file);
    assert_eq!(*listed.lock().unwrap(), [format!("sample/artifacts/{}/", artifact.id)]);
}

#[test]
fn credentials_that_have_expired_are_told_so_and_a_request_that_took_too_long_is_sent_again() {
    let place = Place::s3();
    let Place::S3(fake) = &place else { panic!("it is one") };
    fake.order("GET", Mishap::Answer(400, "ExpiredToken"));
    let error = DepotError::from(place.objects().read("a", 1).unwrap_err());
    assert!(error.hint().is_some_and(|hint| hint.contains("AWS_SESSION_TOKEN")), "{error}");
    assert_eq!(fake.received().len(), 1);
    place.objects().put("a", &mut &b"x"[..]).unwrap();
    fake.order("GET", Mishap::Answer(400, "RequestTimeout"));
    assert_eq!(place.objects().read("a", 1).unwrap().unwrap(), b"x");
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
    fs::write(dir.path().join("file"), "").unwrap();
    let error = DepotError::from(Directory::open(&dir.path().join("file")).unwrap_err());
    assert!(error.to_string().ends_with("it is there, and is no directory"), "{error}");
    assert!(error.hint().unwrap().contains("name another"), "{error}");
    let error = DepotError::from(Directory::open(&dir.path().join("file/beneath")).unwrap_err());
    assert!(!error.to_string().contains("no such directory"), "{error}");
    fs::remove_file(dir.path().join("file")).unwrap();

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

#[test]
fn what_holds_the_room_of_marks_and_counts_for_nothing_is_gone_before_a_mark_is_put() {
    let place = Place::directory();
    let Place::Directory(dir) = &place else { panic!("it is one") };
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    // Given a prune that died hours ago, and one that may be under way.
    let [dead, alive] = ["0a", "0b"].map(|token| {
        let mark = format!("sample/artifacts/{}/{}.leaving", Digest::of(token.as_bytes()), token.repeat(16));
        place.tamper(&mark, Some(b""));
        mark
    });
    for (mark, hours) in [(&dead, 3), (&alive, 1)] {
        let died_at = std::time::SystemTime::now() - Duration::from_hours(hours);
        fs::File::options().write(true).open(dir.path().join(mark)).unwrap().set_modified(died_at).unwrap();
    }
    let done = Arc::new(Mutex::new(Vec::new()));
    let heard = done.clone();
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if matches!(doing, "mark" | "remove") {
            heard.lock().unwrap().push((doing.to_owned(), name.to_owned()));
        }
        Ok(())
    });

    prune_old(&depot, Timestamp::now());

    assert_eq!(done.lock().unwrap()[0], ("remove".to_owned(), dead.clone()));
    assert!(place.names().contains(&alive) && !place.names().contains(&dead), "{:?}", place.names());
}

#[test]
fn a_note_is_two_looks_and_what_is_not_heard_after_it_does_not_undo_it() {
    let place = Place::directory();
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let heard = done.clone();
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, _| {
        heard.lock().unwrap().push(doing.to_owned());
        Ok(())
    });
    assert!(depot.note_deploying(&production(), &artifact.id, bed.now).unwrap());
    assert_eq!(*done.lock().unwrap(), ["put", "list", "read"], "one list, which may be long");

    for silent in ["list", "read"] {
        let at = bed.now + DAY;
        let depot =
            Watched::depot(
                place.objects(),
                LIST_MAX,
                move |_, doing, name| {
                    if doing == silent { Err(broken(doing, name)) } else { Ok(()) }
                },
            );
        let error = depot.note_deployed(&production(), &artifact.id, at).unwrap_err();
        assert!(matches!(&error, DepotError::Unseen(_)) && error.to_string().contains("input/output"), "{error}");
        assert!(place.names().iter().any(|name| name.contains("/deployed/")));
    }
    let deaf = Watched::depot(place.objects(), LIST_MAX, |_, doing, name| Err(broken(doing, name)));
    let error = deaf.note_deployed(&production(), &artifact.id, bed.now).unwrap_err();
    assert!(matches!(error, DepotError::Object(_)), "it is not noted: {error}");
}

#[test]
fn a_directory_keeps_a_file_back_that_is_no_object() {
    let place = Place::directory();
    let Place::Directory(dir) = &place else { panic!("it is one") };
    place.objects().put("sample/a", &mut &b"1"[..]).unwrap();
    assert!(dir.path().join(".spare").is_file());
    assert_eq!(place.objects().list("", 10).unwrap().len(), 1);
}

#[test]
fn what_is_renewed_lacks_nothing_that_a_prune_has_taken_before_it_failed() {
    let place = Arc::new(Place::directory());
    let (bed, artifact) = packed();
    let said = Provenance { statement: b"{}".to_vec(), signature: Some(b"by me".to_vec()) };
    let put = || place.depot().put(&mut bed.store.export_file(&artifact).unwrap(), Some(&said)).unwrap();
    for is_vouched in [true, false] {
        let (kept, now) = (put(), bed.now + 20 * DAY);
        let inner = place.clone();
        // Given somebody who prunes just before the record is written anew, and fails at the file.
        let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
            if doing == "put" && name.contains("/commits/") {
                let cut = Watched::depot(inner.objects(), LIST_MAX, |_, doing, name| {
                    let is_file = doing == "remove" && name.ends_with(".cutover");
                    if is_file { Err(broken(doing, name)) } else { Ok(()) }
                });
                let (pinned, commits) = Default::default();
                let retention =
                    DepotRetention { now, keep_for: 10 * DAY, pinned: &pinned, commits: &commits, dry_run: false };
                cut.prune(&retention).unwrap_err();
                let said = inner.names().into_iter().find(|name| name.ends_with(".provenance.json"));
                said.iter().for_each(|name| inner.tamper(name, None));
            }
            Ok(())
        });
        let renewed = if is_vouched { depot.renew_vouched(kept, now) } else { depot.renew(kept, now) }.unwrap();
        assert_eq!(renewed.is_none(), is_vouched, "what nobody looked for is not lacking");
    }
}
