//! The law: one pure function decides what happens next.

use crate::journal::Entry;
use crate::plan::{Phase, Plan, Reversal, StepId};
use crate::target::{Cause, Unwinding};
use serde::{Deserialize, Serialize};

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentOutcome {
    /// The release is live and verified.
    Deployed,
    /// It had reached traffic and was taken back; the release before it is live and verified.
    RolledBack,
    /// Nothing that runs was changed, or nothing ran before and nothing runs now.
    Failed,
    /// A person is needed.
    Stuck,
}

/// What the engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Capture what the step replaces and journal `Started`.
    Start(StepId),
    /// Apply the step that was started.
    Apply(StepId),
    /// Restore the step.
    Restore(StepId),
    /// Nothing more is to be done.
    Done(DeploymentOutcome),
}

/// How often a step may be taken up again after a crash before it counts as failed.
///
/// Without this bound a step that kills its own process would be repeated for ever.
pub const RESUME_COUNT_MAX: u32 = 3;

/// What the journal says of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    /// Not begun.
    Pending,
    /// Begun, and taken up again so often.
    Started { resume_count: u32 },
    /// Done.
    Applied,
    /// Failed, perhaps half-way.
    Failed,
    /// Failed while capturing: it never acted, so there is nothing to restore.
    NeverActed,
    /// What it replaced is back.
    Restored,
    /// What it replaced could not be brought back.
    RestoreFailed,
}

/// What the journal says of the whole: shared with the summary, so that both read it alike.
pub(crate) struct Replay {
    /// Each step's state, in the plan's order.
    pub(crate) steps: Vec<StepState>,
    /// Whether a cancellation came in time.
    pub(crate) cancelled: bool,
    /// Whether something was brought back that does not run, as it did not before.
    pub(crate) down: bool,
}

/// Decides what happens next, from the plan and what was journaled so far. No IO, no clock.
///
/// - Forward: each step is started, then applied.
/// - A failed step of [`Phase::Prepare`] or [`Phase::Live`], or a cancellation before everything
///   of these phases was applied, unwinds: every step that was started is restored, last first,
///   the failed one included, for a step that failed half-way changed the world.
/// - From the first [`Phase::Settle`] step on, nothing unwinds any more.
/// - A step that cannot be restored ends in `stuck`; a resumption tries it again.
/// - `rolled_back` is said of what was seen healthy: where nothing ran before, and so nothing runs
///   again, the way back ends `failed`.
pub fn next<A>(plan: &Plan<A>, journal: &[Entry]) -> Next {
    Replay::of(plan, journal).next(plan)
}

/// How a deployment ends that is stopped where its journal does, should all come back that is restored.
pub fn stopped<A>(plan: &Plan<A>, journal: &[Entry]) -> DeploymentOutcome {
    let mut replay = Replay::of(plan, journal);
    replay.resume();
    replay.cancelled |= !replay.is_committed(plan);
    // Each step is restored once at most.
    loop {
        match replay.next(plan) {
            Next::Restore(step) => replay.set(step, StepState::Restored),
            Next::Done(outcome) => return outcome,
            // What is not taken back goes on to its end.
            Next::Start(_) | Next::Apply(_) => return DeploymentOutcome::Deployed,
        }
    }
}

/// What the step that is restored now may know of the whole way back.
pub fn unwinding<A>(plan: &Plan<A>, journal: &[Entry], step: StepId) -> Unwinding {
    let replay = Replay::of(plan, journal);
    let acted = |state: &StepState| !matches!(state, StepState::Pending | StepState::NeverActed);
    let (cause, failed) = cause(plan, journal);
    Unwinding {
        cause,
        failed,
        switched: plan.steps.iter().zip(&replay.steps).any(|(step, state)| step.switches && acted(state)),
        went_on: replay.steps.iter().skip(step.0 as usize + 1).any(acted),
    }
}

/// Why everything is being taken back: what first made it so. What came later, like a "stop" while unwinding
/// from a failure, changes nothing about it. With it, the step that failed.
fn cause<A>(plan: &Plan<A>, journal: &[Entry]) -> (Cause, Option<StepId>) {
    let mut replay = Replay::new(plan);
    for entry in journal {
        replay.take(plan, entry);
        if replay.unwinds(plan) {
            let is_cancelled = matches!(entry, Entry::Cancelled { .. });
            return if is_cancelled { (Cause::Cancelled, None) } else { (Cause::Failed, replay.failed(plan)) };
        }
    }
    (Cause::Failed, None)
}

impl Replay {
    /// Nothing happened yet.
    pub(crate) fn new<A>(plan: &Plan<A>) -> Self {
        Self { steps: vec![StepState::Pending; plan.steps.len()], cancelled: false, down: false }
    }

    fn of<A>(plan: &Plan<A>, journal: &[Entry]) -> Self {
        let mut replay = Self::new(plan);
        for entry in journal {
            replay.take(plan, entry);
        }
        replay
    }

    /// What follows from here.
    pub(crate) fn next<A>(&self, plan: &Plan<A>) -> Next {
        if self.unwinds(plan) { unwind(plan, self) } else { forward(plan, self) }
    }

    /// Takes what happened next.
    pub(crate) fn take<A>(&mut self, plan: &Plan<A>, entry: &Entry) {
        match entry {
            Entry::Started { step, .. } => self.set(*step, StepState::Started { resume_count: 0 }),
            Entry::Applied { step, .. } => self.set(*step, StepState::Applied),
            Entry::Failed { step, .. } => self.fail(*step),
            Entry::Restored { step, down, .. } => {
                self.set(*step, StepState::Restored);
                self.down |= down;
            }
            Entry::RestoreFailed { step, .. } => self.set(*step, StepState::RestoreFailed),
            // Too late to cancel once the release is verified: what is live is what was wanted.
            Entry::Cancelled { .. } => self.cancelled |= !self.is_committed(plan),
            Entry::Resumed { .. } => self.resume(),
        }
    }

    fn set(&mut self, step: StepId, state: StepState) {
        if let Some(slot) = self.steps.get_mut(step.0 as usize) {
            *slot = state;
        }
    }

    fn fail(&mut self, step: StepId) {
        let started = matches!(self.steps.get(step.0 as usize), Some(StepState::Started { .. }));
        self.set(step, if started { StepState::Failed } else { StepState::NeverActed });
    }

    fn resume(&mut self) {
        for state in &mut self.steps {
            match state {
                StepState::Started { resume_count } => *resume_count += 1,
                // The step keeps needing its restore; only the verdict on the last try is dropped.
                StepState::RestoreFailed => *state = StepState::Failed,
                StepState::Pending
                | StepState::Applied
                | StepState::Failed
                | StepState::NeverActed
                | StepState::Restored => {}
            }
        }
    }

    fn is_committed<A>(&self, plan: &Plan<A>) -> bool {
        plan.steps
            .iter()
            .zip(&self.steps)
            .all(|(step, state)| step.phase == Phase::Settle || *state == StepState::Applied)
    }

    /// Whether what was started is being taken back.
    pub(crate) fn unwinds<A>(&self, plan: &Plan<A>) -> bool {
        self.cancelled || self.failed(plan).is_some()
    }

    /// The first step whose failure takes everything back.
    fn failed<A>(&self, plan: &Plan<A>) -> Option<StepId> {
        let fails = |state: &StepState| match state {
            StepState::Failed | StepState::NeverActed | StepState::Restored | StepState::RestoreFailed => true,
            StepState::Started { resume_count } => *resume_count >= RESUME_COUNT_MAX,
            StepState::Pending | StepState::Applied => false,
        };
        let mut steps = plan.steps.iter().zip(&self.steps);
        steps.find(|(step, state)| step.phase != Phase::Settle && fails(state)).map(|(step, _)| step.id)
    }
}

fn forward<A>(plan: &Plan<A>, replay: &Replay) -> Next {
    for (step, state) in plan.steps.iter().zip(&replay.steps) {
        match state {
            StepState::Pending => return Next::Start(step.id),
            StepState::Started { resume_count } if *resume_count < RESUME_COUNT_MAX => return Next::Apply(step.id),
            // Only a settling step comes here unapplied: it is reported and passed over.
            StepState::Started { .. }
            | StepState::Applied
            | StepState::Failed
            | StepState::NeverActed
            | StepState::Restored
            | StepState::RestoreFailed => {}
        }
    }
    Next::Done(DeploymentOutcome::Deployed)
}

fn unwind<A>(plan: &Plan<A>, replay: &Replay) -> Next {
    let mut outcome = DeploymentOutcome::Failed;
    for (step, state) in plan.steps.iter().zip(&replay.steps).rev() {
        let irreversible = step.reversal == Reversal::Irreversible;
        match state {
            StepState::Pending | StepState::NeverActed => continue,
            StepState::RestoreFailed => return Next::Done(DeploymentOutcome::Stuck),
            StepState::Started { .. } | StepState::Applied | StepState::Failed if !irreversible => {
                return Next::Restore(step.id);
            }
            StepState::Started { .. } | StepState::Applied | StepState::Failed | StepState::Restored => {}
        }
        if irreversible {
            outcome = DeploymentOutcome::Stuck;
        } else if step.switches && plan.original.is_some() && !replay.down && outcome == DeploymentOutcome::Failed {
            outcome = DeploymentOutcome::RolledBack;
        }
    }
    Next::Done(outcome)
}
