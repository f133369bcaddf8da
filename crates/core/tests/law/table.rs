//! Every rule that `next` documents, as a table.
//!
//! A plan is written as its steps: `p` prepares, `l` is live, `w` is live and switches, `i` is live and
//! irreversible, `s` settles. A journal is written as its entries: `S1` step 1 started, `A` applied, `F` failed,
//! `R` restored, `D` restored to what does not run, `X` restore failed; `C` cancelled, `U` resumed.

use DeploymentOutcome::{Deployed, Failed, RolledBack, Stuck};
use Next::Done;
use cutover_core::journal::Entry;
use cutover_core::next::{DeploymentOutcome, Next, RESUME_COUNT_MAX, next, stopped, unwinding};
use cutover_core::plan::{Phase, Plan, Reversal, Step, StepId};
use cutover_core::target::{Before, Cause, Failure, Outcome, Unwinding};
use cutover_testkit::{plan, step};

fn plan_of(steps: &str) -> Plan<()> {
    plan(steps.split(' ').zip(0..).map(|(kind, id)| step_of(id, kind)).collect())
}

fn step_of(id: u32, kind: &str) -> Step<()> {
    let (phase, switches, reversal) = match kind {
        "p" => (Phase::Prepare, false, Reversal::Restorable),
        "l" => (Phase::Live, false, Reversal::Restorable),
        "w" => (Phase::Live, true, Reversal::Restorable),
        "i" => (Phase::Live, false, Reversal::Irreversible),
        "s" => (Phase::Settle, false, Reversal::Restorable),
        other => panic!("{other}"),
    };
    Step { switches, reversal, ..step(id, phase, ()) }
}

fn journal_of(entries: &str) -> Vec<Entry> {
    entries.split_whitespace().map(entry_of).collect()
}

fn entry_of(text: &str) -> Entry {
    let (kind, id) = text.split_at(1);
    let step = StepId(id.parse().unwrap_or(0));
    match kind {
        "S" => Entry::Started { step, before: Before::default() },
        "A" => Entry::Applied { step, outcome: Outcome::default() },
        "F" => Entry::Failed { step, error: Failure::new("told to fail") },
        "R" => Entry::Restored { step, note: String::new(), down: false },
        "D" => Entry::Restored { step, note: String::new(), down: true },
        "X" => Entry::RestoreFailed { step, error: Failure::new("told to fail") },
        "C" => Entry::Cancelled { reason: "asked to stop".to_owned() },
        "U" => Entry::Resumed { by: "tester".to_owned() },
        other => panic!("{other}"),
    }
}

fn start(id: u32) -> Next {
    Next::Start(StepId(id))
}

fn apply(id: u32) -> Next {
    Next::Apply(StepId(id))
}

fn restore(id: u32) -> Next {
    Next::Restore(StepId(id))
}

fn check(steps: &str, table: &[(&str, Next)]) {
    let plan = plan_of(steps);
    plan.check().unwrap();
    for (entries, expected) in table {
        assert_eq!(next(&plan, &journal_of(entries)), *expected, "plan {steps:?} after {entries:?}");
    }
}

#[test]
fn each_step_is_started_then_applied_in_order() {
    check(
        "p w s",
        &[
            ("", start(0)),
            ("S0", apply(0)),
            ("S0 A0", start(1)),
            ("S0 A0 S1", apply(1)),
            ("S0 A0 S1 A1", start(2)),
            ("S0 A0 S1 A1 S2", apply(2)),
            ("S0 A0 S1 A1 S2 A2", Done(Deployed)),
        ],
    );
}

#[test]
fn a_failure_restores_everything_that_was_started_last_first_and_the_failed_step_too() {
    check(
        "p p l s",
        &[
            ("S0 F0", restore(0)),
            ("S0 F0 R0", Done(Failed)),
            ("S0 A0 S1 F1", restore(1)),
            ("S0 A0 S1 F1 R1", restore(0)),
            ("S0 A0 S1 F1 R1 R0", Done(Failed)),
            ("S0 A0 S1 A1 S2 F2", restore(2)),
            ("S0 A0 S1 A1 S2 F2 R2 R1 R0", Done(Failed)),
        ],
    );
}

#[test]
fn a_step_that_failed_while_capturing_never_acted_and_is_not_restored() {
    check("p l s", &[("F0", Done(Failed)), ("S0 A0 F1", restore(0)), ("S0 A0 F1 R0", Done(Failed))]);
}

#[test]
fn what_was_down_before_and_is_down_again_is_no_rollback() {
    check(
        "l w l s",
        &[
            ("S0 A0 S1 A1 S2 F2 R2 R1 D0", Done(Failed)),
            ("S0 A0 S1 A1 S2 F2 D2 R1 R0", Done(Failed)),
            ("S0 A0 S1 A1 S2 F2 R2 R1 X0 U D0", Done(Failed)),
            ("S0 A0 S1 A1 S2 F2 D2 R1 X0", Done(Stuck)),
        ],
    );
}

#[test]
fn a_step_on_its_way_back_knows_whether_there_was_a_switch_and_whether_anything_followed_it() {
    let plan = plan_of("l w l s");
    let of = |entries: &str, step| {
        let Unwinding { cause, switched, went_on, .. } = unwinding(&plan, &journal_of(entries), StepId(step));
        (cause, switched, went_on)
    };
    assert_eq!(of("S0 A0 S1 C", 0), (Cause::Cancelled, true, true));
    assert_eq!(of("S0 A0 F1", 0), (Cause::Failed, false, false), "a switch that never acted is none");
    assert_eq!(of("S0 A0 S1 A1 S2 F2", 2), (Cause::Failed, true, false));
    assert_eq!(of("S0 A0 S1 A1 S2 F2 R2 R1", 0), (Cause::Failed, true, true), "what is restored had acted");
}

#[test]
fn a_step_on_its_way_back_knows_which_step_failed_first() {
    let plan = plan_of("l w l s");
    let of = |entries: &str| unwinding(&plan, &journal_of(entries), StepId(0)).failed;
    assert_eq!(of("S0 A0 S1 C"), None, "nothing failed");
    assert_eq!(of("S0 A0 F1"), Some(StepId(1)));
    assert_eq!(of("S0 A0 S1 A1 S2 F2 R2 R1"), Some(StepId(2)), "what was restored since did not fail");
    assert_eq!(of("S0 A0 S1 A1 S2 F2 C R2 D1 U R1"), Some(StepId(2)));
}

#[test]
fn rolled_back_is_said_only_when_a_switch_was_started_and_there_is_something_to_go_back_to() {
    let rows = [
        ("S0 A0 S1 A1 S2 F2 R2 R1 R0", Done(RolledBack)),
        ("S0 A0 S1 F1 R1 R0", Done(RolledBack)),
        ("S0 A0 F1 R0", Done(Failed)),
    ];
    check("p w l", &rows);
    let first = Plan { original: None, ..plan_of("p w l") };
    assert_eq!(next(&first, &journal_of("S0 A0 S1 A1 S2 F2 R2 R1 R0")), Done(Failed));
}

#[test]
fn a_cancellation_before_everything_live_was_applied_unwinds_also_the_step_in_flight() {
    check(
        "p w s",
        &[
            ("C", Done(Failed)),
            ("S0 C", restore(0)),
            ("S0 C R0", Done(Failed)),
            ("S0 A0 C", restore(0)),
            ("S0 A0 S1 C", restore(1)),
            ("S0 A0 S1 C R1 R0", Done(RolledBack)),
        ],
    );
}

#[test]
fn a_cancellation_after_everything_live_was_applied_comes_too_late() {
    check(
        "p w s",
        &[("S0 A0 S1 A1 C", start(2)), ("S0 A0 S1 A1 S2 C", apply(2)), ("S0 A0 S1 A1 S2 A2 C", Done(Deployed))],
    );
}

#[test]
fn how_a_deployment_ends_that_is_stopped_is_known_beforehand() {
    let ends = |steps: &str, entries: &str| stopped(&plan_of(steps), &journal_of(entries));
    for entries in ["", "S0", "S0 A0"] {
        assert_eq!(ends("p w l s", entries), Failed, "{entries}");
    }
    // Also one whose way back had begun, or had failed and is tried again.
    for entries in ["S0 A0 S1", "S0 A0 S1 A1 S2", "S0 A0 S1 A1 S2 F2 R2", "S0 A0 S1 F1 X1"] {
        assert_eq!(ends("p w l s", entries), RolledBack, "{entries}");
    }
    for entries in ["S0 A0 S1 A1 S2 A2", "S0 A0 S1 A1 S2 A2 S3"] {
        assert_eq!(ends("p w l s", entries), Deployed, "{entries}");
    }
    assert_eq!(ends("p i w s", "S0 A0 S1"), Stuck);
}

#[test]
fn a_settling_step_takes_nothing_back() {
    check(
        "w s s",
        &[
            ("S0 A0 S1 F1", start(2)),
            ("S0 A0 F1", start(2)),
            ("S0 A0 S1 F1 S2 F2", Done(Deployed)),
            ("S0 A0 S1 U U U", start(2)),
            ("S0 A0 S1 U U U S2 A2", Done(Deployed)),
        ],
    );
}

#[test]
fn what_cannot_be_restored_is_stuck_until_a_resumption_tries_again() {
    check(
        "p w",
        &[
            ("S0 A0 S1 F1 X1", Done(Stuck)),
            ("S0 A0 S1 F1 X1 U", restore(1)),
            ("S0 A0 S1 F1 X1 U X1", Done(Stuck)),
            ("S0 A0 S1 F1 X1 U R1", restore(0)),
            ("S0 A0 S1 F1 X1 U R1 X0", Done(Stuck)),
            ("S0 A0 S1 F1 X1 U R1 X0 U R0", Done(RolledBack)),
        ],
    );
}

#[test]
fn an_interrupted_step_is_applied_again_but_not_for_ever() {
    assert_eq!(RESUME_COUNT_MAX, 3);
    check(
        "p w",
        &[
            ("S0 U", apply(0)),
            ("S0 U U", apply(0)),
            ("S0 U U U", restore(0)),
            ("S0 U U U R0", Done(Failed)),
            ("S0 U U A0 S1 U U", apply(1)),
            ("S0 U U A0 S1 U U U", restore(1)),
            ("U U U U", start(0)),
            ("S0 A0 U U U U", start(1)),
        ],
    );
}

#[test]
fn an_interrupted_unwinding_goes_on() {
    check("p w", &[("S0 A0 S1 F1 U", restore(1)), ("S0 A0 S1 F1 R1 U", restore(0)), ("S0 A0 S1 C U", restore(1))]);
}

#[test]
fn something_irreversible_that_was_started_ends_stuck_with_the_rest_restored() {
    check(
        "p i w",
        &[
            ("S0 A0 S1 F1", restore(0)),
            ("S0 A0 S1 F1 R0", Done(Stuck)),
            ("S0 A0 S1 A1 S2 F2", restore(2)),
            ("S0 A0 S1 A1 S2 F2 R2", restore(0)),
            ("S0 A0 S1 A1 S2 F2 R2 R0", Done(Stuck)),
            ("S0 A0 S1 A1 S2 F2 R2 R0 U", Done(Stuck)),
            ("S0 A0 S1 C R0", Done(Stuck)),
            ("S0 A0 F1 R0", Done(Failed)),
            ("S0 F0 R0", Done(Failed)),
        ],
    );
}

#[test]
fn entries_of_steps_that_the_plan_does_not_have_decide_nothing() {
    check("p", &[("S7 F7 X7", start(0)), ("S0 A0 F9", Done(Deployed))]);
}

#[test]
fn a_plan_without_steps_is_done() {
    let empty: Plan<()> = plan(Vec::new());
    assert_eq!(next(&empty, &[]), Done(Deployed));
    assert_eq!(next(&empty, &journal_of("C U")), Done(Deployed));
}
