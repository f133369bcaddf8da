//! The main job, from here to a machine.

use crate::world::{World, kill_group};

#[test]
fn a_bare_account_is_all_that_a_host_needs() {
    let Some(world) = World::new("a_bare_account_is_all_that_a_host_needs") else { return };
    world.commit("one");

    let first = world.run(&["deploy", "production"]);
    assert_eq!((first.code, world.answer().as_str()), (0, "one"), "{first:?}");

    let again = world.run(&["deploy", "production"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("nothing changed"), "{again:?}");

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
    let lax = std::fs::read_to_string(world.path("ssh_config")).unwrap() + "\nStrictHostKeyChecking no\n";
    world.write("ssh_config", &lax);

    let refused = world.run(&["deploy", "production"]);

    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(refused.stderr.contains("Host key verification failed"), "{refused:?}");
    assert!(refused.stderr.contains("state: nothing was changed"), "{refused:?}");
    assert_eq!(world.host.shell("root", "ls -A /opt/shop /home/deploy/.cache 2>/dev/null || true"), "/opt/shop:");
}

#[test]
fn a_deployment_outlives_the_client_that_asked_for_it() {
    let Some(world) = World::new("a_deployment_outlives_the_client_that_asked_for_it") else { return };
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    world.commit("two");

    // The service is about to be restarted: `ssh` and client are killed.
    let mut client = world.start_until(&["deploy", "production"], r#""switches":true"#);
    kill_group(&mut client);
    world.await_idle();

    assert!(["one", "two"].contains(&world.current().as_str()));
    assert_eq!(world.answer(), world.current());
    let resumed = world.run(&["resume", "production"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
}
