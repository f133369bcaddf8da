//! Checks run for real: real commands, real signals, real leftovers.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

use cutover_checks::run::{Job, Judge, Judged, Observer, RunError, Settings, run};
use cutover_child::stat::stat_of;
use cutover_core::check::run::{CheckRun, Conclusion, Exit, Run, Why};
use cutover_core::check::{Gate, Judgement, Verdict};
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::Cancel;
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A place, what happened there, and what answers to it.
struct Bench {
    dir: tempfile::TempDir,
    settings: Settings,
    cancel: Cancel,
    told: Mutex<Vec<String>>,
    judged: Judged,
    /// Is handed each line that a check says.
    hear: fn(&Bench, &str),
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            concurrency: NonZeroUsize::new(2).unwrap(),
            fail_fast: false,
            log_dir: dir.path().join("logs/checks"),
            masker: Masker::new([]),
        };
        let (cancel, told, judged) = (Cancel::new(), Mutex::default(), Judged::default());
        Self { dir, settings, cancel, told, judged, hear: |_, _| {} }
    }

    fn job(&self, name: &str, script: &str) -> Job {
        Job {
            name: name.to_owned(),
            needs: Vec::new(),
            command: CommandLine::Shell(script.to_owned()),
            directory: self.dir.path().to_owned(),
            variables: BTreeMap::new(),
            timeout: Duration::from_secs(60),
            retries: 0,
            skip: None,
            expected: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fifo(&self, name: &str) {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, self.path(name), kind, mode, 0).unwrap();
    }

    fn run(&self, jobs: &[Job]) -> Run {
        run(jobs, &self.settings, self, self, &self.cancel).unwrap()
    }

    fn tell(&self, words: String) {
        self.told.lock().unwrap().push(words);
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// The process that wrote its number into a file, when the run is over.
    fn pid(&self, name: &str) -> u32 {
        fs::read_to_string(self.path(name)).unwrap().trim().parse().unwrap()
    }
}

impl Observer for Bench {
    fn started(&self, check: &str) {
        self.tell(format!("{check} started"));
    }
    fn attempt(&self, check: &str, number: u32) {
        self.tell(format!("{check} attempt {number}"));
    }
    fn output(&self, check: &str, line: &str) {
        self.tell(format!("{check}: {line}"));
        (self.hear)(self, line);
    }
    fn ended(&self, check: &CheckRun) {
        self.tell(format!("{} {}", check.name, check.conclusion.unwrap()));
    }
}

impl Judge for Bench {
    fn prepare(&self, check: &str) -> Result<(), String> {
        self.tell(format!("{check} prepared"));
        if self.path("unremovable").exists() { Err("remove `junit.xml`: no".to_owned()) } else { Ok(()) }
    }
    fn judge(&self, check: &str) -> Judged {
        self.tell(format!("{check} judged"));
        self.judged.clone()
    }
}

fn needing(needs: &[&str], job: Job) -> Job {
    Job { needs: needs.iter().map(|need| (*need).to_owned()).collect(), ..job }
}

/// Whether a process goes on. One that was sent a signal takes a moment to die of it.
fn is_alive(pid: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    let is_there = || stat_of(pid).is_some_and(|stat| !stat.is_dead());
    while is_there() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    is_there()
}

fn ends(run: &Run) -> Vec<(&str, Conclusion, Option<Why>)> {
    run.checks.iter().map(|check| (check.name.as_str(), check.conclusion.unwrap(), check.why.clone())).collect()
}

fn exits(check: &CheckRun) -> Vec<Exit> {
    check.attempts.iter().map(|attempt| attempt.exit.clone()).collect()
}

#[test]
fn a_check_begins_when_what_it_needs_has_passed_and_all_is_told_in_order() {
    let bench = Bench::new();
    let jobs = [needing(&["build"], bench.job("test", "cat made; exit 7")), bench.job("build", "echo it > made")];
    let run = bench.run(&jobs);
    let told = ["started", "attempt 1", "prepared", "judged", "success"].map(|what| format!("build {what}"));
    assert_eq!(bench.told()[..5], told);
    assert_eq!(
        bench.told()[5..],
        ["test started", "test attempt 1", "test prepared", "test: it", "test judged", "test failure"]
    );
    let failed = Some(Why::Exit(Exit::Code(7)));
    assert_eq!(ends(&run), [("test", Conclusion::Failure, failed), ("build", Conclusion::Success, None)]);
    assert_eq!(run.conclusion, Conclusion::Failure);
}

#[test]
fn a_graph_that_is_none_starts_nothing() {
    let bench = Bench::new();
    let jobs = [bench.job("good", "touch ran"), needing(&["gone"], bench.job("bad", "true"))];
    let error = run(&jobs, &bench.settings, &bench, &bench, &bench.cancel).unwrap_err();
    assert!(matches!(error, RunError::Unknown { .. }));
    assert!(bench.told().is_empty() && !bench.path("ran").exists());
}

#[test]
fn what_is_left_out_holds_nobody_up_and_what_failed_does() {
    let bench = Bench::new();
    let left_out = Job { skip: Some("nothing changed".to_owned()), ..bench.job("docs", "touch ran") };
    let jobs = [
        left_out,
        bench.job("lint", "exit 1"),
        needing(&["docs"], bench.job("pages", "true")),
        needing(&["lint"], bench.job("pack", "touch ran")),
        needing(&["pack"], bench.job("ship", "touch ran")),
    ];
    let run = bench.run(&jobs);
    let needed = || Some(Why::Needed("lint".to_owned()));
    assert_eq!(
        ends(&run),
        [
            ("docs", Conclusion::Skipped, Some(Why::LeftOut("nothing changed".to_owned()))),
            ("lint", Conclusion::Failure, Some(Why::Exit(Exit::Code(1)))),
            ("pages", Conclusion::Success, None),
            ("pack", Conclusion::Cancelled, needed()),
            ("ship", Conclusion::Cancelled, needed()),
        ]
    );
    assert!(!bench.path("ran").exists());
    for end in ["docs skipped", "lint failure", "pages success", "pack cancelled", "ship cancelled"] {
        assert_eq!(bench.told().iter().filter(|told| *told == end).count(), 1, "{end}");
    }
}

#[test]
fn at_its_timeout_a_check_is_ended_with_all_that_descends_from_it() {
    let bench = Bench::new();
    let script = "setsid sh -c 'echo $$ > far; exec sleep 1000' & sleep 1000 & echo $! > near; wait";
    let run = bench.run(&[Job { timeout: Duration::from_secs(2), ..bench.job("slow", script) }]);
    assert_eq!(ends(&run), [("slow", Conclusion::Failure, Some(Why::Exit(Exit::TimedOut(2.0))))]);
    assert!(!is_alive(bench.pid("near")) && !is_alive(bench.pid("far")));
    assert!(bench.told().contains(&"slow judged".to_owned()));
}

#[test]
fn what_passes_only_when_repeated_is_flaky_and_judged_once() {
    let bench = Bench::new();
    let script = "echo said; [ -e again ] || { touch again; exit 3; }";
    let run = bench.run(&[Job { retries: 5, ..bench.job("unsteady", script) }]);
    let check = &run.checks[0];
    assert_eq!((check.conclusion, check.flaky, run.totals.flaky), (Some(Conclusion::Success), true, 1));
    assert_eq!(exits(check), [Exit::Code(3), Exit::Code(0)]);
    let count = |what: &str| bench.told().iter().filter(|told| *told == what).count();
    assert_eq!((count("unsteady prepared"), count("unsteady judged"), count("unsteady started")), (2, 1, 1));
    assert_eq!(fs::read_to_string(check.log.as_ref().unwrap()).unwrap(), "said\n[attempt 2]\nsaid\n");
}

#[test]
fn what_never_passes_is_repeated_so_often_and_judged_once() {
    let bench = Bench::new();
    let run = bench.run(&[Job { retries: 2, ..bench.job("broken", "kill -9 $$") }]);
    assert_eq!(exits(&run.checks[0]), vec![Exit::Signal("SIGKILL".to_owned()); 3]);
    assert!(!run.checks[0].flaky);
    assert_eq!(bench.told().iter().filter(|told| *told == "broken judged").count(), 1);
}

#[test]
fn a_gate_or_a_report_that_fails_is_a_failure_though_the_command_had_none() {
    let mut bench = Bench::new();
    let gate = Judgement { gate: Gate::TestsMin, verdict: Verdict::Failed, words: "no tests ran".to_owned() };
    bench.judged.judgements.push(gate);
    let run = bench.run(&[Job { retries: 1, ..bench.job("tests", "true") }]);
    assert_eq!(ends(&run), [("tests", Conclusion::Failure, Some(Why::Gates))]);
    assert_eq!(run.checks[0].attempts.len(), 1);
    bench.judged = Judged { faults: vec!["`junit.xml` is missing".to_owned()], ..Judged::default() };
    assert_eq!(ends(&bench.run(&[bench.job("tests", "true")])), [("tests", Conclusion::Failure, Some(Why::Reports))]);
}

#[test]
fn nothing_runs_where_an_old_report_would_speak_for_it() {
    let bench = Bench::new();
    fs::write(bench.path("unremovable"), "").unwrap();
    let run = bench.run(&[bench.job("tests", "touch ran")]);
    assert_eq!(exits(&run.checks[0]), [Exit::Broken("remove `junit.xml`: no".to_owned())]);
    assert!(!bench.path("ran").exists());
}

#[test]
fn the_first_failure_ends_all_where_that_is_wanted() {
    let mut bench = Bench::new();
    bench.settings.fail_fast = true;
    bench.fifo("begun");
    let soon = Job { expected: Some(Duration::ZERO), ..bench.job("soon", "touch ran") };
    let jobs = [
        bench.job("bad", "read line < begun; exit 1"),
        bench.job("long", "sleep 1000 & echo $! > sleeper; echo > begun; wait"),
        needing(&["long"], bench.job("later", "touch ran")),
        soon,
    ];
    let run = bench.run(&jobs);
    let fast = || Some(Why::FailFast("bad".to_owned()));
    assert_eq!(
        ends(&run),
        [
            ("bad", Conclusion::Failure, Some(Why::Exit(Exit::Code(1)))),
            ("long", Conclusion::Cancelled, fast()),
            ("later", Conclusion::Cancelled, Some(Why::Needed("long".to_owned()))),
            ("soon", Conclusion::Cancelled, fast()),
        ]
    );
    assert!(!is_alive(bench.pid("sleeper")) && !bench.path("ran").exists());
    assert!(!bench.told().contains(&"long judged".to_owned()));
}

#[test]
fn who_asks_to_stop_ends_all_with_their_descendants() {
    let mut bench = Bench::new();
    bench.settings.concurrency = NonZeroUsize::MIN;
    bench.hear = |bench, line| {
        if line == "ready" {
            bench.cancel.cancel_because("SIGINT")
        }
    };
    let script = "sleep 1000 & echo $! > near; setsid sh -c 'echo $$ > far; echo ready; exec sleep 1000' & wait";
    let long = Job { retries: 3, expected: Some(Duration::from_secs(9)), ..bench.job("long", script) };
    let run = bench.run(&[bench.job("other", "touch ran"), long]);
    let stopped = || Some(Why::Stopped("SIGINT".to_owned()));
    assert_eq!(ends(&run), [("other", Conclusion::Cancelled, stopped()), ("long", Conclusion::Cancelled, stopped())]);
    assert_eq!((exits(&run.checks[1]), run.conclusion), (vec![Exit::Cancelled], Conclusion::Cancelled));
    assert!(!is_alive(bench.pid("near")) && !is_alive(bench.pid("far")) && !bench.path("ran").exists());
}

/// Lets a check go on that waits for it.
fn let_go_on(bench: &Bench, line: &str) {
    if line == "begin" {
        fs::write(bench.path("go"), "on\n").unwrap();
    }
}

#[test]
fn a_secret_is_hidden_also_where_it_is_said_in_two_pieces() {
    let mut bench = Bench::new();
    bench.fifo("go");
    bench.hear = let_go_on;
    let secret = format!("made-up-{}-{:?}", std::process::id(), std::time::Instant::now()).replace([' ', '{', '}'], "");
    let (first, second) = secret.split_at(secret.len() / 2);
    let variables = [("FIRST", first), ("SECOND", second)].map(|(name, half)| (name.to_owned(), Secret::new(half)));
    bench.settings.masker = Masker::new([("TOKEN", &Secret::new(secret.as_str()))]);
    // The first half is read before the second one is written.
    let script = r#"printf 'begin\na %s' "$FIRST"; read line < go; printf '%s b\n' "$SECOND""#;
    let run = bench.run(&[Job { variables: variables.into(), ..bench.job("leak", script) }]);
    assert_eq!(bench.told()[3..5], ["leak: begin", "leak: a *** b"]);
    let log = Path::new(run.checks[0].log.as_ref().unwrap());
    assert_eq!(fs::read_to_string(log).unwrap(), "begin\na *** b\n");
    assert_eq!(fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(log.parent().unwrap(), bench.settings.log_dir);
}

#[test]
fn a_log_is_begun_anew_for_each_run() {
    let bench = Bench::new();
    let jobs = [bench.job("lint", "echo said")];
    bench.run(&jobs);
    let run = bench.run(&jobs);
    assert_eq!(fs::read_to_string(run.checks[0].log.as_ref().unwrap()).unwrap(), "said\n");
}

#[test]
fn lines_are_told_in_bounded_pieces() {
    let bench = Bench::new();
    bench.run(&[bench.job("wide", "head -c 40000 /dev/zero | tr '\\0' x")]);
    let lines: Vec<usize> = bench.told().iter().filter_map(|told| told.strip_prefix("wide: ")).map(str::len).collect();
    assert!(lines.len() > 1 && lines.iter().all(|length| *length <= 16 << 10), "{lines:?}");
    assert_eq!(lines.iter().sum::<usize>(), 40_000);
}

#[test]
fn whoever_is_left_behind_with_the_output_is_killed_and_holds_nobody_up() {
    let bench = Bench::new();
    let script =
        "setsid sh -c 'echo $$ > far; echo > begun; exec sleep 1000' & sleep 1000 & echo $! > near; read x < begun";
    bench.fifo("begun");
    let run = bench.run(&[bench.job("untidy", script)]);
    assert_eq!(ends(&run), [("untidy", Conclusion::Success, None)]);
    assert!(!is_alive(bench.pid("near")) && !is_alive(bench.pid("far")));
}

#[test]
fn even_who_hides_from_everyone_and_holds_the_output_holds_nobody_up() {
    let bench = Bench::new();
    bench.fifo("begun");
    // Neither the group nor the environment tells whose it is.
    let script = "env -i setsid sh -c 'echo $$ > hidden; echo > begun; exec sleep 1000' & read x < begun";
    let run = bench.run(&[bench.job("sly", script)]);
    assert_eq!(ends(&run), [("sly", Conclusion::Success, None)]);
    let hidden = rustix::process::Pid::from_raw(bench.pid("hidden").cast_signed()).unwrap();
    rustix::process::kill_process(hidden, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn an_observer_that_panics_ends_the_run_and_is_heard() {
    let mut bench = Bench::new();
    bench.hear = |_, _| panic!("no more");
    let jobs = [bench.job("loud", "echo said; sleep 1000"), bench.job("long", "sleep 1000")];
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.run(&jobs)));
    assert_eq!(ran.unwrap_err().downcast_ref::<&str>(), Some(&"no more"));
    assert!(bench.told().contains(&"long cancelled".to_owned()));
}
