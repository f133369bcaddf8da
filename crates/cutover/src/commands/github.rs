//! `cutover github`

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::github::report;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// Speak to GitHub for a job that may not
///
/// The other commands tell GitHub by themselves where they run in a job of its Actions that has
/// GITHUB_TOKEN: `check` of the checks, `deploy` and `rollback` of the deployment.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover github report checks.json   # what a pull request from a fork says of its checks")]
pub(crate) struct GitHubArgs {
    #[command(subcommand)]
    what: GitHubCommand,
}

#[derive(Debug, Subcommand)]
enum GitHubCommand {
    Report(ReportArgs),
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
            GitHubCommand::Report(args) => args.run(context),
        }
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
