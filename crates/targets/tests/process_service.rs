//! Cutover's own supervisor, run for real.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod service_support;

use cutover_core::config::CommandLine;
use cutover_core::target::FailureKind;
use cutover_targets::process::{all_stats, signal, with_variable};
use cutover_targets::supervisor::{self, Phase};
use rustix::process::Signal;
use service_support::{Place, Told, process, wait_for, written_pid};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

#[test]
fn a_service_runs_in_its_release_with_its_env_file_and_stops() {
    let mut place = Place::new();
    place.site.env_file = Some(".env".into());
    fs::write(place.release().join(".env"), "GREETING='hello $world'\n").unwrap();
    let service = place.shell("echo \"$GREETING from $(pwd)\"; exec sleep 1000");
    assert_eq!(service.state().unwrap().description, "never started");

    service.restart(&Told::default()).unwrap();

    let state = service.state().unwrap();
    assert!(state.active && state.since.is_some() && state.memory_bytes.unwrap() > 0, "{state:?}");
    let main = state.main.unwrap();
    let said = format!("hello $world from {}\n", place.release().display());
    wait_for("it speaks", || place.service_log() == said);
    // The shell of its first line has ended by then.
    assert_eq!(service.processes().unwrap().into_iter().collect::<Vec<_>>(), [main.pid]);
    assert_eq!(place.told().release.unwrap(), place.release());
    assert_eq!(fs::metadata(place.supervisor().join("service.log")).unwrap().permissions().mode() & 0o777, 0o600);

    service.stop(&Told::default()).unwrap();

    assert!(!main.is_alive() && !place.told().supervisor.is_alive());
    let state = service.state().unwrap();
    assert_eq!((state.active, state.failed, state.description.as_str()), (false, false, "stopped"));
    service.stop(&Told::default()).unwrap();
}

#[test]
fn a_restart_takes_the_release_that_is_current_then() {
    let place = Place::new();
    let service = place.shell("exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    let first = place.told();
    fs::create_dir(place.path("releases/2")).unwrap();
    fs::remove_file(place.path("current")).unwrap();
    symlink("releases/2", place.path("current")).unwrap();

    service.restart(&Told::default()).unwrap();

    let second = place.told();
    assert!(!first.supervisor.is_alive() && !first.child.unwrap().is_alive());
    assert_eq!(second.release.unwrap(), place.path("releases/2"));
    assert_eq!(second.restart_count, 0);
}

#[test]
fn a_restart_that_cannot_be_prepared_leaves_what_runs() {
    let place = Place::new();
    let service = place.shell("exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    let main = service.state().unwrap().main.unwrap();
    let spec = place.supervisor().join("spec.json");
    fs::remove_file(&spec).unwrap();
    fs::create_dir(&spec).unwrap();

    let failure = service.restart(&Told::default()).unwrap_err();

    assert!(failure.message.contains("spec.json"), "{failure}");
    assert!(main.is_alive() && service.state().unwrap().active);
}

#[test]
fn secrets_of_the_env_file_are_hidden_in_the_log() {
    let secret = format!("tok-{:x}", std::process::id() as u64 * 6_700_417);
    let mut place = Place::new();
    place.site.env_file = Some(".env".into());
    place.site.secret_names.insert("TOKEN".into());
    fs::write(place.release().join(".env"), format!("TOKEN={secret}\nLEVEL=debug\n")).unwrap();
    place.shell("echo \"$LEVEL $TOKEN\"; exec sleep 1000").restart(&Told::default()).unwrap();
    wait_for("it speaks", || place.service_log() == "debug ***\n");
    let spec = fs::read_to_string(place.supervisor().join("spec.json")).unwrap();
    assert!(!spec.contains(&secret));
}

#[test]
fn credentials_of_the_caller_do_not_reach_the_service() {
    const PROXY: &str = "http://ann:made-up@proxy:1";
    if std::env::var_os("HTTPS_PROXY").is_none_or(|value| value != PROXY) {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["credentials_of_the_caller_do_not_reach_the_service", "--exact"]);
        assert!(again.env("HTTPS_PROXY", PROXY).env("PIP_INDEX_URL", PROXY).status().unwrap().success());
        return;
    }
    let place = Place::new();

    place.shell("env; echo end; exec sleep 1000").restart(&Told::default()).unwrap();

    wait_for("it speaks", || place.service_log().ends_with("end\n"));
    let log = place.service_log();
    assert!(log.contains("PATH=") && !log.contains("PROXY") && !log.contains("PIP_"), "{log}");
    let supervisor = fs::read(format!("/proc/{}/environ", place.told().supervisor.pid)).unwrap();
    assert!(!String::from_utf8_lossy(&supervisor).contains("made-up"));
}

#[test]
fn a_crashed_service_is_started_again_with_growing_pauses() {
    let place = Place::new();
    let service = place.shell("echo run; sleep 0.02; exit 3");
    service.restart(&Told::default()).unwrap();
    let mut state = service.state().unwrap();
    // A later look could see it run again.
    wait_for("it is a crash loop", || {
        state = service.state().unwrap();
        state.crash_looping && state.description == "waiting to be started again: exit code 3"
    });
    assert!(!state.active && !state.failed && state.restart_count >= 3, "{state:?}");
    assert_eq!(state.last_end.as_deref(), Some("exit code 3"));
    wait_for("it is one in the moments that it runs, too", || {
        service.state().is_ok_and(|state| state.crash_looping && state.active)
    });
    service.stop(&Told::default()).unwrap();
    let runs = place.service_log().lines().count() as u64;
    assert_eq!(runs, place.told().restart_count + 1);
}

#[test]
fn a_service_that_ends_well_is_started_again_too_and_a_signal_is_named() {
    let place = Place::new();
    let service = place.shell("if [ -e second ]; then exec sleep 1000; fi; touch second; kill -KILL $$");
    service.restart(&Told::default()).unwrap();
    wait_for("it runs the second time", || service.state().is_ok_and(|s| s.active && s.restart_count == 1));
    assert_eq!(place.told().last_exit.as_deref(), Some("killed by SIGKILL"));
}

#[test]
fn workers_of_a_crashed_master_do_not_stay() {
    let place = Place::new();
    let script = "if [ -e second ]; then exec sleep 1000; fi; touch second; setsid sh -c 'echo $$ > worker; exec sleep 1000' & while ! [ -s worker ]; do sleep 0.01; done; cp worker seen; while ! [ -e go ]; do sleep 0.01; done; exit 1";
    let service = place.shell(script);
    service.restart(&Told::default()).unwrap();
    let worker = written_pid(&place.release().join("seen"));
    fs::write(place.release().join("go"), "").unwrap();
    wait_for("the master runs again", || service.state().is_ok_and(|s| s.active && s.restart_count == 1));
    assert!(!worker.is_alive());
}

#[test]
fn a_program_that_is_missing_is_told_and_tried_again() {
    let place = Place::new();
    let service = place.service(process(CommandLine::Argv(vec!["./app".into()])));
    let failure = service.restart(&Told::default()).unwrap_err();
    assert!(failure.message.starts_with("start service app: start "), "{}", failure.message);
    assert!(failure.message.ends_with("/app: there is no such program"), "{}", failure.message);
    assert!(!service.state().unwrap().active);

    place.script("app", "#!/bin/sh\nexec sleep 1000\n");
    wait_for("it is started after all", || service.state().unwrap().active);
}

#[test]
fn an_env_file_that_is_missing_or_broken_is_told_without_its_content() {
    let mut place = Place::new();
    place.site.env_file = Some(".env".into());
    let service = place.shell("exec sleep 1000");
    assert!(service.restart(&Told::default()).unwrap_err().message.contains("read env file"));
    fs::write(place.release().join(".env"), "hunter2 is no variable\n").unwrap();
    let message = service.restart(&Told::default()).unwrap_err().message;
    assert!(message.contains("line 1 is not NAME=value") && !message.contains("hunter2"), "{message}");
}

#[test]
fn an_env_file_that_is_too_large_is_told_and_not_cut() {
    let mut place = Place::new();
    place.site.env_file = Some(".env".into());
    let rest = "#".repeat(usize::try_from(supervisor::ENV_BYTES_MAX).unwrap());
    fs::write(place.release().join(".env"), format!("A=1\n{rest}\nB=2\n")).unwrap();

    let message = place.shell("exec sleep 1000").restart(&Told::default()).unwrap_err().message;

    assert!(message.contains(".env: it has more than 1048576 bytes"), "{message}");
}

#[test]
fn a_service_that_ignores_term_is_killed_with_everything_it_left() {
    let place = Place::new();
    let script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > stray; while :; do sleep 0.1; done' & echo $$ > pid; while :; do sleep 0.1; done";
    let mut config = process(CommandLine::Shell(script.into()));
    config.stop_timeout = Duration::from_millis(300);
    let service = place.service(config);
    service.restart(&Told::default()).unwrap();
    let (main, stray) = (written_pid(&place.release().join("pid")), written_pid(&place.release().join("stray")));
    assert!(service.processes().unwrap().is_superset(&[main.pid, stray.pid].into()));

    let began = Instant::now();
    service.stop(&Told::default()).unwrap();

    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(5));
    assert!(!main.is_alive() && !stray.is_alive());
}

#[test]
fn what_outlived_the_supervisor_and_the_main_process_is_of_the_service_wherever_it_works() {
    let place = Place::new();
    let script = r#"(cd / && exec setsid sh -c 'echo $$ > "$0/stray"; exec sleep 1000' "$OLDPWD") & exec sleep 1000"#;
    let service = place.shell(script);
    service.restart(&Told::default()).unwrap();
    let stray = written_pid(&place.release().join("stray"));
    let told = place.told();
    for process in [&told.supervisor, told.child.as_ref().unwrap()] {
        signal(process.pid, Signal::KILL);
        wait_for("it is gone", || !process.is_alive());
    }

    assert_eq!(service.processes().unwrap(), [stray.pid].into());
}

#[test]
fn a_service_is_given_time_to_end_well() {
    let place = Place::new();
    let service = place.shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    service.restart(&Told::default()).unwrap();
    wait_for("it is ready", || place.service_log().contains("ready"));
    service.stop(&Told::default()).unwrap();
    assert!(place.service_log().ends_with("bye\n"), "{}", place.service_log());
    assert_eq!(place.told().last_exit.as_deref(), Some("exit code 0"));
}

#[test]
fn two_starts_at_once_leave_one_service() {
    let place = Place::new();
    let script = "exec sleep 1000";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| place.shell(script).restart(&Told::default()).unwrap());
        }
    });
    let state = place.shell(script).state().unwrap();
    assert!(state.active);
    let dir = place.supervisor().to_string_lossy().into_owned();
    // One that was told to end may take a moment to be gone.
    let (service, supervisor) = (state.main.unwrap().pid, place.told().supervisor.pid);
    wait_for("one service is left", || with_variable("CUTOVER_SERVICE", &dir) == [service].into());
    wait_for("one supervisor is left", || with_variable("CUTOVER_SUPERVISOR", &dir) == [supervisor].into());
}

#[test]
fn a_second_supervisor_of_the_same_directory_refuses() {
    let place = Place::new();
    place.shell("exec sleep 1000").restart(&Told::default()).unwrap();
    let error = supervisor::supervise(&place.supervisor(), &cutover_core::target::Cancel::new()).unwrap_err();
    assert!(error.to_string().starts_with("another supervisor runs for"), "{error}");
}

const GONE: &str = "active (running), but its supervisor is gone: nobody will start it again";

#[test]
fn what_a_killed_supervisor_left_is_found_and_ended_before_the_next_start() {
    let place = Place::new();
    let script = "setsid sh -c 'echo $$ > stray; exec sleep 1000' & echo $$ > pid; exec sleep 1000";
    let service = place.shell(script);
    service.restart(&Told::default()).unwrap();
    let (main, stray) = (written_pid(&place.release().join("pid")), written_pid(&place.release().join("stray")));
    let supervisor = place.told().supervisor;

    signal(supervisor.pid, Signal::KILL);
    wait_for("the supervisor is gone", || !supervisor.is_alive());
    let state = service.state().unwrap();
    assert_eq!((state.active, state.failed, state.description.as_str()), (true, true, GONE));
    assert!(main.is_alive() && stray.is_alive());

    service.restart(&Told::default()).unwrap();
    assert!(!main.is_alive() && !stray.is_alive());
    assert!(service.state().unwrap().active);
}

#[test]
fn a_service_that_was_stopped_after_its_supervisor_died_is_not_meant_to_run() {
    let place = Place::new();
    let service = place.shell("exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    let told = place.told();
    signal(told.supervisor.pid, Signal::KILL);
    wait_for("the supervisor is gone", || !told.supervisor.is_alive());

    service.stop(&Told::default()).unwrap();

    assert!(!told.child.unwrap().is_alive());
    let state = service.state().unwrap();
    assert_eq!((state.active, state.wanted, state.description.as_str()), (false, false, "stopped"));
}

#[test]
fn a_supervisor_that_hangs_is_replaced() {
    let place = Place::new();
    let mut config = process(CommandLine::Shell("exec sleep 1000".into()));
    config.stop_timeout = Duration::from_millis(10);
    let service = place.service(config);
    service.restart(&Told::default()).unwrap();
    let first = place.told();
    signal(first.supervisor.pid, Signal::STOP);
    service.restart(&Told::default()).unwrap();
    assert!(!first.supervisor.is_alive() && !first.child.unwrap().is_alive());
    assert!(service.state().unwrap().active);
}

#[test]
fn a_supervisor_whose_word_was_lost_is_still_found() {
    let place = Place::new();
    let service = place.shell("exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    let first = place.told();
    fs::write(place.supervisor().join("state.json"), "torn").unwrap();
    service.restart(&Told::default()).unwrap();
    assert!(!first.supervisor.is_alive() && !first.child.unwrap().is_alive());
}

#[test]
fn the_service_survives_whoever_started_it() {
    let place = Place::new();
    let service = place.shell("exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    service.stop(&Told::default()).unwrap();
    // Started again by a process of its own session, which is then killed with its whole group.
    let mut argv = vec![place.site.supervisor_program.to_string_lossy().into_owned()];
    argv.extend(place.site.supervisor_args.iter().cloned());
    argv.push(place.supervisor().to_string_lossy().into_owned());
    let script = "\"$@\" & sleep 1000";
    let mut client = std::process::Command::new("setsid")
        .args(["sh", "-c", script, "sh"])
        .args(&argv)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the service runs", || service.state().unwrap().active);
    wait_for("the supervisor left the session", || {
        let told = place.told().supervisor.pid;
        all_stats().iter().any(|stat| stat.pid == told && stat.session == told)
    });
    let client_group = client.id();
    cutover_targets::process::signal_group(client_group, Signal::KILL);
    client.wait().unwrap();
    assert!(service.state().unwrap().active);
    assert!(place.told().supervisor.is_alive());
}

#[test]
fn no_zombies_stay() {
    let place = Place::new();
    let service = place.shell("for i in 1 2 3 4 5; do setsid sh -c 'exec true' & done; touch done; exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    wait_for("the children were made", || place.release().join("done").exists());
    let supervisor = place.told().supervisor.pid;
    wait_for("adopted zombies are reaped", || !all_stats().iter().any(|s| s.parent == supervisor && s.is_dead()));
    service.stop(&Told::default()).unwrap();
    wait_for("the supervisor is reaped by who started it", || all_stats().iter().all(|stat| stat.pid != supervisor));
}

#[test]
fn a_fast_writer_keeps_the_log_within_its_size_and_the_mark_in_its_place() {
    let place = Place::new();
    let mut config = process(CommandLine::Shell(
        "yes 'a line of thirty-two characters' | head -n 200000; echo end; exec sleep 1000".into(),
    ));
    config.log_max_bytes = 100_000;
    let service = place.service(config);
    let mark = service.log_mark();
    service.restart(&Told::default()).unwrap();
    wait_for("all is written", || place.service_log().ends_with("end\n"));
    for name in ["service.log", "service.log.1"] {
        let size = fs::metadata(place.supervisor().join(name)).unwrap().len();
        assert!(size <= 100_000, "{name} has {size}");
    }
    let since = service.log_since(&mark, 64 * 1024).unwrap();
    assert!(since.ends_with("end\n") && since.len() <= 64 * 1024 && since.len() > 1000);
}

#[test]
fn the_mark_parts_the_runs() {
    let place = Place::new();
    let service = place.shell("echo run $(ls ../.. | wc -l); exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    wait_for("the first run speaks", || place.service_log().lines().count() == 1);
    let mark = service.log_mark();
    fs::write(place.path("another"), "").unwrap();
    service.restart(&Told::default()).unwrap();
    wait_for("the second run speaks", || place.service_log().lines().count() == 2);
    let first: Vec<String> = place.service_log().lines().map(str::to_owned).collect();
    assert_eq!(service.log_since(&mark, 1000).unwrap(), format!("{}\n", first[1]));
}

#[test]
fn the_last_words_of_the_run_before_are_not_the_new_ones() {
    // Given a service that says something when it is told to end, and a mark from before that.
    let place = Place::new();
    let speaks = "trap 'echo Traceback; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let service = place.shell(speaks);
    service.restart(&Told::default()).unwrap();
    wait_for("it speaks", || place.service_log() == "ready\n");
    let mark = service.log_mark();
    // When it is restarted.
    service.restart(&Told::default()).unwrap();
    wait_for("both runs have spoken", || {
        let log = place.service_log();
        log.contains("Traceback\n") && log.matches("ready\n").count() == 2
    });
    // Then the new run said only what it said itself.
    assert_eq!(service.log_since(&mark, 1000).unwrap(), "ready\n");
}

#[test]
fn a_full_disk_stops_the_start_with_its_own_kind_and_not_the_running_service() {
    let place = Place::new();
    // `/dev/full` stands for the disk: every write to the log fails.
    fs::create_dir_all(place.supervisor()).unwrap();
    symlink("/dev/full", place.supervisor().join("service.log")).unwrap();
    let service = place.shell("yes | head -n 300000; echo done > done; exec sleep 1000");
    service.restart(&Told::default()).unwrap();
    wait_for("the service was not held up", || place.release().join("done").exists());
    assert!(service.state().unwrap().active);

    service.stop(&Told::default()).unwrap();
    fs::remove_file(place.supervisor().join(".spec.json.new")).ok();
    // Without an old file there are no blocks to write within.
    fs::remove_file(place.supervisor().join("spec.json")).unwrap();
    symlink("/dev/full", place.supervisor().join(".spec.json.new")).unwrap();
    let failure = service.restart(&Told::default()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoSpace, "{failure}");
    assert_eq!(place.told().phase, Phase::Stopped);
    fs::remove_file(place.supervisor().join(".spec.json.new")).unwrap();
}

#[test]
fn a_supervisor_that_cannot_run_says_so() {
    let mut place = Place::new();
    place.site.supervisor_program = "/no/such/cutover".into();
    let failure = place.shell("true").restart(&Told::default()).unwrap_err();
    assert!(failure.message.starts_with("start service app: start the supervisor /no/such/cutover: "), "{failure}");

    place.site.supervisor_program = "/bin/sh".into();
    place.site.supervisor_args = vec!["-c".into(), "echo no room >&2; exit 9".into()];
    let failure = place.shell("true").restart(&Told::default()).unwrap_err();
    assert!(failure.message.contains("exit status: 9") && failure.message.ends_with("no room"), "{failure}");
}
