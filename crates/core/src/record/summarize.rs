//! From a plan and its journal to the summary: pure, and in the law's own reading of the journal.

use super::deployment::{DeploymentRecord, FailureRecord, ProbeRecord, RECORD_VERSION, TargetRecord};
use super::step::{StepRecord, StepState};
use super::united::split;
use super::worst::worst;
use crate::journal::{Entry, Record};
use crate::next::{self, DeploymentOutcome, Next, RESUME_COUNT_MAX, Replay};
use crate::plan::{Phase, Plan, Step, StepId};
use crate::probe::ProbeResult;
use crate::target::{Failure, Outcome};
use jiff::Timestamp;

/// Sums up a deployment from its plan and everything that was journaled, in order.
///
/// Each host drives its own part of the plan under the law; several parts are summed up as the worst of them.
/// Entries that name a step which the plan does not have are passed over.
pub fn summarize(plan: &Plan, records: &[Record]) -> DeploymentRecord {
    match split(plan, records).as_slice() {
        [] | [_] => summarize_one(plan, records),
        parts => worst(plan, parts.iter().map(|part| summarize_one(&part.plan, &part.records)).collect()),
    }
}

fn summarize_one(plan: &Plan, records: &[Record]) -> DeploymentRecord {
    let mut summary = Summary { plan, replay: Replay::new(plan), record: blank(plan), last: None, resumed_at: None };
    for record in records {
        summary.take(record);
    }
    summary.finish()
}

struct Summary<'a> {
    plan: &'a Plan,
    replay: Replay,
    record: DeploymentRecord,
    last: Option<Timestamp>,
    resumed_at: Option<Timestamp>,
}

impl Summary<'_> {
    fn take(&mut self, record: &Record) {
        let at = record.at;
        let unwound = self.replay.unwinds(self.plan);
        let cancelled = self.replay.cancelled;
        self.replay.take(self.plan, &record.entry);
        self.record.elapsed_ms += self.last.map_or(0, |last| elapsed_ms(last, at));
        self.last = Some(at);
        self.note(&record.entry, at);
        if !cancelled && self.replay.cancelled && !unwound {
            self.record.cancelled = true;
            self.record.cancelled_at = Some(at);
        }
        if self.record.stuck_at.is_none() && self.replay.next(self.plan) == Next::Done(DeploymentOutcome::Stuck) {
            self.record.stuck_at = Some(at);
        }
    }

    fn note(&mut self, entry: &Entry, at: Timestamp) {
        match entry {
            Entry::Started { step, .. } => self.started(*step, at),
            Entry::Applied { step, outcome } => self.applied(*step, outcome, at),
            Entry::Failed { step, error } => self.failed(*step, error, at),
            Entry::Cancelled { reason } => self.record.cancel_reason.clone_from(reason),
            Entry::Restored { step, note, .. } => self.restored(*step, note, at),
            Entry::RestoreFailed { step, error } => self.restore_failed(*step, error, at),
            Entry::Resumed { .. } => self.resumed(at),
        }
    }

    fn started(&mut self, id: StepId, at: Timestamp) {
        if let Some(step) = step_mut(&mut self.record, id) {
            step.started_at = Some(at);
            self.record.switched |= step.switches;
        }
    }

    fn applied(&mut self, id: StepId, outcome: &Outcome, at: Timestamp) {
        self.ended(id, &outcome.note, at);
        let Some(step) = step_mut(&mut self.record, id) else { return };
        step.changed = Some(outcome.changed);
        let name = step.name.clone();
        self.record.warnings.extend(outcome.warnings.iter().map(|warning| format!("{name}: {warning}")));
        self.probed(id, &outcome.probes);
    }

    fn failed(&mut self, id: StepId, error: &Failure, at: Timestamp) {
        self.ended(id, &error.message, at);
        self.probed(id, &error.probes);
        let Some(step) = self.plan.step(id) else { return };
        match step.phase {
            Phase::Settle => self.record.warnings.push(format!("{}: {error}", step.name)),
            Phase::Prepare | Phase::Live if self.record.failure.is_none() => {
                self.record.failure = Some(failure(step, error, at));
            }
            Phase::Prepare | Phase::Live => {}
        }
    }

    fn ended(&mut self, id: StepId, note: &str, at: Timestamp) {
        let resumed_at = self.resumed_at;
        if let Some(step) = step_mut(&mut self.record, id) {
            let since = step.started_at.map(|started| resumed_at.map_or(started, |resumed| started.max(resumed)));
            step.ended_at = Some(at);
            step.elapsed_ms = Some(since.map_or(0, |since| elapsed_ms(since, at)));
            note.clone_into(&mut step.note);
        }
    }

    fn restored(&mut self, id: StepId, note: &str, at: Timestamp) {
        if let Some(step) = step_mut(&mut self.record, id) {
            step.restored_at = Some(at);
            if step.note.is_empty() {
                note.clone_into(&mut step.note);
            }
        }
        if self.record.restore_failure.as_ref().is_some_and(|failure| failure.step == id) {
            self.record.restore_failure = None;
        }
    }

    fn restore_failed(&mut self, id: StepId, error: &Failure, at: Timestamp) {
        self.probed(id, &error.probes);
        self.record.restore_failure = self.plan.step(id).map(|step| failure(step, error, at));
    }

    fn resumed(&mut self, at: Timestamp) {
        self.record.resume_count += 1;
        self.resumed_at = Some(at);
        let exhausted = |state: &next::StepState| *state == next::StepState::Started { resume_count: RESUME_COUNT_MAX };
        let step =
            self.plan.steps.iter().zip(&self.replay.steps).find(|(_, state)| exhausted(state)).map(|(step, _)| step);
        if let Some(step) = step.filter(|step| step.phase != Phase::Settle && self.record.failure.is_none()) {
            let error = Failure::new(format!(
                "{} did not end in {RESUME_COUNT_MAX} attempts: each time its process ended first",
                step.name
            ));
            self.record.failure = Some(failure(step, &error, at));
        }
    }

    fn probed(&mut self, id: StepId, probes: &[ProbeResult]) {
        let Some(step) = self.plan.step(id) else { return };
        let probes =
            probes.iter().map(|result| ProbeRecord { step: id, host: step.host.clone(), result: result.clone() });
        self.record.probes.extend(probes);
    }

    fn finish(mut self) -> DeploymentRecord {
        for (step, state) in self.record.steps.iter_mut().zip(&self.replay.steps) {
            step.state = state_of(*state);
        }
        self.record.outcome = match self.replay.next(self.plan) {
            Next::Done(outcome) => Some(outcome),
            Next::Start(_) | Next::Apply(_) | Next::Restore(_) => None,
        };
        self.record.ended_at = self.record.outcome.and(self.last);
        self.record
    }
}

fn state_of(state: next::StepState) -> StepState {
    match state {
        next::StepState::Pending => StepState::Pending,
        next::StepState::Started { .. } => StepState::Started,
        next::StepState::Applied => StepState::Applied,
        next::StepState::Failed | next::StepState::NeverActed => StepState::Failed,
        next::StepState::Restored => StepState::Restored,
        next::StepState::RestoreFailed => StepState::RestoreFailed,
    }
}

/// Milliseconds from one time to a later one; 0 when the clock ran backwards.
pub(crate) fn elapsed_ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn step_mut(record: &mut DeploymentRecord, id: StepId) -> Option<&mut StepRecord> {
    record.steps.get_mut(id.0 as usize)
}

fn failure(step: &Step<serde_json::Value>, error: &Failure, at: Timestamp) -> FailureRecord {
    FailureRecord {
        step: step.id,
        name: step.name.clone(),
        target: step.target.clone(),
        host: step.host.clone(),
        at,
        failure: Failure { probes: Vec::new(), ..error.clone() },
    }
}

pub(super) fn blank(plan: &Plan) -> DeploymentRecord {
    DeploymentRecord {
        version: RECORD_VERSION,
        deployment: plan.deployment.clone(),
        kind: plan.kind,
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        targets: targets(plan),
        release: plan.release.clone(),
        original: plan.original.clone(),
        forward: plan.forward,
        starts: plan.starts,
        artifact: plan.artifact.clone(),
        commit: plan.commit.clone(),
        subject: plan.subject.clone(),
        committed_at: plan.committed_at,
        dirty: plan.dirty,
        promoted_from: plan.promoted_from.clone(),
        by: plan.by.clone(),
        reason: plan.reason.clone(),
        began_at: plan.made_at,
        ended_at: None,
        outcome: None,
        switched: false,
        cancelled: false,
        cancel_reason: String::new(),
        cancelled_at: None,
        failure: None,
        restore_failure: None,
        stuck_at: None,
        resume_count: 0,
        warnings: Vec::new(),
        elapsed_ms: 0,
        steps: plan.steps.iter().map(blank_step).collect(),
        probes: Vec::new(),
    }
}

fn blank_step(step: &Step<serde_json::Value>) -> StepRecord {
    StepRecord {
        id: step.id,
        name: step.name.clone(),
        target: step.target.clone(),
        host: step.host.clone(),
        phase: step.phase,
        switches: step.switches,
        reversal: step.reversal,
        state: StepState::Pending,
        changed: None,
        started_at: None,
        ended_at: None,
        restored_at: None,
        elapsed_ms: None,
        note: String::new(),
    }
}

fn targets(plan: &Plan) -> Vec<TargetRecord> {
    let mut targets: Vec<TargetRecord> = Vec::new();
    for step in &plan.steps {
        match targets.iter_mut().find(|target| target.name == step.target) {
            Some(target) if target.hosts.contains(&step.host) => {}
            Some(target) => target.hosts.push(step.host.clone()),
            None => targets.push(TargetRecord { name: step.target.clone(), hosts: vec![step.host.clone()] }),
        }
    }
    targets
}
