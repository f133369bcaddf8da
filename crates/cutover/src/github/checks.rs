//! What checks find, told to GitHub: a check run, or a commit status where that may not be, and the pull request's comment.

use super::job::Job;
use crate::output::Output;
use cutover_core::check::run::{Conclusion, Run};
use cutover_reporters::checks::words::total;
use cutover_reporters::github::check_run::{self, CheckRunId, Told};
use cutover_reporters::github::comment::{self, Place, Section};
use cutover_reporters::github::status::{self, State};
use cutover_reporters::github::{Client, CommitId, Fault, login, pull};
use jiff::Timestamp;
use std::path::Path;
use std::thread::{self, JoinHandle};

/// The longest list of checks in a name, in characters.
const NAMES_LENGTH_MAX: usize = 80;

/// Tells of one run of checks.
pub(crate) struct ChecksTeller {
    job: Job,
    project: String,
    /// Which checks, where it is not all of them.
    names: String,
    /// GitHub is told of the beginning while the checks begin.
    begun: JoinHandle<Result<Begun, String>>,
}

/// What stands at the commit.
enum Stand {
    CheckRun(CheckRunId),
    Status,
    Nothing,
}

struct Begun {
    client: Client,
    stand: Stand,
    warnings: Vec<String>,
}

impl ChecksTeller {
    /// Begins to tell of these checks; none named means all. None where nobody is to be told.
    pub(crate) fn begin(output: &Output, top: &Path, project: &str, names: &[String]) -> Option<Self> {
        let job = Job::here(output)?;
        if job.is_of_stranger(output) || !job.is_judged_in(top, output) {
            return None;
        }
        let mut names = names.to_vec();
        names.sort();
        let names: String = names.join(", ").chars().take(NAMES_LENGTH_MAX).collect();
        let (theirs, name) = (job.clone(), name(project, &names));
        let begun = thread::spawn(move || begin(&theirs, &name));
        Some(Self { job, project: project.to_owned(), names, begun })
    }

    /// The checks are over; None where they could not begin. Says whether what failed is marked in the code.
    pub(crate) fn end(self, output: &Output, run: Option<&Run>) -> bool {
        let Self { job, project, names, begun } = self;
        let begun = begun.join().unwrap_or_else(|_| Err("the thread that tells it broke".to_owned()));
        let Begun { client, stand, mut warnings } = match begun {
            Ok(begun) => begun,
            Err(why) => {
                output.warn(&format!("GitHub is not told: {why}"));
                return false;
            }
        };
        let nothing = Run::new(Timestamp::now(), 0.0, Vec::new());
        let (run, could_begin) = (run.unwrap_or(&nothing), run.is_some());
        let conclusion = if could_begin { run.conclusion } else { Conclusion::Cancelled };
        let name = name(&project, &names);
        let told = conclude(&client, &job, &stand, &name, (run, conclusion));
        let is_marked = told.is_ok() && matches!(stand, Stand::CheckRun(_));
        warnings.extend(told.err().map(|fault| fault.to_string()));
        if could_begin && let Some(pull) = job.pull() {
            let voice =
                Voice { client: &client, project: &project, pull: pull.number, names: &names, commit: &pull.head };
            let base = pull.base.as_ref().map(|base| (base, name.as_str()));
            let told = voice.comment_on_head(run, base, &job.run_url);
            warnings.extend(told.err().map(|fault| fault.to_string()));
        }
        warnings.iter().for_each(|warning| output.warn(warning));
        is_marked
    }
}

/// The name at the commit: what a rule of the repository can demand.
pub(super) fn name(project: &str, names: &str) -> String {
    if names.is_empty() { format!("cutover: {project}") } else { format!("cutover: {project} ({names})") }
}

fn begin(job: &Job, name: &str) -> Result<Begun, String> {
    let client = job.client()?;
    let commit = job.judged();
    let key = format!("{}-{}-{}", job.run_id, std::process::id(), Timestamp::now().as_nanosecond());
    let (stand, warnings) = match check_run::begin(&client, commit, name, &key, &job.run_url) {
        Ok(id) => (Stand::CheckRun(id), Vec::new()),
        Err(fault) if fault.is_refusal() => {
            match status::write(&client, commit, name, State::Pending, "the checks run", &job.run_url) {
                Ok(()) => (Stand::Status, vec![format!("a commit status stands for a check run: {fault}")]),
                Err(other) => (Stand::Nothing, vec![format!("{fault}; and {other}")]),
            }
        }
        Err(fault) => (Stand::Nothing, vec![fault.to_string()]),
    };
    Ok(Begun { client, stand, warnings })
}

fn conclude(
    client: &Client,
    job: &Job,
    stand: &Stand,
    name: &str,
    (run, conclusion): (&Run, Conclusion),
) -> Result<(), Fault> {
    match stand {
        Stand::CheckRun(id) => {
            let told = Told::new(run, "").concluding(conclusion);
            check_run::complete(client, id, &told)
        }
        Stand::Status => status::write(client, job.judged(), name, conclusion.into(), &total(run), &job.run_url),
        Stand::Nothing => Ok(()),
    }
}

/// Speaks in a pull request's comment.
pub(super) struct Voice<'a> {
    pub(super) client: &'a Client,
    pub(super) project: &'a str,
    pub(super) pull: u64,
    pub(super) names: &'a str,
    /// What was checked.
    pub(super) commit: &'a CommitId,
}

impl Voice<'_> {
    /// Keeps the section, unless the pull request was pushed to since: a run that ends late must not take the place of what was
    /// said of a newer commit.
    fn comment_on_head(&self, run: &Run, base: Option<(&CommitId, &str)>, url: &str) -> Result<(), Fault> {
        match pull::head(self.client, self.pull)? {
            Some(head) if head != *self.commit => Ok(()),
            Some(_) | None => self.comment(run, "", base, url),
        }
    }

    /// Keeps the section of these checks. `base` is what the change is compared with, and the name of the checks there.
    pub(super) fn comment(
        &self,
        run: &Run,
        above: &str,
        base: Option<(&CommitId, &str)>,
        url: &str,
    ) -> Result<(), Fault> {
        // What is not known of the base is not shown; that is no fault of this change.
        let before = base.and_then(|(commit, name)| check_run::lines_of(self.client, commit, name).ok().flatten());
        let above = format!("{above}{}", comment::coverage(run, before));
        let login = login(self.client)?;
        let place = Place { pull: self.pull, project: self.project, login: &login };
        comment::keep(self.client, place, &Section::checks(self.names, run, &above, self.commit, url)).map(drop)
    }
}
