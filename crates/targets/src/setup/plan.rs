//! What setup will do: decided from what a host shall have, what it has, and what an earlier setup made there.

use super::commands::{Argv, Owed, Running, making, taking_back};
use super::look::{Found, Old};
use super::parts::Part;
use super::receipt::{Claims, Receipt};
use cutover_core::target::Failure;
use serde::{Deserialize, Serialize};

/// Something that setup made, and what stood there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The part.
    pub part: Part,
    /// What it replaced; None: nothing was there.
    pub before: Option<Old>,
}

/// One change of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Make a part, where this stands now.
    Make(Made),
    /// Write down that this environment needs, too, what another one's setup made.
    Share(Made),
    /// Take back what an earlier setup made.
    TakeBack(Made),
    /// Leave what another environment needs, and forget that this one did.
    Leave {
        /// What stays.
        made: Made,
        /// The other environment.
        needed_by: String,
    },
}

/// What is made or taken back, in order.
pub(super) fn plan(parts: Vec<(Part, Found)>, receipt: &Receipt) -> Result<Vec<Change>, Failure> {
    parts.iter().try_for_each(|(part, _)| check_alone(part, receipt))?;
    let is_wanted = |made: &Made| parts.iter().any(|(part, _)| part.is_about(&made.part));
    // Others may have had their keys let in: one's own setup takes nobody's away.
    let is_key = |made: &Made| matches!(made.part, Part::Line { .. });
    let obsolete = receipt.own.made.iter().rev().filter(|made| !is_key(made) && !is_wanted(made));
    let obsolete: Vec<Change> = obsolete.map(|made| end(made, receipt)).collect();
    let missing = parts.into_iter().filter_map(|(part, found)| match found {
        Found::Right => share(part, receipt),
        Found::Absent => Some(Change::Make(Made { part, before: None })),
        Found::Other(old) => Some(Change::Make(Made { part, before: Some(old) })),
    });
    Ok(missing.chain(obsolete).collect())
}

/// Two environments that want different things in one place would take turns for ever.
fn check_alone(part: &Part, receipt: &Receipt) -> Result<(), Failure> {
    let contradicts = |claims: &&Claims| claims.made.iter().any(|theirs| part.contradicts(&theirs.part));
    let Some(other) = receipt.others.iter().find(contradicts) else { return Ok(()) };
    Err(Failure::new(format!("prepare the host: {} wants {} otherwise", other.title, part.name()))
        .hint("give each environment units and directories of its own, or set up the other one with --remove first"))
}

/// What stands as it shall is written down when another environment made it, for that one may go.
fn share(part: Part, receipt: &Receipt) -> Option<Change> {
    let theirs = receipt.others.iter().find_map(|claims| claims.made(&part))?;
    let is_new = receipt.own.made(&part).is_none();
    is_new.then(|| Change::Share(Made { part, before: theirs.before.clone() }))
}

fn end(made: &Made, receipt: &Receipt) -> Change {
    let made = made.clone();
    match receipt.needed_by(&made.part) {
        Some(other) => Change::Leave { made, needed_by: other.to_owned() },
        None => Change::TakeBack(made),
    }
}

/// Everything that an earlier setup made, last first.
pub(super) fn removal(receipt: &Receipt) -> Vec<Change> {
    receipt.own.made.iter().rev().map(|made| end(made, receipt)).collect()
}

impl Change {
    /// The part that it is about, and what stood or stands there.
    pub fn made(&self) -> &Made {
        match self {
            Self::Make(made) | Self::Share(made) | Self::TakeBack(made) | Self::Leave { made, .. } => made,
        }
    }

    /// The unit that ends with it.
    pub(super) fn unit(&self) -> Option<Running<'_>> {
        match self {
            Self::TakeBack(made) => Running::of(&made.part),
            Self::Make(_) | Self::Share(_) | Self::Leave { .. } => None,
        }
    }

    /// The programs that do it; none for what is done to files alone.
    pub fn commands(&self) -> Vec<Argv> {
        match self {
            Self::Make(Made { part, .. }) => making(part),
            Self::TakeBack(Made { part, before }) => taking_back(part, before.is_some()),
            Self::Share(_) | Self::Leave { .. } => Vec::new(),
        }
    }
}

/// What is to be run after these changes, beside what an earlier setup still owes.
pub(super) fn afterwards(changes: &[Change], owed: &[Owed]) -> Vec<Owed> {
    let makes_or_takes_back = |change: &&Change| matches!(change, Change::Make(_) | Change::TakeBack(_));
    let new = changes.iter().filter(makes_or_takes_back).filter_map(|change| Owed::after(&change.made().part));
    // A manager goes with its user.
    let user_goes = changes.iter().any(|change| change.commands().iter().any(|argv| argv[0] == "userdel"));
    let mut all: Vec<Owed> = Vec::new();
    for owed in owed.iter().cloned().chain(new) {
        let is_moot = user_goes && matches!(owed, Owed::UserUnits(_));
        if !is_moot && !all.contains(&owed) {
            all.push(owed);
        }
    }
    all
}

#[cfg(test)]
mod tests;
