//! What a deployment would do, told from afar.

use crate::host::Host;
use crate::world::World;
use serde_json::Value;

const TOKEN: &str = "made up for this test";

/// Everything under `deploy_to` with all that tells whether it was touched.
fn listing(host: &Host) -> String {
    host.shell("root", "find /opt/shop -printf '%p %i %s %m %u %T@ %C@ %l\\n' | sort")
}

fn listings(world: &World) -> Vec<String> {
    world.hosts().map(listing).collect()
}

/// Shops that have an env file with a secret in it.
fn shops(test: &str, count: usize) -> Option<World> {
    let world = World::with_hosts(test, count)?;
    world.add_config(
        "[environments.production.targets.app.host]\nenv_file = \".env\"\n\
         [environments.production.env]\nMODE = \"fast\"\n\
         [environments.production.secrets]\nTOKEN = { env = \"TOKEN\" }\n\
         [environments.production.rollout]\ncanary = 1\nbatch = 5\n",
    );
    world.commit("one");
    let deployed = run(&world, &["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    Some(world)
}

fn run(world: &World, args: &[&str]) -> crate::world::Ran {
    let ran: crate::world::Ran = world.cutover(args).env("TOKEN", TOKEN).output().unwrap().into();
    assert!(!ran.stdout.contains(TOKEN) && !ran.stderr.contains(TOKEN), "{ran:?}");
    ran
}

#[test]
fn what_a_deployment_would_do_is_told_of_all_hosts_and_touches_none() {
    let Some(world) = shops("what_a_deployment_would_do_is_told_of_all_hosts", 3) else { return };
    let names: Vec<String> = world.hosts().map(|host| format!("deploy@{}", host.address())).collect();
    // Given a host whose env file has another value.
    world.others[1].shell("deploy", "sed -i s/MODE=fast/MODE=slow/ /opt/shop/shared/.env");
    world.commit("two");
    let before = listings(&world);

    let plan = run(&world, &["plan", "production"]);
    let rehearsed = run(&world, &["deploy", "production", "--dry-run"]);
    let diff = run(&world, &["env", "production", "diff"]);
    let json = run(&world, &["plan", "production", "--json"]);

    assert_eq!((plan.code, rehearsed.code, diff.code, json.code), (0, 0, 0, 0), "{plan:?} {rehearsed:?} {diff:?}");
    let waves = format!("wave 1 of 2: {}\nwave 2 of 2: {}, {}\n\n", names[0], names[1], names[2]);
    assert!(plan.stdout.starts_with(&waves), "{plan:?}");
    assert!(plan.stdout.contains(&format!("{}, {}:\nwould make ", names[0], names[1])), "{plan:?}");
    assert!(plan.stdout.contains(&format!("\n{}:\nwould make ", names[2])), "{plan:?}");
    assert!(
        plan.stdout.contains("\napp: 0 files added, 1 changed, 0 removed\napp: variables change MODE\n"),
        "{plan:?}"
    );
    let passed = format!("preflight passed on {}; nothing was changed\n", names.join(", "));
    assert!(rehearsed.stdout.ends_with(&passed), "{rehearsed:?}");
    let said = format!("{}, {}:\napp: unchanged\n{}:\napp: change MODE\n", names[0], names[1], names[2]);
    assert_eq!(diff.stdout, said);
    let lines: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&str, u64)> =
        lines.iter().map(|line| (line["host"].as_str().unwrap(), line["wave"].as_u64().unwrap())).collect();
    assert_eq!(told, [(names[0].as_str(), 1), (&names[1], 2), (&names[2], 2)]);
    assert_eq!(listings(&world), before, "nothing on a host was touched");

    // One that cannot be reached hides none of the others.
    world.others[0].unplug();
    world.edit_ssh_config("LogLevel", "LogLevel ERROR\nConnectTimeout 2");
    for command in [&["plan", "production"][..], &["env", "production", "diff"]] {
        let half = run(&world, command);
        assert_eq!(half.code, 7, "{half:?}");
        assert!(half.stderr.contains(&names[1]) && half.stdout.contains(&names[2]), "{half:?}");
    }
}

#[test]
fn a_plan_for_another_machine_is_the_one_that_is_carried_out_there() {
    let Some(world) = shops("a_plan_for_another_machine_is_the_one_that_is_carried_out", 1) else { return };

    let unchanged = run(&world, &["plan", "production"]);
    world.host.shell("root", "systemctl stop shop.service");
    let stopped = run(&world, &["plan", "production"]);
    world.commit("two");
    let planned: Value = serde_json::from_str(&run(&world, &["plan", "production", "--json"]).stdout).unwrap();
    let deployed = run(&world, &["deploy", "production", "--json"]);

    assert!(unchanged.stdout.starts_with("nothing changed: ") && !unchanged.stdout.contains(';'), "{unchanged:?}");
    assert!(stopped.stdout.ends_with("; its service would be restarted\n"), "{stopped:?}");
    let began = deployed.stdout.lines().find(|line| line.contains("\"event\":\"began\"")).unwrap();
    let began: Value = serde_json::from_str(began).unwrap();
    let names = |steps: &Value| -> Vec<String> {
        steps.as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&planned["steps"]), names(&began["plan"]["steps"]), "{began}");
}
