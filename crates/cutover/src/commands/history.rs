//! `cutover history`

use super::catch_up::CatchUpArgs;
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
use jiff::Timestamp;

/// List past deployments, newest first.
///
/// Shows every deployment, rollback and restart that was begun on a host, how it ended, how long it took, who asked for it, what it
/// brought and what stopped it. What was refused before that is not in it: by a lock, for want of a check, for a config that is wrong. What
/// some hosts had begun when another one refused or could not be reached is shown as not begun, with the reason.
/// For a named environment its hosts are asked first, so that other people's deployments are there too;
/// otherwise it is what this machine knows. A narrow terminal leaves columns out. `cutover logs DEPLOYMENT` tells the whole story of one.
///
/// With --json: {"v":1,"deployments":[…],"next":"…","incomplete":[…]}; give "next" to --before for the next page; "incomplete"
/// says why deployments may be missing, and is empty where none are known to be. Whatever ended well has the
/// "outcome" "deployed", also where its "kind" is "rollback" or "restart": these are shown as done. A restart that
/// started what did not run has "starts":true.
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

    #[command(flatten)]
    catch_up: CatchUpArgs,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    /// Its release is live and verified; of rollbacks and restarts: done
    Deployed,
    /// It was taken back after it had reached traffic
    RolledBack,
    /// Nothing new is live: nothing that runs was changed, or nothing ran before
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
        self.catch_up.run(context, self.environment.as_ref())?;
        let filter = self.filter(context)?;
        let page = context.recall(|store| store.history(&filter, usize::from(self.limit)))?;
        context.warn_of_unknown(self.environment.as_ref())?;
        if context.output.json {
            let (rows, next, gaps) = (&page.rows, &page.next, context.gaps());
            let told = serde_json::json!({ "v": 1, "deployments": rows, "next": next, "incomplete": gaps });
            context.output.json(&told)?;
        } else {
            context.output.text(&text(&page, context.now(), context.output.width))?;
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

/// The columns, the most useful first among those that a narrow terminal has room for: what goes first stands last.
const HEAD: [&str; 10] =
    ["deployment", "when", "environment", "host", "kind", "outcome", "release", "took", "by", "what"];
const GO_FIRST: [&str; 5] = ["by", "took", "host", "environment", "release"];
/// Of more hosts only the number is told.
const HOSTS_NAMED_MAX: usize = 2;

fn text(page: &Page, now: Timestamp, width: Option<usize>) -> String {
    if page.rows.is_empty() {
        return "No deployments.\n".to_owned();
    }
    let mut table = Table::new(&HEAD);
    // One host in all rows is where everybody knows it to be.
    let are_alike = page.rows.windows(2).all(|pair| pair[0].hosts == pair[1].hosts)
        && page.rows.iter().all(|row| row.hosts.len() < 2);
    for row in &page.rows {
        table.row(cells(row, if are_alike { String::new() } else { hosts(&row.hosts) }, now));
    }
    let more = page.next.as_ref().map(|next| format!("older ones: --before {next}\n")).unwrap_or_default();
    table.without_blank("host").render_without(&GO_FIRST, width) + &more
}

/// Where it went.
fn hosts(hosts: &[String]) -> String {
    if hosts.len() > HOSTS_NAMED_MAX { format!("{} hosts", hosts.len()) } else { hosts.join(", ") }
}

fn cells(row: &DeploymentRow, host: String, now: Timestamp) -> [String; 10] {
    [
        row.deployment.to_string(),
        words::ago(row.began_at, now),
        row.environment.to_string(),
        host,
        words::kind(row.kind, row.starts).to_owned(),
        words::end(row).to_owned(),
        row.release.to_string(),
        words::took(row.elapsed_ms),
        row.by.clone(),
        what(row),
    ]
}

/// What it brought, why it was asked for, and what stopped it.
fn what(row: &DeploymentRow) -> String {
    let brought =
        (!row.commit.is_empty()).then(|| format!("{} {}", words::commit(&row.commit, row.dirty), row.subject));
    let promoted = row.promoted_from.as_ref().map(|from| format!("promoted from {from}"));
    let reason = (!row.reason.is_empty()).then(|| format!("\"{}\"", row.reason));
    let failure = row.failed_step.as_ref().zip(row.error.as_ref()).map(|(step, error)| format!("{step}: {error}"));
    let stop = match (row.cancelled, &row.failed_step, &row.error) {
        (true, None, Some(cause)) => Some(format!("stopped: {cause}")),
        (true, ..) => Some("stopped on request".to_owned()),
        (false, ..) => failure,
    };
    [brought, promoted, reason, stop].into_iter().flatten().collect::<Vec<_>>().join(" — ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::plan::PlanKind;
    use cutover_core::record::summarize;
    use cutover_testkit::{Story, minute};

    fn page() -> Page {
        let stories = [Story::new(1).deployed(), Story::new(2).rolled_back(), Story::new(3).nothing_to_do()];
        let rows = stories.map(|(plan, records)| DeploymentRow::from(&summarize(&plan, &records)));
        Page { rows: rows.into(), next: None }
    }

    #[test]
    fn a_narrow_terminal_keeps_what_tells_deployments_apart() {
        let told = text(&page(), minute(60), Some(80));
        insta::assert_snapshot!(told, @"
        DEPLOYMENT  WHEN     KIND    OUTCOME        RELEASE  WHAT
        d-00001     59m ago  deploy  ✓ deployed     r1       0000000 Change 1
        d-00002     58m ago  deploy  ↩ rolled back  r2       0000000 Change 2 — switch:…
        d-00003     57m ago  deploy  ✓ no change    r3       0000000 Change 3
        ");
    }

    #[test]
    fn deployments_to_other_hosts_are_told_apart() {
        let mut page = page();
        page.rows[1].hosts = ["web-1", "web-2"].map(str::to_owned).to_vec();
        page.rows[2].hosts = ["web-1", "web-2", "web-3"].map(str::to_owned).to_vec();

        let told = text(&page, minute(60), Some(100));

        insta::assert_snapshot!(told, @"
        DEPLOYMENT  WHEN     ENVIRONMENT  HOST          KIND    OUTCOME        RELEASE  WHAT
        d-00001     59m ago  production   localhost     deploy  ✓ deployed     r1       0000000 Change 1
        d-00002     58m ago  production   web-1, web-2  deploy  ↩ rolled back  r2       0000000 Change 2 — …
        d-00003     57m ago  production   3 hosts       deploy  ✓ no change    r3       0000000 Change 3
        ");
    }

    #[test]
    fn what_another_host_s_lock_called_off_is_not_told_as_a_failure() {
        let mut page = page();
        let row = &mut page.rows[1];
        (row.outcome, row.cancelled, row.switched) = (Some(DeploymentOutcome::Failed), true, false);
        (row.failed_step, row.error) = (None, Some("web-1: locked by ada".to_owned()));

        assert!(text(&page, minute(60), None).contains("· not begun"));
        page.rows[0].divided = true;
        assert!(text(&page, minute(60), None).contains("✗ divided"));
        page.rows[1].switched = true;
        assert!(text(&page, minute(60), None).contains("✗ failed"), "nothing came of it only before the switch");
    }

    #[test]
    fn a_rollback_by_hand_a_reason_and_a_wish_to_stop_are_told() {
        let mut page = page();
        let row = &mut page.rows[0];
        (row.kind, row.reason) = (PlanKind::Rollback, "too slow".to_owned());
        let row = &mut page.rows[1];
        (row.cancelled, row.promoted_from) = (true, Some("staging".parse().unwrap()));
        let row = &mut page.rows[2];
        (row.cancelled, row.error) = (true, Some("cannot reach web-2: the connection ended".to_owned()));

        let told = text(&page, minute(60), None);

        insta::assert_snapshot!(told, @r#"
        DEPLOYMENT  WHEN     ENVIRONMENT  KIND      OUTCOME        RELEASE  TOOK   BY   WHAT
        d-00001     59m ago  production   rollback  ✓ done         r1       5.00s  ada  0000000 Change 1 — "too slow"
        d-00002     58m ago  production   deploy    ↩ rolled back  r2       5.00s  ada  0000000 Change 2 — promoted from staging — stopped on request
        d-00003     57m ago  production   deploy    ✓ no change    r3       1.00s  ada  0000000 Change 3 — stopped: cannot reach web-2: the connection ended
        "#);
    }
}
