//! One probe, made once.

use super::watch::Watch;
use super::{Verification, command, http, owner, tcp};
use crate::service::LogPlace;
use cutover_core::config::{ProbeConfig, ProbeKind, ProbeOwner};
use cutover_core::mask::Masker;
use cutover_core::probe::{BODY_BYTES_MAX, ProbeResult};
use cutover_core::target::Progress;
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often cancellation is looked for while a probe is at work.
const TICK: Duration = Duration::from_millis(20);
/// How much longer than its limit a probe is waited for: it keeps the limit by itself and can then say how far it came.
const MARGIN: Duration = Duration::from_millis(100);
/// The longest error that is kept, in characters.
const ERROR_LENGTH_MAX: usize = 600;

/// An attempt that had this long and no answer tells something; a shorter one does not.
const TELLING: Duration = Duration::from_secs(1);
/// What is wrong with an answer that came from no socket of this machine.
const UNSEEN: &str = "something answers, but no process of this machine listens there (a forwarded port?); \
                      if that is meant, set owner = \"any\"";

/// What one probe saw, before it is masked.
#[derive(Debug, Default)]
pub(super) struct Observation {
    /// What was wrong; None when it passed.
    pub(super) fault: Option<String>,
    pub(super) endpoint: String,
    /// Whether it was given less than its own time and did not get to an end.
    pub(super) is_cut_short: bool,
    /// Whether it might have passed, had it been given its own time.
    pub(super) is_unfinished: bool,
    /// What should be known about the endpoint although it passed.
    pub(super) note: Option<String>,
    pub(super) code: Option<i32>,
    pub(super) latency: Option<Duration>,
    pub(super) body: Vec<u8>,
    /// Whether there was more of the body.
    pub(super) body_is_cut: bool,
    pub(super) pid: Option<u32>,
    /// Local addresses that may have answered; empty when nobody did or it was another machine.
    pub(super) answered_at: Vec<SocketAddr>,
    /// Whether somebody answered whose process cannot be known from here.
    pub(super) answered_elsewhere: bool,
}

impl Observation {
    pub(super) fn at(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }

    pub(super) fn fault(mut self, why: impl Into<String>) -> Self {
        self.fault = Some(why.into());
        self
    }

    /// The result as it is recorded: masked first, cut afterwards.
    pub(super) fn result(self, probe: &ProbeConfig, attempt_count: u32, masker: &Masker) -> ProbeResult {
        let note = self.note.map(|note| format!(" ({note})")).unwrap_or_default();
        ProbeResult {
            name: probe.name.clone(),
            endpoint: format!("{}{note}", masker.mask(&self.endpoint)),
            healthy: self.fault.is_none(),
            code: self.code,
            latency_ms: self.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
            body: excerpt(&self.body, self.body_is_cut, masker),
            error: masker.mask(&self.fault.unwrap_or_default()).chars().take(ERROR_LENGTH_MAX).collect(),
            pid: self.pid,
            attempt_count,
            at: Timestamp::now(),
        }
    }
}

/// The masked beginning of a body. What might be the first half of a secret at a cut end is left out.
fn excerpt(body: &[u8], is_cut: bool, masker: &Masker) -> String {
    let (mut stream, mut masked) = (masker.stream(), Vec::new());
    stream.push(body, &mut masked);
    if !is_cut {
        stream.finish(&mut masked);
    }
    let text = String::from_utf8_lossy(&masked);
    let end = (0..=BODY_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

/// Makes the probe, within its own time and before the deadline.
pub(super) fn observe(
    probe: &ProbeConfig,
    asked: &Verification<'_>,
    watch: &Watch<'_>,
    deadline: Instant,
    progress: &dyn Progress,
) -> Observation {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let own = own_timeout(&probe.kind).unwrap_or_default();
    let began = Instant::now();
    let mut seen = make(probe, asked, watch, left, progress);
    let is_over = began.elapsed() >= left;
    seen.is_cut_short = left < own.min(TELLING) && is_over;
    seen.is_unfinished = seen.fault.is_some() && left < own.min(pace(&probe.kind)) && is_over;
    seen
}

/// How long an answer may take at most that still counts.
fn pace(kind: &ProbeKind) -> Duration {
    match kind {
        ProbeKind::Http { latency_max, .. } => latency_max.unwrap_or(Duration::MAX),
        ProbeKind::Tcp { .. } | ProbeKind::Command { .. } | ProbeKind::Log { .. } | ProbeKind::Unit { .. } => {
            Duration::MAX
        }
    }
}

fn own_timeout(kind: &ProbeKind) -> Option<Duration> {
    match kind {
        ProbeKind::Http { timeout, .. } | ProbeKind::Tcp { timeout, .. } | ProbeKind::Command { timeout, .. } => {
            Some(*timeout)
        }
        ProbeKind::Log { .. } | ProbeKind::Unit { .. } => None,
    }
}

fn make(
    probe: &ProbeConfig,
    asked: &Verification<'_>,
    watch: &Watch<'_>,
    left: Duration,
    progress: &dyn Progress,
) -> Observation {
    match &probe.kind {
        ProbeKind::Http { url, status, body, headers, latency_max, redirects, timeout } => {
            let expected = http::Expected {
                status: *status,
                body: body.clone(),
                headers: headers.clone(),
                latency_max: *latency_max,
            };
            let (limit, target, redirects) = (left.min(*timeout), url.clone(), *redirects);
            let seen = bounded(url, limit, progress, move || http::observe(&target, &expected, redirects, limit));
            with_owner(seen, probe, asked, watch)
        }
        ProbeKind::Tcp { address, timeout } => {
            let (limit, target) = (left.min(*timeout), address.clone());
            let seen = bounded(address, limit, progress, move || tcp::observe(&target, limit));
            with_owner(seen, probe, asked, watch)
        }
        ProbeKind::Command { run, timeout } => command::observe(run, left.min(*timeout), asked, progress),
        ProbeKind::Log { contains } => log(contains, asked, watch),
        ProbeKind::Unit { stable } => unit(*stable, watch),
    }
}

/// Works in a thread of its own, which is left behind when it does not keep its limit.
fn bounded(
    endpoint: &str,
    limit: Duration,
    progress: &dyn Progress,
    work: impl FnOnce() -> Observation + Send + 'static,
) -> Observation {
    let (sender, receiver) = mpsc::sync_channel(1);
    // Nobody listens any more when it comes too late.
    let started = thread::Builder::new().name("probe".to_owned()).spawn(move || drop(sender.send(work())));
    if let Err(e) = started {
        return Observation::at(endpoint).fault(format!("start a thread: {e}"));
    }
    let deadline = Instant::now() + limit + MARGIN;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(seen) => return seen,
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline && !progress.cancelled() => {}
            Err(RecvTimeoutError::Timeout) => return Observation::at(endpoint).fault(timed_out(limit)),
            Err(RecvTimeoutError::Disconnected) => return Observation::at(endpoint).fault("the probe broke off"),
        }
    }
}

pub(super) fn timed_out(limit: Duration) -> String {
    format!("no answer within {limit:.1?}")
}

/// Adds whose process answered; an answer of somebody else's is not healthy whatever it says.
fn with_owner(mut seen: Observation, probe: &ProbeConfig, asked: &Verification<'_>, watch: &Watch<'_>) -> Observation {
    let Some(service) = asked.service.filter(|_| probe.owner == ProbeOwner::Release) else { return seen };
    if seen.answered_elsewhere {
        seen.note = Some("owner not checked: it is not this machine".to_owned());
    }
    if seen.answered_at.is_empty() {
        return seen;
    }
    match owner::who_answers(&seen.answered_at, service, asked, watch.main()) {
        owner::Answer::Release { pid, note } => (seen.pid, seen.note) = (pid, note),
        owner::Answer::Foreign { pid, why } => (seen.pid, seen.fault) = (pid, Some(why)),
        // Forwarded by the kernel to another network namespace, or gone since it answered.
        owner::Answer::Nobody => seen.fault = seen.fault.or_else(|| Some(UNSEEN.to_owned())),
    }
    seen
}

fn log(contains: &str, asked: &Verification<'_>, watch: &Watch<'_>) -> Observation {
    let seen = Observation::at("the service's log");
    if watch.has_logged(contains) {
        return seen;
    }
    if let Some(why) = watch.log_fault() {
        return seen.fault(why);
    }
    match (asked.service, &asked.mark.place) {
        (None, _) | (Some(_), LogPlace::None) => seen.fault("the service has no log that Cutover can read"),
        (Some(_), LogPlace::Cursor(_) | LogPlace::Time | LogPlace::File { .. }) => {
            seen.fault(format!("no line since the restart contains {contains:?}"))
        }
    }
}

fn unit(stable: Duration, watch: &Watch<'_>) -> Observation {
    let mut seen = Observation::at("the service's state");
    seen.pid = watch.main().map(|main| main.pid);
    let uptime = watch.uptime();
    if !watch.is_active() {
        seen.fault(watch.fault())
    } else if uptime < stable {
        seen.fault(format!("it has run for only {uptime:.1?} of {stable:?}"))
    } else {
        seen
    }
}
