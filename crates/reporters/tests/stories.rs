//! Every way a deployment can end, as people and machines are told.

mod telling;

use cutover_core::event::Event;
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::StepId;
use cutover_core::probe::ProbeResult;
use cutover_core::target::{Before, Failure, Outcome};
use cutover_reporters::Manner;
use insta::assert_snapshot;
use std::time::Duration;
use telling::{Script, json, plain};

const PREFLIGHT: u32 = 0;
const ASSEMBLE: u32 = 1;
const SWITCH: u32 = 2;
const VERIFY: u32 = 3;
const PRUNE: u32 = 4;

fn success() -> Script {
    Script::begun()
        .done(PREFLIGHT, 10, "12.4 GB free")
        .done(ASSEMBLE, 120, "12 files, 4.1 MB")
        .done(SWITCH, 1, "")
        .done(VERIFY, 2_300, "health passed at the 3rd attempt")
}

fn unhealthy() -> Failure {
    let failure = Failure::new("health: status 500, expected 200")
        .hint("look at the log; the release stays in releases/ for that");
    let mut failure =
        failure.excerpt("Traceback (most recent call last):\n  \x1b[31mKeyError\x1b[0m: 'DATABASE_URL'\n");
    failure.log = Some("/srv/shop/.cutover/logs/verify.log".to_owned());
    failure.probes = vec![probe(false), probe(true)];
    failure
}

fn probe(healthy: bool) -> ProbeResult {
    ProbeResult {
        name: "health".to_owned(),
        endpoint: "http://127.0.0.1:8000/health".to_owned(),
        healthy,
        code: Some(if healthy { 200 } else { 500 }),
        latency_ms: Some(12),
        body: String::new(),
        error: if healthy { String::new() } else { "status 500, expected 200".to_owned() },
        pid: None,
        attempt_count: 3,
        at: telling::start(),
    }
}

fn rolled_back() -> Script {
    let script = Script::begun().done(PREFLIGHT, 10, "").done(ASSEMBLE, 120, "12 files, 4.1 MB").done(SWITCH, 1, "");
    let script = script.started(VERIFY, 0).failed(VERIFY, 3_200, unhealthy());
    let script = script.restored(VERIFY, 5, "").restored(SWITCH, 2, "current is 20261120090000-9f8e7d6 again");
    script.restored(ASSEMBLE, 1, "").restored(PREFLIGHT, 0, "").ended(DeploymentOutcome::RolledBack)
}

#[test]
fn a_success() {
    let script = success().done(PRUNE, 20, "2 releases removed").ended(DeploymentOutcome::Deployed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s — 12.4 GB free
    ✓ assemble 0.12s — 12 files, 4.1 MB
    ✓ switch 0.00s
    ✓ verify 2.30s — health passed at the 3rd attempt
    ✓ prune 0.02s — 2 releases removed
    ✓ Deployed in 2.45s: shop in production is release 20261121101500-a1b2c3d
    ");
    assert_snapshot!(json(&script), @r#"
    {"v":1,"event":"began","plan":…,"resumed":false,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":0,"before":null}}}
    {"v":1,"event":"recorded","seq":2,"at":"2026-11-21T10:15:00.01Z","entry":{"applied":{"step":0,"outcome":{"changed":true,"note":"12.4 GB free"}}}}
    {"v":1,"event":"recorded","seq":3,"at":"2026-11-21T10:15:00.01Z","entry":{"started":{"step":1,"before":null}}}
    {"v":1,"event":"recorded","seq":4,"at":"2026-11-21T10:15:00.13Z","entry":{"applied":{"step":1,"outcome":{"changed":true,"note":"12 files, 4.1 MB"}}}}
    {"v":1,"event":"recorded","seq":5,"at":"2026-11-21T10:15:00.13Z","entry":{"started":{"step":2,"before":null}}}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00.131Z","entry":{"applied":{"step":2,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":7,"at":"2026-11-21T10:15:00.131Z","entry":{"started":{"step":3,"before":null}}}
    {"v":1,"event":"recorded","seq":8,"at":"2026-11-21T10:15:02.431Z","entry":{"applied":{"step":3,"outcome":{"changed":true,"note":"health passed at the 3rd attempt"}}}}
    {"v":1,"event":"recorded","seq":9,"at":"2026-11-21T10:15:02.431Z","entry":{"started":{"step":4,"before":null}}}
    {"v":1,"event":"recorded","seq":10,"at":"2026-11-21T10:15:02.451Z","entry":{"applied":{"step":4,"outcome":{"changed":true,"note":"2 releases removed"}}}}
    {"v":1,"event":"ended","outcome":"deployed","at":"2026-11-21T10:15:02.451Z","elapsed_ms":2451}
    "#);
}

#[test]
fn what_to_do_is_told_with_the_environments_name() {
    let failure = Failure::new("sudo says no").hint("`cutover setup ENV` sees to it; ENVIRON is no place");
    let script = Script::begun().started(PREFLIGHT, 0).failed(PREFLIGHT, 40, failure);
    let told = plain(&script, &Manner::default());
    assert!(told.contains("  hint: `cutover setup production` sees to it; ENVIRON is no place\n"), "{told}");
}

#[test]
fn a_failure_before_the_switch() {
    let failure = Failure::new("12 MB free in /srv/shop, 40 MB needed").hint("make room, or lower disk_free_min");
    let script = Script::begun().done(PREFLIGHT, 10, "").started(ASSEMBLE, 0).failed(ASSEMBLE, 40, failure);
    let script = script.restored(ASSEMBLE, 1, "").restored(PREFLIGHT, 1, "").ended(DeploymentOutcome::Failed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s
    ✗ assemble 0.04s — 12 MB free in /srv/shop, 40 MB needed
      hint: make room, or lower disk_free_min
    taking back: assemble, preflight
    ↩ taken back: assemble 0.00s
    ↩ taken back: preflight 0.00s
    ✗ Failed after 0.05s: nothing that runs was changed; release 20261120090000-9f8e7d6 is live
      read more: cutover logs 20261121T101500-7f3a
    ");
    assert_snapshot!(json(&script), @r#"
    {"v":1,"event":"began","plan":…,"resumed":false,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":0,"before":null}}}
    {"v":1,"event":"recorded","seq":2,"at":"2026-11-21T10:15:00.01Z","entry":{"applied":{"step":0,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":3,"at":"2026-11-21T10:15:00.01Z","entry":{"started":{"step":1,"before":null}}}
    {"v":1,"event":"recorded","seq":4,"at":"2026-11-21T10:15:00.05Z","entry":{"failed":{"step":1,"error":{"kind":"failed","message":"12 MB free in /srv/shop, 40 MB needed","hint":"make room, or lower disk_free_min"}}}}
    {"v":1,"event":"recorded","seq":5,"at":"2026-11-21T10:15:00.051Z","entry":{"restored":{"step":1,"note":""}}}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00.052Z","entry":{"restored":{"step":0,"note":""}}}
    {"v":1,"event":"ended","outcome":"failed","at":"2026-11-21T10:15:00.052Z","elapsed_ms":52}
    "#);
}

#[test]
fn where_nothing_was_live_a_failure_tells_what_was_done_and_not_what_was_before() {
    // Nobody knows what runs there: a service may, whose `current` is missing.
    let refused = Script::first().started(PREFLIGHT, 0).failed(PREFLIGHT, 1, Failure::new("current is missing"));
    let refused = refused.restored(PREFLIGHT, 1, "").ended(DeploymentOutcome::Failed);
    let told = plain(&refused, &Manner::default());
    assert!(told.contains("✗ Failed after 0.00s: nothing that runs was changed; no release is live\n"), "{told}");

    let unhealthy = Script::first().done(PREFLIGHT, 1, "").done(SWITCH, 1, "").started(VERIFY, 0);
    let unhealthy = unhealthy.failed(VERIFY, 1, Failure::new("health: no answer")).restored(VERIFY, 1, "");
    let unhealthy = unhealthy.restored(SWITCH, 1, "").restored(PREFLIGHT, 1, "").ended(DeploymentOutcome::Failed);
    let told = plain(&unhealthy, &Manner::default());
    assert!(told.contains("no release was live before, and none is now\n"), "{told}");
}

#[test]
fn a_release_that_is_rolled_back() {
    assert_snapshot!(plain(&rolled_back(), &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s
    ✓ assemble 0.12s — 12 files, 4.1 MB
    ✓ switch 0.00s
    ✗ verify 3.20s — health: status 500, expected 200
      probe health (http://127.0.0.1:8000/health) not healthy after 12 ms, code 500: status 500, expected 200
        | Traceback (most recent call last):
        |   KeyError: 'DATABASE_URL'
      log: /srv/shop/.cutover/logs/verify.log
      hint: look at the log; the release stays in releases/ for that
    taking back: verify, switch, assemble, preflight
    ↩ taken back: verify 0.01s
    ↩ taken back: switch 0.00s — current is 20261120090000-9f8e7d6 again
    ↩ taken back: assemble 0.00s
    ↩ taken back: preflight 0.00s
    ↩ Rolled back in 3.34s: release 20261120090000-9f8e7d6 is live and healthy again, 20261121101500-a1b2c3d is not
      read more: cutover logs 20261121T101500-7f3a
    ");
    assert_snapshot!(json(&rolled_back()), @r#"
    {"v":1,"event":"began","plan":…,"resumed":false,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":0,"before":null}}}
    {"v":1,"event":"recorded","seq":2,"at":"2026-11-21T10:15:00.01Z","entry":{"applied":{"step":0,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":3,"at":"2026-11-21T10:15:00.01Z","entry":{"started":{"step":1,"before":null}}}
    {"v":1,"event":"recorded","seq":4,"at":"2026-11-21T10:15:00.13Z","entry":{"applied":{"step":1,"outcome":{"changed":true,"note":"12 files, 4.1 MB"}}}}
    {"v":1,"event":"recorded","seq":5,"at":"2026-11-21T10:15:00.13Z","entry":{"started":{"step":2,"before":null}}}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00.131Z","entry":{"applied":{"step":2,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":7,"at":"2026-11-21T10:15:00.131Z","entry":{"started":{"step":3,"before":null}}}
    {"v":1,"event":"recorded","seq":8,"at":"2026-11-21T10:15:03.331Z","entry":{"failed":{"step":3,"error":{"kind":"failed","message":"health: status 500, expected 200","hint":"look at the log; the release stays in releases/ for that","excerpt":"Traceback (most recent call last):\n  \u001b[31mKeyError\u001b[0m: 'DATABASE_URL'\n","log":"/srv/shop/.cutover/logs/verify.log","probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":false,"code":500,"latency_ms":12,"error":"status 500, expected 200","attempt_count":3,"at":"2026-11-21T10:15:00Z"},{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":true,"code":200,"latency_ms":12,"attempt_count":3,"at":"2026-11-21T10:15:00Z"}]}}}}
    {"v":1,"event":"recorded","seq":9,"at":"2026-11-21T10:15:03.336Z","entry":{"restored":{"step":3,"note":""}}}
    {"v":1,"event":"recorded","seq":10,"at":"2026-11-21T10:15:03.338Z","entry":{"restored":{"step":2,"note":"current is 20261120090000-9f8e7d6 again"}}}
    {"v":1,"event":"recorded","seq":11,"at":"2026-11-21T10:15:03.339Z","entry":{"restored":{"step":1,"note":""}}}
    {"v":1,"event":"recorded","seq":12,"at":"2026-11-21T10:15:03.339Z","entry":{"restored":{"step":0,"note":""}}}
    {"v":1,"event":"ended","outcome":"rolled_back","at":"2026-11-21T10:15:03.339Z","elapsed_ms":3339}
    "#);
}

#[test]
fn what_has_no_way_back_is_not_to_be_tried_again() {
    let script = Script::resumed_without_a_way_back().ended(DeploymentOutcome::Stuck);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d (goes on with deployment 20261121T101500-7f3a)
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✗ Stuck after 0.00s: a person is needed
      switch cannot be taken back
      put right by hand what it left, then close it: cutover resume production --abandon
      read more: cutover logs 20261121T101500-7f3a
    ");
}

#[test]
fn a_restore_that_fails() {
    let script = Script::begun().done(PREFLIGHT, 10, "").done(ASSEMBLE, 120, "").done(SWITCH, 1, "");
    let script = script.started(VERIFY, 0).failed(VERIFY, 900, Failure::new("health: connection refused"));
    let stuck = Failure::new("restart unit shop.service: exit code 1").hint("journalctl -u shop.service");
    let script = script.restore_failed(VERIFY, 400, stuck).ended(DeploymentOutcome::Stuck);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s
    ✓ assemble 0.12s
    ✓ switch 0.00s
    ✗ verify 0.90s — health: connection refused
    taking back: verify, switch, assemble, preflight
    ✗ could not take back verify: restart unit shop.service: exit code 1 (0.40s)
      hint: journalctl -u shop.service
    ✗ Stuck after 1.43s: a person is needed
      could not take back verify: restart unit shop.service: exit code 1
      mend it, then: cutover resume production
      read more: cutover logs 20261121T101500-7f3a
    ");
    assert_snapshot!(json(&script), @r#"
    {"v":1,"event":"began","plan":…,"resumed":false,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":0,"before":null}}}
    {"v":1,"event":"recorded","seq":2,"at":"2026-11-21T10:15:00.01Z","entry":{"applied":{"step":0,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":3,"at":"2026-11-21T10:15:00.01Z","entry":{"started":{"step":1,"before":null}}}
    {"v":1,"event":"recorded","seq":4,"at":"2026-11-21T10:15:00.13Z","entry":{"applied":{"step":1,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":5,"at":"2026-11-21T10:15:00.13Z","entry":{"started":{"step":2,"before":null}}}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00.131Z","entry":{"applied":{"step":2,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":7,"at":"2026-11-21T10:15:00.131Z","entry":{"started":{"step":3,"before":null}}}
    {"v":1,"event":"recorded","seq":8,"at":"2026-11-21T10:15:01.031Z","entry":{"failed":{"step":3,"error":{"kind":"failed","message":"health: connection refused"}}}}
    {"v":1,"event":"recorded","seq":9,"at":"2026-11-21T10:15:01.431Z","entry":{"restore_failed":{"step":3,"error":{"kind":"failed","message":"restart unit shop.service: exit code 1","hint":"journalctl -u shop.service"}}}}
    {"v":1,"event":"ended","outcome":"stuck","at":"2026-11-21T10:15:01.431Z","elapsed_ms":1431}
    "#);
}

#[test]
fn a_cancellation() {
    let script = Script::begun().done(PREFLIGHT, 10, "").started(ASSEMBLE, 0).cancelled(30).restored(ASSEMBLE, 1, "");
    let script = script.restored(PREFLIGHT, 0, "").ended(DeploymentOutcome::Failed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s
    ✗ stopped at assemble — asked to stop
    taking back: assemble, preflight
    ↩ taken back: assemble 0.00s
    ↩ taken back: preflight 0.00s
    ✗ Failed after 0.04s: nothing that runs was changed; release 20261120090000-9f8e7d6 is live
      read more: cutover logs 20261121T101500-7f3a
    ");
    assert_snapshot!(json(&script), @r#"
    {"v":1,"event":"began","plan":…,"resumed":false,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":0,"before":null}}}
    {"v":1,"event":"recorded","seq":2,"at":"2026-11-21T10:15:00.01Z","entry":{"applied":{"step":0,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"recorded","seq":3,"at":"2026-11-21T10:15:00.01Z","entry":{"started":{"step":1,"before":null}}}
    {"v":1,"event":"recorded","seq":4,"at":"2026-11-21T10:15:00.04Z","entry":{"cancelled":{"reason":"asked to stop"}}}
    {"v":1,"event":"recorded","seq":5,"at":"2026-11-21T10:15:00.041Z","entry":{"restored":{"step":1,"note":""}}}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00.041Z","entry":{"restored":{"step":0,"note":""}}}
    {"v":1,"event":"ended","outcome":"failed","at":"2026-11-21T10:15:00.041Z","elapsed_ms":41}
    "#);
}

#[test]
fn a_cancellation_that_comes_too_late() {
    let script = success().started(PRUNE, 0).cancelled(1).done_late(PRUNE).ended(DeploymentOutcome::Deployed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s — 12.4 GB free
    ✓ assemble 0.12s — 12 files, 4.1 MB
    ✓ switch 0.00s
    ✓ verify 2.30s — health passed at the 3rd attempt
    ! too late to stop: the release is verified and stays live
    ✓ prune 0.00s
    ✓ Deployed in 2.43s: shop in production is release 20261121101500-a1b2c3d
    ");
}

#[test]
fn a_resumption() {
    let script = Script::resumed().entry(0, Entry::Resumed { by: "ada@laptop".to_owned() });
    let script = script.applied(SWITCH, 3, "was so already").done(VERIFY, 700, "").ended(DeploymentOutcome::Deployed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d (goes on with deployment 20261121T101500-7f3a)
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    … taken up again by ada@laptop
    ✓ switch 0.00s — was so already
    ✓ verify 0.70s
    ✓ Deployed in 0.70s: shop in production is release 20261121101500-a1b2c3d
    ");
    assert_snapshot!(json(&script), @r#"
    {"v":1,"event":"began","plan":…,"resumed":true,"at":"2026-11-21T10:15:00Z"}
    {"v":1,"event":"recorded","seq":6,"at":"2026-11-21T10:15:00Z","entry":{"resumed":{"by":"ada@laptop"}}}
    {"v":1,"event":"recorded","seq":7,"at":"2026-11-21T10:15:00.003Z","entry":{"applied":{"step":2,"outcome":{"changed":true,"note":"was so already"}}}}
    {"v":1,"event":"recorded","seq":8,"at":"2026-11-21T10:15:00.003Z","entry":{"started":{"step":3,"before":null}}}
    {"v":1,"event":"recorded","seq":9,"at":"2026-11-21T10:15:00.703Z","entry":{"applied":{"step":3,"outcome":{"changed":true,"note":""}}}}
    {"v":1,"event":"ended","outcome":"deployed","at":"2026-11-21T10:15:00.703Z","elapsed_ms":703}
    "#);
}

#[test]
fn a_settling_step_that_fails() {
    let script =
        success().started(PRUNE, 0).failed(PRUNE, 10, Failure::new("remove releases/20261001: read-only file system"));
    let script = script.ended(DeploymentOutcome::Deployed);
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ preflight 0.01s — 12.4 GB free
    ✓ assemble 0.12s — 12 files, 4.1 MB
    ✓ switch 0.00s
    ✓ verify 2.30s — health passed at the 3rd attempt
    ! prune 0.01s — remove releases/20261001: read-only file system
      nothing is taken back: the release is verified
    ✓ Deployed in 2.44s: shop in production is release 20261121101500-a1b2c3d; there is 1 warning
    ");
}

#[test]
fn a_narrow_terminal_cuts_what_went_well_and_nothing_that_failed() {
    let manner = Manner { width: Some(30), ..Manner::default() };
    let script = Script::begun().done(PREFLIGHT, 10, "much room is left on every disk of this machine");
    let script =
        script.started(ASSEMBLE, 0).failed(ASSEMBLE, 40, Failure::new("a long message that must be read to its end"));
    assert_snapshot!(plain(&script, &manner), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8…
    ✓ preflight 0.01s — much room…
    ✗ assemble 0.04s — a long message that must be read to its end
    taking back: assemble, preflight
    ");
}

#[test]
fn verbose_tells_what_processes_and_probes_say() {
    let manner =
        Manner { verbose: true, usual: [("verify".to_owned(), Duration::from_secs(1))].into(), ..Manner::default() };
    let script = Script::begun().started(VERIFY, 0).event(Event::Probed { step: StepId(VERIFY), result: probe(false) });
    let script =
        script.event(Event::Output { step: StepId(VERIFY), line: "\x1b[1mStarting\x1b[0m on :8000\r".to_owned() });
    let outcome = Outcome { warnings: vec!["the clock is 3 s behind".to_owned()], ..Outcome::changed("healthy") };
    let script =
        script.entry(4_000, Entry::Applied { step: StepId(VERIFY), outcome }).ended(DeploymentOutcome::Deployed);
    assert_snapshot!(plain(&script, &manner), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
      verify | health (http://127.0.0.1:8000/health) not healthy after 12 ms, code 500: status 500, expected 200
      verify | Starting on :8000
    ✓ verify 4.00s (usually 1.00s) — healthy
      ! the clock is 3 s behind
    ✓ Deployed in 4.00s: shop in production is release 20261121101500-a1b2c3d; there is 1 warning
    ");
}

#[test]
fn waiting_is_told_once_for_each_holder() {
    let waiting = |ahead_count| Event::Waiting { holder: "ada: deploys 20261121".to_owned(), ahead_count };
    let script = Script::empty().event(waiting(1)).event(waiting(1)).event(waiting(0));
    assert_snapshot!(plain(&script, &Manner::default()), @"
    … waiting for ada: deploys 20261121 and 1 in the queue
    … waiting for ada: deploys 20261121
    ");
}

#[test]
fn several_hosts_are_told_apart() {
    let script = Script::on_hosts(&["web-1", "web-2"]).done(0, 10, "").done(1, 12, "");
    assert_snapshot!(plain(&script, &Manner::default()), @"
    Deploying shop to production: release 20261121101500-a1b2c3d
      commit a1b2c3d Fix the cart
      live now 20261120090000-9f8e7d6
    ✓ app/web-1 preflight 0.01s
    ✓ app/web-2 preflight 0.01s
    ");
}

#[test]
fn each_host_has_its_own_times() {
    let on = |host: &str, seconds: i64, entry: Entry| {
        let at = telling::start() + jiff::SignedDuration::from_secs(seconds);
        Event::Recorded { record: Record { seq: 1, at, host: Some(host.to_owned()), entry } }
    };
    let started = |step| Entry::Started { step: StepId(step), before: Before::default() };
    let applied = |step| Entry::Applied { step: StepId(step), outcome: Outcome::changed("") };
    let script = Script::on_hosts(&["web-1", "web-2"])
        .event(on("web-1", 1, started(0)))
        .event(on("web-2", 1, started(1)))
        .event(on("web-1", 8, applied(0)))
        .event(on("web-2", 9, applied(1)));
    let told = plain(&script, &Manner::default());
    assert!(told.contains("web-1 preflight 7.00s") && told.contains("web-2 preflight 8.00s"), "{told}");
}

#[test]
fn without_colours_there_is_no_escape_and_with_them_the_words_are_the_same() {
    let bare = plain(&rolled_back(), &Manner::default());
    assert!(!bare.contains(['\x1b', '\r']), "{bare:?}");
    let painted = plain(&rolled_back(), &Manner { color: true, ..Manner::default() });
    assert!(painted.contains("\x1b[1m\x1b[31m✗ verify"), "{painted:?}");
    let words: Vec<String> = painted.lines().map(cutover_reporters::one_line).collect();
    assert_eq!(words, bare.lines().map(cutover_reporters::one_line).collect::<Vec<_>>());
}

#[test]
fn live_shows_the_running_step_and_leaves_lines_behind() {
    let manner =
        Manner { usual: [("assemble".to_owned(), Duration::from_secs(14))].into(), verbose: true, ..Manner::default() };
    let progressed = |done| Event::Progressed { step: StepId(ASSEMBLE), done, total: 1_000, unit: "files".into() };
    let script = Script::begun().started(ASSEMBLE, 0).event(progressed(412));
    let script = script.event(Event::Output { step: StepId(ASSEMBLE), line: "Collecting flask".to_owned() });
    let script = script.failed(ASSEMBLE, 40, Failure::new("no room")).restored(ASSEMBLE, 1, "");
    let script = script.ended(DeploymentOutcome::Failed);
    let expected = [
        "Deploying shop to production",
        "(usually 14.0s)",
        "412/1000 files",
        "Collecting flask",
        "taking back: assemble 0",
        "↩ taken back: assemble",
        "✗ Failed after",
    ];
    assert_eq!(telling::unseen_live(&script, &manner, &expected), [""; 0]);
}

#[test]
fn live_says_healthy_once_nothing_is_wrong_any_more() {
    let probed = |name: &str, healthy| {
        let result = cutover_core::probe::ProbeResult { name: name.to_owned(), ..probe(healthy) };
        Event::Probed { step: StepId(VERIFY), result }
    };
    let script = Script::begun().started(VERIFY, 0).event(probed("page", false)).event(probed("port", true));
    let script = script.event(probed("page", true));
    let expected = [
        "Deploying",
        "verify",
        "page, attempt 3: status 500",
        "page, attempt 3: status 500",
        "page, attempt 3: healthy",
    ];
    assert_eq!(telling::unseen_live(&script, &Manner::default(), &expected), [""; 0]);
}

#[test]
fn an_event_that_cannot_be_written_is_an_error_and_no_panic() {
    let script = Script::begun();
    assert!(telling::fails_on_a_full_disk(&script));
}

#[test]
fn a_before_image_is_told_to_machines_as_it_was_captured() {
    let before = Before(serde_json::json!({ "current": "20261120090000-9f8e7d6" }));
    let script = Script::empty().entry(0, Entry::Started { step: StepId(SWITCH), before });
    assert_snapshot!(json(&script), @r#"{"v":1,"event":"recorded","seq":1,"at":"2026-11-21T10:15:00Z","entry":{"started":{"step":2,"before":{"current":"20261120090000-9f8e7d6"}}}}"#);
}
