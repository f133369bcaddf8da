//! Hold: remembers what runs before anything live is changed. Taking it back is the last thing that unwinding
//! does: links and env file are as they were by then, so the old release is brought to life and seen healthy.

use super::restart;
use crate::host::release::{Release, linked};
use crate::host::site::Site;
use crate::service::{self, LogMark, LogPlace, Service, ServiceState};
use crate::verify::{self, Verification};
use cutover_core::config::{ProbeKind, ServiceConfig, VerifyConfig};
use cutover_core::id::ReleaseId;
use cutover_core::target::{Before, Failure, FailureKind, Outcome, Progress, Restoration, Unwinding};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a service that no release describes is given to run again.
const RUNNING_WITHIN: Duration = Duration::from_secs(60);

/// What ran.
#[derive(Debug, Serialize, Deserialize)]
struct HoldBefore {
    live: Option<ReleaseId>,
    service: Option<ServiceState>,
}

/// Reads what runs.
pub(crate) fn capture(site: &Site<'_>, config: Option<&ServiceConfig>) -> Result<Before, Failure> {
    let service = old_service(site, config);
    let state = service.as_ref().map(|service| service.state()).transpose()?;
    Before::encode(&HoldBefore { live: linked(&site.layout.current())?, service: state })
}

/// Does nothing but say what runs.
pub(crate) fn apply(before: &Before) -> Result<Outcome, Failure> {
    let before: HoldBefore = before.decode()?;
    let live = before.live.map_or_else(|| "nothing is live".to_owned(), |id| format!("{id} is live"));
    Ok(Outcome::unchanged(match before.service {
        Some(state) => format!("{live}, {}", state.description),
        None => live,
    }))
}

/// Brings what ran to life again. Where a release had been switched to, what runs now is seen healthy as well.
pub(crate) fn restore(
    site: &Site<'_>,
    config: Option<&ServiceConfig>,
    before: &Before,
    unwinding: Unwinding,
    progress: &dyn Progress,
) -> Result<Restoration, Failure> {
    let before: HoldBefore = before.decode()?;
    let way = WayBack { site, live: before.live.as_ref(), unwinding, progress };
    let Some(service) = old_service(site, config) else { return way.without_service().map(Restoration::from) };
    match before.service.as_ref().filter(|state| state.active) {
        None => way.stay_down(service.as_ref()),
        Some(was) if way.is_untouched(was, &service.state()?) => way.kept_running(service.as_ref()).map(Into::into),
        Some(_) => way.revive(service.as_ref()).map(Into::into),
    }
}

/// What is known on the way back to the release that was live.
struct WayBack<'a> {
    site: &'a Site<'a>,
    live: Option<&'a ReleaseId>,
    unwinding: Unwinding,
    progress: &'a dyn Progress,
}

impl WayBack<'_> {
    /// What did not run shall not run now. That is no health, and the law must not take it for some.
    fn stay_down(&self, service: &dyn Service) -> Result<Restoration, Failure> {
        if self.unwinding.went_on {
            service.stop(self.progress)?;
        }
        Ok(Restoration { note: "the service does not run, as before".to_owned(), down: true })
    }

    /// Whether the process that runs is none that this deployment, or anything after its first change, started.
    fn is_untouched(&self, was: &ServiceState, now: &ServiceState) -> bool {
        let is_same = now.main == was.main;
        let is_ours = restart::mark(self.site).is_some();
        now.active && if is_ours { is_same && now.main.is_some() } else { is_same || !self.unwinding.went_on }
    }

    fn without_service(&self) -> Result<String, Failure> {
        self.see_healthy(None).map(|()| "no service to restart".to_owned())
    }

    fn kept_running(&self, service: &dyn Service) -> Result<String, Failure> {
        self.see_healthy(Some(service))?;
        Ok(self.live.map_or_else(|| "the service kept running".to_owned(), |live| format!("{live} kept running")))
    }

    /// Makes the probes of the release that is live again, for a service that was not restarted: what it
    /// has logged since says nothing about its start.
    fn see_healthy(&self, service: Option<&dyn Service>) -> Result<(), Failure> {
        let Some(mut config) = self.recorded()?.filter(|_| self.unwinding.switched) else { return Ok(()) };
        config.fatal.clear();
        config.probes.retain(|probe| !matches!(probe.kind, ProbeKind::Log { .. }));
        let mark = service.map_or_else(|| LogMark::now(LogPlace::None), Service::log_mark);
        self.verify(&config, service, &mark, false)
    }

    fn revive(&self, service: &dyn Service) -> Result<String, Failure> {
        let mark = service.log_mark();
        service.restart(self.progress).map_err(|failure| self.advise(failure))?;
        let config = self.recorded()?.unwrap_or_else(only_running);
        self.verify(&config, Some(service), &mark, true)?;
        Ok(self.live.map_or_else(
            || "what ran before runs again".to_owned(),
            |live| format!("{live} is back and {}", if config.probes.is_empty() { "runs" } else { "healthy" }),
        ))
    }

    /// How the release that is live again wants to be verified.
    fn recorded(&self) -> Result<Option<VerifyConfig>, Failure> {
        let release = self.live.map(|live| Release::read(self.site.layout, live)).transpose()?;
        Ok(release.and_then(|release| release.verify))
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

/// The service as the live release has it; as the new one has it when nothing is live.
fn old_service(site: &Site<'_>, config: Option<&ServiceConfig>) -> Option<Box<dyn Service>> {
    let recorded = site.original_service().map(|service| service.open());
    recorded.or_else(|| Some(service::open(config?, &site.service_site())))
}
