//! Another machine, as far as one can be had without one: an `ssh` that gives a shell with a home of its own.

use crate::sandbox::{Ran, Sandbox, await_that};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A repository that deploys to `far.test`, whose `ssh` does this.
fn far(ssh: &str) -> Sandbox {
    let sandbox = Sandbox::deployable("");
    sandbox.write("cutover.toml", &sandbox.config().replace("localhost", "far.test"));
    sandbox.commit("Go far");
    sandbox.script("ssh", ssh);
    fs::create_dir(sandbox.path().join("far")).unwrap();
    sandbox
}

/// Runs the last argument, as a host would; `uname` says that it is another kind of machine.
fn arm(sandbox: &Sandbox) -> String {
    sandbox.script("uname", "case $1 in -m) echo aarch64;; *) echo Linux;; esac");
    format!("for last; do :; done; HOME={}/far exec sh -c \"$last\"", sandbox.path().display())
}

/// This machine by two names, of which one is elsewhere, with a release that is live.
fn near_and_far() -> Sandbox {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let both = sandbox.config().replace("[\"localhost\"]", "[\"localhost\", \"ada@far.test\"]");
    sandbox.write("cutover.toml", &both);
    fs::create_dir(sandbox.path().join("far")).unwrap();
    let home = sandbox.path().join("far");
    sandbox.script("ssh", &format!("for last; do :; done; HOME={} exec sh -c \"$last\"", home.display()));
    sandbox
}

/// Runs a command in the release.
fn exec(sandbox: &Sandbox, options: &[&str], command: &[&str]) -> Ran {
    let args = [&["app", "production", "exec"], options, &["--"], command].concat();
    sandbox.ran(&cutover(sandbox, env!("CARGO_BIN_EXE_cutover"), &args).output().unwrap())
}

/// A Cutover of its own directory, to which others can be put.
fn installed(sandbox: &Sandbox) -> PathBuf {
    let dir = sandbox.path().join("installed");
    fs::create_dir(&dir).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_cutover"), dir.join("cutover")).unwrap();
    dir.join("cutover")
}

/// That Cutover in the sandbox, which finds the sandbox's programs first.
fn cutover(sandbox: &Sandbox, program: &str, args: &[&str]) -> Command {
    let mut command = sandbox.command(program);
    let usual = std::env::var("PATH").unwrap();
    command.args(args).env("PATH", format!("{}:{usual}", sandbox.bin().display()));
    command
}

#[test]
fn a_host_of_another_kind_gets_the_agent_that_lies_beside() {
    let sandbox = far("");
    sandbox.script("ssh", &arm(&sandbox));
    let program = installed(&sandbox);
    // The same program, and not the same file.
    let other = [fs::read(&program).unwrap(), b"\n".to_vec()].concat();
    fs::write(program.with_file_name("cutover-agent-aarch64"), &other).unwrap();

    let output = cutover(&sandbox, program.to_str().unwrap(), &["deploy", "production"]).output().unwrap();

    let ran = sandbox.ran(&output);
    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(sandbox.path().join("srv/current/app.py").exists());
    let agents = fs::read_dir(sandbox.path().join("far/.cache/cutover/agents")).unwrap();
    let agents: Vec<Vec<u8>> = agents.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(agents == [other]);
}

#[test]
fn a_host_may_be_named_behind_the_command_and_without_who_logs_in() {
    let sandbox = near_and_far();
    for name in ["ada@far.test", "far.test"] {
        let ran = exec(&sandbox, &["--host", name], &["sh", "-c", "echo $HOME"]);
        assert_eq!((ran.code, ran.stdout.trim_end().ends_with("/far")), (0, true), "{}", ran.told());
        assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.told());
    }
    let ran = exec(&sandbox, &["--host", "near.test"], &["true"]);
    assert!(ran.code == 2 && ran.stderr.contains("near.test"), "{}", ran.told());
}

#[test]
fn a_command_elsewhere_keeps_flags_that_are_called_like_ours() {
    let sandbox = near_and_far();
    let command = ["echo", "git", "-C", "/srv", "log", "--color", "always", "--host", "db"];
    let args = [&["app", "production", "exec", "--host", "far.test"], &command[..]].concat();

    let ran = sandbox.ran(&cutover(&sandbox, env!("CARGO_BIN_EXE_cutover"), &args).output().unwrap());

    assert_eq!((ran.code, ran.stdout.trim_end()), (0, "git -C /srv log --color always --host db"), "{}", ran.told());
}

#[test]
fn of_several_hosts_each_where_a_command_failed_is_named_with_its_exit_code() {
    let sandbox = near_and_far();

    let ran = exec(&sandbox, &[], &["sh", "-c", "case $HOME in */far) exit 4;; esac"]);

    assert_eq!((ran.code, ran.stderr.as_str()), (4, "ada@far.test | exit code 4\n"), "{}", ran.told());
    let missing = exec(&sandbox, &[], &["no-such-program"]);
    assert_eq!(missing.code, 127, "{}", missing.told());
    assert_eq!(missing.stderr.matches(" | exit code 127\n").count(), 2, "{}", missing.told());
    assert!(missing.stderr.contains("run no-such-program in "), "{}", missing.told());
}

#[test]
fn what_several_hosts_have_live_is_told_of_each_and_promoted() {
    let sandbox = near_and_far();
    let run = |args: &[&str]| sandbox.ran(&cutover(&sandbox, env!("CARGO_BIN_EXE_cutover"), args).output().unwrap());

    let told = run(&["status"]);
    let json = run(&["status", "--json"]).json();

    for host in ["localhost   ", "ada@far.test"] {
        assert!(told.stdout.contains(&format!("{host} | production\n{host} |   api in ")), "{}", told.told());
        assert!(told.stdout.contains(&format!("\n{host} |     live: ")), "{}", told.told());
    }
    assert!(!told.stdout.contains("the hosts have not the same live"), "{}", told.told());
    let environments = json["environments"].as_array().unwrap();
    let hosts: Vec<_> = environments.iter().map(|environment| environment["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["localhost", "ada@far.test"], "{json}");
    assert!(environments.iter().all(|environment| environment.get("words").is_none()), "{json}");

    let copy = sandbox.path().join("copy").display().to_string();
    let copy = format!("[environments.copy]\nhosts.api = [\"localhost\"]\ntargets.api.host.deploy_to = \"{copy}\"\n");
    sandbox.write("cutover.toml", &format!("{}\n{copy}", sandbox.config()));
    let promoted = run(&["promote", "production", "copy"]);
    assert_eq!(promoted.code, 0, "{}", promoted.told());
}

#[test]
fn who_follows_several_hosts_does_not_go_on_when_one_is_lost() {
    // Given a service on two hosts, each of which says something.
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = \"echo up; exec sleep 1000\"\nverify.soak = \"100ms\"", "");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let both = sandbox.config().replace("[\"localhost\"]", "[\"localhost\", \"ada@far.test\"]");
    sandbox.write("cutover.toml", &both);
    let dir = sandbox.path().display().to_string();
    fs::create_dir(sandbox.path().join("far")).unwrap();
    sandbox
        .script("ssh", &format!("for last; do :; done; echo $$ > {dir}/ssh.pid; HOME={dir}/far exec sh -c \"$last\""));
    let follow = ["app", "production", "logs", "-f"];
    let out = fs::File::create(sandbox.path().join("out")).unwrap();
    let mut command = cutover(&sandbox, env!("CARGO_BIN_EXE_cutover"), &follow);
    let mut child = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    let told = || fs::read_to_string(sandbox.path().join("out")).unwrap();
    await_that("both are followed", || {
        ["localhost    | up\n", "ada@far.test | up\n"].iter().all(|up| told().contains(up))
    });

    // When the connection to one breaks.
    let ssh: i32 = fs::read_to_string(sandbox.path().join("ssh.pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(ssh).unwrap(), Signal::KILL).unwrap();

    await_that("it ends", || child.try_wait().unwrap().is_some());
    let ran = sandbox.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 7, "{}", ran.told());
    assert!(ran.stderr.contains("lost the connection to ada@far.test"), "{}", ran.told());
    sandbox.stop_service();
}

#[test]
fn a_status_ends_alike_where_no_agent_is_for_a_host_or_for_one_of_several() {
    let sandbox = far("");
    sandbox.script("ssh", &arm(&sandbox));
    let program = installed(&sandbox);
    let status = || {
        let output = cutover(&sandbox, program.to_str().unwrap(), &["status", "production"]).output().unwrap();
        let ran = sandbox.ran(&output);
        (ran.code, ran.told())
    };

    let (one, said) = status();
    assert_eq!(one, 7, "{said}");
    assert!(said.contains("has no agent for that"), "{said}");
    sandbox.write("cutover.toml", &sandbox.config().replace("\"far.test\"", "\"far.test\", \"afar.test\""));
    let (several, said) = status();
    assert_eq!(several, 7, "{said}");
}

#[test]
fn a_host_that_no_agent_is_for_is_left_alone_and_it_is_said_where_one_belongs() {
    let sandbox = far("");
    sandbox.script("ssh", &arm(&sandbox));
    let program = installed(&sandbox);

    let output = cutover(&sandbox, program.to_str().unwrap(), &["deploy", "production"]).output().unwrap();

    let ran = sandbox.ran(&output);
    assert_eq!(ran.code, 1, "{}", ran.told());
    assert!(ran.stderr.contains("the host is Linux on aarch64, and this Cutover has no agent for that"), "{ran:?}");
    assert!(ran.stderr.contains("DIR/installed/cutover-agent-aarch64"), "{ran:?}");
    assert!(ran.stderr.contains("nothing was changed") && !sandbox.path().join("srv").exists(), "{ran:?}");
}

#[test]
fn who_stops_before_the_host_has_answered_is_not_kept_waiting() {
    let sandbox = far("exec sleep 1000");
    let mut command = cutover(&sandbox, env!("CARGO_BIN_EXE_cutover"), &["rollback", "production"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !heeds_interrupt(child.id()) {
        assert!(Instant::now() < until, "it does not watch for signals");
        std::thread::sleep(Duration::from_millis(5));
    }

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();

    let ran = sandbox.ran(&child.wait_with_output().unwrap());
    assert!(Instant::now() < until);
    assert_eq!(ran.code, 1, "{}", ran.told());
    assert!(ran.stderr.contains("stopped before far.test answered"), "{ran:?}");
}

#[test]
fn what_a_host_may_have_heard_before_the_connection_broke_is_not_called_nothing() {
    // Given an ssh that lets the host hear everything before it loses the connection, and one that is let in nowhere.
    for (ssh, said, state) in [
        ("head -c 200 >/dev/null; timeout 0.3 cat >/dev/null; exit 255", "lost the connection to", "is not known"),
        ("exit 255", "cannot reach", "nothing was changed"),
        ("head -c 200 >/dev/null; exit 255", "cannot reach", "nothing was changed"),
        ("timeout 0.3 cat >/dev/null; echo This account is closed.; exit 1", "cannot reach", "nothing was changed"),
    ] {
        let sandbox = far(ssh);
        let command = |args| {
            let output = cutover(&sandbox, env!("CARGO_BIN_EXE_cutover"), args).output().unwrap();
            sandbox.ran(&output)
        };

        let deployed = command(&["deploy", "production"]);
        let planned = command(&["plan", "production"]);

        assert_eq!(deployed.code, 7, "{}", deployed.told());
        assert!(deployed.stderr.contains(said) && deployed.stderr.contains(state), "{ssh}: {deployed:?}");
        assert_eq!(planned.code, 7, "{}", planned.told());
        assert!(planned.stderr.contains("state: nothing was changed"), "{planned:?}");
    }
}

/// Whether a process has something to do when it is interrupted: the kernel tells which signals it catches.
fn heeds_interrupt(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (Signal::INT.as_raw() - 1)) != 0
}
