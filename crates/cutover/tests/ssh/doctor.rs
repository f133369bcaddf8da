//! What the doctor finds, on a machine where one thing after the other is broken.

use crate::setup::{CONFIG, set_up};
use crate::world::World;
use std::fs;

/// How a machine is broken, how the doctor ends then and what it says, and how the machine is put right, where setup does not.
struct Illness {
    broken: &'static str,
    code: i32,
    says: &'static str,
    put_right: &'static str,
}

const ILLNESSES: [Illness; 13] = [
    Illness {
        broken: "rm /etc/sudoers.d/cutover-*",
        code: 1,
        says: "may not run `sudo -n systemctl restart shop.service`",
        put_right: "",
    },
    Illness {
        broken: "echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/more",
        code: 0,
        says: "allows more than deployments need",
        put_right: "rm /etc/sudoers.d/more",
    },
    Illness {
        broken: "rm /etc/systemd/system/shop.service; systemctl stop shop; systemctl daemon-reload",
        code: 1,
        says: "there is no unit shop.service",
        put_right: "systemctl start shop",
    },
    Illness {
        broken: "rm /etc/systemd/system/*.wants/shop.service; systemctl daemon-reload",
        code: 0,
        says: "does not start at boot",
        put_right: "",
    },
    Illness {
        broken: "mkdir /run/systemd/system/shop.service.d; printf '[Service]\nWorkingDirectory=/\nNoNewPrivileges=no\n' \
                 >/run/systemd/system/shop.service.d/a.conf; systemctl daemon-reload",
        code: 0,
        says: "works in \"/\"",
        put_right: "rm -r /run/systemd/system/shop.service.d; systemctl daemon-reload",
    },
    Illness {
        broken: "touch /etc/systemd/system/shop.service",
        code: 0,
        says: "systemd has not read it since",
        // What runs was started as the unit was before, and that is told, too.
        put_right: "systemctl daemon-reload; systemctl restart shop.service",
    },
    Illness {
        broken: "chown root /opt/shop",
        code: 1,
        says: "is no directory that this user can write in",
        put_right: "",
    },
    Illness {
        broken: "systemctl stop shop; systemd-run --quiet --unit=stranger --property=Type=exec python3 -c 'import socket,time; \
                 s=socket.create_server((\"127.0.0.1\",8000)); time.sleep(9999)'; \
                 until grep -q :1F40 /proc/net/tcp; do sleep 0.05; done",
        code: 1,
        says: "127.0.0.1:8000 is taken by",
        put_right: "systemctl stop stranger; systemctl start shop",
    },
    Illness {
        broken: "rm /etc/systemd/journald.conf.d/*",
        code: 0,
        says: "how much room the journal may use",
        put_right: "",
    },
    Illness {
        broken: "gpasswd --delete deploy systemd-journal",
        code: 0,
        says: "cannot be read by this user",
        put_right: "",
    },
    Illness {
        broken: "rm /etc/systemd/system/*.wants/cutover-*; systemctl daemon-reload",
        code: 0,
        says: "waits for the next command",
        put_right: "",
    },
    Illness {
        broken: "echo >>/usr/local/lib/cutover/shop-production/cutover",
        code: 0,
        says: "another version of Cutover",
        put_right: "",
    },
    Illness {
        broken: "rm /home/deploy/.ssh/authorized_keys",
        code: 7,
        says: "`cutover setup production` lets your key in",
        put_right: "",
    },
];

#[test]
fn each_thing_that_is_broken_on_a_host_is_found_with_a_fix_and_all_else_is_well() {
    let Some(world) = World::bare("each_thing_that_is_broken_on_a_host_is_found", CONFIG) else { return };
    world.commit("one");
    set_up(&world);
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    let well = world.run(&["doctor", "production"]);
    assert_eq!(well.code, 0, "{well:?}");
    assert!(well.stdout.contains("everything is well"), "{well:?}");

    for Illness { broken, code, says, put_right } in ILLNESSES {
        world.host.shell("root", broken);
        let found = world.run(&["doctor", "production"]);
        assert_eq!(found.code, code, "{broken}: {found:?}");
        assert!(found.stdout.contains(says) && found.stdout.contains("->"), "{broken}: {found:?}");

        let repaired = world.run(&["setup", "production"]);
        assert_eq!(repaired.code, 0, "{broken}: {repaired:?}");
        world.host.shell("root", put_right);
        let well = world.run(&["doctor", "production"]);
        assert!(well.stdout.contains("everything is well"), "after {broken}: {well:?}");
    }
}

#[test]
fn what_is_wrong_with_the_config_or_the_way_is_found_too() {
    let Some(world) = World::bare("what_is_wrong_with_the_config_or_the_way_is_found_too", CONFIG) else { return };
    let stranger = world.run(&["doctor", "production"]);
    assert_eq!(stranger.code, 7, "{stranger:?}");
    assert!(stranger.stdout.contains("nobody has confirmed it"), "{stranger:?}");
    set_up(&world);
    let config = fs::read_to_string(world.path("repo/cutover.toml")).unwrap();

    for (from, to, code, says) in [
        ("disk_free_min = \"0 B\"", "disk_free_min = \"9000 TiB\"", 1, "must remain"),
        ("inodes_free_min = 0", "inodes_free_min = 1000000000", 1, "inodes free, and 1000000000 must remain"),
        (
            "[targets.app.host.service]",
            "[targets.app.host.python]\ninterpreter = \"python9\"\n[targets.app.host.service]",
            1,
            "python9 does not start",
        ),
        (
            "[environments.production.hosts]",
            "[environments.production]\nsecrets = [\"NOT_THERE\"]\n[environments.production.hosts]",
            1,
            "NOT_THERE",
        ),
        ("[ssh]", "[ssh]\nport = 9", 7, "host key"),
    ] {
        assert!(config.contains(from));
        world.write("cutover.toml", &config.replace(from, to));
        let found = world.run(&["doctor", "production"]);
        assert_eq!(found.code, code, "{to}: {found:?}");
        assert!(found.stdout.contains(says), "{to}: {found:?}");
    }

    world.write("cutover.toml", &config);
    let json = world.run(&["doctor", "production", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&told["v"], &told["failed"]), (&1.into(), &0.into()), "{told}");
    assert!(told["places"][2]["findings"].as_array().unwrap().len() > 8, "{told}");
}
