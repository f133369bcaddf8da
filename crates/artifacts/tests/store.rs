//! Finding, listing and pruning artifacts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Bed, bed, files_beneath, head, project};
use cutover_artifacts::{Artifact, ArtifactError, PruneReport, Retention};
use cutover_core::artifact::{BlobSource, Digest};
use cutover_core::id::ProjectName;
use jiff::SignedDuration;
use std::collections::HashSet;
use std::fs;
use std::time::Duration;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Packs as many commits, one a day, each with a file of its own and one that all share.
fn pack_days(bed: &mut Bed, days: usize) -> Vec<Artifact> {
    let pack_day = |day: usize| {
        bed.write("shared", "in every commit");
        bed.write("own", format!("day {day}"));
        bed.commit(&format!("Day {day}"));
        bed.now += DAY;
        bed.pack(&head()).unwrap()
    };
    (0..days).map(pack_day).collect()
}

fn prune(bed: &Bed, keep: u32, days: u64, pinned: &[Digest]) -> PruneReport {
    let retention = Retention {
        project: &project(),
        now: bed.now,
        keep,
        keep_for: Duration::from_secs(days * 86_400),
        pinned: &pinned.iter().copied().collect(),
    };
    bed.store.prune(&retention).unwrap()
}

#[test]
fn an_artifact_is_found_by_its_id_and_by_a_beginning_of_it() {
    let mut bed = bed();
    let [artifact] = pack_days(&mut bed, 1).try_into().unwrap();
    let id = artifact.id.to_string();

    assert_eq!(bed.store.get(&id).unwrap(), artifact);
    assert_eq!(bed.store.get(&id[..6].to_uppercase()).unwrap(), artifact);
    assert!(matches!(bed.store.get(&id[..5]), Err(ArtifactError::InvalidId(_))));
    assert!(matches!(bed.store.get("../../../etc/passwd"), Err(ArtifactError::InvalidId(_))));
    let other = if id.starts_with('0') { "111111" } else { "000000" };
    assert!(matches!(bed.store.get(other), Err(ArtifactError::NotFound(_))));
    assert!(matches!(bed.store.get(&Digest::of(b"other").to_string()), Err(ArtifactError::NotFound(_))));
}

#[test]
fn a_beginning_that_two_share_is_ambiguous() {
    let bed = bed();
    let manifests = bed.dir.path().join("artifacts/manifests");
    for end in ["0", "1"] {
        fs::write(manifests.join(format!("{}{end}.json", "a".repeat(63))), "{}").unwrap();
    }
    let error = bed.store.get("aaaaaa").unwrap_err();
    assert!(matches!(&error, ArtifactError::Ambiguous { matches, .. } if matches.len() == 2), "{error:?}");
}

#[test]
fn artifacts_are_listed_newest_first() {
    let mut bed = bed();
    let packed = pack_days(&mut bed, 3);
    let listed: Vec<_> = bed.store.list().unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(listed, packed.iter().rev().map(|artifact| artifact.id).collect::<Vec<_>>());
}

#[test]
fn a_changed_manifest_is_found_damaged() {
    let mut bed = bed();
    let [artifact] = pack_days(&mut bed, 1).try_into().unwrap();
    let path = bed.dir.path().join(format!("artifacts/manifests/{}.json", artifact.id));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"dirty\":false", "\"dirty\":true")).unwrap();

    let error = bed.store.get(&artifact.id.to_string()).unwrap_err();

    assert!(matches!(&error, ArtifactError::Damaged { id, .. } if *id == artifact.id) && error.hint().is_some());
}

#[test]
fn a_lost_record_is_made_up_for_from_the_manifest() {
    let mut bed = bed();
    let [artifact] = pack_days(&mut bed, 1).try_into().unwrap();
    let path = bed.dir.path().join(format!("artifacts/records/{}.json", artifact.id));
    for content in [None, Some(""), Some("{\"id\":1}")] {
        match content {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        let record = bed.store.get(&artifact.id.to_string()).unwrap().record;
        assert_eq!((&record.commit, record.bytes), (&artifact.record.commit, artifact.record.bytes));
        assert_eq!(bed.store.list().unwrap(), [record]);
    }
}

#[test]
fn pruning_keeps_the_newest_and_the_pinned_and_drops_what_only_others_needed() {
    let mut bed = bed();
    let packed = pack_days(&mut bed, 5);
    let ids: Vec<_> = packed.iter().map(|artifact| artifact.id).collect();

    let report = prune(&bed, 2, 100, &[ids[0]]);

    assert_eq!(report.removed.iter().collect::<HashSet<_>>(), HashSet::from([&ids[1], &ids[2]]));
    assert_eq!((report.blob_count, report.bytes, report.busy), (2, 10, false));
    let blobs = bed.store.blobs().unwrap();
    for (day, content) in [(0, "day 0"), (3, "day 3"), (4, "day 4"), (4, "in every commit")] {
        assert!(bed.store.get(&ids[day].to_string()).is_ok());
        assert!(blobs.path(&Digest::of(content.as_bytes())).is_some(), "{content}");
    }
    assert!(blobs.path(&Digest::of(b"day 1")).is_none());
    assert!(matches!(bed.store.get(&ids[1].to_string()), Err(ArtifactError::NotFound(_))));
}

#[test]
fn pruning_drops_what_is_too_old_and_packing_again_makes_it_new() {
    let mut bed = bed();
    let packed = pack_days(&mut bed, 4);
    bed.now += DAY;
    let first = cutover_artifacts::PackSource::Commit(packed[0].record.commit.clone());
    bed.pack(&first).unwrap();

    let report = prune(&bed, 100, 2, &[]);

    assert_eq!(report.removed, [packed[1].id]);
    assert!(bed.store.get(&packed[0].id.to_string()).unwrap().record.packed_at == bed.now);
}

#[test]
fn pruning_leaves_other_projects_alone() {
    let mut bed = bed();
    pack_days(&mut bed, 2);
    let other = ProjectName::new("other").unwrap();
    let retention = Retention {
        project: &other,
        now: bed.now + DAY * 1000,
        keep: 0,
        keep_for: Duration::ZERO,
        pinned: &HashSet::new(),
    };
    assert_eq!(bed.store.prune(&retention).unwrap(), PruneReport::default());
    assert_eq!(bed.store.list().unwrap().len(), 2);
}

#[test]
fn nothing_is_pruned_while_somebody_reads() {
    let mut bed = bed();
    pack_days(&mut bed, 2);
    let reading = bed.store.blobs().unwrap();
    assert!(prune(&bed, 0, 0, &[]).busy);
    assert_eq!(bed.store.list().unwrap().len(), 2);

    drop(reading);
    assert_eq!(prune(&bed, 0, 0, &[]).removed.len(), 2);
    assert_eq!(bed.blob_count(), 0);
    assert!(bed.store.list().unwrap().is_empty());
}

#[test]
fn what_killed_processes_left_is_pruned() {
    let mut bed = bed();
    pack_days(&mut bed, 1);
    let store = bed.dir.path().join("artifacts");
    fs::create_dir_all(store.join("builds/abc/sub")).unwrap();
    fs::write(store.join("builds/abc/sub/file"), "").unwrap();
    fs::write(store.join("blobs/.cutover-tmp-1-1"), "half").unwrap();
    fs::write(store.join("recipes").join(Digest::of(b"old").to_string()), Digest::of(b"gone").to_string()).unwrap();

    prune(&bed, 10, 10, &[]);

    let names: Vec<_> =
        files_beneath(&store).into_iter().filter(|path| path.to_string_lossy().contains("builds/")).collect();
    assert!(names.is_empty());
    assert!(!store.join("blobs/.cutover-tmp-1-1").exists());
    assert_eq!(fs::read_dir(store.join("recipes")).unwrap().count(), 1);
    assert_eq!(bed.blob_count(), 2);
}
