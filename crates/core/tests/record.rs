//! Summaries and incidents.

#![allow(clippy::unwrap_used)]

use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind, Reversal, StepId};
use cutover_core::record::{DeploymentRecord, DeploymentRow, StepState, closes, incident, incidents, summarize};
use cutover_core::target::{Before, Failure, FailureKind, Outcome};
use cutover_testkit::{Story, Told, minute};
use jiff::SignedDuration;

fn sum((plan, records): &Told) -> DeploymentRecord {
    summarize(plan, records)
}

fn states(record: &DeploymentRecord) -> Vec<StepState> {
    record.steps.iter().map(|step| step.state).collect()
}

#[test]
fn a_deployment_that_went_well_is_summed_up() {
    let told = Story::new(1).step_seconds(2).deployed();
    let record = sum(&told);
    assert_eq!((record.outcome, record.switched, record.cancelled), (Some(DeploymentOutcome::Deployed), true, false));
    assert_eq!((record.began_at, record.elapsed_ms), (minute(1), 10_000));
    assert_eq!(record.ended_at, told.1.last().map(|record| record.at));
    assert_eq!(states(&record), [StepState::Applied; 3]);
    assert_eq!(record.steps[1].elapsed_ms, Some(2_000));
    assert_eq!(record.warnings, ["stage: slow disk", "switch: slow disk", "prune: slow disk"]);
    assert_eq!(record.probes.len(), 3);
    assert_eq!(record.targets[0].hosts, ["localhost"]);
    assert_eq!((record.failure, record.stuck_at), (None, None));
}

#[test]
fn a_failure_is_told_with_its_place_and_its_probes_once() {
    let record = sum(&Story::new(1).rolled_back());
    let failure = record.failure.as_ref().unwrap();
    assert_eq!((failure.name.as_str(), failure.host.as_str()), ("switch", "localhost"));
    assert_eq!(failure.failure.kind, FailureKind::Unhealthy);
    assert!(failure.failure.probes.is_empty());
    assert_eq!(record.probes.iter().filter(|probe| !probe.result.healthy).count(), 1);
    assert_eq!(states(&record), [StepState::Restored, StepState::Restored, StepState::Pending]);
    let row = DeploymentRow::from(&record);
    assert_eq!((row.failed_step.as_deref(), row.error.as_deref()), (Some("switch"), Some("probe /health: status 500")));
}

#[test]
fn what_has_not_ended_has_no_outcome_and_no_end() {
    let record = sum(&Story::new(1).unfinished());
    assert_eq!((record.outcome, record.ended_at), (None, None));
    assert_eq!(states(&record), [StepState::Applied, StepState::Started, StepState::Pending]);
    let nothing = summarize(&Story::new(1).deployed().0, &[]);
    assert_eq!((nothing.outcome, nothing.elapsed_ms, nothing.switched), (None, 0, false));
}

#[test]
fn a_clock_that_jumps_back_takes_no_time_away() {
    let (plan, mut records) = Story::new(1).deployed();
    // Given a clock that was set back by a day in the middle of the switch.
    for record in &mut records[3..] {
        record.at -= SignedDuration::from_hours(24);
    }
    let record = summarize(&plan, &records);
    assert_eq!((record.steps[1].elapsed_ms, record.elapsed_ms), (Some(0), 4_000));
}

fn with(told: Told, entries: impl IntoIterator<Item = Entry>) -> Told {
    let (plan, mut records) = told;
    for entry in entries {
        let last = records.last().unwrap();
        let record = Record { seq: last.seq + 1, at: last.at + SignedDuration::from_secs(1), host: None, entry };
        records.push(record);
    }
    (plan, records)
}

fn resumed() -> Entry {
    Entry::Resumed { by: "boot".to_owned() }
}

fn cancelled() -> Entry {
    Entry::Cancelled { reason: "SIGINT".to_owned() }
}

fn restored(step: u32) -> Entry {
    Entry::Restored { step: StepId(step), note: "back".to_owned(), down: false }
}

#[test]
fn a_step_that_was_taken_up_again_is_timed_from_there() {
    let (plan, mut records) = Story::new(1).unfinished();
    let later = records.last().unwrap().at + SignedDuration::from_hours(9);
    records.push(Record { seq: 4, at: later, host: None, entry: resumed() });
    let applied = Entry::Applied { step: StepId(1), outcome: Outcome::changed("done") };
    let record = sum(&with((plan, records), [applied]));
    assert_eq!((record.steps[1].elapsed_ms, record.resume_count), (Some(1_000), 1));
}

#[test]
fn a_step_that_never_ends_is_the_failure() {
    let record = sum(&with(Story::new(1).unfinished(), [resumed(), resumed(), resumed(), restored(1), restored(0)]));
    let failure = record.failure.unwrap();
    assert_eq!(failure.failure.message, "switch did not end in 3 attempts: each time its process ended first");
    assert_eq!(record.outcome, Some(DeploymentOutcome::RolledBack));
    assert!(!record.cancelled);
}

#[test]
fn cancelled_is_said_only_when_it_was_the_cancellation_that_stopped_it() {
    let stopped = sum(&with(Story::new(1).unfinished(), [cancelled(), restored(1), restored(0)]));
    assert_eq!((stopped.cancelled, stopped.cancel_reason.as_str()), (true, "SIGINT"));
    assert_eq!(stopped.outcome, Some(DeploymentOutcome::RolledBack));
    let late = sum(&with(Story::new(1).deployed(), [cancelled()]));
    assert_eq!((late.cancelled, late.outcome), (false, Some(DeploymentOutcome::Deployed)));
    let (plan, mut records) = Story::new(1).rolled_back();
    records.truncate(4);
    let failed_first = sum(&with((plan, records), [cancelled(), restored(1), restored(0)]));
    assert!(!failed_first.cancelled);
}

#[test]
fn a_settling_step_that_fails_is_a_warning() {
    let (plan, mut records) = Story::new(1).deployed();
    records.truncate(5);
    let failed = Entry::Failed { step: StepId(2), error: Failure::new("remove release r0: busy") };
    let record = sum(&with((plan, records), [failed]));
    assert_eq!((record.outcome, record.failure), (Some(DeploymentOutcome::Deployed), None));
    assert!(record.warnings.contains(&"prune: remove release r0: busy".to_owned()));
}

#[test]
fn the_summary_is_the_same_after_json() {
    for told in [Story::new(1).rolled_back(), Story::new(2).stuck_then_resumed()] {
        let record = sum(&told);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<DeploymentRecord>(&text).unwrap(), record);
    }
}

/// What scripts rely on: a field that is renamed or lost must fail here.
#[test]
fn the_summary_keeps_its_field_names() {
    let value = serde_json::to_value(sum(&Story::new(1).rolled_back())).unwrap();
    let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "artifact",
        "began_at",
        "by",
        "cancelled",
        "commit",
        "committed_at",
        "deployment",
        "dirty",
        "elapsed_ms",
        "ended_at",
        "environment",
        "failure",
        "kind",
        "original",
        "outcome",
        "probes",
        "project",
        "reason",
        "release",
        "restore_failure",
        "resume_count",
        "steps",
        "stuck_at",
        "subject",
        "switched",
        "targets",
        "version",
        "warnings",
    ];
    assert_eq!(names, expected);
    assert_eq!((&value["version"], &value["outcome"]), (&1.into(), &"rolled_back".into()));
    assert_eq!(value["steps"][1]["state"], "restored");
    assert_eq!(value["failure"]["message"], "probe /health: status 500");
}

#[test]
fn an_incident_is_opened_by_what_reached_traffic_and_did_not_stay() {
    let rolled_back = incident(&sum(&Story::new(1).rolled_back()), None).unwrap();
    assert_eq!(
        (rolled_back.opened_at, rolled_back.closed_at),
        (minute(1) + SignedDuration::from_secs(4), Some(minute(1) + SignedDuration::from_secs(6)))
    );
    assert_eq!(rolled_back.closed_by, Some(rolled_back.deployment.clone()));
    assert_eq!(rolled_back.release.as_str(), "r1");
    let stuck = incident(&sum(&Story::new(1).stuck()), None).unwrap();
    assert_eq!((stuck.closed_at, stuck.closed_by), (None, None));
    assert_eq!(incident(&sum(&Story::new(1).deployed()), None), None);
    assert_eq!(incident(&sum(&Story::new(1).unfinished()), None), None);
    let (plan, records) = Story::new(1).rolled_back();
    let failed = Entry::Failed { step: StepId(0), error: Failure::new("no room") };
    assert_eq!(incident(&sum(&with((plan, records[..1].to_vec()), [failed, restored(0)])), None), None);
}

#[test]
fn a_rollback_by_hand_is_an_incident_of_the_release_that_served() {
    let record = sum(&Story::new(3).kind(PlanKind::Rollback).deployed());
    let incident = incident(&record, None).unwrap();
    assert_eq!((incident.release.as_str(), incident.opened_at), ("r2", record.began_at));
    assert_eq!(incident.closed_at, record.ended_at);
    assert_eq!(incident.cause, "rolled back by ada: no reason given");
}

#[test]
fn what_is_stuck_is_closed_by_the_next_that_ends_well_in_the_same_place() {
    let records: Vec<_> = [
        Story::new(1).stuck(),
        Story::new(2).environment("staging").deployed(),
        Story::new(3).unfinished(),
        Story::new(4).kind(PlanKind::Rollback).deployed(),
        Story::new(5).stuck(),
    ]
    .iter()
    .map(sum)
    .collect();
    assert!(closes(&records[3]) && !closes(&records[2]));
    let found = incidents(&records);
    let told: Vec<_> =
        found.iter().map(|i| (i.deployment.as_str(), i.closed_by.as_ref().map(|by| by.as_str()))).collect();
    assert_eq!(told, [("d-00001", Some("d-00004")), ("d-00005", None)]);
    assert!(found[0].report.contains("Healthy again since deployment d-00004."));
}

#[test]
fn what_found_nothing_to_do_has_seen_nothing_healthy_and_closes_no_incident() {
    let records = [Story::new(1).stuck(), Story::new(2).nothing_to_do()].map(|told| sum(&told));
    assert_eq!(records[1].outcome, Some(DeploymentOutcome::Deployed));
    assert!(!closes(&records[1]));
    assert_eq!(incidents(&records)[0].closed_by, None);
}

#[test]
fn something_irreversible_is_named_in_what_to_do() {
    let (mut plan, records) = Story::new(1).rolled_back();
    plan.steps[1].reversal = Reversal::Irreversible;
    let record = sum(&with((plan, records[..4].to_vec()), [restored(0)]));
    assert_eq!(record.outcome, Some(DeploymentOutcome::Stuck));
    let incident = incident(&record, None).unwrap();
    assert!(
        incident.report.contains("- switch on localhost: it cannot be taken back by itself"),
        "{}",
        incident.report
    );
    assert!(incident.report.contains("`cutover resume production`"));
}

#[test]
fn what_comes_from_outside_cannot_break_out_of_the_report() {
    let (plan, mut records) = Story::new(1).subject("x\n# All is well").rolled_back();
    let error = Failure::new("a\n\n# fine |").excerpt("```\n# Not a heading\n````\n");
    records[3].entry = Entry::Failed { step: StepId(1), error };
    let report = incident(&summarize(&plan, &records), None).unwrap().report;
    let headings: Vec<&str> = report.lines().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(headings, ["# Incident: shop in production", "# Not a heading"]);
    assert!(report.contains("\n`````\n```\n# Not a heading\n````\n`````\n"), "{report}");
}

#[test]
fn an_incident_report_tells_what_happened() {
    let (plan, mut records) = Story::new(3).rolled_back();
    records[2].entry = Entry::Started { step: StepId(1), before: Before::default() };
    let plan = Plan { reason: "weekly release".to_owned(), ..plan };
    let report = incident(&summarize(&plan, &records), None).unwrap().report;
    insta::assert_snapshot!(report, @r"
    # Incident: shop in production

    ## What happened

    - Cause: switch on localhost: probe /health: status 500
    - Deployment: d-00003 by ada
    - Release: r3 (commit 000000000000: Change 3)
    - Live before: r2
    - Reason given: weekly release

    ## Timeline (UTC)

    - 2026-11-21 10:03:00 began
    - 2026-11-21 10:03:02 stage on localhost: done
    - 2026-11-21 10:03:04 **switch on localhost failed**: probe /health: status 500
    - 2026-11-21 10:03:05 switch on localhost restored
    - 2026-11-21 10:03:06 stage on localhost restored
    - 2026-11-21 10:03:06 healthy again, by d-00003

    ## Probes

    | time | host | probe | where | healthy | code | ms | said |
    |---|---|---|---|---|---|---|---|
    | 10:00:00 | localhost | health | http://127.0.0.1:8000/health | yes | 200 | 12 | {} |
    | 10:00:00 | localhost | health | http://127.0.0.1:8000/health | **no** | 500 | 12 | status 500 |

    ## Log of switch on localhost

    ```
    Traceback
    ValueError
    ```

    ## State now

    Healthy: r2 is live again and verified.

    ## What to do

    - Find out why r3 failed before deploying it again; it is never chosen by default.
    - Everything that was recorded: `cutover logs d-00003`
    ");
}
