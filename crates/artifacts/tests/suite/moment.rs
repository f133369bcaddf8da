//! What two do with one artifact at the same moment, in every order that there is.

use super::super::common::{Bed, head, project};
use super::{DAY, Shared, packed, prune_old, put};
use cutover_artifacts::depot::{
    Content, Depot, DepotError, DepotPruned, Kept, Listed, ObjectError, Objects, Provenance,
};
use cutover_artifacts::{Artifact, ArtifactStore};
use cutover_core::id::EnvironmentName;
use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// More names than any list here has.
pub const LIST_MAX: usize = 1000;

/// A place of some kind, which outlives whoever speaks to it.
pub type AnyPlace = Arc<dyn Shared + Send + Sync>;

/// A place in which something happens before each operation, which says its number, what is done and with which name.
pub struct Watched<F> {
    inner: Box<dyn Objects>,
    before: F,
    count: AtomicUsize,
    list_max: usize,
}

impl<F: Fn(usize, &str, &str) -> Result<(), ObjectError> + Send + Sync + 'static> Watched<F> {
    pub fn depot(inner: Box<dyn Objects>, list_max: usize, before: F) -> Depot {
        let watched = Self { inner, before, count: AtomicUsize::new(0), list_max };
        Depot::new(Box::new(watched), project())
    }

    fn step(&self, doing: &str, name: &str) -> Result<&dyn Objects, ObjectError> {
        (self.before)(self.count.fetch_add(1, Ordering::SeqCst), doing, name)?;
        Ok(&*self.inner)
    }
}

impl<F: Fn(usize, &str, &str) -> Result<(), ObjectError> + Send + Sync + 'static> Objects for Watched<F> {
    fn place(&self) -> &str {
        self.inner.place()
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        self.step("put", name)?.put(name, content)
    }

    fn mark(&self, name: &str) -> Result<(), ObjectError> {
        self.step("mark", name)?.mark(name)
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut fs::File) -> Result<bool, ObjectError> {
        self.step("fetch", name)?.fetch(name, bytes_max, into)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        self.step("read", name)?.read(name, bytes_max)
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        self.step("list", prefix)?.list(prefix, count_max.min(self.list_max))
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        self.step("remove", name)?.remove(name)
    }
}

pub fn production() -> EnvironmentName {
    EnvironmentName::new("production").unwrap()
}

/// What one does with an old artifact while another one prunes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Renew,
    Put,
    /// A file that is there already, byte for byte.
    PutTheSame,
    Note,
}

/// One machine, the artifact that it has packed again, and what it does with that in a place that has the old one.
struct Machine {
    bed: Bed,
    store: ArtifactStore,
    old: Artifact,
    new: Artifact,
    doing: Doing,
}

impl Machine {
    fn new(doing: Doing) -> Self {
        let (mut bed, old) = packed();
        bed.now += 20 * DAY;
        let store = bed.other_store("machine");
        let new = bed.pack_into(&store, &head()).unwrap();
        Self { bed, store, old, new, doing }
    }

    /// A place that has the old artifact.
    fn place(&self, new: &dyn Fn() -> AnyPlace) -> AnyPlace {
        let place = new();
        if self.doing != Doing::PutTheSame {
            put(&place.depot(), &self.bed.store, &self.old).unwrap();
            return place;
        }
        put(&place.depot(), &self.store, &self.new).unwrap();
        let record = format!("sample/artifacts/{}/record.json", self.new.id);
        let mut told: serde_json::Value = serde_json::from_slice(&place.read(&record)).unwrap();
        told["record"]["packed_at"] = self.old.record.packed_at.to_string().into();
        place.tamper(&record, Some(told.to_string().as_bytes()));
        place
    }

    /// Says whether the artifact is there and stays.
    fn act(&self, old: &Kept, depot: &Depot) -> Result<bool, DepotError> {
        match self.doing {
            Doing::Renew => Ok(depot.renew(old.clone(), self.bed.now)?.is_some()),
            Doing::Put | Doing::PutTheSame => {
                let said = Provenance { statement: b"{}".to_vec(), signature: Some(b"by me".to_vec()) };
                depot.put(&mut self.store.export_file(&self.new).unwrap(), Some(&said)).map(|_| true)
            }
            Doing::Note => depot.note_deploying(&production(), &self.new.id, self.bed.now),
        }
    }
}

/// What became of both, where one came in between before this operation of the other.
fn interleave(
    new: &dyn Fn() -> AnyPlace,
    machine: &Arc<Machine>,
    is_pruned_within: bool,
    step: usize,
) -> (Result<bool, DepotError>, Option<DepotPruned>) {
    let (place, now) = (machine.place(new), machine.bed.now);
    let old = place.depot().kept(&machine.new.id).unwrap().unwrap();
    let (told, pruned) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let within = {
        let (place, machine, told, pruned) = (place.clone(), machine.clone(), told.clone(), pruned.clone());
        let old = old.clone();
        move |number: usize, _: &str, _: &str| {
            if number == step && is_pruned_within {
                *pruned.lock().unwrap() = Some(prune_old(&place.depot(), now));
            } else if number == step {
                *told.lock().unwrap() = Some(machine.act(&old, &place.depot()));
            }
            Ok(())
        }
    };
    let depot = Watched::depot(place.objects(), LIST_MAX, within);
    if is_pruned_within {
        *told.lock().unwrap() = Some(machine.act(&old, &depot));
    } else {
        *pruned.lock().unwrap() = Some(prune_old(&depot, now));
    }
    let (told, pruned) = (told.lock().unwrap().take(), pruned.lock().unwrap().take());
    // Whoever comes after the other one is not what this is about.
    let first = told.unwrap_or_else(|| machine.act(&old, &place.depot()));
    let doing = machine.doing;
    let what = format!("{doing:?} {is_pruned_within} {step}: {first:?} {pruned:?}");
    // Who is told to ask again does so.
    let last = match &first {
        Err(DepotError::Leaving { .. }) => machine.act(&old, &place.depot()).unwrap(),
        told => *told.as_ref().unwrap(),
    };
    let standing = place.depot().standing(&machine.new.id).unwrap();
    assert!(standing.as_ref().is_none_or(|there| there.has_file), "{what}: {standing:?}");
    assert_eq!(last, standing.is_some(), "what it says is so: {what}");
    let of_commit = place.depot().of_commit(&machine.new.record.commit).unwrap();
    assert_eq!(of_commit.len(), usize::from(last), "{what}");
    let is_put = matches!(doing, Doing::Put | Doing::PutTheSame);
    let said = standing.as_ref().and_then(|there| place.depot().provenance(&there.kept).unwrap());
    assert!(!is_put || said.is_some_and(|said| said.signature.is_some()), "what was put is signed: {what}");
    if let Some(pruned) = &pruned {
        assert!(pruned.removed.len() == 1 || standing.is_some(), "what stays is there: {what}");
        assert!(is_put || pruned.removed.is_empty() == standing.is_some(), "what was removed is gone: {what}");
    }
    let marks = place.names().into_iter().filter(|name| name.ends_with(".leaving")).count();
    assert_eq!(marks, 0, "{what}");
    (first, pruned)
}

pub fn what_is_put_renewed_or_noted_while_it_is_removed_is_there_exactly_when_that_is_said(new: &dyn Fn() -> AnyPlace) {
    for doing in [Doing::Renew, Doing::Put, Doing::PutTheSame, Doing::Note] {
        let machine = Arc::new(Machine::new(doing));
        for is_pruned_within in [true, false] {
            let mut all = Vec::new();
            for step in 0..24 {
                let (told, pruned) = interleave(new, &machine, is_pruned_within, step);
                if let Some(pruned) = pruned {
                    all.push((matches!(told, Ok(true)), pruned.removed.len()));
                }
            }
            let met: HashSet<_> = all.iter().copied().collect();
            assert!(met.contains(&(true, 0)) && met.len() > 1, "both went first at times: {doing:?} {all:?}");
        }
    }
}

pub fn whoever_renews_what_is_removed_and_then_dies_leaves_no_record_without_a_file(new: &dyn Fn() -> AnyPlace) {
    let machine = Machine::new(Doing::Renew);
    let (place, now) = (machine.place(new), machine.bed.now);
    let id = machine.new.id;
    let (inner, old) = (place.clone(), place.depot().kept(&id).unwrap().unwrap());
    let depot = Watched::depot(place.objects(), LIST_MAX, move |_, doing, name| {
        if doing == "remove" && name.ends_with(".cutover") {
            let told = machine.act(&old, &inner.depot());
            assert!(matches!(told, Err(DepotError::Leaving { .. })), "{told:?}");
        }
        Ok(())
    });
    assert_eq!(prune_old(&depot, now).removed.len(), 1);
    assert_eq!(place.depot().kept(&id).unwrap(), None);
}
