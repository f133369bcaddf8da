//! Carrying changes out: each is written down, then made.

use super::account::{account, end_all_of};
use super::act;
use super::commands::{Argv, Owed, Running};
use super::look::{Found, look};
use super::parts::{FileKind, Part};
use super::plan::{Change, Made, afterwards};
use super::receipt::Receipt;
use super::stays::stays;
use super::{Report, SetupError};
use cutover_core::target::Failure;
use std::collections::BTreeSet;
use std::path::Path;

/// A setup at work.
pub(super) struct Work<'a> {
    /// What is written down, here and of other environments.
    pub(super) receipt: Receipt,
    /// Cutover itself.
    pub(super) program: &'a Path,
    /// Whether directories go with what is in them.
    pub(super) with_data: bool,
    /// Runs a program to a good end, and gives what it said.
    pub(super) run: &'a dyn Fn(&Argv) -> Result<String, Failure>,
}

impl Work<'_> {
    /// What would be done.
    pub(super) fn told(&self, changes: Vec<Change>) -> Report {
        let afterwards = afterwards(&changes, &self.receipt.own.owed).iter().map(Owed::argv).collect();
        let left = changes.iter().filter_map(|change| match change {
            Change::Leave { made, needed_by } => Some(format!("{}: {needed_by} needs it", made.part.name())),
            Change::Make(_) | Change::Share(_) | Change::TakeBack(_) => None,
        });
        Report { left: left.collect(), changes, afterwards, stopped: Vec::new(), keeps_data: false }
    }

    /// What would be done, without what would stay after all.
    pub(super) fn foretold(&self, mut changes: Vec<Change>) -> Report {
        let stays = stays(&changes, self.with_data);
        let is_left =
            |change: &Change| matches!(change, Change::TakeBack(_)) && stays.contains_key(&change.made().part.name());
        let keeps_data = changes.iter().any(|change| is_for_data(&change.made().part, &changes) && is_left(change));
        changes.retain(|change| !is_left(change));
        let mut report = self.told(changes);
        report.left.extend(stays.iter().map(|(name, why)| format!("{name} stays, because {why}")));
        Report { keeps_data, ..report }
    }

    /// Does it.
    pub(super) fn perform(mut self, changes: Vec<Change>) -> Result<Report, SetupError> {
        let mut report = self.told(changes);
        check_needs(&report)?;
        if !report.changes.is_empty() {
            self.receipt.begin()?;
        }
        self.carry_out(&mut report).map_err(SetupError::HalfWay)?;
        Ok(report)
    }

    fn carry_out(&mut self, report: &mut Report) -> Result<(), Failure> {
        let running = report.changes.iter().filter_map(Change::unit);
        // Before anything else, as long as their managers are there.
        report.stopped =
            running.map(|unit| self.stop(&unit)).filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let (mut owners_of_data, mut stays, mut keeps_data) = (BTreeSet::new(), BTreeSet::new(), false);
        for change in &report.changes {
            match change {
                Change::Make(made) => self.make(made)?,
                Change::Share(made) => self.receipt.note(made, None)?,
                Change::Leave { made, .. } => self.receipt.forget(&made.part)?,
                Change::TakeBack(made) => {
                    let left = self.take_back(change, made, &owners_of_data)?;
                    let is_directory = matches!(made.part, Part::Directory { .. });
                    let is_owner = matches!(&made.part, Part::User { name, .. } if owners_of_data.contains(name));
                    let is_program = matches!(made.part, Part::Program { .. });
                    keeps_data |= left.is_some() && is_for_data(&made.part, &report.changes);
                    if left.is_some() && (is_directory || is_owner) {
                        owners_of_data.insert(made.part.user().to_owned());
                    }
                    if left.is_some() && (is_directory || is_owner || is_program) {
                        stays.insert(made.part.name());
                    }
                    report.left.extend(left);
                }
            }
        }
        // What is there as it was has not been taken back.
        report.changes.retain(|change| !stays.contains(&change.made().part.name()));
        report.keeps_data = keeps_data;
        self.settle()
    }

    fn make(&mut self, made: &Made) -> Result<(), Failure> {
        self.receipt.note(made, Owed::after(&made.part))?;
        // An account that was not made to its end lacks its home only.
        let is_there = matches!(&made.part, Part::User { name, .. } if account(name)?.is_some());
        let commands = if is_there { Vec::new() } else { Change::Make(made.clone()).commands() };
        commands.iter().try_for_each(|argv| (self.run)(argv).map(drop))?;
        act::make(&made.part, self.program)
    }

    /// Stops a unit that runs; gives its name when it did.
    fn stop(&self, unit: &Running<'_>) -> Result<Option<String>, Failure> {
        // A manager that cannot be asked runs nothing.
        let state = (self.run)(&unit.systemctl(&["show", "--property=ActiveState", "--value"])).unwrap_or_default();
        if matches!(state.trim(), "" | "inactive" | "failed") {
            return Ok(None);
        }
        (self.run)(&unit.systemctl(&["stop"]))?;
        Ok(Some(unit.name.clone()))
    }

    /// Takes a part back; gives why something of it stays, when that is so.
    fn take_back(
        &mut self,
        change: &Change,
        made: &Made,
        owners_of_data: &BTreeSet<String>,
    ) -> Result<Option<String>, Failure> {
        if let Part::User { name, .. } = &made.part {
            if owners_of_data.contains(name) {
                return Ok(Some(format!("user {name} owns what is left")));
            }
            if made.before.is_none() {
                end_all_of(name)?;
            }
        }
        self.receipt.owe(Owed::after(&made.part))?;
        if !is_undone(&made.part, self.program)? {
            let commands = if change.unit().is_some() { Vec::new() } else { change.commands() };
            commands.iter().try_for_each(|argv| (self.run)(argv).map(drop))?;
        }
        let stays = act::take_back(made, self.with_data)?;
        if stays.is_none() {
            self.receipt.forget(&made.part)?;
        }
        Ok(stays)
    }

    /// Runs what is owed, by this setup or by one that did not come to its end.
    fn settle(&mut self) -> Result<(), Failure> {
        for owed in self.receipt.own.owed.clone() {
            let is_moot = matches!(&owed, Owed::UserUnits(user) if account(user)?.is_none());
            if !is_moot {
                (self.run)(&owed.argv())?;
            }
            self.receipt.settle(&owed)?;
        }
        Ok(())
    }
}

/// Whether it is a directory that may hold what deployments made; those around Cutover's own program hold nothing else.
fn is_for_data(part: &Part, changes: &[Change]) -> bool {
    let Part::Directory { path, .. } = part else { return false };
    !changes
        .iter()
        .any(|change| matches!(&change.made().part, Part::Program { path: program } if program.starts_with(path)))
}

/// Whether somebody has taken back by hand what a program would; programs fail at what is not there.
fn is_undone(part: &Part, program: &Path) -> Result<bool, Failure> {
    match part {
        Part::User { .. } | Part::Member { .. } | Part::Linger { .. } => Ok(look(part, program)? == Found::Absent),
        Part::Directory { .. } | Part::File { .. } | Part::Program { .. } | Part::Line { .. } | Part::Link { .. } => {
            Ok(false)
        }
    }
}

/// Fails before anything is touched when a program is missing.
fn check_needs(report: &Report) -> Result<(), Failure> {
    let sudoers =
        |change: &Change| matches!(change, Change::Make(Made { part: Part::File { kind: FileKind::Sudoers, .. }, .. }));
    let visudo = report.changes.iter().any(sudoers).then(|| "visudo".to_owned());
    let commands = report.changes.iter().flat_map(Change::commands).chain(report.afterwards.iter().cloned());
    let programs = commands.filter_map(|argv| argv.into_iter().next()).chain(visudo);
    let mut missing: Vec<String> = programs.filter(|name| crate::host::find_program(name).is_none()).collect();
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("prepare the host: it lacks {}", missing.join(", ")))
        .hint("on Debian and Ubuntu: apt-get install sudo passwd systemd"))
}

#[cfg(test)]
mod tests;
