//! Following what services on other machines log.

use crate::world::{Ran, Started, World, await_that};

/// Shops that say on their standard output which version they sell, and a secret, which they should not.
fn talking_shops(test: &str) -> Option<World> {
    let world = World::with_hosts(test, 2)?;
    let shop = std::fs::read_to_string(world.path("repo/shop.py")).unwrap();
    let says = "token = open('.env').read().split('TOKEN=')[1].split()[0].strip('\"')\n\
                print('selling', version, 'by', token, flush=True)\nclass Answer";
    world.write("shop.py", &shop.replace("class Answer", says));
    world.add_config(
        "[environments.production.targets.app.host]\nenv_file = \".env\"\n\
         [environments.production.secrets]\nTOKEN = { env = \"TOKEN\" }\n",
    );
    deploy(&world, "one");
    Some(world)
}

/// Deploys a version with a secret of its own.
fn deploy(world: &World, version: &str) {
    world.commit(version);
    let token = format!("made-up-for-{version}");
    let deployed: Ran = world.cutover(&["deploy", "production"]).env("TOKEN", token).output().unwrap().into();
    assert_eq!(deployed.code, 0, "{deployed:?}");
}

/// What of a follower still runs on any of the machines.
fn left_over(world: &World) -> String {
    let look = "pgrep -a journalctl || true; pgrep -af '[l]ogs (-f|--follow)|[a]gent serve' || true";
    world.hosts().map(|host| host.shell("root", look)).collect()
}

fn await_nothing_left(world: &World, when: &str) {
    await_that(&format!("nothing is left once {when}"), || left_over(world).is_empty());
}

fn follow(world: &World, words: &str) -> Started {
    let started = world.start_until(&["app", "production", "logs", "-f", "-n", "20"], words);
    assert!(left_over(world).contains("journalctl"), "{}", left_over(world));
    started
}

#[test]
fn logs_of_several_hosts_are_followed_across_a_deployment_and_nothing_is_left_of_it() {
    let Some(world) = talking_shops("logs_of_several_hosts_are_followed") else { return };
    let name = format!("deploy@{}", world.others[0].address());

    let mut followed = follow(&world, " | selling one by ***");
    deploy(&world, "two");
    followed.await_words(" | selling two by ***");
    followed.await_words(" | selling two by ***");
    world.others[0].shell("root", "systemctl restart shop.service");
    followed.await_words(&format!("{name} | selling two by ***"));
    followed.interrupt();
    let (_, code) = followed.end();
    assert_eq!(code, -1, "it ended by the signal itself, which a shell calls 130");
    await_nothing_left(&world, "it was interrupted");

    follow(&world, " | selling two").kill();
    await_nothing_left(&world, "the client was killed");

    // Given a cable that is pulled out while nothing is said.
    let followed = follow(&world, " | selling two");
    world.hosts().for_each(crate::host::Host::unplug);
    await_nothing_left(&world, "the connection was cut");
    let (_, code) = followed.end();
    assert_eq!(code, 7);
}
