//! `cutover check`

use super::packing::known_secrets;
use crate::checks::{
    Actions, Judged, KnownChecks, ReportJudge, Teller, Wanted, choose, depends_on_changes, left_out, summary,
};
use crate::context::{Context, Project};
use crate::deployments::{CANCEL, watch_signals};
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::github::{self, ChecksTeller};
use clap::Args;
use cutover_artifacts::{Changes, changes, work_tree_top};
use cutover_checks::run::{Job, Settings, run};
use cutover_core::check::CommitChecks;
use cutover_core::check::run::{Conclusion, Run};
use cutover_core::config::{ArtifactStoreKind, CheckConfig, SecretSource};
use cutover_core::id::CheckName;
use cutover_core::secret::{
    ARTIFACTS_TOKEN_VARIABLE, GITHUB_TOKEN_VARIABLE, S3_VARIABLES, SIGNING_KEY_VARIABLE, SSH_KEY_VARIABLE, Secret,
};
use cutover_disk::{read_bounded, write_unsynced};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest record of earlier times that is read, in bytes.
const TIMES_BYTES_MAX: u64 = 1 << 20;
/// Where a CI says which branch a change shall be merged into: GitHub Actions and GitLab CI.
const BASE_VARIABLES: [&str; 2] = ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"];

/// Run the checks that judge a change, by their exit codes and their reports.
///
/// Checks stand under [checks.NAME] in cutover.toml: a command, what it needs, the reports that it
/// writes and their limits. They run side by side, each as soon as what it needs has passed. A
/// report that was asked for and was not written is a failure, and so is one in which nothing is
/// found. A check with `paths` is left out, and said to be, when the change touches none of them.
///
/// What a change touches is seen from the merge base with the branch that it shall be merged into,
/// with uncommitted and new files. Whoever is on that branch already has all checks run.
///
/// Checks have the variables that Cutover has, without the secrets of environments, and their own.
///
/// What passed, and what did not, is kept for the commit, and goes along with its artifact: an environment may ask for it
/// (`required_checks`). Nothing is kept where the work tree has uncommitted changes.
///
/// In GitHub Actions failures are also annotated where they stand in the code, the step has a summary
/// and the outputs `conclusion`, `failed`, `passed` and `skipped`. With GITHUB_TOKEN in its environment
/// it makes a check run (or a commit status, where that is all the token may), and keeps a comment on
/// the pull request. Checks do not have that variable: give them the token by another name, if at all.
///
/// With --json: {"v":1,"run":{"conclusion":…,"totals":{…},"checks":[…]}} in the end; what checks say
/// goes to the standard error.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover check                    all checks
  cutover check unit               one, and what it needs
  cutover check --base v1.4.2      what changed since that tag
  cutover check --fail-fast -j 1   one after the other, up to the first failure
  cutover check --json | jq '.run.checks[] | select(.conclusion == \"failure\") | .name'")]
pub(crate) struct CheckArgs {
    /// Only these checks, and those that they need
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How many run at once; as many as there are processors by default
    #[arg(short, long, value_name = "COUNT")]
    jobs: Option<NonZeroUsize>,

    /// End all others at the first failure
    #[arg(long)]
    fail_fast: bool,

    /// The branch or commit that the change is compared with; by default the one that a CI names,
    /// else origin's default branch, main or master
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// Leave nothing out, whatever the change touches
    #[arg(long)]
    all: bool,
}

impl CheckArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let project = context.project()?;
        let checks = &project.config.checks;
        let wanted = choose(checks, &self.names)?;
        // Outside of any repository checks run, too.
        let top = work_tree_top(&project.dir).unwrap_or_else(|_| project.dir.clone());
        let changes = self.changes(context, &top, &wanted)?;
        let kept = kept_in(&project.data_dir);
        let known =
            Known { top: &top, changes: changes.as_ref(), inherited: inherited(project), earlier: earlier(&kept) };
        let jobs = self.jobs(&wanted, &known)?;
        let settings = Settings {
            concurrency: self.jobs.unwrap_or_else(processors),
            fail_fast: self.fail_fast,
            log_dir: kept.join("logs"),
            masker: known_secrets(project),
        };
        watch_signals().map_err(|error| CommandError::new(ErrorKind::Failed, "watch for signals").because(&error))?;
        let commands = wanted.iter().map(|(name, config)| (name.as_str(), &config.run)).collect();
        let teller = Teller::new(&context.output, commands);
        let changed = changes.as_ref().and_then(|changes| changes.lines.as_ref());
        let judge = ReportJudge::new(&top, checks, changed, &settings.masker);
        let actions = Actions::here();
        let judged = Judged::now(&top, output_file().as_deref(), checks);
        let teller_there = ChecksTeller::begin(&context.output, &top, project.config.name.as_str(), &self.names);
        actions.iter().for_each(|actions| actions.begin(&context.output));
        let ran = run(&jobs, &settings, &teller, &judge, &CANCEL).map(|run| mark(context, run, judged.after(&top)));
        let told = ran.as_ref().map_or(Ok(()), |run| tell(context, run));
        let is_marked = teller_there.is_some_and(|there| there.end(&context.output, ran.as_ref().ok()));
        actions.iter().for_each(|actions| actions.end(&context.output, ran.as_ref().ok(), is_marked));
        let run = ran.map_err(|error| CommandError::new(ErrorKind::Failed, "cannot run the checks").because(&error))?;
        keep(context, &project.data_dir, known.earlier, &run);
        told.map(|()| exit(run.conclusion))
    }

    /// What the change touches, where any check asks for it. Where that cannot be found out, nothing is left out.
    fn changes(&self, context: &Context, top: &Path, wanted: &Wanted<'_>) -> Result<Option<Changes>, CommandError> {
        // A base that somebody names is looked at in any case: it may be misspelt.
        if self.base.is_none() && !wanted.iter().any(|(_, config)| depends_on_changes(config)) {
            return Ok(None);
        }
        let named = self.base.clone().or_else(named_by_ci);
        match (changes(top, named.as_deref()), &self.base) {
            (Ok(found), _) => Ok(found),
            (Err(error), Some(_)) => Err(error.into()),
            (Err(error), None) => {
                let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                context.output.warn(&format!("what changed is not known, so nothing is left out: {error}{hint}"));
                Ok(None)
            }
        }
    }

    fn jobs(&self, wanted: &Wanted<'_>, known: &Known<'_>) -> Result<Vec<Job>, CommandError> {
        let job = |(name, config): &(&CheckName, &CheckConfig)| {
            let skip = if self.all { None } else { left_out(config, known.changes)? };
            let own = config.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.as_str())));
            let directory = config.directory.as_ref();
            Ok(Job {
                name: name.to_string(),
                needs: config.needs.iter().map(ToString::to_string).collect(),
                command: config.run.clone(),
                directory: directory.map_or_else(|| known.top.to_owned(), |directory| known.top.join(directory)),
                variables: known.inherited.clone().into_iter().chain(own).collect(),
                timeout: config.timeout,
                retries: config.retries,
                skip,
                expected: known.earlier.get(name.as_str()).copied(),
            })
        };
        wanted.iter().map(job).collect()
    }
}

/// The file that our output goes to, if it is one: `cutover check --json > checks.json` makes it before anything is looked at.
fn output_file() -> Option<PathBuf> {
    std::fs::read_link("/proc/self/fd/1").ok().filter(|path| path.is_file())
}

/// Says in a run which commit it judged. That it is none should be known where an environment will ask for one.
fn mark(context: &Context, run: Run, judged: Judged) -> Run {
    let commit = match judged {
        Judged::Commit(commit) => Some(commit),
        Judged::Nothing(why) => {
            let environments = context.project().map(|project| project.config.environments.iter());
            let asks = environments.ok().and_then(|mut all| all.find(|(_, config)| !config.required_checks.is_empty()));
            if let Some((name, _)) = asks {
                let why = format!("{name} asks for checks of a commit, and this run will count for none: {why}");
                context.output.warn(&why);
            }
            None
        }
    };
    Run { commit, ..run }
}

/// What is known before checks are run.
struct Known<'a> {
    top: &'a Path,
    changes: Option<&'a Changes>,
    inherited: BTreeMap<String, Secret>,
    earlier: BTreeMap<String, Duration>,
}

/// The variables of this process, as whoever calls a tool by hand has them: those of a CI and of its services are among them.
/// The secrets of environments are not: they are for services. Nor are the token with which a job speaks to GitHub, keys that are Cutover's, and
/// the credentials of a shared store.
fn inherited(project: &Project) -> BTreeMap<String, Secret> {
    let environments = project.config.environments.values();
    let sources = environments.flat_map(|environment| environment.secrets.values());
    let withheld: BTreeSet<&str> = sources
        .filter_map(|source| match source {
            SecretSource::Variable(name) => Some(name.as_str()),
            SecretSource::File(_) | SecretSource::Command(_) => None,
        })
        .chain([SSH_KEY_VARIABLE, SIGNING_KEY_VARIABLE, ARTIFACTS_TOKEN_VARIABLE])
        .chain(of_store(project).iter().copied())
        .chain(github::token().map(|_| GITHUB_TOKEN_VARIABLE))
        .collect();
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| !withheld.contains(name.as_str())).map(|(name, value)| (name, Secret::new(value))).collect()
}

/// The variables that are for the artifact store: a check is the change's own code, and could put anything there.
fn of_store(project: &Project) -> &'static [&'static str] {
    match project.config.artifact.store.as_ref().map(|store| &store.kind) {
        Some(ArtifactStoreKind::S3(_)) => &S3_VARIABLES,
        Some(ArtifactStoreKind::GitHub(_)) => &[GITHUB_TOKEN_VARIABLE],
        Some(ArtifactStoreKind::Directory(_)) | None => &[],
    }
}

/// The branch that a CI says the change shall be merged into, as its checkout has it.
fn named_by_ci() -> Option<String> {
    let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    BASE_VARIABLES.iter().find_map(value).map(|branch| format!("origin/{branch}"))
}

fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Where logs and records of checks are kept, among the data of a project.
fn kept_in(data_dir: &Path) -> PathBuf {
    data_dir.join("checks")
}

fn times_file(kept: &Path) -> PathBuf {
    kept.join("times.json")
}

/// How long each check took the last time that it passed. Whoever has no record starts in any order.
fn earlier(kept: &Path) -> BTreeMap<String, Duration> {
    let read = read_bounded(&times_file(kept), TIMES_BYTES_MAX).ok();
    read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Keeps the record, and the times for the next run. What cannot be kept stops nothing.
fn keep(context: &Context, data_dir: &Path, mut times: BTreeMap<String, Duration>, run: &Run) {
    let kept = kept_in(data_dir);
    let passed = run.checks.iter().filter(|check| check.conclusion == Some(Conclusion::Success));
    let took =
        passed.filter_map(|check| Some((check.name.clone(), Duration::try_from_secs_f64(check.seconds()).ok()?)));
    times.extend(took);
    let write = || -> Result<(), Box<dyn std::error::Error>> {
        write_unsynced(&times_file(&kept), &serde_json::to_vec(&times)?, 0o600)?;
        KnownChecks::of(data_dir).note(run)?;
        Ok(write_unsynced(&kept.join("last.json"), &serde_json::to_vec(run)?, 0o600)?)
    };
    if let Err(error) = write() {
        context.output.warn(&format!("the record of the checks was not kept: {error}"));
    }
    if let Some(commit) = &run.commit {
        depot::note_checks(context, commit, &CommitChecks::of(run));
    }
}

fn tell(context: &Context, run: &Run) -> Result<(), CommandError> {
    let output = &context.output;
    if !output.json {
        return output.text(&summary(run, output.paint(), output.verbose));
    }
    output.error(&summary(run, output.paint_errors(), output.verbose))?;
    output.json(&json!({ "v": 1, "run": run }))
}

fn exit(conclusion: Conclusion) -> Exit {
    match conclusion {
        Conclusion::Success | Conclusion::Skipped => Exit::Done,
        Conclusion::Failure => Exit::ChecksFailed,
        // Somebody asked it to stop: nothing is known of the change.
        Conclusion::Cancelled => Exit::Failed,
    }
}
