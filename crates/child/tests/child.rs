//! Commands of the user's own, run for real.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

use cutover_child::stat::stat_of;
use cutover_child::{ChildCommand, ChildError, ChildExit, Leftovers, Question, ask, listen, run};
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::{Cancel, FailureKind, Progress};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until it is so; fails the test when it never is.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::yield_now();
    }
}

fn is_alive(pid: u32) -> bool {
    stat_of(pid).is_some_and(|stat| !stat.is_dead())
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// The process that writes its number into a file, once it has.
fn written_pid(path: &Path) -> u32 {
    let mut found = None;
    wait_for(&format!("a process writes {}", path.display()), || {
        found = fs::read_to_string(path).ok().and_then(|text| text.strip_suffix('\n')?.trim().parse().ok());
        found.is_some()
    });
    found.unwrap()
}

/// Remembers what it is told.
#[derive(Default)]
struct Told {
    lines: Mutex<Vec<String>>,
    cancel: Cancel,
}

impl Told {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Progress for Told {
    fn advance(&self, _done: u64, _total: u64, _unit: &'static str) {}
    fn output(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
    fn probed(&self, _result: &ProbeResult) {}
    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// A command with its surroundings, to be changed by each test.
struct Case {
    dir: tempfile::TempDir,
    command: CommandLine,
    variables: BTreeMap<String, Secret>,
    timeout: Duration,
    masker: Masker,
    leftovers: Leftovers<'static>,
    log: Option<std::path::PathBuf>,
    told: Told,
}

impl Case {
    fn shell(script: &str) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            command: CommandLine::Shell(script.to_owned()),
            variables: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            masker: Masker::new([]),
            leftovers: Leftovers::Kill,
            log: None,
            told: Told::default(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> ChildCommand<'_> {
        ChildCommand {
            command: &self.command,
            cwd: self.dir.path(),
            variables: &self.variables,
            timeout: self.timeout,
            log: self.log.as_deref(),
            masker: &self.masker,
            leftovers: self.leftovers,
        }
    }

    fn run(&self) -> Result<ChildExit, ChildError> {
        run(&self.command(), &self.told)
    }
}

#[test]
fn output_of_both_kinds_is_told_line_by_line_with_the_exit_code() {
    let case = Case::shell("echo one; echo two >&2; printf three; exit 7");
    let exit = case.run().unwrap();
    assert_eq!((exit.code, exit.excerpt.as_str()), (7, "one\ntwo\nthree\n"));
    assert_eq!(case.told.lines(), ["one", "two", "three"]);
    let failure = exit.success("install").unwrap_err();
    assert_eq!((failure.message.as_str(), failure.excerpt.as_str()), ("install: exit code 7", "one\ntwo\nthree\n"));
}

#[test]
fn only_given_and_harmless_variables_reach_the_command() {
    let mut case = Case::shell("env");
    case.variables.insert("GIVEN".into(), Secret::new("yes"));
    case.run().unwrap();
    let lines = case.told.lines();
    assert!(lines.contains(&"GIVEN=yes".to_owned()));
    assert!(lines.iter().any(|line| line.starts_with("PATH=")));
    assert!(!lines.iter().any(|line| line.starts_with("CARGO_MANIFEST_DIR")), "{lines:?}");
}

/// Whether this is the run of the test with these variables; the run without them begins it.
fn is_run_with(variables: &[(&str, &str)], test: &str) -> bool {
    if std::env::var_os(variables[0].0).is_some_and(|value| value == variables[0].1) {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let status = again.args([test, "--exact"]).envs(variables.iter().copied()).status().unwrap();
    assert!(status.success(), "{status}");
    false
}

const CREDENTIALS: [(&str, &str); 2] =
    [("PIP_INDEX_URL", "https://ann:pip-made-up@host/simple"), ("UV_PUBLISH_TOKEN", "uv-made-up")];

#[test]
fn credentials_of_the_caller_reach_a_tool_and_no_log() {
    if !is_run_with(&CREDENTIALS, "credentials_of_the_caller_reach_a_tool_and_no_log") {
        return;
    }
    let mut case = Case::shell("echo \"$PIP_INDEX_URL $UV_PUBLISH_TOKEN ${#UV_PUBLISH_TOKEN}\"");
    case.log = Some(case.path("log"));

    case.run().unwrap();

    assert_eq!(case.told.lines(), ["https://ann:***@host/simple *** 10"]);
    assert_eq!(fs::read_to_string(case.path("log")).unwrap(), "https://ann:***@host/simple *** 10\n");
}

#[test]
fn credentials_of_the_caller_do_not_reach_what_may_stay() {
    if !is_run_with(&CREDENTIALS, "credentials_of_the_caller_do_not_reach_what_may_stay") {
        return;
    }
    let mut case = Case::shell("echo \"${PIP_INDEX_URL:-none} ${UV_PUBLISH_TOKEN:-none}\"");
    case.leftovers = Leftovers::Leave;

    case.run().unwrap();

    assert_eq!(case.told.lines(), ["none none"]);
}

#[test]
fn a_program_is_found_in_the_working_directory_and_given_its_arguments_as_they_stand() {
    let mut case = Case::shell("");
    fs::write(case.path("tool"), "#!/bin/sh\nprintf '<%s>' \"$@\"\n").unwrap();
    fs::set_permissions(case.path("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    case.command = CommandLine::Argv(["./tool", "a b", "$HOME", "*"].map(str::to_owned).to_vec());
    assert_eq!(case.run().unwrap().excerpt, "<a b><$HOME><*>\n");
}

#[test]
fn a_secret_is_hidden_in_lines_and_log_also_when_it_comes_in_pieces() {
    let secret = format!("s3cret-{:x}", std::process::id() as u64 * 7_919_000_003);
    let mut case = Case::shell("printf %s \"${TOKEN%????}\"; sleep 0.1; printf '%s\\n' \"${TOKEN#\"${TOKEN%????}\"}\"");
    case.variables.insert("TOKEN".into(), Secret::new(&secret));
    case.masker = Masker::new([("TOKEN", &Secret::new(&secret))]);
    case.log = Some(case.path("log"));
    let exit = case.run().unwrap();
    assert_eq!(case.told.lines(), ["***"]);
    assert_eq!(exit.excerpt, "***\n");
    assert_eq!(fs::read_to_string(case.path("log")).unwrap(), "***\n");
    assert_eq!(fs::metadata(case.path("log")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn endless_lines_and_much_output_stay_within_bounds() {
    let case = Case::shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; yes 12345678 | head -n 50000; echo end");
    let exit = case.run().unwrap();
    assert!(exit.excerpt.len() <= 8 * 1024 && exit.excerpt.ends_with("end\n"));
    assert!(case.told.lines()[0].len() <= 16 * 1024);
}

#[test]
fn a_log_that_cannot_be_written_does_not_fail_the_command() {
    for log in ["/dev/full", "/nonexistent/dir/log"] {
        let mut case = Case::shell("yes | head -n 100000");
        case.log = Some(log.into());
        assert_eq!(case.run().unwrap().code, 0, "{log}");
    }
}

#[test]
fn a_program_or_directory_that_is_missing_is_named() {
    let mut case = Case::shell("");
    case.command = CommandLine::Argv(vec!["no-such-program".into()]);
    let failure = case.run().unwrap_err().failure("install");
    assert!(failure.message.starts_with("install: start no-such-program: "), "{}", failure.message);
    assert!(failure.hint.unwrap().contains("PATH"));

    let command = ChildCommand {
        command: &CommandLine::Shell("true".into()),
        cwd: Path::new("/no/such/dir"),
        variables: &case.variables,
        timeout: case.timeout,
        log: None,
        masker: &case.masker,
        leftovers: Leftovers::Kill,
    };
    let failure = run(&command, &case.told).unwrap_err().failure("install");
    assert_eq!(failure.message, "install: directory /no/such/dir does not exist");
}

#[test]
fn death_by_a_signal_is_a_failure_that_names_it() {
    let case = Case::shell("echo last words; kill -SEGV $$");
    let failure = case.run().unwrap_err().failure("migrate");
    assert_eq!(failure.message, "migrate: killed by SIGSEGV");
    assert_eq!(failure.excerpt, "last words\n");
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let mut case = Case::shell("sleep 1000 & echo $! > pid; wait");
    case.timeout = Duration::from_millis(300);
    let began = Instant::now();
    let failure = case.run().unwrap_err().failure("install");
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(4), "TERM was enough");
    let pid = written_pid(&case.path("pid"));
    wait_for("the grandchild is gone", || !is_alive(pid));
}

#[test]
fn a_group_that_ignores_term_is_killed() {
    let mut case = Case::shell(
        "trap '' TERM; (trap '' TERM; echo $$; while :; do sleep 1; done) & echo $! > pid; while :; do sleep 1; done",
    );
    case.timeout = Duration::from_millis(300);
    let began = Instant::now();
    assert!(matches!(case.run(), Err(ChildError::TimedOut { .. })));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let pid = written_pid(&case.path("pid"));
    wait_for("the grandchild is gone", || !is_alive(pid));
}

#[test]
fn cancelling_ends_the_command() {
    let case = Case::shell("echo begun; sleep 1000");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for("the command began", || !case.told.lines().is_empty());
            case.told.cancel.cancel();
        });
        assert!(matches!(case.run(), Err(ChildError::Cancelled)));
    });
}

#[test]
fn what_a_hook_leaves_behind_is_killed_and_cannot_hang_the_reader() {
    let case = Case::shell("(sleep 1000 & echo $! > pid); echo done");
    let began = Instant::now();
    assert_eq!(case.run().unwrap().code, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    let pid = written_pid(&case.path("pid"));
    wait_for("the leftover is gone", || !is_alive(pid));
}

/// Starts a process that has left the group, and waits until it wrote its number. It ignores TERM.
const DEPART: &str =
    "setsid sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done' & while ! [ -s pid ]; do sleep 0.01; done";

#[test]
fn what_leaves_the_group_ends_with_the_command_and_cannot_hang_the_reader() {
    let case = Case::shell(DEPART);
    let began = Instant::now();
    assert_eq!(case.run().unwrap().code, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    let departed = written_pid(&case.path("pid"));
    assert!(!is_alive(departed));
}

#[test]
fn what_leaves_the_group_does_not_outlive_a_timeout() {
    let mut case = Case::shell(&format!("{DEPART}; sleep 1000"));
    case.timeout = Duration::from_millis(500);
    assert!(matches!(case.run(), Err(ChildError::TimedOut { .. })));
    let departed = written_pid(&case.path("pid"));
    assert!(!is_alive(departed));
}

#[test]
fn a_command_ends_nobody_elses_processes() {
    let other = Case::shell("echo begun; sleep 1000");
    std::thread::scope(|scope| {
        let others = scope.spawn(|| other.run());
        wait_for("the other began", || !other.told.lines().is_empty());

        assert_eq!(Case::shell("true").run().unwrap().code, 0);

        assert!(!others.is_finished());
        other.told.cancel.cancel();
        assert!(matches!(others.join().unwrap(), Err(ChildError::Cancelled)));
    });
}

#[test]
fn a_service_that_a_command_starts_may_stay() {
    let mut case = Case::shell("sleep 1000 > /dev/null 2>&1 & echo $! > pid");
    case.leftovers = Leftovers::Leave;
    assert_eq!(case.run().unwrap().code, 0);
    let service = written_pid(&case.path("pid"));
    assert!(is_alive(service));
    kill(service);
}

#[test]
fn what_is_only_listened_to_gives_its_newest_lines() {
    let case = Case::shell("seq 1 150000");
    let exit = listen(&case.command(), 60_000, &|| false).unwrap();
    assert!(exit.excerpt.ends_with("\n149999\n150000\n"), "{}", &exit.excerpt[exit.excerpt.len() - 50..]);
    assert!((50_000..=60_000).contains(&exit.excerpt.len()), "{}", exit.excerpt.len());
    assert!(case.told.lines().is_empty());
}

/// Asks a shell line.
fn asked(line: &str, dir: &Path, timeout: Duration, cancelled: &dyn Fn() -> bool) -> Result<String, ChildError> {
    let command = CommandLine::Shell(line.to_owned());
    let question = Question { command: &command, cwd: dir, timeout, bytes_max: 10, cancelled };
    ask(&question).map(|answer| String::from_utf8(answer).unwrap())
}

#[test]
fn an_answer_is_what_is_printed_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let ask = |line: &str| asked(line, dir.path(), PATIENCE, &|| false);
    assert_eq!(ask("printf answer").unwrap(), "answer");
    assert_eq!(ask("yes | head -n 100000").unwrap(), "y\ny\ny\ny\ny\n");
    assert_eq!(ask("exit 3").unwrap_err().to_string(), "exit code 3");
    assert_eq!(ask("kill -KILL $$").unwrap_err().to_string(), "killed by SIGKILL");
}

#[test]
fn who_is_asked_may_leave_a_daemon_that_holds_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let answer = asked("sleep 1000 & echo $! > pid; printf answer", dir.path(), PATIENCE, &|| false);
    assert_eq!(answer.unwrap(), "answer");
    let daemon = written_pid(&dir.path().join("pid"));
    assert!(is_alive(daemon));
    kill(daemon);
}

#[test]
fn who_is_asked_too_long_or_in_vain_leaves_nobody_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    // Given a shell that waits for the tool that it runs, as `op read ...` run by `sh -c` is.
    let line = "sleep 1000 & echo $! > pid; wait; echo never";
    let late = asked(line, dir.path(), Duration::from_millis(500), &|| false);
    assert!(matches!(late, Err(ChildError::TimedOut { .. })), "{late:?}");
    let tool = written_pid(&path);
    wait_for("the tool is gone", || !is_alive(tool));

    fs::remove_file(&path).unwrap();
    let begun = || fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'));
    assert!(matches!(asked(line, dir.path(), PATIENCE, &begun), Err(ChildError::Cancelled)));
    let tool = written_pid(&path);
    wait_for("the tool is gone", || !is_alive(tool));
}
