//! The way back to what ran: left alone where nobody touched it, else started again and seen healthy.

use super::restart;
use crate::host::release::Release;
use crate::host::site::Site;
use crate::service::{LogMark, LogPlace, Service, ServiceState};
use crate::verify::{self, Verification};
use cutover_core::config::{ProbeKind, VerifyConfig};
use cutover_core::id::ReleaseId;
use cutover_core::target::{Failure, FailureKind, Progress, Restoration, Unwinding};
use std::time::Duration;

/// How long a service that no release describes is given to run again.
const RUNNING_WITHIN: Duration = Duration::from_secs(60);

/// What is known on the way back to the release that was live.
pub(super) struct WayBack<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) live: Option<&'a ReleaseId>,
    /// How health is observed where the release that was live does not say it.
    pub(super) verify: Option<&'a VerifyConfig>,
    pub(super) unwinding: Unwinding,
    pub(super) progress: &'a dyn Progress,
}

impl WayBack<'_> {
    /// What did not run shall not run now. That is no health, and the law must not take it for some.
    pub(super) fn stay_down(&self, service: &dyn Service) -> Result<Restoration, Failure> {
        if self.unwinding.went_on {
            restart::put_out(service, self.progress)?;
        }
        Ok(Restoration { note: "the service does not run, as before".to_owned(), down: true })
    }

    /// Starts again what was meant to run and did not. It need not be healthy: it was not before either.
    pub(super) fn try_to_revive(&self, service: &dyn Service) -> Restoration {
        if !self.unwinding.went_on {
            return Restoration { note: "the service was left as it was, not running".to_owned(), down: true };
        }
        match self.revive(service) {
            Ok(note) => note.into(),
            Err(failure) => {
                Restoration { note: format!("started again, not healthy, as before: {failure}"), down: true }
            }
        }
    }

    /// Whether the process that runs is none that this deployment, or anything after its first change, started.
    pub(super) fn is_untouched(&self, was: &ServiceState, now: &ServiceState) -> bool {
        let is_same = now.main == was.main;
        let is_ours = restart::mark(self.site).is_some();
        now.active && if is_ours { is_same && now.main.is_some() } else { is_same || !self.unwinding.went_on }
    }

    pub(super) fn without_service(&self) -> Result<String, Failure> {
        self.see_healthy(None).map(|()| "no service to restart".to_owned())
    }

    pub(super) fn kept_running(&self, service: &dyn Service) -> Result<String, Failure> {
        self.see_healthy(Some(service))?;
        Ok(self.live.map_or_else(|| "the service kept running".to_owned(), |live| format!("{live} kept running")))
    }

    /// Makes the probes of the release that is live again, for a service that was not restarted: what it
    /// has logged since says nothing about its start.
    fn see_healthy(&self, service: Option<&dyn Service>) -> Result<(), Failure> {
        let Some(mut config) = self.recorded().filter(|_| self.unwinding.switched) else { return Ok(()) };
        config.fatal.clear();
        config.probes.retain(|probe| !matches!(probe.kind, ProbeKind::Log { .. }));
        let mark = service.map_or_else(|| LogMark::now(LogPlace::None), Service::log_mark);
        self.verify(&config, service, &mark, false)
    }

    pub(super) fn revive(&self, service: &dyn Service) -> Result<String, Failure> {
        let mark = service.log_mark();
        service.restart(self.progress).map_err(|failure| self.advise(failure))?;
        let config = self.recorded().unwrap_or_else(only_running);
        self.verify(&config, Some(service), &mark, true)?;
        Ok(self.live.map_or_else(
            || "what ran before runs again".to_owned(),
            |live| format!("{live} is back and {}", if config.probes.is_empty() { "runs" } else { "healthy" }),
        ))
    }

    /// Starts another target's service again where that one had it, and sees that it runs.
    pub(super) fn give_back(&self, service: &dyn Service) -> Result<(), Failure> {
        let mark = service.log_mark();
        service.restart(self.progress).map_err(|failure| self.advise(failure))?;
        self.verify(&only_running(), Some(service), &mark, true)
    }

    /// How the release that is live again wants to be verified; as the one that failed, where nothing can be read of it.
    fn recorded(&self) -> Option<VerifyConfig> {
        let release = Release::read(self.site.layout, self.live?).ok();
        release.and_then(|release| release.verify).or_else(|| self.verify.cloned())
    }

    fn verify(
        &self,
        config: &VerifyConfig,
        service: Option<&dyn Service>,
        mark: &LogMark,
        restarted: bool,
    ) -> Result<(), Failure> {
        let root = self.site.layout.root().to_owned();
        let release = self.live.map_or(root, |live| self.site.layout.release(live));
        let (variables, masker) = (self.site.hook_variables(), self.site.masker());
        let asked = Verification {
            config,
            service,
            mark,
            restarted,
            release: &release,
            variables: &variables,
            masker: &masker,
        };
        verify::verify(&asked, self.progress).map(drop).map_err(|failure| self.advise(failure))
    }

    fn advise(&self, failure: Failure) -> Failure {
        let what = self.live.map_or_else(|| "what ran before".to_owned(), |live| format!("release {live}"));
        Failure { message: format!("bring {what} back: {}", failure.message), ..failure }
            .kind(FailureKind::Unhealthy)
            .hint("the links are as before; find out why it is not healthy, then run `cutover resume`")
    }
}

/// What is asked of a service that no release describes: that it runs.
fn only_running() -> VerifyConfig {
    VerifyConfig {
        within: RUNNING_WITHIN,
        interval: Duration::from_millis(500),
        soak: Duration::ZERO,
        fatal: Vec::new(),
        probes: Vec::new(),
    }
}
