//! Health, observed of real services.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod service_support;

use cutover_core::config::{CommandLine, ProbeConfig, ProbeKind, ProbeOwner, VerifyConfig};
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::{Failure, FailureKind};
use cutover_targets::service::{LogMark, LogPlace, Service};
use cutover_targets::verify::{Seen, Verification, Within, observe_once, verify};
use service_support::{PATIENCE, Place, Told, free_port, process, wait_for};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service_support/server.py");

/// A deployed service and how it is verified; each test changes what it is about.
struct Case {
    place: Place,
    service: Box<dyn Service>,
    config: VerifyConfig,
    variables: BTreeMap<String, Secret>,
    masker: Masker,
    told: Told,
}

impl Case {
    fn new(place: Place, service: Box<dyn Service>, probes: Vec<ProbeConfig>) -> Self {
        let config = VerifyConfig {
            within: PATIENCE,
            interval: Duration::from_millis(50),
            soak: Duration::ZERO,
            fatal: Vec::new(),
            probes,
        };
        Self { place, service, config, variables: BTreeMap::new(), masker: Masker::new([]), told: Told::default() }
    }

    fn shell(script: &str, probes: Vec<ProbeConfig>) -> Self {
        let place = Place::new();
        let service = place.shell(script);
        Self::new(place, service, probes)
    }

    /// A service that is the HTTP server of the tests.
    fn server(port: u16, options: &[&str], probes: Vec<ProbeConfig>) -> Self {
        let place = Place::new();
        let service = place.service(process(CommandLine::Argv(server_argv(port, options))));
        Self::new(place, service, probes)
    }

    fn verify_since(&self, mark: &LogMark, restarted: bool) -> Result<Vec<ProbeResult>, Failure> {
        let verification = Verification {
            config: &self.config,
            service: Some(self.service.as_ref()),
            mark,
            restarted,
            release: &self.place.release(),
            variables: &self.variables,
            masker: &self.masker,
        };
        verify(&verification, &self.told)
    }

    /// What a look sees in which nobody waits long for an answer.
    fn look(&self, command: Duration) -> Vec<Seen> {
        let asked = Verification {
            config: &self.config,
            service: None,
            mark: &LogMark::now(LogPlace::None),
            restarted: false,
            release: &self.place.release(),
            variables: &self.variables,
            masker: &self.masker,
        };
        observe_once(&asked, Within { answers: Duration::from_millis(1), command })
    }

    fn restart_and_verify(&self) -> Result<Vec<ProbeResult>, Failure> {
        let mark = self.service.log_mark();
        self.service.restart(&self.told).unwrap();
        self.verify_since(&mark, true)
    }

    /// Starts the service and waits until its port is open, however slow the machine is just now.
    fn open(&mut self, port: u16) -> LogMark {
        let probes = std::mem::replace(&mut self.config.probes, vec![tcp(port)]);
        let (mark, within) = (self.service.log_mark(), std::mem::replace(&mut self.config.within, PATIENCE));
        self.service.restart(&self.told).unwrap();
        self.verify_since(&mark, true).unwrap();
        (self.config.probes, self.config.within) = (probes, within);
        mark
    }

    /// The failure, which must say this and be of the right kind.
    fn unhealthy(&self, saying: &str) -> Failure {
        let mark = self.service.log_mark();
        self.service.restart(&self.told).unwrap();
        self.unhealthy_since(&mark, saying)
    }

    /// The same of a service that was started before.
    fn unhealthy_since(&self, mark: &LogMark, saying: &str) -> Failure {
        let failure = self.verify_since(mark, true).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unhealthy, "{failure}");
        assert!(failure.message.contains(saying), "{:?} does not say {saying:?}", failure.message);
        failure
    }
}

fn server_argv(port: u16, options: &[&str]) -> Vec<String> {
    let port = format!("port={port}");
    ["python3", SERVER, &port].iter().chain(options).map(|word| (*word).to_owned()).collect()
}

fn probe(kind: ProbeKind) -> ProbeConfig {
    ProbeConfig { name: "it".into(), owner: ProbeOwner::Release, kind }
}

fn http(port: u16, path: &str) -> ProbeConfig {
    probe(ProbeKind::Http {
        url: format!("http://127.0.0.1:{port}{path}"),
        status: 200,
        body: None,
        headers: BTreeMap::new(),
        latency_max: None,
        redirects: 0,
        timeout: Duration::from_secs(5),
    })
}

fn tcp(port: u16) -> ProbeConfig {
    probe(ProbeKind::Tcp { address: format!("127.0.0.1:{port}"), timeout: Duration::from_secs(1) })
}

/// A server that is not part of any service; it ends with the test.
struct Foreigner(Child);

impl Foreigner {
    fn new(port: u16) -> Self {
        let argv = server_argv(port, &[]);
        let child = Command::new(&argv[0]).args(&argv[1..]).stdout(Stdio::null()).spawn().unwrap();
        let foreigner = Self(child);
        wait_for("the foreigner listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        foreigner
    }
}

impl Drop for Foreigner {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_service_that_answers_as_it_should_is_healthy() {
    let port = free_port();
    let mut full = http(port, "/health");
    if let ProbeKind::Http { body, headers, latency_max, .. } = &mut full.kind {
        *body = Some("ready".into());
        headers.insert("x-release".into(), "v2".into());
        *latency_max = Some(Duration::from_secs(4));
    }
    let case = Case::server(port, &["body=all is ready", "version=app v2"], vec![full, tcp(port)]);
    let results = case.restart_and_verify().unwrap();
    assert!(results.iter().all(|result| result.healthy));
    assert_eq!((results[0].code, results[0].body.as_str()), (Some(200), "all is ready"));
    let main = case.service.state().unwrap().main.unwrap().pid;
    assert_eq!((results[0].pid, results[1].pid), (Some(main), Some(main)));
    assert!(results[0].latency_ms.is_some() && results[0].attempt_count >= 1);
    assert_eq!(case.told.probes.lock().unwrap().last().unwrap(), &results[1]);
}

#[test]
fn a_service_that_becomes_ready_later_is_waited_for() {
    let port = free_port();
    let case = Case::server(port, &["well_after=0.5"], vec![http(port, "/")]);
    let results = case.restart_and_verify().unwrap();
    assert!(results[0].healthy && results[0].attempt_count > 1);
}

#[test]
fn a_wrong_status_body_header_or_pace_is_unhealthy_and_says_what_was_seen() {
    let port = free_port();
    let mut case = Case::server(port, &["body=database is down"], vec![http(port, "/")]);
    case.config.within = Duration::from_millis(500);
    let mark = case.open(port);
    let mut wrong = |change: &dyn Fn(&mut ProbeKind), saying: &str| {
        let mut probe = http(port, "/");
        change(&mut probe.kind);
        case.config.probes = vec![probe];
        let failure = case.unhealthy_since(&mark, saying);
        assert!(failure.message.starts_with("not healthy within 500ms: probe it: "), "{failure}");
        failure.probes[0].clone()
    };
    let seen = wrong(&|kind| set(kind, |_, body, _, _| *body = Some("ok".into())), "the body does not contain \"ok\"");
    assert_eq!((seen.code, seen.body.as_str(), seen.healthy), (Some(200), "database is down", false));
    wrong(&|kind| set(kind, |status, _, _, _| *status = 204), "status 200 instead of 204");
    wrong(
        &|kind| set(kind, |_, _, headers, _| drop(headers.insert("x-gone".into(), "x".into()))),
        "header x-gone is missing",
    );
    let other = "header x-release is \"1\" and does not contain \"2\"";
    wrong(&|kind| set(kind, |_, _, headers, _| drop(headers.insert("x-release".into(), "2".into()))), other);
    wrong(&|kind| set(kind, |_, _, _, latency| *latency = Some(Duration::from_nanos(1))), "later than 1ns");
}

type Change = fn(&mut u16, &mut Option<String>, &mut BTreeMap<String, String>, &mut Option<Duration>);

fn set(kind: &mut ProbeKind, change: Change) {
    if let ProbeKind::Http { status, body, headers, latency_max, .. } = kind {
        change(status, body, headers, latency_max);
    }
}

#[test]
fn a_redirect_is_not_followed_unless_asked_for() {
    let port = free_port();
    let mut case = Case::server(port, &[], vec![http(port, "/moved")]);
    case.config.within = Duration::from_millis(500);
    let mark = case.open(port);
    let failure = case.unhealthy_since(&mark, "status 302 instead of 200 (redirects to /health and is not followed)");
    assert_eq!(failure.probes[0].code, Some(302));
    if let ProbeKind::Http { redirects, .. } = &mut case.config.probes[0].kind {
        *redirects = 1;
    }
    case.config.within = PATIENCE;
    assert!(case.restart_and_verify().unwrap()[0].healthy);
}

#[test]
fn a_probe_that_hangs_cannot_exceed_the_whole() {
    for options in [&["silent=1"], &["trickle=1"]] {
        let port = free_port();
        let mut case = Case::server(port, options, vec![http(port, "/")]);
        case.config.within = Duration::from_secs(2);
        let mark = case.open(port);
        let began = Instant::now();
        let failure = case.unhealthy_since(&mark, "no answer within");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(!failure.probes[0].healthy);
    }
}

#[test]
fn a_last_attempt_without_time_is_neither_a_reason_nor_a_success() {
    let command = |name: &str, line: &str| {
        let kind = ProbeKind::Command { run: CommandLine::Shell(line.into()), timeout: Duration::from_secs(5) };
        ProbeConfig { name: name.to_owned(), ..probe(kind) }
    };
    // Given a probe that always passes, but not in the moment that is left in the end.
    let mut case = Case::shell("exec sleep 1000", vec![command("slow", "sleep 0.1"), command("wrong", "exit 3")]);
    case.config.within = Duration::from_secs(1);

    let failure = case.unhealthy("probe wrong: exit code 3");

    assert!(failure.probes[0].healthy && !failure.probes[1].healthy, "{:?}", failure.probes);
}

#[test]
fn a_port_that_a_foreigner_answers_on_is_not_healthy_and_the_foreigner_is_named() {
    let port = free_port();
    let foreigner = Foreigner::new(port);
    let mut case = Case::shell("exec sleep 1000", vec![http(port, "/")]);
    case.config.within = Duration::from_millis(500);
    let failure = case.unhealthy(&format!("port {port} is answered by pid {} (python3", foreigner.0.id()));
    assert!(failure.message.contains("set owner = \"any\""), "{failure}");
    assert_eq!((failure.probes[0].code, failure.probes[0].pid), (Some(200), Some(foreigner.0.id())));

    case.config.probes = vec![tcp(port)];
    case.unhealthy("is answered by pid");

    case.config.probes[0].owner = ProbeOwner::Any;
    assert!(case.restart_and_verify().unwrap()[0].healthy);
}

#[test]
fn a_service_that_cannot_bind_because_the_port_is_taken_is_a_crash_loop() {
    let port = free_port();
    let _foreigner = Foreigner::new(port);
    let case = Case::server(port, &[], vec![http(port, "/")]);
    let failure = case.unhealthy("the service keeps crashing");
    assert!(failure.excerpt.contains("Address already in use"), "{}", failure.excerpt);
    assert!(failure.probes[0].error.contains("is answered by pid"), "{:?}", failure.probes);
}

#[test]
fn a_process_from_before_the_restart_is_not_the_new_release() {
    let port = free_port();
    let case = Case::server(port, &[], vec![http(port, "/")]);
    case.service.restart(&case.told).unwrap();
    let mark = LogMark::now(case.service.log_mark().place);
    // Clock ticks are coarse: the mark must lie behind the start.
    wait_for("a tick passes", || LogMark::now(LogPlace::None).clock != mark.clock);
    let later = LogMark::now(case.service.log_mark().place);
    assert!(case.verify_since(&later, false).unwrap()[0].healthy);
    let mut case = case;
    case.config.within = Duration::from_millis(300);
    let failure = case.verify_since(&later, true).unwrap_err();
    assert!(failure.message.contains("a process from before the restart"), "{failure}");
}

#[test]
fn a_service_that_dies_after_three_seconds_is_caught_by_the_soak() {
    let port = free_port();
    let mut case = Case::server(port, &["die_after=3"], vec![http(port, "/")]);
    case.config.soak = Duration::from_secs(4);
    let failure = case.unhealthy("did not stay healthy for 4s");
    assert!(failure.excerpt.contains("out of luck"), "{}", failure.excerpt);

    // Believed without a soak: nothing else was asked.
    case.config.soak = Duration::ZERO;
    assert!(case.restart_and_verify().unwrap()[0].healthy);
}

#[test]
fn a_service_without_probes_that_dies_after_two_seconds_is_caught() {
    let mut case = Case::shell("sleep 2; exit 3", Vec::new());
    case.unhealthy("did not stay healthy for 5s");

    // Whoever asks for less gets less.
    case.config.soak = Duration::from_millis(100);
    assert!(case.restart_and_verify().unwrap().is_empty());
}

#[test]
fn a_probe_that_fails_during_the_soak_is_caught() {
    let port = free_port();
    let mut case = Case::server(port, &["sick_after=1"], vec![http(port, "/")]);
    case.config.soak = Duration::from_secs(3);
    let failure = case.unhealthy("did not stay healthy for 3s: probe it: status 500 instead of 200");
    assert_eq!(failure.probes[0].code, Some(500));
}

#[test]
fn a_soak_that_nothing_disturbs_lasts_its_time() {
    let port = free_port();
    let mut case = Case::server(port, &[], vec![http(port, "/")]);
    case.config.soak = Duration::from_millis(700);
    let began = Instant::now();
    assert!(case.restart_and_verify().unwrap()[0].healthy);
    assert!(began.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_crash_loop_is_not_waited_for() {
    let case = Case::shell("echo no module named app; exit 1", vec![tcp(free_port())]);
    let began = Instant::now();
    let failure = case.unhealthy("the service keeps crashing: it ended ");
    assert!(failure.message.ends_with(" times and was started again each time (last: exit code 1)"), "{failure}");
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(failure.excerpt.contains("no module named app"));
}

#[test]
fn a_service_that_dies_at_once_is_not_healthy_even_if_nothing_else_is_asked() {
    let mut place = Place::new();
    place.site.env_file = None;
    let mut config = process(CommandLine::Shell("sleep 0.1; exit 1".into()));
    (config.backoff, config.backoff_max) = (Duration::from_secs(60), Duration::from_secs(60));
    let service = place.service(config);
    let case = Case::new(place, service, Vec::new());
    case.unhealthy("the service is not running: waiting to be started again: exit code 1");

    let case = Case::shell("exec sleep 1000", Vec::new());
    assert!(case.restart_and_verify().unwrap().is_empty());
}

#[test]
fn a_supervisor_that_is_gone_is_not_waited_for() {
    let mut case = Case::shell("exec sleep 1000", Vec::new());
    case.config.soak = PATIENCE;
    let mark = case.service.log_mark();
    case.service.restart(&case.told).unwrap();
    cutover_targets::process::signal(case.place.told().supervisor.pid, rustix::process::Signal::KILL);
    let failure = case.verify_since(&mark, true).unwrap_err();
    assert!(failure.message.contains("its supervisor is gone"), "{failure}");
}

#[test]
fn a_log_line_since_the_restart_is_waited_for_and_an_old_one_does_not_count() {
    let wanted = vec![probe(ProbeKind::Log { contains: "connected".into() })];
    let script = "if [ -e old ]; then exec sleep 1000; fi; touch old; sleep 0.2; echo connected; exec sleep 1000";
    let mut case = Case::shell(script, wanted);
    assert!(case.restart_and_verify().unwrap()[0].healthy);
    case.config.within = Duration::from_millis(500);
    case.unhealthy("no line since the restart contains \"connected\"");
}

#[test]
fn a_fatal_line_ends_the_waiting_and_hides_secrets() {
    let secret = format!("pw-{:x}", u64::from(std::process::id()) * 7_368_787);
    let mut case = Case::shell(
        &format!("sleep 0.3; echo 'FATAL: cannot log in with {secret}'; exec sleep 1000"),
        vec![tcp(free_port())],
    );
    case.masker = Masker::new([("PW", &Secret::new(&secret))]);
    case.config.fatal = vec!["FATAL:".into()];
    let began = Instant::now();
    let failure = case.unhealthy("the service logged a fatal line: FATAL: cannot log in with ***");
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(!failure.excerpt.contains(&secret) && failure.excerpt.contains("***"), "{}", failure.excerpt);
}

#[test]
fn a_secret_in_an_answer_is_not_recorded() {
    let secret = format!("tok-{:x}", u64::from(std::process::id()) * 7_368_787);
    let port = free_port();
    let mut case = Case::server(port, &[&format!("body=<{secret}>"), "times=5000"], vec![http(port, "/")]);
    case.masker = Masker::new([("TOKEN", &Secret::new(&secret))]);
    let results = case.restart_and_verify().unwrap();
    assert!(results[0].body.starts_with("<***><***>") && results[0].body.len() <= 512);
    assert!(!format!("{results:?}").contains(&secret));
}

#[test]
fn a_command_probe_runs_in_the_release_with_the_variables() {
    let command = |line: &str| {
        probe(ProbeKind::Command { run: CommandLine::Shell(line.into()), timeout: Duration::from_millis(400) })
    };
    let mut case =
        Case::shell("exec sleep 1000", vec![command("[ \"$MODE\" = blue ] && pwd && [ -e ready ] || exit 3")]);
    case.variables.insert("MODE".into(), Secret::new("blue"));
    case.config.within = Duration::from_millis(600);
    let failure = case.unhealthy("probe it: exit code 3");
    assert_eq!((failure.probes[0].code, failure.probes[0].healthy), (Some(3), false));
    std::fs::write(case.place.release().join("ready"), "").unwrap();
    let results = case.restart_and_verify().unwrap();
    assert_eq!(results[0].body, format!("{}\n", case.place.release().display()));

    case.config.probes = vec![command("sleep 1000")];
    case.unhealthy("did not end within");
}

#[test]
fn a_unit_probe_waits_until_the_run_is_stable() {
    let stable = Duration::from_millis(600);
    let case = Case::shell("exec sleep 1000", vec![probe(ProbeKind::Unit { stable })]);
    let began = Instant::now();
    let results = case.restart_and_verify().unwrap();
    assert!(results[0].healthy && results[0].attempt_count > 1);
    assert!(began.elapsed() >= stable - Duration::from_millis(50), "{:?}", began.elapsed());
}

#[test]
fn verifying_can_be_cancelled_at_any_time() {
    let port = free_port();
    let case = Case::server(port, &["silent=1"], vec![http(port, "/")]);
    let mark = case.service.log_mark();
    case.service.restart(&case.told).unwrap();
    let began = Instant::now();
    wait_for("it listens", || case.place.service_log().contains("listening"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for("a connection hangs", || established_to(port));
            case.told.cancel.cancel();
        });
        let failure = case.verify_since(&mark, true).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Cancelled);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    });
}

/// Whether anybody is connected to this local port.
fn established_to(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().any(|line| line.contains(&format!("0100007F:{port:04X} 01 ")))
}

#[test]
fn without_a_service_only_the_probes_count() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = VerifyConfig {
        within: Duration::from_secs(5),
        interval: Duration::from_millis(50),
        soak: Duration::ZERO,
        fatal: Vec::new(),
        probes: vec![tcp(listener.local_addr().unwrap().port())],
    };
    let (variables, masker, mark) = (BTreeMap::new(), Masker::new([]), LogMark::now(LogPlace::None));
    let release = std::path::Path::new("/");
    let verification = Verification {
        config: &config,
        service: None,
        mark: &mark,
        restarted: false,
        release,
        variables: &variables,
        masker: &masker,
    };
    assert!(verify(&verification, &Told::default()).unwrap()[0].healthy);
}

fn by_shell(line: &str, timeout: Duration) -> ProbeConfig {
    probe(ProbeKind::Command { run: CommandLine::Shell(line.to_owned()), timeout })
}

#[test]
fn a_look_ends_no_command_half_way() {
    // Given a probe that would get no answer in time, a command that takes longer than a look, and one that may take too long.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = Duration::from_secs(1);
    let commands = [
        by_shell("echo begin > steps; sleep 0.2; echo end >> steps", 20 * second),
        by_shell("touch begun", 31 * second),
    ];
    let [whole, long] = commands;
    let case = Case::shell("true", vec![whole, http(deaf.local_addr().unwrap().port(), "/"), long]);
    // When they are looked at.
    let seen = case.look(30 * second);
    // Then the first command came to its end, the other was not begun, and each is told in its place.
    let passed: Vec<_> = seen.iter().map(|seen| (seen.result.healthy, seen.is_unfinished)).collect();
    assert_eq!(passed, [(true, false), (false, true), (false, true)], "{seen:?}");
    assert_eq!(std::fs::read_to_string(case.place.release().join("steps")).unwrap(), "begin\nend\n");
    assert!(!case.place.release().join("begun").exists());
    let long = &seen[2].result;
    assert_eq!((long.endpoint.as_str(), long.error.as_str()), ("touch begun", "not run now, for it may take 31s"));
}

#[test]
fn a_secret_at_the_cut_of_a_long_command_is_masked_as_a_whole() {
    let secret = format!("{:x}-tok", u64::from(std::process::id()) * 6_700_417);
    let line = format!("true {} {secret}", "x".repeat(190));
    let mut case = Case::shell("true", vec![by_shell(&line, Duration::from_secs(20)); 2]);
    case.masker = Masker::new([("TOKEN", &Secret::new(secret))]);

    let run = case.look(Duration::from_secs(30));
    let not_run = case.look(Duration::ZERO);

    for seen in [&run[0], &not_run[1]] {
        assert!(seen.result.endpoint.ends_with("x ***"), "{}", seen.result.endpoint);
    }
}
