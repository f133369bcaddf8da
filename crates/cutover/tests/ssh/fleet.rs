//! One release on several machines.

use crate::host::Host;
use crate::world::{World, await_that, let_verification_pass};

/// A shop on so many machines, all of which serve version one.
fn open_shops(test: &str, count: usize) -> Option<World> {
    let world = World::with_hosts(test, count)?;
    world.commit("one");
    let first = world.run(&["deploy", "production"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(world.answers(), vec!["one"; count]);
    Some(world)
}

/// Waits until `current` leads to this version.
fn await_version(host: &Host, version: &str) {
    await_that(version, || host.shell("root", "cat /opt/shop/current/VERSION") == version);
}

#[test]
fn a_wave_that_is_broken_takes_back_what_was_switched_before() {
    let Some(world) = open_shops("a_wave_that_is_broken_takes_back_what_was_switched_before", 4) else { return };
    // Given a third machine on which no new release becomes healthy.
    world.add_config(
        "[environments.production.rollout]\ncanary = 1\nbatch = 2\n\
         [environments.production.targets.app.host.verify]\nwithin = \"3s\"\n",
    );
    let_verification_pass(&world.others[1], false);
    world.commit("two");

    let broken = world.run(&["deploy", "production", "--reason", "try it"]);

    assert_eq!(broken.code, 4, "where the old release cannot be seen healthy, a person is needed: {broken:?}");
    let_verification_pass(&world.others[1], true);
    let resumed = world.run(&["resume", "production"]);
    assert_eq!(resumed.code, 3, "{resumed:?}");
    assert_eq!(world.answers(), ["one"; 4]);
    let history = world.run(&["history", "production", "--json"]);
    assert_eq!(history.stdout.matches("\"rolled_back\"").count(), 1, "one deployment, whatever its hosts: {history:?}");
}

#[test]
fn a_release_that_starts_nowhere_is_gone_everywhere_and_a_good_one_goes_through_in_waves() {
    let test = "a_release_that_starts_nowhere_is_gone_everywhere";
    let Some(world) = open_shops(test, 3) else { return };
    world.configure_rollout("batch = 1");
    world.commit("broken");

    let broken = world.run(&["deploy", "production"]);

    assert_eq!(broken.code, 3, "{broken:?}");
    assert!(broken.stdout.contains("the till is jammed"), "the host's log came along: {broken:?}");
    assert!(broken.stdout.contains("1 rolled back, 2 unchanged"), "{broken:?}");
    assert_eq!(world.answers(), ["one"; 3]);

    world.commit("two");
    let good = world.run(&["deploy", "production"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains("wave 3 of 3"), "{good:?}");
    assert_eq!(world.answers(), ["two"; 3]);

    let back = world.run(&["rollback", "production"]);
    assert_eq!((back.code, world.answers()), (0, vec!["one".to_owned(); 3]), "{back:?}");
}

#[test]
fn hosts_whose_coordinator_is_killed_between_waves_go_back_by_themselves() {
    let test = "hosts_whose_coordinator_is_killed_between_waves_go_back_by_themselves";
    let Some(world) = open_shops(test, 3) else { return };
    world.configure_rollout("batch = 1\npause = \"1h\"");
    world.commit("two");

    world.start_until(&["deploy", "production"], "switched and healthy").kill();

    world.await_idle();
    assert_eq!(world.answers(), ["one"; 3]);
    let nothing = world.run(&["resume", "production"]);
    assert_eq!(nothing.code, 0, "{nothing:?}");

    // Unless they were told to keep what they have seen healthy.
    world.configure_rollout("batch = 1\npause = \"1h\"\non_lost_coordinator = \"keep\"");
    world.commit("three");
    world.start_until(&["deploy", "production"], "switched and healthy").kill();
    world.await_idle();
    assert_eq!(world.answers(), ["three", "one", "one"]);
}

#[test]
fn a_coordinator_that_says_nothing_any_more_is_not_waited_for_longer_than_its_lease() {
    let test = "a_coordinator_that_says_nothing_any_more_is_not_waited_for";
    let Some(world) = open_shops(test, 2) else { return };
    world.configure_rollout("batch = 1\npause = \"1h\"\nlease = \"2s\"");
    world.commit("two");
    let deployment = world.start_until(&["deploy", "production"], "switched and healthy");

    // Given a client that stands still, with its connections open.
    deployment.stop();

    world.await_idle();
    assert_eq!(world.answers(), ["one"; 2]);
    deployment.kill();
}

#[test]
fn a_host_that_went_back_unheard_is_not_taken_for_healthy_when_the_last_word_is_due() {
    let Some(world) = open_shops("a_host_that_went_back_unheard_is_not_taken_for_healthy", 2) else { return };
    world.configure_rollout("batch = 1\nlease = \"2s\"");
    let_verification_pass(&world.others[0], false);
    world.commit("two");
    // Given a first machine that is healthy, and a second one that is still being looked at.
    let deployment = world.start_until(&["deploy", "production"], "switched and healthy");
    await_version(&world.others[0], "two");

    // When the first one cannot be heard for longer than its lease.
    world.host.unplug();
    await_version(&world.host, "one");
    let_verification_pass(&world.others[0], true);

    // Then the other one, now healthy too, goes back as well.
    await_version(&world.others[0], "one");
    world.host.plug_in();
    let (said, code) = deployment.end();
    assert_eq!((code, world.answers()), (3, vec!["one".to_owned(); 2]), "{said}");
}

#[test]
fn a_host_that_cannot_be_reached_stops_everything_before_anything_is_switched() {
    let test = "a_host_that_cannot_be_reached_stops_everything";
    let Some(world) = open_shops(test, 3) else { return };
    world.commit("two");
    world.others[1].shell("root", "systemctl stop ssh.socket ssh.service 2>/dev/null || true; pkill -x sshd || true");

    let refused = world.run(&["deploy", "production"]);

    assert_eq!(refused.code, 7, "{refused:?}");
    assert_eq!(world.answers(), ["one"; 3]);

    world.configure_rollout("on_unreachable = \"skip\"");
    let skipped = world.run(&["deploy", "production"]);
    assert_eq!(skipped.code, 0, "{skipped:?}");
    assert!(skipped.stdout.contains("1 not reached"), "{skipped:?}");
    assert_eq!(world.answers(), ["two", "two", "one"]);
}

#[test]
fn ctrl_c_takes_back_what_was_switched_on_every_host() {
    let Some(world) = open_shops("ctrl_c_takes_back_what_was_switched_on_every_host", 3) else { return };
    world.configure_rollout("batch = 1\npause = \"1h\"");
    world.commit("two");
    let deployment = world.start_until(&["deploy", "production"], "switched and healthy");

    deployment.interrupt();

    let (said, code) = deployment.end();
    assert_eq!((code, world.answers()), (3, vec!["one".to_owned(); 3]), "{said}");
}

#[test]
fn a_migration_runs_once_before_any_other_host_switches_and_is_taken_back_last() {
    let test = "a_migration_runs_once_before_any_other_host_switches";
    let Some(world) = open_shops(test, 3) else { return };
    // Given migrations that write down where they ran, and a second machine on which the release is not healthy.
    let migrate = "[targets.app.host.run.migrate]\nup = [\"touch\", \"/opt/shop/migrated\"]\ndown = [\"rm\", \"/opt/shop/migrated\"]\n";
    world.add_config(migrate);
    world.commit("two");
    let migrated = |world: &World| -> Vec<bool> {
        world
            .hosts()
            .map(|host| host.shell("root", "test -e /opt/shop/migrated && echo yes || echo no") == "yes")
            .collect()
    };

    let good = world.run(&["deploy", "production"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(migrated(&world), [true, false, false], "the first host migrates for all");

    world.host.shell("root", "rm /opt/shop/migrated");
    world.commit("broken");
    let broken = world.run(&["deploy", "production"]);
    assert_eq!(broken.code, 3, "{broken:?}");
    assert_eq!((migrated(&world), world.answers()), (vec![false; 3], vec!["two".to_owned(); 3]));
    await_that("all locks are free", || world.run(&["resume", "production"]).code == 0);
}

#[test]
fn what_several_hosts_say_has_their_names() {
    let Some(world) = open_shops("what_several_hosts_say_has_their_names", 2) else { return };
    let names: Vec<String> = world.hosts().map(|host| format!("deploy@{}", host.address())).collect();

    let exec = world.run(&["app", "production", "exec", "--", "cat", "VERSION"]);
    let mut said: Vec<&str> = exec.stdout.lines().collect();
    said.sort_unstable();
    let mut expected: Vec<String> = names.iter().map(|name| format!("{name} | one")).collect();
    expected.sort_unstable();
    assert_eq!((exec.code, said), (0, expected.iter().map(String::as_str).collect()), "{exec:?}");

    let status = world.run(&["status", "production", "--json"]);
    assert!(names.iter().all(|name| status.stdout.contains(&format!("\"host\":\"{name}\""))), "{status:?}");
    let one = world.run(&["releases", "production", "--host", &names[1]]);
    assert!(one.code == 0 && one.stdout.contains("← current") && !one.stdout.contains(" | "), "{one:?}");
    let nobody = world.run(&["releases", "production", "--host", "nobody"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");

    let errors = world.run(&["app", "production", "exec", "--", "sh", "-c", "echo closed >&2"]);
    assert!(names.iter().all(|name| errors.stderr.contains(&format!("{name} | closed\n"))), "{errors:?}");

    // One of them is stopped and started by its name.
    let active = || world.hosts().map(|host| host.property("shop", "ActiveState")).collect::<Vec<_>>();
    let app = |verb: &str| world.run(&["app", "production", verb, "--host", &names[1]]);
    let stopped = app("stop");
    assert_eq!((stopped.code, active()), (0, vec!["active".to_owned(), "inactive".to_owned()]), "{stopped:?}");
    let started = app("start");
    assert_eq!((started.code, active()), (0, vec!["active".to_owned(); 2]), "{started:?}");

    // Every state of the config is asked with, and few are kept.
    let config = std::fs::read_to_string(world.path("repo/cutover.toml")).unwrap();
    for number in 0..9 {
        world.write("cutover.toml", &format!("{config}\n# {number}\n"));
        assert_eq!(world.run(&["releases", "production"]).code, 0);
    }
    let kept = world.host.shell("deploy", "ls ~/.local/share/cutover/configs | wc -l");
    assert_eq!(kept, "6");

    // One that cannot be reached hides none of the others.
    world.others[0].unplug();
    world.edit_ssh_config("LogLevel", "LogLevel ERROR\nConnectTimeout 2");
    let half = world.run(&["status", "production"]);
    assert_eq!(half.code, 7, "{half:?}");
    assert!(half.stdout.contains(&format!("{} | ", names[0])) && half.stderr.contains(&names[1]), "{half:?}");
}

#[test]
fn another_client_sees_what_happened_and_so_does_one_that_lost_its_connection() {
    let test = "another_client_sees_what_happened";
    let Some(world) = open_shops(test, 2) else { return };
    let elsewhere = |args: &[&str]| {
        let ran = world.cutover(args).env("CUTOVER_HOME", world.path("other")).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(elsewhere(&["history", "production", "--offline"]), "No deployments.\n");

    let history = elsewhere(&["history", "production"]);
    assert_eq!(history.matches("✓ deployed").count(), 1, "one deployment, whatever its hosts: {history}");

    // The client dies: the hosts know how it ended.
    world.configure_rollout("batch = 1\npause = \"1h\"");
    world.commit("two");
    world.start_until(&["deploy", "production"], "switched and healthy").kill();
    world.await_idle();
    let resumed = world.run(&["resume", "production"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.stdout.contains("↩ rolled back"), "{resumed:?}");
}

#[test]
fn a_host_that_missed_the_last_word_goes_forward_when_another_one_has_settled() {
    let test = "a_host_that_missed_the_last_word_goes_forward";
    let Some(world) = open_shops(test, 2) else { return };
    world.configure_rollout("batch = 1");
    world.commit("two");
    let other = &world.others[0];
    let_verification_pass(other, false);
    let deployment = world.start_until(&["deploy", "production"], "switched and healthy");

    // Given that the first host stands still while it waits, and the second one settles.
    world.host.shell("root", "pkill -STOP -f '[a]gents/'");
    let_verification_pass(other, true);
    let settled = "ls /opt/shop/.cutover/journal/done | wc -l";
    await_that("the second host settles", || other.shell("root", settled) == "2");
    deployment.kill();
    world.host.shell("root", "pkill -KILL -f '[a]gents/'");

    let resumed = world.run(&["resume", "production"]);

    assert_eq!((resumed.code, world.answers()), (0, vec!["two".to_owned(); 2]), "{resumed:?}");
}
