//! `cutover app`: the service itself, or that there is none.

use crate::sandbox::{Sandbox, await_that};
use insta::assert_snapshot;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};

#[test]
fn what_has_no_service_cannot_be_restarted_and_has_no_log() {
    let sandbox = Sandbox::deployable("");
    let deployed = sandbox.run(&["deploy", "production"]);
    assert!(deployed.stdout.contains("nothing to observe: no service, no probes"), "{deployed:?}");

    let restarted = sandbox.run(&["app", "production", "restart"]);

    assert_snapshot!(restarted.told(), @"
    exit 2
    --- stderr
    error: nothing runs here: no target has a service
      state: nothing was changed
      hint: `service` of a target in cutover.toml says what runs its releases
    ");
    assert_eq!(sandbox.run(&["app", "production", "logs"]).told(), restarted.told());
}

#[test]
fn a_restart_can_queue_up_behind_a_lock_as_the_advice_says() {
    let sandbox = Sandbox::deployable(
        "service.command = { restart = \"true\", stop = \"true\", status = \"true\" }\nverify.soak = \"100ms\"",
    );
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let lock = File::options().write(true).open(sandbox.path().join("srv/.cutover/lock")).unwrap();
    lock.lock().unwrap();

    let refused = sandbox.run(&["app", "production", "restart"]);
    let waited = sandbox.run(&["app", "production", "restart", "--wait=0"]);

    assert!(refused.stderr.contains("--wait queues up behind it (deploy, rollback, app restart)"), "{refused:?}");
    assert!(refused.stderr.contains("`cutover lock production status`"), "no placeholder is left: {refused:?}");
    assert_eq!((refused.code, waited.code), (6, 6), "{waited:?}");
    assert!(waited.stderr.contains("still locked after 0 s"), "{waited:?}");
}

#[test]
fn a_target_that_is_not_there_is_named_with_those_that_are() {
    let sandbox = Sandbox::deployable("");
    let ran = sandbox.run(&["app", "production", "logs", "--target", "apo"]);
    assert_snapshot!(ran.told(), @r#"
    exit 2
    --- stderr
    error: no target "apo" in this environment
      hint: there are: api
    "#);
}

#[test]
fn a_log_is_shown_without_its_terminal_escapes() {
    let sandbox = Sandbox::deployable("service.process.command = [\"true\"]");
    let log = sandbox.path().join("srv/.cutover/process/api/service.log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, "one\t1\n\x1b[31mtwo\x1b]0;title\x07 \u{9b}31mred\x08\n").unwrap();

    let ran = sandbox.run(&["app", "production", "logs"]);

    assert_eq!(ran.stdout, "one\t1\ntwo red\\u{8}\n");
    let json = sandbox.run(&["app", "production", "logs", "--json"]);
    assert!(json.stdout.trim_end().chars().all(|c| !c.is_control()), "{json:?}");
}

#[test]
fn a_log_hides_the_secrets_of_this_release_of_earlier_ones_and_those_that_are_known_here() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]\nverify.soak = \"100ms\"", "secrets = [\"TOKEN\"]");
    let run = |token: &str, args: &[&str]| {
        let output = sandbox.command(env!("CARGO_BIN_EXE_cutover")).env("TOKEN", token).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run("made-up-first", &["deploy", "production"]);
    run("made-up-second", &["deploy", "production"]);
    let log = sandbox.path().join("srv/.cutover/process/api/service.log");
    fs::write(&log, "a made-up-first\nb made-up-second\nc made-up-third\n").unwrap();

    assert_eq!(run("made-up-third", &["app", "production", "logs"]), "a ***\nb ***\nc ***\n");
    assert_eq!(run("another", &["app", "production", "logs"]), "a ***\nb ***\nc made-up-third\n");
    assert!(run("made-up-third", &["app", "production", "logs", "--json"]).contains("[\"a ***\",\"b ***\",\"c ***\"]"));
    let mut follow = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    follow.args(["app", "production", "logs", "-f"]).env("TOKEN", "made-up-third").stdout(Stdio::piped());
    let mut follower = follow.spawn().unwrap();
    let mut told = [0; 18];
    follower.stdout.take().unwrap().read_exact(&mut told).unwrap();
    assert_eq!(std::str::from_utf8(&told).unwrap(), "a ***\nb ***\nc ***\n");
    await_that("it ends with its reader", || follower.try_wait().unwrap().is_some());
    sandbox.stop_service();
}

/// A service under Cutover's supervisor that does this, and a follower of its log that nobody reads yet.
fn followed(script: &str) -> (Sandbox, Child) {
    let sandbox = Sandbox::new();
    let service = format!("service.process.command = [\"sh\", \"-c\", {script:?}]\nverify.soak = \"100ms\"");
    sandbox.host(&service, "env = { LEVEL = \"info\" }");
    let deployed = sandbox.run(&["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    let follower = command.args(["app", "production", "logs", "-f", "-n", "3"]).stdout(Stdio::piped()).spawn().unwrap();
    (sandbox, follower)
}

#[test]
fn a_log_that_grows_fast_is_followed_in_little_memory_until_nobody_reads_it() {
    let script = "yes a line of a log that says little | head -c 50000000; touch ../../done; exec sleep 1000";
    let (sandbox, mut follower) = followed(script);
    let mut output = follower.stdout.take().unwrap();

    // Given a reader that takes its time.
    output.read_exact(&mut [0; 10]).unwrap();
    await_that("all is said", || sandbox.path().join("srv/done").exists());
    let mut taken = vec![0; 1 << 20];
    output.read_exact(&mut taken).unwrap();

    let status = fs::read_to_string(Path::new("/proc").join(follower.id().to_string()).join("status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(most.parse::<u64>().unwrap() < 64 << 10, "{most} KiB");
    let text = String::from_utf8(taken).unwrap();
    assert!(text.lines().skip(1).take(1000).all(|line| line == "a line of a log that says little"), "lines are whole");
    drop(output);
    await_that("it ends with its reader", || follower.try_wait().unwrap().is_some());
    assert_eq!(follower.wait().unwrap().code(), Some(0));
    sandbox.stop_service();
}

#[test]
fn a_log_is_followed_across_a_restart_and_ends_with_its_reader_also_when_it_says_nothing() {
    let (sandbox, mut follower) = followed("echo I am $$; exec sleep 1000");
    let mut output = follower.stdout.take().unwrap();
    let mut line = || {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    };
    let first = line();

    let restarted = sandbox.run(&["app", "production", "restart"]);

    assert_eq!(restarted.code, 0, "{}", restarted.told());
    let second = line();
    assert!(first.starts_with("I am ") && second.starts_with("I am ") && first != second, "{first} {second}");
    drop(output);
    await_that("it ends with its reader", || follower.try_wait().unwrap().is_some());
    sandbox.stop_service();
}

#[test]
fn who_runs_a_command_elsewhere_from_a_terminal_is_told_that_it_has_none_there() {
    let sandbox = Sandbox::new();
    sandbox.script("ssh", "exit 255");
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());
    let warned = "on another machine the command has no terminal, and its input is empty";
    // script(1) gives it a terminal.
    let told = |with_terminal: bool| {
        let program = env!("CARGO_BIN_EXE_cutover");
        let line = format!("{program} app production exec -- true");
        let mut run = sandbox.command(if with_terminal { "script" } else { "sh" });
        let args: &[&str] = if with_terminal { &["-qefc", &line, "/dev/null"] } else { &["-c", &line] };
        let output = run.args(args).env("PATH", &path).output().unwrap();
        let ran = sandbox.ran(&output);
        ran.stdout + &ran.stderr
    };
    assert!(!told(true).contains(warned), "it is run here");
    sandbox.write("cutover.toml", &sandbox.config().replace("localhost", "deploy@nowhere"));

    let (at_terminal, without) = (told(true), told(false));

    assert!(at_terminal.contains(warned) && at_terminal.contains("`ssh -t`"), "{at_terminal}");
    assert!(without.contains("cannot reach deploy@nowhere") && !without.contains(warned), "{without}");
}

#[test]
fn a_service_that_was_stopped_stays_so_until_it_is_started_or_something_is_deployed() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]\nverify.soak = \"100ms\"", "");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let app = |verb: &str| sandbox.run(&["app", "production", verb]);
    let service =
        || sandbox.run(&["status", "production", "--json"]).json()["environments"][0]["targets"][0]["service"].clone();
    let is_active = || service()["active"].as_bool().unwrap();
    let main = || service()["main"]["pid"].as_u64().unwrap();

    let told = |args: &[&str]| sandbox.run(args).stdout;
    let (hint, ill) = ("cutover app production start", "does not run");
    assert!(!told(&["status"]).contains(hint) && !told(&["doctor", "production"]).contains(ill));
    assert_eq!(app("stop").told(), "exit 0\napi: stopped\n");
    assert!(!is_active());
    assert!(told(&["status"]).contains("    nothing runs until somebody starts it: cutover app production start\n"));
    let doctor = told(&["doctor", "production"]);
    assert!(doctor.contains(ill) && doctor.contains(hint) && !doctor.contains("everything is well"), "{doctor}");
    assert_eq!(app("stop").told(), "exit 0\napi: did not run; it is stopped\n");

    let started = app("start");
    assert!(started.code == 0 && started.stdout.contains("\n✓ Started in "), "{started:?}");
    assert!(started.stdout.starts_with("Starting shop in production: "), "{started:?}");
    let history = sandbox.run(&["history", "production"]).stdout;
    assert!(history.contains("  start  ") && !history.contains("  restart  "), "{history}");
    let (pid, again) = (main(), app("start"));
    assert!(again.code == 0 && again.stdout.contains("✓ Nothing changed: "), "{again:?}");
    assert_eq!(main(), pid, "what runs is left alone");

    assert_eq!((app("stop").code, sandbox.run(&["deploy", "production"]).code), (0, 0));
    assert!(is_active());

    // It is no other project's to stop.
    let config = sandbox.config();
    sandbox.write("cutover.toml", &config.replace("name = \"shop\"", "name = \"bank\""));
    let refused = app("stop");
    assert!(refused.code == 1 && refused.stderr.contains("is a release of project shop"), "{}", refused.told());
    sandbox.write("cutover.toml", &config);
    assert!(is_active());
    assert_eq!(app("stop").code, 0);
}

#[test]
fn a_service_is_not_stopped_while_a_deployment_has_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]\nverify.soak = \"100ms\"", "");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let lock = File::options().write(true).open(sandbox.path().join("srv/.cutover/lock")).unwrap();
    lock.lock().unwrap();

    let refused = sandbox.run(&["app", "production", "stop"]);

    assert_eq!(refused.code, 6, "{refused:?}");
    drop(lock);
    sandbox.stop_service();
}

#[test]
fn whoever_set_the_maintenance_lock_may_stop_and_start_beneath_it_and_nobody_else() {
    let sandbox = Sandbox::new();
    sandbox.host("service.process.command = [\"sleep\", \"1000\"]\nverify.soak = \"100ms\"", "");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let locked = sandbox.run(&["lock", "production", "acquire", "--reason", "the disk is changed"]);
    assert_eq!(locked.code, 0, "{}", locked.told());
    let code = |verb: &str, by: &[(&str, &str)]| sandbox.run_with(&["app", "production", verb], by).code;

    for verb in ["stop", "start", "restart"] {
        assert_eq!(code(verb, &[("CUTOVER_BY", "somebody else")]), 6, "{verb}");
    }
    assert_eq!(["stop", "start", "restart", "stop"].map(|verb| code(verb, &[])), [0; 4]);
    assert_eq!(sandbox.run(&["deploy", "production", "--restart"]).code, 6, "it is there to keep deployments out");
}

#[test]
fn a_command_in_the_release_has_its_variables_and_not_the_callers() {
    let sandbox = Sandbox::new();
    sandbox.host("", "env = { LEVEL = \"info\" }");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let line = "echo ${LEVEL-none} ${OF_THE_CALLER-none} ${TERM-none} ${PATH:+has a path}";
    let mut exec = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    exec.env("OF_THE_CALLER", "seen").env("LEVEL", "debug").env("TERM", "dumb");

    let output = exec.args(["app", "production", "exec", "--", "sh", "-c", line]).output().unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), "info none dumb has a path\n");
}

#[test]
fn targets_are_stopped_and_started_by_name() {
    let sandbox = Sandbox::new();
    sandbox.targets(&["api", "worker"]);
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let app = |args: &[&str]| sandbox.run(&[&["app", "production"], args].concat());
    let run = || {
        let status = sandbox.run(&["status", "production", "--json"]).json();
        let targets = status["environments"][0]["targets"].as_array().unwrap().clone();
        targets.iter().map(|target| target["service"]["active"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let main = |name: &str| {
        let state = sandbox.path().join(format!("srv/{name}/.cutover/process/{name}"));
        cutover_targets::supervisor::state(&state).unwrap().unwrap().child.unwrap().pid
    };

    assert_eq!(app(&["stop", "--target", "worker"]).told(), "exit 0\nworker: stopped\n");
    assert_eq!(run(), [true, false]);
    assert_eq!(app(&["start", "--target", "api"]).code, 0);
    assert_eq!(run(), [true, false], "what is not named stays stopped");
    let api = main("api");
    assert_eq!(app(&["restart", "--target", "worker"]).code, 0);
    assert_eq!((run(), main("api")), (vec![true, true], api), "what is not named runs on");
    assert_eq!(
        app(&["stop", "--target", "api", "--target", "worker"]).told(),
        "exit 0\napi: stopped\nworker: stopped\n"
    );
    let unknown = app(&["restart", "--target", "wroker"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("there are: api, worker"), "{}", unknown.told());
    let unknown = app(&["restart", "--host", "web-1"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("there are: localhost"), "{}", unknown.told());
}

#[test]
fn a_target_that_nothing_was_deployed_to_yet_is_passed_over_and_said() {
    let sandbox = Sandbox::new();
    sandbox.targets(&["worker"]);
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    // A target that comes before it in the alphabet.
    sandbox.targets(&["api", "worker"]);
    let app = |args: &[&str]| sandbox.run(&[&["app", "production"], args].concat());
    let passed_over = "api is passed over: nothing is live there";

    assert_eq!(app(&["stop"]).told(), "exit 0\napi: nothing is live\nworker: stopped\n");
    for verb in ["start", "restart"] {
        let ran = app(&[verb]);
        assert!(ran.code == 0 && ran.told().contains(passed_over), "{}", ran.told());
    }
    let nothing = app(&["start", "--target", "api"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("nothing is live yet"), "{}", nothing.told());
    assert_eq!(app(&["stop", "--target", "worker"]).told(), "exit 0\nworker: stopped\n");
}
