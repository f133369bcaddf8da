//! `cutover check`

use super::packing::known_secrets;
use crate::checks::{Actions, ReportJudge, Teller, Wanted, choose, left_out, summary};
use crate::context::{Context, Project};
use crate::deployments::{CANCEL, watch_signals};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::{Changes, changes};
use cutover_checks::run::{Job, Settings, run};
use cutover_core::check::run::{Conclusion, Run};
use cutover_core::config::{CheckConfig, SecretSource};
use cutover_core::id::CheckName;
use cutover_core::secret::{SSH_KEY_VARIABLE, Secret};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest record of an earlier run that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 64 << 20;
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
/// In GitHub Actions failures are also annotated where they stand in the code, the step has a summary
/// and the outputs `conclusion`, `failed`, `passed` and `skipped`.
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
        let changes = self.changes(context, project)?;
        let top = changes.as_ref().map_or(project.dir.as_path(), |changes| changes.top.as_path());
        let kept = project.data_dir.join("checks");
        let known = Known { top, changes: changes.as_ref(), inherited: inherited(project), earlier: earlier(&kept) };
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
        let judge = ReportJudge::new(top, checks, changes.as_ref().map(|changes| &changes.lines));
        let actions = Actions::here();
        actions.iter().for_each(|actions| actions.begin(&context.output));
        let ran = run(&jobs, &settings, &teller, &judge, &CANCEL);
        let told = ran.as_ref().map_or(Ok(()), |run| tell(context, run));
        actions.iter().for_each(|actions| actions.end(&context.output, ran.as_ref().ok()));
        let run = ran.map_err(|error| CommandError::new(ErrorKind::Failed, "cannot run the checks").because(&error))?;
        keep(context, &kept, &run);
        told.map(|()| exit(run.conclusion))
    }

    /// What the change touches. Where that cannot be found out, nothing is left out.
    fn changes(&self, context: &Context, project: &Project) -> Result<Option<Changes>, CommandError> {
        let named = self.base.clone().or_else(named_by_ci);
        match (changes(&project.dir, named.as_deref()), &self.base) {
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

/// What is known before checks are run.
struct Known<'a> {
    top: &'a Path,
    changes: Option<&'a Changes>,
    inherited: BTreeMap<String, Secret>,
    earlier: BTreeMap<String, Duration>,
}

/// The variables of this process, as whoever calls a tool by hand has them: those of a CI and of its services are among them.
/// The secrets of environments are not: they are for services.
fn inherited(project: &Project) -> BTreeMap<String, Secret> {
    let environments = project.config.environments.values();
    let sources = environments.flat_map(|environment| environment.secrets.values());
    let withheld: BTreeSet<&str> = sources
        .filter_map(|source| match source {
            SecretSource::Variable(name) => Some(name.as_str()),
            SecretSource::File(_) | SecretSource::Command(_) => None,
        })
        .chain([SSH_KEY_VARIABLE])
        .collect();
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| !withheld.contains(name.as_str())).map(|(name, value)| (name, Secret::new(value))).collect()
}

/// The branch that a CI says the change shall be merged into, as its checkout has it.
fn named_by_ci() -> Option<String> {
    let value = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    BASE_VARIABLES.iter().find_map(value).map(|branch| format!("origin/{branch}"))
}

fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn record_file(kept: &Path) -> PathBuf {
    kept.join("last.json")
}

/// How long each check took the last time that it passed. Whoever has no record starts in any order.
fn earlier(kept: &Path) -> BTreeMap<String, Duration> {
    let mut text = String::new();
    let read = fs::File::open(record_file(kept)).and_then(|file| file.take(RECORD_BYTES_MAX).read_to_string(&mut text));
    let run = read.ok().and_then(|_| serde_json::from_str::<Run>(&text).ok());
    let passed =
        run.into_iter().flat_map(|run| run.checks).filter(|check| check.conclusion == Some(Conclusion::Success));
    passed.filter_map(|check| Some((check.name.clone(), Duration::try_from_secs_f64(check.seconds()).ok()?))).collect()
}

/// Keeps the record for the next run. What cannot be kept stops nothing.
fn keep(context: &Context, kept: &Path, run: &Run) {
    let written = serde_json::to_vec(run).map_err(std::io::Error::from);
    if let Err(error) = written.and_then(|bytes| fs::write(record_file(kept), bytes)) {
        context.output.warn(&format!("the record of the checks was not kept: {error}"));
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
        Conclusion::Failure | Conclusion::Cancelled => Exit::ChecksFailed,
    }
}
