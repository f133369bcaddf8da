//! Several hosts' parts of one deployment as one plan with one journal, and back.

use crate::id::DeploymentId;
use crate::journal::{Entry, Record};
use crate::plan::{Plan, StepId};
use std::collections::BTreeMap;

/// One host's part of a deployment: the plan that it drove, and its own journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What was to be done there.
    pub plan: Plan,
    /// What happened there.
    pub records: Vec<Record>,
}

impl Part {
    /// The host; None where there was nothing to do.
    pub fn host(&self) -> Option<&str> {
        self.plan.steps.first().map(|step| step.host.as_str())
    }

    /// Whether both are parts of one deployment of several hosts: each says of the same hosts that they make it together, and
    /// both are among them. A host on its word alone is no part of what others did.
    pub fn goes_with(&self, other: &Self) -> bool {
        let is_named = |part: &Self| part.host().is_some_and(|host| self.plan.fleet.iter().any(|name| name == host));
        self.deployment() == other.deployment()
            && self.plan.fleet == other.plan.fleet
            && is_named(self)
            && is_named(other)
    }

    /// The deployment that it is part of.
    pub fn deployment(&self) -> &DeploymentId {
        &self.plan.deployment
    }
}

/// Sorts parts by the deployment that they are of, those first on which most hosts agree.
pub fn gather(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut deployments: BTreeMap<DeploymentId, Vec<Vec<Part>>> = BTreeMap::new();
    for part in parts {
        let told = deployments.entry(part.deployment().clone()).or_default();
        // What goes with the first one goes with all of them.
        match told.iter_mut().find(|known| known[0].goes_with(&part)) {
            Some(known) => known.push(part),
            None => told.push(vec![part]),
        }
    }
    let mut all: Vec<Vec<Part>> = deployments.into_values().flatten().collect();
    all.sort_by_key(|parts| std::cmp::Reverse(parts.len()));
    all
}

/// Makes one plan and one journal of several hosts' parts; what is said of the whole is what the first one says that brings a
/// release live, else the first one that had something to do.
/// None when there are none. A single part stays what it is.
///
/// The entries of each host keep their order; between hosts, their times decide.
pub fn unite(mut parts: Vec<Part>) -> Option<(Plan, Vec<Record>)> {
    if parts.len() < 2 {
        return parts.pop().map(|part| (part.plan, part.records));
    }
    let switches = |part: &&Part| part.plan.switches();
    let does_something = |part: &&Part| !part.plan.finds_nothing_to_do();
    let head = parts.iter().find(switches).or_else(|| parts.iter().find(does_something)).or(parts.first())?;
    let mut plan = Plan { steps: Vec::new(), ..head.plan.clone() };
    let mut journals = Vec::new();
    for part in parts {
        let (host, offset) = (part.host().map(str::to_owned), plan.steps.len());
        plan.steps.extend(part.plan.steps.into_iter().map(|mut step| {
            step.id = moved(step.id, offset);
            step
        }));
        let records = part.records.into_iter().map(move |mut record| {
            record.host.clone_from(&host);
            for_step(&mut record.entry, |id| *id = moved(*id, offset));
            record
        });
        journals.push(records.peekable());
    }
    let mut records: Vec<Record> = Vec::new();
    while let Some(earliest) = earliest(&mut journals) {
        records.extend(journals[earliest].next());
    }
    records.iter_mut().zip(1..).for_each(|(record, seq)| record.seq = seq);
    Some((plan, records))
}

/// The journal whose next entry is the earliest; the first of several.
fn earliest(journals: &mut [std::iter::Peekable<impl Iterator<Item = Record>>]) -> Option<usize> {
    let heads = journals.iter_mut().enumerate().filter_map(|(at, journal)| Some((journal.peek()?.at, at)));
    heads.min().map(|(_, at)| at)
}

/// The parts of a deployment, by host in the plan's order: the opposite of [`unite`].
pub fn split(plan: &Plan, records: &[Record]) -> Vec<Part> {
    let hosts = plan.hosts();
    if hosts.len() < 2 {
        return vec![Part { plan: plan.clone(), records: records.to_vec() }];
    }
    hosts.into_iter().map(|host| part(host, plan, records)).collect()
}

fn part(host: &str, plan: &Plan, records: &[Record]) -> Part {
    let mut places = BTreeMap::new();
    let mut own = Plan { steps: Vec::new(), ..plan.clone() };
    for step in plan.steps.iter().filter(|step| step.host == host) {
        let place = moved(StepId(0), own.steps.len());
        places.insert(step.id, place);
        own.steps.push(crate::plan::Step { id: place, ..step.clone() });
    }
    let records = records.iter().filter(|record| record.host.as_deref() == Some(host)).zip(1..);
    let records = records.map(|(record, seq)| {
        let mut entry = record.entry.clone();
        for_step(&mut entry, |id| *id = places.get(id).copied().unwrap_or(StepId(u32::MAX)));
        Record { seq, at: record.at, host: None, entry }
    });
    Part { plan: own, records: records.collect() }
}

/// A place that is so much further back; a plan has far fewer steps than a u32 counts.
fn moved(id: StepId, offset: usize) -> StepId {
    StepId(id.0.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX)))
}

/// Changes the step that an entry is about, if it is about one.
fn for_step(entry: &mut Entry, change: impl Fn(&mut StepId)) {
    match entry {
        Entry::Started { step, .. }
        | Entry::Applied { step, .. }
        | Entry::Failed { step, .. }
        | Entry::Restored { step, .. }
        | Entry::RestoreFailed { step, .. } => change(step),
        Entry::Cancelled { .. } | Entry::Resumed { .. } => {}
    }
}
