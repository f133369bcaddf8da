//! `cutover github`

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::github::{Account, Place, Protected, examine, protect, report};
use clap::{Args, Subcommand};
use cutover_reporters::one_line;
use cutover_targets::doctor::Verdict;
use serde_json::json;
use std::path::PathBuf;

/// Look after the repository at GitHub, and speak to it for a job that may not
///
/// The other commands tell GitHub by themselves where they run in a job of its Actions that has
/// GITHUB_TOKEN: `check` of the checks, `deploy` and `rollback` of the deployment.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover github doctor               # what is missing there for what cutover.toml needs
  cutover github protect --dry-run    # what would be demanded of changes to the branch of production
  cutover github report checks.json   # what a pull request from a fork says of its checks")]
pub(crate) struct GitHubArgs {
    #[command(subcommand)]
    what: GitHubCommand,
}

#[derive(Debug, Subcommand)]
enum GitHubCommand {
    Doctor(DoctorArgs),
    Protect(ProtectArgs),
    Report(ReportArgs),
}

/// Check what the workflows rely on at GitHub
///
/// Looks at the repository with GITHUB_TOKEN: whether actions may run, the workflows are on the default
/// branch and as cutover.toml says, environments, their reviewers, branches and secrets (by name: values
/// cannot be read) are there, and the branch of production is protected. Says what is missing and what to do
/// about it, and what the token may not look at. Changes nothing.
///
/// Ends with 0 when nothing is in the way, warnings or not; with 1 when something is; with 2 without
/// GITHUB_TOKEN, or where no repository is known; with 7 when GitHub is not reached.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover github doctor
  cutover github doctor -v        # also what is well
  cutover github doctor --json    # for machines")]
struct DoctorArgs {}

/// Protect the branch that production is deployed from
///
/// Makes or mends one ruleset, known by its name `cutover: PROJECT`: changes by pull request alone, no force
/// push, no deletion, and the check that Cutover's own workflows report. `[protection]` in
/// cutover.toml says how many must approve. No other ruleset is changed; what others demand that contradicts
/// it is told. It takes a token of somebody who administers the repository.
///
/// Ends with 0 when it is as it shall be; with 1 when the token may not; with 2 without GITHUB_TOKEN, or where
/// no branch is known; with 7 when GitHub is not reached.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover github protect --dry-run     # what would change
  cutover github protect production")]
struct ProtectArgs {
    /// The environment whose branch is meant; that of `release.environment`, or production, by default
    #[arg(value_name = "ENV")]
    environment: Option<String>,

    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Tell the checks of a pull request from a fork
///
/// In a pull request from a fork a job has no secrets, and its token may only read. Let it keep what
/// `cutover check --json` prints as an artifact, and let a job that runs `on: workflow_run` fetch
/// that and report it: a check run at the commit, and the comment on the pull request.
///
/// What the file says is the word of whoever opened the pull request, and is shown as such. Which
/// commit and which pull request it is about is asked of GitHub.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover github report checks.json")]
struct ReportArgs {
    /// What `cutover check --json` printed
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl GitHubArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        match &self.what {
            GitHubCommand::Doctor(DoctorArgs {}) => doctor(context),
            GitHubCommand::Protect(args) => args.run(context),
            GitHubCommand::Report(args) => args.run(context),
        }
    }
}

fn doctor(context: &Context) -> Result<Exit, CommandError> {
    let project = context.project()?;
    let account = Account::required(&project.dir)?;
    let files = super::workflows::at_github(project)?.files;
    let places = examine(&account, &context.output, &project.config, &files)?;
    let count = |wanted| {
        let findings = places.iter().flat_map(|place| &place.findings);
        findings.filter(|finding| finding.verdict == wanted).count()
    };
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    if context.output.json {
        context.output.json(&json!({ "v": 1, "failed": failed, "warnings": warnings, "places": places }))?;
    } else {
        let mut text: String = places.iter().map(|place| told(context, &account, place)).collect();
        text += &match (failed, warnings) {
            (0, 0) => "everything is well\n".to_owned(),
            (0, warnings) => format!("workflows can run; {warnings} not well\n"),
            (failed, warnings) => format!("{failed} in the way of workflows, {warnings} more not well\n"),
        };
        context.output.text(&text)?;
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

fn told(context: &Context, account: &Account, place: &Place) -> String {
    let name = place.environment.as_ref().map(|name| name.as_str());
    let title = name.map_or_else(|| account.repository.to_string(), str::to_owned);
    crate::doctor::section(context, &title, name, &place.findings)
}

impl ProtectArgs {
    fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let project = context.project()?;
        if let Some(name) = &self.environment {
            context.environment(name)?;
        }
        let account = Account::required(&project.dir)?;
        let protected = protect(&account, &context.output, &project.config, self.environment.as_deref(), self.dry_run)?;
        if context.output.json {
            context.output.json(&json!({ "v": 1, "protection": protected }))?;
            return Ok(Exit::Done);
        }
        let Protected { contradictions, unseen, note, .. } = &protected;
        contradictions.iter().chain(unseen).chain(note).for_each(|warning| context.output.warn(warning));
        context.output.text(&self.text(context, &protected))?;
        Ok(Exit::Done)
    }

    fn text(&self, context: &Context, protected: &Protected) -> String {
        let Protected { branch, ruleset, differences, is_changed, is_in_force, .. } = protected;
        if differences.is_empty() && !is_in_force {
            return format!("{} {branch} has {ruleset:?} as it shall be\n", context.output.paint().warning("!"));
        }
        if differences.is_empty() {
            return format!("{} {branch} is protected by {ruleset:?}\n", context.output.paint().good("✓"));
        }
        let lines: String = differences.iter().map(|line| format!("  {}\n", one_line(line))).collect();
        let done = match (is_changed, is_in_force) {
            (true, true) => "changed",
            (true, false) => "sent, and not seen to be in force",
            (false, _) => "would change",
        };
        format!("{ruleset:?}, for {branch}: {done}\n{lines}")
    }
}

impl ReportArgs {
    fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let reported = report(context.project()?.config.name.as_str(), &self.file)?;
        if context.output.json {
            context.output.json(&json!({ "v": 1, "reported": reported }))?;
            return Ok(Exit::Done);
        }
        let Some(reported) = reported else {
            let why = "the checks ran for a pull request of this repository itself, whose job tells of them";
            context.output.text(&format!("nothing to report: {why}\n"))?;
            return Ok(Exit::Done);
        };
        let place = match reported.pull {
            Some(pull) => format!("at {} and on pull request {pull}", &reported.commit[..7]),
            None => format!("at {}; no open pull request has that head any more", &reported.commit[..7]),
        };
        context.output.text(&format!("reported {} {place}\n", reported.conclusion))?;
        Ok(Exit::Done)
    }
}
