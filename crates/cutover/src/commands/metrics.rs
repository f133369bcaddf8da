//! `cutover metrics`

use super::catch_up::CatchUpArgs;
use super::since::Since;
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_core::id::EnvironmentName;
use cutover_core::metrics::{Figure, Metrics, SAMPLE_COUNT_MIN, Window, measure};
use cutover_core::record::DeploymentRow;
use cutover_core::store::{Filter, Store};
use std::ops::ControlFlow;

/// Measure how deployments go: frequency, lead time, failures, recovery.
///
/// The four DORA metrics (deployment frequency, lead time for changes, change failure rate, time to
/// restore) and a few more, from what this machine remembers. Each figure says on how
/// many samples (n) it rests; under five there is "not enough data", which is more than a number
/// from two lucky deployments would say. docs/metrics.md defines each one.
///
/// With --json: {"v":1,"environment":…,"metrics":{…},"incomplete":[…]}; a figure is {"n":…,"value":…}, its value null
/// when there is not enough data. Times are milliseconds, rates are from 0 to 1. "incomplete" says why deployments may be
/// missing; where it is empty, nothing is known to be.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover metrics production    the last 30 days
  cutover metrics --since 12w   all environments, a quarter
  cutover metrics production --json | jq '.metrics.change_failure_rate'")]
pub(crate) struct MetricsArgs {
    /// Only this environment
    environment: Option<EnvironmentName>,

    /// From when on to count: 90m, 12h, 30d, 8w, or a date like 2026-11-21 (UTC)
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,

    #[command(flatten)]
    catch_up: CatchUpArgs,
}

impl MetricsArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        self.catch_up.run(context, self.environment.as_ref())?;
        let now = context.now();
        let metrics = self.measure(context, Window { since: self.since.before(now), until: now })?;
        context.warn_of_unknown(self.environment.as_ref())?;
        if context.output.json {
            let (environment, gaps) = (&self.environment, context.gaps());
            let told =
                serde_json::json!({ "v": 1, "environment": environment, "metrics": metrics, "incomplete": gaps });
            context.output.json(&told)?;
        } else {
            context.output.text(&text(&metrics))?;
        }
        Ok(Exit::Done)
    }

    /// Everything that is remembered is looked at: a commit that was live before is not new, and a
    /// change of the window may be taken back after it.
    fn measure(&self, context: &Context, window: Window) -> Result<Metrics, CommandError> {
        let scope = context.scope(self.environment.as_ref())?;
        let (rows, incidents) = context.recall(|store| {
            let mut rows: Vec<DeploymentRow> = Vec::new();
            store.each(&Filter { scope: scope.clone(), ..Filter::default() }, &mut |row| {
                rows.push(row);
                ControlFlow::Continue(())
            })?;
            Ok((rows, store.incidents(&scope, None)?))
        })?;
        Ok(measure(&rows, &incidents, window))
    }
}

fn text(metrics: &Metrics) -> String {
    let mut table = Table::new(&["figure", "value", "n"]);
    let mut row = |name: &str, figure: Figure, show: &dyn Fn(f64) -> String| {
        let value = figure.value.map_or_else(|| format!("not enough data (fewer than {SAMPLE_COUNT_MIN})"), show);
        table.row([name.to_owned(), value, figure.n.to_string()]);
    };
    row("deployment frequency, a day", metrics.deployments_per_day, &|value| format!("{value:.2}"));
    row("lead time for changes, median", metrics.lead_time_ms.median, &time);
    row("lead time for changes, 9 of 10 within", metrics.lead_time_ms.p90, &time);
    row("change failure rate", metrics.change_failure_rate, &percent);
    row("time to restore, median", metrics.time_to_restore_ms.median, &time);
    row("time to restore, 9 of 10 within", metrics.time_to_restore_ms.p90, &time);
    row("success rate", metrics.success_rate, &percent);
    row("rollbacks per change", metrics.rollbacks_per_change, &|value| format!("{value:.2}"));
    row("duration, median", metrics.duration_ms.median, &time);
    row("duration, 9 of 10 within", metrics.duration_ms.p90, &time);
    let Window { since, until } = metrics.window;
    format!("From {} to {}\n\n{}", words::moment(since), words::moment(until), table.render(None))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Milliseconds for people; what f64 loses does not show.
fn time(ms: f64) -> String {
    words::took(ms.max(0.0) as u64)
}
