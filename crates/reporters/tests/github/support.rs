//! A client that waits in no time, and what it is asked to say.

use cutover_core::check::run::{Attempt, CheckRun, Exit, Run};
use cutover_core::check::{CaseCounts, CaseFailure, CaseOutcome, Cases, Gate, Judgement, Kept, Report, Verdict};
use cutover_core::engine::Clock;
use cutover_core::secret::Secret;
use cutover_reporters::github::{Access, Client, CommitId, Pace, Patience};
use cutover_testkit::FrozenClock;
use cutover_testkit::github::FakeGitHub;
use jiff::{SignedDuration, Timestamp};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use ureq::tls::RootCerts;

/// Time that passes when somebody waits.
#[derive(Default)]
pub(crate) struct Slept {
    clock: FrozenClock,
    pauses: Mutex<Vec<u64>>,
    /// How much later it is at each look at the clock, in seconds.
    tick: AtomicI64,
}

impl Slept {
    /// Lets so many seconds pass between two looks at the clock: all answers are slow.
    pub(crate) fn slow_down(&self, seconds: i64) {
        self.tick.store(seconds, Ordering::SeqCst);
    }

    /// The pauses so far, in seconds.
    pub(crate) fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().clone()
    }
}

struct Shared(Arc<Slept>);

impl Pace for Shared {
    fn now(&self) -> Timestamp {
        self.0.clock.advance(SignedDuration::from_secs(self.0.tick.load(Ordering::SeqCst)));
        self.0.clock.now()
    }

    fn sleep(&self, pause: Duration) {
        self.0.clock.advance(SignedDuration::try_from(pause).unwrap());
        self.0.pauses.lock().unwrap().push(pause.as_secs());
    }
}

/// A fake, a client that speaks to it, and the time that both live in.
pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) client: Client,
    pub(crate) slept: Arc<Slept>,
    pub(crate) token: String,
}

impl World {
    pub(crate) fn new() -> Self {
        // Real time, for answers that do not come: as long as a machine under load needs for one that does.
        Self::with(Patience { request: Duration::from_secs(20), ..Patience::default() })
    }

    /// A world whose answers that do not come are not waited for for long.
    pub(crate) fn hasty() -> Self {
        Self::with(Patience { request: Duration::from_millis(700), ..Patience::default() })
    }

    fn with(patience: Patience) -> Self {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        let github = FakeGitHub::start(&token).unwrap();
        let slept = Arc::new(Slept::default());
        let client = client(&github.url(), &token, &slept, patience);
        Self { github, client, slept, token }
    }

    /// Another client of the same world, as another job of the same run is one.
    pub(crate) fn another(&self) -> Client {
        client(&self.github.url(), &self.token, &self.slept, Patience::default())
    }
}

pub(crate) fn client(api: &str, token: &str, slept: &Arc<Slept>, patience: Patience) -> Client {
    let access = Access {
        api: api.to_owned(),
        token: Secret::new(token),
        login: None,
        repository: "shop/app".parse().unwrap(),
        certs: RootCerts::WebPki,
    };
    Client::new(access, Box::new(Shared(Arc::clone(slept))), patience).unwrap()
}

pub(crate) fn commit(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

/// A run with one check, of whose tests so many failed in a file.
pub(crate) fn run(failure_count: u32, message: &str) -> Run {
    let failure = |number| CaseFailure {
        suite: "shop".to_owned(),
        name: format!("case {number}"),
        file: Some("tests/shop.py".to_owned()),
        line: Some(number),
        outcome: CaseOutcome::Failed,
        message: message.to_owned(),
        seconds: None,
    };
    let failures = Kept { items: (1..=failure_count).map(failure).collect(), left_out_count: 0 };
    let counts = CaseCounts { passed: 3, failed: failure_count.into(), ..CaseCounts::default() };
    let cases = Cases { counts, failures, ..Cases::default() };
    let verdict = if failure_count == 0 { Verdict::Passed } else { Verdict::Failed };
    let judgement = Judgement { gate: Gate::TestsPass, verdict, words: "tests must pass".to_owned() };
    let attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, seconds: 1.5, exit: Exit::Code(0) };
    let check = CheckRun {
        attempts: vec![attempt],
        judgements: vec![judgement],
        report: Some(Report { cases: Some(cases), ..Report::default() }),
        ..CheckRun::queued("unit")
    };
    Run::new(Timestamp::UNIX_EPOCH, 3.25, vec![check.judged()])
}
