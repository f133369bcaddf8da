//! Kills a change at point after point and judges each time what is left and what the recovery makes of it.

use crate::run::Ran;
use crate::scenario::{Recovery, Scenario, Stage};
use crate::strace::{self, Call};
use crate::verdict;
use crate::world::{ENVIRONMENT, Service};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many worlds are killed at the same time, each with its own place on disk and its own port.
const WORKER_COUNT: usize = 2;
/// The variable that asks for every point instead of a choice.
const ALL_VARIABLE: &str = "CUTOVER_CRASH";

/// The variable that names where worlds shall lie.
const DIR_VARIABLE: &str = "CUTOVER_CRASH_DIR";
/// How much room worlds need in memory.
const MEMORY_BYTES_MIN: u64 = 512 << 20;

/// How many violations a failure repeats; all are told as they are found.
const SHOWN_COUNT_MAX: usize = 3;

/// Whether every point was asked for.
pub(crate) fn wants_all() -> bool {
    std::env::var(ALL_VARIABLE).is_ok_and(|value| value == "all")
}

/// One kill.
pub(crate) struct Trial {
    pub(crate) call: Call,
    pub(crate) recovery: Recovery,
    /// Whether one more deployment is made afterwards.
    pub(crate) follow: bool,
}

/// What became of one kill.
struct Result {
    told: String,
    /// Where it came to rest: `original`, `target`, or that it was over before it could be killed.
    rest: String,
    faults: Vec<String>,
}

/// Everything that a sweep found.
#[derive(Default)]
pub(crate) struct Report {
    results: Vec<Result>,
}

impl Report {
    /// Fails with everything that was found wrong.
    pub(crate) fn judge(self, name: &str, began: Instant) {
        eprintln!("{name}: {self} in {:.0} s", began.elapsed().as_secs_f64());
        let violations: Vec<String> = self
            .results
            .iter()
            .filter(|it| !it.faults.is_empty())
            .map(|it| format!("{}\n  {}", it.told, it.faults.join("\n  ")))
            .collect();
        let first = violations.iter().take(SHOWN_COUNT_MAX).cloned().collect::<Vec<_>>().join("\n\n");
        assert!(!self.results.is_empty(), "{name}: nothing was killed");
        assert!(violations.is_empty(), "{name}: {self}\n\n{first}");
        let missed = self.results.iter().filter(|it| it.rest == OVER).count();
        assert!(missed * 10 <= self.results.len(), "{name}: too many points were not reached: {self}");
    }

    fn push(&mut self, told: String, rest: String, faults: Vec<String>) {
        if !faults.is_empty() {
            eprintln!("VIOLATION {told}\n  {}", faults.join("\n  "));
        }
        self.results.push(Result { told, rest, faults });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violations = self.results.iter().filter(|it| !it.faults.is_empty()).count();
        write!(f, "{} kills, {violations} violations", self.results.len())?;
        let mut rests: BTreeMap<&str, usize> = BTreeMap::new();
        self.results.iter().for_each(|it| *rests.entry(&it.rest).or_default() += 1);
        rests.iter().try_for_each(|(rest, count)| write!(f, ", {count} {rest}"))
    }
}

/// The process had ended before the point was reached.
const OVER: &str = "over before";

/// Kills a change at the points that `choose` picks, on as many workers as there are.
pub(crate) fn sweep(
    name: &str,
    scenario: Scenario,
    has_service: bool,
    choose: impl Fn(Vec<Call>) -> Vec<Trial> + Sync,
) {
    each_worker(name, (scenario, has_service), &memory_or_disk(), |stage, share, report| {
        stage.reset();
        let (ran, calls) = strace::count(&stage.world, &scenario.command());
        assert_eq!(ran.code, Some(scenario.exit_code()), "{name}: {ran}");
        for trial in
            choose(calls).into_iter().enumerate().filter(|(at, _)| at % WORKER_COUNT == share).map(|(_, trial)| trial)
        {
            try_one(stage, &trial, report);
        }
    });
}

/// Gives every worker a stage of its own and joins what they found.
pub(crate) fn each_worker(
    name: &str,
    (scenario, has_service): (Scenario, bool),
    ground: &Path,
    work: impl Fn(&Stage, usize, &mut Report) + Sync,
) {
    if skipped(name) {
        return;
    }
    let began = Instant::now();
    let one = |share| {
        let slot = tempfile::Builder::new().prefix("cutover-crash-").tempdir_in(ground).unwrap();
        let service = if has_service { Service::Web(crate::service::free_port()) } else { Service::None };
        let stage = Stage::new(slot.path(), scenario, service);
        let mut report = Report::default();
        work(&stage, share, &mut report);
        report
    };
    let mut whole = Report::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKER_COUNT).map(|share| scope.spawn(move || one(share))).collect();
        for worker in workers {
            let report = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            whole.results.extend(report.results);
        }
    });
    whole.judge(name, began);
}

/// Where worlds lie on a real disk.
pub(crate) fn disk() -> PathBuf {
    std::env::temp_dir()
}

/// Where worlds lie whose every system call is killed: in `CUTOVER_CRASH_DIR`, else in memory. SIGKILL loses nothing of what
/// was written, so that a file system in memory shows the same as a disk, without waiting for it.
fn memory_or_disk() -> PathBuf {
    if let Some(chosen) = std::env::var_os(DIR_VARIABLE) {
        return chosen.into();
    }
    let memory = Path::new("/dev/shm");
    let has_room = || cutover_disk::free_space(memory).is_ok_and(|free| free.bytes > MEMORY_BYTES_MIN);
    if has_room() && can_execute_in(memory) { memory.to_owned() } else { disk() }
}

/// Whether programs may be started from a directory: memory is often mounted so that they may not.
fn can_execute_in(directory: &Path) -> bool {
    let Ok(tried) = tempfile::tempdir_in(directory) else { return false };
    let program = tried.path().join("true");
    let copied = ["/bin/true", "/usr/bin/true"].iter().any(|original| std::fs::copy(original, &program).is_ok());
    copied && std::process::Command::new(&program).status().is_ok_and(|status| status.success())
}

/// Whether nothing can be killed here. Where everything is expected to be there, that is a failure.
pub(crate) fn skipped(name: &str) -> bool {
    let Some(why) = strace::missing() else { return false };
    assert!(std::env::var_os("CI").is_none(), "{name} cannot be run: {why}");
    eprintln!("SKIPPED {name}: {why}");
    true
}

fn try_one(stage: &Stage, trial: &Trial, report: &mut Report) {
    stage.reset();
    let ran = strace::kill_at(&stage.world, &stage.scenario.command(), &trial.call);
    let told = format!("{:?} killed at {}, then {:?}", stage.scenario, trial.call, trial.recovery);
    recover(stage, &ran, trial.recovery, trial.follow, told, report);
}

/// Judges what a kill left, recovers, judges again.
pub(crate) fn recover(
    stage: &Stage,
    killed: &Ran,
    recovery: Recovery,
    follow: bool,
    told: String,
    report: &mut Report,
) {
    if !killed.was_killed() {
        let faults = (killed.code != Some(stage.scenario.exit_code())).then(|| format!("it was not killed: {killed}"));
        return report.push(told, OVER.to_owned(), faults.into_iter().collect());
    }
    let mut faults = verdict::at_once(stage);
    let allowed = stage.allowed(recovery);
    let recovered = stage.world.run(&recovery.command(stage.scenario, &stage.world));
    let mut rest = "nowhere".to_owned();
    match verdict::after_recovery(stage, allowed, &recovered) {
        Ok(allowed) => {
            rest = format!("{} ({recovery:?} ended with {})", allowed.which, recovered.code.unwrap_or(-1));
            if follow {
                faults.extend(verdict::after_following(stage, allowed));
            }
        }
        Err(found) => faults.extend(found),
    }
    report.push(told, rest, faults);
}

/// The name under which a world that was killed once is kept.
const HALF: &str = "half";

/// Kills a change, and then the recovery too, at the points that `choose` picks of each.
pub(crate) fn sweep_twice(
    name: &str,
    scenario: Scenario,
    choose_first: impl Fn(Vec<Call>) -> Vec<Call> + Sync,
    choose_second: impl Fn(Vec<Call>) -> Vec<Call> + Sync,
) {
    each_worker(name, (scenario, false), &memory_or_disk(), |stage, share, report| {
        stage.reset();
        let (_, calls) = strace::count(&stage.world, &scenario.command());
        for first in choose_first(calls)
            .into_iter()
            .enumerate()
            .filter(|(at, _)| at % WORKER_COUNT == share)
            .map(|(_, call)| call)
        {
            stage.reset();
            let ran = strace::kill_at(&stage.world, &scenario.command(), &first);
            if ran.was_killed() {
                stage.world.keep(HALF);
                kill_the_recovery(stage, &first, &choose_second, report);
            }
        }
    });
}

fn kill_the_recovery(
    stage: &Stage,
    first: &Call,
    choose: &(impl Fn(Vec<Call>) -> Vec<Call> + Sync),
    report: &mut Report,
) {
    let resume = ["resume", ENVIRONMENT];
    let (_, calls) = strace::count(&stage.world, &resume);
    for (at, second) in choose(calls).into_iter().enumerate() {
        stage.put_back(HALF);
        let ran = strace::kill_at(&stage.world, &resume, &second);
        let recovery = if at % 2 == 0 { Recovery::Resume } else { Recovery::Deploy };
        let told = format!("{:?} killed at {first}, resume killed at {second}, then {recovery:?}", stage.scenario);
        recover(stage, &ran, recovery, at % 4 == 0, told, report);
    }
}
