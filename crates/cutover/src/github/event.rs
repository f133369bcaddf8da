//! The event that a job of GitHub Actions runs for. GitHub wrote the file, but titles, branches and names in it are
//! anybody's: what is needed is taken, and must look like what it should be.

use cutover_core::check::run::Conclusion;
use cutover_disk::read_bounded;
use cutover_reporters::github::CommitId;
use serde_json::Value;
use std::path::Path;

/// The largest event that is read, in bytes. GitHub's own are cut at 25 MB.
const EVENT_BYTES_MAX: u64 = 32 << 20;
/// The longest branch that is asked for, in bytes.
const BRANCH_BYTES_MAX: usize = 1024;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// A pull request was opened or pushed to.
    Pull(Pull),
    /// Another workflow ended.
    Run(WorkflowRun),
    /// Something of which only the commit matters.
    Other,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) head: CommitId,
    pub(super) base: Option<CommitId>,
    /// Whether it comes from another repository, so that the job's token may only read.
    pub(super) is_fork: bool,
}

/// A workflow's run that ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WorkflowRun {
    pub(super) head: CommitId,
    pub(super) branch: String,
    /// Who owns the repository that the branch is in.
    pub(super) owner: String,
    /// The repository that the branch is in; None where GitHub does not say.
    pub(super) repository: Option<String>,
    /// Whether a pull request started it.
    pub(super) is_of_pull: bool,
    /// What GitHub itself says became of it; None of what is no end that we know.
    pub(super) conclusion: Option<Conclusion>,
    /// Its number, for its page.
    pub(super) id: u64,
}

/// The event of this name, from this file.
pub(super) fn read(name: &str, file: &Path) -> Result<Event, String> {
    if !matches!(name, "pull_request" | "workflow_run") {
        return Ok(Event::Other);
    }
    let cannot = |why: String| format!("the event in {} cannot be read: {why}", file.display());
    let bytes = read_bounded(file, EVENT_BYTES_MAX).map_err(|error| cannot(error.source.to_string()))?;
    let event: Value = serde_json::from_slice(&bytes).map_err(|error| cannot(error.to_string()))?;
    let found = if name == "pull_request" { pull(&event).map(Event::Pull) } else { run(&event).map(Event::Run) };
    found.ok_or_else(|| cannot(format!("it is no {name}")))
}

/// Whether an event says that its repository is private. What cannot be read says nothing.
pub(super) fn is_private(file: &Path) -> bool {
    let bytes = read_bounded(file, EVENT_BYTES_MAX).ok();
    let event: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    event.is_some_and(|event| event.pointer("/repository/private") == Some(&Value::Bool(true)))
}

fn pull(event: &Value) -> Option<Pull> {
    let pull = event.get("pull_request")?;
    let (number, head) = (pull.get("number")?.as_u64()?, pull.pointer("/head/sha")?.as_str()?.parse().ok()?);
    let base = pull.pointer("/base/sha").and_then(Value::as_str).and_then(|sha| sha.parse().ok());
    // A fork that was deleted is null, and is another repository all the same.
    let name = |side: &str| pull.pointer(&format!("/{side}/repo/full_name")).and_then(Value::as_str);
    let is_fork = name("head").is_none() || name("head") != name("base");
    Some(Pull { number, head, base, is_fork })
}

fn run(event: &Value) -> Option<WorkflowRun> {
    let run = event.get("workflow_run")?;
    let text = |path: &str| run.pointer(path).and_then(Value::as_str);
    let conclusion = match text("/conclusion") {
        Some("success") => Some(Conclusion::Success),
        Some("failure" | "timed_out" | "startup_failure") => Some(Conclusion::Failure),
        Some("cancelled") => Some(Conclusion::Cancelled),
        Some("skipped") => Some(Conclusion::Skipped),
        Some(_) | None => None,
    };
    let branch = text("/head_branch")?.to_owned();
    let is_sound = !branch.is_empty() && branch.len() <= BRANCH_BYTES_MAX;
    is_sound.then_some(WorkflowRun {
        head: text("/head_sha")?.parse().ok()?,
        branch,
        owner: text("/head_repository/owner/login")?.to_owned(),
        repository: text("/head_repository/full_name").map(str::to_owned),
        is_of_pull: text("/event") == Some("pull_request"),
        conclusion,
        id: run.get("id")?.as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_private_only_where_the_event_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let told = |text: &str| {
            let file = dir.path().join("event.json");
            std::fs::write(&file, text).unwrap();
            is_private(&file)
        };
        assert!(told(r#"{"repository": {"private": true}}"#));
        for text in [r#"{"repository": {"private": false}}"#, r#"{"repository": {}}"#, "{}", "", r#"{"private": true}"#]
        {
            assert!(!told(text), "{text}");
        }
        assert!(!is_private(&dir.path().join("missing")));
    }
    use serde_json::json;

    fn read_as(name: &str, event: &str) -> Result<Event, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), event).unwrap();
        read(name, file.path())
    }

    fn pull(head: &Value) -> Value {
        json!({ "pull_request": { "number": 7, "title": "::error::@you", "head": head,
            "base": { "sha": "b".repeat(40), "repo": { "full_name": "shop/app" } } } })
    }

    #[test]
    fn a_pull_request_is_known_by_its_head_and_whether_it_is_a_forks() {
        let head = |repo: Value| json!({ "sha": "a".repeat(40), "repo": repo });
        let is_fork = |repo: Value| match read_as("pull_request", &pull(&head(repo)).to_string()) {
            Ok(Event::Pull(pull)) => {
                assert_eq!((pull.number, pull.head.to_string()), (7, "a".repeat(40)));
                pull.is_fork
            }
            other => panic!("{other:?}"),
        };
        assert!(!is_fork(json!({ "full_name": "shop/app" })));
        assert!(is_fork(json!({ "full_name": "stranger/app" })));
        assert!(is_fork(Value::Null), "a fork that was deleted");
    }

    #[test]
    fn what_is_no_event_is_said_and_believed_in_no_part() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let path = json!({ "sha": "../../x", "repo": null });
        for wrong in
            ["", "{", "null", "[]", "{}", &deep, &pull(&path).to_string(), "{\"pull_request\":{\"number\":-1}}"]
        {
            let told = read_as("pull_request", wrong).unwrap_err();
            assert!(told.starts_with("the event in "), "{told}");
        }
        assert!(read_as("workflow_run", "{\"workflow_run\":{}}").is_err());
        assert_eq!(read_as("push", "no JSON"), Ok(Event::Other), "what is not needed is not read");
        // Its head would be judged by what the base says.
        assert_eq!(read_as("pull_request_target", &pull(&path).to_string()), Ok(Event::Other));
    }

    #[test]
    fn a_run_is_of_the_commit_and_with_the_end_that_github_says() {
        let event = |conclusion: &str| {
            json!({ "workflow_run": { "id": 5, "head_sha": "c".repeat(40), "head_branch": "topic", "event": "pull_request",
                "conclusion": conclusion, "head_repository": { "owner": { "login": "stranger" } } } })
        };
        let conclusion = |word: &str| match read_as("workflow_run", &event(word).to_string()) {
            Ok(Event::Run(run)) => run.conclusion,
            other => panic!("{other:?}"),
        };
        assert_eq!(conclusion("success"), Some(Conclusion::Success));
        assert_eq!(conclusion("timed_out"), Some(Conclusion::Failure));
        assert_eq!(conclusion("something new"), None);
    }
}
