//! Every fault at every point.

use crate::agent::{CALLS, Held, Point};
use crate::fault::{FAULTS, Fault};
use crate::shop::Shop;
use crate::verdict;
use std::time::Instant;

/// The variable that asks for every point instead of a choice.
const ALL_VARIABLE: &str = "CUTOVER_FAULTS";
/// How many points are tried with each fault by default; each fault has others.
const POINT_COUNT: usize = 3;
/// How many violations are shown in the end; all are told as they are found.
const SHOWN_COUNT_MAX: usize = 5;

/// Strikes at points of one deployment after the other.
fn sweep(test: &str, faults: &[Fault]) {
    let Some(shop) = Shop::open(test) else { return };
    let began = Instant::now();
    let points = points(&shop);
    let (mut case_count, mut violations) = (0, Vec::new());
    for (at, fault) in faults.iter().enumerate() {
        for point in choose(&points, at) {
            case_count += 1;
            let found = try_one(&shop, *fault, point);
            found.iter().for_each(|violation| eprintln!("VIOLATION {violation}"));
            violations.extend(found);
        }
    }
    let seconds = began.elapsed().as_secs();
    eprintln!("{test}: {case_count} cases, {} violations in {seconds} s", violations.len());
    let shown: Vec<String> = violations.iter().take(SHOWN_COUNT_MAX).cloned().collect();
    assert!(violations.is_empty(), "{} violations in {case_count} cases:\n{}", violations.len(), shown.join("\n\n"));
}

/// The calls of an undisturbed deployment.
fn points(shop: &Shop) -> Vec<Point> {
    shop.commit();
    let client = shop.begin();
    let held = Held::follow(shop, None);
    shop.go();
    client.end().expect(0);
    let counts = held.counts();
    let points: Vec<Point> = CALLS.iter().flat_map(|call| (1..=counts[call]).map(|nth| Point { call, nth })).collect();
    assert!(counts["pwrite64"] > 20, "the journal was not seen: {counts:?}");
    points
}

fn choose(points: &[Point], fault: usize) -> Vec<Point> {
    if std::env::var(ALL_VARIABLE).is_ok_and(|value| value == "all") {
        return points.to_vec();
    }
    let stride = points.len() / POINT_COUNT;
    points.iter().copied().skip(fault * stride / FAULTS.len()).step_by(stride).take(POINT_COUNT).collect()
}

fn try_one(shop: &Shop, fault: Fault, point: Point) -> Vec<String> {
    let (old, new) = (shop.current(), shop.commit());
    let prober = shop.prober();
    let client = shop.begin();
    let mut held = Held::follow(shop, Some(point));
    shop.go();
    if !held.await_stop() {
        let ran = client.end();
        return (ran.code() != 0).then(|| format!("undisturbed: {}", ran.told())).into_iter().collect();
    }
    let about = format!("{fault:?} at {point}: {}", held.at());
    let told = fault.strike(shop, client, held);
    let mut found = if fault.spares_agent() { verdict::unfinished(shop) } else { Vec::new() };
    found.extend(verdict::faults(shop, [old, new], &told));
    let seen = prober.take();
    found.extend(verdict::strange_answers(&seen, [old, new]));
    eprintln!("{about}: {} is live; {seen}", shop.current());
    found.into_iter().map(|violation| format!("{about}: {violation}")).collect()
}

#[test]
fn whoever_dies_here_leaves_the_old_or_the_new_release() {
    sweep(
        "whoever_dies_here_leaves_the_old_or_the_new_release",
        &[Fault::ClientKilled, Fault::SshKilled, Fault::ClientStopped],
    );
}

#[test]
fn whoever_dies_there_leaves_the_old_or_the_new_release() {
    sweep(
        "whoever_dies_there_leaves_the_old_or_the_new_release",
        &[Fault::SshdKilled, Fault::AgentKilled, Fault::PowerCut],
    );
}

#[test]
fn a_network_that_goes_away_leaves_the_old_or_the_new_release() {
    sweep("a_network_that_goes_away_leaves_the_old_or_the_new_release", &[Fault::NetworkAway, Fault::NetworkGone]);
}
