//! What is in the way of a deployment, told before there is one.

use crate::sandbox::Sandbox;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

#[test]
fn a_plan_and_the_doctor_tell_what_is_in_the_way_of_the_next_deployment() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let plan = || sandbox.run(&["plan", "production"]).stdout;
    assert!(!plan().contains('!'), "{}", plan());
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    sandbox.reopen_last_journal(6);

    let unfinished = plan();

    assert!(
        unfinished.contains("! deployment ") && unfinished.contains(" is unfinished (it stopped at "),
        "{unfinished}"
    );
    assert!(unfinished.contains("it would be taken back first"), "{unfinished}");
    let lock = ["lock", "production", "acquire", "--reason", "database move", "--for", "2h"];
    assert_eq!(sandbox.run(&lock).code, 0);
    let locked = plan();
    assert!(locked.contains("! maintenance lock by ") && locked.contains(": database move; until it ends"), "{locked}");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 6);
    let doctor = sandbox.run(&["doctor", "production"]);
    assert!(doctor.stdout.contains("holds the maintenance lock until "), "{doctor:?}");
    assert!(doctor.stdout.contains("`cutover lock production release`") && doctor.code == 1, "{doctor:?}");
}

#[test]
fn a_plan_tells_of_a_port_that_somebody_else_has_and_of_a_disk_without_room() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = stranger.local_addr().unwrap();
    let service = "service.process.command = [\"sleep\", \"1000\"]\n";
    let sandbox = Sandbox::deployable(&format!("{service}verify.probes = [{{ tcp = {{ address = \"{at}\" }} }}]"));

    let (plan, json) = (sandbox.run(&["plan", "production"]), sandbox.run(&["plan", "production", "--json"]));

    let why = format!("a deployment would fail: {at} is taken by pid {} (", std::process::id());
    assert!(plan.code == 0 && plan.stdout.contains(&format!("! {why}")), "{plan:?}");
    assert!(
        json.json()["remarks"].as_array().unwrap().iter().any(|one| one.as_str().unwrap().starts_with(&why)),
        "{json:?}"
    );

    // A service that does not run could not have it: nothing is tried, and a rehearsal tells that once.
    let refused = format!("preflight: {at} is taken by pid {} (", std::process::id());
    let (rehearsed, deploy) =
        (sandbox.run(&["deploy", "production", "--dry-run"]), sandbox.run(&["deploy", "production"]));
    assert!(rehearsed.code == 1 && rehearsed.stderr.contains(&refused), "{rehearsed:?}");
    assert!(!rehearsed.stdout.contains("is taken by"), "{rehearsed:?}");
    assert!(deploy.code == 1 && deploy.told().contains(&refused), "{deploy:?}");
    assert!(!deploy.told().contains("assemble"), "{deploy:?}");

    drop(stranger);
    sandbox.write("cutover.toml", &sandbox.config().replace("disk_free_min = \"0 B\"", "disk_free_min = \"9000 TiB\""));
    let full = sandbox.run(&["plan", "production"]);
    assert!(full.stdout.contains("B free, and ") && !full.stdout.contains(&why), "{full:?}");
    assert!(full.stdout.contains("free some space, lower keep_releases, or lower disk_free_min"), "{full:?}");
}

#[test]
fn a_current_that_leads_to_no_release_is_called_so_by_whoever_looks() {
    let sandbox = Sandbox::deployable("");
    let current = sandbox.path().join("srv/current");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let target = std::fs::read_link(&current).unwrap();
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");

    // Given a link that somebody removed: a deployment goes on, without a way back.
    std::fs::remove_file(&current).unwrap();
    let doctor = sandbox.run(&["doctor", "production"]);
    assert!(
        doctor.code == 0 && doctor.stdout.contains("! current    DIR/srv/current is missing, though"),
        "{doctor:?}"
    );
    assert!(doctor.stdout.contains(&format!("`ln -s {} DIR/srv/current`", target.display())), "{doctor:?}");
    let plan = sandbox.run(&["plan", "production"]);
    assert!(plan.code == 0 && plan.stdout.contains("! DIR/srv/current is missing, though"), "{plan:?}");
    assert!(plan.stdout.contains("; no release is live\n"), "{plan:?}");
    for command in [&["status"][..], &["app", "production", "exec", "true"]] {
        let told = sandbox.run(command).told();
        assert!(told.contains("DIR/srv/current is missing") && !told.contains("nothing is live yet"), "{told}");
    }

    // Given one to a release that is not there: a deployment is refused before anything is done.
    symlink("releases/gone", &current).unwrap();
    let why = "DIR/srv/current points to release gone, which is not there";
    let doctor = sandbox.run(&["doctor", "production"]);
    assert!(doctor.code == 1 && doctor.stdout.contains(&format!("✗ current    {why}")), "{doctor:?}");
    let plan = sandbox.run(&["plan", "production"]);
    assert!(plan.code == 0 && plan.stdout.contains(&format!("! a deployment would fail: {why}")), "{plan:?}");
    let deploy = sandbox.run(&["deploy", "production"]).told();
    assert!(deploy.contains(&format!("preflight: {why}")) && !deploy.contains("assemble"), "{deploy}");
    assert!(deploy.contains("nothing that runs was changed; no release is live"), "{deploy}");
    let rehearsed = sandbox.run(&["deploy", "production", "--dry-run"]);
    assert!(rehearsed.code == 1 && rehearsed.stderr.contains(why) && !rehearsed.stdout.contains(why), "{rehearsed:?}");
    for command in [&["status"][..], &["app", "production", "exec", "true"]] {
        let told = sandbox.run(command).told();
        assert!(told.contains(why) && !told.contains("live: gone"), "{told}");
    }

    // And what they say to do works.
    std::fs::remove_file(&current).unwrap();
    symlink(&target, &current).unwrap();
    assert_eq!(sandbox.run(&["doctor", "production"]).code, 0);
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
}
