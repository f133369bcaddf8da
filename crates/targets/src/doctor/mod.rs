//! Checks everything that a deployment to this host relies on, and says what to do about what is not so. Changes nothing.

pub(crate) mod ask;
mod host;
mod live;
pub(crate) mod ports;
mod python;
mod unit;

use crate::host::{Layout, linked, own_name, unprobed};
use crate::service::{Service, ServiceState};
use crate::setup::Outdated;
use cutover_core::config::{HostConfig, ServiceConfig};
use cutover_core::id::{ProjectName, TargetName};
use cutover_core::target::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// A deployment works, but something about it is not well.
    Warning,
    /// A deployment would fail.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in a word: `sudo`, `disk`.
    pub area: String,
    /// How it was found.
    pub verdict: Verdict,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn fine(area: &str, what: impl Into<String>) -> Self {
        Self { area: area.to_owned(), verdict: Verdict::Fine, what: what.into(), fix: None }
    }

    /// Something that is not well, and what to do about it.
    pub fn warning(area: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { area: area.to_owned(), verdict: Verdict::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    /// Something that a deployment would fail at, and what to do about it.
    pub fn failed(area: &str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, ..Self::warning(area, what, fix) }
    }

    /// What was done, or why not; with `otherwise` to do where the failure does not say it.
    fn of(area: &str, done: Result<String, Failure>, otherwise: &dyn Fn() -> String) -> Self {
        match done {
            Ok(what) => Self::fine(area, what),
            Err(failure) => Self::failed(area, failure.message, failure.hint.unwrap_or_else(otherwise)),
        }
    }
}

/// Opens a target's service.
pub type OpenService<'a> = &'a dyn Fn(&TargetName, &HostConfig, &ServiceConfig, &Layout) -> Box<dyn Service>;

/// What is looked at.
pub struct Patient<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// The project and the environment, as setup names its files: see [`crate::setup::slug`].
    pub slug: String,
    /// The units that setup would write otherwise now: see [`crate::setup::outdated_units`].
    pub outdated: Vec<Outdated>,
    /// Cutover itself.
    pub program: &'a Path,
    /// Whether somebody asks from another machine, who came by ssh.
    pub is_asked_from_elsewhere: bool,
    /// Opens a target's service.
    pub service: OpenService<'a>,
    /// The environment's targets on this host.
    pub targets: Vec<(&'a TargetName, &'a HostConfig, Layout)>,
}

/// Looks at everything on this host.
pub fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = host::examine(patient);
    for (name, config, layout) in &patient.targets {
        let service =
            config.service.as_ref().map(|service| (service, (patient.service)(name, config, service, layout)));
        findings.extend(host::place(config, layout));
        findings.extend(live::examine(patient.project, config, layout, service.as_ref().map(|(_, opened)| &**opened)));
        findings.extend(config.python.iter().flat_map(python::examine));
        if let Some((service, opened)) = service {
            findings.push(probes(name, config));
            findings.extend(of_service((name, config), service, (layout, opened.as_ref()), &patient.outdated));
            findings.extend(ports::examine((name, config), layout, opened.as_ref()));
        }
    }
    findings
}

/// What is not as it should be of all that costs next to nothing to look at: whether releases can be put there, whether there is room,
/// what is live there, and who is at the ports that probes ask.
pub fn glance(
    project: &ProjectName,
    target: (&TargetName, &HostConfig),
    layout: &Layout,
    service: Option<&dyn Service>,
) -> Vec<Finding> {
    let place = host::room_for_releases(target.1, layout);
    let live = live::examine(project, target.1, layout, service);
    let ports = service.map(|service| ports::examine(target, layout, service)).unwrap_or_default();
    place.into_iter().chain(live).chain(ports).filter(|finding| finding.verdict != Verdict::Fine).collect()
}

fn of_service(
    (name, config): (&TargetName, &HostConfig),
    service: &ServiceConfig,
    (layout, opened): (&Layout, &dyn Service),
    outdated: &[Outdated],
) -> Vec<Finding> {
    let otherwise = || put_right(service, &layout.process(name));
    let mut findings = vec![Finding::of("service", opened.check().map(|()| describe(service)), &otherwise)];
    if let ServiceConfig::Systemd { unit, scope, .. } = service {
        findings.extend(unit::examine(config, unit, *scope, outdated.iter().find(|one| one.unit == *unit)));
        findings.extend(superseded(opened));
    }
    findings.extend(dead(layout, opened));
    findings.push(log(config, opened, &otherwise));
    findings
}

/// Whether it does not run, or not for long. A deployment would put that right, but nobody should have to wait for one.
fn dead(layout: &Layout, service: &dyn Service) -> Option<Finding> {
    let state = service.state().ok()?;
    if !state.wanted && !state.active {
        return stopped(layout, &state);
    }
    if !(state.failed || state.crash_looping) {
        return None;
    }
    if state.crash_looping {
        let what =
            format!("it is in a crash loop, now {}: started again {} times", state.description, state.restart_count);
        return Some(Finding::warning("service", what, "`cutover app ENV logs` tells what it said last"));
    }
    let what = format!("it is meant to run, and nothing will start it: {}", state.description);
    Some(Finding::warning(
        "service",
        what,
        "`cutover app ENV restart` starts it; `cutover app ENV logs` tells what it said last",
    ))
}

/// Whether somebody stopped what is live. Where nothing is, nothing has to run.
fn stopped(layout: &Layout, state: &ServiceState) -> Option<Finding> {
    let live = linked(&layout.current()).ok().flatten()?;
    let what = format!("release {live} is live and does not run: {}", state.description);
    Some(Finding::warning("service", what, "`cutover app ENV start` starts it"))
}

/// Whether it runs as it is said to by now.
fn superseded(service: &dyn Service) -> Option<Finding> {
    let what = service.superseded(&service.state().ok().filter(|state| state.active)?)?;
    Some(Finding::warning("unit", what, "`cutover app ENV restart` starts it anew"))
}

/// Whether anything but its process says that a service works.
fn probes(target: &TargetName, config: &HostConfig) -> Finding {
    let count = config.verify.probes.len();
    unprobed(target, config).map_or_else(
        || Finding::fine("probes", format!("{count} say whether target {target} works")),
        |(what, fix)| Finding::warning("probes", what, fix),
    )
}

fn describe(service: &ServiceConfig) -> String {
    match service {
        ServiceConfig::Systemd { unit, .. } => format!("{unit} is there, and may be started and stopped"),
        ServiceConfig::Command { .. } => "its commands are there".to_owned(),
        ServiceConfig::Process(_) => "Cutover's own supervisor runs it".to_owned(),
    }
}

/// What to do about a service that does not say it itself. Setup knows units only.
fn put_right(service: &ServiceConfig, own: &Path) -> String {
    match service {
        ServiceConfig::Systemd { .. } => "`cutover setup ENV` sees to it".to_owned(),
        ServiceConfig::Process(_) => {
            format!("all in {0} must belong to who deploys: `sudo chown -R {1} {0}`", own.display(), own_name())
        }
        ServiceConfig::Command { .. } => format!(
            "who deploys must be able to run what `service` names; it has no log of its own: what it prints when it is started is in \
             {}",
            own.join("command.log").display()
        ),
    }
}

fn log(config: &HostConfig, service: &dyn Service, otherwise: &dyn Fn() -> String) -> Finding {
    let awaits =
        |probe: &cutover_core::config::ProbeConfig| matches!(probe.kind, cutover_core::config::ProbeKind::Log { .. });
    let is_needed = config.verify.probes.iter().any(awaits);
    let verdict = if is_needed { Verdict::Failed } else { Verdict::Warning };
    let finding = Finding::of("log", service.check_log().map(|()| "its log can be read".to_owned()), otherwise);
    match finding.verdict {
        Verdict::Fine => finding,
        Verdict::Warning | Verdict::Failed => Finding { verdict, ..finding },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Site, open};
    use cutover_core::config::{Config, TargetConfig};

    /// What is told of a service in this place.
    fn told(place: &Path, service: &str) -> Vec<(String, String)> {
        let keys = format!("deploy_to = \"{}\"\nservice = {{ {service} }}\n", place.display());
        let config = Config::parse(&format!("name = \"shop\"\n[targets.app.host]\n{keys}")).unwrap();
        let (name, TargetConfig::Host(host)) = config.targets.into_iter().next().unwrap();
        let service = host.service.clone().unwrap();
        let opened = open(&service, &Site::to_look_at(name.clone(), place));
        let found = of_service((&name, &host), &service, (&Layout::new(place), opened.as_ref()), &[]);
        found.into_iter().filter_map(|finding| Some((finding.what, finding.fix?))).collect()
    }

    #[test]
    fn setup_is_advised_for_units_only() {
        let dir = tempfile::tempdir().unwrap();
        let own = Layout::new(dir.path()).process(&TargetName::new("app").unwrap());
        // Given a supervisor's file that cannot be read, whoever reads it.
        std::fs::create_dir_all(own.join("state.json")).unwrap();

        let process = told(dir.path(), "process = { command = \"./serve\" }");
        let command = told(dir.path(), "command = { restart = \"true\", stop = \"true\", status = \"true\" }");

        assert!(!process.is_empty() && !command.is_empty(), "{process:?} {command:?}");
        for (what, fix) in process.iter().chain(&command) {
            assert!(!fix.contains("cutover setup"), "{what}: {fix}");
        }
        assert!(process[0].1.contains(&format!(" {}`", own.display())), "{process:?}");
        assert!(command[0].1.contains("command.log"), "{command:?}");
    }

    #[test]
    fn what_is_live_and_was_stopped_is_told_with_what_starts_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let stopped = || {
            let told = told(dir.path(), "command = { restart = \"true\", stop = \"true\", status = \"false\" }");
            told.into_iter().find(|(_, fix)| fix.contains("`cutover app ENV start`"))
        };

        assert_eq!(stopped(), None, "nothing is live");
        std::fs::create_dir_all(layout.release(&cutover_core::id::ReleaseId::new("r1").unwrap())).unwrap();
        std::os::unix::fs::symlink("releases/r1", layout.current()).unwrap();

        let (what, _) = stopped().unwrap();
        assert!(what.starts_with("release r1 is live and does not run"), "{what}");
    }
}
