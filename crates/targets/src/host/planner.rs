//! Makes plans for this machine: what a deployment, a rollback or a restart will do, step by step.

use super::action::{
    Action, Assembly, EnvFile, Holding, Hook, Links, Migration, Preflight, Retention, Settlement, Smoke, Verification,
    Work,
};
use super::current::live;
use super::env_text;
use super::executor::HostPlan;
use super::fitness::misfits;
use super::gate::Await;
use super::layout::Layout;
use super::left::Left;
use super::release::{Release, ReleaseState, linked};
use super::succession::Planned;
use super::unprobed::{unprobed, unprobed_release};
use crate::supervisor::ENV_BYTES_MAX;
use cutover_core::artifact::{Digest, Manifest};
use cutover_core::config::{CommandLine, HostConfig, OnLostCoordinator, ServiceConfig};
use cutover_core::id::{DeploymentId, EnvironmentName, ProjectName, ReleaseId, TargetName};
use cutover_core::plan::{Phase, Plan, PlanKind, Reversal, Step, StepId};
use cutover_core::rollout::Gate;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_disk::read_bounded;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What stays the same in every kind of plan.
pub struct Wish<'a> {
    /// This attempt.
    pub deployment: DeploymentId,
    /// The project.
    pub project: &'a ProjectName,
    /// Where it goes.
    pub environment: &'a EnvironmentName,
    /// The host, as the config calls it.
    pub host: &'a str,
    /// Who asks.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The environment that had verified the artifact, where it is promoted from one.
    pub promoted_from: Option<EnvironmentName>,
    /// When.
    pub made_at: Timestamp,
    /// The targets on this machine.
    pub targets: BTreeMap<TargetName, &'a HostConfig>,
    /// The environment's variables and secrets.
    pub variables: &'a BTreeMap<String, Secret>,
    /// Which of them are secret.
    pub secret_names: BTreeSet<String>,
    /// This host's part where it is one of several.
    pub part: Option<FleetPart>,
    /// What people should know of the host beforehand; the plan's first step says it.
    pub remarks: Vec<String>,
}

/// A host's part in a deployment to several.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FleetPart {
    /// All of them, as the config calls them.
    pub hosts: Vec<String>,
    /// Whether it runs the migrations for all of them.
    pub migrates: bool,
    /// What it does by itself when the coordinator is gone and it is healthy.
    pub on_lost: OnLostCoordinator,
}

/// What is to be brought live.
pub struct Subject<'a> {
    /// The artifact's id.
    pub artifact: Digest,
    /// What it holds.
    pub manifest: &'a Manifest,
    /// First line of the commit message.
    pub subject: &'a str,
    /// When the commit was made.
    pub committed_at: Option<Timestamp>,
}

/// Inodes that a release takes besides its files: links, `release.json`, directories' room.
const INODES_SPARE: u64 = 64;

/// The plan that brings an artifact live.
pub fn deploy(wish: &Wish<'_>, subject: &Subject<'_>) -> Result<HostPlan, Failure> {
    let release = new_release(wish, &subject.manifest.commit)?;
    let mut plan = Builder::new(wish, PlanKind::Deploy, release)?;
    plan.describe(subject);
    plan.remarks.extend(wish.targets.values().find_map(|config| known_bad(config, &subject.artifact)));
    plan.remarks.extend(unprobed_targets(wish));
    wish.targets.iter().for_each(|(target, config)| plan.will_run(target, config));
    for (target, config) in &wish.targets {
        plan.say_what_is_left(target, config);
    }
    for (target, config) in &wish.targets {
        plan.prepare(target, config, subject);
    }
    plan.gate(Gate::Switch);
    for (target, config) in &wish.targets {
        plan.go_live(target, config);
    }
    plan.gate(Gate::Settle);
    for (target, config) in &wish.targets {
        plan.settle(target, config, false);
        plan.after(target, config);
    }
    Ok(plan.finish())
}

/// The plan that brings an earlier release live again, on every target.
pub fn rollback(wish: &Wish<'_>, release: &ReleaseId) -> Result<HostPlan, Failure> {
    let mut plan = Builder::new(wish, PlanKind::Rollback, release.clone())?;
    for (target, config) in &wish.targets {
        check_kept(wish, target, config, release)?;
    }
    if let Some(config) = wish.targets.values().next() {
        let described = Release::read(&Layout::new(&config.deploy_to), release)?;
        plan.plan.forward = is_forward(config, release)?;
        plan.plan.artifact = described.artifact.to_string();
        (plan.plan.commit, plan.plan.dirty) = (described.commit, described.dirty);
        plan.plan.subject = described.subject;
        plan.remarks.extend(bad(described.state, release, &described.reason));
    }
    for (target, config) in &wish.targets {
        plan.will_run(target, &as_it_was(config, release)?);
    }
    for (target, config) in &wish.targets {
        let as_it_was = as_it_was(config, release)?;
        plan.remarks.extend(unprobed_release(target, config, &as_it_was, release));
        plan.say_what_is_left(target, &as_it_was);
        plan.stage_kept_env(target, config, release);
    }
    plan.gate(Gate::Switch);
    for (target, config) in &wish.targets {
        plan.go_live_again(target, &as_it_was(config, release)?, release);
    }
    plan.gate(Gate::Settle);
    for (target, config) in &wish.targets {
        plan.settle(target, config, !is_forward(config, release)?);
    }
    Ok(plan.finish())
}

/// Whether a target has this release, of this project.
fn check_kept(wish: &Wish<'_>, target: &TargetName, config: &HostConfig, release: &ReleaseId) -> Result<(), Failure> {
    let layout = Layout::new(&config.deploy_to);
    if !layout.release(release).exists() {
        let message =
            format!("{target} has no release {release}: it came into the config later, or left it for a while");
        return Err(Failure::new(message).hint(
            "`cutover deploy ENV --commit COMMIT` brings earlier code live on all targets; `cutover releases ENV` lists what each has",
        ));
    }
    Release::read(&layout, release)?.foreign(&layout, wish.project).map_or(Ok(()), Err)
}

/// Whether this release was made after the live one: going there undoes a rollback, and says nothing against what was live.
fn is_forward(config: &HostConfig, release: &ReleaseId) -> Result<bool, Failure> {
    let layout = Layout::new(&config.deploy_to);
    let Some(live) = linked(&layout.current())? else { return Ok(false) };
    // One that does not say its place is left as one that was taken back.
    Ok(Release::read(&layout, &live).is_ok_and(|live| live.seq < seq_of(&layout, release)))
}

fn seq_of(layout: &Layout, release: &ReleaseId) -> u64 {
    Release::read(layout, release).map_or(0, |release| release.seq)
}

/// The plan that restarts what is live and verifies it; without `restart` it only looks.
pub fn restart(wish: &Wish<'_>, release: &ReleaseId, restart: bool) -> Result<HostPlan, Failure> {
    let kind = if restart { PlanKind::Restart } else { PlanKind::Deploy };
    let mut plan = Builder::new(wish, kind, release.clone())?;
    if restart {
        plan.remarks.extend(unprobed_targets(wish));
        // On no host is anything restarted unless it can be on all of them.
        for (target, config) in &wish.targets {
            plan.push(target, &config.deploy_to, "preflight", Phase::Prepare, Work::Preflight(to_restart(config)));
        }
        plan.gate(Gate::Switch);
    }
    for (target, config) in &wish.targets {
        check_kept(wish, target, config, release)?;
        let described = Release::read(&Layout::new(&config.deploy_to), release)?;
        plan.plan.artifact = described.artifact.to_string();
        (plan.plan.commit, plan.plan.dirty) = (described.commit, described.dirty);
        plan.plan.subject = described.subject;
        plan.hold(target, config);
        if restart {
            plan.restart_and_verify(target, config);
        }
    }
    if restart {
        plan.gate(Gate::Settle);
    }
    Ok(plan.finish())
}

/// The live release, when it is exactly what a deployment of this artifact would make.
pub fn unchanged(wish: &Wish<'_>, artifact: &Digest) -> Option<ReleaseId> {
    let mut live = wish.targets.values().map(|config| unchanged_on(wish, config, artifact));
    let first = live.next()??;
    live.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

fn unchanged_on(wish: &Wish<'_>, config: &HostConfig, artifact: &Digest) -> Option<ReleaseId> {
    let layout = Layout::new(&config.deploy_to);
    let live = linked(&layout.current()).ok()??;
    let release = Release::read(&layout, &live).ok()?;
    let same =
        release.artifact == *artifact && release.config == Some(digest(config)) && release.state == ReleaseState::Good;
    (same && env_is_current(wish, config, &layout)).then_some(live)
}

/// Why a deployment makes a new release of an artifact that is live: one line for each target where that is so.
pub fn why_anew(wish: &Wish<'_>, artifact: &Digest) -> Vec<String> {
    let why = |(target, config): (&TargetName, &&HostConfig)| {
        let why = why_anew_on(wish, config, artifact)?;
        Some(format!("{target}: the same files are live; {why}"))
    };
    wish.targets.iter().filter_map(why).collect()
}

fn why_anew_on(wish: &Wish<'_>, config: &HostConfig, artifact: &Digest) -> Option<String> {
    let layout = Layout::new(&config.deploy_to);
    let release = Release::read(&layout, &linked(&layout.current()).ok()??).ok()?;
    if release.artifact != *artifact {
        return None;
    }
    let config_changed = (release.config != Some(digest(config))).then(|| config_changed(&release, config));
    let not_good = (release.state != ReleaseState::Good).then(|| "its release was not found good".to_owned());
    let env_changed = (!env_is_current(wish, config, &layout)).then(|| "variables changed".to_owned());
    let why: Vec<String> = [config_changed, not_good, env_changed].into_iter().flatten().collect();
    (!why.is_empty()).then(|| why.join("; "))
}

/// Which keys of the target's config are others than those that a release was made with. Older releases do not say theirs.
fn config_changed(release: &Release, config: &HostConfig) -> String {
    let (old, new) = (&release.config_keys, config_keys(config));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
    let changed: Vec<&str> = names.into_iter().filter(|name| old.get(*name) != new.get(*name)).collect();
    if old.is_empty() || changed.is_empty() {
        return "its config changed".to_owned();
    }
    format!("config changed: {}", changed.join(", "))
}

fn env_is_current(wish: &Wish<'_>, config: &HostConfig, layout: &Layout) -> bool {
    let Some(path) = config.env_file.as_ref().filter(|_| !wish.variables.is_empty()) else { return true };
    // One that is too large to be read is none that Cutover wrote.
    read_bounded(&layout.shared().join(path), ENV_BYTES_MAX)
        .is_ok_and(|bytes| bytes == env_text::render(wish.variables).expose().as_bytes())
}

/// The release that a rollback without a name goes to: the last good one of this project before the live one.
pub fn last_good(config: &HostConfig, project: &ProjectName) -> Result<ReleaseId, Failure> {
    last_good_before(config, project, linked(&Layout::new(&config.deploy_to).current())?.as_ref())
}

/// The same once this one is live.
pub fn last_good_before(
    config: &HostConfig,
    project: &ProjectName,
    live: Option<&ReleaseId>,
) -> Result<ReleaseId, Failure> {
    let layout = Layout::new(&config.deploy_to);
    let releases = Release::list(&layout);
    let live_seq = live
        .and_then(|live| releases.iter().find(|release| release.id == *live))
        .map_or(u64::MAX, |release| release.seq);
    let mut newest_foreign = None;
    for release in releases.iter().rev().filter(|it| it.seq < live_seq && it.state == ReleaseState::Good) {
        match release.foreign(&layout, project) {
            None => return Ok(release.id.clone()),
            Some(foreign) => drop(newest_foreign.get_or_insert(foreign)),
        }
    }
    Err(none_good(&layout, project, newest_foreign))
}

/// That there is nothing to go back to; what else is known of another project's release, where one is there.
fn none_good(layout: &Layout, project: &ProjectName, foreign: Option<Failure>) -> Failure {
    let place = format!("find a release to go back to in {}: no earlier release", layout.releases().display());
    match foreign {
        Some(foreign) => Failure { message: format!("{place} of {project} was good; {}", foreign.message), ..foreign },
        None => Failure::new(format!("{place} was good"))
            .hint("`cutover releases ENV` lists them; name one to go to it in spite of its state"),
    }
}

/// A release's own service and verification with everything else of the target's config.
fn as_it_was(config: &HostConfig, release: &ReleaseId) -> Result<HostConfig, Failure> {
    let described = Release::read(&Layout::new(&config.deploy_to), release)?;
    let verify = described.verify.unwrap_or_else(|| config.verify.clone());
    Ok(HostConfig { service: described.service, verify, ..config.clone() })
}

/// The newest release of this artifact that ever ran, where that turned out to be bad: one that never started says nothing of
/// its files, and one that was healthy since takes the word back.
fn known_bad(config: &HostConfig, artifact: &Digest) -> Option<String> {
    let releases = Release::list(&Layout::new(&config.deploy_to));
    let has_run = |release: &Release| release.artifact == *artifact && !release.never_started();
    let release = releases.into_iter().rev().find(has_run)?;
    Some(format!("the same files were live before: {}", bad(release.state, &release.id, &release.reason)?))
}

/// What is to be said of a release that is marked bad.
fn bad(state: ReleaseState, release: &ReleaseId, reason: &str) -> Option<String> {
    let is_bad = match state {
        ReleaseState::Bad => true,
        ReleaseState::Staged | ReleaseState::Live | ReleaseState::Good | ReleaseState::Unknown => false,
    };
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    is_bad.then(|| format!("release {release} is marked bad{reason}"))
}

/// What is not seen of each service that has no probe.
fn unprobed_targets(wish: &Wish<'_>) -> impl Iterator<Item = String> {
    let unprobed = wish.targets.iter().filter_map(|(target, config)| unprobed(target, config));
    unprobed.map(|(what, fix)| format!("{what}; {fix}"))
}

fn digest(config: &HostConfig) -> Digest {
    // A config is made of strings, numbers and string keys only, which JSON can always hold.
    Digest::of(&serde_json::to_vec(config).unwrap_or_default())
}

/// Digests of a config's keys, as `cutover.toml` calls them.
fn config_keys(config: &HostConfig) -> BTreeMap<String, Digest> {
    let Ok(serde_json::Value::Object(keys)) = serde_json::to_value(config) else { return BTreeMap::new() };
    let name = |key: &str| key.trim_end_matches("_bytes").to_owned();
    keys.iter().map(|(key, value)| (name(key), Digest::of(value.to_string().as_bytes()))).collect()
}

/// `20261121101500-a1b2c3d`, with a number behind it when that is taken.
fn new_release(wish: &Wish<'_>, commit: &str) -> Result<ReleaseId, Failure> {
    let short = if commit.is_empty() { "nocommit" } else { &commit[..commit.len().min(7)] };
    let base = format!("{}-{short}", wish.made_at.strftime("%Y%m%d%H%M%S"));
    let taken =
        |id: &ReleaseId| wish.targets.values().any(|config| Layout::new(&config.deploy_to).release(id).exists());
    let names = std::iter::once(base.clone()).chain((2u32..).map(|number| format!("{base}.{number}")));
    for name in names {
        let id = ReleaseId::new(name).map_err(|e| Failure::new(e.to_string()))?;
        if !taken(&id) {
            return Ok(id);
        }
    }
    Err(Failure::new("name the release: every number is taken"))
}

struct Builder<'a> {
    wish: &'a Wish<'a>,
    plan: HostPlan,
    /// What will run on this host: none of these is left behind, whichever target it comes from.
    services: Vec<Planned>,
    /// What the first step that can say it will say.
    remarks: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(wish: &'a Wish<'a>, kind: PlanKind, release: ReleaseId) -> Result<Self, Failure> {
        let mut original = None;
        for config in wish.targets.values() {
            let layout = Layout::new(&config.deploy_to);
            linked(&layout.current())?;
            original = original.or(live(&layout));
        }
        let plan = Plan {
            deployment: wish.deployment.clone(),
            kind,
            project: wish.project.clone(),
            environment: wish.environment.clone(),
            artifact: String::new(),
            commit: String::new(),
            subject: String::new(),
            committed_at: None,
            dirty: false,
            release,
            original,
            forward: false,
            starts: false,
            promoted_from: wish.promoted_from.clone(),
            by: wish.by.to_owned(),
            reason: wish.reason.to_owned(),
            made_at: wish.made_at,
            fleet: wish.part.as_ref().map(|part| part.hosts.clone()).unwrap_or_default(),
            steps: Vec::new(),
        };
        Ok(Self { wish, plan, services: Vec::new(), remarks: wish.remarks.clone() })
    }

    fn describe(&mut self, subject: &Subject<'_>) {
        self.plan.artifact = subject.artifact.to_string();
        self.plan.commit.clone_from(&subject.manifest.commit);
        subject.subject.clone_into(&mut self.plan.subject);
        self.plan.committed_at = subject.committed_at;
        self.plan.dirty = subject.manifest.dirty;
    }

    fn push(&mut self, target: &TargetName, deploy_to: &Path, name: &str, phase: Phase, work: Work) {
        let irreversible = matches!(&work, Work::Migrate(m) if m.migrate.down.is_none() && !m.migrate.compatible);
        let step = Step {
            // A plan has far fewer steps than a u32 counts.
            id: StepId(u32::try_from(self.plan.steps.len()).unwrap_or(u32::MAX)),
            target: target.clone(),
            host: self.wish.host.to_owned(),
            name: name.to_owned(),
            phase,
            switches: matches!(work, Work::Switch),
            reversal: if irreversible { Reversal::Irreversible } else { Reversal::Restorable },
            action: Action { deploy_to: deploy_to.to_owned(), work },
        };
        self.plan.steps.push(step);
    }

    /// Where several hosts wait for each other.
    fn gate(&mut self, gate: Gate) {
        let Some((part, (target, config))) = self.wish.part.as_ref().zip(self.wish.targets.first_key_value()) else {
            return;
        };
        let phase = match gate {
            Gate::Switch => Phase::Prepare,
            Gate::Settle => Phase::Live,
        };
        self.push(
            target,
            &config.deploy_to,
            gate.step_name(),
            phase,
            Work::Await(Await { gate, on_lost: part.on_lost }),
        );
    }

    fn prepare(&mut self, target: &TargetName, config: &HostConfig, subject: &Subject<'_>) {
        let remarks = std::mem::take(&mut self.remarks);
        let mut push = |name: &str, work: Work| self.push(target, &config.deploy_to, name, Phase::Prepare, work);
        push("preflight", Work::Preflight(Preflight { remarks, ..preflight(config, subject) }));
        push("receive", Work::Receive(subject.artifact));
        push("assemble", Work::Assemble(assembly(config, subject)));
        if let Some(links) = links(config) {
            push("link", Work::Link(links));
        }
        if self.writes_env(config) {
            let env = self.env(config);
            self.push(target, &config.deploy_to, "stage-env", Phase::Prepare, Work::StageEnv(env));
        }
        self.prepare_code(target, config);
    }

    fn prepare_code(&mut self, target: &TargetName, config: &HostConfig) {
        let mut push = |name: &str, work: Work| self.push(target, &config.deploy_to, name, Phase::Prepare, work);
        if let Some(python) = config.python.as_ref().filter(|python| python.requirements.is_some()) {
            push("dependencies", Work::Dependencies(python.clone()));
        }
        if let Some(hook) = &config.run.install {
            push("install", Work::Install(Hook { name: "install".to_owned(), hook: hook.clone() }));
        }
        if let Some(python) = config.python.as_ref().filter(|python| !python.smoke.is_empty()) {
            push("smoke", Work::Smoke(Smoke { python: python.clone() }));
        }
    }

    fn go_live(&mut self, target: &TargetName, config: &HostConfig) {
        self.hold(target, config);
        if self.writes_env(config) {
            let env = self.env(config);
            self.push(target, &config.deploy_to, "env", Phase::Live, Work::Env(env));
        }
        let migrates = self.wish.part.as_ref().is_none_or(|part| part.migrates);
        if let Some(migrate) = config.run.migrate.as_ref().filter(|_| migrates) {
            self.push(
                target,
                &config.deploy_to,
                "migrate",
                Phase::Live,
                Work::Migrate(Migration { migrate: migrate.clone() }),
            );
        }
        self.stop_what_is_left(target, config);
        self.push(target, &config.deploy_to, "switch", Phase::Live, Work::Switch);
        self.restart_and_verify(target, config);
    }

    fn go_live_again(&mut self, target: &TargetName, config: &HostConfig, release: &ReleaseId) {
        self.hold(target, config);
        if Layout::new(&config.deploy_to).release_env(release).exists() {
            let env = self.env(config);
            self.push(target, &config.deploy_to, "env", Phase::Live, Work::Env(env));
        }
        self.stop_what_is_left(target, config);
        self.push(target, &config.deploy_to, "switch", Phase::Live, Work::Switch);
        self.restart_and_verify(target, config);
    }

    fn stage_kept_env(&mut self, target: &TargetName, config: &HostConfig, release: &ReleaseId) {
        if Layout::new(&config.deploy_to).release_env(release).exists() {
            let env = self.env(config);
            self.push(target, &config.deploy_to, "stage-env", Phase::Prepare, Work::StageEnv(env));
        }
    }

    fn hold(&mut self, target: &TargetName, config: &HostConfig) {
        let verify = Some(config.verify.clone());
        let remarks = std::mem::take(&mut self.remarks);
        let holding = Holding { service: config.service.clone(), env: self.env(config), verify, remarks };
        self.push(target, &config.deploy_to, "hold", Phase::Live, Work::Hold(holding));
    }

    fn will_run(&mut self, target: &TargetName, config: &HostConfig) {
        let original = self.plan.original.as_ref();
        let service = config.service.as_ref();
        self.services.extend(service.map(|service| Planned::new(service, target, &config.deploy_to, original)));
    }

    fn say_what_is_left(&mut self, target: &TargetName, config: &HostConfig) {
        let left = Left::by(target, config, self.plan.original.as_ref(), &self.services);
        self.remarks.extend(left.map(|left| left.remark(target)));
    }

    /// What is left behind is stopped while its release is still there, where nothing takes over from it or its own commands stop it,
    /// which may come with that.
    fn stop_what_is_left(&mut self, target: &TargetName, config: &HostConfig) {
        let left = Left::by(target, config, self.plan.original.as_ref(), &self.services);
        if left.is_some_and(|left| left.ends_before()) {
            self.push(target, &config.deploy_to, "stop", Phase::Live, Work::Stop);
        }
    }

    fn restart_and_verify(&mut self, target: &TargetName, config: &HostConfig) {
        if let Some(service) = &config.service {
            self.push(target, &config.deploy_to, "restart", Phase::Live, Work::Restart(service.clone()));
        }
        let wanted = Verification { service: config.service.clone(), verify: config.verify.clone() };
        self.push(target, &config.deploy_to, "verify", Phase::Live, Work::Verify(wanted));
    }

    fn settle(&mut self, target: &TargetName, config: &HostConfig, leave_original_bad: bool) {
        let retention = Retention { releases: config.keep_releases, env: self.env(config) };
        let mut push = |name: &str, work: Work| self.push(target, &config.deploy_to, name, Phase::Settle, work);
        push("settle", Work::Settle(Settlement { leave_original_bad }));
        push("prune", Work::Prune(retention));
    }

    fn after(&mut self, target: &TargetName, config: &HostConfig) {
        if let Some(hook) = &config.run.after {
            self.push(
                target,
                &config.deploy_to,
                "after",
                Phase::Settle,
                Work::After(Hook { name: "after".to_owned(), hook: hook.clone() }),
            );
        }
    }

    /// Whether the env file is written: also an empty one where there is none, since a service cannot read what is not there. One
    /// that somebody else wrote stays as it is.
    fn writes_env(&self, config: &HostConfig) -> bool {
        let is_missing = |path: &PathBuf| !Layout::new(&config.deploy_to).shared().join(path).exists();
        !self.wish.variables.is_empty() || config.env_file.as_ref().is_some_and(is_missing)
    }

    fn env(&self, config: &HostConfig) -> EnvFile {
        EnvFile { path: config.env_file.clone(), secrets: self.wish.secret_names.clone(), backups: config.env_backups }
    }

    fn finish(self) -> HostPlan {
        self.plan
    }
}

fn preflight(config: &HostConfig, subject: &Subject<'_>) -> Preflight {
    Preflight {
        bytes: subject.manifest.unpacked_bytes(),
        inodes: subject.manifest.entries.len() as u64 * 2 + INODES_SPARE,
        bytes_free_min: config.disk_free_min_bytes,
        inodes_free_min: config.inodes_free_min,
        programs: programs(config),
        linked_files: config.linked_files.clone(),
        service: config.service.clone(),
        awaits_log: config.verify.awaits_log(),
        watches_log: !config.verify.fatal.is_empty(),
        misfits: misfits(config, subject.manifest),
        remarks: Vec::new(),
    }
}

/// What must be right before a service is restarted; nothing is placed, so no room is needed.
fn to_restart(config: &HostConfig) -> Preflight {
    let is_unit = matches!(config.service, Some(ServiceConfig::Systemd { .. }));
    Preflight {
        bytes: 0,
        inodes: 0,
        bytes_free_min: 0,
        inodes_free_min: 0,
        programs: is_unit.then(|| "systemctl".to_owned()).into_iter().collect(),
        linked_files: Vec::new(),
        service: config.service.clone(),
        awaits_log: config.verify.awaits_log(),
        watches_log: !config.verify.fatal.is_empty(),
        misfits: Vec::new(),
        remarks: Vec::new(),
    }
}

/// Programs that the steps will need, as far as the config names them.
fn programs(config: &HostConfig) -> BTreeSet<String> {
    let mut programs = BTreeSet::new();
    programs.extend(config.python.as_ref().map(|python| python.interpreter.clone()));
    if matches!(config.service, Some(ServiceConfig::Systemd { .. })) {
        programs.insert("systemctl".to_owned());
    }
    let hooks =
        [config.run.install.as_ref().map(|hook| &hook.command), config.run.migrate.as_ref().map(|migrate| &migrate.up)];
    programs.extend(hooks.into_iter().flatten().filter_map(|command| match command {
        // A path may come with the release, so only bare names can be looked for now.
        CommandLine::Argv(words) => words.first().filter(|word| !word.contains('/')).cloned(),
        CommandLine::Shell(_) => None,
    }));
    programs
}

fn assembly(config: &HostConfig, subject: &Subject<'_>) -> Assembly {
    let releases = Release::list(&Layout::new(&config.deploy_to));
    Assembly {
        artifact: subject.artifact,
        seq: releases.iter().map(|release| release.seq).max().unwrap_or(0) + 1,
        config: digest(config),
        config_keys: config_keys(config),
        service: config.service.clone(),
        verify: config.verify.clone(),
    }
}

fn links(config: &HostConfig) -> Option<Links> {
    let links = Links {
        dirs: config.linked_dirs.clone(),
        files: config.linked_files.clone(),
        env_file: config.env_file.clone(),
        config: config.config_links.clone(),
    };
    let none = links.dirs.is_empty() && links.files.is_empty() && links.env_file.is_none() && links.config.is_empty();
    (!none).then_some(links)
}
