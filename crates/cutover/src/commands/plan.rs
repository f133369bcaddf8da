//! `cutover plan`, and the rehearsal of `cutover deploy --dry-run`.

use super::deploy::{WhatArgs, find_artifact, subject};
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::deployments::{Session, asker, audit, deployment_id, live_variables};
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::Artifact;
use cutover_core::artifact::{MANIFEST_BYTES_MAX, Manifest, ManifestEntry, RelativePath};
use cutover_core::id::ReleaseId;
use cutover_core::plan::{Phase, Reversal};
use cutover_core::target::Failure;
use cutover_disk::read_bounded;
use cutover_targets::host::planner::{self, Wish};
use cutover_targets::host::{HostPlan, Layout, Release, check_preflight, linked};
use serde::Serialize;
use std::collections::BTreeMap;

/// Show what a deployment would do and what would change; touch nothing
///
/// Lists the steps in their order and draws the line from which on traffic is concerned. A step that
/// cannot be taken back (a migration without `down`) is marked: from there on a failure needs a
/// person. Files are compared with the live release, variables by name only.
///
/// Examples:
///   cutover plan production                   # HEAD
///   cutover plan production --commit v1.4.0   # a tag, a branch or a hash
///   cutover plan production --json            # the same for machines
///
/// With --json: {"v":1,"release":…,"original":…,"steps":[…],"files":{"added":…},"unchanged":…}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PlanArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(flatten)]
    what: WhatArgs,
}

impl PlanArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let session = Session::open(context, &self.environment)?;
        session.refuse_elsewhere()?;
        let artifact = find_artifact(context, &self.what)?;
        Preview::of(context, &session, &artifact)?.0.tell(context)?;
        warn(context, &session, &artifact)?;
        Ok(Exit::Done)
    }
}

/// Says where secrets lie open.
fn warn(context: &Context, session: &Session<'_>, artifact: &Artifact) -> Result<(), CommandError> {
    let blobs = context.artifacts()?.blobs()?;
    let mut warnings = audit::artifact_warnings(session.place(), &session.variables, &artifact.manifest, &blobs);
    warnings.extend(audit::unignored(session.place(), &artifact.manifest, &context.project()?.dir));
    warnings.iter().for_each(|warning| context.output.warn(warning));
    Ok(())
}

/// Shows the plan and checks everything that can be checked without changing anything.
pub(super) fn rehearse(context: &Context, session: &Session<'_>, artifact: &Artifact) -> Result<Exit, CommandError> {
    session.refuse_elsewhere()?;
    let (preview, plan) = Preview::of(context, session, artifact)?;
    preview.tell(context)?;
    warn(context, session, artifact)?;
    if preview.unchanged {
        // Nothing would be put anywhere, so there is nothing to look for beforehand.
        return Ok(Exit::Done);
    }
    check_preflight(&plan, session.supervisor())?;
    if !context.output.json {
        context.output.text("preflight passed; nothing was changed\n")?;
    }
    Ok(Exit::Done)
}

/// What a deployment would do.
#[derive(Debug, Serialize)]
struct Preview {
    v: u32,
    /// Whether exactly this is live already.
    unchanged: bool,
    release: ReleaseId,
    original: Option<ReleaseId>,
    artifact: String,
    commit: String,
    steps: Vec<StepPreview>,
    files: BTreeMap<String, FileChanges>,
    variables: BTreeMap<String, VariableChanges>,
}

/// One step.
#[derive(Debug, Serialize)]
struct StepPreview {
    target: String,
    host: String,
    name: String,
    phase: Phase,
    switches: bool,
    irreversible: bool,
}

/// How the files differ from the live release.
#[derive(Debug, Default, Serialize)]
struct FileChanges {
    added: Vec<RelativePath>,
    changed: Vec<RelativePath>,
    removed: Vec<RelativePath>,
}

/// How the env file differs from the live one, by names only.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct VariableChanges {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Preview {
    fn of(context: &Context, session: &Session<'_>, artifact: &Artifact) -> Result<(Self, HostPlan), CommandError> {
        let now = context.now();
        let by = asker();
        let wish = session.wish(deployment_id(now)?, now, &by);
        let live = planner::unchanged(&wish, &artifact.id);
        let plan = match &live {
            Some(live) => planner::restart(&wish, live, false)?,
            None => planner::deploy(&wish, &subject(artifact))?,
        };
        Ok((Self::from_plan(&plan, &wish, artifact, live.is_some())?, plan))
    }

    fn from_plan(plan: &HostPlan, wish: &Wish<'_>, artifact: &Artifact, unchanged: bool) -> Result<Self, CommandError> {
        let mut preview = Self {
            v: 1,
            unchanged,
            release: plan.release.clone(),
            original: plan.original.clone(),
            artifact: artifact.id.to_string(),
            commit: artifact.record.commit.clone(),
            steps: steps(plan),
            files: BTreeMap::new(),
            variables: BTreeMap::new(),
        };
        for (target, config) in &wish.targets {
            let layout = Layout::new(&config.deploy_to);
            preview.files.insert(target.to_string(), FileChanges::since(&live_manifest(&layout)?, &artifact.manifest));
            preview.variables.insert(target.to_string(), VariableChanges::of(config, wish.variables)?);
        }
        Ok(preview)
    }

    fn tell(&self, context: &Context) -> Result<(), CommandError> {
        if context.output.json { context.output.json(self) } else { context.output.text(&self.text(context)) }
    }

    fn text(&self, context: &Context) -> String {
        if self.unchanged {
            return format!(
                "nothing changed: {} is live with the same artifact, configuration and variables\n",
                self.release
            );
        }
        let from = self
            .original
            .as_ref()
            .map_or_else(|| "nothing is live yet".to_owned(), |original| format!("{original} is live"));
        let mut text = format!("would make {} live ({}); {from}\n\n", self.release, words::commit(&self.commit, false));
        text += &self.step_table(context);
        for (target, changes) in &self.files {
            text += &format!("\n{target}: {}\n", changes.words());
        }
        for (target, changes) in self.variables.iter().filter(|(_, changes)| **changes != VariableChanges::default()) {
            text += &format!("{target}: variables {}\n", changes.words());
        }
        text
    }

    fn step_table(&self, context: &Context) -> String {
        let mut table = Table::new(&["step", "target", "what a failure means"]);
        for step in &self.steps {
            table.row([step.name.clone(), step.target.clone(), step.meaning().to_owned()]);
        }
        table.render(context.output.width)
    }
}

impl StepPreview {
    fn meaning(&self) -> &'static str {
        match (self.phase, self.irreversible) {
            (_, true) => "NO WAY BACK from here on: a failure needs a person",
            (Phase::Prepare, false) => "nothing that runs is touched",
            (Phase::Live, false) if self.switches => "taken back by itself; traffic from here on",
            (Phase::Live, false) => "taken back by itself",
            (Phase::Settle, false) => "reported; the release stays live",
        }
    }
}

fn steps(plan: &HostPlan) -> Vec<StepPreview> {
    let preview = |step: &cutover_core::plan::Step<_>| StepPreview {
        target: step.target.to_string(),
        host: step.host.clone(),
        name: step.name.clone(),
        phase: step.phase,
        switches: step.switches,
        irreversible: step.reversal == Reversal::Irreversible,
    };
    plan.steps.iter().map(preview).collect()
}

/// What the live release was assembled from; empty when nothing is live.
fn live_manifest(layout: &Layout) -> Result<BTreeMap<RelativePath, ManifestEntry>, CommandError> {
    let Some(live) = linked(&layout.current())? else { return Ok(BTreeMap::new()) };
    let release = Release::read(layout, &live)?;
    // Without the manifest everything counts as new, which is the careful answer.
    let text = read_bounded(&layout.manifest(&release.artifact), MANIFEST_BYTES_MAX).unwrap_or_default();
    Ok(serde_json::from_slice::<Manifest>(&text).map(|manifest| manifest.entries).unwrap_or_default())
}

impl FileChanges {
    fn since(old: &BTreeMap<RelativePath, ManifestEntry>, new: &Manifest) -> Self {
        let mut changes = Self::default();
        for (path, entry) in &new.entries {
            match old.get(path) {
                None => changes.added.push(path.clone()),
                Some(before) if before != entry => changes.changed.push(path.clone()),
                Some(_) => {}
            }
        }
        changes.removed.extend(old.keys().filter(|path| !new.entries.contains_key(*path)).cloned());
        changes
    }

    fn words(&self) -> String {
        format!("{} files added, {} changed, {} removed", self.added.len(), self.changed.len(), self.removed.len())
    }
}

impl VariableChanges {
    /// Compares what would be written with what is live.
    pub(super) fn of(
        config: &cutover_core::config::HostConfig,
        wanted: &BTreeMap<String, cutover_core::secret::Secret>,
    ) -> Result<Self, Failure> {
        let mut changes = Self::default();
        if config.env_file.is_none() || wanted.is_empty() {
            return Ok(changes);
        }
        let live = live_variables(config)?;
        for (name, value) in wanted {
            match live.get(name) {
                None => changes.added.push(name.clone()),
                Some(before) if before != value => changes.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        changes.removed.extend(live.into_keys().filter(|name| !wanted.contains_key(name)));
        Ok(changes)
    }

    /// In words: names, never values.
    pub(super) fn words(&self) -> String {
        let part = |verb: &str, names: &[String]| (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")));
        let parts: Vec<String> =
            [part("add", &self.added), part("change", &self.changed), part("remove", &self.removed)]
                .into_iter()
                .flatten()
                .collect();
        if parts.is_empty() { "unchanged".to_owned() } else { parts.join("; ") }
    }
}
