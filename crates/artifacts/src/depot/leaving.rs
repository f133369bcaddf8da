//! What goes while others may want it: whoever removes says so first, and whoever writes looks for that afterwards.
//!
//! Whoever removes something of an artifact puts a mark beside it, looks once more whether it may go, and takes the mark away
//! last. Whoever puts, renews or notes one looks for marks after that, and only then for what is there. So one of both sees the other:
//! who finds no mark had written before there was one, and was seen; or comes after it, and sees what is gone. Each has a mark of its own,
//! so that nobody takes away another one's.

use super::beneath::random_token;
use super::names::Thing;
use super::{Depot, DepotError, KEPT_BYTES_MAX, Kept, Listed, NAME_COUNT_MAX, ObjectError, Standing};
use cutover_core::artifact::{Digest, is_commit_hash};
use jiff::{SignedDuration, Timestamp};

/// How old a mark is before whoever put it has died.
const LEAVING_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How old a mark is before it is taken away: it has not counted for so long that no clock can be that wrong.
pub(super) const LEFT_AGE_MIN: SignedDuration = SignedDuration::from_hours(2);
/// How long one may remove under a mark; clocks may differ by the rest of its age.
const REMOVAL_TIME_MAX: SignedDuration = SignedDuration::from_mins(10);
/// The largest note that a commit has an artifact, in bytes: it is an id.
const COMMIT_NOTE_BYTES_MAX: u64 = 1 << 10;

/// Somebody's right to remove what is of one artifact, for a while.
pub(super) struct Removal<'d> {
    depot: &'d Depot,
    until: Timestamp,
    mark: String,
}

impl Removal<'_> {
    pub(super) fn remove(&self, name: &str) -> Result<(), DepotError> {
        if Timestamp::now() > self.until {
            let (doing, place) = (format!("remove {name}"), self.depot.place().to_owned());
            let why = format!("it took longer than {REMOVAL_TIME_MAX:#}, and others may count on it by now");
            return Err(ObjectError::Failed { doing, place, why }.into());
        }
        Ok(self.depot.objects.remove(name)?)
    }

    /// Everything that lies there of an artifact, but for this one's own mark.
    pub(super) fn parts(&self, id: &Digest) -> Result<Vec<Listed>, DepotError> {
        let mut parts = self.depot.parts(id)?;
        parts.retain(|listed| listed.name != self.mark);
        Ok(parts)
    }

    /// Removes the record of an artifact whose file is gone; says whether the artifact is there.
    pub(super) fn settle(&self, id: &Digest) -> Result<bool, DepotError> {
        match self.depot.standing(id)? {
            None => Ok(false),
            Some(Standing { has_file: true, .. }) => Ok(true),
            Some(Standing { kept, .. }) => {
                self.remove(&self.depot.names.record(id))?;
                self.remove_link(&kept)?;
                Ok(false)
            }
        }
    }

    /// Removes what leads from its commit to an artifact.
    pub(super) fn remove_link(&self, kept: &Kept) -> Result<(), DepotError> {
        let name = kept.commit().map(|commit| self.depot.names.commit_artifact(commit, &kept.record.id));
        name.map_or(Ok(()), |name| self.remove(&name))
    }
}

impl Depot {
    /// Everything that lies there of an artifact.
    pub(super) fn parts(&self, id: &Digest) -> Result<Vec<Listed>, DepotError> {
        Ok(self.objects.list(&self.names.of_artifact(id), NAME_COUNT_MAX)?)
    }

    /// Removes something of an artifact while whoever writes something of it is told so.
    pub(super) fn removing<T>(
        &self,
        id: &Digest,
        act: impl FnOnce(&Removal<'_>) -> Result<T, DepotError>,
    ) -> Result<T, DepotError> {
        let until = Timestamp::now().saturating_add(REMOVAL_TIME_MAX).unwrap_or_default();
        let token = random_token().map_err(|error| ObjectError::Failed {
            doing: format!("remove artifact {}", id.short()),
            place: self.place().to_owned(),
            why: error.to_string(),
        })?;
        let removal = Removal { depot: self, until, mark: self.names.leaving(id, &token) };
        self.objects.mark(&removal.mark)?;
        let done = act(&removal);
        // What was not answered may still be done: then the mark stays until it is old.
        if matches!(done, Err(DepotError::Object(ObjectError::Unheard { .. }))) {
            return done;
        }
        let unmarked = self.objects.remove(&removal.mark);
        done.and_then(|done| Ok(unmarked.map(|()| done)?))
    }

    /// Says that somebody is removing something of an artifact, where that is so.
    pub(super) fn refuse_leaving(&self, id: &Digest) -> Result<(), DepotError> {
        let now = Timestamp::now();
        let is_mark = |listed: &Listed| matches!(self.names.read(&listed.name), Some(Thing::Leaving(_)));
        let is_alive = |listed: &Listed| now.duration_since(listed.put_at) <= LEAVING_AGE_MAX;
        if self.parts(id)?.iter().any(|listed| is_mark(listed) && is_alive(listed)) {
            return Err(self.leaving(id));
        }
        Ok(())
    }

    /// Whether an artifact that was just written is there and stays, and what is said of it, where that was written as well; an error
    /// while somebody is removing it.
    pub(super) fn stays(&self, kept: &Kept, said: Option<&str>) -> Result<bool, DepotError> {
        let id = &kept.record.id;
        self.refuse_leaving(id)?;
        // Only now: whatever went under a mark that is away again is seen to be gone. The list that has no mark does not tell: a directory's
        // is not of one moment.
        let Some(there) = self.kept(id)? else { return Ok(false) };
        let parts = self.parts(id)?;
        let is_beside = |name: &str| parts.iter().any(|listed| listed.name == name);
        let has_file = is_beside(&self.names.file(id, &there.sha256));
        let is_there = has_file || self.removing(id, |removal| removal.settle(id))?;
        // What is said of it is written before its file is: whoever has removed all that was there in between has removed this alone of
        // what is new.
        Ok(is_there && self.is_led_to(kept)? && said.is_none_or(is_beside))
    }

    /// Whether an artifact is there of which a note was just written; an error while somebody is removing it.
    pub(super) fn remains(&self, id: &Digest) -> Result<bool, DepotError> {
        self.refuse_leaving(id)?;
        // Only now, as above. What is read needs no second list, which is seconds where there is much.
        match self.read(&self.names.record(id), KEPT_BYTES_MAX) {
            Ok(record) => Ok(record.is_some()),
            // Something is there.
            Err(DepotError::Damaged { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether its commit leads to an artifact, where it should.
    fn is_led_to(&self, kept: &Kept) -> Result<bool, DepotError> {
        let name = kept.commit().map(|commit| self.names.commit_artifact(commit, &kept.record.id));
        name.map_or(Ok(true), |name| Ok(self.read(&name, COMMIT_NOTE_BYTES_MAX)?.is_some()))
    }
}

impl Kept {
    /// The commit that leads to it, where one does.
    pub(super) fn commit(&self) -> Option<&str> {
        let record = &self.record;
        (is_commit_hash(&record.commit) && !record.dirty).then_some(record.commit.as_str())
    }
}
