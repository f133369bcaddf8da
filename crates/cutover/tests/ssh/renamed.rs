//! A host that the config calls otherwise from one day on.

use crate::world::{Ran, World, let_verification_pass};
use serde_json::Value;

/// The config calls this machine otherwise from now on.
fn rename(world: &World, address: &str, name: &str) {
    let config = std::fs::read_to_string(world.path("repo/cutover.toml")).unwrap();
    world.write("cutover.toml", &config.replace(&format!("\"deploy@{address}\""), &format!("\"{name}\"")));
    let ssh = std::fs::read_to_string(world.path("repo/ssh_config")).unwrap();
    let alias = format!("Host {name}\n  HostName {address}\n  User deploy\n");
    world.write("ssh_config", &format!("{ssh}\n{alias}"));
}

/// Asks as somebody who has a history of their own.
fn ask_as_another(world: &World, args: &[&str]) -> Ran {
    world.cutover(args).env("CUTOVER_HOME", world.path("other")).output().unwrap().into()
}

/// The newest deployment of this answer.
fn newest(history: &Ran) -> Value {
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    history["deployments"][0].clone()
}

#[test]
fn a_host_that_was_stuck_and_then_renamed_is_told_of_as_what_it_was_called() {
    let test = "a_host_that_was_stuck_and_then_renamed";
    let Some(world) = World::new(test) else { return };
    world.add_config("[environments.production.targets.app.host.verify]\nwithin = \"1s\"\n");
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    // Given a deployment that is stuck: neither the new release nor the old one is seen healthy.
    world.close();
    world.commit("two");
    let stuck = world.run(&["deploy", "production"]);
    assert_eq!(stuck.code, 4, "{stuck:?}");
    world.open();

    let name = format!("deploy@{}", world.host.address());
    rename(&world, &world.host.address(), "till");
    let resumed = world.run(&["resume", "production"]);

    assert_eq!((resumed.code, world.answer().as_str()), (3, "one"), "{resumed:?}");
    assert!(resumed.stderr.contains(&format!("as {name}, a name that no host")), "{resumed:?}");
    let newest = newest(&world.run(&["history", "production", "--offline", "--json"]));
    assert_eq!(newest["outcome"], "rolled_back", "{newest}");
}

#[test]
fn what_several_hosts_did_is_whole_also_where_one_of_them_was_renamed_since() {
    let test = "what_several_hosts_did_is_whole";
    let Some(world) = World::with_hosts(test, 2) else { return };
    world.hosts().for_each(|host| let_verification_pass(host, true));
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    rename(&world, &world.others[0].address(), "till");

    // When somebody asks whose history is empty.
    let asked = ask_as_another(&world, &["history", "production", "--json"]);

    assert!(asked.code == 0 && asked.stderr.contains("a name that no host"), "{asked:?}");
    let shown = ask_as_another(&world, &["logs", newest(&asked)["deployment"].as_str().unwrap()]);
    for host in world.hosts() {
        assert!(shown.stdout.contains(&host.address()), "{} is missing: {shown:?}", host.address());
    }
    // And when they ask again, no host has more to say of it.
    let again = ask_as_another(&world, &["history", "production"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "{again:?}");
}
