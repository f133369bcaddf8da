//! What checks said of commits, as all who share a store know it.

use super::names::Thing;
use super::{AHEAD_MAX, Depot, DepotError};
use crate::store::RECORD_BYTES_MAX;
use cutover_core::artifact::{Digest, is_commit_hash};
use cutover_core::check::CommitChecks;
use jiff::Timestamp;

/// The most that is said of one commit and not yet said as one.
const SAID_COUNT_MAX: usize = 1_000;
/// How often what was said is looked for anew when some of it was just said again by others.
const LOOK_COUNT_MAX: usize = 5;

impl Depot {
    /// What is known there of a commit.
    pub fn checks(&self, commit: &str) -> Result<CommitChecks, DepotError> {
        Ok(self.said(commit)?.0)
    }

    /// Adds what checks said of a commit to what is known there.
    ///
    /// It goes under a name that is nobody else's, so that what two say at one moment is both kept. What it says again is
    /// removed.
    pub fn note_checks(&self, commit: &str, checks: &CommitChecks) -> Result<(), DepotError> {
        if !is_commit_hash(commit) || checks.is_empty() {
            return Ok(());
        }
        let (known, names) = self.said(commit)?;
        let mut all = known.clone();
        all.merge(checks.clone());
        if all == known && names.len() == 1 {
            return Ok(());
        }
        let name = self.names.checks(commit);
        let json = serde_json::to_vec(&all).map_err(|error| self.damaged(&name, &error))?;
        let name = self.names.said(commit, &Digest::of(&json));
        self.objects.put(&name, &mut &json[..])?;
        names.iter().filter(|other| **other != name).try_for_each(|other| Ok(self.objects.remove(other)?))
    }

    /// What is known of a commit, and under which names. What cannot be understood says nothing, and stays.
    fn said(&self, commit: &str) -> Result<(CommitChecks, Vec<String>), DepotError> {
        if !is_commit_hash(commit) {
            return Ok(Default::default());
        }
        for _ in 0..LOOK_COUNT_MAX {
            if let Some(said) = self.look(commit)? {
                return Ok(said);
            }
        }
        Err(self.damaged(&self.names.checks(commit), &"it changes faster than it can be read"))
    }

    /// The same; None where some of it was said again by somebody else meanwhile.
    fn look(&self, commit: &str) -> Result<Option<(CommitChecks, Vec<String>)>, DepotError> {
        let (mut known, mut names) = (CommitChecks::default(), Vec::new());
        let until = Timestamp::now().saturating_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        for listed in self.objects.list(&self.names.checks(commit), SAID_COUNT_MAX)? {
            // What is said again is removed: nothing else that lies there may be.
            if self.names.read(&listed.name) != Some(Thing::Checks(commit)) {
                continue;
            }
            let bytes = match self.read(&listed.name, RECORD_BYTES_MAX) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(None),
                Err(DepotError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let Ok(mut said) = serde_json::from_slice::<CommitChecks>(&bytes) else { continue };
            // The latest word counts, so that one from the future would count for ever. It stays where it is: perhaps it is
            // this machine's clock that is wrong.
            if !said.forget_after(until) {
                names.push(listed.name);
            }
            known.merge(said);
        }
        Ok(Some((known, names)))
    }
}
