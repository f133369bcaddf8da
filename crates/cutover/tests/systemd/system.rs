//! `scope = "system"`, as root.

use crate::host::Host;
use crate::shop::{BROKEN, HEALTHY, SILENT, Shop, wait_for};

#[test]
fn a_unit_is_deployed_restarted_taken_back_and_rolled_back() {
    let Some(host) = Host::boot("a_unit_is_deployed_restarted_taken_back_and_rolled_back") else { return };
    let shop = Shop::with_unit(host, "root", "system");

    shop.deploy(HEALTHY).expect(0).says(&["nothing is live, inactive (dead)"]);
    shop.assert_serves(1, "after the first deployment");
    let first = shop.host.property("shop", "MainPID");
    shop.deploy(HEALTHY).expect(0);
    shop.assert_serves(2, "after the second");
    shop.assert_looks_by_itself();
    assert_ne!(shop.host.property("shop", "MainPID"), first, "the unit was not restarted");

    let broken = shop.deploy(BROKEN).expect(3).says(&["the service keeps crashing", "| the till 3 is jammed"]);
    let kept = broken.kept_log(&shop.host);
    assert!(kept.contains("the till 3 is jammed") && !kept.contains("open 2"), "{kept}");
    shop.assert_serves(2, "after the broken one");

    shop.cutover(&["rollback", "production"]).expect(0);
    shop.assert_serves(1, "after the rollback");
    shop.cutover(&["app", "production", "logs"]).expect(0).says(&["open 1", "the till 3 is jammed", "open 2"]);
    shop.cutover(&["app", "production", "restart"]).expect(0).says(&["1 probe passed"]);
}

#[test]
fn who_answered_and_what_the_unit_uses_is_known() {
    let Some(host) = Host::boot("who_answered_and_what_the_unit_uses_is_known") else { return };
    let shop = Shop::with_unit(host, "root", "system");
    shop.commit(HEALTHY);

    let told = shop.cutover(&["deploy", "production", "--json"]).expect(0);

    let events = told.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let answered = events.filter_map(|event| event["result"]["pid"].as_u64()).next_back().expect("nobody is named");
    assert_eq!(answered.to_string(), shop.host.property("shop", "MainPID"));
    let group = shop.host.shell("root", &format!("cat /proc/{answered}/cgroup"));
    assert!(group.contains("/system.slice/shop.service"), "{group}");
    let service = &shop.status()["service"];
    assert_eq!(service["main"]["pid"], answered);
    assert_eq!(service["restart_count"], 0);
    assert!(service["memory_bytes"].as_u64().unwrap() > 1 << 20, "{service}");
    assert!(service["cpu_ms"].as_u64().unwrap() > 0, "{service}");

    shop.host.shell("root", &format!("kill -KILL {answered}"));

    wait_for("the unit was started again, and that was counted", || shop.status()["service"]["restart_count"] == 1);
    shop.cutover(&["status", "production"]).expect(0).says(&["started again once"]);
    wait_for("its probe passes again", || shop.status()["health"]["healthy"] == true);
}

#[test]
fn a_unit_that_systemd_starts_again_and_again_is_said_to_be_in_a_crash_loop() {
    let Some(host) = Host::boot("a_unit_that_systemd_starts_again_and_again") else { return };
    let shop = Shop::with_unit(host, "root", "system");
    // Seldom enough for systemd not to give up.
    shop.write_unit("Restart=on-failure\nRestartSec=3s\n");
    shop.deploy(HEALTHY).expect(0);
    shop.cutover(&["status", "production"]).expect(0).says(&["healthy: GET http://127.0.0.1:8000/ 200 in "]);
    let broken = "cd /opt/shop/current && rm behaviour.py && echo 'sys.exit(7)' >behaviour.py";

    shop.host.shell("root", &format!("{broken} && systemctl kill --signal=KILL shop"));

    wait_for("it is a crash loop", || shop.status()["service"]["crash_looping"] == true);
    wait_for("it has ended once more", || shop.status()["service"]["active"] == false);
    let now = "service: crash loop, now waiting to be started again: exit code 7";
    shop.cutover(&["status", "production"]).expect(0).says(&[now, "started again 3 times", "NOT healthy: GET http://"]);
}

#[test]
fn a_stranger_who_answers_at_the_port_does_not_count() {
    let Some(host) = Host::boot("a_stranger_who_answers_at_the_port_does_not_count") else { return };
    let mut shop = Shop::with_unit(host, "root", "system");
    shop.verify = "within = \"3s\"\nprobes = [{ unit = { stable = \"0s\" } }]\n".to_owned();
    shop.deploy(SILENT).expect(0);
    shop.host.shell("root", "systemd-run --quiet --unit=stranger python3 -m http.server 8000 --bind 127.0.0.1");
    let asked = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/\")'";
    wait_for("the stranger answers", || {
        shop.host.command("root", &["sh", "-c", asked]).stderr(std::process::Stdio::null()).status().unwrap().success()
    });
    shop.verify = "within = \"3s\"\nprobes = [{ http = { url = \"http://127.0.0.1:8000/\" } }]\n".to_owned();

    let ran = shop.deploy(SILENT).expect(3);

    let stranger = shop.host.property("stranger", "MainPID");
    ran.says(&[&format!("port 8000 is answered by pid {stranger} (python3)"), "not part of the release's service"]);
    assert_eq!(shop.current(), "1");
    shop.assert_at_rest("after the stranger");
}

#[test]
fn a_start_that_systemd_says_failed_tells_what_the_unit_said() {
    let Some(host) = Host::boot("a_start_that_systemd_says_failed_tells_what_the_unit_said") else { return };
    let shop = Shop::with_unit(host, "root", "system");
    shop.write_unit(
        "ExecStartPre=/bin/sh -c 'if grep -q jammed behaviour.py; then echo the drawer is shut; exit 3; fi'",
    );
    shop.deploy(HEALTHY).expect(0);

    let ran = shop.deploy(BROKEN).expect(3);

    let kept = ran.kept_log(&shop.host);
    ran.says(&[
        "✗ restart",
        "restart unit shop.service: exit code 1 (failed: a command before or after it failed)",
        "| the drawer is shut",
    ])
    .never_says(&["| open 1"]);
    assert!(kept.contains("the drawer is shut"), "{kept}");
    shop.assert_serves(1, "after the failed start");
}

#[test]
fn a_release_that_uses_up_the_start_limit_does_not_keep_the_old_one_down() {
    let Some(host) = Host::boot("a_release_that_uses_up_the_start_limit_does_not_keep_the_old_one_down") else {
        return;
    };
    let shop = Shop::with_unit(host, "root", "system");
    shop.write_unit("Restart=always\nRestartSec=10ms\n[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n");
    shop.deploy(HEALTHY).expect(0);
    shop.deploy(HEALTHY).expect(0);
    shop.deploy(HEALTHY).expect(0);

    shop.deploy(BROKEN).expect(3).says(&["the service failed: exit code 7", "the till 4 is jammed"]);

    shop.assert_serves(3, "after the start limit was hit");
}

#[test]
fn a_unit_that_cannot_be_started_fails_before_anything_is_touched() {
    let Some(host) = Host::boot("a_unit_that_cannot_be_started_fails_before_anything_is_touched") else { return };
    let shop = Shop::new(host, "root", "system");

    let missing = shop.deploy(HEALTHY).expect(1);

    missing.says(&["✗ preflight", "there is no unit shop.service", "/etc/systemd/system", "daemon-reload"]);
    shop.assert_untouched();
    shop.host.shell("root", "systemctl mask --quiet shop.service");
    shop.deploy(HEALTHY).expect(1).says(&["unit shop.service cannot be started: it is masked"]);
    shop.assert_untouched();
}
