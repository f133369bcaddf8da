//! Two deployments at once.

use crate::bed::{Bed, wait_for};
use crate::run::Running;
use std::fs;

/// A live bed whose next deployment waits in its install hook until it may go on.
fn gated() -> Bed {
    let mut bed = Bed::live();
    bed.write("hook", "#!/bin/sh\ntouch \"$1\"\nwhile [ ! -e \"$1.gate\" ]; do sleep 0.05; done\n");
    bed.config.tables = format!("[targets.app.host.run]\ninstall = \"./hook {}\"\n", bed.path("begun").display());
    bed.commit();
    bed
}

fn begin(bed: &Bed) -> Running {
    let running = bed.begin_deploy();
    wait_for("the hook begins", || bed.path("begun").exists());
    running
}

fn open_gate(bed: &Bed) {
    fs::write(bed.path("begun.gate"), "").unwrap();
}

fn by(bed: &Bed, who: &str, args: &[&str]) -> Running {
    let mut command = bed.cutover(args);
    command.env("CUTOVER_BY", who);
    Running::start(command)
}

#[test]
fn a_second_deployment_is_refused_and_told_who_and_why() {
    let bed = gated();
    let first = begin(&bed);

    for command in ["deploy", "rollback"] {
        let refused = by(&bed, "bob", &[command, "production"]).end();
        refused.concludes("error:").tells_of("second deployment at once");
    }
    let json = by(&bed, "bob", &["deploy", "production", "--json"]).end().expect(6).json();
    assert_eq!((&json["exit_code"], &json["error"]["kind"]), (&6.into(), &"locked".into()));

    open_gate(&bed);
    first.end().expect(0);
    bed.assert_settled_at(2, "after the first one");
}

#[test]
fn a_deployment_that_waits_comes_next() {
    let bed = gated();
    let first = begin(&bed);
    bed.commit();
    let second = by(&bed, "bob", &["deploy", "production", "--wait"]);
    assert!(second.hears("waiting for ada: deploy"));
    bed.run(&["status", "production"]).expect(0).says(&["locked by ada since", "waiting: bob since", ": deploy"]);

    open_gate(&bed);

    first.end().expect(0).concludes("✓ Deployed");
    let ran = second.end().expect(0).concludes("✓ Deployed");
    bed.assert_settled_at(3, &ran.told());
}

#[test]
fn a_wait_that_is_too_short_is_told() {
    let bed = gated();
    let first = begin(&bed);

    let ran = by(&bed, "bob", &["deploy", "production", "--wait=1"]).end();

    ran.concludes("error:").tells_of("wait for the lock too short");
    open_gate(&bed);
    first.end().expect(0);
}

#[test]
fn a_newer_deployment_supersedes_one_that_waits() {
    let bed = gated();
    let first = begin(&bed);
    bed.commit();
    let second = by(&bed, "bob", &["deploy", "production", "--wait"]);
    assert!(second.hears("waiting for ada"));
    bed.commit();

    let third = by(&bed, "cid", &["deploy", "production", "--wait", "--supersede"]);

    let refused = second.end().expect(6).concludes("error:");
    refused.says(&["superseded in the queue by cid: deploy", "Version 4", "state: nothing was changed"]);
    open_gate(&bed);
    first.end().expect(0);
    let ran = third.end().expect(0).concludes("✓ Deployed");
    bed.assert_settled_at(4, &ran.told());
}

#[test]
fn a_signal_to_one_that_waits_changes_nothing() {
    let bed = gated();
    let first = begin(&bed);
    let second = by(&bed, "bob", &["deploy", "production", "--wait"]);
    assert!(second.hears("waiting for ada"));

    second.signal(rustix::process::Signal::INT);

    second.end().concludes("error:").tells_of("signal while waiting for the lock");
    open_gate(&bed);
    first.end().expect(0);
    bed.assert_settled_at(2, "the first one was not disturbed");
}

#[test]
fn many_at_once_come_one_after_the_other() {
    let bed = Bed::live();
    let version = bed.commit();

    let all: Vec<Running> = (0..5).map(|_| by(&bed, "bob", &["deploy", "production", "--wait"])).collect();

    let told: String = all.into_iter().map(|one| one.end().expect(0).told()).collect();
    let count = |words| told.matches(words).count();
    assert_eq!((count("✓ Deployed"), count("✓ Nothing changed")), (1, 4), "{told}");
    bed.assert_settled_at(version, &told);
}
