//! Crash everywhere: a real deployment on disk by the real binary, ended with SIGKILL at every journal entry and in
//! the middle of every step. After a restart there is exactly the target or exactly the original, and nothing half-way.
//!
//! A choice of points is tried by default; `CUTOVER_CRASH=all` tries every one. Most worlds lie in memory where there is
//! room; `CUTOVER_CRASH_DIR` names another place.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod hooks;
mod picture;
mod processes;
mod run;
mod scenario;
mod service;
mod strace;
mod sweep;
mod torn;
mod verdict;
mod world;

use scenario::{Recovery, Scenario};
use strace::Call;
use sweep::{Trial, sweep, sweep_twice, wants_all};

/// Of the calls that are neither journal entries nor names, every so-manieth is tried by default.
const STRIDE: usize = 12;

/// Every journal entry and every name given or taken, and some of the rest; or everything.
fn points(calls: Vec<Call>) -> Vec<Trial> {
    if wants_all() {
        return everything(calls);
    }
    let is_chosen = |call: &Call, at: usize| {
        call.is_journal() || (call.is_name() && call.line.contains("/srv")) || at.is_multiple_of(STRIDE)
    };
    let chosen = calls.into_iter().enumerate().filter(|(at, call)| is_chosen(call, *at)).map(|(_, call)| call);
    chosen.enumerate().map(|(at, call)| Trial { call, recovery: in_turn(at), follow: at % 5 == 0 }).collect()
}

fn everything(calls: Vec<Call>) -> Vec<Trial> {
    let both = |call: Call| {
        [Recovery::Resume, Recovery::Deploy].map(|recovery| Trial { call: call.clone(), recovery, follow: true })
    };
    calls.into_iter().flat_map(both).collect()
}

fn in_turn(at: usize) -> Recovery {
    if at.is_multiple_of(2) { Recovery::Resume } else { Recovery::Deploy }
}

/// Both sides of every journal entry, and some of what concerns the service between them; or everything about `deploy_to`.
fn journal_points(calls: Vec<Call>) -> Vec<Trial> {
    let is_chosen = |call: &Call, at: usize| {
        call.is_journal() || call.line.contains("/srv") && (wants_all() || at.is_multiple_of(STRIDE))
    };
    let chosen = calls.into_iter().enumerate().filter(|(at, call)| is_chosen(call, *at)).map(|(_, call)| call);
    chosen.enumerate().map(|(at, call)| Trial { call, recovery: in_turn(at), follow: false }).collect()
}

/// Every so-manieth call.
fn each(calls: Vec<Call>, stride: usize) -> Vec<Call> {
    let stride = if wants_all() { stride.div_ceil(4) } else { stride };
    calls.into_iter().step_by(stride).collect()
}

#[test]
fn a_first_deployment_that_is_killed_is_there_or_not() {
    sweep("first deployment", Scenario::First, false, points);
}

#[test]
fn an_update_that_is_killed_is_there_or_not() {
    sweep("update", Scenario::Update, false, points);
}

#[test]
fn an_unhealthy_update_that_is_killed_is_gone() {
    sweep("unhealthy update", Scenario::Unhealthy, false, points);
}

#[test]
fn an_update_that_fails_half_way_and_is_killed_is_gone() {
    sweep("update that fails half-way", Scenario::HalfWay, false, points);
}

#[test]
fn a_rollback_that_is_killed_is_done_or_not() {
    sweep("rollback", Scenario::Rollback, false, points);
}

#[test]
fn a_recovery_that_is_killed_is_made_again() {
    let journal = |calls: Vec<Call>| each(calls.into_iter().filter(Call::is_journal).collect(), 12);
    let named =
        |calls: Vec<Call>| each(calls.into_iter().filter(|call| call.is_journal() || call.is_name()).collect(), 9);
    sweep_twice("recovery of an update", Scenario::Update, journal, named);
    sweep_twice("recovery of an update that fails half-way", Scenario::HalfWay, journal, named);
    sweep_twice("recovery of an unhealthy update", Scenario::Unhealthy, journal, named);
}

#[test]
fn an_update_of_a_running_service_that_is_killed_leaves_the_old_or_the_new_one_running() {
    sweep("update of a service", Scenario::Update, true, journal_points);
}

#[test]
fn an_unhealthy_update_of_a_running_service_that_is_killed_leaves_the_old_one_running() {
    sweep("unhealthy update of a service", Scenario::Unhealthy, true, journal_points);
}

#[test]
fn a_first_deployment_of_a_service_that_is_killed_runs_or_does_not() {
    sweep("first deployment of a service", Scenario::First, true, journal_points);
}

#[test]
fn a_rollback_of_a_running_service_that_is_killed_leaves_one_of_them_running() {
    sweep("rollback of a service", Scenario::Rollback, true, journal_points);
}
