//! Making the parts of a prepared host, and taking them back.

use super::account::{await_manager, owner};
use super::commands::Argv;
use super::look::{Old, Trust, has_line};
use super::parts::{FileKind, Part};
use super::place::{Owner, Place};
use super::plan::Made;
use super::users::unit_that_runs;
use crate::tool;
use cutover_child::Leftovers;
use cutover_core::config::SystemdScope;
use cutover_core::target::Failure;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long one command may take; a service that is stopped has its own limit, which is mostly less.
const LIMIT: Duration = Duration::from_secs(300);
/// How much of what it says is kept.
const SAID_BYTES_MAX: usize = 16 << 10;
const ROOT: Owner = Owner { uid: 0, gid: 0 };
/// The mode of a home that an account lacks.
const HOME_MODE: u32 = 0o755;

/// Why a part could not be made or taken back.
enum Trouble {
    /// The part's own.
    Io(io::Error),
    /// Told in full.
    Told(Failure),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Told(failure)
    }
}

impl Trouble {
    fn failure(self, what: &str, part: &Part) -> Failure {
        match self {
            Self::Io(error) => Failure::new(format!("{what} {}: {error}", part.name())),
            Self::Told(failure) => failure,
        }
    }
}

/// Runs a program to a good end; gives what it said.
pub(super) fn run(argv: &Argv) -> Result<String, Failure> {
    let subject = format!("run `{}`", argv.join(" "));
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let exit = tool::ask(&words, SystemdScope::System, LIMIT, Leftovers::Leave, SAID_BYTES_MAX);
    let exit = exit.map_err(|error| error.failure(&subject))?;
    let said = exit.excerpt.clone();
    exit.success(&subject).map(|()| said)
}

/// Makes a part. Doing it twice is the same as doing it once.
pub(super) fn make(part: &Part, program: &Path) -> Result<(), Failure> {
    make_part(part, program).map_err(|trouble| trouble.failure("make", part))
}

fn make_part(part: &Part, program: &Path) -> Result<(), Trouble> {
    match part {
        Part::User { name, home } => Ok(place(home)?.make_dir(number(name)?, HOME_MODE)?),
        // A command does it.
        Part::Member { .. } => Ok(()),
        Part::Linger { user } => Ok(await_manager(user)?),
        Part::Directory { path, owner, mode } => Ok(place(path)?.make_dir(number(owner)?, *mode)?),
        Part::File { path, owner, mode, text, kind } => {
            let dir = path.parent().unwrap_or(path);
            place(path)?.write(&mut text.as_bytes(), number(owner)?, *mode, |draft| Ok(check(*kind, &dir.join(draft))?))
        }
        Part::Program { path } => {
            let mut program = File::open(program)?;
            place(path)?.write(&mut program, ROOT, 0o755, |_| Ok(()))
        }
        Part::Line { path, owner, line } => add_line(path, number(owner)?, line),
        Part::Link { path, owner, to } => Ok(place(path)?.make_link(to, number(owner)?)?),
    }
}

/// sudo refuses to work at all with a rule that it does not understand.
fn check(kind: FileKind, draft: &Path) -> Result<(), Failure> {
    match kind {
        FileKind::Sudoers => {
            let argv = ["visudo", "--check", "--quiet", &format!("--file={}", draft.display())].map(str::to_owned);
            run(&argv.to_vec()).map(drop)
        }
        FileKind::Unit | FileKind::UserUnit | FileKind::Journald => Ok(()),
    }
}

fn add_line(path: &Path, owner: Owner, line: &str) -> Result<(), Trouble> {
    let place = place(path)?;
    let (text, trust) = match place.entry()? {
        Some(entry) => (place.text()?, Trust::in_keys(entry, owner)),
        None => (String::new(), Trust { owner, mode: 0o600, is_whole: false }),
    };
    let has_line = has_line(&text, line);
    if has_line && trust.is_whole {
        return Ok(());
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = if has_line { text } else { format!("{text}{gap}{line}\n") };
    place.write(&mut text.as_bytes(), trust.owner, trust.mode, |_| Ok(()))
}

/// Takes a part back; gives why something of it stays, when that is so.
pub(super) fn take_back(made: &Made, with_data: bool) -> Result<Option<String>, Failure> {
    take_back_part(made, with_data).map_err(|trouble| trouble.failure("take back", &made.part))
}

fn take_back_part(made: &Made, with_data: bool) -> Result<Option<String>, Trouble> {
    match (&made.part, &made.before) {
        (Part::User { home, .. }, None) => Ok(orphaned(home)?),
        // Commands do it.
        (Part::User { .. } | Part::Member { .. } | Part::Linger { .. }, _) => Ok(None),
        (Part::Directory { path, .. }, before) => Ok(take_back_directory(path, before.as_ref(), with_data)?),
        (Part::Line { path, line, .. }, before) => remove_line(path, line, before.as_ref()).map(|()| None),
        (Part::Program { path }, before) => match unit_that_runs(path, &BTreeSet::new()) {
            Some(unit) => Ok(Some(format!("{} runs {}", unit.display(), path.display()))),
            None => restore(path, before.as_ref()),
        },
        (Part::File { path, .. } | Part::Link { path, .. }, before) => restore(path, before.as_ref()),
    }
}

/// A home goes with its account, unless that was cut short: then nobody knows any more what lies there.
fn orphaned(home: &Path) -> io::Result<Option<String>> {
    let Some(place) = Place::of(home)? else { return Ok(None) };
    Ok(place.entry()?.map(|_| format!("{} belongs to nobody any more; remove it by hand", home.display())))
}

fn take_back_directory(path: &Path, before: Option<&Old>, with_data: bool) -> io::Result<Option<String>> {
    let Some(place) = Place::of(path)? else { return Ok(None) };
    let Some(entry) = place.entry()?.filter(|entry| entry.is_dir) else { return Ok(None) };
    if let Some(old) = before {
        // What was there before stays, with what is in it.
        return place.own_dir(old.owner, old.mode).map(|()| None);
    }
    if with_data && entry.owner.uid != 0 {
        return place.remove_tree().map(|()| None);
    }
    Ok((!place.remove_dir()?).then(|| format!("directory {} is not empty", path.display())))
}

fn remove_line(path: &Path, line: &str, before: Option<&Old>) -> Result<(), Trouble> {
    let Some(place) = Place::of(path)? else { return Ok(()) };
    let Some(entry) = place.entry()? else { return Ok(()) };
    let text = place.text()?;
    // A key that was there before stays, too: all that setup did was to see that sshd believes it.
    let had_it = before.and_then(|old| old.text.as_deref()).is_some_and(|text| has_line(text, line));
    let stays = |there: &&str| had_it || !has_line(there, line);
    let left: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
    let (owner, mode) = before.map_or((entry.owner, entry.mode), |old| (old.owner, old.mode));
    if left.is_empty() && before.is_none() {
        Ok(place.remove()?)
    } else {
        place.write(&mut left.as_bytes(), owner, mode, |_| Ok(()))
    }
}

fn restore(path: &Path, before: Option<&Old>) -> Result<Option<String>, Trouble> {
    let Some(place) = Place::of(path)? else { return Ok(None) };
    match before {
        Some(Old { text: Some(text), owner, mode, .. }) => {
            place.write(&mut text.as_bytes(), *owner, *mode, |_| Ok::<(), Trouble>(()))?;
        }
        Some(Old { to: Some(to), owner, .. }) => place.make_link(to, *owner)?,
        Some(Old { text: None, to: None, .. }) => {
            return Ok(Some(format!("{} replaced one of which there is no copy", path.display())));
        }
        None => place.remove()?,
    }
    Ok(None)
}

fn place(path: &Path) -> Result<Place, Trouble> {
    let missing = || {
        let parent = path.parent().unwrap_or(path).display();
        Failure::new(format!("{parent} does not exist")).hint("make it, or choose another place")
    };
    Ok(Place::of(path)?.ok_or_else(missing)?)
}

fn number(name: &str) -> Result<Owner, Failure> {
    owner(name)?.ok_or_else(|| Failure::new(format!("there is no user {name}")))
}
