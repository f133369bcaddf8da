//! From a bare machine to a healthy service, and back.

use crate::world::{Ran, World};
use std::fs;

/// A service that writes what outlives releases.
pub(crate) const CONFIG: &str = r#"# The shop's own words.
name = "shop"

[targets.app.host]
deploy_to = "/opt/shop"
linked_dirs = ["data"]
disk_free_min = "0 B"
inodes_free_min = 0

[targets.app.host.service]
unit = "shop.service"
start = ["/usr/bin/python3", "shop.py"]

[targets.app.host.verify]
within = "30s"
probes = [
  { http = { url = "http://127.0.0.1:8000/" } },
  { command = { run = "test ! -e /run/closed" } },
]

[ssh]
config_file = "ssh_config" # who we are

[environments.production.hosts]
app = ["deploy@ADDRESS"]
"#;

/// Every file of the machine's configuration and accounts, with owner, mode and content. Backups of passwd and the agent in
/// root's cache are no part of it.
const PICTURE: &str = r#"cd /
find etc usr/local opt root home var/lib/cutover var/lib/systemd/linger -xdev ! -path 'etc/ssl/*' ! -path 'etc/*-' \
    ! -path etc/.pwd.lock ! -path 'root/.cache*' 2>/dev/null | sort | while read -r path; do
    stat --printf='%N %U %a ' "$path"
    if [ -f "$path" ] && [ ! -L "$path" ]; then md5sum <"$path"; else echo; fi
done"#;

fn picture(world: &World) -> Vec<String> {
    world.host.shell("root", PICTURE).lines().map(str::to_owned).collect()
}

/// Fails the test unless the machine looks as it did.
#[track_caller]
fn assert_as_before(world: &World, before: &[String], ran: &Ran) {
    let after = picture(world);
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}\n{ran:?}");
}

fn fingerprint(world: &World) -> String {
    let said = world.host.shell("root", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    said.split(' ').nth(1).unwrap().to_owned()
}

fn config(world: &World) -> String {
    fs::read_to_string(world.path("repo/cutover.toml")).unwrap()
}

pub(crate) fn set_up(world: &World) -> Ran {
    let ran = world.run(&["setup", "production", "--accept-host-key", &fingerprint(world)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

#[test]
fn a_bare_machine_serves_after_two_commands_and_a_second_setup_has_nothing_to_do() {
    let Some(world) = World::bare("a_bare_machine_serves_after_two_commands", CONFIG) else { return };
    world.commit("one");

    let first = set_up(&world);
    let deployed = world.run(&["deploy", "production"]);

    assert_eq!((deployed.code, world.answer().as_str()), (0, "one"), "{first:?} {deployed:?}");
    assert!(config(&world).contains("# The shop's own words.") && config(&world).contains("# who we are"));
    assert!(config(&world).contains(&world.host_key()), "{}", config(&world));
    let before = picture(&world);
    let again = world.run(&["setup", "production"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    assert_as_before(&world, &before, &again);
    // Hardened, and still able to write what it may.
    world.host.shell("root", "systemctl show shop --property=NoNewPrivileges,ProtectSystem | sort | tr '\\n' ' ' | grep 'NoNewPrivileges=yes ProtectSystem=strict'");
    let pid = world.host.property("shop", "MainPID");
    world.host.shell(
        "root",
        &format!("nsenter -t {pid} -m -- setpriv --reuid=deploy --clear-groups touch /opt/shop/shared/data/kept"),
    );
    let refused = format!("! nsenter -t {pid} -m -- setpriv --reuid=deploy --clear-groups touch /opt/shop/current/new");
    world.host.shell("root", &refused);
}

/// The variables of the service's main process.
fn environment(world: &World) -> String {
    let pid = world.host.property("shop", "MainPID");
    world.host.shell("root", &format!("tr '\\0' '\\n' </proc/{pid}/environ"))
}

#[test]
fn who_deploys_cannot_have_a_file_read_that_they_may_not_read_nor_make_systemd_wait() {
    let with_env = CONFIG.replace("linked_dirs", "env_file = \".env\"\nlinked_dirs").replace(
        "[environments.production.hosts]",
        "[environments.production]\nenv = { MODE = \"fast\" }\n\n[environments.production.hosts]",
    );
    let Some(world) = World::bare("who_deploys_cannot_have_a_file_read", &with_env) else { return };
    // Given a service that a setup of before prepared, with the file read by systemd.
    set_up(&world);
    let unit = "/etc/systemd/system/shop.service";
    world.host.shell(
        "root",
        &format!("sed -i 's|^ExecStart=.* -- |EnvironmentFile=-/opt/shop/current/.env\\nExecStart=|' {unit}"),
    );
    let renewed = world.run(&["setup", "production"]);
    assert!(renewed.stdout.contains(&format!("~ file {unit}")), "{renewed:?}");
    world.commit("one");
    let deployed = world.run(&["deploy", "production"]);
    assert_eq!((deployed.code, world.answer().as_str()), (0, "one"), "{deployed:?}");
    assert!(environment(&world).lines().any(|line| line == "MODE=fast"));
    let well = world.run(&["doctor", "production"]);
    assert!(well.stdout.contains("everything is well"), "{well:?}");

    world.host.shell("root", "umask 077; echo TOKEN=hunter2 >/root/token");
    let restart = "sudo -n systemctl restart shop.service";
    let pid = world.host.property("shop", "MainPID");
    world
        .host
        .shell("deploy", &format!("rm /opt/shop/current/.env; ln -s /root/token /opt/shop/current/.env; {restart}"));
    let journal = || world.host.shell("root", "journalctl --unit=shop --output=cat");
    crate::world::await_that("it is told", || {
        journal().contains("read env file /opt/shop/current/.env: Permission denied")
    });
    let now = world.host.property("shop", "MainPID");
    assert!(now != pid && (now == "0" || !environment(&world).contains("hunter2")), "{now}");
    assert!(!journal().contains("hunter2"));

    // A pipe makes nobody wait.
    world.host.shell("root", "systemctl reset-failed shop; systemctl stop shop");
    world
        .host
        .shell("deploy", &format!("rm /opt/shop/current/.env; mkfifo /opt/shop/current/.env; timeout 20 {restart}"));
    crate::world::await_that("it is told", || journal().contains("it is no regular file"));
    world.host.shell("root", "timeout 20 systemctl daemon-reload");
    // Without the file it runs, as it did before.
    world.host.shell("deploy", "rm /opt/shop/current/.env");
    world.host.shell("root", "systemctl reset-failed shop; systemctl restart shop");
    crate::world::await_that("the service answers", || world.has_answer());
    assert!(!environment(&world).contains("MODE="));
}

#[test]
fn a_dry_run_tells_every_file_and_changes_nothing() {
    let Some(world) = World::bare("a_dry_run_tells_every_file_and_changes_nothing", CONFIG) else { return };
    let (machine, text) = (picture(&world), config(&world));

    let ran = world.run(&["setup", "production", "--dry-run", "--accept-host-key", &fingerprint(&world)]);

    assert_eq!(ran.code, 0, "{ran:?}");
    for words in [
        "useradd",
        "+ExecStart=/usr/bin/python3 shop.py",
        "/usr/bin/systemctl restart shop.service",
        "systemctl daemon-reload",
        "nothing was changed",
    ] {
        assert!(ran.stdout.contains(words), "{words} is not in {}", ran.stdout);
    }
    assert_eq!(config(&world), text);
    assert_as_before(&world, &machine, &ran);
}

#[test]
fn a_key_that_nobody_confirmed_or_that_changed_ends_it_before_anything_is_shown_to_the_host() {
    let Some(world) = World::bare("a_key_that_nobody_confirmed_or_that_changed_ends_it", CONFIG) else { return };
    let (machine, text) = (picture(&world), config(&world));

    let unknown = world.run(&["setup", "production"]);
    assert_eq!(unknown.code, 7, "{unknown:?}");
    assert!(
        unknown.stderr.contains(&fingerprint(&world)) && unknown.stderr.contains("--accept-host-key"),
        "{unknown:?}"
    );
    let other =
        world.run(&["setup", "production", "--accept-host-key", "SHA256:ICANNOTBERIGHTICANNOTBERIGHTICANNOTBERIGHT0"]);
    assert_eq!(other.code, 7, "{other:?}");
    assert_eq!(config(&world), text);

    let stranger = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";
    fs::write(world.path("known_hosts"), format!("{} {stranger}\n", world.host.address())).unwrap();
    let changed = world.run(&["setup", "production", "--accept-host-key", &fingerprint(&world)]);
    assert_eq!(changed.code, 7, "{changed:?}");
    let shown = format!("another key than the one that is known: {}", fingerprint(&world));
    assert!(changed.stderr.contains(&shown), "{changed:?}");
    assert_as_before(&world, &machine, &changed);
    let logins = world.host.shell("root", "journalctl --unit=ssh --output=cat");
    assert!(!logins.contains("Accepted") && !logins.contains("Failed publickey"), "{logins}");
}

#[test]
fn who_deploys_can_do_as_root_what_deployments_do_and_nothing_else() {
    let Some(world) = World::bare("who_deploys_can_do_as_root_what_deployments_do_and_nothing_else", CONFIG) else {
        return;
    };
    set_up(&world);
    let may = |command: &str| {
        let words: Vec<&str> = ["sudo", "-n"].into_iter().chain(command.split(' ')).collect();
        world.host.command("deploy", &words).output().unwrap().status.success()
    };

    let allowed =
        ["systemctl restart shop.service", "systemctl stop shop.service", "systemctl reset-failed shop.service"];
    let refused = [
        "true",
        "sh",
        "systemctl restart ssh.service",
        "systemctl restart shop.service ssh.service",
        "systemctl stop",
        "systemctl daemon-reload",
        "systemctl edit shop.service",
        "systemctl restart shop",
        "systemctl --help",
        "visudo -c",
        "cat /etc/shadow",
        "-u nobody systemctl restart shop.service",
    ];

    assert_eq!(allowed.map(may), [true; 3]);
    assert_eq!(refused.into_iter().filter(|command| may(command)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn a_deployment_that_a_power_cut_ended_is_brought_to_its_end_by_the_boot_alone() {
    let Some(world) = World::bare("a_deployment_that_a_power_cut_ended_is_brought_to_its_end", CONFIG) else { return };
    set_up(&world);
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    let recovery = "cutover-shop-production.service";
    for told in ["✓ assemble", "✓ switch", "✓ restart"] {
        let version = told.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        world.commit(version);
        world.host.shell("root", "touch /run/closed");
        let before = world.current();

        let deploy = world.start_until(&["deploy", "production"], told);
        world.host.cut_power();
        deploy.kill();
        world.host.power_on();
        crate::world::await_that("the boot has recovered", || world.host.property(recovery, "ActiveState") == "active");

        let left = world.host.shell("root", "ls -A /opt/shop/.cutover/journal/open");
        assert_eq!(left, "", "after {told}");
        let current = world.current();
        assert!(current == version || current == before, "{current} after {told}");
        // Where nothing live was begun the boot itself starts the service, and nobody waits until it listens.
        crate::world::await_that("the service answers", || world.has_answer());
        assert_eq!(world.answer(), current, "after {told}");
        let resumed = world.run(&["resume", "production"]);
        assert!(resumed.code == 0 && resumed.stdout.contains("nothing is unfinished"), "{resumed:?}");
    }
}

#[test]
fn a_removal_leaves_cutover_where_a_unit_of_somebody_else_runs_it() {
    let Some(world) = World::bare("a_removal_leaves_cutover_where_a_unit_of_somebody_else_runs_it", CONFIG) else {
        return;
    };
    set_up(&world);
    let (unit, program) = ("/etc/systemd/system/own.service", "/usr/local/lib/cutover/shop-production/cutover");
    world.host.shell("root", &format!("printf '[Service]\nExecStart={program} agent exec -- ./serve\n' >{unit}"));
    let there = || world.host.shell("root", &format!("test -x {program} && echo yes || echo no"));

    let told = world.run(&["setup", "production", "--remove", "--dry-run", "--data"]);
    let kept = world.run(&["setup", "production", "--remove", "--data"]);

    assert!(told.stdout.contains(&format!("program {program} stays, because {unit} runs it")), "{told:?}");
    assert!(kept.code == 0 && there() == "yes", "{kept:?}");
    assert!(kept.stdout.contains(&format!("{unit} runs {program}")), "{kept:?}");
    assert!([&told, &kept].iter().all(|ran| !ran.stdout.contains("with --data")), "{told:?} {kept:?}");
    // Once nobody needs it, the same command takes it back.
    world.host.shell("root", &format!("rm {unit}"));
    let gone = world.run(&["setup", "production", "--remove", "--data"]);
    assert!(gone.code == 0 && there() == "no", "{gone:?}");
}

#[test]
fn a_unit_that_the_config_asks_for_otherwise_is_told_of_until_setup_has_written_it() {
    let Some(world) = World::bare("a_unit_that_the_config_asks_for_otherwise_is_told_of", CONFIG) else { return };
    set_up(&world);
    world.commit("one");
    let first = world.run(&["deploy", "production"]);
    let well = world.run(&["doctor", "production", "-v"]);
    assert!(first.code == 0 && !first.stdout.contains("cutover.toml asks for"), "{first:?}");
    assert!(well.stdout.contains("agrees with the config"), "{well:?}");

    world.write("cutover.toml", &config(&world).replace("\"shop.py\"]", "\"-u\", \"shop.py\"]"));

    let warned = "shop.service is not what cutover.toml asks for now";
    let doctor = world.run(&["doctor", "production", "-v"]);
    assert!(doctor.stdout.contains(warned) && !doctor.stdout.contains("agrees with the config"), "{doctor:?}");
    assert!(doctor.stdout.contains("-> `cutover setup production` writes it anew"), "{doctor:?}");
    // Once as a change of the config that makes a release, and once where nothing else changes.
    for nothing_changed in [false, true] {
        let planned = world.run(&["plan", "production"]);
        let deployed = world.run(&["deploy", "production"]);
        assert!(planned.stdout.contains(&format!("! {warned}")), "{planned:?}");
        assert_eq!(planned.stdout.contains("nothing changed"), nothing_changed, "{planned:?}");
        assert!(deployed.code == 0 && deployed.stdout.matches(warned).count() == 1, "{deployed:?}");
        assert!(deployed.stdout.contains("`cutover setup production`"), "{deployed:?}");
    }
    assert_eq!(world.run(&["setup", "production"]).code, 0);
    // What runs was started as the unit was before.
    let superseded = "shop.service was changed after it was started, and still runs as it was said before";
    for restarted in [false, true] {
        for args in [&["doctor", "production"][..], &["plan", "production"], &["deploy", "production"]] {
            let ran = world.run(args);
            assert!(ran.code == 0 && !ran.stdout.contains(warned), "{ran:?}");
            assert_eq!(ran.stdout.matches(superseded).count(), usize::from(!restarted), "{ran:?}");
            assert_eq!(ran.stdout.contains("`cutover app production restart`"), !restarted, "{ran:?}");
        }
        assert_eq!(world.run(&["app", "production", "restart"]).code, 0);
    }
}

#[test]
fn variables_that_a_unit_of_before_does_not_read_are_told_of_until_setup_has_written_it() {
    let name = "variables_that_a_unit_of_before_does_not_read_are_told_of";
    let Some(world) = World::bare(name, CONFIG) else { return };
    set_up(&world);
    world.commit("one");
    let with = config(&world).replace("linked_dirs", "env_file = \".env\"\nlinked_dirs").replace(
        "[environments.production.hosts]",
        "[environments.production]\nenv = { LEVEL = \"info\" }\n\n[environments.production.hosts]",
    );
    world.write("cutover.toml", &with);

    let warned = "its service does not see the variables and secrets";
    let (planned, deployed) = (world.run(&["plan", "production"]), world.run(&["deploy", "production"]));
    let doctor = world.run(&["doctor", "production"]);

    assert!(planned.code == 0 && planned.stdout.contains(warned), "{planned:?}");
    assert!(deployed.code == 0 && deployed.stdout.matches(warned).count() == 1, "{deployed:?}");
    assert!(deployed.stdout.contains("`cutover setup production` writes it anew"), "{deployed:?}");
    assert!(doctor.stdout.contains("sees no variables and no secrets"), "{doctor:?}");
    assert!(!doctor.stdout.contains("say what it runs in `service.start`"), "{doctor:?}");
    assert_eq!(world.run(&["setup", "production"]).code, 0);
    let after = world.run(&["plan", "production"]);
    assert!(after.code == 0 && !after.stdout.contains(warned), "{after:?}");
}

#[test]
fn what_setup_made_is_taken_back_and_what_was_deployed_only_when_asked() {
    let Some(world) = World::bare("what_setup_made_is_taken_back", CONFIG) else { return };
    let before = picture(&world);
    set_up(&world);
    let removed = world.run(&["setup", "production", "--remove"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_as_before(&world, &before, &removed);

    assert_eq!(world.run(&["setup", "production"]).code, 0);
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    let told = world.run(&["setup", "production", "--remove", "--dry-run"]);
    for words in ["! directory /opt/shop stays, because it is not empty", "! user deploy stays, because they own"] {
        assert!(told.stdout.contains(words), "{words} is not in {told:?}");
    }
    assert!(!told.stdout.contains("- user deploy") && !told.stdout.contains("userdel"), "{told:?}");
    let kept = world.run(&["setup", "production", "--remove"]);
    assert_eq!(kept.code, 0, "{kept:?}");
    for words in [
        "stopped: shop.service, which ran",
        "left: directory /opt/shop is not empty",
        "no service runs from there any more: `cutover setup production`",
    ] {
        assert!(kept.stdout.contains(words), "{words} is not in {kept:?}");
    }
    assert_eq!(world.current(), "one");
    assert_eq!(world.host.property("shop", "ActiveState"), "inactive");
    assert!(!world.host.command("deploy", &["sudo", "-n", "-l"]).output().unwrap().status.success());

    let gone = world.run(&["setup", "production", "--remove", "--data"]);
    assert_eq!(gone.code, 0, "{gone:?}");
    assert_as_before(&world, &before, &gone);
    world.host.shell("root", "test ! -e /root/.cache/cutover");
    assert!(!world.host.has_user("deploy"));
}

#[test]
fn a_user_who_need_not_be_logged_in_serves_after_two_commands() {
    let user = CONFIG.replace("unit = \"shop.service\"", "unit = \"shop.service\"\nscope = \"user\"");
    let Some(world) = World::bare("a_user_who_need_not_be_logged_in_serves_after_two_commands", &user) else { return };
    let before = picture(&world);
    world.commit("one");

    set_up(&world);
    let deployed = world.run(&["deploy", "production"]);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert_eq!(world.answer(), "one");
    assert!(!world.host.command("deploy", &["sudo", "-n", "-l"]).output().unwrap().status.success());
    let again = world.run(&["setup", "production"]);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    world.host.cut_power();
    world.host.power_on();
    crate::world::await_that("the service is back after the boot", || world.has_answer());
    let gone = world.run(&["setup", "production", "--remove", "--data"]);
    assert_eq!(gone.code, 0, "{gone:?}");
    assert_as_before(&world, &before, &gone);
}

#[test]
fn whoever_may_use_sudo_sets_up_too_and_whoever_may_not_is_told_before_anything_is_done() {
    let Some(world) = World::bare("whoever_may_use_sudo_sets_up_too", CONFIG) else { return };
    world.commit("one");
    world.host.shell("root", "useradd --create-home --shell /bin/bash ada; install -d -o ada -m 700 /home/ada/.ssh");
    world.host.shell(
        "root",
        "install -o ada -m 600 /root/.ssh/authorized_keys /home/ada/.ssh/; rm /root/.ssh/authorized_keys",
    );
    let as_ada = || world.run(&["setup", "production", "--as", "ada", "--accept-host-key", &fingerprint(&world)]);
    let before = world.host.shell("root", "cat /etc/passwd; ls /etc/sudoers.d /etc/systemd/system /opt");

    let refused = as_ada();
    assert_eq!(refused.code, 1, "{refused:?}");
    let state = "state: nothing was changed on the host; its key is pinned in cutover.toml";
    assert!(refused.stderr.contains(state) && refused.stderr.contains("--as root"), "{refused:?}");
    let again = as_ada();
    assert!(again.stderr.contains("state: nothing was changed\n"), "{again:?}");
    assert_eq!(world.host.shell("root", "cat /etc/passwd; ls /etc/sudoers.d /etc/systemd/system /opt"), before);

    world.host.shell("root", "echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada");
    let done = as_ada();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    assert_eq!(world.answer(), "one");
}

#[test]
fn what_was_there_before_is_there_again_after_a_removal() {
    let Some(world) = World::bare("what_was_there_before_is_there_again_after_a_removal", CONFIG) else { return };
    world.host.shell(
        "root",
        "useradd --create-home --shell /bin/bash deploy; install -d -o deploy -m 700 /home/deploy/.ssh /opt/shop",
    );
    // Of a setup whose receipt was lost: somebody else's would not be replaced.
    let ours = "# Written by `cutover setup`\n[Service]\nExecStart=/bin/true\n";
    world.host.write("root", "/etc/systemd/system/shop.service", ours);
    world.host.write("deploy", "/home/deploy/.ssh/authorized_keys", "ssh-ed25519 AAAAhers ada@elsewhere\n");
    world.host.shell("root", "chmod 600 /etc/systemd/system/shop.service; ln -s /dev/null /etc/systemd/system/multi-user.target.wants/shop.service");
    let before = picture(&world);

    set_up(&world);
    // Once more, so that what counts is what was there before the first one.
    world.host.write("root", "/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/false\n");
    let changed = world.run(&["setup", "production"]);
    assert!(changed.stdout.contains("~ file /etc/systemd/system/shop.service"), "{changed:?}");
    let keys = world.host.shell("root", "cat /home/deploy/.ssh/authorized_keys");
    assert!(keys.lines().count() == 2 && keys.contains("AAAAhers"), "{keys}");

    let removed = world.run(&["setup", "production", "--remove"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_as_before(&world, &before, &removed);
}

#[test]
fn a_unit_whose_name_means_something_to_sudo_is_allowed_as_it_is_and_no_other() {
    let odd = CONFIG.replace("\"shop.service\"", r"'shop@a:b\x2dc.service'");
    let Some(world) = World::bare("a_unit_whose_name_means_something_to_sudo_is_allowed", &odd) else { return };
    world.commit("one");
    set_up(&world);

    let deployed = world.run(&["deploy", "production"]);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert_eq!(world.answer(), "one");
    for other in [r"shop@a:b\\x2dc.service", "shop@a:b-c.service", r"shop@a:bx2dc.service", "shop@a.service"] {
        let words = ["sudo", "-n", "systemctl", "restart", other];
        assert!(!world.host.command("deploy", &words).output().unwrap().status.success(), "{other}");
    }
    world.host.shell("root", "visudo --check --quiet");
}

#[test]
fn a_person_at_a_terminal_says_whether_the_key_is_right() {
    let Some(world) = World::bare("a_person_at_a_terminal_says_whether_the_key_is_right", CONFIG) else { return };
    let (machine, text) = (picture(&world), config(&world));
    let answer = |word: &str| {
        let line = format!(
            "echo {word} | script --quiet --return --command '{} setup production' /dev/null",
            env!("CARGO_BIN_EXE_cutover")
        );
        let mut shell = world.cutover(&[]);
        let envs: Vec<_> =
            shell.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        shell = std::process::Command::new("sh");
        shell.args(["-c", &line]).current_dir(world.path("repo")).env_clear();
        shell.envs(envs.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(shell.output().unwrap())
    };

    let no = answer("no");
    assert_eq!(no.code, 1, "{no:?}");
    assert!(no.stdout.contains(&fingerprint(&world)) && no.stdout.contains("was not confirmed"), "{no:?}");
    assert_eq!(config(&world), text);
    assert_as_before(&world, &machine, &no);

    let yes = answer("yes");
    assert_eq!(yes.code, 0, "{yes:?}");
    assert!(config(&world).contains(&world.host_key()));
}

#[test]
fn the_machine_that_one_sits_at_is_set_up_through_sudo_for_whoever_asks() {
    let Some(world) = World::bare("the_machine_that_one_sits_at_is_set_up_through_sudo", CONFIG) else { return };
    world.host.shell(
        "root",
        "useradd --create-home --shell /bin/bash ada; echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada",
    );
    let here = CONFIG.replace("deploy@ADDRESS", "localhost");
    world.host.write("ada", "/home/ada/shop/cutover.toml", &here);
    let before = picture(&world);
    let setup = |flags: &str| world.host.shell("ada", &format!("cd ~/shop; USER=ada cutover setup production {flags}"));

    let done = setup("");
    assert!(done.contains("+ file /etc/sudoers.d/cutover-shop-production"), "{done}");
    assert_eq!(world.host.shell("root", "stat --format=%U /opt/shop"), "ada");
    assert!(setup("").contains("nothing to do"));

    setup("--remove");
    let ran = Ran { code: 0, stdout: String::new(), stderr: String::new() };
    assert_as_before(&world, &before, &ran);
}

#[test]
fn two_projects_of_one_user_share_what_both_need_and_the_last_one_takes_it_away() {
    let Some(world) = World::bare("two_projects_of_one_user_share_what_both_need", CONFIG) else { return };
    let before = picture(&world);
    set_up(&world);
    world.commit("one");
    assert_eq!(world.run(&["deploy", "production"]).code, 0);
    let shop = config(&world);
    let till =
        shop.replace("\"shop\"", "\"till\"").replace("/opt/shop", "/opt/till").replace("shop.service", "till.service");
    world.write("till.toml", &till);
    let with_till = |args: &[&str]| world.run(&[&["--config", "till.toml", "setup", "production"], args].concat());

    let shared = with_till(&[]);
    assert!(shared.code == 0 && shared.stdout.contains("= user deploy"), "{shared:?}");
    let gone = with_till(&["--remove", "--data"]);
    assert!(gone.code == 0 && gone.stdout.contains("left: user deploy: shop (production) needs it"), "{gone:?}");
    assert_eq!(world.answer(), "one");
    assert!(world.run(&["doctor", "production"]).stdout.contains("everything is well"));

    // Now the one goes that made what both need.
    assert_eq!(with_till(&[]).code, 0);
    let first = world.run(&["setup", "production", "--remove", "--data"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(world.host.has_user("deploy") && !world.host.shell("root", "ls /opt").contains("shop"), "{first:?}");
    assert!(with_till(&[]).stdout.contains("nothing to do"));
    let last = with_till(&["--remove", "--data"]);
    assert_eq!(last.code, 0, "{last:?}");
    assert_as_before(&world, &before, &last);
}

#[test]
fn a_setup_that_is_killed_at_any_moment_is_brought_to_its_end_by_the_next_one() {
    let Some(world) = World::bare("a_setup_that_is_killed_at_any_moment_is_brought_to_its_end", CONFIG) else { return };
    world.host.write("root", "/root/shop/cutover.toml", &CONFIG.replace("deploy@ADDRESS", "localhost"));
    let bare = picture(&world);
    let setup = |flags: &str| {
        let said = world.host.shell("root", &format!("cd ~/shop; SUDO_USER=deploy cutover setup production {flags}"));
        Ran { code: 0, stdout: said, stderr: String::new() }
    };
    // Everything of it dies at once, also the programs that it runs, as soon as so many parts are written down.
    let killed = |flags: &str, is_so: &str| {
        world.host.shell(
            "root",
            &format!(
                "systemd-run --quiet --unit=killed --setenv=SUDO_USER=deploy --working-directory=/root/shop \
                     cutover setup production {flags}
                 noted() {{ grep -c before /var/lib/cutover/setup/shop-production.json 2>/dev/null || true; }}
                 until [ 0$(noted) {is_so} ] || ! systemctl --quiet is-active killed; do :; done
                 systemctl kill --signal=KILL killed 2>/dev/null || true
                 while systemctl --quiet is-active killed; do :; done
                 systemctl reset-failed killed 2>/dev/null || true"
            ),
        );
    };
    setup("");
    let whole = picture(&world);
    setup("--remove");
    let count = whole.iter().filter(|line| line.contains("cutover")).count();
    assert!(count > 4, "{whole:#?}");

    for parts in [1, 2, 3, 5, 8, 13] {
        killed("", &format!("-ge {parts}"));
        let second = setup("");
        assert_as_before(&world, &whole, &second);
        assert!(setup("").stdout.contains("nothing to do"), "{parts}");

        killed("--remove", &format!("-le {parts}"));
        let removed = setup("--remove");
        assert_as_before(&world, &bare, &removed);
    }
}

#[test]
fn setups_take_turns_and_none_looks_before_it_is_its_turn() {
    let Some(world) = World::bare("setups_take_turns_and_none_looks_before_it_is_its_turn", CONFIG) else { return };
    let key = fingerprint(&world);
    let start = || {
        let mut setup = world.cutover(&["setup", "production", "--accept-host-key", &key]);
        setup.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let hold = "flock --close /run/cutover-setup.lock sh -c 'until test -e /run/go; do sleep 0.05; done'";
    let mut holder = world.host.command("root", &["sh", "-c", hold]).spawn().unwrap();
    let opened = |count: usize| {
        let count_now = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c cutover-setup.lock || true";
        crate::world::await_that("the lock is waited for", || world.host.shell("root", count_now) == count.to_string());
    };
    opened(1);

    let both = [start(), start()];
    opened(3);
    world.host.shell("root", "useradd --create-home --shell /bin/bash deploy; touch /run/go");
    let both = both.map(|setup| Ran::from(setup.wait_with_output().unwrap()));

    assert!(holder.wait().unwrap().success());
    assert!(both.iter().all(|ran| ran.code == 0 && !ran.stdout.contains("+ user")), "{both:?}");
    assert_eq!(both.iter().filter(|ran| ran.stdout.contains("+ line")).count(), 1, "{both:?}");
    assert_eq!(world.host.shell("root", "grep -c AAAA /home/deploy/.ssh/authorized_keys"), "1");
    assert_eq!(world.run(&["setup", "production", "--remove"]).code, 0);
    assert!(world.host.has_user("deploy"));
    world.host.shell("root", "test -e /run/cutover-setup.lock");
}

#[test]
fn what_somebody_put_in_its_way_ends_setup_before_anything_is_done() {
    let Some(world) = World::bare("what_somebody_put_in_its_way_ends_setup_before_anything_is_done", CONFIG) else {
        return;
    };
    let key = fingerprint(&world);
    let make = "useradd --create-home deploy; install -d -o deploy -m 700 /home/deploy/.ssh";
    for (hostile, says) in [
        ("ln -s /etc/shadow /home/deploy/.ssh/authorized_keys", "a link, a directory, a pipe or a device where a file"),
        ("mkfifo /home/deploy/.ssh/authorized_keys", "a link, a directory, a pipe or a device where a file"),
        ("rm -r /home/deploy/.ssh; ln -s /root/.ssh /home/deploy/.ssh", "something else where a directory"),
        ("rm -r /home/deploy/.ssh; ln -s /root /home/deploy/.ssh", "something else where a directory"),
        ("mkdir /etc/systemd/system/shop.service", "there is no regular file"),
        ("echo [Service] >/etc/systemd/system/shop.service", "which no setup wrote: /etc/systemd/system/shop.service"),
        ("head -c 300000 /dev/urandom >/etc/sudoers.d/cutover-shop-production", "no copy can be kept"),
        ("mkdir -p /var/lib/cutover/setup; echo garbage >/var/lib/cutover/setup/other.json", "other.json"),
    ] {
        world.host.shell("root", &format!("{make}; {hostile}"));
        let before = picture(&world);
        for flags in [&[][..], &["--dry-run"]] {
            let args = [&["setup", "production", "--accept-host-key", &key], flags].concat();
            let refused = world.run(&args);
            assert_eq!(refused.code, 1, "{hostile}: {refused:?}");
            assert!(refused.stderr.contains(says) && refused.stderr.contains("nothing was changed"), "{refused:?}");
            assert_as_before(&world, &before, &refused);
        }
        world.host.shell(
            "root",
            "userdel --remove deploy; rm -rf /etc/systemd/system/shop.service /etc/sudoers.d/cutover-* /var/lib/cutover",
        );
    }
}

#[test]
fn a_host_that_is_not_reached_hides_none_of_the_others() {
    let hosts = CONFIG.replace("[\"deploy@ADDRESS\"]", "[\"deploy@ADDRESS:9\", \"deploy@ADDRESS\"]");
    let Some(world) = World::bare("a_host_that_is_not_reached_hides_none_of_the_others", &hosts) else { return };
    let key = fingerprint(&world);
    let setup = |flags: &[&str]| world.run(&[&["setup", "production", "--accept-host-key", &key], flags].concat());

    let done = setup(&[]);

    assert_eq!(done.code, 7, "{done:?}");
    assert!(done.stderr.contains(&format!("error: deploy@{}:9: ", world.host.address())), "{done:?}");
    assert!(done.stdout.contains("+ user deploy") && done.stdout.contains("1 of 2 hosts failed"), "{done:?}");
    let told: serde_json::Value = serde_json::from_str(&setup(&["--json"]).stdout).unwrap();
    assert!(told["hosts"][0]["error"]["kind"] == "unreachable" && told["hosts"][1]["user"] == "deploy", "{told}");
    assert_eq!(told["hosts"][1]["changes"].as_array().map(Vec::len), Some(0), "{told}");
}
