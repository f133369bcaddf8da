//! A clock that jumps back: releases, names and rollbacks go by their order, never by times.

use crate::bed::Bed;
use crate::ran::Ran;
use crate::run::Running;
use std::path::PathBuf;

/// Shifts the wall clock of whatever it is loaded into by `SHIFT_SECONDS`, once the file `SHIFT_FROM` is there.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    const char *shift = getenv("SHIFT_SECONDS"), *from = getenv("SHIFT_FROM");
    int begun = !from || access(from, F_OK) == 0;
    if (result == 0 && clock == CLOCK_REALTIME && shift && begun) now->tv_sec += atol(shift);
    return result;
}
"#;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn shim(bed: &Bed) -> PathBuf {
    let (source, library) = (bed.path("shim.c"), bed.path("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let status = bed.command("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(status.expect("a C compiler is needed").success());
    library
}

/// Runs `cutover` with a wall clock that is wrong by so much.
fn at(bed: &Bed, shim: &PathBuf, shift: i64, args: &[&str]) -> Ran {
    let mut command = bed.cutover(args);
    command.env("LD_PRELOAD", shim).env("SHIFT_SECONDS", shift.to_string());
    Running::start(command).end()
}

#[test]
fn a_clock_that_jumps_back_confuses_neither_order_nor_names_nor_rollback() {
    let mut bed = Bed::new();
    bed.config.host += "keep_releases = 3\n";
    let shim = shim(&bed);
    bed.config.env = "LEVEL = \"1\"".to_owned();
    bed.commit();
    at(&bed, &shim, DAY, &["deploy", "production"]).expect(0);
    bed.config.env = "LEVEL = \"2\"".to_owned();
    bed.commit();

    // A day later in truth, an hour earlier by the clock, and once more back to before the first one.
    at(&bed, &shim, 0, &["deploy", "production"]).concludes("✓ Deployed").tells_of("clock jumps back");
    bed.assert_settled_at(2, "after the first jump");
    bed.config.env = "LEVEL = \"3\"".to_owned();
    bed.commit();
    at(&bed, &shim, -DAY, &["deploy", "production"]).expect(0).concludes("✓ Deployed");
    bed.assert_settled_at(3, "after the second jump");

    // The list goes by the order in which they were made.
    let releases = bed.run(&["releases", "production", "--json"]).expect(0);
    let order: Vec<u64> = seqs(&releases);
    let mut sorted = order.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert!(order.len() == 3 && order == sorted, "{}", releases.told());

    // And so does the way back: from the third to the second, from there to the first.
    at(&bed, &shim, -2 * DAY, &["rollback", "production"]).expect(0);
    bed.assert_settled_at(2, "after a rollback");
    at(&bed, &shim, 0, &["rollback", "production"]).expect(0);
    bed.assert_settled_at(1, "after another rollback");
}

fn seqs(releases: &Ran) -> Vec<u64> {
    let json = releases.json();
    json["targets"]["app"].as_array().unwrap().iter().map(|release| release["seq"].as_u64().unwrap()).collect()
}

#[test]
fn pruning_after_a_jump_keeps_what_is_live_and_what_was() {
    let mut bed = Bed::new();
    bed.config.host += "keep_releases = 2\n";
    let shim = shim(&bed);
    for (version, shift) in [(1, 3 * DAY), (2, 2 * DAY), (3, DAY), (4, 0), (5, -DAY)] {
        assert_eq!(bed.commit(), version);
        at(&bed, &shim, shift, &["deploy", "production"]).expect(0);
        bed.assert_settled_at(version, "while the clock runs backwards");
    }
    let kept = crate::eyes::entries(&bed.app().join("releases"));
    let mut versions: Vec<String> =
        kept.iter().map(|release| std::fs::read_to_string(release.join("VERSION")).unwrap()).collect();
    versions.sort();
    assert_eq!(versions, ["4\n", "5\n"]);
}

#[test]
fn two_deployments_in_what_the_clock_calls_the_same_second_have_names_of_their_own() {
    let bed = Bed::new();
    let shim = shim(&bed);
    bed.commit();
    at(&bed, &shim, HOUR, &["deploy", "production"]).expect(0);
    let first = std::fs::read_link(bed.app().join("current")).unwrap();
    let name = first.file_name().unwrap().to_str().unwrap().to_owned();
    // The next one begins at a second that lies before the first one's; its release must not be taken for it.
    bed.write("behaviour.py", &format!("{}\n# changed", crate::bed::HEALTHY));
    bed.commit();
    at(&bed, &shim, 0, &["deploy", "production"]).expect(0);
    let second = std::fs::read_link(bed.app().join("current")).unwrap();
    assert!(second != first && second.file_name().unwrap().to_str().unwrap() < name.as_str());
    bed.assert_settled_at(2, "after a jump back");
}

#[test]
fn a_clock_that_jumps_in_the_middle_of_a_deployment_is_no_failure() {
    let mut bed = Bed::live();
    let shim = shim(&bed);
    let jumped = bed.path("jumped");
    // The hook itself makes the clock jump.
    bed.config.tables = format!("[targets.app.host.run]\ninstall = \"touch {}\"\n", jumped.display());
    let version = bed.commit();
    let mut command = bed.cutover(&["deploy", "production"]);
    command.env("LD_PRELOAD", &shim).env("SHIFT_SECONDS", (-DAY).to_string()).env("SHIFT_FROM", &jumped);

    let ran = Running::start(command).end().expect(0).concludes("✓ Deployed");

    bed.assert_settled_at(version, &ran.told());
    let history = bed.run(&["history", "production", "--json"]).expect(0).json();
    let ids: Vec<&str> =
        history["deployments"].as_array().unwrap().iter().map(|row| row["deployment"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{history}");
    for id in ids {
        bed.run(&["logs", id]).expect(0);
    }
    bed.run(&["metrics"]).expect(0);
    bed.run(&["rollback", "production"]).expect(0);
    bed.assert_settled_at(1, "after a rollback");
}
