//! Making the parts of a prepared host, and taking them back.

use super::account::{await_manager, owner};
use super::look::{Old, has_line};
use super::parts::{FileKind, Part};
use super::place::{Owner, Place};
use super::plan::{Argv, Made};
use cutover_child::{ChildCommand, Leftovers, listen};
use cutover_core::config::CommandLine;
use cutover_core::mask::Masker;
use cutover_core::target::Failure;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How much of what it says is kept.
const SAID_BYTES_MAX: usize = 16 << 10;
const ROOT: Owner = Owner { uid: 0, gid: 0 };

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

/// Runs a program to a good end.
pub(super) fn run(argv: &Argv) -> Result<(), Failure> {
    let subject = format!("run `{}`", argv.join(" "));
    let command = CommandLine::Argv(argv.clone());
    let (variables, masker) = (BTreeMap::new(), Masker::new([]));
    let child = ChildCommand {
        command: &command,
        cwd: Path::new("/"),
        variables: &variables,
        timeout: LIMIT,
        log: None,
        masker: &masker,
        leftovers: Leftovers::Leave,
    };
    listen(&child, SAID_BYTES_MAX, &|| false).map_err(|error| error.failure(&subject))?.success(&subject)
}

/// Makes a part. Doing it twice is the same as doing it once.
pub(super) fn make(part: &Part, program: &Path) -> Result<(), Failure> {
    make_part(part, program).map_err(|trouble| trouble.failure("make", part))
}

fn make_part(part: &Part, program: &Path) -> Result<(), Trouble> {
    match part {
        // Commands do it.
        Part::User { .. } | Part::Member { .. } => Ok(()),
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
            run(&["visudo", "--check", "--quiet", &format!("--file={}", draft.display())].map(str::to_owned).to_vec())
        }
        FileKind::Unit | FileKind::UserUnit | FileKind::Journald => Ok(()),
    }
}

fn add_line(path: &Path, owner: Owner, line: &str) -> Result<(), Trouble> {
    let place = place(path)?;
    let (text, mode) = match place.entry()? {
        Some(entry) => (place.text()?, entry.mode),
        None => (String::new(), 0o600),
    };
    if has_line(&text, line) {
        return Ok(());
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    place.write(&mut format!("{text}{gap}{line}\n").as_bytes(), owner, mode, |_| Ok(()))
}

/// Takes a part back; gives why something of it stays, when that is so.
pub(super) fn take_back(made: &Made, with_data: bool) -> Result<Option<String>, Failure> {
    take_back_part(made, with_data).map_err(|trouble| trouble.failure("take back", &made.part))
}

fn take_back_part(made: &Made, with_data: bool) -> Result<Option<String>, Trouble> {
    match (&made.part, &made.before) {
        // Commands do it.
        (Part::User { .. } | Part::Member { .. } | Part::Linger { .. }, _) => Ok(None),
        (Part::Directory { path, .. }, before) => Ok(take_back_directory(path, before.as_ref(), with_data)?),
        (Part::Line { path, line, .. }, _) => remove_line(path, line).map(|()| None),
        (Part::File { path, .. } | Part::Program { path } | Part::Link { path, .. }, before) => {
            restore(path, before.as_ref()).map(|()| None)
        }
    }
}

fn take_back_directory(path: &Path, before: Option<&Old>, with_data: bool) -> io::Result<Option<String>> {
    let Some(place) = Place::of(path)? else { return Ok(None) };
    let Some(entry) = place.entry()?.filter(|entry| entry.is_dir) else { return Ok(None) };
    if let Some(old) = before {
        // What was there before stays, with what is in it.
        return place.make_dir(old.owner, old.mode).map(|()| None);
    }
    if with_data && entry.owner.uid != 0 {
        cutover_disk::remove_tree(path).map_err(io::Error::other)?;
        return Ok(None);
    }
    Ok((!place.remove_dir()?).then(|| format!("directory {} is not empty", path.display())))
}

fn remove_line(path: &Path, line: &str) -> Result<(), Trouble> {
    let Some(place) = Place::of(path)? else { return Ok(()) };
    let Some(entry) = place.entry()? else { return Ok(()) };
    let text = place.text()?;
    let left: String = text.lines().filter(|there| !has_line(there, line)).map(|line| format!("{line}\n")).collect();
    if left.is_empty() {
        Ok(place.remove()?)
    } else {
        place.write(&mut left.as_bytes(), entry.owner, entry.mode, |_| Ok(()))
    }
}

fn restore(path: &Path, before: Option<&Old>) -> Result<(), Trouble> {
    let Some(place) = Place::of(path)? else { return Ok(()) };
    match before {
        Some(Old { text: Some(text), owner, mode, .. }) => place.write(&mut text.as_bytes(), *owner, *mode, |_| Ok(())),
        Some(Old { to: Some(to), owner, .. }) => Ok(place.make_link(to, *owner)?),
        Some(Old { text: None, to: None, .. }) | None => Ok(place.remove()?),
    }
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
