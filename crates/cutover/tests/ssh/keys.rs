//! Whom a host takes us for, and whom we take it for.

use crate::world::{Ran, World};
use std::fs;
use std::process::Stdio;

/// Another host's key: sound, and not this one's.
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";

/// What the test reads of `/proc`: command lines of all, and environments of what is not Cutover itself.
fn whatever_is_said_in_proc(secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let files = if name.trim() == "cutover" { &["cmdline"][..] } else { &["cmdline", "environ"][..] };
        for file in files {
            let text = fs::read(process.path().join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(secret) {
                found.push(format!("{} of {}", file, name.trim()));
            }
        }
    }
    found
}

/// Whether a file below one of the places where ours may lie has the secret.
fn on_disk(secret: &str) -> Vec<std::path::PathBuf> {
    let mut places = vec!["/dev/shm".into(), std::env::temp_dir()];
    places.extend(std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from));
    let ours = places.into_iter().filter_map(|place| fs::read_dir(place).ok()).flatten().filter_map(Result::ok);
    let ours = ours.filter(|entry| entry.file_name().to_string_lossy().starts_with("cutover-way-"));
    let files = ours.filter_map(|dir| fs::read_dir(dir.path()).ok()).flatten().filter_map(Result::ok);
    files
        .map(|file| file.path())
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(secret)))
        .collect()
}

fn refused(ran: &Ran) {
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.stderr.contains("Host key verification failed"), "{ran:?}");
}

#[test]
fn a_pinned_key_makes_a_host_known_and_another_one_makes_it_a_stranger() {
    let Some(world) = World::new("a_pinned_key_makes_a_host_known_and_another_one_makes_it_a_stranger") else { return };
    world.commit("one");
    world.edit_ssh_config("UserKnownHostsFile", "UserKnownHostsFile /dev/null");
    refused(&world.run(&["deploy", "production"]));

    world.configure_ssh(&format!("host_keys = {{ \"{}\" = \"{}\" }}", world.host.address(), world.host_key()));
    let known = world.run(&["deploy", "production"]);
    assert_eq!((known.code, world.answer().as_str()), (0, "one"), "{known:?}");

    world.configure_ssh(&format!("host_keys = {{ \"{}\" = \"{OTHER_KEY}\" }}", world.host.address()));
    let changed = world.run(&["deploy", "production"]);
    refused(&changed);
    assert!(changed.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{changed:?}");
    let remove = format!("take the entry of {} out of [ssh.host_keys] in cutover.toml", world.host.address());
    assert!(changed.stderr.contains(&remove) && changed.stderr.contains("ssh-keygen -lf"), "{changed:?}");
    let doctor = world.run(&["doctor", "production"]);
    assert!(doctor.stdout.contains(&remove), "{doctor:?}");

    // The same where the user's own ssh knows another key.
    let known = world.path("known_hosts");
    fs::write(&known, format!("# mine\n{} {OTHER_KEY}\n", world.host.address())).unwrap();
    world.edit_ssh_config("UserKnownHostsFile", &format!("UserKnownHostsFile {}", known.display()));
    world.configure_ssh("");
    let changed = world.run(&["deploy", "production"]);
    assert!(changed.stderr.contains(&format!("take line 2 out of {}", known.display())), "{changed:?}");
}

#[test]
fn a_login_that_is_refused_is_told_with_who_was_tried_and_which_key() {
    let Some(world) = World::new("a_login_that_is_refused_is_told_with_who_was_tried") else { return };
    world.commit("one");
    world.host.shell("deploy", "rm ~/.ssh/authorized_keys");

    let refused = world.run(&["deploy", "production"]);

    assert_eq!(refused.code, 7, "{refused:?}");
    let tried = format!("hint: deploy was tried, with the key {}\n", world.path("key").display());
    assert!(refused.stderr.contains(&tried) && refused.stderr.contains("authorized_keys on"), "{refused:?}");
}

#[test]
fn a_key_from_the_environment_is_in_no_file_and_no_other_environment_and_nothing_of_it_stays() {
    let Some(world) = World::new("a_key_from_the_environment_is_in_no_file") else { return };
    world.commit("one");
    let key = fs::read_to_string(world.path("key")).unwrap();
    fs::remove_file(world.path("key")).unwrap();
    world.edit_ssh_config("IdentityFile", "IdentityFile none");
    assert_eq!(world.run(&["deploy", "production"]).code, 7, "there was another way in");
    // The way there takes a moment, in which there is time to look around.
    let gate = world.path("gate");
    let text = fs::read_to_string(world.path("repo/ssh_config")).unwrap();
    let wait = format!("Match exec \"touch {0}.reached; until [ -e {0} ]; do sleep 0.01; done\"", gate.display());
    world.write("ssh_config", &format!("{text}\n{wait}\n"));
    let secret = key.lines().nth(3).unwrap();
    let path = world.path_with("git", "[ -z \"${CUTOVER_SSH_KEY+is there}\" ] || touch \"$0.knew\"");

    let mut deploy = world.cutover(&["deploy", "production"]);
    let deploy = deploy
        .env("PATH", path)
        .env("CUTOVER_SSH_KEY", &key)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let reached = world.path("gate.reached");
    crate::world::await_that("ssh is on its way", || reached.exists());
    let (said, kept) = (whatever_is_said_in_proc(secret), on_disk(secret));
    fs::write(&gate, "").unwrap();
    let ran = Ran::from(deploy.wait_with_output().unwrap());

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.answer(), "one");
    assert_eq!((said, kept), (vec![], vec![]), "the key was seen");
    assert!(!world.path("programs/git.knew").exists(), "git had the key");
    assert!(!format!("{ran:?}").contains(secret));
    assert_eq!((whatever_is_said_in_proc(secret), on_disk(secret)), (vec![], vec![]), "the key has stayed");
}

#[test]
fn what_holds_for_a_host_holds_for_the_hosts_on_the_way() {
    let Some(world) = World::new("what_holds_for_a_host_holds_for_the_hosts_on_the_way") else { return };
    world.commit("one");
    let key = fs::read_to_string(world.path("key")).unwrap();
    fs::remove_file(world.path("key")).unwrap();
    world.edit_ssh_config("IdentityFile", "IdentityFile none");
    world.edit_ssh_config("UserKnownHostsFile", "UserKnownHostsFile /dev/null");
    // Not even when the user's own config would take any key.
    let text = fs::read_to_string(world.path("repo/ssh_config")).unwrap();
    world.write(
        "ssh_config",
        &format!("{text}\nStrictHostKeyChecking no\nHost inner\n HostName 127.0.0.1\n StrictHostKeyChecking no\n"),
    );
    let address = world.host.address();
    let deploy = |pins: &[&str]| {
        let pins: Vec<String> = pins.iter().map(|host| format!("\"{host}\" = \"{}\"", world.host_key())).collect();
        world.configure_ssh(&format!("jump = \"deploy@{address}\"\nhost_keys = {{ {} }}", pins.join(", ")));
        let config = fs::read_to_string(world.path("repo/cutover.toml")).unwrap();
        world.write("cutover.toml", &config.replace(&format!("[\"deploy@{address}\"]"), "[\"deploy@inner\"]"));
        Ran::from(world.cutover(&["deploy", "production"]).env("CUTOVER_SSH_KEY", &key).output().unwrap())
    };

    refused(&deploy(&["inner"]));
    refused(&deploy(&[&address]));
    let known = deploy(&["inner", &address]);

    assert_eq!((known.code, world.answer().as_str()), (0, "one"), "{known:?}");
}

#[test]
fn a_key_from_the_environment_works_without_an_agent_and_its_file_goes() {
    let Some(world) = World::new("a_key_from_the_environment_works_without_an_agent_and_its_file_goes") else { return };
    world.commit("one");
    let key = fs::read_to_string(world.path("key")).unwrap();
    fs::remove_file(world.path("key")).unwrap();
    world.edit_ssh_config("IdentityFile", "IdentityFile none");
    let programs = world.path("programs");
    fs::create_dir(&programs).unwrap();
    for program in fs::read_dir("/usr/bin").unwrap().filter_map(Result::ok).filter(|it| it.file_name() != "ssh-agent") {
        std::os::unix::fs::symlink(program.path(), programs.join(program.file_name())).unwrap();
    }

    let mut deploy = world.cutover(&["deploy", "production"]);
    let ran = Ran::from(deploy.env("CUTOVER_SSH_KEY", &key).env("PATH", &programs).output().unwrap());

    assert_eq!(ran.code, 0, "{ran:?}");
    let secret = key.lines().nth(3).unwrap();
    assert_eq!(on_disk(secret), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_client_that_is_killed_leaves_no_agent_behind() {
    let Some(world) = World::new("a_client_that_is_killed_leaves_no_agent_behind") else { return };
    world.commit("one");
    let key = fs::read_to_string(world.path("key")).unwrap();
    let reached = world.path("reached");
    let text = fs::read_to_string(world.path("repo/ssh_config")).unwrap();
    world.write("ssh_config", &format!("{text}\nMatch exec \"touch {}; sleep 60\"\n", reached.display()));
    let runtime = world.path("run");
    fs::create_dir(&runtime).unwrap();
    let agents = || {
        let running = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = running.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
        lines.filter(|line| line.starts_with("ssh-agent") && line.contains(runtime.to_str().unwrap())).count()
    };

    let mut deploy = world.cutover(&["deploy", "production"]);
    deploy.env("CUTOVER_SSH_KEY", &key).env("XDG_RUNTIME_DIR", &runtime).stdout(Stdio::null()).stderr(Stdio::null());
    let mut deploy = deploy.spawn().unwrap();
    crate::world::await_that("ssh is on its way", || reached.exists());
    assert_eq!(agents(), 1);
    deploy.kill().unwrap();
    deploy.wait().unwrap();

    crate::world::await_that("its agent has ended", || agents() == 0);
}
