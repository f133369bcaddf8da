//! The pipeline for GitLab CI: the same jobs, in one file.
//!
//! GitLab gives variables of its settings to jobs by itself, so secrets are not wired here, only seen to be there.

use crate::github::{unbraced, variables};
use crate::names::job_names;
use crate::yaml::{Yaml, document};
use crate::{File, Project, Rendered, scripts, shares_in_own_release, store_variables, warnings};
use cutover_core::config::{CacheConfig, Config, EnvironmentConfig};
use cutover_core::id::EnvironmentName;
use std::collections::BTreeSet;

pub(crate) const PATH: &str = ".gitlab-ci.yml";

/// The most caches that a job may have, and the most files that the key of one may be made of.
/// <https://docs.gitlab.com/ci/yaml/#cache>
const CACHE_COUNT_MAX: usize = 4;
const KEY_FILE_COUNT_MAX: usize = 2;

const PULL_REQUEST: &str = r#"$CI_PIPELINE_SOURCE == "merge_request_event""#;
const OWN_PULL_REQUEST: &str = concat!(
    r#"$CI_PIPELINE_SOURCE == "merge_request_event""#,
    " && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"
);
const BY_HAND: &str = r#"$CI_PIPELINE_SOURCE == "web""#;
const ARTIFACT: &str = "cutover-artifact";

/// The record is copied into the project's directory afterwards, where it would count as a part of the change before.
const CHECK: &str = r#"record=$(mktemp)
status=0
cutover check ${CUTOVER_CI_ALL:+--all} --json > "$record" || status=$?
cp "$record" "$CI_PROJECT_DIR/cutover-checks.json"
exit "$status"
"#;
const BUILD: &str = r#"mkdir -p "$CI_PROJECT_DIR/cutover-artifact"
cutover build --output "$CI_PROJECT_DIR/cutover-artifact/artifact.cutover"
"#;
/// Like [`BUILD`], with what the checks said.
const BUILD_JUDGED: &str = r#"mkdir -p "$CI_PROJECT_DIR/cutover-artifact"
cutover build --checks "$CI_PROJECT_DIR/cutover-checks.json" \
  --output "$CI_PROJECT_DIR/cutover-artifact/artifact.cutover"
"#;
const DEPLOY: &str = r#"cutover deploy --artifact "$CI_PROJECT_DIR/cutover-artifact/artifact.cutover" \
  --wait="$CUTOVER_CI_WAIT" --reason="$CI_PIPELINE_URL" -- "$CI_ENVIRONMENT_NAME"
"#;
const ROLLBACK: &str = r#"cutover rollback --wait="$CUTOVER_CI_WAIT" --reason="${REASON:-$CI_PIPELINE_URL}" -- \
  "$CI_ENVIRONMENT_NAME" ${RELEASE:+"$RELEASE"}
"#;

/// Makes the pipeline that a config asks for.
pub fn gitlab(project: &Project<'_>) -> Rendered {
    let pipeline = Pipeline { project, config: project.config, deploys: places(project.config) };
    let file = File { path: PATH.to_owned(), text: format!("{}\n{}", project.mark(), document(&pipeline.yaml())) };
    let mut warnings = warnings::common(project.config);
    warnings.extend(pipeline.warnings());
    let has_jobs = !(pipeline.config.checks.is_empty() && pipeline.deploys.is_empty());
    Rendered { files: has_jobs.then_some(file).into_iter().collect(), warnings }
}

/// An environment that is deployed to, and the name of its job.
struct Place<'a> {
    name: &'a EnvironmentName,
    environment: &'a EnvironmentConfig,
    job: String,
}

fn places(config: &Config) -> Vec<Place<'_>> {
    let deployable = || config.environments.iter().filter(|(_, environment)| !environment.targets.is_empty());
    let jobs = job_names("deploy", deployable().map(|(name, _)| name.as_str()));
    deployable().zip(jobs).map(|((name, environment), (_, job))| Place { name, environment, job }).collect()
}

struct Pipeline<'a> {
    project: &'a Project<'a>,
    config: &'a Config,
    deploys: Vec<Place<'a>>,
}

fn rule(condition: &str) -> Yaml {
    Yaml::table([("if", Yaml::text(condition))])
}

fn manual(condition: &str) -> Yaml {
    Yaml::table([("if", Yaml::text(condition)), ("when", Yaml::text("manual"))])
}

/// A push to this branch: a schedule or another pipeline that runs there is none.
fn pushed(branch: &str) -> String {
    format!("{} && $CI_PIPELINE_SOURCE == \"push\"", on_branch(branch))
}

/// A condition that is true on this branch; no branch has both kinds of quotes in its name and is meant well.
fn on_branch(branch: &str) -> String {
    let quote = if branch.contains('"') { '\'' } else { '"' };
    format!("$CI_COMMIT_BRANCH == {quote}{branch}{quote}")
}

impl Pipeline<'_> {
    fn yaml(&self) -> Yaml {
        let mut entries = vec![
            ("stages".to_owned(), Yaml::texts(["checks", "build", "deploy"])),
            ("workflow".to_owned(), Yaml::table([("rules", Yaml::List(self.reasons()))])),
            ("variables".to_owned(), self.variables()),
            ("default".to_owned(), self.defaults()),
        ];
        entries.extend((!self.config.checks.is_empty()).then(|| ("checks".to_owned(), self.checks())));
        if !self.deploys.is_empty() {
            entries.push(("build".to_owned(), self.build()));
        }
        entries.extend(self.deploys.iter().map(|place| (place.job.clone(), self.deploy(place))));
        entries.extend(self.deploys.iter().map(|place| {
            let job = place.job.replacen("deploy", "rollback", 1);
            (job, self.rollback(place))
        }));
        Yaml::Table(entries)
    }

    /// When there is a pipeline: once for a change, not for its branch and its merge request both.
    fn reasons(&self) -> Vec<Yaml> {
        let mut rules = vec![rule(PULL_REQUEST), rule(BY_HAND)];
        rules.extend(self.branches().into_iter().map(|branch| rule(&on_branch(branch))));
        let twice = Yaml::table([
            ("if", Yaml::text("$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS")),
            ("when", Yaml::text("never")),
        ]);
        rules.extend([twice, rule("$CI_COMMIT_BRANCH")]);
        rules
    }

    fn branches(&self) -> BTreeSet<&str> {
        self.deploys.iter().filter_map(|place| place.environment.branch.as_deref()).collect()
    }

    fn variables(&self) -> Yaml {
        let as_it_stands = |text: &str| Yaml::table([("value", Yaml::text(text)), ("expand", Yaml::Switch(false))]);
        let mut entries = vec![("GIT_DEPTH", Yaml::text("0"))];
        if !self.deploys.is_empty() {
            entries.push(("CUTOVER_CI_WAIT", Yaml::text(warnings::patience(self.config).to_string())));
        }
        entries.extend(self.project.directory.map(|directory| ("CUTOVER_DIRECTORY", as_it_stands(directory))));
        if let Some(download) = &self.config.workflows.download {
            entries.push(("CUTOVER_URL", as_it_stands(&download.url)));
            entries.push(("CUTOVER_SHA256", Yaml::text(&download.sha256)));
        }
        Yaml::table(entries)
    }

    fn defaults(&self) -> Yaml {
        let workflows = &self.config.workflows;
        let minutes = workflows.timeout.as_secs().div_ceil(60).max(1);
        let mut entries = vec![("timeout", Yaml::text(format!("{minutes} minutes")))];
        entries.extend(workflows.image.as_ref().map(|image| ("image", Yaml::text(image))));
        if !workflows.runs_on.is_empty() {
            entries.push(("tags", Yaml::texts(&workflows.runs_on)));
        }
        let before = match workflows.download {
            Some(_) => {
                format!("bin=$(mktemp -d)\n{}export PATH=\"$bin:$PATH\"\ncutover --version\n", scripts::INSTALL)
            }
            None => scripts::FIND.to_owned(),
        };
        entries.push(("before_script", Yaml::texts([before])));
        Yaml::table(entries)
    }

    fn script(&self, script: &str) -> Yaml {
        let there = if self.project.directory.is_some() { "cd \"$CUTOVER_DIRECTORY\"\n" } else { "" };
        Yaml::texts([format!("{there}{script}")])
    }

    fn kept(&self, path: &str) -> Vec<(&'static str, Yaml)> {
        let days = self.config.workflows.retention_days;
        vec![("paths", Yaml::texts([path])), ("expire_in", Yaml::text(format!("{days} days")))]
    }

    fn checks(&self) -> Yaml {
        let mut artifacts = self.kept("cutover-checks.json");
        artifacts.push(("when", Yaml::text("always")));
        let junit: BTreeSet<String> = self
            .config
            .checks
            .values()
            .flat_map(|check| &check.reports.junit)
            .flat_map(|glob| unbraced(glob))
            .collect();
        if !junit.is_empty() {
            artifacts.push(("reports", Yaml::table([("junit", Yaml::texts(junit))])));
        }
        let mut entries =
            vec![("stage", Yaml::text("checks")), ("rules", self.judging()), ("interruptible", Yaml::Switch(true))];
        let caches = self.caches();
        if !caches.is_empty() {
            entries.push(("cache", Yaml::List(caches)));
        }
        entries.extend([("script", self.script(CHECK)), ("artifacts", Yaml::table(artifacts))]);
        Yaml::table(entries)
    }

    fn caches(&self) -> Vec<Yaml> {
        let mut seen = BTreeSet::new();
        let kept = self.config.checks.iter().filter_map(|(name, check)| Some((name, check.cache.as_ref()?)));
        kept.filter(|(_, cache)| !inside(cache).is_empty() && seen.insert((&cache.key, &cache.paths)))
            .take(CACHE_COUNT_MAX)
            .map(|(name, cache)| {
                let files = cache.key.iter().flat_map(|glob| unbraced(glob)).take(KEY_FILE_COUNT_MAX);
                let key = Yaml::table([("files", Yaml::texts(files)), ("prefix", Yaml::text(name.as_str()))]);
                Yaml::table([("key", key), ("paths", Yaml::texts(inside(cache)))])
            })
            .collect()
    }

    /// When something may be deployed.
    fn deploying(&self) -> Vec<String> {
        if self.deploys.is_empty() {
            return Vec::new();
        }
        let channel = self.config.workflows.pull_requests.is_some().then(|| OWN_PULL_REQUEST.to_owned());
        let pushes = self.branches().into_iter().map(pushed);
        [BY_HAND.to_owned()].into_iter().chain(pushes).chain(channel).collect()
    }

    /// In every pipeline that there is; a job without rules is none of a merge request's. Before a deployment all checks run:
    /// one that was left out has not passed.
    fn judging(&self) -> Yaml {
        let all = |condition: &String| {
            let switch = Yaml::table([("CUTOVER_CI_ALL", Yaml::text("all"))]);
            Yaml::table([("if", Yaml::text(condition)), ("variables", switch)])
        };
        let always = Yaml::table([("when", Yaml::text("on_success"))]);
        Yaml::List(self.deploying().iter().map(all).chain([always]).collect())
    }

    fn build(&self) -> Yaml {
        let script = if self.config.checks.is_empty() { BUILD } else { BUILD_JUDGED };
        let rules = self.deploying().iter().map(|condition| rule(condition)).collect();
        Yaml::table([
            ("stage", Yaml::text("build")),
            ("rules", Yaml::List(rules)),
            ("script", self.script(script)),
            ("artifacts", Yaml::table(self.kept(ARTIFACT))),
        ])
    }

    fn deploy(&self, place: &Place<'_>) -> Yaml {
        let workflows = &self.config.workflows;
        let approve = if workflows.approval.contains(place.name) { manual } else { rule };
        let mut rules = vec![manual(BY_HAND)];
        rules.extend(place.environment.branch.iter().map(|branch| approve(&pushed(branch))));
        rules.extend(self.is_channel(place).then(|| approve(OWN_PULL_REQUEST)));
        let before = workflows.after.get(place.name);
        let before = before.and_then(|name| self.deploys.iter().find(|other| other.name == name));
        let needs = ["build"].into_iter().chain(before.map(|other| other.job.as_str()));
        let mut script = self.see_secrets(place, true);
        script.push_str(DEPLOY);
        self.on_hosts(
            place,
            [("needs", Yaml::texts(needs)), ("rules", Yaml::List(rules)), ("script", self.script(&script))],
        )
    }

    fn rollback(&self, place: &Place<'_>) -> Yaml {
        let branch = place.environment.branch.iter().map(|branch| pushed(branch));
        let rules = [BY_HAND.to_owned()].into_iter().chain(branch).map(|condition| {
            let keys = [("if", condition.as_str()), ("when", "manual")].map(|(key, text)| (key, Yaml::text(text)));
            // Nobody waits for a way back.
            Yaml::table(keys.into_iter().chain([("allow_failure", Yaml::Switch(true))]))
        });
        let mut script = self.see_secrets(place, false);
        script.push_str(ROLLBACK);
        let none = Yaml::List(Vec::new());
        self.on_hosts(
            place,
            [("needs", none), ("rules", Yaml::List(rules.collect())), ("script", self.script(&script))],
        )
    }

    /// A job that changes an environment: one at a time, never ended half-way.
    fn on_hosts<const N: usize>(&self, place: &Place<'_>, more: [(&'static str, Yaml); N]) -> Yaml {
        let entries = [
            ("stage", Yaml::text("deploy")),
            ("interruptible", Yaml::Switch(false)),
            ("environment", Yaml::table([("name", Yaml::text(place.name.as_str()))])),
            ("resource_group", Yaml::text(format!("cutover-{}", place.name))),
        ];
        Yaml::table(entries.into_iter().chain(more))
    }

    fn see_secrets(&self, place: &Place<'_>, all: bool) -> String {
        let mut names = if all { variables(place.environment) } else { Vec::new() };
        let mut store = if all { store_variables(self.config).to_vec() } else { Vec::new() };
        store.retain(|name| !names.contains(name));
        let store_of_reviewed = if self.is_channel(place) { std::mem::take(&mut store) } else { Vec::new() };
        names.extend(store);
        names.extend(warnings::is_remote(place.environment).then_some("CUTOVER_SSH_KEY"));
        if names.is_empty() && store_of_reviewed.is_empty() {
            return String::new();
        }
        let reviewed = reviewed(&store_of_reviewed.join(" "));
        let hint = "Add them in the project's settings, under CI/CD, Variables, for this environment.";
        format!("CUTOVER_CI_NAMES='{}'\n{reviewed}CUTOVER_CI_HINT=\"{hint}\"\n{}", names.join(" "), scripts::SECRETS)
    }

    /// Whether merge requests are tried out there.
    fn is_channel(&self, place: &Place<'_>) -> bool {
        self.config.workflows.pull_requests.as_ref() == Some(place.name)
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if shares_in_own_release(self.config) {
            let how = "name it with `repository` of [artifact.store.github], and set CUTOVER_ARTIFACTS_TOKEN";
            warnings.push(format!(
                "artifacts are shared in a release at GitHub, and GitLab knows no repository there: {how}"
            ));
        }
        if let Some(release) = &self.config.release {
            let name = &release.environment;
            warnings.push(format!("nothing is released by GitLab's pipeline: `cutover release {name}` makes the tag"));
        }
        let caches = || self.config.checks.iter().filter_map(|(name, check)| Some((name, check.cache.as_ref()?)));
        for (name, _) in caches().filter(|(_, cache)| inside(cache).len() < cache.paths.len()) {
            warnings.push(format!("GitLab keeps only what lies in the repository, so not all of the cache of {name}"));
        }
        if caches().count() > CACHE_COUNT_MAX {
            warnings.push(format!("GitLab gives a job {CACHE_COUNT_MAX} caches, so not all checks have theirs"));
        }
        let workflows = &self.config.workflows;
        if workflows.python.is_some() || workflows.node.is_some() {
            warnings
                .push("GitLab's jobs have the Python and the Node of their image, whatever the config says".to_owned());
        }
        warnings
    }
}

/// Adds what a job must have but for a merge request: what nobody has looked at yet gets nothing that opens the shared store.
fn reviewed(names: &str) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(
        "if [ \"$CI_PIPELINE_SOURCE\" != merge_request_event ]; then\n  CUTOVER_CI_NAMES=\"$CUTOVER_CI_NAMES {names}\"\nfi\n"
    )
}

/// What GitLab can keep: paths inside the repository.
fn inside(cache: &CacheConfig) -> Vec<String> {
    let paths = cache.paths.iter().map(|path| path.display().to_string());
    paths.filter(|path| !path.starts_with("~/")).collect()
}
