//! Running checks: as many at once as are allowed, each when all that it needs has passed, the longest chain first.
//!
//! What a check says is masked, told line by line and kept in a log. Whatever it starts ends with it: at its timeout, when
//! the run is stopped, and also when it ends by itself and leaves others behind.

mod queue;
mod worker;

pub use queue::{EXPECTED_DEFAULT, NAME_BYTES_MAX};

use cutover_core::check::run::{CheckRun, Conclusion, Run, Why};
use cutover_core::check::{Judgement, Report};
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_core::target::Cancel;
use jiff::Timestamp;
use queue::{Executor, Queue, drive};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};
use worker::{Stop, Worker};

/// One check that is to be run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name: ASCII letters, digits, `-`, `_` and `.`, at most [`NAME_BYTES_MAX`], without a dot in front.
    pub name: String,
    /// The checks that have to pass before it begins.
    pub needs: Vec<String>,
    /// What is run.
    pub command: CommandLine,
    /// Where it is run.
    pub directory: PathBuf,
    /// Its variables, on top of what every command inherits. The masker has to know those that are to be hidden.
    pub variables: BTreeMap<String, Secret>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often it is repeated when it ends with a failure. A gate that fails is not tried again.
    pub retries: u32,
    /// Why it is left out, if it is.
    pub skip: Option<String>,
    /// How long it takes, as far as anyone knows; [`EXPECTED_DEFAULT`] else.
    pub expected: Option<Duration>,
}

/// How checks are run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many run at once.
    pub concurrency: NonZeroUsize,
    /// Whether the first failure ends all others.
    pub fail_fast: bool,
    /// Where each check's log is kept, as `NAME.log` for this user only. An older one is replaced.
    pub log_dir: PathBuf,
    /// Hides secrets in whatever checks say.
    pub masker: Masker,
}

/// Hears what happens, from several threads at once. It should not take long: the check's output waits meanwhile.
pub trait Observer: Sync {
    /// A check begins.
    fn started(&self, check: &str);
    /// Its command is about to run for this time, from 1.
    fn attempt(&self, check: &str, number: u32);
    /// It said a line, masked already and of bounded length.
    fn output(&self, check: &str, line: &str);
    /// It ended, or will never begin. This is told of each check once.
    fn ended(&self, check: &CheckRun);
}

/// What the reports of a check said, and what follows from their numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// What was read; None where nothing was asked for.
    pub report: Option<Report>,
    /// What the gates said.
    pub judgements: Vec<Judgement>,
    /// Reports that were asked for and are missing or unreadable, in words. Each is a failure.
    pub faults: Vec<String>,
}

/// Reads what checks reported, and decides by it. It is asked from several threads at once.
pub trait Judge: Sync {
    /// Comes before each attempt, so that reports of an earlier one do not speak for this one. An error is a failure.
    fn prepare(&self, check: &str) -> Result<(), String>;
    /// Comes once for each check that ran to its end: after the attempt that succeeded, or the last of those that failed.
    fn judge(&self, check: &str) -> Judged;
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A name cannot be one.
    #[error("check name {0:?} is none: letters, digits, `-`, `_` and `.` are, at most 100, and no dot in front")]
    Name(String),
    /// Two checks have one name.
    #[error("check `{0}` is there twice")]
    Twice(String),
    /// A check needs one that is not there.
    #[error("check `{check}` needs `{need}`, which is not there")]
    Unknown {
        /// The check.
        check: String,
        /// What it needs.
        need: String,
    },
    /// Checks wait for each other.
    #[error("checks need each other: {}", .0.join(" needs "))]
    Cycle(Vec<String>),
    /// There is no place for logs.
    #[error("create {}: {source}", path.display())]
    Logs {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Runs checks to their end and gives the record, in the order of `jobs`. Nothing is started when there is an error.
///
/// A check that is left out holds nobody up: who needs it waits for what that one needs. Who needs a check that did not pass
/// is cancelled, and its record names that check. When `cancel` is set, all that runs is ended with whatever it started.
pub fn run(
    jobs: &[Job],
    settings: &Settings,
    observer: &dyn Observer,
    judge: &dyn Judge,
    cancel: &Cancel,
) -> Result<Run, RunError> {
    let queue = Queue::new(jobs)?;
    let private = DirBuilder::new().recursive(true).mode(0o700).create(&settings.log_dir);
    private.map_err(|source| RunError::Logs { path: settings.log_dir.clone(), source })?;
    let (started_at, began) = (Timestamp::now(), Instant::now());
    let stop = Stop::new(cancel);
    let worker = Worker { jobs, settings, observer, judge, stop: &stop };
    let ends = thread::scope(|scope| {
        let mut threads = Threads::new(scope, &worker);
        drive(queue, settings.concurrency, &mut threads);
        threads.ends
    });
    // What panicked in a thread goes on here, now that nothing runs any more.
    let checks = ends.into_iter().map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect();
    Ok(Run::new(started_at, began.elapsed().as_secs_f64(), checks))
}

/// How a check ended, or the panic of the observer or the judge in its thread.
type End = thread::Result<CheckRun>;

/// A thread for each check that runs.
struct Threads<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    worker: &'env Worker<'env>,
    sender: Sender<(usize, End)>,
    receiver: Receiver<(usize, End)>,
    /// For each check how it ended. Until then that it never began.
    ends: Vec<End>,
}

impl<'scope, 'env> Threads<'scope, 'env> {
    fn new(scope: &'scope Scope<'scope, 'env>, worker: &'env Worker<'env>) -> Self {
        let (sender, receiver) = channel();
        let ends = worker.jobs.iter().map(|job| Ok(worker.skip(job))).collect();
        Self { scope, worker, sender, receiver, ends }
    }
}

impl Executor for Threads<'_, '_> {
    fn begin(&mut self, job: usize) {
        let (worker, sender) = (self.worker, self.sender.clone());
        let work = move || {
            let end = catch_unwind(AssertUnwindSafe(|| worker.perform(&worker.jobs[job])));
            // The receiver outlives all threads of the scope.
            let _ = sender.send((job, end));
        };
        let name = self.worker.jobs[job].name.clone();
        if let Err(error) = thread::Builder::new().name(name).spawn_scoped(self.scope, work) {
            let end = catch_unwind(AssertUnwindSafe(|| self.worker.unstarted(job, &error)));
            let _ = self.sender.send((job, end));
        }
    }

    fn wait(&mut self) -> (usize, bool) {
        // A sender is held here, too: there is always one.
        let Ok((job, end)) = self.receiver.recv() else { unreachable!("the sender is held") };
        let passes = end.as_ref().is_ok_and(CheckRun::lets_pass);
        let has_failed = end.as_ref().map_or(true, |check| check.conclusion == Some(Conclusion::Failure));
        if end.is_err() || (has_failed && self.worker.settings.fail_fast) {
            self.worker.stop.because_of(&self.worker.jobs[job].name);
        }
        self.ends[job] = end;
        (job, passes)
    }

    fn is_stopped(&self) -> bool {
        self.worker.stop.why().is_some()
    }

    fn lost(&mut self, job: usize, root: Option<usize>) {
        let why = match root {
            Some(root) => Why::Needed(self.worker.jobs[root].name.clone()),
            None => self.worker.stop.why().unwrap_or(Why::Stopped(String::new())),
        };
        let check = CheckRun::queued(&self.worker.jobs[job].name).ended(Conclusion::Cancelled, why);
        self.worker.observer.ended(&check);
        self.ends[job] = Ok(check);
    }
}
