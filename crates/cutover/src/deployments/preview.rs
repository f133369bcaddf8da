//! What a deployment would do on this machine, and what would change there. Nothing is touched.

use super::conductor::open_service;
use super::draft::Draft;
use super::in_the_way::in_the_way;
use super::live_env::live_variables;
use super::variables::Variables;
use crate::error::CommandError;
use cutover_core::artifact::{MANIFEST_BYTES_MAX, Manifest, ManifestEntry, RelativePath};
use cutover_core::config::HostConfig;
use cutover_core::id::{ReleaseId, TargetName};
use cutover_core::plan::{Phase, PlanKind, Reversal, Step};
use cutover_core::target::Failure;
use cutover_disk::read_bounded;
use cutover_targets::doctor::{Finding, Verdict, glance};
use cutover_targets::host::{HostPlan, Layout, Release, check_preflight, linked};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A plan that was looked at, and whether it could be carried out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Previewed {
    /// What would be done.
    pub(crate) preview: Preview,
    /// Why the deployment would be refused before it changed anything, where that was asked.
    pub(crate) misfit: Option<CommandError>,
}

/// What a deployment would do on one host. Of variables it has the names only.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preview {
    /// Whether exactly this is live already.
    pub(crate) unchanged: bool,
    /// Whether it would be restarted all the same.
    pub(crate) restarts: bool,
    /// The release that would be live.
    pub(crate) release: ReleaseId,
    /// The one that is.
    pub(crate) original: Option<ReleaseId>,
    /// The artifact's id.
    pub(crate) artifact: String,
    /// The commit that it was made of.
    pub(crate) commit: String,
    /// Whether uncommitted changes are in it.
    #[serde(default)]
    pub(crate) dirty: bool,
    /// Why a new release is made where the same files are live already.
    #[serde(default)]
    pub(crate) why: Vec<String>,
    /// What people should know of the host.
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
    /// What would be done, in order.
    pub(crate) steps: Vec<StepPreview>,
    /// How the files of each target differ from the live release's.
    pub(crate) files: BTreeMap<TargetName, FileChanges>,
    /// How each target's env file differs from the live one.
    pub(crate) variables: BTreeMap<TargetName, VariableChanges>,
}

/// One step.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepPreview {
    /// The target.
    pub(crate) target: TargetName,
    /// What it is called.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// Whether traffic goes to the new release from here on.
    pub(crate) switches: bool,
    /// Whether it cannot be taken back.
    pub(crate) irreversible: bool,
}

/// How something differs from what is live.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes<K> {
    /// What is new.
    pub(crate) added: Vec<K>,
    /// What is different.
    pub(crate) changed: Vec<K>,
    /// What would not be there any more.
    pub(crate) removed: Vec<K>,
    /// What is there and will be, and of which nobody here knows whether it is different.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<K>,
}

/// How files differ.
pub(crate) type FileChanges = Changes<RelativePath>;
/// How an env file differs from the live one, by names only.
pub(crate) type VariableChanges = Changes<String>;

impl Previewed {
    /// Looks at what an order would do; to `rehearse` is to check besides all that can be checked beforehand.
    pub(super) fn of(draft: &Draft<'_>, manifest: &Manifest, rehearse: bool) -> Result<Self, CommandError> {
        let assumed = assumed(draft)?;
        let plan = Draft { variables: &assumed, ..*draft }.plan(Some(manifest))?;
        let mut preview = Preview::of(&plan, draft, manifest)?;
        // Where nothing is put anywhere there is nothing to look for beforehand.
        let checked = if rehearse && !preview.unchanged { check_preflight(&plan, draft.supervisor) } else { Ok(()) };
        let misfit = checked.err();
        if !preview.is_nothing() {
            let refused = misfit.as_ref().map_or("", |misfit| &misfit.message);
            preview.remarks.extend(obstacles(draft, rehearse.then_some(refused)));
        }
        Ok(Self { preview, misfit: misfit.map(CommandError::from) })
    }
}

/// The variables with those that nobody here knows as they are where they are live: what else would change is told then.
fn assumed(draft: &Draft<'_>) -> Result<Variables, CommandError> {
    let mut assumed = draft.variables.assuming(&BTreeMap::new());
    for config in draft.order.targets.values() {
        if assumed.lacking().next().is_some() {
            assumed = assumed.assuming(&live_variables(config)?);
        }
    }
    Ok(assumed)
}

impl Preview {
    fn of(plan: &HostPlan, draft: &Draft<'_>, manifest: &Manifest) -> Result<Self, CommandError> {
        let mut files = BTreeMap::new();
        for (target, config) in &draft.order.targets {
            let live = live_manifest(&Layout::new(&config.deploy_to))?;
            files.insert(target.clone(), FileChanges::between(&live, &manifest.entries));
        }
        Ok(Self {
            unchanged: plan.original.as_ref() == Some(&plan.release),
            restarts: plan.kind == PlanKind::Restart,
            release: plan.release.clone(),
            original: plan.original.clone(),
            artifact: plan.artifact.clone(),
            commit: plan.commit.clone(),
            dirty: plan.dirty,
            why: Draft { variables: &assumed(draft)?, ..*draft }.why_anew(),
            remarks: remarks(draft, plan),
            steps: plan.steps.iter().map(StepPreview::of).collect(),
            files,
            variables: compare_variables(&draft.order.targets, draft.variables)?,
        })
    }

    /// Whether all stays as it is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.unchanged && !self.restarts
    }
}

/// What people should know beforehand, each once: targets can have one journal.
fn remarks(draft: &Draft<'_>, plan: &HostPlan) -> Vec<String> {
    let (place, now) = (draft.order.place(), Timestamp::now());
    let in_the_way = place.layouts().flat_map(|(_, _, layout)| in_the_way(&layout, &draft.order.environment, now));
    let mut remarks = Vec::new();
    let planned = plan.steps.iter().flat_map(|step| step.action.work.remarks().iter().cloned());
    for remark in in_the_way.chain(planned) {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    remarks
}

/// What the doctor would say of the place as it is, as far as that costs no more than a look. What preflight refuses is told by
/// who rehearses it, in what is `refused`.
fn obstacles(draft: &Draft<'_>, refused: Option<&str>) -> Vec<String> {
    let (place, environment) = (draft.order.place(), draft.order.environment.as_str());
    let found = place.layouts().flat_map(|(name, config, layout)| {
        let service = config.service.as_ref();
        let service =
            service.map(|service| open_service(draft.variables, draft.supervisor, name, (config, service), &layout));
        glance(&draft.order.project, (name, config), &layout, service.as_deref())
    });
    let is_told = |finding: &Finding| match refused {
        None => true,
        Some(_) if finding.verdict == Verdict::Warning => true,
        Some(refused) => finding.area == "port" && !refused.contains(&finding.what),
    };
    let told = found.filter(is_told).map(|Finding { what, fix, verdict, .. }| {
        let fix = fix.map_or_else(String::new, |fix| format!("; {}", fix.replace("ENV", environment)));
        let what = if verdict == Verdict::Failed { format!("a deployment would fail: {what}") } else { what };
        what + &fix
    });
    told.collect()
}

impl StepPreview {
    fn of<A>(step: &Step<A>) -> Self {
        Self {
            target: step.target.clone(),
            name: step.name.clone(),
            phase: step.phase,
            switches: step.switches,
            irreversible: step.reversal == Reversal::Irreversible,
        }
    }
}

/// How the env files that would be written differ from the live ones.
pub(super) fn compare_variables<'t>(
    targets: impl IntoIterator<Item = (&'t TargetName, &'t HostConfig)>,
    variables: &Variables,
) -> Result<BTreeMap<TargetName, VariableChanges>, CommandError> {
    let compare = |(target, config): (&TargetName, &HostConfig)| {
        Ok((target.clone(), VariableChanges::since_live(config, variables)?))
    };
    targets.into_iter().map(compare).collect()
}

/// What the live release was assembled from; empty when nothing is live.
fn live_manifest(layout: &Layout) -> Result<BTreeMap<RelativePath, ManifestEntry>, CommandError> {
    let Some(live) = linked(&layout.current())? else { return Ok(BTreeMap::new()) };
    // Without either everything counts as new, which is the careful answer.
    let Ok(release) = Release::read(layout, &live) else { return Ok(BTreeMap::new()) };
    let text = read_bounded(&layout.manifest(&release.artifact), MANIFEST_BYTES_MAX).unwrap_or_default();
    Ok(serde_json::from_slice::<Manifest>(&text).map(|manifest| manifest.entries).unwrap_or_default())
}

impl<K: Ord + Clone> Changes<K> {
    fn between<V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        let mut changes = Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new(), unknown: Vec::new() };
        for (name, value) in new {
            match old.get(name) {
                None => changes.added.push(name.clone()),
                Some(before) if before != value => changes.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        changes.removed.extend(old.keys().filter(|name| !new.contains_key(*name)).cloned());
        changes
    }
}

impl VariableChanges {
    fn since_live(config: &HostConfig, variables: &Variables) -> Result<Self, Failure> {
        if config.env_file.is_none() || (variables.values.is_empty() && variables.lacking().next().is_none()) {
            return Ok(Self::default());
        }
        let live = live_variables(config)?;
        let mut changes = Self::between(&live, &variables.values);
        for name in variables.lacking() {
            let is_there = live.contains_key(name);
            if is_there { &mut changes.unknown } else { &mut changes.added }.push(name.clone());
        }
        changes.removed.retain(|name| !changes.unknown.contains(name));
        changes.added.sort();
        Ok(changes)
    }
}
