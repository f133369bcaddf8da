//! `cutover artifact`

use super::build::save;
use super::packing::needed_here;
use super::table::Table;
use super::words;
use crate::context::Context;
use crate::depot::{self, needed, share, tagged_commits, take};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::{Args, Subcommand};
use cutover_artifacts::ArtifactRecord;
use cutover_artifacts::depot::{DepotPruned, DepotRetention, Kept, PruneCut};
use cutover_core::artifact::Digest;
use cutover_reporters::bytes;
use serde_json::json;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// See, share and remove artifacts
///
/// Each machine has a store of its own, which `build` fills and keeps in order. Machines share the one
/// of `[artifact.store]` in cutover.toml: `build` puts artifacts there, and `deploy` and `promote` take
/// from there what is lacking here, so `push` and `pull` are for what was left out.
///
/// Examples:
///   cutover artifact list                 # what the shared store has, newest first
///   cutover artifact push 3fa9c1          # put there what was packed without it
///   cutover artifact pull 3fa9c1          # have it here
///   cutover artifact prune --dry-run      # what is old and needed by nobody
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ArtifactArgs {
    #[command(subcommand)]
    what: What,
}

/// What is done with artifacts.
#[derive(Debug, Subcommand)]
enum What {
    /// List the artifacts of the shared store, newest first; those of this machine where there is none
    ///
    /// With --json: {"v":1,"place":…,"count":…,"artifacts":[{"record":…,"sha256":…,"file_bytes":…,"here":…}]}.
    List {
        /// How many to list at most
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Those of this machine
        #[arg(long)]
        here: bool,
    },
    /// Put an artifact of this machine into the shared store
    Push {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// Put it there anew when it is there
        #[arg(long)]
        again: bool,
    },
    /// Take an artifact from the shared store to this machine
    Pull {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// Also write its file as it is there, and its provenance beside it: FILE.intoto.json, and .sig behind that
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove from the shared store what is older than its `keep_for`
    ///
    /// What was brought live in any environment as one of its last 20 artifacts stays, what the history or a
    /// host here has, and what a tag names, here or at the remote repository. When the remote repository
    /// cannot be asked for its tags, nothing is removed.
    ///
    /// With --json: {"v":1,"place":…,"dry_run":…,"removed":[…],"kept_count":…,"needed_count":…,"leftover_count":…}.
    Prune {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

impl ArtifactArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        match &self.what {
            What::List { limit, here } => list(context, usize::from(*limit), *here)?,
            What::Push { id, again } => push(context, id, *again)?,
            What::Pull { id, output } => pull(context, id, output.as_deref())?,
            What::Prune { dry_run } => prune(context, *dry_run)?,
        }
        Ok(Exit::Done)
    }
}

fn list(context: &Context, limit: usize, here: bool) -> Result<(), CommandError> {
    let local = context.artifacts()?.list()?;
    let depot = if here { None } else { depot::open(context)? };
    let Some(depot) = depot else {
        let ours = context.project()?.config.name.as_str();
        let own: Vec<&ArtifactRecord> = local.iter().filter(|record| record.project == ours).collect();
        let shown: Vec<Row<'_>> = own.iter().take(limit).map(|record| Row { record, kept: None, here: true }).collect();
        return tell(context, "this machine", own.len(), &shown);
    };
    let held: HashSet<Digest> = local.iter().map(|record| record.id).collect();
    let newest = depot.newest(limit)?;
    for name in &newest.damaged {
        context.output.warn(&format!("{name} in {} cannot be understood", depot.place()));
    }
    let row = |kept| Row::shared(kept, &held);
    tell(context, depot.place(), newest.count, &newest.artifacts.iter().map(row).collect::<Vec<_>>())
}

/// An artifact as it is listed.
struct Row<'a> {
    record: &'a ArtifactRecord,
    /// How the shared store has it.
    kept: Option<&'a Kept>,
    here: bool,
}

impl<'a> Row<'a> {
    fn shared(kept: &'a Kept, held: &HashSet<Digest>) -> Self {
        Self { record: &kept.record, kept: Some(kept), here: held.contains(&kept.record.id) }
    }
}

fn tell(context: &Context, place: &str, count: usize, rows: &[Row<'_>]) -> Result<(), CommandError> {
    let output = &context.output;
    if output.json {
        let artifact = |row: &Row<'_>| {
            let (sha256, file_bytes) = (row.kept.map(|kept| &kept.sha256), row.kept.map(|kept| kept.file_bytes));
            json!({ "record": row.record, "sha256": sha256, "file_bytes": file_bytes, "here": row.here })
        };
        let artifacts: Vec<_> = rows.iter().map(artifact).collect();
        return output.json(&json!({ "v": 1, "place": place, "count": count, "artifacts": artifacts }));
    }
    if rows.is_empty() {
        return output.text(&format!("{place} has no artifacts of this project yet\n"));
    }
    let mut table = Table::new(&["artifact", "commit", "packed", "size", "here", "what"]);
    for Row { record, kept, here } in rows {
        table.row([
            record.id.short(),
            words::commit(&record.commit, record.dirty),
            words::ago(record.packed_at, context.now()),
            bytes(kept.map_or(record.bytes, |kept| kept.file_bytes)),
            if *here { "yes" } else { "no" }.to_owned(),
            record.subject.clone(),
        ]);
    }
    output.text(&table.render_without(&["here", "packed"], output.width))?;
    match count - rows.len().min(count) {
        0 => Ok(()),
        more => output.text(&format!("and {more} older ones in {place}\n")),
    }
}

fn push(context: &Context, id: &str, again: bool) -> Result<(), CommandError> {
    let _there = needed(context)?;
    let artifact = context.artifacts()?.get(id)?;
    if artifact.record.project != context.project()?.config.name.as_str() {
        let why = format!("artifact {} is of project {}", artifact.id.short(), artifact.record.project);
        return Err(CommandError::new(ErrorKind::Usage, why));
    }
    let Some(shared) = share(context, &artifact, again)? else {
        let why = format!("artifact {} has uncommitted changes, which nobody shares", artifact.id.short());
        return Err(CommandError::new(ErrorKind::Usage, why).hint("commit, and build that"));
    };
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "artifact": artifact.record, "shared": shared }));
    }
    context.output.error(&shared.told())?;
    context.output.text(&format!("{}\n", artifact.id))
}

fn pull(context: &Context, id: &str, output: Option<&Path>) -> Result<(), CommandError> {
    let depot = needed(context)?;
    let found = depot.find(id)?.map(|id| depot.kept(&id)).transpose()?.flatten();
    let Some(kept) = found else {
        return Err(depot::nowhere(context, id));
    };
    let artifact = take(context, &depot, &kept).map_err(|error| error.state("nothing was taken"))?;
    if let Some(path) = output {
        let mut fetched = depot.fetch(&kept, &context.artifacts()?)?;
        save(&mut fetched, path)?;
        depot::write_beside(path, depot.provenance(&kept)?.as_ref())?;
    }
    if context.output.json {
        return context.output.json(&json!({ "v": 1, "artifact": artifact.record, "sha256": kept.sha256 }));
    }
    context.output.text(&format!("{}\n", artifact.id))
}

fn prune(context: &Context, dry_run: bool) -> Result<(), CommandError> {
    let depot = needed(context)?;
    let unchanged = |error: CommandError| error.state("nothing was removed");
    let commits = tagged_commits(context).map_err(unchanged).map_err(|error| {
        error.hint("what a tag names is never removed, so all tags must be known: here, and at the remote repository")
    })?;
    let pinned: HashSet<Digest> = needed_here(context).map_err(unchanged)?;
    let Some(store) = &context.project()?.config.artifact.store else { return Ok(()) };
    let (now, keep_for) = (context.now(), store.keep_for);
    let pruned = depot.prune(&DepotRetention { now, keep_for, pinned: &pinned, commits: &commits, dry_run });
    match pruned {
        Ok(pruned) => tell_pruned(context, depot.place(), &pruned, dry_run, true),
        Err(cut) => {
            let PruneCut { error, pruned } = *cut;
            // What is gone is gone, whatever came then.
            tell_pruned(context, depot.place(), &pruned, dry_run, false)?;
            let state = if dry_run {
                "nothing was removed"
            } else if pruned.removed.is_empty() && pruned.leftover_count == 0 {
                "nothing was removed, but for parts of what could not be perhaps"
            } else {
                "what is listed above was removed, and parts of what could not be perhaps"
            };
            Err(CommandError::from(error).state(state))
        }
    }
}

/// Tells what a prune did, or did before it was cut: then nobody knows what stays.
fn tell_pruned(
    context: &Context,
    place: &str,
    pruned: &DepotPruned,
    dry_run: bool,
    is_whole: bool,
) -> Result<(), CommandError> {
    let output = &context.output;
    let DepotPruned { removed, kept_count, needed_count, leftover_count, damaged } = pruned;
    for name in damaged {
        output.warn(&format!("{name} in {place} cannot be understood, and stays"));
    }
    if output.json {
        return output.json(&json!({
            "v": 1, "place": place, "dry_run": dry_run, "removed": removed, "kept_count": kept_count,
            "needed_count": needed_count, "leftover_count": leftover_count, "damaged": damaged, "complete": is_whole,
        }));
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    for record in removed {
        let (id, commit) = (record.id.short(), words::commit(&record.commit, record.dirty));
        let packed = words::ago(record.packed_at, context.now());
        let subject = cutover_reporters::one_line(&record.subject);
        output.text(&format!("{verb} {id} of {commit}, packed {packed}: {subject}\n"))?;
    }
    let leftovers = if *leftover_count == 0 { String::new() } else { format!(" and {leftover_count} leftovers") };
    let needed = if *needed_count == 0 { String::new() } else { format!(", {needed_count} of them old and needed") };
    let stay = if is_whole { format!("; {kept_count} stay{needed}") } else { ", and then failed".to_owned() };
    output.text(&format!("{verb} {} artifacts{leftovers} from {place}{stay}\n", removed.len()))
}
