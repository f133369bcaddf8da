//! The summary of a deployment to several hosts: it went as it did where it went worst.

use super::deployment::{DeploymentRecord, FailureRecord};
use super::step::StepRecord;
use super::summarize::{blank, elapsed_ms};
use crate::plan::{Plan, StepId};
use crate::rollout::outcome;
use std::collections::{BTreeMap, VecDeque};

/// Sums up the summaries of a deployment's hosts; `plan` is the whole.
pub(super) fn worst(plan: &Plan, parts: Vec<DeploymentRecord>) -> DeploymentRecord {
    let mut record = blank(plan);
    let ends: Option<Vec<_>> = parts.iter().map(|part| part.outcome).collect();
    record.outcome = ends.and_then(outcome);
    record.ended_at = record.outcome.and(parts.iter().filter_map(|part| part.ended_at).max());
    record.switched = parts.iter().any(|part| part.switched);
    record.failure = failure(&parts, |part| part.failure.as_ref());
    record.restore_failure = failure(&parts, |part| part.restore_failure.as_ref());
    record.stuck_at = parts.iter().filter_map(|part| part.stuck_at).min();
    record.resume_count = parts.iter().map(|part| part.resume_count).max().unwrap_or(0);
    record.elapsed_ms = record.ended_at.map_or(0, |ended_at| elapsed_ms(record.began_at, ended_at));
    cancellation(&mut record, &parts);
    let mut steps = Steps::default();
    for part in parts {
        steps.take(part, &mut record);
    }
    steps.place(plan, &mut record);
    record
}

/// The earliest failure of all: the others are often its consequences.
fn failure<'r>(
    parts: &'r [DeploymentRecord],
    of: impl Fn(&'r DeploymentRecord) -> Option<&'r FailureRecord>,
) -> Option<FailureRecord> {
    parts.iter().filter_map(of).min_by_key(|failure| failure.at).cloned()
}

/// A host that was told to stop because another one failed was not what stopped the whole.
fn cancellation(record: &mut DeploymentRecord, parts: &[DeploymentRecord]) {
    let cancelled = parts.iter().filter(|part| part.cancelled).min_by_key(|part| part.cancelled_at);
    if let Some(part) = cancelled.filter(|_| record.failure.is_none()) {
        record.cancelled = true;
        record.cancel_reason.clone_from(&part.cancel_reason);
        record.cancelled_at = part.cancelled_at;
    }
}

/// The steps of all hosts, while they are put where the whole plan has them.
#[derive(Default)]
struct Steps(BTreeMap<String, VecDeque<StepRecord>>);

impl Steps {
    fn take(&mut self, part: DeploymentRecord, record: &mut DeploymentRecord) {
        let host = part.steps.first().map(|step| step.host.clone()).unwrap_or_default();
        record.warnings.extend(part.warnings.into_iter().map(|warning| format!("{host}: {warning}")));
        record.probes.extend(part.probes);
        self.0.insert(host, part.steps.into());
    }

    fn place(mut self, plan: &Plan, record: &mut DeploymentRecord) {
        let mut places: BTreeMap<(String, StepId), StepId> = BTreeMap::new();
        for (slot, step) in record.steps.iter_mut().zip(&plan.steps) {
            if let Some(own) = self.0.get_mut(&step.host).and_then(VecDeque::pop_front) {
                places.insert((step.host.clone(), own.id), step.id);
                *slot = StepRecord { id: step.id, ..own };
            }
        }
        let place = |host: &str, id: &mut StepId| {
            *id = places.get(&(host.to_owned(), *id)).copied().unwrap_or(*id);
        };
        record.probes.iter_mut().for_each(|probe| place(&probe.host, &mut probe.step));
        record.probes.sort_by_key(|probe| probe.result.at);
        let failures = [&mut record.failure, &mut record.restore_failure];
        failures.into_iter().flatten().for_each(|failure| place(&failure.host, &mut failure.step));
    }
}
