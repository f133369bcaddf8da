//! Tells what setup did, or would do.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Paint;
use cutover_targets::setup::{Change, FileKind, Made, Part, Report};
use serde_json::{Value, json};
use similar::TextDiff;
use std::fmt::Write as _;

/// The version of the JSON.
const VERSION: u32 = 1;

/// What was done on one host.
pub(super) struct Told {
    /// The host, as the config calls it.
    pub(super) host: String,
    /// Who deploys there.
    pub(super) user: String,
    /// The key that was pinned.
    pub(super) pinned: Option<String>,
    /// What was done.
    pub(super) report: Report,
}

impl Told {
    fn is_nothing(&self) -> bool {
        self.report.changes.is_empty() && self.pinned.is_none()
    }
}

/// Tells of one host.
pub(super) fn tell(context: &Context, told: &Told, dry_run: bool, remove: bool) -> Result<(), CommandError> {
    if context.output.json {
        return Ok(());
    }
    let paint = context.output.paint();
    let mut text = format!("{}\n", paint.strong(format!("{}, where {} deploys", told.host, told.user)));
    if let Some(fingerprint) = &told.pinned {
        let pins = if dry_run { "would pin" } else { "pinned" };
        line(&mut text, &paint.good("+"), &format!("{pins} its key in cutover.toml: {fingerprint}"));
    }
    for change in &told.report.changes {
        text += &described(change, paint, dry_run || context.output.verbose);
    }
    for argv in told.report.afterwards.iter().filter(|_| dry_run) {
        line(&mut text, "$", &argv.join(" "));
    }
    for left in &told.report.left {
        line(&mut text, &paint.warning("!"), &format!("left: {left}"));
    }
    if told.is_nothing() {
        let nothing = if remove { "nothing of setup is there" } else { "nothing to do" };
        line(&mut text, &paint.good("✓"), nothing);
    }
    context.output.text(&text)
}

fn line(text: &mut String, mark: &str, words: &str) {
    let _infallible = writeln!(text, "  {mark} {words}");
}

fn described(change: &Change, paint: Paint, in_full: bool) -> String {
    let mut text = String::new();
    let mark = match change {
        Change::Make(Made { before: None, .. }) => paint.good("+"),
        Change::Make(_) => paint.warning("~"),
        Change::TakeBack(_) => paint.bad("-"),
    };
    line(&mut text, &mark, &name(&change.made().part));
    if in_full {
        text.extend(change.commands().iter().map(|argv| format!("      $ {}\n", argv.join(" "))));
        text.extend(diff(change).lines().map(|line| format!("      {}\n", paint.dim(line))));
    }
    text
}

/// A part with whose it is and what may be done with it.
fn name(part: &Part) -> String {
    match part {
        Part::Directory { owner, mode, .. } | Part::File { owner, mode, .. } => {
            format!("{} ({owner}, {mode:04o})", part.name())
        }
        Part::Link { to, .. } => format!("{} -> {}", part.name(), to.display()),
        Part::User { home, .. } => format!("{}, at home in {}", part.name(), home.display()),
        Part::Member { .. } | Part::Program { .. } | Part::Line { .. } | Part::Linger { .. } => part.name(),
    }
}

/// What changes in a file.
fn diff(change: &Change) -> String {
    let Made { part, before } = change.made();
    let old = before.as_ref().and_then(|old| old.text.clone()).unwrap_or_default();
    let new = match part {
        Part::File { text, .. } => text.clone(),
        Part::Line { line, .. } => return format!("+{line}"),
        Part::User { .. }
        | Part::Member { .. }
        | Part::Directory { .. }
        | Part::Program { .. }
        | Part::Link { .. }
        | Part::Linger { .. } => return String::new(),
    };
    let (from, to) = match change {
        Change::Make(_) => (old, new),
        Change::TakeBack(_) => (new, old),
    };
    TextDiff::from_lines(&from, &to).unified_diff().to_string()
}

/// What is to be said when all hosts are done.
pub(super) fn conclude(
    context: &Context,
    environment: &str,
    told: &[Told],
    dry_run: bool,
    remove: bool,
) -> Result<Exit, CommandError> {
    if context.output.json {
        let hosts: Vec<Value> = told.iter().map(json_of).collect();
        let object =
            json!({ "v": VERSION, "environment": environment, "dry_run": dry_run, "remove": remove, "hosts": hosts });
        context.output.json(&object)?;
        return Ok(Exit::Done);
    }
    let changed = |told: &Told| !told.is_nothing();
    let has_new_unit = told.iter().flat_map(|told| &told.report.changes).any(is_unit_of_service);
    match (dry_run, remove) {
        (true, _) => context.output.text("nothing was changed: this was a dry run\n")?,
        (false, false) if told.iter().any(changed) => {
            let restart =
                if has_new_unit { "; a service that runs has its changed unit from its next start on" } else { "" };
            context.output.text(&format!("ready for `cutover deploy {environment}`{restart}\n"))?;
        }
        (false, _) => {}
    }
    Ok(Exit::Done)
}

fn is_unit_of_service(change: &Change) -> bool {
    let Change::Make(Made { part, before: Some(_) }) = change else { return false };
    matches!(part, Part::File { kind: FileKind::Unit | FileKind::UserUnit, .. })
}

fn json_of(told: &Told) -> Value {
    let changes: Vec<Value> = told.report.changes.iter().map(json_of_change).collect();
    json!({
        "host": told.host,
        "user": told.user,
        "pinned": told.pinned,
        "changes": changes,
        "afterwards": told.report.afterwards,
        "left": told.report.left,
    })
}

fn json_of_change(change: &Change) -> Value {
    let does = match change {
        Change::Make(Made { before: None, .. }) => "make",
        Change::Make(_) => "change",
        Change::TakeBack(_) => "take_back",
    };
    json!({ "does": does, "part": change.made().part.name(), "commands": change.commands(), "diff": diff(change) })
}
