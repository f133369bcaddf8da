//! A world of slots, and an adapter that writes them and goes wrong when told to.

use crate::fuse::{Fuse, crash};
use cutover_core::plan::{Step, StepId};
use cutover_core::target::{Before, Failure, FailureKind, Outcome, Progress, Restoration, Target, Unwinding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What there is: slots and what is in them.
pub type World = BTreeMap<String, String>;

/// What a fake step does: fills these slots, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots(pub Vec<(String, String)>);

/// What an adapter can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads what the step would replace.
    Capture,
    /// Does the step.
    Apply,
    /// Brings back what was there.
    Restore,
}

/// One thing that goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// In which step.
    pub step: StepId,
    /// In which verb.
    pub verb: Verb,
    /// After how many of the step's slots; more than there are means after all of them.
    pub slot_count: usize,
    /// With what failure; None is a crash.
    pub failure: Option<FailureKind>,
}

/// An adapter whose world outlives the process under test: clones share it.
#[derive(Debug, Clone, Default)]
pub struct FakeTarget {
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<Vec<Fault>>>,
    calls: Arc<Mutex<Vec<(Verb, StepId)>>>,
    fuse: Arc<Fuse>,
}

impl FakeTarget {
    /// An adapter in this world, in which nothing goes wrong.
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)), ..Self::default() }
    }

    /// The same adapter with a fuse that burns before, amid and after everything it does.
    #[must_use]
    pub fn fused(mut self, fuse: Arc<Fuse>) -> Self {
        self.fuse = fuse;
        self
    }

    /// The same adapter with these faults, each of which happens once.
    #[must_use]
    pub fn failing(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults = Arc::new(Mutex::new(faults.into_iter().collect()));
        self
    }

    /// What there is now.
    pub fn world(&self) -> World {
        self.world.lock().expect("a crash never unwinds through here").clone()
    }

    /// What it was asked so far.
    pub fn calls(&self) -> Vec<(Verb, StepId)> {
        self.calls.lock().expect("a crash never unwinds through here").clone()
    }

    fn asked(&self, verb: Verb, step: StepId) -> Option<Fault> {
        self.calls.lock().expect("a crash never unwinds through here").push((verb, step));
        let mut faults = self.faults.lock().expect("a crash never unwinds through here");
        let at = faults.iter().position(|fault| fault.verb == verb && fault.step == step)?;
        Some(faults.remove(at))
    }

    /// Puts values into slots one by one, and goes wrong on the way if it should.
    fn put(&self, values: &[(String, Option<String>)], fault: Option<Fault>) -> Result<(), Failure> {
        for (done, (slot, value)) in values.iter().enumerate() {
            go_wrong(fault.filter(|fault| fault.slot_count == done))?;
            self.fuse.burn();
            let mut world = self.world.lock().expect("a crash never unwinds through here");
            match value {
                Some(value) => drop(world.insert(slot.clone(), value.clone())),
                None => drop(world.remove(slot)),
            }
        }
        self.fuse.burn();
        go_wrong(fault.filter(|fault| fault.slot_count >= values.len()))
    }
}

fn go_wrong(fault: Option<Fault>) -> Result<(), Failure> {
    match fault {
        None => Ok(()),
        Some(Fault { failure: Some(kind), .. }) => Err(Failure::new("told to fail").kind(kind)),
        Some(Fault { failure: None, .. }) => crash(),
    }
}

impl Target for FakeTarget {
    type Action = Slots;

    fn capture(&self, step: &Step<Slots>) -> Result<Before, Failure> {
        let fault = self.asked(Verb::Capture, step.id);
        self.fuse.burn();
        go_wrong(fault)?;
        let world = self.world();
        let image: Vec<_> = step.action.0.iter().map(|(slot, _)| (slot.clone(), world.get(slot).cloned())).collect();
        Before::encode(&image)
    }

    fn apply(&self, step: &Step<Slots>, before: &Before, progress: &dyn Progress) -> Result<Outcome, Failure> {
        let fault = self.asked(Verb::Apply, step.id);
        if progress.cancelled() {
            return Err(Failure::cancelled());
        }
        before.decode::<Vec<(String, Option<String>)>>()?;
        let values: Vec<_> = step.action.0.iter().map(|(slot, value)| (slot.clone(), Some(value.clone()))).collect();
        self.put(&values, fault)?;
        Ok(Outcome::changed(format!("{} slots", values.len())))
    }

    fn restore(
        &self,
        step: &Step<Slots>,
        before: &Before,
        _: Unwinding,
        _: &dyn Progress,
    ) -> Result<Restoration, Failure> {
        let fault = self.asked(Verb::Restore, step.id);
        // A step may fill a slot twice: what was there first is put back last.
        let mut image: Vec<(String, Option<String>)> = before.decode()?;
        image.reverse();
        self.put(&image, fault)?;
        Ok(format!("{} slots", image.len()).into())
    }
}
