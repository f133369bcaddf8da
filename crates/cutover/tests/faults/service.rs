//! A service, an install or a probe that does not do what it should.

use crate::bed::{Bed, PATIENCE, python, wait_for};
use crate::ran::Ran;
use crate::run::Running;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The release was taken back: the world is as before but for the bad release, and the first version answers.
fn assert_rolled_back(bed: &Bed, ran: Ran, fault: &str, words: &[&str]) {
    let told = ran.told();
    ran.concludes("↩ Rolled back").tells_of(fault).says(&["cutover logs"]).says(words);
    bed.assert_settled_at(1, &told);
    let bad = bed.run(&["releases", "production"]).expect(0);
    bad.says(&["bad"]);
}

/// Nothing was switched.
fn assert_untouched(bed: &Bed, before: &crate::eyes::World, ran: Ran, fault: &str, words: &[&str]) {
    let told = ran.told();
    ran.concludes("✗ Failed after").tells_of(fault).says(&["cutover logs"]).says(words);
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    bed.assert_settled_at(1, &told);
}

/// The path of the log that a failure names.
fn named_log(ran: &Ran) -> String {
    let line = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("log: "));
    line.unwrap_or_else(|| panic!("no log is named: {}", ran.told())).to_owned()
}

#[test]
fn requirements_that_cannot_be_installed_change_nothing_and_their_log_is_kept() {
    let mut bed = Bed::live();
    let before = bed.world();
    bed.write("requirements.txt", "surely-no-such-package==4.2\n");
    bed.config.tables =
        format!("[targets.app.host.python]\ninterpreter = \"{}\"\nrequirements = \"requirements.txt\"\n", python());
    bed.commit();
    let mut command = bed.cutover(&["deploy", "production"]);
    command.env("PIP_NO_INDEX", "1").env("UV_OFFLINE", "1");

    let ran = crate::run::Running::start(command).end_within(2 * PATIENCE);

    let log = named_log(&ran);
    assert!(std::fs::read_to_string(&log).unwrap().contains("surely-no-such-package"), "{log}");
    assert_untouched(&bed, &before, ran, "requirements cannot be installed", &["surely-no-such-package"]);
    let environments = crate::eyes::entries(&bed.app().join(".cutover/envs"));
    assert_eq!(environments, Vec::<std::path::PathBuf>::new(), "half an environment is left");
}

#[test]
fn an_import_that_fails_changes_nothing_and_its_log_is_kept() {
    let mut bed = Bed::live();
    let before = bed.world();
    bed.write("shop.py", "import surely_no_such_module\n");
    bed.config.tables = format!("[targets.app.host.python]\ninterpreter = \"{}\"\nsmoke = [\"shop\"]\n", python());
    bed.commit();

    let ran = bed.deploy();

    assert!(std::fs::read_to_string(named_log(&ran)).unwrap().contains("Traceback"));
    assert_untouched(&bed, &before, ran, "import fails", &["No module named 'surely_no_such_module'"]);
}

#[test]
fn a_hook_that_fails_changes_nothing_and_its_log_is_kept() {
    let mut bed = Bed::live();
    let before = bed.world();
    bed.config.tables = "[targets.app.host.run]\ninstall = \"echo no compiler here; exit 7\"\n".to_owned();
    bed.commit();

    let ran = bed.deploy();

    assert!(std::fs::read_to_string(named_log(&ran)).unwrap().contains("no compiler here"));
    assert_untouched(&bed, &before, ran, "install command fails", &["| no compiler here"]);
}

/// Well at first; after three seconds it is gone.
const CRASHES: &str = r#"
import threading, time
def crash():
    time.sleep(3)
    print("the queue is gone", flush=True)
    os._exit(9)
threading.Thread(target=crash, daemon=True).start()
def reply(connection): answer(connection, 200, 'ok ' + version)
"#;

#[test]
fn a_service_that_crashes_while_it_soaks_is_rolled_back() {
    let mut bed = Bed::live();
    bed.config.verify += "soak = \"5s\"\n";
    bed.commit_behaving(CRASHES);

    let ran = bed.begin_deploy().end_within(Duration::from_secs(30));

    assert_rolled_back(&bed, ran, "service crashes after 3 s", &["| the queue is gone"]);
}

#[test]
fn a_first_release_that_crashes_while_it_soaks_leaves_nothing_live() {
    let mut bed = Bed::new();
    bed.config.verify += "soak = \"5s\"\n";
    bed.commit_behaving(CRASHES);

    let ran = bed.deploy().concludes("✗ Failed after").tells_of("first release crashes after 3 s");

    let told = ran.told();
    assert!(std::fs::symlink_metadata(bed.app().join("current")).is_err(), "{told}");
    assert_eq!(bed.answer(), None, "{told}");
    bed.assert_at_rest(&told);
    let left = crate::eyes::processes_of(&bed.path(""));
    assert_eq!(left, Vec::<u32>::new(), "left running, {told}");
}

#[test]
fn a_probe_that_is_never_answered_is_bounded_by_its_time() {
    let mut bed = Bed::live();
    bed.config.verify = "within = \"3s\"\ninterval = \"50ms\"\n".to_owned();
    bed.commit_behaving("import time\ndef reply(connection): time.sleep(300)");

    let ran = bed.begin_deploy().end_within(Duration::from_secs(20));

    assert_rolled_back(&bed, ran, "probe hangs", &[]);
}

#[test]
fn a_command_probe_that_never_ends_is_bounded_and_leaves_no_child() {
    let mut bed = Bed::live();
    bed.write("probe", "#!/bin/sh\ntrap '' TERM\n(sleep 300; true) &\nsleep 300\n");
    bed.config.verify = "within = \"3s\"\ninterval = \"50ms\"\n".to_owned();
    bed.config.probes = "{ command = { run = [\"./probe\"], timeout = \"1s\" } }".to_owned();
    bed.commit();

    let ran = bed.begin_deploy().end_within(Duration::from_secs(40));

    assert_rolled_back(&bed, ran, "probe command hangs", &[]);
}

#[test]
fn a_service_that_says_it_is_not_well_is_rolled_back() {
    let mut bed = Bed::live();
    bed.config.verify = "within = \"2s\"\ninterval = \"50ms\"\n".to_owned();
    bed.commit_behaving(crate::bed::UNWELL);

    let ran = bed.deploy();

    assert_rolled_back(&bed, ran, "service says it is not well", &["code 503"]);
}

/// A stranger who answers 200 at a port.
struct Stranger(Child);

impl Stranger {
    fn at(bed: &Bed, port: u16) -> Self {
        let script = format!(
            "import socket\ns = socket.create_server(('127.0.0.1', {port}))\nwhile True:\n c, _ = s.accept()\n c.recv(999)\n \
             c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nok 7')\n c.close()\n"
        );
        let mut command: Command = bed.command(python());
        let child = command.args(["-S", "-E", "-c", &script]).stdout(Stdio::null()).spawn().unwrap();
        let stranger = Self(child);
        crate::bed::wait_for("the stranger answers", || crate::bed::ask(port).is_some());
        stranger
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_stranger_who_answers_at_the_port_is_named_and_does_not_count() {
    // One service that cannot get the port ends, another one lives on without it.
    let patient = "import time\nbind = socket.socket.bind\ndef patiently(self, address):\n    try: bind(self, address)\n    except OSError: time.sleep(300)\nclass Patient(socket.socket):\n    def bind(self, address): patiently(self, address)\nsocket.socket = Patient\n";
    for behaviour in [String::new(), patient.to_owned()] {
        let mut bed = Bed::live();
        let old_port = bed.config.port;
        let taken = crate::bed::free_port();
        let stranger = Stranger::at(&bed, taken);
        bed.config.port = taken;
        bed.config.verify = "within = \"3s\"\ninterval = \"50ms\"\n".to_owned();
        bed.commit_behaving(&format!("{behaviour}{}", crate::bed::HEALTHY));

        let ran = bed.deploy();

        bed.config.port = old_port;
        let named = format!("port {taken} is answered by pid {} (python3", stranger.0.id());
        assert_rolled_back(&bed, ran, "port taken by another process", &[&named]);
    }
}

#[test]
fn a_target_that_was_renamed_takes_over_from_its_old_service_and_gives_it_back() {
    // Given a release that runs under the target's old name.
    let mut bed = Bed::live();
    bed.config.target = "web";
    // When the first release under the new name is not well, then the old service is back, and it alone.
    bed.commit_behaving(crate::bed::UNWELL);
    assert_rolled_back(&bed, bed.deploy(), "service says it is not well", &[]);
    assert_eq!(bed.serving(), Some(1));
    // When it is well, then it runs in the old one's stead.
    let version = bed.commit_behaving(crate::bed::HEALTHY);
    bed.deploy().expect(0);
    assert_eq!(bed.serving(), Some(version));
    let status = bed.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["environments"][0]["targets"][0]["service"]["active"], true);
    // And a rollback goes back to the old name's.
    bed.run(&["rollback", "production"]).expect(0);
    assert_eq!(bed.serving(), Some(1));
}

#[test]
fn a_service_that_was_down_is_not_called_healthy_when_its_remedy_fails() {
    // Given a release whose service was ended, together with its supervisor.
    let bed = Bed::live();
    cutover_targets::supervisor::stop(&bed.app().join(".cutover/process/app")).unwrap();
    // When a release is deployed that is not well either.
    bed.commit_behaving(crate::bed::UNWELL);
    let ran = bed.deploy();
    // Then all is as before, and the last line says what that means.
    ran.expect(1).concludes("✗ Failed after").says(&["is current, and its service does not run"]);
    assert_eq!((bed.current(), bed.serving()), (Some(1), None));
}

/// What the supervisor of the bed's service last told.
fn told(bed: &Bed) -> cutover_targets::supervisor::SupervisorState {
    cutover_targets::supervisor::state(&bed.app().join(".cutover/process/app")).unwrap().unwrap()
}

#[test]
fn a_service_whose_supervisor_was_killed_is_live_and_comes_back_after_an_unhealthy_release() {
    // Given a service that answers, and nobody who would start it again.
    let bed = Bed::live();
    let told = told(&bed);
    cutover_targets::process::signal(told.supervisor.pid, rustix::process::Signal::KILL);
    wait_for("the supervisor's end", || !told.supervisor.is_alive());
    assert_eq!(bed.serving(), Some(1));
    bed.run(&["status"]).expect(0).says(&["active (running), but its supervisor is gone"]);
    bed.run(&["doctor"]).expect(0).says(&["it is meant to run, and nothing will start it: active (running), but its"]);
    // When an unhealthy release is deployed, then the first one is back, with a supervisor.
    bed.commit_behaving(crate::bed::UNWELL);
    assert_rolled_back(&bed, bed.deploy(), "service says it is not well", &[]);
    assert!(self::told(&bed).supervisor.is_alive());
}

#[test]
fn a_service_that_runs_a_release_to_which_no_link_leads_is_not_touched() {
    let bed = Bed::live();
    let link = bed.app().join("current");
    let target = std::fs::read_link(&link).unwrap();
    std::fs::remove_file(&link).unwrap();
    let process = told(&bed).child;
    bed.commit_behaving(crate::bed::UNWELL);

    let ran = bed.deploy();

    ran.expect(1).says(&[
        "current is missing",
        "there would be no way back",
        "nothing that runs was changed; no release is live",
        &format!("ln -s {} ", target.display()),
    ]);
    assert_eq!((told(&bed).child, bed.serving()), (process, Some(1)));
    // And the advice is good.
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let version = bed.commit_behaving(crate::bed::HEALTHY);
    bed.deploy().expect(0);
    assert_eq!(bed.serving(), Some(version));
}

#[test]
fn a_live_release_that_is_gone_is_told_before_anything_is_touched() {
    let bed = Bed::live();
    let live = bed.app().join(std::fs::read_link(bed.app().join("current")).unwrap());
    std::fs::rename(&live, bed.path("elsewhere")).unwrap();
    let process = told(&bed).child;
    bed.commit();

    bed.deploy().expect(1).says(&["which is not there", "there would be no way back"]);

    assert_eq!((told(&bed).child, bed.serving()), (process, Some(1)));
}

#[test]
fn a_service_holds_nothing_that_its_deployer_had_open() {
    // Given a caller with a lock, as `flock -n FILE cutover deploy …` has it.
    let bed = Bed::new();
    bed.commit();
    let lock = bed.path("ci.lock");
    let mut command = bed.command("sh");
    command.args(["-c", "exec 9>\"$0\"; exec \"$@\""]).arg(&lock);
    command.arg(env!("CARGO_BIN_EXE_cutover")).args(["deploy", "production"]);
    Running::start(command).end().expect(0);
    // Then neither supervisor nor service has it.
    let told = told(&bed);
    for pid in [told.supervisor.pid, told.child.unwrap().pid] {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let mut open = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        assert!(!open.any(|path| path == lock), "process {pid} has the caller's lock");
    }
}
