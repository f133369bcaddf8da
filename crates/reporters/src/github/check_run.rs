//! Check runs: what checks said of a commit, at the commit and in its code.

use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::wire::{Answer, Call, number, text};
use crate::checks::github::{Annotation, Room, errors, summary_within, warnings};
use crate::checks::words::total;
use crate::markdown::{beginning, within};
use crate::one_line;
use cutover_core::check::Counted;
use cutover_core::check::run::{Conclusion, Run};
use cutover_core::percent::encoded;
use serde_json::{Value, json};

/// The most annotations that GitHub takes in one request.
pub const ANNOTATIONS_PER_REQUEST: usize = 50;
/// The most that are sent: nobody reads on.
const ANNOTATION_COUNT_MAX: usize = 500;
/// The longest summary that GitHub takes, in bytes.
pub const SUMMARY_BYTES_MAX: usize = 65_535;
/// The longest title of an annotation, in bytes.
const TITLE_BYTES_MAX: usize = 255;
/// The longest message of an annotation, in bytes; GitHub takes 64 KiB.
const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// The room of a summary.
const ROOM: Room = Room { bytes_max: 60_000, section_bytes_max: 12_000 };
/// Begins the mark in a summary that says how many lines are covered, for whoever is compared with that commit.
const LINES: &str = "\n<!-- cutover:lines ";
const WRITE: &str = "checks: write";

/// A check run that is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRunId(u64);

/// What a check run shows once it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    conclusion: Conclusion,
    title: String,
    summary: String,
    annotations: Vec<Value>,
}

impl Told {
    /// What it shows of these checks, with some words of ours above it.
    pub fn new(run: &Run, above: &str) -> Self {
        let level = |level: &'static str| move |one: Annotation<'_>| annotation(level, &one);
        let all = errors(run).into_iter().filter_map(level("failure"));
        let mut annotations: Vec<Value> = all.chain(warnings(run).into_iter().filter_map(level("warning"))).collect();
        let hidden = annotations.len().saturating_sub(ANNOTATION_COUNT_MAX);
        annotations.truncate(ANNOTATION_COUNT_MAX);
        let hidden =
            if hidden == 0 { String::new() } else { format!("{hidden} more places are not marked in the code.\n\n") };
        let lines =
            run.totals.lines.map(|lines| format!("{LINES}{}/{} -->\n", lines.covered, lines.total)).unwrap_or_default();
        let summary = within(&format!("{above}{hidden}{}", summary_within(run, ROOM)), SUMMARY_BYTES_MAX - lines.len());
        let summary = format!("{summary}{lines}");
        Self { conclusion: run.conclusion, title: total(run), summary, annotations }
    }

    /// The same where something else speaks against it.
    #[must_use]
    pub fn concluding(self, conclusion: Conclusion) -> Self {
        Self { conclusion, ..self }
    }
}

/// An annotation in the code; None of what has no place there.
fn annotation(level: &str, one: &Annotation<'_>) -> Option<Value> {
    let path = one.file.map(|file| file.strip_prefix("./").unwrap_or(file)).filter(|file| !file.is_empty())?;
    let line = one.line.unwrap_or(1).max(1);
    let message = if one.message.trim().is_empty() { &one.title } else { &one.message };
    Some(json!({
        "path": path,
        "start_line": line,
        "end_line": line,
        "annotation_level": level,
        "title": beginning(&one_line(&one.title), TITLE_BYTES_MAX),
        "message": within(message, MESSAGE_BYTES_MAX),
    }))
}

/// Begins a check run. `key` tells this one from all others of the same name, so that none is made twice.
pub fn begin(client: &Client, commit: &CommitId, name: &str, key: &str, url: &str) -> Result<CheckRunId, Fault> {
    let body = json!({
        "name": name,
        "head_sha": commit.to_string(),
        "status": "in_progress",
        "external_id": key,
        "details_url": url,
        "started_at": client.now(),
    });
    let post = Call::post(client.path("check-runs"), body, "make a check run", WRITE);
    let made = client.create(&post, || find(client, commit, name, key))?;
    let id = number(&made, "id").ok_or_else(|| without_id("make a check run"))?;
    Ok(CheckRunId(id))
}

/// An answer that lacks what it must have.
pub(super) fn without_id(doing: &'static str) -> Fault {
    Fault::Rejected { doing, status: 200, message: "its answer has no id".to_owned() }
}

fn find(client: &Client, commit: &CommitId, name: &str, key: &str) -> Result<Option<Value>, Fault> {
    let path = format!("commits/{commit}/check-runs?check_name={}&filter=all&per_page=100", encoded(name));
    client.seek(Call::get(client.path(&path), "list check runs", "checks: read"), |page| {
        let runs = page.get("check_runs")?.as_array()?;
        runs.iter().find(|run| text(run, "external_id") == Some(key)).cloned()
    })
}

/// How many lines were covered at a commit, as the last check run of this name there says; None where none does.
pub fn lines_of(client: &Client, commit: &CommitId, name: &str) -> Result<Option<Counted>, Fault> {
    let path = format!("commits/{commit}/check-runs?check_name={}&status=completed&per_page=1", encoded(name));
    let list = Call::get(client.path(&path), "look for the coverage before", "checks: read");
    let page = client.send(&list)?.body;
    let summary = page.pointer("/check_runs/0/output/summary").and_then(Value::as_str);
    Ok(summary.and_then(lines_in))
}

/// The mark stands last: what checks say has no comments in it.
fn lines_in(summary: &str) -> Option<Counted> {
    let (_, mark) = summary.rsplit_once(LINES.trim_start())?;
    let (covered, total) = mark.trim_end().strip_suffix(" -->")?.split_once('/')?;
    Some(Counted { covered: covered.parse().ok()?, total: total.parse().ok()? })
}

/// Ends a check run: the result first, with as many annotations as one request takes, then the others. Where GitHub does not
/// take the annotations, the result is told without them, and that is the fault: a check run without an end would block a
/// pull request for ever.
pub fn complete(client: &Client, id: &CheckRunId, told: &Told) -> Result<(), Fault> {
    match complete_with(client, id, told) {
        Err(fault @ Fault::Rejected { .. }) if !told.annotations.is_empty() => {
            let bare = Told { annotations: Vec::new(), ..told.clone() };
            complete_with(client, id, &bare).and(Err(fault))
        }
        ended => ended,
    }
}

fn complete_with(client: &Client, id: &CheckRunId, told: &Told) -> Result<(), Fault> {
    let mut sent = 0;
    loop {
        let batch = &told.annotations[sent..told.annotations.len().min(sent + ANNOTATIONS_PER_REQUEST)];
        let mut body = json!({ "output": { "title": told.title, "summary": told.summary, "annotations": batch } });
        if sent == 0 {
            body["status"] = "completed".into();
            body["conclusion"] = told.conclusion.as_str().into();
            body["completed_at"] = client.now().into();
        }
        update(client, id, body, sent + batch.len())?;
        sent += batch.len();
        if sent >= told.annotations.len() {
            return Ok(());
        }
    }
}

/// Annotations are added to those that are there: before a second time it is seen whether the first was heard.
fn update(client: &Client, id: &CheckRunId, body: Value, annotation_count: usize) -> Result<(), Fault> {
    let path = client.path(&format!("check-runs/{}", id.0));
    let patch = Call::patch(path.clone(), body, "complete a check run", WRITE).only_once();
    let is_there = |Answer { body, .. }: Answer| {
        let shown = body.get("output").and_then(|output| number(output, "annotations_count")).unwrap_or(0);
        let is_over = text(&body, "status") == Some("completed");
        (is_over && shown >= annotation_count as u64).then_some(body)
    };
    let look = || client.send(&Call::get(path.clone(), "look at a check run", "checks: read")).map(is_there);
    client.create(&patch, look).map(drop)
}
