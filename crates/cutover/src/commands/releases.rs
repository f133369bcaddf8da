//! `cutover releases`.

use super::HostArgs;
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::deployments::Place;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_core::record::ReleaseRecord;
use cutover_core::target::Failure;
use cutover_reporters::bytes;
use cutover_targets::host::{Layout, Listing, Unreadable};
use serde_json::{Map, Value, json};

/// List an environment's releases, newest first
///
/// Shows every release that the host keeps: which one is current and which was before, how far it
/// came (staged, live, good, bad), what it takes on disk, and why it is bad: never started, not
/// healthy, or left by a rollback. Unchanged files are shared between
/// releases, so together they take less than the sum. One that cannot be read is listed with why.
///
/// Examples:
///   cutover releases production
///   cutover rollback production 20261121101500-a1b2c3d   # go to one of them
///
/// With --json: {"v":1,"targets":{"app":[{"id":…,"state":…,"current":…}]},"unreadable":{"app":[{"id":…,"why":…}]}}.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ReleasesArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    #[command(flatten)]
    pub(super) only: HostArgs,
}

impl ReleasesArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let (name, environment) = context.environment(&self.environment)?;
        let place = Place::here(name, environment)?;
        let targets = place
            .layouts()
            .map(|(name, _, layout)| Ok((name.to_string(), Listed::of(&layout)?)))
            .collect::<Result<Vec<(String, Listed)>, Failure>>()?;
        if context.output.json {
            let by_name = |of: &dyn Fn(&Listed) -> Value| -> Map<String, Value> {
                targets.iter().map(|(name, listed)| (name.clone(), of(listed))).collect()
            };
            let readable = by_name(&|listed| json!(listed.releases));
            let unreadable = by_name(&Listed::unreadable_json);
            context.output.json(&json!({ "v": 1, "targets": readable, "unreadable": unreadable }))?;
            return Ok(Exit::Done);
        }
        for (target, listed) in &targets {
            context.output.text(&text(context, target, listed))?;
        }
        Ok(Exit::Done)
    }
}

/// The releases of a target, newest first, and those that cannot be read.
struct Listed {
    releases: Vec<ReleaseRecord>,
    unreadable: Vec<Unreadable>,
}

impl Listed {
    fn of(layout: &Layout) -> Result<Self, Failure> {
        let Listing { releases, unreadable } = Listing::of(layout)?;
        Ok(Self { releases: releases.iter().rev().map(|release| release.record(layout)).collect(), unreadable })
    }

    fn unreadable_json(&self) -> Value {
        self.unreadable.iter().map(|release| json!({ "id": release.id, "why": release.why })).collect()
    }
}

fn text(context: &Context, target: &str, listed: &Listed) -> String {
    if listed.releases.is_empty() && listed.unreadable.is_empty() {
        return format!("{target}: no releases yet\n");
    }
    let mut table = Table::new(&["release", "target", "state", "", "size", "commit", "made", "why"]);
    for release in &listed.releases {
        table.row([
            release.id.to_string(),
            target.to_owned(),
            words::release_state(release.state).to_owned(),
            place(release).to_owned(),
            bytes(release.size_bytes),
            words::commit(&release.commit, release.dirty),
            words::ago(release.created_at, context.now()),
            release.reason.clone(),
        ]);
    }
    for Unreadable { id, why } in &listed.unreadable {
        let [state, place, size, commit, made] = ["unknown", "", "", "", ""].map(str::to_owned);
        table.row([
            id.to_string(),
            target.to_owned(),
            state,
            place,
            size,
            commit,
            made,
            format!("cannot be read: {why}"),
        ]);
    }
    table.without_blank("why").render(context.output.width)
}

fn place(release: &ReleaseRecord) -> &'static str {
    match (release.current, release.previous) {
        (true, _) => "← current",
        (false, true) => "← previous",
        (false, false) => "",
    }
}
