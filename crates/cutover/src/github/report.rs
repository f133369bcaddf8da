//! The record of a job that may not speak, told by one that may: pull requests from forks.
//!
//! Whoever wrote the pull request wrote the record, too. It is bounded, counted anew, and shown as what it is; which commit
//! and which pull request it is about is what GitHub says, never the record.

use super::checks::{Voice, name};
use super::event::{Event, WorkflowRun};
use super::job::Job;
use crate::checks::read_run;
use crate::error::{CommandError, ErrorKind};
use cutover_core::check::run::{Conclusion, Run};
use cutover_reporters::checks::words::total;
use cutover_reporters::github::check_run::{self, Told};
use cutover_reporters::github::{Fault, pull, status};
use serde::Serialize;
use std::path::Path;

/// Says at the commit whose word it is. No rule should demand it: strangers decide what it says.
const FROM_FORK: &str = "from a fork";
/// Stands above what strangers say.
const ABOVE: &str = "This is what the pull request's own run says of itself: whoever wrote the change could have written \
                     this as well.\n\n";

/// What was told of a record.
#[derive(Debug, Serialize)]
pub(crate) struct Reported {
    /// The pull request; None where it was pushed to since, or closed.
    pub(crate) pull: Option<u64>,
    /// The commit.
    pub(crate) commit: String,
    /// What became of the checks.
    pub(crate) conclusion: Conclusion,
}

/// Tells of the record in this file. None where the run was of this repository itself, and could tell it.
pub(crate) fn report(project: &str, file: &Path) -> Result<Option<Reported>, CommandError> {
    let job = Job::required().map_err(|why| misplaced(&why))?;
    let Event::Run(of) = &job.event else { return Err(misplaced("the job runs for another event")) };
    if !of.is_of_pull {
        return Err(misplaced("the workflow that ended was started by no pull request"));
    }
    if !job.is_foreign(of.repository.as_deref()) {
        return Ok(None);
    }
    let run = read(file)?;
    let client =
        job.client().map_err(|why| CommandError::new(ErrorKind::Failed, format!("cannot reach GitHub: {why}")))?;
    let pull = pull::with_head(&client, &of.owner, &of.branch, &of.head).map_err(|fault| untold(&fault))?;
    let (url, name) = (job.page_of(of.id), name(project, FROM_FORK));
    let (conclusion, above) = believed(&run, of);
    let told = Told::new(&run, &above).concluding(conclusion);
    let key = format!("report-{}-{}", of.id, job.run_id);
    let stood = check_run::begin(&client, &of.head, &name, &key, &url);
    match stood.and_then(|id| check_run::complete(&client, &id, &told)) {
        Err(fault) if fault.is_refusal() => {
            status::write(&client, &of.head, &name, conclusion.into(), &total(&run), &url)
                .map_err(|other| untold(&other).hint(fault.to_string()))?;
        }
        stood => stood.map_err(|fault| untold(&fault))?,
    }
    if let Some(pull) = pull {
        let voice = Voice { client: &client, project, pull, names: FROM_FORK, commit: &of.head };
        voice.comment(&run, &above, None, &url).map_err(|fault| untold(&fault))?;
    }
    Ok(Some(Reported { pull, commit: of.head.to_string(), conclusion }))
}

/// What is believed of a record, and what stands above it. It may say that it failed; that it passed, GitHub must say, too.
fn believed(run: &Run, of: &WorkflowRun) -> (Conclusion, String) {
    let is_fine = |conclusion| matches!(conclusion, Conclusion::Success | Conclusion::Skipped);
    if is_fine(run.conclusion) && of.conclusion != Some(Conclusion::Success) {
        return (Conclusion::Failure, format!("{ABOVE}**GitHub says that this run did not succeed.**\n\n"));
    }
    (run.conclusion, ABOVE.to_owned())
}

/// Reads a record. Its totals are made anew from its checks.
fn read(file: &Path) -> Result<Run, CommandError> {
    let Run { started_at, seconds, checks, .. } =
        read_run(file).map_err(|error| error.state("GitHub was not told anything"))?;
    Ok(Run::new(started_at, seconds, checks))
}

fn misplaced(why: &str) -> CommandError {
    CommandError::new(ErrorKind::Usage, format!("nothing is to be reported to GitHub here: {why}"))
        .hint("it speaks from a job that runs `on: workflow_run`, with GITHUB_TOKEN in its environment")
}

fn untold(fault: &Fault) -> CommandError {
    CommandError::new(ErrorKind::Failed, fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_text(text: &str) -> Result<Run, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| error.message().to_owned())
    }

    fn record(checks: &serde_json::Value) -> String {
        let totals = json!({ "success": 9, "failure": 0, "cancelled": 0, "skipped": 0, "flaky": 0 });
        let run = json!({ "version": 1, "started_at": "2026-11-21T10:00:00Z", "seconds": 1e308, "conclusion": "success",
            "totals": totals, "checks": checks });
        json!({ "v": 1, "run": run }).to_string()
    }

    #[test]
    fn totals_of_strangers_are_counted_anew() {
        let counts = json!({ "passed": u64::MAX, "failed": u64::MAX, "errored": 1, "skipped": 0, "flaky": 0 });
        let none = json!({ "items": [], "left_out_count": u64::MAX });
        let cases = json!({ "cases": { "counts": counts, "seconds": 1.0, "flaky": none, "failures": none } });
        let failed = json!({ "name": "unit", "status": "completed", "conclusion": "failure", "report": cases });
        let run = read_text(&record(&json!([failed, failed]))).unwrap();
        assert_eq!((run.conclusion, run.totals.failure, run.totals.success), (Conclusion::Failure, 2, 0));
        assert!(!total(&run).is_empty());
        Told::new(&run, "");
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        let many = json!(vec![json!({ "name": "x", "status": "queued" }); 1_001]);
        let deep = format!("{{\"v\":1,\"run\":{}", "[".repeat(100_000));
        let other = record(&json!([])).replace("\"v\":1", "\"v\":2");
        for wrong in ["", "{}", "{\"v\":1}", "{\"v\":1,\"error\":{}}", &deep, &record(&many), &other] {
            assert!(
                read_text(wrong).unwrap_err().contains("the record of checks "),
                "{}",
                &wrong[..wrong.len().min(60)]
            );
        }
    }

    #[test]
    fn a_record_cannot_say_that_a_run_passed_of_which_github_says_otherwise() {
        let of = |conclusion| WorkflowRun {
            head: "c".repeat(40).parse().unwrap(),
            branch: "topic".to_owned(),
            owner: "stranger".to_owned(),
            repository: None,
            is_of_pull: true,
            conclusion,
            id: 5,
        };
        let passed =
            read_text(&record(&json!([{ "name": "x", "status": "completed", "conclusion": "success" }]))).unwrap();
        assert_eq!(believed(&passed, &of(Some(Conclusion::Success))).0, Conclusion::Success);
        for end in [Some(Conclusion::Failure), Some(Conclusion::Cancelled), Some(Conclusion::Skipped), None] {
            assert_eq!(believed(&passed, &of(end)).0, Conclusion::Failure, "{end:?}");
        }
    }
}
