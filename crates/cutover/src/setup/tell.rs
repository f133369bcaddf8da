//! Tells what setup did, or would do.

use super::SetupArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Paint;
use cutover_targets::setup::{Change, FileKind, Made, Part, Report};
use serde_json::{Value, json};
use similar::TextDiff;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The version of the JSON.
const VERSION: u32 = 1;

/// What came of one host.
pub(super) struct Told {
    /// The host, as the config calls it.
    pub(super) host: String,
    /// What was done there, or why it was not.
    pub(super) done: Result<Done, CommandError>,
}

/// What was done on one host.
pub(super) struct Done {
    /// Who deploys there.
    pub(super) user: String,
    /// The key that was pinned.
    pub(super) pinned: Option<String>,
    /// What was done.
    pub(super) report: Report,
}

impl Done {
    fn is_nothing(&self) -> bool {
        self.report.changes.is_empty() && self.report.afterwards.is_empty() && self.pinned.is_none()
    }
}

/// Tells of one host after the other, and then of all.
pub(super) struct Teller<'a> {
    context: &'a Context,
    args: &'a SetupArgs,
    told: Vec<Told>,
    /// Where variables and secrets are as long as data stays.
    env_files: Vec<PathBuf>,
    /// Why something could not be told.
    unheard: Option<CommandError>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(context: &'a Context, args: &'a SetupArgs, env_files: Vec<PathBuf>) -> Self {
        Self { context, args, told: Vec::new(), env_files, unheard: None }
    }

    /// Tells of one host.
    pub(super) fn tell(&mut self, told: Told) {
        if let (Ok(done), false) = (&told.done, self.context.output.json) {
            let unheard = self.context.output.text(&self.described(&told.host, done)).err();
            self.unheard = self.unheard.take().or(unheard);
        }
        self.told.push(told);
    }

    fn described(&self, host: &str, done: &Done) -> String {
        let (paint, dry_run, report) = (self.context.output.paint(), self.args.dry_run, &done.report);
        let mut text = format!("{}\n", paint.strong(format!("{host}, where {} deploys", done.user)));
        if let Some(fingerprint) = &done.pinned {
            let pins = if dry_run { "would pin" } else { "pinned" };
            line(&mut text, &paint.good("+"), &format!("{pins} its key in cutover.toml: {fingerprint}"));
        }
        let in_full = dry_run || self.context.output.verbose;
        if in_full && let Some(like) = like(&self.told, report) {
            line(&mut text, &paint.dim("="), &format!("all of it as on {like}"));
            return text;
        }
        for change in &report.changes {
            text += &described(change, paint, in_full);
        }
        // What an earlier setup did not come to run is all that there may be to tell.
        for argv in report.afterwards.iter().filter(|_| dry_run || report.changes.is_empty()) {
            line(&mut text, "$", &shell_line(argv));
        }
        for unit in &report.stopped {
            line(&mut text, &paint.warning("!"), &format!("stopped: {unit}, which ran"));
        }
        for left in &report.left {
            let left = if dry_run { left.clone() } else { format!("left: {left}") };
            line(&mut text, &paint.warning("!"), &left);
        }
        if done.is_nothing() {
            let nothing = if self.args.remove { "nothing of setup is there" } else { "nothing to do" };
            line(&mut text, &paint.good("✓"), nothing);
        }
        text
    }

    /// What is to be said when all hosts are done. The only host's error is the command's; of several, each is told with its
    /// host, and the worst decides how the command ends.
    pub(super) fn conclude(mut self) -> Result<Exit, CommandError> {
        if let Some(error) = self.unheard {
            return Err(error);
        }
        if let [Told { done: Err(_), .. }] = self.told.as_slice()
            && let Some(Told { done: Err(error), .. }) = self.told.pop()
        {
            return Err(error);
        }
        let exits = self.told.iter().filter_map(|told| told.done.as_ref().err()).map(CommandError::exit);
        let worst = exits.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done);
        if self.context.output.json {
            self.tell_json()?;
            return Ok(worst);
        }
        let (all, mut failed, mut begun) = (self.told.len(), 0, false);
        let done: Vec<Done> = self
            .told
            .into_iter()
            .filter_map(|Told { host, done }| {
                begun |= done.as_ref().err().is_none_or(|error| !error.changed_nothing());
                done.map_err(|error| {
                    failed += 1;
                    error.on_host(&host).tell(&self.context.output)
                })
                .ok()
            })
            .collect();
        let text = match failed {
            0 => conclusion(self.args, &self.env_files, &done),
            _ => {
                let next = match (self.args.dry_run, begun) {
                    (true, _) => "; nothing was changed: this was a dry run",
                    (false, true) => "; the same command goes on where it ended",
                    (false, false) => "; nothing was changed on any",
                };
                format!("{failed} of {all} hosts failed{next}\n{}", to_commit(self.args, &done))
            }
        };
        self.context.output.text(&text).map(|()| worst)
    }

    fn tell_json(&self) -> Result<(), CommandError> {
        let hosts: Vec<Value> = self.told.iter().map(json_of).collect();
        let SetupArgs { environment, dry_run, remove, .. } = self.args;
        let object =
            json!({ "v": VERSION, "environment": environment, "dry_run": dry_run, "remove": remove, "hosts": hosts });
        self.context.output.json(&object)
    }
}

/// A host that was told of in full, and where just the same is done.
fn like<'t>(told: &'t [Told], report: &Report) -> Option<&'t str> {
    let is_like = |done: &Done| !report.changes.is_empty() && done.report == *report;
    told.iter().find(|told| told.done.as_ref().is_ok_and(is_like)).map(|told| told.host.as_str())
}

/// What stands when all hosts went well, and what comes next.
fn conclusion(args: &SetupArgs, env_files: &[PathBuf], done: &[Done]) -> String {
    let environment = &args.environment;
    let mut changes = done.iter().flat_map(|done| &done.report.changes);
    if args.dry_run {
        let keeps_data = args.remove && done.iter().any(|done| done.report.keeps_data);
        let data = if keeps_data { "; with --data what stays would go, too" } else { "" };
        return format!("nothing was changed: this was a dry run{data}\n");
    }
    if args.remove {
        let keeps_data = done.iter().any(|done| done.report.keeps_data);
        let what = "what lies in those directories stays, and no service runs from there any more";
        let next = format!(
            "`cutover setup {environment}` prepares it anew, and a deployment starts it; `--remove --data` removes it"
        );
        let secrets = with_secrets(env_files);
        return if keeps_data { format!("{what}: {next}\n{secrets}") } else { String::new() };
    }
    if done.iter().all(Done::is_nothing) {
        return String::new();
    }
    let restart = if changes.any(is_unit_of_service) {
        format!(
            "; a service that runs has its changed unit from its next start on: `cutover app {environment} restart`"
        )
    } else {
        String::new()
    };
    format!("{}ready for `cutover deploy {environment}`{restart}\n", to_commit(args, done))
}

/// What is to be done about keys that were pinned.
fn to_commit(args: &SetupArgs, done: &[Done]) -> &'static str {
    let has_pinned = !args.dry_run && !args.remove && done.iter().any(|done| done.pinned.is_some());
    if has_pinned { "commit cutover.toml: colleagues and CI know the host by the key in it\n" } else { "" }
}

/// The files that stay and may hold secrets.
fn with_secrets(env_files: &[PathBuf]) -> String {
    let files: Vec<String> = env_files.iter().map(|file| file.display().to_string()).collect();
    if files.is_empty() { String::new() } else { format!("variables and secrets stay in {}\n", files.join(", ")) }
}

/// A command as a shell takes it.
fn shell_line(argv: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,%".contains(c);
    let word = |word: &String| {
        let is_bare = !word.is_empty() && word.chars().all(is_plain);
        if is_bare { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn line(text: &mut String, mark: &str, words: &str) {
    let _infallible = writeln!(text, "  {mark} {words}");
}

fn described(change: &Change, paint: Paint, in_full: bool) -> String {
    let mut text = String::new();
    let mark = match change {
        Change::Make(Made { before: None, .. }) => paint.good("+"),
        Change::Make(_) => paint.warning("~"),
        Change::Share(_) | Change::Leave { .. } => paint.dim("="),
        Change::TakeBack(_) => paint.bad("-"),
    };
    line(&mut text, &mark, &name(&change.made().part));
    if in_full {
        text.extend(change.commands().iter().map(|argv| format!("      $ {}\n", shell_line(argv))));
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

/// What a line is marked with that comes or goes.
fn mark(change: &Change) -> Option<char> {
    match change {
        Change::Make(_) => Some('+'),
        Change::TakeBack(_) => Some('-'),
        Change::Share(_) | Change::Leave { .. } => None,
    }
}

/// What changes in a file.
fn diff(change: &Change) -> String {
    let Made { part, before } = change.made();
    let old = before.as_ref().and_then(|old| old.text.clone()).unwrap_or_default();
    let new = match part {
        Part::File { text, .. } => text.clone(),
        Part::Line { line, .. } => return mark(change).map_or_else(String::new, |mark| format!("{mark}{line}")),
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
        Change::Share(_) | Change::Leave { .. } => return String::new(),
    };
    TextDiff::from_lines(&from, &to).unified_diff().to_string()
}

fn is_unit_of_service(change: &Change) -> bool {
    let Change::Make(Made { part, before: Some(_) }) = change else { return false };
    matches!(part, Part::File { kind: FileKind::Unit | FileKind::UserUnit, .. })
}

fn json_of(told: &Told) -> Value {
    let done = match &told.done {
        Ok(done) => done,
        Err(error) => return json!({ "host": told.host, "error": error }),
    };
    let changes: Vec<Value> = done.report.changes.iter().map(json_of_change).collect();
    json!({
        "host": told.host,
        "user": done.user,
        "pinned": done.pinned,
        "changes": changes,
        "afterwards": done.report.afterwards,
        "stopped": done.report.stopped,
        "left": done.report.left,
    })
}

fn json_of_change(change: &Change) -> Value {
    let does = match change {
        Change::Make(Made { before: None, .. }) => "make",
        Change::Make(_) => "change",
        Change::Share(_) => "share",
        Change::TakeBack(_) => "take_back",
        Change::Leave { .. } => "leave",
    };
    json!({ "does": does, "part": change.made().part.name(), "commands": change.commands(), "diff": diff(change) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(user: &str) -> Report {
        let made = Made { part: Part::Linger { user: user.to_owned() }, before: None };
        let (afterwards, stopped, left) = (Vec::new(), Vec::new(), Vec::new());
        Report { changes: vec![Change::Make(made)], afterwards, stopped, left, keeps_data: false }
    }

    #[test]
    fn hosts_to_which_the_same_is_done_are_told_of_in_full_once() {
        let done = Done { user: "deploy".to_owned(), pinned: None, report: report("deploy") };
        let told = [Told { host: "web-1".to_owned(), done: Ok(done) }];
        assert_eq!(like(&told, &report("deploy")), Some("web-1"));
        assert_eq!(like(&told, &report("ada")), None);
        assert_eq!(like(&told, &Report { changes: Vec::new(), ..report("deploy") }), None);
    }

    #[test]
    fn a_command_is_told_as_a_shell_takes_it() {
        let line = |words: &[&str]| shell_line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["useradd", "--password", "*", "deploy"]), "useradd --password '*' deploy");
        assert_eq!(line(&["x", "", "it's"]), r"x '' 'it'\''s'");
    }
}
