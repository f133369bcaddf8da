//! Tells what a deployment would do on each of an environment's hosts.

use super::seen::{alike, conclude, part};
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::deployments::{FileChanges, Preview, Previewed, Seen, StepPreview, VariableChanges};
use crate::error::CommandError;
use crate::exit::Exit;
use cutover_core::plan::Phase;
use cutover_reporters::one_line;
use serde::Serialize;

/// What machines are told of one host.
#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<usize>,
    #[serde(flatten)]
    preview: &'a Preview,
}

/// What is left to be said once the previews are told.
pub(super) struct Rest {
    errors: Vec<CommandError>,
    /// What preflight says of the hosts that it lets pass.
    passed: String,
}

/// Tells what would be done on each host.
pub(super) fn tell(context: &Context, all: Vec<Seen<Previewed>>) -> Result<Rest, CommandError> {
    let (count, waves) = (all.len(), waves(&all));
    let numbers: Vec<Option<usize>> = all.iter().filter(|one| one.seen.is_ok()).map(|one| one.wave).collect();
    let (seen, mut errors) = part(all);
    let (mut previews, mut passed) = (Vec::new(), Vec::new());
    for (host, Previewed { preview, misfit }) in seen {
        match misfit {
            Some(error) if count > 1 => errors.push(error.on_host(&host)),
            Some(error) => errors.push(error),
            None if preview.unchanged => {}
            None => passed.push(host.clone()),
        }
        previews.push((host, preview));
    }
    if context.output.json {
        for ((host, preview), wave) in previews.iter().zip(numbers) {
            context.output.json(&Line { v: 1, host, wave, preview })?;
        }
    } else {
        context.output.text(&(waves + &texts(context, &previews, count)))?;
    }
    let on = if count > 1 { format!(" on {}", passed.join(", ")) } else { String::new() };
    let passed =
        if passed.is_empty() { passed.concat() } else { format!("preflight passed{on}; nothing was changed\n") };
    Ok(Rest { errors, passed })
}

impl Rest {
    /// Says it after a plan, which nobody tried.
    pub(super) fn tell(self, context: &Context) -> Result<Exit, CommandError> {
        conclude(context, self.errors)
    }

    /// Says it after a rehearsal.
    pub(super) fn tell_rehearsed(self, context: &Context) -> Result<Exit, CommandError> {
        if !context.output.json {
            context.output.text(&self.passed)?;
        }
        conclude(context, self.errors)
    }
}

/// In which order several hosts would be switched.
fn waves(all: &[Seen<Previewed>]) -> String {
    let count = all.iter().filter_map(|one| one.wave).max().unwrap_or(0);
    let hosts = |wave: usize| {
        let hosts = all.iter().filter(|one| one.wave == Some(wave)).map(|one| one.host.as_str());
        hosts.collect::<Vec<_>>().join(", ")
    };
    let lines: String = (1..=count).map(|wave| format!("wave {wave} of {count}: {}\n", hosts(wave))).collect();
    if lines.is_empty() { lines } else { lines + "\n" }
}

/// Each preview, below the names of the hosts that it is of where there are several.
fn texts(context: &Context, previews: &[(String, Preview)], host_count: usize) -> String {
    let text = |(hosts, preview): (Vec<&str>, &Preview)| {
        let hosts = if host_count > 1 { format!("{}:\n", hosts.join(", ")) } else { String::new() };
        hosts + &text(context, preview)
    };
    alike(previews).into_iter().map(text).collect::<Vec<_>>().join("\n")
}

fn text(context: &Context, preview: &Preview) -> String {
    let remarks = preview.remarks.iter().map(|remark| format!("! {}\n", one_line(remark)));
    described(context, preview) + &remarks.collect::<String>()
}

fn described(context: &Context, preview: &Preview) -> String {
    if preview.unchanged {
        let live =
            format!("nothing changed: {} is live with the same artifact, configuration and variables", preview.release);
        return live + if preview.restarts { "; its service would be restarted\n" } else { "\n" };
    }
    let original = preview.original.as_ref();
    let from = original.map_or_else(|| "no release is live".to_owned(), |original| format!("{original} is live"));
    let commit = one_line(&words::commit(&preview.commit, preview.dirty));
    let mut text = format!("would make {} live ({commit}); {from}\n", preview.release);
    text.extend(preview.why.iter().map(|why| one_line(why) + "\n"));
    text.push('\n');
    text += &step_table(context, &preview.steps);
    for (target, changes) in &preview.files {
        text += &format!("\n{target}: {}\n", file_words(changes));
    }
    for (target, changes) in preview.variables.iter().filter(|(_, changes)| **changes != VariableChanges::default()) {
        text += &format!("{target}: variables {}\n", variable_words(changes));
    }
    text
}

fn step_table(context: &Context, steps: &[StepPreview]) -> String {
    let mut table = Table::new(&["step", "target", "what a failure means"]);
    for step in steps {
        table.row([step.name.clone(), step.target.to_string(), meaning(step).to_owned()]);
    }
    table.render(context.output.width)
}

fn meaning(step: &StepPreview) -> &'static str {
    match (step.phase, step.irreversible) {
        (_, true) => "NO WAY BACK from here on: a failure needs a person",
        (Phase::Prepare, false) => "nothing that runs is touched",
        (Phase::Live, false) if step.switches => "taken back by itself; traffic from here on",
        (Phase::Live, false) => "taken back by itself",
        (Phase::Settle, false) => "reported; the release stays live",
    }
}

fn file_words(changes: &FileChanges) -> String {
    let FileChanges { added, changed, removed, .. } = changes;
    format!("{} files added, {} changed, {} removed", added.len(), changed.len(), removed.len())
}

/// In words: names, never values.
pub(super) fn variable_words(changes: &VariableChanges) -> String {
    let part =
        |verb: &str, names: &[String]| (!names.is_empty()).then(|| format!("{verb} {}", one_line(&names.join(", "))));
    let VariableChanges { added, changed, removed, unknown } = changes;
    let parts = [
        part("add", added),
        part("change", changed),
        part("remove", removed),
        part("perhaps change (not known here)", unknown),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "unchanged".to_owned() } else { parts.join("; ") }
}
