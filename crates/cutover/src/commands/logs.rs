//! `cutover logs`

use super::table::Table;
use super::words;
use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_core::event::Event;
use cutover_core::journal::{Entry, Record};
use cutover_core::plan::{Plan, StepId};
use cutover_core::record::{DeploymentRecord, Incident, ProbeRecord};
use cutover_core::store::{Scope, Store};
use cutover_core::target::{Failure, tail};
use cutover_reporters::{Manner, Plain, Reporter, log_text, one_line};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a kept log's end is shown, in bytes.
const LOG_BYTES_MAX: u64 = 64 << 10;

/// Tell the whole story of one deployment.
///
/// Who asked for it and why, each step with its time and what it did, what failed and what the log
/// said, what was taken back, every probe, and where the kept log files lie. DEPLOYMENT is an id
/// from `cutover history`, or a beginning of one that no other has.
/// When it was taken back from traffic, --incident prints a report to be passed on.
///
/// With --json: {"v":1,"deployment":{…},"entries":[…],"incident":…}: the summary, the journal as recorded,
/// and the incident that it opened.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover logs 20261121T101500-7f3a5c09
  cutover logs 20261121T1015 --step verify   one step, with the end of its log file
  cutover logs 20261121T1015 --json | jq '.entries[].entry'")]
pub(crate) struct LogsArgs {
    /// The deployment, or the beginning of its id
    deployment: String,

    /// Only the step with this name, with the end of its log file
    #[arg(long, value_name = "NAME")]
    step: Option<String>,

    /// Only the report of the incident that it opened, as Markdown
    #[arg(long, conflicts_with = "step")]
    incident: bool,
}

/// What is told.
struct Story {
    record: DeploymentRecord,
    plan: Plan,
    entries: Vec<Record>,
    incident: Option<Incident>,
}

impl LogsArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let mut story = self.read(context)?;
        if let Some(step) = &self.step {
            story.narrow(step)?;
        }
        if context.output.json {
            let Story { record, entries, incident, .. } = &story;
            context
                .output
                .json(&serde_json::json!({ "v": 1, "deployment": record, "entries": entries, "incident": incident }))?;
        } else if self.incident {
            context.output.text(&story.report()?)?;
        } else {
            let whole_logs = self.step.is_some() || context.output.verbose;
            context.output.text(&story.text(context, whole_logs)?)?;
        }
        Ok(Exit::Done)
    }

    fn read(&self, context: &Context) -> Result<Story, CommandError> {
        let everywhere = context.scope(None)?;
        context.recall(|store| {
            let record = store.deployment(&self.deployment)?;
            let plan = store.plan(&record.deployment)?;
            let entries = store.entries(&record.deployment)?;
            // It was opened when the deployment failed, so not before it began.
            let scope = Scope { environment: Some(record.environment.clone()), ..everywhere.clone() };
            let incidents = store.incidents(&scope, Some(record.began_at))?;
            let incident = incidents.into_iter().find(|incident| incident.deployment == record.deployment);
            Ok(Story { record, plan, entries, incident })
        })
    }
}

fn incident_line(incident: &Incident) -> String {
    let closed =
        incident.closed_at.map_or_else(|| "still open".to_owned(), |at| format!("closed {}", words::moment(at)));
    let id = &incident.deployment;
    format!(
        "\nincident: opened {}, {closed}; `cutover logs {id} --incident` is its report\n",
        words::moment(incident.opened_at)
    )
}

impl Story {
    /// Keeps what belongs to the steps with this name.
    fn narrow(&mut self, name: &str) -> Result<(), CommandError> {
        let ids: BTreeSet<StepId> =
            self.plan.steps.iter().filter(|step| step.name == name).map(|step| step.id).collect();
        if ids.is_empty() {
            let names: BTreeSet<&str> = self.plan.steps.iter().map(|step| step.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            return Err(CommandError::new(ErrorKind::Usage, format!("no step {name:?} in {}", self.record.deployment))
                .hint(format!("its steps are: {}", names.join(", "))));
        }
        self.entries.retain(|record| step(&record.entry).is_some_and(|step| ids.contains(&step)));
        self.record.steps.retain(|step| ids.contains(&step.id));
        self.record.probes.retain(|probe| ids.contains(&probe.step));
        Ok(())
    }

    fn text(&self, context: &Context, whole_logs: bool) -> Result<String, CommandError> {
        let mut text = self.head(context);
        text += &self.narrative(context)?;
        text += &probes(&self.record.probes);
        text.extend(self.incident.as_ref().map(incident_line));
        if whole_logs {
            text.extend(self.failures().map(|(step, failure)| self.log(step, failure)));
        }
        Ok(text)
    }

    fn report(&self) -> Result<String, CommandError> {
        let none = || CommandError::new(ErrorKind::Usage, format!("{} opened no incident", self.record.deployment));
        Ok(log_text(&self.incident.as_ref().ok_or_else(none)?.report) + "\n")
    }

    fn head(&self, context: &Context) -> String {
        let DeploymentRecord { deployment, began_at, by, reason, outcome, artifact, .. } = &self.record;
        let paint = context.output.paint();
        let ended = if self.record.divided().is_empty() { words::outcome(*outcome) } else { words::DIVIDED };
        let mut text = format!("{} {}\n", paint.strong(format!("deployment {deployment}")), ended);
        text += &format!(
            "  {} by {} at {}\n",
            words::kind(self.record.kind, self.record.starts),
            one_line(by),
            words::moment(*began_at)
        );
        if !reason.is_empty() {
            text += &format!("  reason: {}\n", one_line(reason));
        }
        text + &format!("  artifact {}\n\n", one_line(artifact))
    }

    /// Tells the journal again, as it was told when it was written.
    fn narrative(&self, context: &Context) -> Result<String, CommandError> {
        let mut out = Vec::new();
        let manner = Manner { retold: true, ..context.output.manner(BTreeMap::new()) };
        let mut reporter = Plain::new(&mut out, manner);
        for event in self.events() {
            reporter.tell(&event).map_err(|error| CommandError::bug(format!("a buffer cannot be written: {error}")))?;
        }
        let mut text = String::from_utf8_lossy(&out).into_owned();
        if self.record.outcome.is_none() {
            text += &format!("… unfinished; cutover resume {} takes it up\n", self.record.environment);
        }
        Ok(text)
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        let began = Event::Began { plan: Box::new(self.plan.clone()), resumed: false, at: self.record.began_at };
        let recorded = self.entries.iter().map(|record| Event::Recorded { record: record.clone() });
        let ended = self.record.outcome.zip(self.record.ended_at).map(|(outcome, at)| Event::Ended {
            outcome,
            at,
            elapsed_ms: self.record.elapsed_ms,
        });
        [began].into_iter().chain(recorded).chain(ended)
    }

    fn failures(&self) -> impl Iterator<Item = (StepId, &Failure)> {
        self.entries.iter().filter_map(|record| match &record.entry {
            Entry::Failed { step, error } | Entry::RestoreFailed { step, error } => Some((*step, error)),
            Entry::Started { .. }
            | Entry::Applied { .. }
            | Entry::Cancelled { .. }
            | Entry::Restored { .. }
            | Entry::Resumed { .. } => None,
        })
    }

    /// The end of a failure's log file, when it lies on this machine.
    fn log(&self, id: StepId, failure: &Failure) -> String {
        let (Some(step), Some(path)) = (self.plan.step(id), &failure.log) else { return String::new() };
        if step.host != "localhost" {
            return format!("\nlog of {} on {}: {path}\n", step.name, step.host);
        }
        let text = read_end(Path::new(path)).unwrap_or_else(|error| format!("cannot be read: {error}"));
        let lines = text.lines().map(|line| format!("    | {}\n", one_line(line)));
        format!("\nlog of {}: {path}\n{}", step.name, lines.collect::<String>())
    }
}

fn step(entry: &Entry) -> Option<StepId> {
    match entry {
        Entry::Started { step, .. }
        | Entry::Applied { step, .. }
        | Entry::Failed { step, .. }
        | Entry::Restored { step, .. }
        | Entry::RestoreFailed { step, .. } => Some(*step),
        Entry::Cancelled { .. } | Entry::Resumed { .. } => None,
    }
}

fn probes(probes: &[ProbeRecord]) -> String {
    if probes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["time", "host", "probe", "where", "healthy", "code", "ms", "attempts", "said"]);
    for ProbeRecord { host, result, .. } in probes {
        let said = if result.error.is_empty() { &result.body } else { &result.error };
        let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
        table.row([
            result.at.strftime("%H:%M:%S").to_string(),
            host.clone(),
            one_line(&result.name),
            one_line(&result.endpoint),
            if result.healthy { "yes" } else { "NO" }.to_owned(),
            or_dash(result.code.map(|code| code.to_string())),
            or_dash(result.latency_ms.map(|ms| ms.to_string())),
            result.attempt_count.to_string(),
            one_line(said),
        ]);
    }
    format!("\nprobes\n{}", table.render(None))
}

/// The file's last lines, at most [`LOG_BYTES_MAX`].
fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX + 1)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(tail(&text, usize::try_from(LOG_BYTES_MAX).unwrap_or(usize::MAX)).to_owned())
}
