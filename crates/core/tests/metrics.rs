//! Each figure's definition, on histories small enough to count by hand.

#![allow(clippy::unwrap_used)]

use cutover_core::metrics::{Figure, Metrics, Window, measure};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::PlanKind;
use cutover_core::record::{DeploymentRow, Incident, incidents, summarize};
use cutover_testkit::{Story, Told, minute};

const DAY: i64 = 24 * 60;

fn rows(stories: &[Told]) -> Vec<DeploymentRow> {
    stories.iter().map(|(plan, records)| DeploymentRow::from(&summarize(plan, records))).collect()
}

fn opened(stories: &[Told]) -> Vec<Incident> {
    let summaries: Vec<_> = stories.iter().map(|(plan, records)| summarize(plan, records)).collect();
    incidents(&summaries)
}

/// Measures the ten days from the beginning of fake time.
fn ten_days(stories: &[Told]) -> Metrics {
    measure(&rows(stories), &opened(stories), Window { since: minute(0), until: minute(10 * DAY) })
}

fn figure(n: usize, value: f64) -> Figure {
    Figure { n, value: Some(value) }
}

#[test]
fn deployments_a_day_count_what_went_live_in_the_window() {
    let mut stories: Vec<Told> = (1..=5).map(|number| Story::new(number).deployed()).collect();
    stories.push(Story::new(6).rolled_back());
    stories.push(Story::new(7).kind(PlanKind::Rollback).deployed());
    stories.push(Story::new(8).kind(PlanKind::Restart).deployed());
    stories.push(Story::new(9).at_minute(10 * DAY).deployed());
    assert_eq!(ten_days(&stories).deployments_per_day, figure(5, 0.5));
    let four = ten_days(&stories[..4]).deployments_per_day;
    assert_eq!(four, Figure { n: 4, value: None }, "not enough data");
}

#[test]
fn deploying_again_what_is_live_already_is_no_change() {
    // Given five changes of which one was taken back, and twenty runs that found nothing to do.
    let mut stories: Vec<Told> = (1..=4).map(|number| Story::new(number).deployed()).collect();
    stories.push(Story::new(5).rolled_back());
    let expected = ten_days(&stories);
    stories.extend((6..=25).map(|number| Story::new(number).nothing_to_do()));
    assert_eq!(ten_days(&stories), expected);
    assert_eq!(expected.success_rate, figure(5, 0.8));
}

#[test]
fn an_empty_or_reversed_window_says_nothing() {
    let stories: Vec<Told> = (1..=5).map(|number| Story::new(number).deployed()).collect();
    for until in [minute(0), minute(-5)] {
        let metrics = measure(&rows(&stories), &[], Window { since: minute(0), until });
        assert_eq!(metrics.deployments_per_day, Figure { n: 0, value: None });
        assert_eq!(metrics.success_rate.value, None);
    }
}

#[test]
fn the_lead_time_of_a_commit_ends_when_it_was_first_live() {
    // Given commits that are a minute old when their deployment begins, which takes six seconds.
    let mut stories: Vec<Told> = (1..=5).map(|number| Story::new(number).deployed()).collect();
    let metrics = ten_days(&stories);
    assert_eq!((metrics.lead_time_ms.median, metrics.lead_time_ms.p90), (figure(5, 66_000.0), figure(5, 66_000.0)));
    // When the first is deployed again later, it does not count again.
    let again = Story::new(1).at_minute(DAY).deployed();
    stories.push((cutover_core::plan::Plan { deployment: "again".parse().unwrap(), ..again.0 }, again.1));
    assert_eq!(ten_days(&stories).lead_time_ms.median, figure(5, 66_000.0));
    // Nor when it was live before the window.
    let window = Window { since: minute(2), until: minute(10 * DAY) };
    assert_eq!(measure(&rows(&stories), &[], window).lead_time_ms.median.n, 4);
}

#[test]
fn lead_time_needs_a_clean_commit_that_went_live_and_never_runs_backwards() {
    let mut rows = rows(&(1..=8).map(|number| Story::new(number).deployed()).collect::<Vec<_>>());
    rows[0].dirty = true;
    rows[1].committed_at = None;
    rows[2].outcome = Some(DeploymentOutcome::RolledBack);
    for row in &mut rows[3..] {
        row.committed_at = Some(minute(100));
    }
    let metrics = measure(&rows, &[], Window { since: minute(0), until: minute(DAY) });
    assert_eq!(metrics.lead_time_ms.median, figure(5, 0.0));
}

#[test]
fn a_change_fails_when_it_reached_traffic_and_did_not_stay() {
    let mut stories: Vec<Told> = (1..=3).map(|number| Story::new(number).deployed()).collect();
    stories.push(Story::new(4).rolled_back());
    stories.push(Story::new(5).stuck());
    // Taken back by hand: release r3 was live before this rollback.
    let rollback = Story::new(4).at_minute(50).kind(PlanKind::Rollback).deployed();
    stories.push((cutover_core::plan::Plan { deployment: "back".parse().unwrap(), ..rollback.0 }, rollback.1));
    assert_eq!(ten_days(&stories).change_failure_rate, figure(5, 0.6));
    // What never reached traffic, and what somebody only cancelled, says nothing about changes.
    let mut rows = rows(&stories);
    rows.extend([rows[3].clone(), rows[3].clone()]);
    rows[6].switched = false;
    rows[7].cancelled = true;
    let metrics = measure(&rows, &[], Window { since: minute(0), until: minute(DAY) });
    assert_eq!(metrics.change_failure_rate, figure(5, 0.6));
}

/// A rollback by hand that ended well: from one release to another.
fn back(name: &str, minute: i64, from: &str, to: &str, forward: bool) -> Told {
    let (plan, records) = Story::new(1).at_minute(minute).kind(PlanKind::Rollback).deployed();
    let [deployment, release, original] = [name, to, from].map(str::to_owned);
    let plan = cutover_core::plan::Plan {
        deployment: deployment.parse().unwrap(),
        release: release.parse().unwrap(),
        original: Some(original.parse().unwrap()),
        forward,
        ..plan
    };
    (plan, records)
}

#[test]
fn a_change_that_was_taken_back_and_is_live_again_did_not_fail() {
    // Given five changes, two rollbacks by hand from the fifth, and the way forward to it again.
    let mut stories: Vec<Told> = (1..=5).map(|number| Story::new(number).deployed()).collect();
    stories.push(back("b-1", 10, "r5", "r4", false));
    stories.push(back("b-2", 11, "r4", "r3", false));
    assert_eq!(ten_days(&stories).change_failure_rate, figure(5, 0.4));
    stories.push(back("b-3", 12, "r3", "r5", true));
    let metrics = ten_days(&stories);
    assert_eq!(metrics.change_failure_rate, figure(5, 0.2), "only the fourth stays away");
    assert_eq!(metrics.rollbacks_per_change, figure(5, 0.4), "the way forward is no rollback");
    assert_eq!(opened(&stories).len(), 2, "and no incident");
    // When it is taken back once more, it failed.
    stories.push(back("b-4", 13, "r5", "r3", false));
    assert_eq!(ten_days(&stories).change_failure_rate, figure(5, 0.4));
}

#[test]
fn time_to_restore_is_how_long_closed_incidents_were_open() {
    // Each is found out with the fourth entry and closed with the sixth.
    let mut stories: Vec<Told> = (1..=5).map(|number| Story::new(number).step_seconds(number).rolled_back()).collect();
    stories.push(Story::new(6).stuck());
    let metrics = ten_days(&stories);
    assert_eq!(metrics.time_to_restore_ms.median, figure(5, 6_000.0));
    assert_eq!(metrics.time_to_restore_ms.p90, figure(5, 10_000.0));
}

#[test]
fn the_success_rate_leaves_out_what_was_cancelled_or_has_not_ended() {
    let mut stories: Vec<Told> = (1..=4).map(|number| Story::new(number).deployed()).collect();
    stories.push(Story::new(5).rolled_back());
    stories.push(Story::new(6).unfinished());
    let mut rows = rows(&stories);
    rows.push(DeploymentRow { cancelled: true, ..rows[4].clone() });
    let metrics = measure(&rows, &[], Window { since: minute(0), until: minute(DAY) });
    assert_eq!(metrics.success_rate, figure(5, 0.8));
    assert_eq!(metrics.duration_ms.median.n, 4);
}

#[test]
fn rollbacks_are_counted_for_each_change_that_reached_traffic() {
    let mut stories: Vec<Told> = (1..=6).map(|number| Story::new(number).deployed()).collect();
    stories.extend([7, 8].map(|number| Story::new(number).rolled_back()));
    stories.push(Story::new(9).kind(PlanKind::Rollback).deployed());
    stories.push(Story::new(10).kind(PlanKind::Rollback).rolled_back());
    assert_eq!(ten_days(&stories).rollbacks_per_change, figure(8, 0.375));
}

#[test]
fn a_commit_is_new_in_each_environment() {
    let mut stories: Vec<Told> = (1..=5).map(|number| Story::new(number).deployed()).collect();
    stories.extend((1..=5).map(|number| {
        let (plan, records) = Story::new(number).environment("staging").deployed();
        (cutover_core::plan::Plan { deployment: format!("s-{number}").parse().unwrap(), ..plan }, records)
    }));
    assert_eq!(ten_days(&stories).lead_time_ms.median.n, 10);
}
