//! What every kind of shared store does, whatever it is made of.
#![allow(unreachable_pub, reason = "shared by the tests of all kinds")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod moment;

pub use moment::*;

use super::common::{Bed, bed, head, project};
use cutover_artifacts::depot::{Depot, DepotError, DepotPruned, DepotRetention, ObjectError, Objects};
use cutover_artifacts::{Artifact, ArtifactStore};
use cutover_core::artifact::Digest;
use cutover_core::check::CommitChecks;
use cutover_core::id::EnvironmentName;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::Duration;

pub const LIMIT: u64 = 1 << 30;
pub const DAY: Duration = Duration::from_hours(24);

/// A place that several machines share.
pub trait Shared {
    /// It, as one more machine speaks to it.
    fn objects(&self) -> Box<dyn Objects>;

    fn depot(&self) -> Depot {
        Depot::new(self.objects(), project())
    }

    /// Names below the project, sorted.
    fn names(&self) -> Vec<String> {
        let listed = self.objects().list("sample/", 1000).unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    }

    /// Replaces what has a name by something else, or removes it.
    fn tamper(&self, name: &str, content: Option<&[u8]>) {
        let objects = self.objects();
        match content {
            Some(mut content) => objects.put(name, &mut content).unwrap(),
            None => objects.remove(name).unwrap(),
        }
    }

    /// What has a name.
    fn read(&self, name: &str) -> Vec<u8> {
        self.objects().read(name, LIMIT).unwrap().unwrap()
    }
}

pub fn packed() -> (Bed, Artifact) {
    let bed = bed();
    bed.write("main.py", "print(1)\n".repeat(100));
    bed.write("run", "#!/bin/sh\n");
    bed.make_executable("run");
    bed.commit("First");
    let artifact = bed.pack(&head()).unwrap();
    (bed, artifact)
}

pub fn put(depot: &Depot, store: &ArtifactStore, artifact: &Artifact) -> Result<(), DepotError> {
    depot.put(&mut store.export_file(artifact).unwrap(), None).map(|_| ())
}

/// What one check said, at a second of a day.
pub fn said(check: &str, conclusion: &str, second: u8) -> CommitChecks {
    let text = format!(r#"{{"{check}":{{"conclusion":"{conclusion}","at":"2026-11-21T10:00:{second:02}Z"}}}}"#);
    serde_json::from_str(&text).unwrap()
}

/// A store with artifacts that were packed on these days, and their ids.
pub fn aged(place: &dyn Shared, bed: &mut Bed, days: &[i64]) -> Vec<Artifact> {
    let begin = bed.now;
    let artifacts = days.iter().enumerate().map(|(number, day)| {
        bed.write("main.py", format!("print({number})\n"));
        bed.commit("Change");
        bed.now = begin + SignedDuration::from_hours(24 * day);
        let artifact = bed.pack(&head()).unwrap();
        put(&place.depot(), &bed.store, &artifact).unwrap();
        artifact
    });
    artifacts.collect()
}

/// Prunes whatever is older than ten days.
pub fn prune_old(depot: &Depot, now: Timestamp) -> DepotPruned {
    let (pinned, commits) = Default::default();
    let retention = DepotRetention { now, keep_for: 10 * DAY, pinned: &pinned, commits: &commits, dry_run: false };
    depot.prune(&retention).unwrap()
}

pub fn what_one_machine_put_there_another_one_has_byte_for_byte(place: &dyn Shared) {
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();

    let (there, other) = (place.depot(), bed.other_store("other"));
    let found = there.find(&artifact.id.to_string()[..8]).unwrap().unwrap();
    let kept = there.kept(&found).unwrap().unwrap();
    let pulled = there.pull(&kept, &other, LIMIT, bed.now).unwrap();

    assert_eq!((pulled.id, &pulled.manifest), (artifact.id, &artifact.manifest));
    assert_eq!(pulled.record, artifact.record);
    assert_eq!(other.get(&artifact.id.to_string()).unwrap(), pulled);
    assert_eq!(there.of_commit(&artifact.record.commit).unwrap(), std::slice::from_ref(&kept));
    let newest = there.newest(10).unwrap();
    assert_eq!((newest.artifacts, newest.count, newest.damaged.len()), (vec![kept], 1, 0));
    assert!(there.standing(&artifact.id).unwrap().unwrap().has_file);
    assert_eq!(there.find("0123456789").unwrap(), None);
    assert!(there.of_commit(&"0".repeat(40)).unwrap().is_empty());
}

pub fn a_place_puts_reads_lists_and_removes_within_bounds(place: &dyn Shared) {
    let objects = place.objects();
    for name in ["a/1", "a/22", "a/2/x", "b/1", "a/3", "a/4"] {
        objects.put(name, &mut name.as_bytes()).unwrap();
    }
    objects.put("a/1", &mut &b"again"[..]).unwrap();

    let names = |prefix: &str| {
        let listed = objects.list(prefix, 100).unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    };
    assert_eq!(names("a/"), ["a/1", "a/2/x", "a/22", "a/3", "a/4"], "more than a page");
    assert_eq!(names("a/2"), ["a/2/x", "a/22"], "in the middle of a name");
    assert_eq!(names("c/"), [""; 0]);
    assert_eq!(objects.read("a/1", 5).unwrap().unwrap(), b"again");
    assert_eq!(objects.read("a/0", 5).unwrap(), None);
    assert!(objects.read("a/1", 4).is_err(), "larger than what is read");
    assert!(
        matches!(objects.fetch("a/1", 4, &mut tempfile::tempfile().unwrap()), Err(e) if e.to_string().contains("4 bytes"))
    );
    assert!(matches!(objects.list("a/", 3), Err(error) if error.to_string().contains("more than 3 names")));
    objects.remove("a/1").unwrap();
    objects.remove("a/1").unwrap();
    assert_eq!(objects.read("a/1", 5).unwrap(), None);
    for name in ["", "/a", "../a", "a/../b", "a//b", "a/.b", "a b", "a\n", &"a".repeat(500)] {
        assert!(objects.put(name, &mut &b""[..]).is_err(), "{name:?}");
        assert!(objects.read(name, 1).is_err(), "{name:?}");
    }
}

pub fn what_several_machines_build_at_one_moment_is_there_whole(place: &dyn Shared) {
    let (mut bed, artifact) = packed();
    // Given stores that have the same artifact, each with a record of its own, so that no two files are alike.
    let stores: Vec<ArtifactStore> = (0..4).map(|number| bed.other_store(&format!("machine{number}"))).collect();
    let built = stores.iter().map(|store| {
        bed.now += DAY;
        bed.pack_into(store, &head()).unwrap()
    });
    let built: Vec<Artifact> = built.collect();
    thread::scope(|scope| {
        for (store, artifact) in stores.iter().zip(&built) {
            let depot = place.depot();
            scope.spawn(move || put(&depot, store, artifact).unwrap());
        }
    });

    let (depot, other) = (place.depot(), bed.other_store("other"));
    let kept = depot.kept(&artifact.id).unwrap().unwrap();
    let files = place.names().iter().filter(|name| name.ends_with(".cutover")).count();
    assert_eq!(files, 4, "none of them has taken another one's place");
    assert_eq!(depot.pull(&kept, &other, LIMIT, bed.now).unwrap().id, artifact.id);
    assert_eq!(depot.of_commit(&artifact.record.commit).unwrap().len(), 1);
}

pub fn what_several_say_of_a_commit_at_one_moment_is_all_kept_and_the_later_word_counts(place: &dyn Shared) {
    let commit = "c".repeat(40);
    thread::scope(|scope| {
        for number in 0..8 {
            let (depot, commit) = (place.depot(), &commit);
            scope
                .spawn(move || depot.note_checks(commit, &said(&format!("check{number}"), "success", number)).unwrap());
        }
    });
    let depot = place.depot();
    let mut expected = CommitChecks::default();
    (0..8).for_each(|number| expected.merge(said(&format!("check{number}"), "success", number)));
    assert_eq!(depot.checks(&commit).unwrap(), expected);

    depot.note_checks(&commit, &said("check0", "failure", 30)).unwrap();
    depot.note_checks(&commit, &said("check0", "success", 20)).unwrap();

    expected.merge(said("check0", "failure", 30));
    assert_eq!(depot.checks(&commit).unwrap(), expected, "the later word counts, not the last that came");
    assert_eq!(place.names().len(), 1, "all of it is said once: {:?}", place.names());
    assert!(depot.checks(&"d".repeat(40)).unwrap() == CommitChecks::default());
}

pub fn what_was_changed_there_is_refused_and_nothing_of_it_is_here(place: &dyn Shared) {
    let (bed, artifact) = packed();
    bed.write("main.py", "print(2)\n");
    bed.commit("Second");
    let another = bed.pack(&head()).unwrap();
    for artifact in [&artifact, &another] {
        put(&place.depot(), &bed.store, artifact).unwrap();
    }
    let depot = place.depot();
    let kept = depot.kept(&artifact.id).unwrap().unwrap();
    let [file, record] = [format!("{}.cutover", kept.sha256), "record.json".to_owned()]
        .map(|name| format!("sample/artifacts/{}/{name}", artifact.id));
    let (whole, told) = (place.read(&file), place.read(&record));
    let theirs = depot.kept(&another.id).unwrap().unwrap();
    let their_file = place.read(&format!("sample/artifacts/{}/{}.cutover", another.id, theirs.sha256));

    let refused = |file_now: Option<&[u8]>, record_now: &[u8]| {
        place.tamper(&file, file_now);
        place.tamper(&record, Some(record_now));
        let other = bed.other_store("other");
        let depot = place.depot();
        let pulled = depot.kept(&artifact.id).and_then(|kept| depot.pull(&kept.unwrap(), &other, LIMIT, bed.now));
        assert!(other.list().unwrap().is_empty());
        pulled.map(|_| ()).unwrap_err().to_string()
    };
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(refused(Some(&flipped), &told).contains("SHA-256"));
    assert!(refused(Some(&whole[..whole.len() - 1]), &told).contains("SHA-256"));
    assert!(refused(Some(&[&whole[..], b"x"].concat()), &told).contains("there is more than"));
    assert!(refused(None, &told).contains("the file is not"));
    assert!(refused(Some(&whole), b"{}").contains("is damaged"));
    let text = String::from_utf8(told).unwrap();
    let other_id = text.replace(&artifact.id.to_string(), &another.id.to_string());
    assert!(refused(Some(&whole), other_id.as_bytes()).contains("about another artifact"));
    assert!(refused(Some(&whole), text.replace("\"sample\"", "\"bank\"").as_bytes()).contains("project bank"));
    // A record and a file that fit together, of another artifact.
    let lying = text.replace(&kept.sha256, &theirs.sha256);
    let lying =
        lying.replace(&format!("\"file_bytes\":{}", kept.file_bytes), &format!("\"file_bytes\":{}", theirs.file_bytes));
    let lying_file = format!("sample/artifacts/{}/{}.cutover", artifact.id, theirs.sha256);
    place.tamper(&lying_file, Some(&their_file));
    assert!(refused(Some(&whole), lying.as_bytes()).contains("holds another artifact"));
}

pub fn what_is_old_goes_but_not_what_is_live_tagged_or_needed_here(place: &dyn Shared) {
    let mut bed = bed();
    let begin = bed.now;
    let all = aged(place, &mut bed, &[0, 0, 0, 0, 20]);
    let [old, live, tagged, pinned, new] = &all[..] else { panic!("five") };
    let production = EnvironmentName::new("production").unwrap();
    let depot = place.depot();
    depot.note_deployed(&production, &live.id, begin).unwrap();
    depot.note_deployed(&production, &live.id, begin + DAY).unwrap();
    depot.note_checks(&old.record.commit, &said("tests", "success", 1)).unwrap();
    let (pins, commits) = (HashSet::from([pinned.id]), HashSet::from([tagged.record.commit.clone()]));
    // Places have clocks of their own, so what is old enough must be by these.
    let now = Timestamp::now().max(begin) + 30 * DAY + DAY;
    let keep_for = Duration::try_from(now.duration_since(begin + 10 * DAY)).unwrap();
    let retention = DepotRetention { now, keep_for, pinned: &pins, commits: &commits, dry_run: true };
    // Given provenance under the names that it had once.
    for kind in ["intoto.json", "intoto.json.sig"] {
        place.tamper(&format!("sample/artifacts/{}/{}.{kind}", old.id, "b".repeat(64)), Some(b"x"));
    }
    let before = place.names();

    let would = depot.prune(&retention).unwrap();
    assert_eq!(place.names(), before, "a dry run changes nothing");
    let pruned = depot.prune(&DepotRetention { dry_run: false, ..retention }).unwrap();

    let removed: Vec<Digest> = pruned.removed.iter().map(|record| record.id).collect();
    assert_eq!(removed, [old.id]);
    assert_eq!((pruned.kept_count, pruned.needed_count), (4, 3));
    assert_eq!(
        DepotPruned { removed: would.removed.clone(), ..pruned.clone() },
        DepotPruned { removed: pruned.removed, ..would }
    );
    for artifact in [live, tagged, pinned, new] {
        assert!(depot.find(&artifact.id.to_string()).unwrap().is_some());
    }
    assert_eq!(depot.find(&old.id.to_string()).unwrap(), None);
    assert!(place.names().iter().all(|name| !name.contains(&old.id.to_string())), "{:?}", place.names());
    assert_eq!(
        place.names().iter().filter(|name| name.contains("/deployed/")).count(),
        1,
        "the later note says it all"
    );
    assert!(place.names().len() < before.len());
}

pub fn what_uploads_that_were_cut_have_left_goes_after_a_day_and_what_nobody_understands_stays(place: &dyn Shared) {
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let orphan = format!("sample/artifacts/{}/{}.cutover", "a".repeat(64), "b".repeat(64));
    let stray = format!("sample/artifacts/{}/{}.cutover", artifact.id, "b".repeat(64));
    let broken = format!("sample/artifacts/{}/record.json", "c".repeat(64));
    let foreign = "sample/notes/readme.txt".to_owned();
    for name in [&orphan, &stray, &broken, &foreign] {
        place.objects().put(name, &mut &b"x"[..]).unwrap();
    }
    let (pins, commits) = Default::default();
    let prune = |now| {
        let retention = DepotRetention { now, keep_for: 1000 * DAY, pinned: &pins, commits: &commits, dry_run: false };
        place.depot().prune(&retention).unwrap()
    };

    let fresh = prune(Timestamp::now());
    assert_eq!((fresh.leftover_count, &fresh.damaged), (0, &vec![broken.clone()]));
    let later = prune(Timestamp::now() + 2 * DAY);
    assert_eq!(later.leftover_count, 2);
    let names = place.names();
    assert!(!names.contains(&orphan) && !names.contains(&stray), "{names:?}");
    assert!(names.contains(&broken) && names.contains(&foreign), "{names:?}");
    assert!(place.depot().standing(&artifact.id).unwrap().unwrap().has_file);
}

pub fn a_record_that_nobody_understands_hides_none_of_the_others(place: &dyn Shared) {
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let commit = &artifact.record.commit;
    let (broken, named) = (
        format!("sample/artifacts/{}/record.json", "c".repeat(64)),
        format!("sample/commits/{commit}/{}", "c".repeat(64)),
    );
    place.tamper(&broken, Some(b"{\"v\":2}"));
    place.tamper(&named, Some(b"x"));

    let depot = place.depot();
    let newest = depot.newest(10).unwrap();
    assert_eq!((newest.artifacts.len(), newest.count, newest.damaged), (1, 2, vec![broken]));
    assert_eq!(depot.of_commit(commit).unwrap().len(), 1);
    place.tamper(&format!("sample/artifacts/{}/record.json", artifact.id), None);
    assert!(matches!(depot.of_commit(commit), Err(DepotError::Damaged { .. })), "there is no other");
}

pub fn an_old_artifact_that_is_built_again_counts_as_new(place: &dyn Shared) {
    let (bed, artifact) = packed();
    put(&place.depot(), &bed.store, &artifact).unwrap();
    let depot = place.depot();
    let kept = || depot.kept(&artifact.id).unwrap().unwrap();
    depot.renew(kept(), bed.now + DAY / 2).unwrap();
    assert_eq!(kept().record.packed_at, bed.now);
    depot.renew(kept(), bed.now + 2 * DAY).unwrap();
    assert_eq!(kept().record.packed_at, bed.now + 2 * DAY);
}

pub fn what_is_said_from_the_future_counts_for_nothing_and_ousts_nothing(place: &dyn Shared) {
    let (mut bed, commit) = (bed(), "c".repeat(40));
    let forged = r#"{"tests":{"conclusion":"success","at":"9999-01-01T00:00:00Z"}}"#;
    let name = format!("sample/checks/{commit}/{}.json", Digest::of(forged.as_bytes()));
    place.tamper(&name, Some(forged.as_bytes()));
    place.depot().note_checks(&commit, &said("tests", "failure", 1)).unwrap();
    assert_eq!(place.depot().checks(&commit).unwrap(), said("tests", "failure", 1));
    assert!(place.names().contains(&name), "whose clock is wrong is not known");

    // Given one artifact that is live, and notes of the future of as many as are kept.
    let live = aged(place, &mut bed, &[0]).remove(0);
    place.depot().note_deployed(&EnvironmentName::new("production").unwrap(), &live.id, bed.now).unwrap();
    for number in 0..20_u8 {
        let id = Digest::of(&[number]);
        place.tamper(&format!("sample/deployed/production/99990101T000000Z-{id}"), Some(b"x"));
    }
    prune_old(&place.depot(), bed.now + 20 * DAY);
    assert!(place.depot().find(&live.id.to_string()).unwrap().is_some());
}

pub fn what_lies_beside_what_checks_said_is_neither_believed_nor_removed(place: &dyn Shared) {
    let commit = "c".repeat(40);
    let foreign = format!("sample/checks/{commit}/notes.json");
    place.tamper(&foreign, Some(br#"{"tests":{"conclusion":"success","at":"2026-11-21T10:00:59Z"}}"#));
    place.depot().note_checks(&commit, &said("tests", "failure", 1)).unwrap();
    assert_eq!(place.depot().checks(&commit).unwrap(), said("tests", "failure", 1));
    assert!(place.names().contains(&foreign), "{:?}", place.names());
}

pub fn what_this_machine_cannot_keep_is_not_blamed_on_the_place(place: &dyn Shared) {
    place.objects().put("sample/a", &mut &b"x"[..]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("full"), "").unwrap();
    // Given a file that nothing can be written to, as on a disk that is full.
    let error =
        place.objects().fetch("sample/a", 9, &mut fs::File::open(dir.path().join("full")).unwrap()).unwrap_err();
    assert!(matches!(error, ObjectError::Here { .. }), "{error}");
    assert!(error.to_string().contains("it is this machine that failed"), "{error}");
}

/// Makes a test of each thing that every kind of place does, given how such a place is made.
macro_rules! every_kind_of_place {
    ($new:expr) => {
        every_kind_of_place!($new; what_this_machine_cannot_keep_is_not_blamed_on_the_place
            what_one_machine_put_there_another_one_has_byte_for_byte
            a_place_puts_reads_lists_and_removes_within_bounds
            what_several_machines_build_at_one_moment_is_there_whole
            what_several_say_of_a_commit_at_one_moment_is_all_kept_and_the_later_word_counts
            what_was_changed_there_is_refused_and_nothing_of_it_is_here
            what_is_old_goes_but_not_what_is_live_tagged_or_needed_here
            what_uploads_that_were_cut_have_left_goes_after_a_day_and_what_nobody_understands_stays
            a_record_that_nobody_understands_hides_none_of_the_others
            an_old_artifact_that_is_built_again_counts_as_new
            what_is_said_from_the_future_counts_for_nothing_and_ousts_nothing
            what_lies_beside_what_checks_said_is_neither_believed_nor_removed);
        every_kind_of_place!(anew $new; what_is_put_renewed_or_noted_while_it_is_removed_is_there_exactly_when_that_is_said
            whoever_renews_what_is_removed_and_then_dies_leaves_no_record_without_a_file);
    };
    (anew $new:expr; $($does:ident)+) => {
        $(#[test]
        fn $does() {
            suite::$does(&|| std::sync::Arc::new($new));
        })+
    };
    ($new:expr; $($does:ident)+) => {
        $(#[test]
        fn $does() {
            suite::$does(&$new);
        })+
    };
}
pub(crate) use every_kind_of_place;
