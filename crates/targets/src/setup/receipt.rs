//! What setup made on this host, written down before it is made; and what the setups of other environments made.

use super::commands::Owed;
use super::look::Old;
use super::parts::Part;
use super::plan::Made;
use cutover_core::target::Failure;
use cutover_disk::{read_bounded, remove_temporaries, write_atomic};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where receipts lie, one for each environment.
pub(super) const RECEIPTS: &str = "/var/lib/cutover/setup";
/// The version of a receipt.
const VERSION: u32 = 1;
/// The largest one in bytes.
const RECEIPT_BYTES_MAX: u64 = 8 << 20;
/// The most environments of one host.
const RECEIPT_COUNT_MAX: usize = 1000;

/// What one environment has on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    v: u32,
    /// The environment, in the words of people.
    pub(super) title: String,
    /// What was made, in order, also what another environment's setup had made before.
    pub(super) made: Vec<Made>,
    /// What must still be run for it.
    pub(super) owed: Vec<Owed>,
}

impl Claims {
    pub(super) fn none(title: &str) -> Self {
        Self { v: VERSION, title: title.to_owned(), made: Vec::new(), owed: Vec::new() }
    }

    /// What is written down about this thing.
    pub(super) fn made(&self, part: &Part) -> Option<&Made> {
        self.made.iter().find(|made| made.part.is_about(part))
    }
}

/// The receipt of one environment, beside those of the others.
pub(super) struct Receipt {
    path: PathBuf,
    pub(super) own: Claims,
    pub(super) others: Vec<Claims>,
}

impl Receipt {
    #[cfg(test)]
    pub(super) fn of(own: Claims, others: Vec<Claims>) -> Self {
        Self { path: PathBuf::from("/nowhere/receipt.json"), own, others }
    }

    /// Reads it, and the others; one that is not there yet is empty.
    pub(super) fn read(dir: &Path, slug: &str, title: &str) -> Result<Self, Failure> {
        let path = dir.join(format!("{slug}.json"));
        let mut receipt = Self { own: Claims::none(title), others: Vec::new(), path };
        for path in all(dir)? {
            let claims = read(&path)?;
            if path == receipt.path {
                receipt.own = claims;
            } else {
                receipt.others.push(claims);
            }
        }
        Ok(receipt)
    }

    /// Makes the place for it, and clears away what a setup left there that was killed. For whoever has the lock.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        let dir = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(dir).map_err(|error| Failure::new(format!("use {}: {error}", dir.display())))?;
        remove_temporaries(dir, false, &|_| false);
        Ok(())
    }

    /// The other environment that needs this.
    pub(super) fn needed_by(&self, part: &Part) -> Option<&str> {
        let needs = |claims: &&Claims| claims.made.iter().any(|theirs| theirs.part.needs(part));
        self.others.iter().find(needs).map(|claims| claims.title.as_str())
    }

    /// Notes what is about to be made, and what is then to be run. What stood there before the first setup of any environment
    /// is what counts.
    pub(super) fn note(&mut self, made: &Made, owed: Option<Owed>) -> Result<(), Failure> {
        let before = self.before(&made.part, made.before.as_ref());
        match self.own.made.iter_mut().find(|known| known.part.is_about(&made.part)) {
            Some(known) => known.part = made.part.clone(),
            None => self.own.made.push(Made { part: made.part.clone(), before }),
        }
        self.add(owed);
        self.write()
    }

    fn before(&self, part: &Part, found: Option<&Old>) -> Option<Old> {
        match self.others.iter().find_map(|claims| claims.made(part)) {
            Some(theirs) => theirs.before.clone(),
            None => found.cloned(),
        }
    }

    /// Notes what is to be run once something was taken back.
    pub(super) fn owe(&mut self, owed: Option<Owed>) -> Result<(), Failure> {
        if self.add(owed) { self.write() } else { Ok(()) }
    }

    fn add(&mut self, owed: Option<Owed>) -> bool {
        let new = owed.filter(|owed| !self.own.owed.contains(owed));
        let is_new = new.is_some();
        self.own.owed.extend(new);
        is_new
    }

    /// Forgets what was taken back, or what others need.
    pub(super) fn forget(&mut self, part: &Part) -> Result<(), Failure> {
        self.own.made.retain(|known| !known.part.is_about(part));
        self.write()
    }

    /// Forgets what was run.
    pub(super) fn settle(&mut self, owed: &Owed) -> Result<(), Failure> {
        self.own.owed.retain(|known| known != owed);
        self.write()
    }

    /// With the last thing in it the receipt is gone itself.
    fn write(&self) -> Result<(), Failure> {
        if self.own.made.is_empty() && self.own.owed.is_empty() {
            return self.remove();
        }
        let failed = |why: String| Failure::new(format!("write down what setup does: {why}"));
        let text = serde_json::to_vec_pretty(&self.own).map_err(|error| failed(error.to_string()))?;
        write_atomic(&self.path, &text, 0o600).map_err(|error| failed(error.to_string()))
    }

    fn remove(&self) -> Result<(), Failure> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // Others may have theirs there.
        let _ = self.path.ancestors().skip(1).take(2).try_for_each(fs::remove_dir);
        removed.map_err(|error| Failure::new(format!("remove {}: {error}", self.path.display())))
    }
}

/// The files of all receipts.
fn all(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("look into {}: {why}", dir.display()));
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(&error))?,
    };
    let paths: Result<Vec<PathBuf>, io::Error> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let is_receipt = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let mut paths: Vec<PathBuf> = paths.map_err(|error| failed(&error))?.into_iter().filter(is_receipt).collect();
    paths.sort();
    if paths.len() > RECEIPT_COUNT_MAX { Err(failed(&"there are too many receipts")) } else { Ok(paths) }
}

fn read(path: &Path) -> Result<Claims, Failure> {
    let failed = |why: String| {
        Failure::new(format!("read what an earlier setup made, from {}: {why}", path.display())).hint(
            "set up with the version of Cutover that wrote it; or move it away, and nobody takes back what is in it",
        )
    };
    let bytes = read_bounded(path, RECEIPT_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    let claims: Claims = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    if claims.v == VERSION { Ok(claims) } else { Err(failed(format!("its version is {}", claims.v))) }
}
