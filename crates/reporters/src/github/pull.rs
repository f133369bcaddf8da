//! Pull requests, as far as they must be found.

use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::wire::{Call, number, text};
use cutover_core::percent::encoded;
use serde_json::Value;

/// The commit that a pull request's head is now; None where GitHub does not say.
pub fn head(client: &Client, pull: u64) -> Result<Option<CommitId>, Fault> {
    let call = Call::get(client.path(&format!("pulls/{pull}")), "look at the pull request", "pull-requests: read");
    match client.send(&call) {
        Ok(answer) => Ok(sha(&answer.body)),
        Err(fault) if fault.is_refusal() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The pull request that was merged as this commit; None where there is none, or GitHub does not say.
pub fn merged_as(client: &Client, commit: &CommitId) -> Result<Option<u64>, Fault> {
    let path = client.path(&format!("commits/{commit}/pulls?per_page=100"));
    let call = Call::get(path, "look for the pull request that was merged", "pull-requests: read");
    // An open one has a commit that would merge it in the same place.
    let is_it = |pull: &&Value| {
        text(pull, "merged_at").is_some() && text(pull, "merge_commit_sha") == Some(&commit.to_string())
    };
    let found = client.seek(call, |page| page.as_array()?.iter().find(is_it).and_then(|pull| number(pull, "number")));
    found.or_else(|fault| if fault.is_refusal() { Ok(None) } else { Err(fault) })
}

fn sha(pull: &Value) -> Option<CommitId> {
    text(pull.get("head")?, "sha")?.parse().ok()
}

/// The open pull request whose head is this commit, on this branch of this owner's fork. GitHub alone is asked: whoever
/// wrote a record could name any.
pub fn with_head(client: &Client, owner: &str, branch: &str, head: &CommitId) -> Result<Option<u64>, Fault> {
    let path = format!("pulls?state=open&head={}:{}&per_page=100", encoded(owner), encoded(branch));
    let has_head = |pull: &&Value| sha(pull).is_some_and(|sha| sha == *head);
    let call = Call::get(client.path(&path), "look for the pull request", "pull-requests: read");
    client.seek(call, |page| page.as_array()?.iter().find(has_head).and_then(|pull| number(pull, "number")))
}
