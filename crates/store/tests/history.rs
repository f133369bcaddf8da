//! What the history remembers, lists and forgets.

#![allow(clippy::unwrap_used)]

use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::record::{
    ArtifactRecord, DeploymentRow, Part, ReleaseRecord, ReleaseState, closes, gather, incidents, summarize, unite,
};
use cutover_core::store::{Filter, ReleasePlace, Scope, Standing, Store, StoreError};
use cutover_store::SqliteStore;
use cutover_testkit::{Story, Told, minute};
use std::ops::ControlFlow;
use tempfile::TempDir;

fn fresh() -> (TempDir, SqliteStore) {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("history.sqlite")).unwrap();
    (folder, store)
}

fn ids(rows: &[DeploymentRow]) -> Vec<&str> {
    rows.iter().map(|row| row.deployment.as_str()).collect()
}

#[test]
fn a_deployment_is_recalled_as_it_was_summed_up() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).deployed();
    store.ingest(&plan, &records).unwrap();
    assert_eq!(store.deployment(plan.deployment.as_str()).unwrap(), summarize(&plan, &records));
    assert_eq!(store.entries(&plan.deployment).unwrap(), records);
    assert_eq!(store.plan(&plan.deployment).unwrap(), plan);
}

#[test]
fn the_parts_of_several_hosts_may_come_one_by_one() {
    let part = |(mut plan, records): Told| {
        plan.fleet = ["one", "two", "three"].map(str::to_owned).to_vec();
        Part { plan, records }
    };
    let parts = vec![
        part(Story::new(1).host("one").deployed()),
        part(Story::new(1).host("two").rolled_back()),
        part(Story::new(1).host("three").deployed()),
    ];
    let (plan, records) = unite(parts.clone()).unwrap();
    // Given two of them first, then the third, and one of them once more as it was before it ended.
    let (_folder, store) = fresh();
    let (both, both_records) = unite(vec![parts[0].clone(), parts[1].clone()]).unwrap();
    store.ingest(&both, &both_records).unwrap();
    store.ingest(&parts[2].plan, &parts[2].records).unwrap();
    store.ingest(&parts[1].plan, &parts[1].records[..2]).unwrap();
    let id = &plan.deployment;
    assert_eq!((store.plan(id).unwrap(), store.entries(id).unwrap()), (plan.clone(), records.clone()));
    assert_eq!(store.deployment(id.as_str()).unwrap(), summarize(&plan, &records));
}

#[test]
fn a_release_that_stays_on_some_hosts_only_is_remembered_as_such() {
    let fleet = |(mut plan, records): Told| {
        plan.fleet = ["web-1", "web-2"].map(str::to_owned).to_vec();
        (plan, records)
    };
    let (_dir, store) = fresh();
    let kept = fleet(Story::new(1).host("web-1").deployed());
    let back = fleet(Story::new(1).host("web-2").rolled_back());

    store.ingest(&kept.0, &kept.1).unwrap();
    assert!(!store.history(&Filter::default(), 1).unwrap().rows[0].divided);
    store.ingest(&back.0, &back.1).unwrap();

    let row = store.history(&Filter::default(), 1).unwrap().rows.remove(0);
    assert_eq!((row.divided, row.outcome), (true, Some(DeploymentOutcome::RolledBack)));
    let incidents = store.incidents(&Scope::default(), None).unwrap();
    assert!(incidents[0].report.contains("**Divided:** r1 stays on web-1"), "{}", incidents[0].report);
}

#[test]
fn what_happened_on_one_host_alone_has_no_part_on_another() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).host("one").deployed();
    store.ingest(&plan, &records).unwrap();
    let (other, other_records) = Story::new(1).host("two").stuck();
    let mut joint = other.clone();
    joint.fleet = ["one", "two"].map(str::to_owned).to_vec();

    for told in [other, joint] {
        store.ingest(&told, &other_records).unwrap();
    }

    assert_eq!(store.deployment("d-00001").unwrap(), summarize(&plan, &records));
}

#[test]
fn a_host_that_the_others_do_not_name_has_no_part_in_what_they_did() {
    let (_folder, store) = fresh();
    let of = |(mut plan, records): Told, hosts: &[&str]| {
        plan.fleet = hosts.iter().map(|host| (*host).to_owned()).collect();
        Part { plan, records }
    };
    let both = ["one", "two"];
    let parts = vec![of(Story::new(1).host("one").deployed(), &both), of(Story::new(1).host("two").deployed(), &both)];
    let (plan, records) = unite(parts.clone()).unwrap();
    store.ingest(&plan, &records).unwrap();

    for hosts in [&both[..], &["one", "two", "evil"], &["evil"], &[]] {
        let told = of(Story::new(1).host("evil").stuck(), hosts);
        store.ingest(&told.plan, &told.records).unwrap();
        // Nor where all of it comes at once.
        let gathered = gather([parts.clone(), vec![told]].concat());
        assert_eq!(gathered.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1], "{hosts:?}");
    }

    assert_eq!(store.deployment("d-00001").unwrap(), summarize(&plan, &records));
    assert_eq!(store.plan(&plan.deployment).unwrap(), plan);

    // Nor where a host that is named names others than they do.
    let alone = of(Story::new(2).host("one").deployed(), &both);
    store.ingest(&alone.plan, &alone.records).unwrap();
    let told = of(Story::new(2).host("two").stuck(), &["one", "two", "evil"]);
    store.ingest(&told.plan, &told.records).unwrap();
    assert_eq!(store.plan(&alone.plan.deployment).unwrap(), alone.plan);
}

#[test]
fn what_is_told_of_another_environment_under_the_same_name_is_no_part_of_it() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).host("one").deployed();
    store.ingest(&plan, &records).unwrap();

    let (other, other_records) = Story::new(1).environment("staging").host("two").stuck();
    store.ingest(&other, &other_records).unwrap();

    assert_eq!(store.deployment("d-00001").unwrap(), summarize(&plan, &records));
    assert_eq!((store.plan(&plan.deployment).unwrap(), store.entries(&plan.deployment).unwrap()), (plan, records));
}

#[test]
fn what_has_ended_stays_as_it_is_unless_it_was_stuck() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).deployed();
    store.ingest(&plan, &records).unwrap();
    let (other, mut longer) = Story::new(1).stuck();
    let more = records.iter().chain(&records).map(|record| Record { seq: record.seq + 100, ..record.clone() });
    longer.extend(more);
    store.ingest(&other, &longer).unwrap();
    assert_eq!(store.deployment("d-00001").unwrap(), summarize(&plan, &records));

    let (stuck, mut entries) = Story::new(2).stuck();
    store.ingest(&stuck, &entries).unwrap();
    let last = entries.last().unwrap().clone();
    entries.push(Record { seq: last.seq + 1, entry: Entry::Resumed { by: "ada".to_owned() }, ..last });
    store.ingest(&stuck, &entries).unwrap();
    assert_eq!(store.entries(&stuck.deployment).unwrap(), entries);
}

#[test]
fn taking_in_twice_or_in_parts_or_out_of_date_equals_once() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).rolled_back();
    for part in [0, 1, 3, records.len(), 2, records.len()] {
        store.ingest(&plan, &records[..part]).unwrap();
    }
    assert_eq!(store.deployment(plan.deployment.as_str()).unwrap(), summarize(&plan, &records));
    assert_eq!(store.history(&Filter::default(), 10).unwrap().rows.len(), 1);
    assert_eq!(store.incidents(&Scope::default(), None).unwrap().len(), 1);
}

#[test]
fn a_unique_prefix_is_enough_and_an_ambiguous_one_names_candidates() {
    let (_folder, store) = fresh();
    for number in [1, 2, 12] {
        let (plan, records) = Story::new(number).deployed();
        store.ingest(&plan, &records).unwrap();
    }
    assert_eq!(store.deployment("d-00012").unwrap().deployment.as_str(), "d-00012");
    assert_eq!(store.deployment("d-00002").unwrap().deployment.as_str(), "d-00002");
    match store.deployment("d-0000").unwrap_err() {
        StoreError::Ambiguous { candidates, .. } => assert_eq!(candidates, ["d-00001", "d-00002"]),
        other => panic!("{other}"),
    }
    for name in ["d-9", "", "%", "d_00001"] {
        assert!(matches!(store.deployment(name), Err(StoreError::NotFound { .. })), "{name:?}");
    }
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let (_folder, store) = fresh();
    for number in 1..=7 {
        // Two deployments share each moment: the id decides between them.
        let (plan, records) = Story::new(number).at_minute(number / 2).deployed();
        store.ingest(&plan, &records).unwrap();
    }
    let mut filter = Filter::default();
    let mut seen = Vec::new();
    loop {
        let page = store.history(&filter, 3).unwrap();
        seen.extend(ids(&page.rows).into_iter().map(str::to_owned));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=7).rev().map(|number| format!("d-{number:05}")).collect();
    assert_eq!(seen, expected);
    let mut streamed = 0;
    let stop_at_five = &mut |_| {
        streamed += 1;
        if streamed == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.each(&Filter::default(), stop_at_five).unwrap();
    assert_eq!(streamed, 5);
}

#[test]
fn filters_let_through_only_what_they_name() {
    let (_folder, store) = fresh();
    let stories = [
        Story::new(1).deployed(),
        Story::new(2).rolled_back(),
        Story::new(3).environment("staging").deployed(),
        Story::new(4).unfinished(),
        Story::new(5).subject("100% of a_b\\c").deployed(),
    ];
    for (plan, records) in &stories {
        store.ingest(plan, records).unwrap();
    }
    let list = |filter: Filter| ids(&store.history(&filter, 10).unwrap().rows).join(" ");
    let scope = |environment: &str| Scope { project: None, environment: Some(environment.parse().unwrap()) };
    let standing = |standing| Filter { standing: Some(standing), ..Filter::default() };
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(list(Filter { scope: scope("staging"), ..Filter::default() }), "d-00003");
    assert_eq!(list(standing(Standing::Unfinished)), "d-00004");
    assert_eq!(list(standing(Standing::Ended(DeploymentOutcome::RolledBack))), "d-00002");
    assert_eq!(list(Filter { since: Some(minute(4)), ..Filter::default() }), "d-00005 d-00004");
    assert_eq!(list(text("100% of")), "d-00005");
    assert_eq!(list(text("a_b\\")), "d-00005");
    assert_eq!(list(text("probe /health")), "d-00002", "the error of the second");
    assert_eq!(list(text("axb")), "", "an underscore is an underscore");
    assert_eq!(list(text("' OR 1=1 --")), "");
}

#[test]
fn usual_times_are_medians_of_what_went_well() {
    let (_folder, store) = fresh();
    for (number, seconds) in [(1, 10), (2, 30), (3, 20)] {
        let (plan, records) = Story::new(number).step_seconds(seconds).deployed();
        store.ingest(&plan, &records).unwrap();
    }
    let (plan, records) = Story::new(4).step_seconds(500).rolled_back();
    store.ingest(&plan, &records).unwrap();
    let times = store.usual_times(&Scope::default(), None).unwrap();
    assert_eq!(times["switch"], 20_000);
    let elsewhere = store.usual_times(&Scope::default(), Some(&"other".parse().unwrap())).unwrap();
    assert!(elsewhere.is_empty());
}

#[test]
fn what_found_nothing_to_do_does_not_push_out_the_usual_times() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).step_seconds(10).deployed();
    store.ingest(&plan, &records).unwrap();
    for number in 2..=30 {
        let (plan, records) = Story::new(number).nothing_to_do();
        store.ingest(&plan, &records).unwrap();
    }
    assert_eq!(store.usual_times(&Scope::default(), None).unwrap()["switch"], 10_000);
}

/// Eight deployments that open and close incidents in every way there is.
fn eventful() -> Vec<Told> {
    vec![
        Story::new(1).deployed(),
        Story::new(2).rolled_back(),
        Story::new(3).stuck(),
        Story::new(4).stuck(),
        Story::new(5).kind(PlanKind::Rollback).deployed(),
        Story::new(6).kind(PlanKind::Rollback).deployed(),
        Story::new(7).stuck(),
        Story::new(8).nothing_to_do(),
    ]
}

#[test]
fn incidents_are_the_same_in_whatever_order_deployments_are_taken_in() {
    let stories = eventful();
    let summaries: Vec<_> = stories.iter().map(|(plan, records)| summarize(plan, records)).collect();
    let mut expected = incidents(&summaries);
    expected.reverse();
    let closings = summaries.iter().filter(|summary| closes(summary)).count();
    assert_eq!((expected.len(), closings), (5, 4));
    let orders =
        [[0, 1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1, 0], [4, 2, 6, 0, 7, 5, 3, 1], [5, 7, 3, 4, 2, 0, 1, 6]];
    for order in orders {
        let (_folder, store) = fresh();
        for at in order {
            store.ingest(&stories[at].0, &stories[at].1).unwrap();
        }
        let mut found = store.incidents(&Scope::default(), None).unwrap();
        found.sort_by_key(|incident| std::cmp::Reverse(incident.opened_at));
        assert_eq!(found, expected, "{order:?}");
    }
}

#[test]
fn a_stuck_deployment_that_is_resumed_closes_its_own_incident() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).stuck_then_resumed();
    let stuck = records.iter().position(|record| matches!(record.entry, cutover_core::journal::Entry::Resumed { .. }));
    store.ingest(&plan, &records[..stuck.unwrap()]).unwrap();
    let open = store.incidents(&Scope::default(), None).unwrap();
    assert_eq!((open.len(), open[0].closed_at), (1, None));
    store.ingest(&plan, &records).unwrap();
    let closed = store.incidents(&Scope::default(), None).unwrap();
    assert_eq!((closed.len(), closed[0].closed_by.as_ref()), (1, Some(&plan.deployment)));
    assert_eq!(closed[0].opened_at, open[0].opened_at);
}

#[test]
fn pruning_keeps_what_is_live_unfinished_stuck_or_of_a_kept_release() {
    let (_folder, store) = fresh();
    let kept = Story::new(1).deployed();
    let stories = [
        kept.clone(),
        Story::new(2).stuck(),
        Story::new(3).rolled_back(),
        Story::new(4).deployed(),
        Story::new(5).unfinished(),
        Story::new(6).deployed(),
        Story::new(7).rolled_back(),
        Story::new(8).environment("staging").deployed(),
    ];
    for (plan, records) in &stories {
        store.ingest(plan, records).unwrap();
        store.put_artifact(&artifact(plan)).unwrap();
    }
    store.put_releases(&place(), &[release(&kept.0, false)]).unwrap();
    let prune = || store.prune(&place().project, &place().environment, 0).unwrap();
    let pruned = prune();
    let rows = store.history(&Filter::default(), 10).unwrap().rows;
    // 7 is younger than what is live in production.
    assert_eq!(ids(&rows), ["d-00008", "d-00007", "d-00006", "d-00005", "d-00002", "d-00001"]);
    assert_eq!((pruned.deployment_count, pruned.artifact_count), (2, 2));
    assert_eq!(store.artifacts(&kept.0.project).unwrap().len(), 6);
    assert!(store.entries(&stories[3].0.deployment).is_err());
    assert_eq!(prune(), Default::default());
}

#[test]
fn the_newest_deployments_of_an_environment_are_kept() {
    let (_folder, store) = fresh();
    for number in 1..=5 {
        let (plan, records) = Story::new(number).deployed();
        store.ingest(&plan, &records).unwrap();
    }
    // Older than all of them, but of another environment.
    let (plan, records) = Story::new(6).at_minute(0).environment("staging").deployed();
    store.ingest(&plan, &records).unwrap();
    let place = place();
    let prune = |keep| store.prune(&place.project, &place.environment, keep).unwrap().deployment_count;
    assert_eq!((prune(5), prune(2)), (0, 3));
    let rows = store.history(&Filter::default(), 10).unwrap().rows;
    assert_eq!(ids(&rows), ["d-00005", "d-00004", "d-00006"]);
}

#[test]
fn a_rollback_that_undoes_one_is_remembered_as_such() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).kind(PlanKind::Rollback).deployed();
    store.ingest(&Plan { forward: true, ..plan }, &records).unwrap();
    let rows = store.history(&Filter::default(), 1).unwrap().rows;
    assert!(rows[0].forward);
}

#[test]
fn a_start_is_remembered_as_one() {
    let (_folder, store) = fresh();
    for (plan, records) in [Story::new(1).starting().deployed(), Story::new(2).kind(PlanKind::Restart).deployed()] {
        store.ingest(&plan, &records).unwrap();
    }
    let rows = store.history(&Filter::default(), 2).unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.starts).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn where_an_artifact_was_promoted_from_is_remembered() {
    let (_folder, store) = fresh();
    let (plan, records) = Story::new(1).deployed();
    let promoted_from = Some("staging".parse().unwrap());
    store.ingest(&Plan { promoted_from: promoted_from.clone(), ..plan }, &records).unwrap();
    assert_eq!(store.history(&Filter::default(), 1).unwrap().rows[0].promoted_from, promoted_from);
}

#[test]
fn a_place_holds_what_it_was_last_said_to_hold() {
    let (_folder, store) = fresh();
    let (plan, _) = Story::new(1).deployed();
    let (next, _) = Story::new(2).deployed();
    store.put_releases(&place(), &[release(&plan, true)]).unwrap();
    let elsewhere = ReleasePlace { host: "web-2".to_owned(), ..place() };
    store.put_releases(&elsewhere, &[release(&plan, true)]).unwrap();
    store.put_releases(&place(), &[release(&plan, false), release(&next, true)]).unwrap();
    let releases = store.releases(&Scope::default()).unwrap();
    let told: Vec<_> =
        releases.iter().map(|(place, release)| (place.host.as_str(), release.id.as_str(), release.current)).collect();
    assert_eq!(told, [("localhost", "r2", true), ("localhost", "r1", false), ("web-2", "r1", true)]);
}

fn place() -> ReleasePlace {
    ReleasePlace {
        project: "shop".parse().unwrap(),
        environment: "production".parse().unwrap(),
        target: "api".parse().unwrap(),
        host: "localhost".to_owned(),
    }
}

fn release(plan: &Plan, current: bool) -> ReleaseRecord {
    ReleaseRecord {
        id: plan.release.clone(),
        artifact: plan.artifact.clone(),
        commit: plan.commit.clone(),
        dirty: false,
        state: ReleaseState::Good,
        reason: String::new(),
        seq: 1,
        size_bytes: 4_096,
        created_at: plan.made_at,
        deployment: Some(plan.deployment.clone()),
        current,
        previous: !current,
    }
}

fn artifact(plan: &Plan) -> ArtifactRecord {
    ArtifactRecord {
        id: plan.artifact.clone(),
        project: plan.project.clone(),
        commit: plan.commit.clone(),
        subject: plan.subject.clone(),
        dirty: false,
        file_count: 3,
        size_bytes: 4_096,
        packed_at: plan.made_at,
    }
}
