//! Random plans × failures × crashes × cancellations × disturbed journals: the world ends as it should, or the
//! deployment says `stuck`.

use cutover_core::engine::{Engine, Interrupted};
use cutover_core::event::{Event, Observer};
use cutover_core::journal::{Chain, Entry, decode, header};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Phase, Plan, Reversal, Step, StepId};
use cutover_core::record::summarize;
use cutover_core::target::{Cancel, FailureKind};
use cutover_testkit::{
    FakeTarget, Fault, FrozenClock, Fuse, JournalFault, MemoryJournal, Moment, Slots, Survived, Verb, World, fuzz,
    plan, step, surviving,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const CASE_COUNT: u32 = 12_000;
/// After how many engines a deployment must have ended: more than everything that can disturb one.
const ENGINE_COUNT_MAX: usize = 40;

#[derive(Debug, Clone)]
struct Case {
    steps: Vec<Step<Slots>>,
    has_original: bool,
    faults: Vec<Fault>,
    journal_faults: Vec<(u32, JournalFault)>,
    /// How many moments after the last crash, or after the beginning, the next one comes.
    crashes: Vec<u32>,
    /// After how many events each engine in turn is asked to stop.
    cancels: Vec<Option<u32>>,
}

impl Case {
    fn plan(&self) -> Plan<Slots> {
        let plan = plan(self.steps.clone());
        if self.has_original { plan } else { Plan { original: None, ..plan } }
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let faults = prop::collection::vec(fault(), 0..4);
    let journal_faults = prop::collection::vec((0..24_u32, journal_fault()), 0..3);
    let crashes = prop::collection::vec(0..80_u32, 0..6);
    let cancels = prop::collection::vec(prop::option::weighted(0.3, 0..24_u32), 0..2);
    (steps(), prop::bool::weighted(0.8), faults, journal_faults, crashes, cancels).prop_map(
        |(steps, has_original, faults, journal_faults, crashes, cancels)| {
            // Faults name steps by their place modulo the plan's length.
            let step_count = u32::try_from(steps.len()).unwrap();
            let here = |fault: Fault| Fault { step: StepId(fault.step.0 % step_count), ..fault };
            let faults = faults.into_iter().map(here).collect();
            Case { steps, has_original, faults, journal_faults, crashes, cancels }
        },
    )
}

/// Steps share few slots, so that what one replaced another had written: the order of restoring matters.
fn steps() -> impl Strategy<Value = Vec<Step<Slots>>> {
    let phase = prop_oneof![3 => Just(Phase::Prepare), 4 => Just(Phase::Live), 1 => Just(Phase::Settle)];
    let writes = prop::collection::vec((0..4_u8, 0..100_u8), 0..4);
    let drawn = (phase, prop::bool::weighted(0.3), prop::bool::weighted(0.04), writes);
    prop::collection::vec(drawn, 1..10).prop_map(|mut steps| {
        steps.sort_by_key(|(phase, ..)| *phase);
        steps
            .into_iter()
            .zip(0..)
            .map(|((phase, switches, irreversible, writes), id)| {
                let live = phase == Phase::Live;
                let reversal = if irreversible && live { Reversal::Irreversible } else { Reversal::Restorable };
                let own = if phase == Phase::Settle { format!("settled-{id}-") } else { String::new() };
                let fill = |(slot, value): (u8, u8)| (format!("{own}{slot}"), value.to_string());
                let action = Slots(writes.into_iter().map(fill).collect());
                Step { switches: switches && live, reversal, ..step(id, phase, action) }
            })
            .collect()
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    let verb = prop_oneof![1 => Just(Verb::Capture), 5 => Just(Verb::Apply), 3 => Just(Verb::Restore)];
    let failure = prop_oneof![
        3 => Just(Some(FailureKind::Failed)),
        1 => Just(Some(FailureKind::Unhealthy)),
        1 => Just(Some(FailureKind::Cancelled)),
        2 => Just(None),
    ];
    (0..100_u32, verb, 0..5_usize, failure).prop_map(|(step, verb, slot_count, failure)| Fault {
        step: StepId(step),
        verb,
        slot_count,
        failure,
    })
}

fn journal_fault() -> impl Strategy<Value = JournalFault> {
    prop_oneof![
        Just(JournalFault::Fail(Moment::Before)),
        Just(JournalFault::Fail(Moment::After)),
        Just(JournalFault::Crash(Moment::Before)),
        Just(JournalFault::Crash(Moment::After)),
        Just(JournalFault::Overtaken),
    ]
}

/// Asks to stop after so many events.
struct Canceller<'a> {
    cancel: &'a Cancel,
    after: Option<u32>,
    seen: AtomicU32,
}

impl Observer for Canceller<'_> {
    fn event(&self, _: &Event) {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst);
        if self.after.is_some_and(|after| seen >= after) {
            self.cancel.cancel();
        }
    }
}

/// A world in which a case is played.
struct Play {
    plan: Plan<Slots>,
    target: FakeTarget,
    journal: MemoryJournal,
    original: World,
    cancels: Vec<Option<u32>>,
}

impl Play {
    fn of(case: &Case) -> Self {
        let fuse = Arc::new(Fuse::new(case.crashes.iter().copied()));
        let original = World::from([("0".to_owned(), "original".to_owned()), ("1".to_owned(), "original".to_owned())]);
        Self {
            plan: case.plan(),
            target: FakeTarget::new(original.clone()).failing(case.faults.clone()).fused(Arc::clone(&fuse)),
            journal: MemoryJournal::new().failing(case.journal_faults.clone()).fused(fuse),
            original,
            cancels: case.cancels.clone(),
        }
    }

    fn engine(&self, number: usize) -> Survived<Result<DeploymentOutcome, Interrupted>> {
        let cancel = Cancel::new();
        let after = self.cancels.get(number).copied().flatten();
        let observer = Canceller { cancel: &cancel, after, seen: AtomicU32::new(0) };
        let recorded = self.journal.records();
        surviving(|| {
            let mut engine = Engine {
                plan: &self.plan,
                target: &self.target,
                journal: &mut self.journal.clone(),
                observer: &observer,
                clock: &FrozenClock::default(),
                cancel: &cancel,
                by: "tester",
            };
            engine.run(&recorded)
        })
    }

    /// One engine after the other until one ends by itself with something else than a restore to try again.
    fn to_the_end(&self) -> Result<DeploymentOutcome, TestCaseError> {
        for number in 0..ENGINE_COUNT_MAX {
            let count = self.journal.records().len();
            let ended = self.engine(number);
            let grown = self.journal.records().len() - count;
            let grown_max = 3 * self.plan.steps.len() + 3;
            prop_assert!(grown <= grown_max, "one engine appended {grown} entries");
            match ended {
                Survived::Ended(Ok(DeploymentOutcome::Stuck)) if self.restore_failed() => {}
                Survived::Ended(Ok(outcome)) => return Ok(outcome),
                Survived::Ended(Err(_)) | Survived::Crashed => {}
            }
        }
        Err(TestCaseError::fail("it never ends"))
    }

    fn restore_failed(&self) -> bool {
        matches!(self.journal.entries().last(), Some(Entry::RestoreFailed { .. }))
    }

    fn started(&self, wanted: impl Fn(&Step<Slots>) -> bool) -> bool {
        self.journal.entries().iter().any(|entry| match entry {
            Entry::Started { step, .. } => wanted(&self.plan.steps[step.0 as usize]),
            _ => false,
        })
    }

    /// What the world is when everything was done, without what settling steps that failed left.
    fn wanted(&self) -> World {
        let mut world = self.original.clone();
        for step in self.plan.steps.iter().filter(|step| step.phase != Phase::Settle) {
            world.extend(step.action.0.iter().cloned());
        }
        world
    }

    fn world_but_settled(&self) -> World {
        self.target.world().into_iter().filter(|(slot, _)| !slot.starts_with("settled")).collect()
    }
}

fn the_law_holds(case: &Case) -> Result<DeploymentOutcome, TestCaseError> {
    let play = Play::of(case);
    let outcome = play.to_the_end()?;
    the_world_fits(&play, outcome)?;
    the_journal_is_in_order(&play)?;
    the_journal_tells_the_same(&play, outcome)?;
    another_engine_changes_nothing(&play, outcome)?;
    Ok(outcome)
}

fn the_world_fits(play: &Play, outcome: DeploymentOutcome) -> Result<(), TestCaseError> {
    let irreversible = play.started(|step| step.reversal == Reversal::Irreversible);
    let switched = play.started(|step| step.switches);
    let has_original = play.plan.original.is_some();
    match outcome {
        DeploymentOutcome::Deployed => prop_assert_eq!(play.world_but_settled(), play.wanted()),
        DeploymentOutcome::RolledBack => {
            prop_assert_eq!(play.target.world(), play.original.clone());
            prop_assert!(switched && has_original, "rolled back without a switch or an original");
            prop_assert!(!irreversible);
        }
        DeploymentOutcome::Failed => {
            prop_assert_eq!(play.target.world(), play.original.clone());
            prop_assert!(!(switched && has_original), "reached traffic, and only says failed");
            prop_assert!(!irreversible);
        }
        // A restore that failed was tried again until it did not.
        DeploymentOutcome::Stuck => prop_assert!(irreversible, "stuck without a reason"),
    }
    Ok(())
}

fn the_journal_is_in_order(play: &Play) -> Result<(), TestCaseError> {
    let mut started = Vec::new();
    let mut ended: HashMap<StepId, usize> = HashMap::new();
    let mut restored = Vec::new();
    for entry in play.journal.entries() {
        match entry {
            Entry::Started { step, .. } => {
                prop_assert!(restored.is_empty(), "started {} while unwinding", step);
                started.push(step);
            }
            Entry::Applied { step, .. } | Entry::Failed { step, .. } => *ended.entry(step).or_default() += 1,
            Entry::Restored { step, .. } => restored.push(step),
            Entry::Cancelled { .. } | Entry::RestoreFailed { .. } | Entry::Resumed { .. } => {}
        }
    }
    prop_assert!(started.is_sorted_by(|a, b| a < b), "each step is started once, in order");
    prop_assert!(restored.is_sorted_by(|a, b| a > b), "each step is restored once, last first");
    prop_assert!(restored.iter().all(|step| started.contains(step)));
    prop_assert!(ended.values().all(|count| *count == 1), "a step ends once");
    Ok(())
}

fn the_journal_tells_the_same(play: &Play, outcome: DeploymentOutcome) -> Result<(), TestCaseError> {
    let records = play.journal.records();
    let mut chain = Chain::default();
    let mut bytes = chain.encode(&header(&play.plan)).unwrap();
    for record in &records {
        bytes.extend(chain.encode(record).unwrap());
    }
    let read = decode::<Slots>(&bytes).unwrap().unwrap();
    prop_assert_eq!((&read.plan, &read.records, read.sound_bytes), (&play.plan, &records, bytes.len()));
    let plan = play.plan.erased().unwrap();
    let elapsed_ms = (0..=records.len()).map(|count| summarize(&plan, &records[..count]).elapsed_ms);
    prop_assert!(elapsed_ms.is_sorted(), "no entry takes time away");
    let summary = summarize(&plan, &records);
    prop_assert_eq!(summary.outcome, Some(outcome));
    prop_assert_eq!(summary.switched, play.started(|step| step.switches));
    Ok(())
}

fn another_engine_changes_nothing(play: &Play, outcome: DeploymentOutcome) -> Result<(), TestCaseError> {
    let (world, count) = (play.target.world(), play.journal.records().len());
    // The fuse may still be burning; a crash here is one more that must change nothing.
    let again = (0..ENGINE_COUNT_MAX).find_map(|_| match play.engine(ENGINE_COUNT_MAX) {
        Survived::Ended(Ok(outcome)) => Some(outcome),
        Survived::Ended(Err(_)) | Survived::Crashed => None,
    });
    prop_assert_eq!(again, Some(outcome));
    prop_assert_eq!(play.target.world(), world);
    if outcome != DeploymentOutcome::Stuck {
        prop_assert_eq!(play.journal.records().len(), count);
    }
    Ok(())
}

#[test]
fn whatever_happens_the_world_ends_as_it_should_or_the_deployment_is_stuck() {
    let outcomes: RefCell<HashMap<DeploymentOutcome, u32>> = RefCell::default();
    fuzz(CASE_COUNT, &cases(), |case| {
        let outcome = the_law_holds(&case)?;
        *outcomes.borrow_mut().entry(outcome).or_default() += 1;
        Ok(())
    });
    // The cases reach everything that can become of a deployment.
    let outcomes = outcomes.into_inner();
    for outcome in [
        DeploymentOutcome::Deployed,
        DeploymentOutcome::RolledBack,
        DeploymentOutcome::Failed,
        DeploymentOutcome::Stuck,
    ] {
        let count = outcomes.get(&outcome).copied().unwrap_or(0);
        assert!(count >= CASE_COUNT / 100, "only {count} cases ended {outcome:?}: {outcomes:?}");
    }
}
