//! Removing from a shared store what nobody needs any more.

use super::names::Thing;
use super::objects::Listed;
use super::{AHEAD_MAX, Depot, DepotError, Kept, NAME_COUNT_MAX};
use crate::record::ArtifactRecord;
use cutover_core::artifact::Digest;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How many artifacts of each environment stay, the last that were brought live there.
const DEPLOYED_COUNT: usize = 20;
/// How old something is before it is taken for what a cut upload left.
const LEFTOVER_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub struct DepotRetention<'a> {
    /// The time now.
    pub now: Timestamp,
    /// How long an artifact is kept after it was last packed.
    pub keep_for: Duration,
    /// Artifacts that stay in any case.
    pub pinned: &'a HashSet<Digest>,
    /// Commits whose artifacts stay in any case.
    pub commits: &'a HashSet<String>,
    /// Whether only to say what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DepotPruned {
    /// Artifacts.
    pub removed: Vec<ArtifactRecord>,
    /// How many artifacts stay.
    pub kept_count: usize,
    /// How many of these are old, and stay because something needs them.
    pub needed_count: usize,
    /// How many other things: what cut uploads left, and notes about what is not there any more.
    pub leftover_count: usize,
    /// What could not be understood, and stays.
    pub damaged: Vec<String>,
}

/// All that is there, by what it belongs to.
#[derive(Default)]
struct Inventory {
    artifacts: BTreeMap<Digest, Vec<Listed>>,
    /// Of commits: what artifacts they have, and what checks said.
    commits: BTreeMap<String, Vec<(Option<Digest>, Listed)>>,
    deployed: HashMap<String, Vec<(Timestamp, Digest, String)>>,
}

impl Depot {
    /// Removes artifacts that are older than they are kept and that nothing needs, and whatever belongs to none.
    ///
    /// An artifact's record is removed first, so that nobody finds one whose file is gone.
    pub fn prune(&self, retention: &DepotRetention<'_>) -> Result<DepotPruned, DepotError> {
        let mut there = self.inventory()?;
        let mut pruned = DepotPruned::default();
        let (live, outdated) = last_deployed(&mut there.deployed, retention.now);
        let mut staying = HashSet::new();
        for (id, listed) in &there.artifacts {
            if self.prune_artifact(retention, &live, id, listed, &mut pruned)? {
                staying.insert(*id);
            }
        }
        for entries in there.commits.values() {
            self.prune_commit(retention, entries, &staying, &mut pruned)?;
        }
        outdated.iter().try_for_each(|name| self.drop_leftover(retention, name, &mut pruned))?;
        if !retention.dry_run {
            self.objects.tidy(self.names.all(), retention.now);
        }
        Ok(pruned)
    }

    fn inventory(&self) -> Result<Inventory, DepotError> {
        let mut there = Inventory::default();
        for listed in self.objects.list(self.names.all(), NAME_COUNT_MAX)? {
            let name = listed.name.clone();
            match self.names.read(&name) {
                Some(Thing::Record(id) | Thing::Part(id, _)) => there.artifacts.entry(id).or_default().push(listed),
                Some(Thing::Commit(commit, id)) => {
                    there.commits.entry(commit.to_owned()).or_default().push((Some(id), listed));
                }
                Some(Thing::Checks(commit)) => {
                    there.commits.entry(commit.to_owned()).or_default().push((None, listed));
                }
                Some(Thing::Deployed(environment, at, id)) => {
                    there.deployed.entry(environment.to_owned()).or_default().push((at, id, listed.name));
                }
                // Somebody else's.
                None => {}
            }
        }
        Ok(there)
    }

    /// Removes an artifact, or what no record speaks of any more; says whether the artifact stays.
    fn prune_artifact(
        &self,
        retention: &DepotRetention<'_>,
        live: &HashSet<Digest>,
        id: &Digest,
        listed: &[Listed],
        pruned: &mut DepotPruned,
    ) -> Result<bool, DepotError> {
        let kept = match self.kept(id) {
            Ok(kept) => kept,
            Err(DepotError::Damaged { name, .. }) => {
                pruned.damaged.push(name);
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let is_old = kept.as_ref().is_some_and(|kept| retention.is_over(kept));
        let is_needed = kept.as_ref().is_some_and(|kept| retention.needs(kept) || live.contains(id));
        if let Some(kept) = kept.as_ref().filter(|_| is_old && !is_needed) {
            pruned.removed.push(kept.record.clone());
            return if retention.dry_run { Ok(false) } else { self.remove_artifact(kept, listed) };
        }
        pruned.kept_count += usize::from(kept.is_some());
        pruned.needed_count += usize::from(is_old && is_needed);
        let is_part = |name: &str| {
            let of_file = kept.as_ref().map(|kept| self.names.file(id, &kept.sha256));
            let stem = of_file.as_deref().and_then(|file| file.strip_suffix("cutover"));
            kept.is_some() && (name == self.names.record(id) || stem.is_some_and(|stem| name.starts_with(stem)))
        };
        let leftovers = listed.iter().filter(|listed| !is_part(&listed.name) && retention.is_leftover(listed));
        leftovers.into_iter().try_for_each(|listed| self.drop_leftover(retention, &listed.name, pruned))?;
        Ok(kept.is_some())
    }

    /// Removes an artifact, unless it was packed again since; says whether it stays.
    fn remove_artifact(&self, kept: &Kept, listed: &[Listed]) -> Result<bool, DepotError> {
        let id = &kept.record.id;
        if self.kept(id)?.is_some_and(|now| now != *kept) {
            return Ok(true);
        }
        let record = self.names.record(id);
        self.objects.remove(&record)?;
        // Somebody who had read it may have renewed it at just that moment: whose record comes now looks for the file, and
        // whose came before is seen here, or after the file is gone.
        if self.kept(id)?.is_some() {
            return Ok(true);
        }
        self.objects.remove(&self.names.commit_artifact(&kept.record.commit, id))?;
        for other in listed.iter().filter(|listed| listed.name != record) {
            self.objects.remove(&other.name)?;
        }
        self.remove_unfounded(kept)?;
        Ok(false)
    }

    /// Removes what is known of a commit when it has no artifact any more.
    fn prune_commit(
        &self,
        retention: &DepotRetention<'_>,
        entries: &[(Option<Digest>, Listed)],
        staying: &HashSet<Digest>,
        pruned: &mut DepotPruned,
    ) -> Result<(), DepotError> {
        if entries.iter().any(|(id, _)| id.is_some_and(|id| staying.contains(&id))) {
            return Ok(());
        }
        // What checks said may be there before the artifact is, and is of use as long as one could be.
        let old = entries.iter().filter(|(id, listed)| match id {
            Some(_) => retention.is_leftover(listed),
            None => {
                retention.age(listed.put_at)
                    > SignedDuration::try_from(retention.keep_for).unwrap_or(SignedDuration::MAX)
            }
        });
        old.into_iter().try_for_each(|(_, listed)| self.drop_leftover(retention, &listed.name, pruned))
    }

    fn drop_leftover(
        &self,
        retention: &DepotRetention<'_>,
        name: &str,
        pruned: &mut DepotPruned,
    ) -> Result<(), DepotError> {
        pruned.leftover_count += 1;
        if retention.dry_run { Ok(()) } else { Ok(self.objects.remove(name)?) }
    }
}

impl DepotRetention<'_> {
    fn age(&self, at: Timestamp) -> SignedDuration {
        self.now.duration_since(at)
    }

    fn is_over(&self, kept: &Kept) -> bool {
        SignedDuration::try_from(self.keep_for).is_ok_and(|keep_for| self.age(kept.record.packed_at) > keep_for)
    }

    fn needs(&self, kept: &Kept) -> bool {
        self.pinned.contains(&kept.record.id) || !kept.record.dirty && self.commits.contains(&kept.record.commit)
    }

    fn is_leftover(&self, listed: &Listed) -> bool {
        self.age(listed.put_at) > LEFTOVER_AGE_MIN
    }
}

/// The artifacts that were last brought live in each environment, and the notes of all that were before them.
///
/// Notes from the future count beside these, so that they oust none.
fn last_deployed(
    deployed: &mut HashMap<String, Vec<(Timestamp, Digest, String)>>,
    now: Timestamp,
) -> (HashSet<Digest>, Vec<String>) {
    let (mut live, mut outdated) = (HashSet::new(), Vec::new());
    for notes in deployed.values_mut() {
        notes.sort_by_key(|(at, id, _)| Reverse((*at, *id)));
        let (ahead, notes): (Vec<_>, Vec<_>) = notes.iter().partition(|(at, ..)| at.duration_since(now) > AHEAD_MAX);
        live.extend(ahead.iter().map(|(_, id, _)| *id));
        let mut last = HashSet::new();
        for (_, id, name) in notes {
            // A later note of the same artifact says all that this one does.
            if last.len() == DEPLOYED_COUNT || !last.insert(*id) {
                outdated.push(name.clone());
            }
        }
        live.extend(last);
    }
    (live, outdated)
}
