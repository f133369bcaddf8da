//! Removing from a shared store what nobody needs any more.

use super::leaving::{LEFT_AGE_MIN, Removal};
use super::names::Thing;
use super::objects::Listed;
use super::{Depot, DepotError, Kept, NAME_COUNT_MAX, ObjectError, is_ahead};
use crate::record::ArtifactRecord;
use cutover_core::artifact::Digest;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How many artifacts of each environment stay, the last that were brought live there.
const DEPLOYED_COUNT: usize = 20;
/// How long an artifact stays that was about to be brought live, and of which nobody has said what became of it.
const DEPLOYING_AGE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How many characters of ids names are told apart by where there are too many for one list.
const SPLIT_LENGTH_MAX: usize = 8;
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

/// What was removed before something went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct PruneCut {
    /// What went wrong.
    pub error: DepotError,
    /// What was removed before.
    pub pruned: DepotPruned,
}

/// A note of a deployment.
struct Note {
    environment: String,
    is_live: bool,
    at: Timestamp,
    id: Digest,
    name: String,
}

/// What was deployed, as the notes say.
#[derive(Default)]
struct Deployed {
    /// Artifacts that stay for it.
    staying: HashSet<Digest>,
    /// Notes that say nothing any more.
    outdated: Vec<String>,
}

/// What is to become of an artifact.
enum Verdict {
    /// It goes.
    Goes(Box<Kept>),
    /// It stays, or what is there is none; and what lies there beside it and belongs to nothing.
    Stays { is_there: bool, is_old: bool, leftovers: Vec<String> },
    /// Nobody understands its record.
    Unknown(String),
}

/// A prune under way.
struct Sweep<'r> {
    retention: &'r DepotRetention<'r>,
    /// Artifacts that notes speak of and that were not there when it began.
    absent: HashSet<Digest>,
    deployed: Deployed,
    pruned: DepotPruned,
    /// Artifacts that stay.
    staying: HashSet<Digest>,
    /// Artifacts that are gone, or would be, with what led to them.
    going: HashSet<Digest>,
    /// Commits that lead to one that stays.
    commits: HashSet<String>,
}

impl Depot {
    /// Removes artifacts that are older than they are kept and that nothing needs, and whatever belongs to none.
    ///
    /// An artifact's record is removed first, so that nobody finds one whose file is gone. It is looked at twice, the second time
    /// when all others can see that it may go. What was removed before an error is told with that.
    pub fn prune(&self, retention: &DepotRetention<'_>) -> Result<DepotPruned, Box<PruneCut>> {
        let mut sweep = Sweep {
            retention,
            absent: HashSet::new(),
            deployed: Deployed::default(),
            pruned: DepotPruned::default(),
            staying: HashSet::new(),
            going: HashSet::new(),
            commits: HashSet::new(),
        };
        match self.sweep(&mut sweep) {
            Ok(()) => Ok(sweep.pruned),
            // What removes what is old cannot be the way out of there being too much.
            Err(DepotError::Object(error @ ObjectError::TooMuch { .. })) => {
                Err(Box::new(PruneCut { error: DepotError::Crowded(error), pruned: sweep.pruned }))
            }
            Err(error) => Err(Box::new(PruneCut { error, pruned: sweep.pruned })),
        }
    }

    fn sweep(&self, sweep: &mut Sweep<'_>) -> Result<(), DepotError> {
        let notes = self.notes()?;
        for id in notes.iter().map(|note| note.id).collect::<HashSet<_>>() {
            if matches!(self.kept(&id), Ok(None)) {
                sweep.absent.insert(id);
            }
        }
        sweep.deployed = deployed(notes, &sweep.absent, sweep.retention.now);
        self.make_room(sweep)?;
        self.each_listed(&self.names.artifacts_from(""), &mut |listed| self.prune_artifacts(sweep, listed))?;
        self.each_listed(&self.names.commits(), &mut |listed| {
            listed.iter().try_for_each(|listed| self.prune_commit(sweep, listed))
        })?;
        self.each_listed(&self.names.checks_of_all(), &mut |listed| {
            listed.iter().try_for_each(|listed| self.prune_checks(sweep, listed))
        })?;
        Ok(())
    }

    /// Removes what needs no mark, before anything that does: where all is full, there may be no room for one.
    fn make_room(&self, sweep: &mut Sweep<'_>) -> Result<(), DepotError> {
        if !sweep.retention.dry_run {
            self.objects.tidy(self.names.all(), sweep.retention.now);
        }
        let outdated = std::mem::take(&mut sweep.deployed.outdated);
        outdated.iter().try_for_each(|name| self.drop_leftover(sweep, name))
    }

    fn prune_artifacts(&self, sweep: &mut Sweep<'_>, listed: Vec<Listed>) -> Result<(), DepotError> {
        let mut artifacts: BTreeMap<Digest, (Vec<Listed>, bool)> = BTreeMap::new();
        for listed in listed {
            match self.names.read(&listed.name) {
                // It means nothing any more, and holds the room of another one.
                Some(Thing::Leaving(id)) if sweep.retention.age(listed.put_at) > LEFT_AGE_MIN => {
                    self.drop_leftover(sweep, &listed.name)?;
                    artifacts.entry(id).or_default().1 = true;
                }
                Some(Thing::Record(id) | Thing::Part(id, _) | Thing::Leaving(id)) => {
                    artifacts.entry(id).or_default().0.push(listed);
                }
                Some(Thing::Commit(..) | Thing::Checks(_) | Thing::Deploying(..) | Thing::Deployed(..)) | None => {}
            }
        }
        artifacts.iter().try_for_each(|(id, (listed, was_left))| self.prune_artifact(sweep, id, listed, *was_left))
    }

    fn notes(&self) -> Result<Vec<Note>, DepotError> {
        let mut notes = Vec::new();
        for prefix in self.names.notes() {
            for Listed { name, .. } in self.objects.list(&prefix, NAME_COUNT_MAX)? {
                let (environment, at, id, is_live) = match self.names.read(&name) {
                    Some(Thing::Deployed(environment, at, id)) => (environment.to_owned(), at, id, true),
                    Some(Thing::Deploying(environment, at, id)) => (environment.to_owned(), at, id, false),
                    Some(
                        Thing::Record(_) | Thing::Part(..) | Thing::Leaving(_) | Thing::Commit(..) | Thing::Checks(_),
                    )
                    | None => continue,
                };
                notes.push(Note { environment, is_live, at, id, name });
            }
        }
        Ok(notes)
    }

    /// Calls with all names that begin like this, in several lists where there are too many for one.
    fn each_listed(
        &self,
        prefix: &str,
        each: &mut dyn FnMut(Vec<Listed>) -> Result<(), DepotError>,
    ) -> Result<(), DepotError> {
        let told_apart = prefix.rsplit('/').next().unwrap_or_default().len();
        match self.objects.list(prefix, NAME_COUNT_MAX) {
            Err(ObjectError::TooMuch { .. }) if told_apart < SPLIT_LENGTH_MAX => {
                "0123456789abcdef".chars().try_for_each(|next| self.each_listed(&format!("{prefix}{next}"), each))
            }
            listed => each(listed?),
        }
    }

    /// Removes an artifact, or what no record speaks of any more, or what somebody has left who died while removing it.
    fn prune_artifact(
        &self,
        sweep: &mut Sweep<'_>,
        id: &Digest,
        listed: &[Listed],
        was_left: bool,
    ) -> Result<(), DepotError> {
        let first = self.verdict(sweep.retention, &sweep.deployed, id, listed)?;
        let goes = match &first {
            Verdict::Goes(_) => true,
            Verdict::Stays { leftovers, .. } => was_left || !leftovers.is_empty(),
            Verdict::Unknown(_) => false,
        };
        if !goes || sweep.retention.dry_run {
            sweep.count(id, first);
            return Ok(());
        }
        // The second look: whoever has written since was seen by it, and whoever writes from now on sees the mark.
        self.removing(id, |removal| {
            let deployed = deployed(self.notes()?, &sweep.absent, sweep.retention.now);
            let listed = removal.parts(id)?;
            let verdict = self.verdict(sweep.retention, &deployed, id, &listed)?;
            let verdict = self.carry_out(removal, id, &listed, verdict)?;
            sweep.count(id, verdict);
            Ok(())
        })
    }

    fn verdict(
        &self,
        retention: &DepotRetention<'_>,
        deployed: &Deployed,
        id: &Digest,
        listed: &[Listed],
    ) -> Result<Verdict, DepotError> {
        let kept = match self.kept(id) {
            Ok(kept) => kept,
            Err(DepotError::Damaged { name, .. }) => return Ok(Verdict::Unknown(name)),
            Err(error) => return Err(error),
        };
        let record = self.names.record(id);
        let record_put_at = listed.iter().find(|listed| listed.name == record).map(|listed| listed.put_at);
        let is_old = kept.as_ref().is_some_and(|kept| retention.is_over(kept, record_put_at));
        let is_needed = |kept: &Kept| retention.needs(kept) || deployed.staying.contains(id);
        if let Some(kept) = kept.as_ref().filter(|kept| is_old && !is_needed(kept)) {
            return Ok(Verdict::Goes(Box::new(kept.clone())));
        }
        let parts = kept
            .as_ref()
            .map(|kept| [record.clone(), self.names.file(id, &kept.sha256), self.names.provenance(id, &kept.sha256)]);
        let is_part = |name: &String| parts.as_ref().is_some_and(|parts| parts.contains(name));
        let leftovers = listed.iter().filter(|listed| !is_part(&listed.name) && retention.is_leftover(listed));
        let leftovers = leftovers.map(|listed| listed.name.clone()).collect();
        Ok(Verdict::Stays { is_there: kept.is_some(), is_old, leftovers })
    }

    /// Removes what is to go; says what has become of it.
    fn carry_out(
        &self,
        removal: &Removal<'_>,
        id: &Digest,
        listed: &[Listed],
        verdict: Verdict,
    ) -> Result<Verdict, DepotError> {
        match &verdict {
            Verdict::Goes(kept) => {
                let record = self.names.record(id);
                removal.remove(&record)?;
                removal.remove_link(kept)?;
                let is_part = |listed: &&Listed| matches!(self.names.read(&listed.name), Some(Thing::Part(..)));
                listed.iter().filter(is_part).try_for_each(|listed| removal.remove(&listed.name))?;
                // Somebody may have put it there again meanwhile, under names that were not there before.
                if removal.settle(id)? {
                    return Ok(Verdict::Stays { is_there: true, is_old: false, leftovers: Vec::new() });
                }
            }
            Verdict::Stays { leftovers, .. } => {
                leftovers.iter().try_for_each(|name| removal.remove(name))?;
                removal.settle(id)?;
            }
            Verdict::Unknown(_) => {}
        }
        Ok(verdict)
    }

    /// Removes that a commit has an artifact which is not there.
    fn prune_commit(&self, sweep: &mut Sweep<'_>, listed: &Listed) -> Result<(), DepotError> {
        let Some((commit, id)) = self.names.committed(&listed.name) else { return Ok(()) };
        if sweep.staying.contains(&id) {
            sweep.commits.insert(commit.to_owned());
            return Ok(());
        }
        if sweep.going.contains(&id) || !sweep.retention.is_leftover(listed) {
            return Ok(());
        }
        if sweep.retention.dry_run {
            sweep.pruned.leftover_count += 1;
            return Ok(());
        }
        self.removing(&id, |removal| {
            if matches!(self.kept(&id), Ok(None)) {
                removal.remove(&listed.name)?;
                sweep.pruned.leftover_count += 1;
            }
            Ok(())
        })
    }

    /// Removes what checks said of a commit that has no artifact any more. It may be there before an artifact is, and is of use as
    /// long as one could be.
    fn prune_checks(&self, sweep: &mut Sweep<'_>, listed: &Listed) -> Result<(), DepotError> {
        let Some(Thing::Checks(commit)) = self.names.read(&listed.name) else { return Ok(()) };
        let keep_for = SignedDuration::try_from(sweep.retention.keep_for).unwrap_or(SignedDuration::MAX);
        if sweep.commits.contains(commit) || sweep.retention.age(listed.put_at) <= keep_for {
            return Ok(());
        }
        self.drop_leftover(sweep, &listed.name)
    }

    fn drop_leftover(&self, sweep: &mut Sweep<'_>, name: &str) -> Result<(), DepotError> {
        if !sweep.retention.dry_run {
            self.objects.remove(name)?;
        }
        sweep.pruned.leftover_count += 1;
        Ok(())
    }
}

impl Sweep<'_> {
    /// Counts what has become of an artifact, or would.
    fn count(&mut self, id: &Digest, verdict: Verdict) {
        let pruned = &mut self.pruned;
        match verdict {
            Verdict::Goes(kept) => {
                self.going.insert(*id);
                pruned.removed.push(kept.record);
            }
            Verdict::Stays { is_there, is_old, leftovers } => {
                pruned.kept_count += usize::from(is_there);
                pruned.needed_count += usize::from(is_old);
                pruned.leftover_count += leftovers.len();
                if is_there {
                    self.staying.insert(*id);
                }
            }
            Verdict::Unknown(name) => {
                pruned.damaged.push(name);
                self.staying.insert(*id);
            }
        }
    }
}

impl DepotRetention<'_> {
    fn age(&self, at: Timestamp) -> SignedDuration {
        self.now.duration_since(at)
    }

    fn is_over(&self, kept: &Kept, record_put_at: Option<Timestamp>) -> bool {
        let packed_at = kept.record.packed_at;
        // Else what says that it was packed in the future would stay for ever.
        let packed_at = record_put_at.filter(|_| is_ahead(packed_at, self.now)).unwrap_or(packed_at);
        SignedDuration::try_from(self.keep_for).is_ok_and(|keep_for| self.age(packed_at) > keep_for)
    }

    fn needs(&self, kept: &Kept) -> bool {
        self.pinned.contains(&kept.record.id) || !kept.record.dirty && self.commits.contains(&kept.record.commit)
    }

    fn is_leftover(&self, listed: &Listed) -> bool {
        self.age(listed.put_at) > LEFTOVER_AGE_MIN
    }
}

/// The artifacts that were last brought live in each environment or are about to be, and the notes that say nothing beside these.
///
/// Notes from the future count beside the others, so that they oust none; so do those of artifacts that are not there.
fn deployed(mut notes: Vec<Note>, absent: &HashSet<Digest>, now: Timestamp) -> Deployed {
    notes.sort_by_key(|note| Reverse((note.at, note.id)));
    let mut all = Deployed::default();
    let mut last: HashMap<(String, bool), HashSet<Digest>> = HashMap::new();
    for Note { environment, is_live, at, id, name } in notes {
        let says_something = match is_live {
            _ if is_ahead(at, now) => true,
            false => now.duration_since(at) <= DEPLOYING_AGE_MAX,
            true => {
                let last = last.entry((environment, absent.contains(&id))).or_default();
                // A later note of the same artifact says all that this one does.
                last.len() < DEPLOYED_COUNT && last.insert(id)
            }
        };
        if says_something {
            all.staying.insert(id);
        } else {
            all.outdated.push(name);
        }
    }
    all
}
