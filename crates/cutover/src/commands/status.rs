//! `cutover status`.

use super::words;
use crate::context::Context;
use crate::deployments::Place;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_core::config::{EnvironmentConfig, HostConfig};
use cutover_core::id::{EnvironmentName, ReleaseId, TargetName};
use cutover_core::mask::Masker;
use cutover_reporters::bytes;
use cutover_targets::host::lock::{self, Holder};
use cutover_targets::host::{Layout, Release, linked, open_journals};
use cutover_targets::service::{self, ServiceState};
use serde::Serialize;
use std::collections::BTreeSet;

/// Show what is live, whether it runs, and what is in the way
///
/// For each target: the live release and the one before, the service's state with its process,
/// memory, processor time and restarts, who holds the lock or waits for it, and deployments that
/// were left unfinished. Everything is read from the host itself, now.
///
/// Examples:
///   cutover status                # every environment on this machine
///   cutover status production
///   cutover status --json | jq '.environments[].targets[].service.active'
///
/// With --json: {"v":1,"environments":[{"name":…,"targets":[{"release":…,"service":{…}}]}]}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatusArgs {
    /// Only this environment
    #[arg(value_name = "ENV")]
    environment: Option<String>,
}

#[derive(Serialize)]
struct EnvironmentStatus {
    name: EnvironmentName,
    targets: Vec<TargetStatus>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct TargetStatus {
    name: TargetName,
    deploy_to: String,
    release: Option<ReleaseStatus>,
    previous: Option<ReleaseId>,
    service: Option<ServiceState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_error: Option<String>,
    lock: Option<Holder>,
    maintenance: Option<Holder>,
    queue: Vec<Holder>,
    unfinished: Vec<String>,
}

#[derive(Serialize)]
struct ReleaseStatus {
    id: ReleaseId,
    #[serde(flatten)]
    release: Option<Release>,
}

impl StatusArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let environments = match &self.environment {
            Some(name) => vec![context.environment(name)?],
            None => context.project()?.config.environments.iter().collect(),
        };
        let statuses: Vec<EnvironmentStatus> =
            environments.into_iter().map(|(name, config)| look(context, name, config)).collect();
        if context.output.json {
            context.output.json(&serde_json::json!({ "v": 1, "environments": statuses }))?;
        } else {
            let text: String = statuses.iter().map(|status| status.text(context)).collect();
            context.output.text(&text)?;
        }
        Ok(Exit::Done)
    }
}

fn look(context: &Context, name: &EnvironmentName, config: &EnvironmentConfig) -> EnvironmentStatus {
    match Place::of(name, config) {
        Ok(place) => {
            let targets = place
                .layouts()
                .map(|(target, config, layout)| TargetStatus::of(context, target, config, &layout))
                .collect();
            EnvironmentStatus { name: name.clone(), targets, error: None }
        }
        Err(error) => EnvironmentStatus { name: name.clone(), targets: Vec::new(), error: Some(error.to_string()) },
    }
}

impl TargetStatus {
    fn of(context: &Context, name: &TargetName, config: &HostConfig, layout: &Layout) -> Self {
        let live = linked(&layout.current()).ok().flatten();
        let seen = config.service.as_ref().map(|service| service::open(service, &site(name, config)).state());
        let (service, service_error) = match seen {
            Some(Ok(state)) => (Some(state), None),
            Some(Err(error)) => (None, Some(error.message)),
            None => (None, None),
        };
        Self {
            name: name.clone(),
            deploy_to: config.deploy_to.display().to_string(),
            release: live.map(|id| ReleaseStatus { release: Release::read(layout, &id).ok(), id }),
            previous: linked(&layout.previous()).ok().flatten(),
            service,
            service_error,
            lock: lock::holder(layout),
            // Who may not look sees none; who wants to deploy is refused.
            maintenance: lock::maintenance(layout, context.now()).ok().flatten(),
            queue: lock::queue(layout),
            unfinished: open_journals(layout)
                .iter()
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .collect(),
        }
    }
}

/// A place from which a service is only looked at.
fn site(name: &TargetName, config: &HostConfig) -> service::Site {
    service::Site {
        name: name.clone(),
        deploy_to: config.deploy_to.clone(),
        env_file: config.env_file.clone(),
        supervisor_program: std::path::PathBuf::new(),
        supervisor_args: Vec::new(),
        masker: Masker::new([]),
        secret_names: BTreeSet::new(),
    }
}

impl EnvironmentStatus {
    fn text(&self, context: &Context) -> String {
        let mut text = format!("{}\n", context.output.paint().strong(&self.name));
        text.extend(self.error.iter().map(|error| format!("  {error}\n")));
        text.extend(self.targets.iter().map(|target| target.text(context)));
        text
    }
}

impl TargetStatus {
    fn text(&self, context: &Context) -> String {
        let paint = context.output.paint();
        let mut lines = vec![format!("{} in {}", self.name, self.deploy_to)];
        lines.push(
            self.release.as_ref().map_or_else(|| "nothing is live yet".to_owned(), |release| release.text(context)),
        );
        lines.extend(self.previous.iter().map(|id| format!("before it: {id}")));
        lines.extend(
            self.service.iter().map(|state| {
                if state.active { paint.good(service_text(state)) } else { paint.bad(service_text(state)) }
            }),
        );
        lines.extend(self.service_error.iter().map(|error| paint.bad(format!("service cannot be seen: {error}"))));
        lines.extend(
            self.maintenance
                .iter()
                .map(|holder| paint.warning(format!("maintenance lock by {}: {}", holder.by, holder.reason))),
        );
        lines.extend(
            self.lock.iter().map(|holder| paint.warning(format!("locked by {}: {}", holder.by, holder.reason))),
        );
        lines.extend(self.queue.iter().map(|holder| format!("waiting: {}: {}", holder.by, holder.reason)));
        if self.lock.is_none() {
            lines.extend(
                self.unfinished
                    .iter()
                    .map(|id| paint.warning(format!("deployment {id} is unfinished: `cutover resume` takes it up"))),
            );
        }
        lines.iter().enumerate().map(|(at, line)| format!("{}{line}\n", if at == 0 { "  " } else { "    " })).collect()
    }
}

impl ReleaseStatus {
    fn text(&self, context: &Context) -> String {
        let Some(release) = &self.release else {
            return format!("live: {} (without a readable release.json)", self.id);
        };
        let commit = words::commit(&release.commit, false);
        format!("live: {} · {commit} {} · {}", self.id, release.subject, words::ago(release.created_at, context.now()))
    }
}

fn service_text(state: &ServiceState) -> String {
    let mut text = format!("service: {}", state.description);
    let facts = [
        state.main.as_ref().map(|main| format!("pid {}", main.pid)),
        state.memory_bytes.map(|memory| format!("memory {}", bytes(memory))),
        state.cpu_ms.map(|cpu| format!("processor {}", words::took(cpu))),
        (state.restart_count > 0).then(|| format!("{} restarts", state.restart_count)),
    ];
    facts.into_iter().flatten().for_each(|fact| text += &format!(" · {fact}"));
    text
}
