//! The main job, from here to a machine.

use crate::world::World;

#[test]
fn a_bare_account_is_all_that_a_host_needs() {
    let Some(world) = World::new("a_bare_account_is_all_that_a_host_needs") else { return };
    world.commit("one");

    let first = world.run(&["deploy", "production"]);
    assert_eq!((first.code, world.answer().as_str()), (0, "one"), "{first:?}");

    let again = world.run(&["deploy", "production"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("Nothing changed"), "{again:?}");

    world.commit("broken");
    let broken = world.run(&["deploy", "production"]);
    assert_eq!((broken.code, world.answer().as_str()), (3, "one"), "{broken:?}");
    assert!(broken.stdout.contains("the till is jammed"), "the host's log came along: {broken:?}");

    world.commit("two");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    assert_eq!(world.answer(), "two");

    let rollback = world.run(&["rollback", "production"]);
    assert_eq!((rollback.code, world.answer().as_str()), (0, "one"), "{rollback:?}");
    let history = world.run(&["history", "production"]);
    assert_eq!(history.stdout.matches("rolled back").count(), 1, "{history:?}");
}

#[test]
fn a_host_whose_key_nobody_knows_is_refused() {
    let Some(world) = World::new("a_host_whose_key_nobody_knows_is_refused") else { return };
    world.commit("one");
    std::fs::write(world.path("known_hosts"), "").unwrap();
    // Not even when the user's own config would take any key.
    let lax = std::fs::read_to_string(world.path("repo/ssh_config")).unwrap() + "\nStrictHostKeyChecking no\n";
    world.write("ssh_config", &lax);

    let untouched = world.host.shell("root", "ls -A /opt/shop /home/deploy");

    let refused = world.run(&["deploy", "production"]);

    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(refused.stderr.contains("Host key verification failed"), "{refused:?}");
    assert!(refused.stderr.contains("state: nothing was changed"), "{refused:?}");
    assert_eq!(world.host.shell("root", "ls -A /opt/shop /home/deploy"), untouched);
}

#[test]
fn a_deployment_outlives_the_client_that_asked_for_it_and_another_one_attaches() {
    let Some(world) = World::new("a_deployment_outlives_the_client_that_asked_for_it") else { return };
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    world.commit("two");
    world.close();

    // It is being verified: client and ssh are killed.
    world.start_until(&["deploy", "production"], "✓ restart").kill();
    let attached = world.start_until(&["resume", "production"], "✓ restart");
    world.open();
    let (said, code) = attached.end();

    assert_eq!(code, 0, "{said}");
    assert!(said.contains("✓ verify") && said.contains("Deployed in"), "{said}");
    assert_eq!((world.current().as_str(), world.answer().as_str()), ("two", "two"));
}

#[test]
fn who_attaches_can_have_it_taken_back() {
    let Some(world) = World::new("who_attaches_can_have_it_taken_back") else { return };
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    world.commit("two");
    world.close();
    world.start_until(&["deploy", "production"], "✓ restart").kill();

    let mut attached = world.start_until(&["resume", "production"], "✓ restart");
    attached.interrupt();
    attached.await_words("stopped at verify");
    // What was live before is verified too.
    world.open();
    let (said, code) = attached.end();

    assert_eq!((code, world.answer().as_str()), (3, "one"), "{said}");
}

#[test]
fn a_deployment_without_a_client_comes_to_its_end() {
    let Some(world) = World::new("a_deployment_without_a_client_comes_to_its_end") else { return };
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    world.commit("two");

    world.start_until(&["deploy", "production"], "✓ switch").kill();
    world.await_idle();

    assert_eq!((world.current().as_str(), world.answer().as_str()), ("two", "two"));
    let resumed = world.run(&["resume", "production"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
}

#[test]
fn what_one_asks_of_an_environment_is_answered_where_it_is() {
    let Some(world) = World::new("what_one_asks_of_an_environment_is_answered_where_it_is") else { return };
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);

    let status = world.run(&["status", "production"]);
    assert!(status.code == 0 && status.stdout.contains("active (running)"), "{status:?}");
    let all: serde_json::Value = serde_json::from_str(&world.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(all["environments"][0]["targets"][0]["service"]["active"], true, "{all}");
    let releases = world.run(&["releases", "production", "--json"]);
    assert!(releases.stdout.contains(r#""current":true"#), "{releases:?}");
    let exec = world.run(&["app", "production", "exec", "--", "sh", "-c", "cat VERSION; exit 42"]);
    assert_eq!((exec.code, exec.stdout.as_str()), (42, "one"), "{exec:?}");
    let logs = world.run(&["app", "production", "logs", "-n", "1"]);
    assert_eq!(logs.code, 0, "{logs:?}");

    assert_eq!(world.run(&["lock", "production", "acquire", "--reason", "stocktaking"]).code, 0);
    world.commit("two");
    let locked = world.run(&["deploy", "production"]);
    assert_eq!((locked.code, world.answer().as_str()), (6, "one"), "{locked:?}");
    assert!(locked.stderr.contains("ada") && locked.stderr.contains("stocktaking"), "{locked:?}");
    assert_eq!(world.run(&["lock", "production", "release"]).code, 0);
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
}
