//! Tags of versions: annotated, made once, never moved.

use super::check_run::without_id;
use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::wire::{Call, text};
use cutover_core::percent::encoded;
use serde_json::{Value, json};

/// How many tags of tags are followed to a commit.
const DEPTH_MAX: usize = 5;
const WRITE: &str = "contents: write";
const READ: &str = "contents: read";

/// What came of making a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    /// It is new.
    Made,
    /// It was at this commit already.
    WasThere,
    /// It is at another commit, and stays there.
    Elsewhere(CommitId),
}

/// The commit that a tag is at; None where there is no such tag.
pub fn commit_of(client: &Client, name: &str) -> Result<Option<CommitId>, Fault> {
    let doing = "look for the tag";
    let Some(found) = found(client, &Call::get(reference(client, name), doing, READ))? else { return Ok(None) };
    let mut object = found;
    for _ in 0..DEPTH_MAX {
        let inner = object.get("object").unwrap_or(&Value::Null);
        let sha = text(inner, "sha").and_then(|sha| sha.parse().ok()).ok_or_else(|| without_id(doing))?;
        if text(inner, "type") != Some("tag") {
            return Ok(Some(sha));
        }
        object = client.send(&Call::get(client.path(&format!("git/tags/{sha}")), doing, READ))?.body;
    }
    Err(Fault::Rejected { doing, status: 200, message: format!("{name} is a tag of a tag of a tag") })
}

/// Makes an annotated tag at a commit, unless there is one of this name.
pub fn make(client: &Client, name: &str, commit: &CommitId, message: &str) -> Result<Tagged, Fault> {
    if let Some(known) = commit_of(client, name)? {
        return Ok(there(known, commit));
    }
    let doing = "make a tag";
    let body = json!({ "tag": name, "message": message, "object": commit.to_string(), "type": "commit" });
    // Without a reference to it, an object is nothing: two are no harm.
    let object = Call::post(client.path("git/tags"), body, doing, WRITE).repeatable();
    let made = client.send(&object)?.body;
    let sha: CommitId = text(&made, "sha").and_then(|sha| sha.parse().ok()).ok_or_else(|| without_id(doing))?;
    let body = json!({ "ref": format!("refs/tags/{name}"), "sha": sha.to_string() });
    let post = Call::post(client.path("git/refs"), body, doing, WRITE);
    match client.create(&post, || found(client, &Call::get(reference(client, name), doing, READ))) {
        Ok(_) => {}
        // Somebody may have been faster.
        Err(Fault::Rejected { status: 422, message, .. }) => {
            let faster = commit_of(client, name)?;
            return faster.map(|known| there(known, commit)).ok_or(Fault::Rejected { doing, status: 422, message });
        }
        Err(fault) => return Err(fault),
    }
    // What was found after an answer that did not come may be somebody else's.
    match commit_of(client, name)? {
        Some(known) if known != *commit => Ok(Tagged::Elsewhere(known)),
        Some(_) | None => Ok(Tagged::Made),
    }
}

fn there(known: CommitId, commit: &CommitId) -> Tagged {
    if known == *commit { Tagged::WasThere } else { Tagged::Elsewhere(known) }
}

fn reference(client: &Client, name: &str) -> String {
    client.path(&format!("git/ref/{}", encoded(&format!("tags/{name}"))))
}

/// What a call finds; None where GitHub says that there is no such thing.
pub(super) fn found(client: &Client, call: &Call) -> Result<Option<Value>, Fault> {
    match client.send(call) {
        Ok(answer) => Ok(Some(answer.body)),
        Err(Fault::Refused { status: 404, .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}
