//! The engine: records, then acts; stops when it cannot record; tells what it does.

#![allow(clippy::unwrap_used)]

use cutover_core::engine::{Clock, Engine, Interrupted};
use cutover_core::event::{Event, Observer};
use cutover_core::journal::{Entry, Journal, JournalError, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Phase, Plan, Step, StepId};
use cutover_core::probe::ProbeResult;
use cutover_core::target::{
    Before, Cancel, Cause, Failure, FailureKind, Outcome, Progress, Restoration, Target, Unwinding,
};
use cutover_testkit::{
    FakeTarget, Fault, FrozenClock, JournalFault, MemoryJournal, Moment, NullObserver, RecordingObserver, Slots, Story,
    Verb, World, minute, plan, step,
};
use jiff::SignedDuration;
use std::sync::Mutex;

/// Stages, switches and prunes; each step fills one slot.
fn three_steps() -> Plan<Slots> {
    let fill = |slot: &str| Slots(vec![(slot.to_owned(), "new".to_owned())]);
    let mut steps = vec![
        step(0, Phase::Prepare, fill("staged")),
        step(1, Phase::Live, fill("live")),
        step(2, Phase::Settle, fill("tidy")),
    ];
    steps[1].switches = true;
    plan(steps)
}

fn drive<T: Target<Action = Slots>>(
    target: &T,
    journal: &MemoryJournal,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<DeploymentOutcome, Interrupted> {
    let recorded = journal.records();
    drive_from(&recorded, target, journal, observer, cancel)
}

fn drive_from<T: Target<Action = Slots>>(
    recorded: &[Record],
    target: &T,
    journal: &MemoryJournal,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<DeploymentOutcome, Interrupted> {
    let mut engine = Engine {
        plan: &three_steps(),
        target,
        journal: &mut journal.clone(),
        observer,
        clock: &FrozenClock::default(),
        cancel,
        by: "tester",
    };
    engine.run(recorded)
}

fn fail(step: u32, verb: Verb, failure: FailureKind) -> Fault {
    Fault { step: StepId(step), verb, slot_count: 1, failure: Some(failure) }
}

#[test]
fn when_the_journal_cannot_be_written_nothing_more_is_done() {
    for appends in 0..6 {
        let target = FakeTarget::new(World::new());
        let journal = MemoryJournal::new().failing([(appends, JournalFault::Fail(Moment::Before))]);
        let error = drive(&target, &journal, &NullObserver, &Cancel::new()).unwrap_err();
        assert!(matches!(error.0, JournalError::Io { .. }));
        // Each step appends twice: before it acts and after.
        let applied = target.calls().iter().filter(|(verb, _)| *verb == Verb::Apply).count();
        assert_eq!(applied, (appends as usize).div_ceil(2), "after {appends} appends");
        assert_eq!(drive(&target, &journal, &NullObserver, &Cancel::new()).unwrap(), DeploymentOutcome::Deployed);
    }
}

#[test]
fn of_two_engines_that_drive_one_plan_the_second_to_append_stops() {
    let (target, journal) = (FakeTarget::new(World::new()), MemoryJournal::new());
    assert_eq!(drive(&target, &journal, &NullObserver, &Cancel::new()).unwrap(), DeploymentOutcome::Deployed);
    let records = journal.records();
    for known in 0..records.len() {
        let late = FakeTarget::new(World::new());
        let error = drive_from(&records[..known], &late, &journal, &NullObserver, &Cancel::new()).unwrap_err();
        assert!(matches!(error.0, JournalError::Conflict { .. }));
        assert!(late.world().is_empty(), "it acted though it knew only {known} entries");
    }
    assert_eq!(journal.records(), records);
}

#[test]
fn a_journal_refuses_a_number_that_is_not_the_next() {
    let mut journal = MemoryJournal::new();
    let entry = Entry::Resumed { by: "tester".to_owned() };
    journal.append(1, &entry).unwrap();
    for seq in [0, 1, 3] {
        let error = journal.append(seq, &entry).unwrap_err();
        assert!(matches!(error, JournalError::Conflict { found: 2, .. }));
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Began { resumed, .. } => format!("began resumed={resumed}"),
        Event::Recorded { record } => format!("{} {}", record.seq, entry_name(&record.entry)),
        Event::Ended { outcome, elapsed_ms, .. } => format!("ended {outcome:?} {elapsed_ms}"),
        Event::Progressed { .. }
        | Event::Output { .. }
        | Event::Probed { .. }
        | Event::Waiting { .. }
        | Event::Silent { .. }
        | Event::Fleet { .. }
        | Event::OnHost { .. }
        | Event::Stands { .. }
        | Event::Wave { .. }
        | Event::FleetEnded { .. } => "said".to_owned(),
    }
}

fn entry_name(entry: &Entry) -> String {
    let text = serde_json::to_value(entry).unwrap();
    text.as_object().unwrap().keys().next().unwrap().clone()
}

fn told(observer: &RecordingObserver) -> Vec<String> {
    observer.events().iter().map(name).collect()
}

#[test]
fn every_entry_is_told_after_it_was_recorded() {
    let target = FakeTarget::new(World::new()).failing([fail(1, Verb::Apply, FailureKind::Unhealthy)]);
    let (journal, observer) = (MemoryJournal::new(), RecordingObserver::default());
    drive(&target, &journal, &observer, &Cancel::new()).unwrap();
    let expected = [
        "began resumed=false",
        "1 started",
        "2 applied",
        "3 started",
        "4 failed",
        "5 restored",
        "6 restored",
        "ended RolledBack 0",
    ];
    assert_eq!(told(&observer), expected);
}

#[test]
fn a_resumption_says_so_and_who_it_is() {
    let target = FakeTarget::new(World::new());
    let journal = MemoryJournal::new().failing([(3, JournalFault::Fail(Moment::Before))]);
    drive(&target, &journal, &NullObserver, &Cancel::new()).unwrap_err();
    let observer = RecordingObserver::default();
    drive(&target, &journal, &observer, &Cancel::new()).unwrap();
    assert_eq!(told(&observer)[..3], ["began resumed=true", "4 resumed", "5 applied"]);
    assert_eq!(journal.entries()[3], Entry::Resumed { by: "tester".to_owned() });
}

#[test]
fn asking_to_stop_before_the_beginning_does_nothing() {
    let (target, journal, cancel) = (FakeTarget::new(World::new()), MemoryJournal::new(), Cancel::new());
    cancel.cancel();
    assert_eq!(drive(&target, &journal, &NullObserver, &cancel).unwrap(), DeploymentOutcome::Failed);
    assert!(target.calls().is_empty());
}

/// Asks to stop when this many entries were recorded.
struct StopAt<'a>(u64, &'a Cancel);

impl Observer for StopAt<'_> {
    fn event(&self, event: &Event) {
        if matches!(event, Event::Recorded { record } if record.seq == self.0) {
            self.1.cancel();
        }
    }
}

#[test]
fn asking_to_stop_takes_back_what_is_not_verified_and_lets_the_rest_settle() {
    let expected = [
        (1, DeploymentOutcome::Failed),
        (2, DeploymentOutcome::Failed),
        (3, DeploymentOutcome::RolledBack),
        (4, DeploymentOutcome::Deployed),
        (5, DeploymentOutcome::Deployed),
        (6, DeploymentOutcome::Deployed),
    ];
    for (seq, outcome) in expected {
        let (target, journal, cancel) = (FakeTarget::new(World::new()), MemoryJournal::new(), Cancel::new());
        assert_eq!(drive(&target, &journal, &StopAt(seq, &cancel), &cancel).unwrap(), outcome, "at entry {seq}");
        assert_eq!(target.world().len(), if outcome == DeploymentOutcome::Deployed { 3 } else { 0 });
    }
}

/// Remembers why its steps were restored.
struct Asked(FakeTarget, Mutex<Vec<Cause>>);

impl Target for Asked {
    type Action = Slots;

    fn capture(&self, step: &Step<Slots>) -> Result<Before, Failure> {
        self.0.capture(step)
    }

    fn apply(&self, step: &Step<Slots>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure> {
        self.0.apply(step, before, progress)
    }

    fn restore(
        &self,
        step: &Step<Slots>,
        before: &Before,
        unwinding: Unwinding,
        progress: &dyn Progress,
    ) -> Result<Restoration, Failure> {
        assert!(!progress.cancelled(), "restoring cannot be cancelled");
        self.1.lock().unwrap().push(unwinding.cause);
        self.0.restore(step, before, unwinding, progress)
    }
}

#[test]
fn an_adapter_is_told_what_first_made_its_step_go_back() {
    // Given a step that fails, and a person who asks to stop while it is taken back.
    let fake = FakeTarget::new(World::new()).failing([fail(1, Verb::Apply, FailureKind::Unhealthy)]);
    let (target, cancel) = (Asked(fake, Mutex::default()), Cancel::new());
    drive(&target, &MemoryJournal::new(), &StopAt(4, &cancel), &cancel).unwrap();
    assert_eq!(*target.1.lock().unwrap(), [Cause::Failed, Cause::Failed]);
    // Given only the person.
    let (target, cancel) = (Asked(FakeTarget::new(World::new()), Mutex::default()), Cancel::new());
    drive(&target, &MemoryJournal::new(), &StopAt(2, &cancel), &cancel).unwrap();
    assert_eq!(*target.1.lock().unwrap(), [Cause::Cancelled]);
    // Given a step that ends its process each time.
    let target = Asked(FakeTarget::new(World::new()), Mutex::default());
    let journal = MemoryJournal::new();
    let started =
        Entry::Started { step: StepId(0), before: Before::encode(&Vec::<(String, Option<String>)>::new()).unwrap() };
    let resumed = Entry::Resumed { by: "tester".to_owned() };
    for (entry, seq) in [started, resumed.clone(), resumed].iter().zip(1..) {
        journal.clone().append(seq, entry).unwrap();
    }
    drive(&target, &journal, &NullObserver, &Cancel::new()).unwrap();
    assert_eq!(*target.1.lock().unwrap(), [Cause::Failed]);
}

/// Goes an hour back each time it is asked.
struct Backwards(FrozenClock);

impl Clock for Backwards {
    fn now(&self) -> jiff::Timestamp {
        self.0.advance(SignedDuration::from_hours(-1));
        self.0.now()
    }
}

#[test]
fn a_clock_that_jumps_back_gives_no_negative_time() {
    let (target, observer) = (FakeTarget::new(World::new()), RecordingObserver::default());
    let mut engine = Engine {
        plan: &three_steps(),
        target: &target,
        journal: &mut MemoryJournal::new(),
        observer: &observer,
        clock: &Backwards(FrozenClock::at(minute(0))),
        cancel: &Cancel::new(),
        by: "tester",
    };
    engine.run(&[]).unwrap();
    assert_eq!(told(&observer).last().unwrap(), "ended Deployed 0");
}

/// Says far more than anybody reads.
struct Loud;

impl Loud {
    fn text() -> String {
        "é".repeat(1 << 20)
    }

    fn probes() -> Vec<ProbeResult> {
        let Entry::Failed { error, .. } = &Story::new(1).rolled_back().1[3].entry else { panic!("it failed") };
        let probe = ProbeResult { error: Self::text(), ..error.probes[0].clone() };
        (0..200).map(|number| ProbeResult { attempt_count: number, ..probe.clone() }).collect()
    }
}

impl Target for Loud {
    type Action = Slots;

    fn capture(&self, _step: &Step<Slots>) -> Result<Before, Failure> {
        Ok(Before::default())
    }

    fn apply(&self, step: &Step<Slots>, _before: &Before, _progress: &dyn Progress) -> Result<Outcome, Failure> {
        if step.id == StepId(0) {
            let warnings = (0..200).map(|_| Self::text()).collect();
            return Ok(Outcome { warnings, ..Outcome::changed(Self::text()) });
        }
        let failure = Failure::new(format!("unhealthy: {}", Self::text())).hint(Self::text());
        Err(Failure { probes: Self::probes(), log: Some(Self::text()), excerpt: Self::text(), ..failure })
    }

    fn restore(&self, _: &Step<Slots>, _: &Before, _: Unwinding, _: &dyn Progress) -> Result<Restoration, Failure> {
        Ok(Self::text().into())
    }
}

#[test]
fn whatever_a_step_says_its_entry_fits_into_the_reserved_room() {
    let journal = MemoryJournal::new();
    let outcome = drive(&Loud, &journal, &NullObserver, &Cancel::new()).unwrap();
    assert_eq!(outcome, DeploymentOutcome::RolledBack);
    let records = journal.records();
    let bytes: usize = records.iter().map(|record| serde_json::to_vec(record).unwrap().len()).sum();
    assert!(bytes < 256 * 1024, "{bytes}");
    let failed = records.iter().find_map(|record| match &record.entry {
        Entry::Failed { error, .. } => Some(error),
        _ => None,
    });
    let failed = failed.unwrap();
    assert!(failed.message.starts_with("unhealthy: éé") && failed.message.ends_with(" bytes more)"));
    assert_eq!(failed.probes.last().unwrap().attempt_count, 199, "the last ones are kept");
}
