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
use cutover_reporters::bytes;
use cutover_targets::host::{Layout, Release};
use serde_json::json;

/// List an environment's releases, newest first
///
/// Shows every release that the host keeps: which one is current and which was before, how far it
/// came (staged, live, good, bad), what it takes on disk, and why it is bad: never started, not
/// healthy, or left by a rollback. Unchanged files are shared between
/// releases, so together they take less than the sum.
///
/// Examples:
///   cutover releases production
///   cutover rollback production 20261121101500-a1b2c3d   # go to one of them
///
/// With --json: {"v":1,"targets":{"app":[{"id":…,"state":…,"current":…}]}}.
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
        let targets: Vec<(String, Vec<ReleaseRecord>)> =
            place.layouts().map(|(name, _, layout)| (name.to_string(), newest_first(&layout))).collect();
        if context.output.json {
            let by_name: serde_json::Map<_, _> =
                targets.iter().map(|(name, releases)| (name.clone(), json!(releases))).collect();
            context.output.json(&json!({ "v": 1, "targets": by_name }))?;
            return Ok(Exit::Done);
        }
        for (target, releases) in &targets {
            context.output.text(&text(context, target, releases))?;
        }
        Ok(Exit::Done)
    }
}

fn newest_first(layout: &Layout) -> Vec<ReleaseRecord> {
    Release::list(layout).iter().rev().map(|release| release.record(layout)).collect()
}

fn text(context: &Context, target: &str, releases: &[ReleaseRecord]) -> String {
    if releases.is_empty() {
        return format!("{target}: no releases yet\n");
    }
    let mut table = Table::new(&["release", "target", "state", "", "size", "commit", "made", "why"]);
    for release in releases {
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
    table.without_blank("why").render(context.output.width)
}

fn place(release: &ReleaseRecord) -> &'static str {
    match (release.current, release.previous) {
        (true, _) => "← current",
        (false, true) => "← previous",
        (false, false) => "",
    }
}
