//! The workflow that judges changes.

use super::model::{Concurrency, Job, Manner, Step, Uses, Workflow};
use super::steps::{checkout, install, languages, steps, upload};
use super::{JUDGES, channel, expression, token};
use crate::actions::CACHE;
use crate::expression::{branch_pattern, literal, string};
use crate::yaml::Yaml;
use crate::{Project, scripts};
use cutover_core::config::{CacheConfig, Config};
use std::collections::BTreeSet;

/// Where the record lies, as an expression.
const RECORD: &str = "${{ runner.temp }}/cutover-checks.json";
/// The record's own name.
pub(super) const RECORD_FILE: &str = "cutover-checks.json";
/// What it is kept as.
pub(super) const RECORD_NAME: &str = "cutover-checks";
/// The workflow's name.
pub(super) const NAME: &str = "Cutover checks";
/// Where Cutover keeps what checks said, as an expression.
const HOME: &str = "${{ runner.temp }}/cutover";

/// Every push and every pull request; other workflows call it, so that each change is judged once and in one way. None where
/// nothing judges.
pub(super) fn workflow(project: &Project<'_>) -> Option<Workflow> {
    (!project.config.checks.is_empty()).then(|| Workflow {
        name: NAME,
        on: triggers(project.config),
        // Whoever calls names its own run, so that none of those replaces another.
        concurrency: Some(Concurrency {
            group: format!("cutover-checks-{}", expression("inputs.run || github.ref")),
            manner: Manner::Replace,
        }),
        directory: project.directory.map(str::to_owned),
        jobs: vec![("checks".to_owned(), job(project))],
    })
}

fn triggers(config: &Config) -> Yaml {
    let elsewhere = deploying_branches(config);
    let push = match elsewhere.is_empty() {
        true => Yaml::table([("branches", Yaml::texts(["**"]))]),
        false => Yaml::table([("branches-ignore", Yaml::texts(elsewhere))]),
    };
    let own = channel(config).is_none().then_some(("pull_request", Yaml::Nothing));
    let text = |description: &str| {
        Yaml::table([
            ("description", Yaml::text(description)),
            ("type", Yaml::text("string")),
            ("default", Yaml::text("")),
        ])
    };
    let inputs = Yaml::table([
        ("ref", text("What is judged; what the run is about where this is empty")),
        ("run", text("The id of the calling run, which deploys what passes: all checks run, for that run alone")),
    ]);
    let judged = Yaml::table([
        ("description", Yaml::text("The commit that was judged")),
        ("value", Yaml::text(expression("jobs.checks.outputs.commit"))),
    ]);
    let outputs = Yaml::table([("commit", judged)]);
    let call = ("workflow_call", Yaml::table([("inputs", inputs), ("outputs", outputs)]));
    // Changes that wait in a line to be merged, where the settings have one.
    let line = ("merge_group", Yaml::Nothing);
    Yaml::table([("push", push)].into_iter().chain(own).chain([line, call]))
}

/// The branches whose pushes are judged before they are deployed, by the workflow that does that.
pub(super) fn deploying_branches(config: &Config) -> Vec<String> {
    let deployable = config.environments.values().filter(|environment| !environment.targets.is_empty());
    let branches: BTreeSet<&String> = deployable.filter_map(|environment| environment.branch.as_ref()).collect();
    branches.into_iter().map(|branch| branch_pattern(branch)).collect()
}

/// All checks in one job: it is one record with one verdict, they run side by side there, and a runner's start, the fetch and
/// the installation are paid once. What a runner of its own would save, these take away again for checks of a few minutes.
fn job(project: &Project<'_>) -> Job {
    let mut all = vec![checkout(Some("inputs.ref"), true), commit(), install()];
    all.extend(languages(project));
    all.extend(caches(project.config));
    all.push(Step {
        name: "Run the checks",
        env: vec![
            ("CUTOVER_CI_RECORD".to_owned(), RECORD.to_owned()),
            ("CUTOVER_CI_RUN".to_owned(), expression("inputs.run")),
            ("CUTOVER_HOME".to_owned(), HOME.to_owned()),
            token(),
        ],
        run: Some(scripts::CHECK.to_owned()),
        ..Step::default()
    });
    let kept = format!("{RECORD}\n{HOME}/projects/*/checks/logs\n");
    all.push(Step {
        condition: Some("!cancelled()".to_owned()),
        ..upload(project, RECORD_NAME.to_owned(), kept, "ignore")
    });
    Job {
        name: "checks".to_owned(),
        permissions: JUDGES.to_vec(),
        outputs: vec![("commit", expression("steps.commit.outputs.commit"))],
        work: steps(project, all),
        ..Job::default()
    }
}

/// Tells which commit is judged: a branch may be at another one when it is built.
fn commit() -> Step {
    Step {
        name: "See which commit this is",
        id: Some("commit"),
        run: Some("echo \"commit=$(git rev-parse HEAD)\" >> \"$GITHUB_OUTPUT\"\n".to_owned()),
        ..Step::default()
    }
}

/// A step for each thing that is kept between runs, however many checks keep it.
fn caches(config: &Config) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let kept = config.checks.iter().filter_map(|(name, check)| Some((name, check.cache.as_ref()?)));
    kept.filter(|(_, cache)| seen.insert((&cache.key, &cache.paths)))
        .map(|(name, cache)| Step {
            name: "Bring back what was kept",
            uses: Some(Uses::Pinned(CACHE)),
            with: cache_keys(name.as_str(), cache),
            ..Step::default()
        })
        .collect()
}

fn cache_keys(name: &str, cache: &CacheConfig) -> Vec<(&'static str, Yaml)> {
    let patterns: Vec<String> = cache.key.iter().flat_map(|pattern| unbraced(pattern)).collect();
    let patterns: Vec<String> = patterns.iter().map(|pattern| string(pattern)).collect();
    let prefix = format!("cutover-{name}-{}-", expression("runner.os"));
    let hash = expression(&format!("hashFiles({})", patterns.join(", ")));
    let paths: Vec<String> = cache.paths.iter().map(|path| literal(&path.display().to_string())).collect();
    vec![
        ("path", Yaml::text(paths.join("\n"))),
        ("key", Yaml::text(format!("{prefix}{hash}"))),
        ("restore-keys", Yaml::text(prefix)),
    ]
}

/// The most patterns that one pattern with braces is written out to.
const UNBRACED_MAX: usize = 64;

/// A pattern's alternatives, which `hashFiles` knows no braces for.
pub(crate) fn unbraced(pattern: &str) -> Vec<String> {
    let mut whole = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(pattern) = todo.pop() {
        // The innermost braces: the first that close, and the last that open before those.
        let close = pattern.find('}');
        let open = close.and_then(|close| pattern[..close].rfind('{'));
        match (open, close) {
            (Some(open), Some(close)) if todo.len() < UNBRACED_MAX => {
                let (before, after) = (&pattern[..open], &pattern[close + 1..]);
                let alternatives = pattern[open + 1..close].split(',');
                todo.extend(alternatives.rev().map(|inside| format!("{before}{inside}{after}")));
            }
            _ => whole.push(pattern),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_braces_is_written_out() {
        assert_eq!(unbraced("a/*.lock"), ["a/*.lock"]);
        assert_eq!(unbraced("{a,b}/{c,d}"), ["a/c", "a/d", "b/c", "b/d"]);
        assert_eq!(unbraced("{a,{b,c}}.lock"), ["a.lock", "b.lock", "a.lock", "c.lock"]);
    }
}
