//! A service that no probe asks: what is not seen of it is said wherever somebody could take it for seen.

use crate::sandbox::Sandbox;

const SERVICE: &str = "service.command = { restart = \"true\", stop = \"true\", status = \"true\" }\n";
const PROBE: &str = "verify.probes = [{ command = { run = \"true\" } }]";
const WARNED: &str = "no probe says whether target api works: only that its process runs on for";

#[test]
fn a_service_without_a_probe_is_told_of_by_plan_deploy_and_doctor_with_what_to_write() {
    let sandbox = Sandbox::deployable(SERVICE);
    let planned = sandbox.run(&["plan", "production"]);
    let json = sandbox.run(&["plan", "production", "--json"]).json();
    sandbox.host(&format!("{SERVICE}verify.soak = \"100ms\""), "");

    let deployed = sandbox.run(&["deploy", "production"]);
    let doctor = sandbox.run(&["doctor", "production"]);

    let said = planned.stdout.lines().find(|line| line.starts_with("! ")).unwrap();
    insta::assert_snapshot!(said, @r#"! no probe says whether target api works: only that its process runs on for 5s is seen; give [targets.api.host.verify] one, such as probes = [{ http = { url = "http://127.0.0.1:8000/health" } }]; probes = [{ unit = { stable = "10s" } }] where its process is all there is to see"#);
    assert_eq!(json["remarks"][0].as_str().unwrap(), &said[2..]);
    assert!(doctor.code == 0 && doctor.stdout.contains(&format!("! probes     {WARNED} 100ms is seen")), "{doctor:?}");
    assert!(doctor.stdout.contains("-> give [targets.api.host.verify] one, such as probes = [{ http"), "{doctor:?}");
    assert!(deployed.code == 0 && deployed.stdout.matches(WARNED).count() == 1, "{deployed:?}");
}

#[test]
fn a_service_with_a_probe_and_what_has_no_service_are_not() {
    for target in [&format!("{SERVICE}{PROBE}"), ""] {
        let sandbox = Sandbox::deployable(target);
        for args in [["plan", "production"], ["deploy", "production"], ["doctor", "production"]] {
            let ran = sandbox.run(&args);
            assert!(ran.code == 0 && !ran.stdout.contains("no probe says"), "{ran:?}");
        }
    }
}

#[test]
fn going_back_to_a_release_that_was_made_without_a_probe_says_what_is_not_asked_of_it() {
    let sandbox = Sandbox::deployable(&format!("{SERVICE}verify.soak = \"100ms\""));
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    sandbox.host(&format!("{SERVICE}{PROBE}"), "");
    let second = sandbox.run(&["deploy", "production"]);
    assert!(second.code == 0 && !second.stdout.contains("without a probe"), "{second:?}");

    let back = sandbox.run(&["rollback", "production"]);

    assert_eq!(back.code, 0, "{back:?}");
    let told = back.settled();
    let said = told.lines().find(|line| line.contains("without a probe")).unwrap_or(&told);
    insta::assert_snapshot!(said.trim(), @"! release RELEASE of target api was made without a probe, and is not asked what cutover.toml asks now: only that its process runs on for 100ms is seen; see for yourself that it works");
}
