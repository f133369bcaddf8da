//! Several hosts' parts of one deployment, read as one.

#![allow(clippy::unwrap_used)]

use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::PlanKind;
use cutover_core::record::{DeploymentRow, Part, StepState, split, summarize, unite};
use cutover_testkit::{Story, Told};
use jiff::SignedDuration;

fn part((plan, records): Told) -> Part {
    Part { plan, records }
}

fn three() -> Vec<Part> {
    let story = |host| Story::new(1).host(host);
    let later = |(plan, mut records): Told, ms| {
        records.iter_mut().for_each(|record| record.at += SignedDuration::from_millis(ms));
        Part { plan, records }
    };
    vec![part(story("one").rolled_back()), later(story("two").cancelled(), 300), later(story("three").deployed(), 600)]
}

#[test]
fn parts_come_out_as_they_went_in() {
    let (plan, records) = unite(three()).unwrap();
    assert_eq!(split(&plan, &records), three());
    assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq));
    assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at), "read as one, times go forward");
}

#[test]
fn one_part_alone_stays_what_it_is() {
    let part = part(Story::new(1).host("one").deployed());
    assert_eq!(unite(vec![part.clone()]), Some((part.plan, part.records)));
    assert_eq!(unite(Vec::new()), None);
}

#[test]
fn a_clock_that_jumped_on_one_host_keeps_that_hosts_order() {
    let mut parts = three();
    parts[0].records[2].at -= SignedDuration::from_hours(24);
    let (plan, records) = unite(parts.clone()).unwrap();
    assert_eq!(split(&plan, &records), parts);
}

#[test]
fn the_whole_went_as_it_did_where_it_went_worst() {
    let (plan, records) = unite(three()).unwrap();
    let whole = summarize(&plan, &records);
    assert_eq!((whole.outcome, whole.switched), (Some(DeploymentOutcome::RolledBack), true));
    let failure = whole.failure.clone().unwrap();
    assert_eq!((failure.host.as_str(), failure.name.as_str()), ("one", "switch"));
    assert!(!whole.cancelled, "the second was stopped because the first one failed");
    assert_eq!(whole.targets[0].hosts, ["one", "two", "three"]);
    assert!(whole.steps.iter().zip(0..).all(|(step, id)| step.id.0 == id));
    assert_eq!(
        whole.steps.iter().filter(|step| step.host == "three").map(|step| step.state).next(),
        Some(StepState::Applied)
    );
    assert!(whole.probes.iter().all(|probe| whole.steps[probe.step.0 as usize].host == probe.host));
}

#[test]
fn the_whole_is_unfinished_while_one_host_is() {
    let parts = vec![part(Story::new(1).host("one").deployed()), part(Story::new(1).host("two").unfinished())];
    let (plan, records) = unite(parts).unwrap();
    let whole = summarize(&plan, &records);
    assert_eq!((whole.outcome, whole.ended_at), (None, None));
}

#[test]
fn a_host_that_had_it_already_does_not_make_a_change_of_the_others_none() {
    let idle = || part(Story::new(1).host("one").nothing_to_do());
    let row = |other: Told| {
        let (plan, records) = unite(vec![idle(), part(other)]).unwrap();
        DeploymentRow::from(&summarize(&plan, &records))
    };

    let changed = row(Story::new(2).host("two").deployed());
    assert_eq!((changed.release.as_str(), changed.is_change()), ("r2", true));
    let started = row(Story::new(1).host("two").kind(PlanKind::Restart).deployed());
    assert_eq!(started.kind, PlanKind::Restart);
    let (mut restarted, records) = Story::new(1).host("two").kind(PlanKind::Restart).deployed();
    restarted.steps.retain(|step| !step.switches);
    let went = part(Story::new(1).host("three").kind(PlanKind::Rollback).deployed());
    let (plan, _) = unite(vec![part((restarted, records)), went]).unwrap();
    assert_eq!(plan.kind, PlanKind::Rollback);
    let nothing = row(Story::new(1).host("two").nothing_to_do());
    assert!(!nothing.is_change());
}
