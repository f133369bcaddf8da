//! The suite that every adapter passes: repeat each step, fail each step in turn, compare the world.
//!
//! An adapter's tests make a [`Bed`] and call [`conforms`], or the single functions where a bed is dear.

use crate::FrozenClock;
use crate::fuse::{Survived, surviving};
use crate::journal::{JournalFault, MemoryJournal, Moment};
use crate::observer::NullObserver;
use cutover_core::engine::{Engine, Interrupted};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Phase, Plan, Reversal, Step, StepId};
use cutover_core::target::{Before, Cancel, Cause, Failure, Outcome, Progress, Restoration, Target, Unwinding};
use serde::Serialize;
use std::fmt::Debug;

/// A world with an adapter in it, and a plan that changes that world.
pub trait Bed {
    /// The adapter.
    type Target: Target<Action: Serialize>;
    /// What can be compared of the world.
    type World: PartialEq + Debug;

    /// The adapter.
    fn target(&self) -> &Self::Target;
    /// A plan that succeeds here.
    fn plan(&self) -> Plan<<Self::Target as Target>::Action>;
    /// The world now, without what may differ from run to run, like times.
    fn world(&self) -> Self::World;
}

/// Runs the whole suite; `fresh` makes the same bed anew each time.
///
/// # Panics
/// When the adapter does not conform.
pub fn conforms<B: Bed>(fresh: impl Fn() -> B) {
    repeating_each_step_equals_doing_it_once(&fresh(), &fresh());
    let step_count = fresh().plan().steps.len();
    for at in 0..step_count {
        for failing in [Failing::Before, Failing::After] {
            a_failing_step_brings_the_original_back(&fresh(), at, failing);
        }
    }
    for append in 0.. {
        let crashes = [Moment::Before, Moment::After].map(|moment| a_crash_is_recovered_from(&fresh(), append, moment));
        if !crashes.contains(&true) {
            return;
        }
    }
}

/// When a failing step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Instead of acting.
    Before,
    /// After having acted.
    After,
}

/// Checks that a world in which each step was applied twice equals one in which it was applied once, and that
/// restoring each twice brings the original back; and that capturing changes nothing.
///
/// # Panics
/// When it does not.
pub fn repeating_each_step_equals_doing_it_once<B: Bed>(once: &B, twice: &B) {
    let outcome = drive(once, &Faulty::sound(once.target()), MemoryJournal::new());
    assert_eq!(outcome.expect("a journal in memory"), DeploymentOutcome::Deployed);
    let mut done = Vec::new();
    let original = twice.world();
    let plan = twice.plan();
    for step in &plan.steps {
        let world = twice.world();
        let before = twice.target().capture(step).unwrap_or_else(|e| panic!("capture {}: {e}", step.name));
        assert_eq!(twice.world(), world, "capturing {} changed the world", step.name);
        for _ in 0..2 {
            twice.target().apply(step, &before, &Silent).unwrap_or_else(|e| panic!("apply {}: {e}", step.name));
        }
        done.push((step, before));
    }
    assert_eq!(twice.world(), once.world(), "applying twice differs from applying once");
    if plan.steps.iter().any(|step| step.reversal == Reversal::Irreversible || step.phase == Phase::Settle) {
        return;
    }
    let unwinding = Unwinding { cause: Cause::Failed, failed: None, switched: true, went_on: true };
    for (step, before) in done.iter().rev() {
        for _ in 0..2 {
            let restored = twice.target().restore(step, before, unwinding, &Silent);
            restored.unwrap_or_else(|e| panic!("restore {}: {e}", step.name));
        }
    }
    assert_eq!(twice.world(), original, "restoring twice does not bring the original back");
}

/// Checks that the original is back after the step at this place failed, or that the deployment says `stuck`
/// because something irreversible had begun. A settling step's failure takes nothing back.
///
/// # Panics
/// When it is not.
pub fn a_failing_step_brings_the_original_back<B: Bed>(bed: &B, at: usize, failing: Failing) {
    let original = bed.world();
    let plan = bed.plan();
    let step = &plan.steps[at];
    let target = Faulty { inner: bed.target(), fault: Some((step.id, failing)) };
    let outcome = drive(bed, &target, MemoryJournal::new()).expect("a journal in memory");
    let begun = &plan.steps[..=at];
    let expected = if step.phase == Phase::Settle {
        DeploymentOutcome::Deployed
    } else if begun.iter().any(|step| step.reversal == Reversal::Irreversible) {
        DeploymentOutcome::Stuck
    } else if plan.original.is_some() && begun.iter().any(|step| step.switches) {
        DeploymentOutcome::RolledBack
    } else {
        DeploymentOutcome::Failed
    };
    assert_eq!(outcome, expected, "{} failing {failing:?} acting", step.name);
    if matches!(outcome, DeploymentOutcome::RolledBack | DeploymentOutcome::Failed) {
        assert_eq!(bed.world(), original, "{} failing {failing:?} acting", step.name);
    }
}

/// Checks that a deployment whose engine crashed around this append, counted from 0, is brought to its end by the
/// next engine. Says whether there was such an append.
///
/// # Panics
/// When it is not.
pub fn a_crash_is_recovered_from<B: Bed>(bed: &B, append: u32, moment: Moment) -> bool {
    let journal = MemoryJournal::new().failing([(append, JournalFault::Crash(moment))]);
    let target = Faulty::sound(bed.target());
    let crashed = match surviving(|| drive(bed, &target, journal.clone())) {
        Survived::Crashed => true,
        Survived::Ended(outcome) => {
            assert_eq!(outcome.expect("a journal in memory"), DeploymentOutcome::Deployed);
            false
        }
    };
    let outcome = drive(bed, &target, journal).expect("a journal in memory");
    assert_eq!(outcome, DeploymentOutcome::Deployed, "after a crash {moment:?} append {append}");
    crashed
}

fn drive<B: Bed>(
    bed: &B,
    target: &Faulty<'_, B::Target>,
    mut journal: MemoryJournal,
) -> Result<DeploymentOutcome, Interrupted> {
    let recorded = journal.records();
    let mut engine = Engine {
        plan: &bed.plan(),
        target,
        journal: &mut journal,
        observer: &NullObserver,
        clock: &FrozenClock::default(),
        cancel: &Cancel::new(),
        by: "conformance",
    };
    engine.run(&recorded)
}

/// An adapter that fails at one step.
struct Faulty<'a, T> {
    inner: &'a T,
    fault: Option<(StepId, Failing)>,
}

impl<'a, T> Faulty<'a, T> {
    fn sound(inner: &'a T) -> Self {
        Self { inner, fault: None }
    }
}

impl<T: Target> Target for Faulty<'_, T> {
    type Action = T::Action;

    fn capture(&self, step: &Step<T::Action>) -> Result<Before, Failure> {
        self.inner.capture(step)
    }

    fn apply(&self, step: &Step<T::Action>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure> {
        let fault = self.fault.filter(|(id, _)| *id == step.id).map(|(_, failing)| failing);
        let told = || Failure::new("told to fail");
        match fault {
            None => self.inner.apply(step, before, progress),
            Some(Failing::Before) => Err(told()),
            Some(Failing::After) => self.inner.apply(step, before, progress).and_then(|_| Err(told())),
        }
    }

    fn restore(
        &self,
        step: &Step<T::Action>,
        before: &Before,
        unwinding: Unwinding,
        progress: &dyn Progress,
    ) -> Result<Restoration, Failure> {
        self.inner.restore(step, before, unwinding, progress)
    }
}

/// Progress that nobody follows.
pub struct Silent;

impl Progress for Silent {
    fn advance(&self, _: u64, _: u64, _: &'static str) {}
    fn output(&self, _: &str) {}
    fn probed(&self, _: &cutover_core::probe::ProbeResult) {}
    fn cancelled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{FakeTarget, Slots, World};
    use crate::{plan, step};

    struct FakeBed<T> {
        target: T,
        fake: FakeTarget,
    }

    impl<T: Target<Action = Slots>> Bed for FakeBed<T> {
        type Target = T;
        type World = World;

        fn target(&self) -> &T {
            &self.target
        }

        fn plan(&self) -> Plan<Slots> {
            let fill = |slots: &[(&str, &str)]| Slots(slots.iter().map(|(s, v)| ((*s).into(), (*v).into())).collect());
            let mut steps = vec![
                step(0, Phase::Prepare, fill(&[("release", "r2")])),
                step(1, Phase::Live, fill(&[("env", "new"), ("current", "r2")])),
                step(2, Phase::Live, fill(&[("service", "r2")])),
            ];
            steps[1].switches = true;
            plan(steps)
        }

        fn world(&self) -> World {
            self.fake.world()
        }
    }

    fn world() -> World {
        [("current", "r1"), ("service", "r1")].map(|(slot, value)| (slot.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn the_fake_adapter_conforms() {
        conforms(|| {
            let fake = FakeTarget::new(world());
            FakeBed { target: fake.clone(), fake }
        });
    }

    /// Restores nothing, and says that it did.
    struct Careless(FakeTarget);

    impl Target for Careless {
        type Action = Slots;

        fn capture(&self, step: &Step<Slots>) -> Result<Before, Failure> {
            self.0.capture(step)
        }

        fn apply(&self, step: &Step<Slots>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure> {
            self.0.apply(step, before, progress)
        }

        fn restore(&self, _: &Step<Slots>, _: &Before, _: Unwinding, _: &dyn Progress) -> Result<Restoration, Failure> {
            Ok(Restoration::default())
        }
    }

    #[test]
    #[should_panic(expected = "failing")]
    fn an_adapter_that_restores_nothing_is_found_out() {
        let fake = FakeTarget::new(world());
        let bed = FakeBed { target: Careless(fake.clone()), fake };
        a_failing_step_brings_the_original_back(&bed, 2, Failing::After);
    }
}
