//! `cutover history`

use super::since::Since;
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::{Args, ValueEnum};
use cutover_core::id::{DeploymentId, EnvironmentName};
use cutover_core::next::DeploymentOutcome;
use cutover_core::record::DeploymentRow;
use cutover_core::store::{Filter, Page, Standing, Store};
use cutover_reporters::one_line;

/// Lists past deployments, newest first.
///
/// Shows what this machine remembers of the project: every attempt, how it ended, how long it took,
/// who asked for it and what it brought. `cutover logs DEPLOYMENT` tells the whole story of one.
///
/// With --json: {"v":1,"deployments":[…],"next":"…"}; give "next" to --before for the next page.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover history                          the last 20, of all environments
  cutover history production --since 30d   one environment's last month
  cutover history --outcome rolled-back    what did not stay
  cutover history --search \"cart\"          by subject, error, reason, asker, commit
  cutover history --limit 100 --json | jq '.deployments[].release'")]
pub(crate) struct HistoryArgs {
    /// Only this environment
    environment: Option<EnvironmentName>,

    /// How many to list at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,

    /// Only those that began since then: 90m, 12h, 30d, 8w, or a date like 2026-11-21 (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,

    /// Only those that ended like this
    #[arg(long, value_enum)]
    outcome: Option<OutcomeArg>,

    /// Only those that have this text in subject, error, reason, asker, commit, release or id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Only those that come after this one in the list
    #[arg(long, value_name = "DEPLOYMENT")]
    before: Option<DeploymentId>,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    /// The release is live and verified
    Deployed,
    /// It was taken back after it had reached traffic
    RolledBack,
    /// Nothing that runs was changed
    Failed,
    /// A person is needed
    Stuck,
    /// It has not ended
    Unfinished,
}

impl From<OutcomeArg> for Standing {
    fn from(outcome: OutcomeArg) -> Self {
        match outcome {
            OutcomeArg::Deployed => Self::Ended(DeploymentOutcome::Deployed),
            OutcomeArg::RolledBack => Self::Ended(DeploymentOutcome::RolledBack),
            OutcomeArg::Failed => Self::Ended(DeploymentOutcome::Failed),
            OutcomeArg::Stuck => Self::Ended(DeploymentOutcome::Stuck),
            OutcomeArg::Unfinished => Self::Unfinished,
        }
    }
}

impl HistoryArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let filter = self.filter(context)?;
        let page = context.recall(|store| store.history(&filter, usize::from(self.limit)))?;
        context.warn_of_unknown(self.environment.as_ref())?;
        if context.output.json {
            context.output.json(&serde_json::json!({ "v": 1, "deployments": page.rows, "next": page.next }))?;
        } else {
            context.output.text(&text(&page, context))?;
        }
        Ok(Exit::Done)
    }

    fn filter(&self, context: &Context) -> Result<Filter, CommandError> {
        Ok(Filter {
            scope: context.scope(self.environment.as_ref())?,
            standing: self.outcome.map(Standing::from),
            since: self.since.map(|since| since.before(context.now())),
            before: self.before.clone(),
            text: self.search.clone(),
        })
    }
}

fn text(page: &Page, context: &Context) -> String {
    if page.rows.is_empty() {
        return "No deployments.\n".to_owned();
    }
    let mut table = Table::new(&["deployment", "when", "environment", "outcome", "release", "took", "by", "what"]);
    for row in &page.rows {
        table.row(cells(row, context));
    }
    let more = page.next.as_ref().map(|next| format!("older ones: --before {next}\n")).unwrap_or_default();
    table.render(context.output.width) + &more
}

fn cells(row: &DeploymentRow, context: &Context) -> [String; 8] {
    [
        row.deployment.to_string(),
        words::ago(row.began_at, context.now()),
        row.environment.to_string(),
        words::outcome(row.outcome).to_owned(),
        row.release.to_string(),
        words::took(row.elapsed_ms),
        one_line(&row.by),
        what(row),
    ]
}

/// What went wrong where, or else what it brought.
fn what(row: &DeploymentRow) -> String {
    match (&row.failed_step, &row.error) {
        (Some(step), Some(error)) => one_line(&format!("{step}: {error}")),
        (Some(_) | None, _) if row.commit.is_empty() => words::kind(row.kind).to_owned(),
        (Some(_) | None, _) => one_line(&format!("{} {}", words::commit(&row.commit, row.dirty), row.subject)),
    }
}
