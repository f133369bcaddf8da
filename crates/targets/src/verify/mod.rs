//! Whether a release is seen to be healthy: by its service, by every probe, and for how long.

mod command;
mod http;
mod observe;
mod owner;
mod tcp;
mod trust;
mod watch;

use crate::service::{LogMark, Service};
use cutover_core::config::{ProbeConfig, ProbeKind, VerifyConfig};
use cutover_core::mask::Masker;
use cutover_core::probe::ProbeResult;
use cutover_core::secret::Secret;
use cutover_core::target::{EXCERPT_BYTES_MAX, Failure, FailureKind, Progress, Unheard};
pub(crate) use owner::is_local;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
pub use trust::root_certs;
use watch::Watch;

/// The shortest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Which part of the time that has passed is paused, up to the configured interval: whatever a start takes, it is noticed
/// before a quarter more has passed.
const PAUSE_SHARE: u32 = 4;
/// How long a service must run on when nothing else is asked of it: one that dies of its first work, a connection that is
/// refused or a file that is missing, often does so after a second or two.
const SETTLE: Duration = Duration::from_secs(5);
/// How often cancellation and the main process are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How many probes are made at a time where they are made side by side.
const AT_ONCE_MAX: usize = 16;
/// How long what was seen of the service holds at least while probes do not pass yet: to ask again costs time that its
/// start needs.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// How often the service's state is asked for in any case, also while it soaks.
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(250);

/// What is to be verified.
#[derive(Clone, Copy)]
pub struct Verification<'a> {
    /// The probes and their bounds.
    pub config: &'a VerifyConfig,
    /// What runs the release; None when nothing does.
    pub service: Option<&'a dyn Service>,
    /// The moment before the restart.
    pub mark: &'a LogMark,
    /// Whether the service was restarted after the mark: then only processes that began since may answer.
    pub restarted: bool,
    /// The release's own directory (not the link to it), which command probes run in.
    pub release: &'a Path,
    /// The environment's variables, for command probes.
    pub variables: &'a BTreeMap<String, Secret>,
    /// Hides secrets in everything that probes and logs say.
    pub masker: &'a Masker,
}

/// Waits until every probe passes, then watches the service for the soak time.
///
/// Gives the last result of each probe, in the configured order. Fails with
/// [`FailureKind::Unhealthy`], the probes' last results and the end of the service's log when
/// something was seen to be wrong: at once when the service has failed for good, is in a crash loop
/// or logs a fatal pattern, else when `within` is over.
pub fn verify(verification: &Verification<'_>, progress: &dyn Progress) -> Result<Vec<ProbeResult>, Failure> {
    let watch = Watch::new(verification);
    let mut verifier = Verifier { asked: verification, progress, watch, results: Vec::new(), attempt_count: 0 };
    verifier.until_healthy()?;
    verifier.soak()?;
    Ok(verifier.results)
}

/// How long a look at probes may take.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// All that wait for an answer, together.
    pub answers: Duration,
    /// A command: one that may take longer by its own timeout is not begun, for none shall be ended half-way.
    pub command: Duration,
}

/// What a probe that was made once saw.
#[derive(Debug)]
pub struct Seen {
    /// What was asked.
    pub probe: ProbeConfig,
    /// What was seen.
    pub result: ProbeResult,
    /// Whether that says nothing of health: the probe had less than its own time, and did not get to an end in it or was not begun.
    pub is_unfinished: bool,
}

/// Makes every probe once, side by side, within this time: what is seen now of a release that is live. What a service logged
/// when it was started is past, so that probes of the log are left out. Gives the others with what they saw, in the configured order.
pub fn observe_once(asked: &Verification<'_>, within: Within) -> Vec<Seen> {
    let is_lasting = |probe: &&ProbeConfig| !matches!(probe.kind, ProbeKind::Log { .. });
    let probes: Vec<ProbeConfig> = asked.config.probes.iter().filter(is_lasting).cloned().collect();
    // Neither is the log read for fatal lines: they ended a start.
    let config = VerifyConfig { probes, fatal: Vec::new(), ..asked.config.clone() };
    let asked = Verification { config: &config, ..*asked };
    let (mut watch, deadline) = (Watch::new(&asked), Instant::now() + within.answers);
    let _verdict = watch.look();
    let watch = &watch;
    let see = |(place, probe): (usize, &ProbeConfig)| (place, see(probe, &asked, watch, (deadline, within.command)));
    let together = |probes: &[(usize, &ProbeConfig)]| {
        std::thread::scope(|scope| {
            let seeing: Vec<_> = probes.iter().map(|probe| scope.spawn(move || see(*probe))).collect();
            seeing.into_iter().filter_map(|seen| seen.join().ok()).collect::<Vec<_>>()
        })
    };
    let is_command = |(_, probe): &(usize, &ProbeConfig)| matches!(probe.kind, ProbeKind::Command { .. });
    // Commands come last, so that they take none of the others' time.
    let (commands, others): (Vec<_>, Vec<_>) = config.probes.iter().enumerate().partition(is_command);
    let mut seen: Vec<_> =
        [others, commands].iter().flat_map(|some| some.chunks(AT_ONCE_MAX)).flat_map(together).collect();
    seen.sort_by_key(|(place, _)| *place);
    seen.into_iter().map(|(_, seen)| seen).collect()
}

/// Makes one probe: a command within its own time where that is short enough, others before the deadline.
fn see(
    probe: &ProbeConfig,
    asked: &Verification<'_>,
    watch: &Watch<'_>,
    (deadline, command_max): (Instant, Duration),
) -> Seen {
    let seen = match &probe.kind {
        ProbeKind::Command { run, timeout } if *timeout > command_max => command::too_long(run, *timeout, asked.masker),
        ProbeKind::Command { .. } => observe::observe(probe, asked, watch, no_deadline(), &Unheard),
        ProbeKind::Http { .. } | ProbeKind::Tcp { .. } | ProbeKind::Log { .. } | ProbeKind::Unit { .. } => {
            observe::observe(probe, asked, watch, deadline, &Unheard)
        }
    };
    let is_unfinished = seen.is_unfinished;
    Seen { probe: probe.clone(), result: seen.result(probe, 1, asked.masker), is_unfinished }
}

/// For what has its own time and no more.
fn no_deadline() -> Instant {
    Instant::now() + Duration::from_secs(24 * 3600)
}

/// How long a service has to stay healthy.
pub(crate) fn soak_of(config: &VerifyConfig) -> Duration {
    if config.probes.is_empty() && config.soak.is_zero() { SETTLE } else { config.soak }
}

struct Verifier<'a> {
    asked: &'a Verification<'a>,
    progress: &'a dyn Progress,
    watch: Watch<'a>,
    results: Vec<ProbeResult>,
    attempt_count: u32,
}

impl Verifier<'_> {
    fn until_healthy(&mut self) -> Result<(), Failure> {
        let config = self.asked.config;
        let began = Instant::now();
        let deadline = began + config.within;
        let mut looked_at: Option<Instant> = None;
        loop {
            let share = (began.elapsed() / PAUSE_SHARE).clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL_MAX);
            if self.watch.has_main_ended() || looked_at.is_none_or(|at| at.elapsed() >= share) {
                self.look()?;
                looked_at = Some(Instant::now());
            }
            let is_whole = self.attempt(deadline)?;
            if is_whole && self.probe_fault().is_none() && self.is_running_on()? {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = self.probe_fault().unwrap_or_else(|| self.watch.fault());
                return Err(self.unhealthy(&format!("not healthy within {:?}: {why}", config.within)));
            }
            let pause = PAUSE_MIN.max(began.elapsed() / PAUSE_SHARE);
            self.rest(pause.min(config.interval).min(left))?;
        }
    }

    /// Whether the service is active and the same process ran all through the attempt.
    fn is_running_on(&mut self) -> Result<bool, Failure> {
        let before = self.watch.run();
        self.look()?;
        Ok(self.watch.is_active() && self.watch.run() == before)
    }

    fn soak(&mut self) -> Result<(), Failure> {
        let config = self.asked.config;
        let soak = if self.asked.service.is_some() { soak_of(config) } else { config.soak };
        if soak.is_zero() {
            return Ok(());
        }
        let (run, until) = (self.watch.run(), Instant::now() + soak);
        let mut next_attempt = Instant::now() + config.interval;
        loop {
            self.rest(until.saturating_duration_since(Instant::now()).min(config.interval).min(LOOK_INTERVAL_MAX))?;
            let is_over = Instant::now() >= until;
            self.look()?;
            if !self.watch.is_active() || self.watch.run() != run {
                return Err(self.unhealthy(&format!("did not stay healthy for {soak:?}: {}", self.watch.fault())));
            }
            if is_over || Instant::now() >= next_attempt {
                self.soak_attempt(soak)?;
                next_attempt = Instant::now() + config.interval;
            }
            if is_over {
                // The probes themselves took time: it must still be the same run.
                return if self.is_running_on()? && self.watch.run() == run { Ok(()) } else { continue };
            }
        }
    }

    fn soak_attempt(&mut self, soak: Duration) -> Result<(), Failure> {
        let _always_whole = self.attempt(no_deadline())?;
        match self.probe_fault() {
            None => Ok(()),
            Some(why) => Err(self.unhealthy(&format!("did not stay healthy for {soak:?}: {why}"))),
        }
    }

    /// Makes every probe once, each within its own time and what is left of the whole. False when that was too little: such an
    /// attempt says less than the one before it, whose results stay.
    fn attempt(&mut self, deadline: Instant) -> Result<bool, Failure> {
        self.attempt_count = self.attempt_count.saturating_add(1);
        let mut results = Vec::with_capacity(self.asked.config.probes.len());
        for probe in &self.asked.config.probes {
            let seen = observe::observe(probe, self.asked, &self.watch, deadline, self.progress);
            self.stop_when_cancelled()?;
            if seen.is_cut_short && !self.results.is_empty() {
                return Ok(false);
            }
            let result = seen.result(probe, self.attempt_count, self.asked.masker);
            self.progress.probed(&result);
            results.push(result);
        }
        self.results = results;
        Ok(true)
    }

    /// What is wrong with the first probe that does not pass.
    fn probe_fault(&self) -> Option<String> {
        let failed = self.results.iter().find(|result| !result.healthy)?;
        Some(format!("probe {}: {}", failed.name, failed.error))
    }

    /// Looks at the service; fails when waiting longer cannot help.
    fn look(&mut self) -> Result<(), Failure> {
        self.stop_when_cancelled()?;
        match self.watch.look() {
            None => Ok(()),
            Some(verdict) => Err(self.unhealthy(&verdict)),
        }
    }

    fn stop_when_cancelled(&self) -> Result<(), Failure> {
        if self.progress.cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
    }

    /// Waits, but not past a wish to stop or the main process's end.
    fn rest(&self, pause: Duration) -> Result<(), Failure> {
        let until = Instant::now() + pause;
        loop {
            self.stop_when_cancelled()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.watch.has_main_ended() {
                // Its end is looked at soon, but not again and again.
                std::thread::sleep(left.min(TICK));
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    fn unhealthy(&self, why: &str) -> Failure {
        let log = self.asked.service.map(|service| service.log_since(self.asked.mark, 2 * EXCERPT_BYTES_MAX));
        let log = log.unwrap_or_else(|| Ok(String::new())).unwrap_or_else(|failure| format!("({failure})\n"));
        let log = self.asked.masker.mask(&log);
        let mut failure = Failure::new(self.asked.masker.mask(why)).kind(FailureKind::Unhealthy).excerpt(&log);
        failure.probes.clone_from(&self.results);
        failure
    }
}
