//! The definitions, as functions over the history.

use super::figure::{Figure, Spread};
use crate::id::{EnvironmentName, ProjectName, ReleaseId};
use crate::next::DeploymentOutcome;
use crate::plan::PlanKind;
use crate::record::{DeploymentRow, Incident, elapsed_ms};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

const DAY_MS: f64 = 86_400_000.0;

/// A span of time: from `since` up to, but not with, `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning.
    pub since: Timestamp,
    /// Its end, usually now.
    pub until: Timestamp,
}

impl Window {
    fn has(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }

    fn days(&self) -> f64 {
        elapsed_ms(self.since, self.until) as f64 / DAY_MS
    }
}

/// What a window of deployments says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The span of time.
    pub window: Window,
    /// How many deployments of changes went live a day.
    pub deployments_per_day: Figure,
    /// How long a commit took until it was first live, in milliseconds.
    pub lead_time_ms: Spread,
    /// Which share of the changes that reached traffic did not stay.
    pub change_failure_rate: Figure,
    /// How long it took until health was back, in milliseconds.
    pub time_to_restore_ms: Spread,
    /// Which share of the deployments that were not cancelled went live.
    pub success_rate: Figure,
    /// How many rollbacks, automatic and by hand, there were for each change that reached traffic.
    pub rollbacks_per_change: Figure,
    /// How long a deployment that went live took, in milliseconds.
    pub duration_ms: Spread,
}

/// Measures a window of the history.
///
/// `rows` and `incidents` are everything that is known of the projects and environments to measure, in any
/// order and also from outside of the window: a commit that was live before does not count as new, and a
/// change may be taken back later.
pub fn measure(rows: &[DeploymentRow], incidents: &[Incident], window: Window) -> Metrics {
    let within: Vec<&DeploymentRow> = rows.iter().filter(|row| row.ended_at.is_some_and(|at| window.has(at))).collect();
    Metrics {
        window,
        deployments_per_day: deployments_per_day(&within, window),
        lead_time_ms: lead_time_ms(rows, window),
        change_failure_rate: change_failure_rate(rows, &within),
        time_to_restore_ms: time_to_restore_ms(incidents, window),
        success_rate: success_rate(&within),
        rollbacks_per_change: rollbacks_per_change(&within),
        duration_ms: Spread::of(within.iter().filter(|row| went_live(row)).map(|row| row.elapsed_ms).collect()),
    }
}

fn deployments_per_day(within: &[&DeploymentRow], window: Window) -> Figure {
    let n = within.iter().filter(|row| went_live(row)).count();
    let days = window.days();
    if days > 0.0 { Figure::new(n, n as f64 / days) } else { Figure { n, value: None } }
}

type Place<'a> = (&'a ProjectName, &'a EnvironmentName);

fn place(row: &DeploymentRow) -> Place<'_> {
    (&row.project, &row.environment)
}

fn lead_time_ms(rows: &[DeploymentRow], window: Window) -> Spread {
    let mut first: HashMap<(Place, &str), (Timestamp, Timestamp)> = HashMap::new();
    for row in rows.iter().filter(|row| went_live(row) && !row.dirty && !row.commit.is_empty()) {
        let (Some(committed), Some(live)) = (row.committed_at, row.ended_at) else { continue };
        let earliest = first.entry((place(row), &row.commit)).or_insert((committed, live));
        if live < earliest.1 {
            *earliest = (committed, live);
        }
    }
    let within = first.into_values().filter(|(_, live)| window.has(*live));
    Spread::of(within.map(|(committed, live)| elapsed_ms(committed, live)).collect())
}

fn change_failure_rate(rows: &[DeploymentRow], within: &[&DeploymentRow]) -> Figure {
    let taken_back = taken_back(rows);
    let judged = within.iter().filter(|row| reached_traffic(row) && !was_only_cancelled(row));
    let (mut failed, mut n) = (0, 0);
    for row in judged {
        n += 1;
        let stayed =
            row.outcome == Some(DeploymentOutcome::Deployed) && !taken_back.contains(&(place(row), &row.release));
        failed += usize::from(!stayed);
    }
    Figure::share(failed, n)
}

/// The releases that somebody took back by hand, and that did not come back since.
fn taken_back(rows: &[DeploymentRow]) -> HashSet<(Place<'_>, &ReleaseId)> {
    let mut rollbacks: Vec<&DeploymentRow> = rows.iter().filter(|row| is_by_hand(row)).collect();
    rollbacks.sort_by_key(|row| (row.began_at, &row.deployment));
    let mut taken_back = HashSet::new();
    for row in rollbacks {
        taken_back.extend(row.original.as_ref().filter(|_| !row.forward).map(|original| (place(row), original)));
        taken_back.remove(&(place(row), &row.release));
    }
    taken_back
}

fn time_to_restore_ms(incidents: &[Incident], window: Window) -> Spread {
    let closed = incidents.iter().filter_map(|incident| Some((incident.opened_at, incident.closed_at?)));
    let within = closed.filter(|(_, closed_at)| window.has(*closed_at));
    Spread::of(within.map(|(opened_at, closed_at)| elapsed_ms(opened_at, closed_at)).collect())
}

fn success_rate(within: &[&DeploymentRow]) -> Figure {
    let judged: Vec<_> = within.iter().filter(|row| row.is_change() && !was_only_cancelled(row)).collect();
    Figure::share(judged.iter().filter(|row| went_live(row)).count(), judged.len())
}

fn rollbacks_per_change(within: &[&DeploymentRow]) -> Figure {
    let changes = within.iter().filter(|row| reached_traffic(row)).count();
    let automatic = |row: &DeploymentRow| reached_traffic(row) && row.outcome == Some(DeploymentOutcome::RolledBack);
    let rollbacks = within.iter().filter(|row| automatic(row) || (is_by_hand(row) && !row.forward)).count();
    Figure::share(rollbacks, changes)
}

fn went_live(row: &DeploymentRow) -> bool {
    row.is_change() && row.outcome == Some(DeploymentOutcome::Deployed)
}

fn reached_traffic(row: &DeploymentRow) -> bool {
    row.is_change() && row.switched
}

fn is_by_hand(row: &DeploymentRow) -> bool {
    row.kind == PlanKind::Rollback && row.outcome == Some(DeploymentOutcome::Deployed)
}

/// A person's or a newer deployment's "stop" says nothing about the change, unless it got stuck.
fn was_only_cancelled(row: &DeploymentRow) -> bool {
    row.cancelled && row.outcome != Some(DeploymentOutcome::Stuck)
}
