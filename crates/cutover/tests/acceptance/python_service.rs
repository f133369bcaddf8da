//! A Python web service on one server: merged, deployed, healthy; and what happens when it is not.

use crate::client::Client;
use crate::ran::Ran;
use crate::site::{Site, WEBHOOK, directory};
use std::path::Path;
use std::process::Command;

/// The service on a machine; its wheels fit that machine's Python.
pub(crate) fn webhook(test: &str) -> Option<Site> {
    let site = Site::prepared(&WEBHOOK, test)?;
    let python = site.host.shell("root", "python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'");
    site.client.edit("cutover.toml", "\"3.12\"", &format!("{python:?}"));
    site.client.edit("cutover.toml", "\"x86_64\"", &format!("{:?}", std::env::consts::ARCH));
    Some(site)
}

/// What users get.
fn answer(site: &Site, path: &str) -> String {
    let ask = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())";
    site.there(&format!("python3 -c '{ask}' http://127.0.0.1:8000{path}"))
}

/// Answers that it is not well, from this version on.
pub(crate) fn break_health(site: &Site) {
    site.client.edit("webhook/app.py", "\"status\": \"ok\"", "\"status\": \"on fire\"");
    site.client.edit("cutover.toml", "within = \"60s\"", "within = \"3s\"");
}

#[test]
fn when_deployment_succeeds_the_new_version_runs_and_responds_to_health_checks() {
    let Some(site) = webhook("when_deployment_succeeds_the_new_version_runs_and_responds_to_health_checks") else {
        return;
    };

    // Given a change that was merged, when it is deployed:
    let deployed = site.deploy("1").expect(0);

    // Then the new version is running and responds to health checks,
    site.assert_serves("1");
    assert_eq!(answer(&site, "/health"), r#"{"status":"ok","version":"1"}"#);
    deployed.says(&["✓ verify"]);
    // and was installed without a network, from the wheels that came along.
    let installed = site.there("current/.venv/bin/python -m pip list --format=freeze");
    assert!(installed.contains("fastapi==") && installed.contains("pydantic_core=="), "{installed}");
}

#[test]
fn when_users_access_the_service_they_get_responses_from_the_newly_deployed_version() {
    let Some(site) = webhook("when_users_access_the_service_they_get_responses_from_the_newly_deployed_version") else {
        return;
    };
    site.deploy("1").expect(0);
    let taken = notify(&site, "{\"title\": \"It rains\"}");
    assert!(taken.contains("\"version\":\"1\""), "{taken}");

    site.deploy("2").expect(0);

    assert!(notify(&site, "{\"title\": \"It still rains\"}").contains("\"version\":\"2\""));
    // What was taken by the old version is there.
    let kept = answer(&site, "/notifications");
    assert!(kept.contains("It rains") && kept.contains("It still rains"), "{kept}");
}

/// Sends a signed notification; gives what is answered.
fn notify(site: &Site, body: &str) -> String {
    let send = format!(
        "import os, sys, urllib.request as u; sys.path.insert(0, \".\"); from webhook.app import sign\n\
         key = dict(l.rstrip().split(\"=\", 1) for l in open(\".env\") if \"=\" in l)[\"WEBHOOK_SECRET\"].strip(chr(34)+chr(39))\n\
         body = {body:?}.encode()\n\
         request = u.Request(\"http://127.0.0.1:8000/notify\", body, {{\"X-Signature\": sign(key.encode(), body)}})\n\
         print(u.urlopen(request, timeout=5).read().decode())"
    );
    site.there(&format!("cd current; .venv/bin/python -B - <<'SEND'\n{send}\nSEND"))
}

#[test]
fn when_deployment_fails_the_previous_working_version_is_maintained() {
    let Some(site) = webhook("when_deployment_fails_the_previous_working_version_is_maintained") else { return };
    site.deploy("1").expect(0);
    break_health(&site);

    let failed = site.deploy("2").expect(3);

    site.assert_serves("1");
    assert_eq!(answer(&site, "/health"), r#"{"status":"ok","version":"1"}"#);
    failed.says(&["↩ Rolled back", "the body does not contain \"ok\""]);
}

#[test]
fn when_a_deployment_failed_its_logs_name_the_specific_error() {
    let Some(site) = webhook("when_a_deployment_failed_its_logs_name_the_specific_error") else { return };
    site.deploy("1").expect(0);
    site.client.edit("webhook/app.py", "import hashlib", "import hashlibb");

    site.deploy("2").expect(1).says(&["import webhook.app, uvicorn: exit code 1", "No module named 'hashlibb'"]);

    let newest = site.history()[0]["deployment"].as_str().unwrap().to_owned();
    site.client.run(&["logs", &newest]).expect(0).says(&["smoke", "No module named 'hashlibb'"]);
    site.assert_serves("1");
}

#[test]
fn when_several_deployments_occurred_the_history_shows_times_versions_and_outcomes() {
    let Some(site) = webhook("when_several_deployments_occurred_the_history_shows_times_versions_and_outcomes") else {
        return;
    };
    site.deploy("1").expect(0);
    site.deploy("2").expect(0);
    break_health(&site);
    site.deploy("3").expect(3);

    let history = site.history();

    let seen: Vec<_> = history.iter().map(|one| (one["subject"].as_str(), one["outcome"].as_str())).collect();
    let (deployed, rolled_back) = (Some("deployed"), Some("rolled_back"));
    assert_eq!(seen, [(Some("Version 3"), rolled_back), (Some("Version 2"), deployed), (Some("Version 1"), deployed)]);
    assert!(history.iter().all(|one| one["began_at"].is_string() && one["commit"].is_string()), "{history:?}");
}

#[test]
fn when_a_version_turns_out_to_have_a_critical_bug_one_command_brings_the_one_before_back() {
    let Some(site) = webhook("when_a_version_turns_out_to_have_a_critical_bug_one_command_brings_the_one_before_back")
    else {
        return;
    };
    site.deploy("1").expect(0);
    site.deploy("2").expect(0);

    let began = std::time::Instant::now();
    site.client.run(&["rollback", "production"]).expect(0);

    assert!(began.elapsed().as_secs() < 120, "it must take less than two minutes");
    site.assert_serves("1");
    assert_eq!(answer(&site, "/health"), r#"{"status":"ok","version":"1"}"#);
}

#[test]
fn when_two_merges_are_deployed_at_once_one_waits_for_the_other() {
    let Some(site) = webhook("when_two_merges_are_deployed_at_once_one_waits_for_the_other") else { return };
    site.deploy("1").expect(0);
    site.client.write("hold", "#!/bin/sh\ntest ! -e /opt/webhook/hold || { read -r line </opt/webhook/hold; }\n");
    site.client.edit(
        "cutover.toml",
        "[targets.webhook.host.service]",
        "[targets.webhook.host.run]\ninstall = [\"./hold\"]\n\n[targets.webhook.host.service]",
    );
    site.host.shell("deploy", "mkfifo /opt/webhook/hold");
    site.commit("2");
    let other = site.client.colleague();

    // Given one that is in the middle of its installation,
    let mut first = site.client.start(&["deploy", "production"]);
    first.await_words("✓ dependencies");
    // when the other begins,
    other.write("VERSION", "3\n");
    other.commit("Version 3");
    other.run(&["deploy", "production"]).expect(6).says(&["locked by ada"]);
    let mut second = other.start(&["deploy", "production", "--wait"]);
    second.await_words("waiting");
    site.host.shell("deploy", "echo go >/opt/webhook/hold; rm /opt/webhook/hold");

    // Then both come to their end, one after the other.
    first.end().expect(0);
    second.end().expect(0);
    site.assert_serves("3");
}

#[test]
fn when_the_server_is_unavailable_in_the_middle_it_finishes_by_itself_and_tells_afterwards() {
    let Some(site) = webhook("when_the_server_is_unavailable_in_the_middle_it_finishes_by_itself_and_tells_afterwards")
    else {
        return;
    };
    site.deploy("1").expect(0);
    site.commit("2");
    let mut client = site.client.start(&["deploy", "production"]);
    client.await_words("✓ dependencies");

    site.host.unplug();
    let lost = client.end().expect(7);
    site.host.plug_in();

    lost.says(&["lost the connection", "the host goes on by itself", "cutover resume"]);
    site.client.run(&["resume", "production"]).expect(0);
    site.assert_serves("2");
}

#[test]
fn credentials_are_in_no_log_and_no_file_that_others_may_read() {
    let Some(site) = webhook("credentials_are_in_no_log_and_no_file_that_others_may_read") else { return };
    let told = site.deploy("1").expect(0).told();
    break_health(&site);
    let told = told + &site.deploy("2").expect(3).told();

    site.assert_secret_is_kept(&told);
}

#[test]
fn when_the_server_has_too_little_disk_space_it_is_told_before_anything_is_unpacked() {
    let Some(site) = webhook("when_the_server_has_too_little_disk_space_it_is_told_before_anything_is_unpacked") else {
        return;
    };
    site.deploy("1").expect(0);
    site.client.edit("cutover.toml", "keep_releases = 3", "keep_releases = 3\ndisk_free_min = \"100 GiB\"");
    let releases = site.there("ls releases");

    site.deploy("2").expect(1).says(&["✗ preflight", "too little room"]);

    assert_eq!(site.there("ls releases"), releases);
    site.assert_serves("1");
}

#[test]
fn the_tests_of_webhook_pass() {
    let client = Client::new();
    client.copy(&directory(&WEBHOOK));
    let python = client.here("python3", &["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    client.here("bin/wheels", &[&python, std::env::consts::ARCH]);
    client.here("python3", &["-m", "venv", "env"]);
    client
        .here("env/bin/pip", &["install", "--quiet", "--no-index", "--find-links", "wheels", "-r", "requirements.txt"]);
    let mut tests = Command::new(client.path("repo/env/bin/python"));
    tests.args(["-B", "-m", "unittest", "discover", "tests"]).current_dir(Path::new(&client.path("repo")));

    Ran::from(tests.output().unwrap()).expect(0);
}
