//! The job of GitHub Actions that this process runs in.

use super::event::{Event, Pull, is_private, read};
use crate::output::Output;
use cutover_artifacts::head_commit;
use cutover_core::secret::{GITHUB_TOKEN_VARIABLE, Secret};
use cutover_reporters::github::{Access, Client, CommitId, Patience, RealPace, Repository};
use cutover_targets::verify::root_certs;
use std::path::Path;

/// Where GitHub itself is, unless a job says otherwise.
pub(super) const SERVER: &str = "https://github.com";
pub(super) const API: &str = "https://api.github.com";

/// A job that has a token.
#[derive(Debug, Clone)]
pub(super) struct Job {
    api: String,
    token: Secret,
    repository: Repository,
    /// The commit that it runs for.
    pub(super) commit: CommitId,
    pub(super) event: Event,
    /// Whether the event says that not everybody may read the repository.
    pub(super) is_private: bool,
    server: String,
    /// The page of its run, with its logs.
    pub(super) run_url: String,
    /// What tells this run from all others.
    pub(super) run_id: String,
}

/// The token of a job of GitHub Actions; None outside of one. It is for Cutover alone.
pub(crate) fn token() -> Option<Secret> {
    let is_job = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    variable(GITHUB_TOKEN_VARIABLE).filter(|_| is_job).map(Secret::new)
}

impl Job {
    /// This one; None where there is none, or no token, or too little is known: then it is warned of.
    pub(super) fn here(output: &Output) -> Option<Self> {
        let found = Self::found(token()?);
        found.inspect_err(|why| output.warn(&format!("GitHub is not told: {why}"))).ok()
    }

    /// This one, or why there is none.
    pub(super) fn required() -> Result<Self, String> {
        Self::found(token().ok_or("this is no job of GitHub Actions that has GITHUB_TOKEN")?)
    }

    fn found(token: Secret) -> Result<Self, String> {
        let needed = |name: &str| variable(name).ok_or_else(|| format!("{name} is not set"));
        let wrong = |name: &str, error: &dyn std::error::Error| format!("{name}: {error}");
        let repository: Repository =
            needed("GITHUB_REPOSITORY")?.parse().map_err(|error| wrong("GITHUB_REPOSITORY", &error))?;
        let commit = needed("GITHUB_SHA")?.parse().map_err(|error| wrong("GITHUB_SHA", &error))?;
        let run_id = needed("GITHUB_RUN_ID")?;
        if run_id.len() > 20 || !run_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("GITHUB_RUN_ID is no number".to_owned());
        }
        let file = needed("GITHUB_EVENT_PATH")?;
        let event = read(&needed("GITHUB_EVENT_NAME")?, Path::new(&file))?;
        let is_private = is_private(Path::new(&file));
        let server = variable("GITHUB_SERVER_URL").filter(|url| is_plain(url)).unwrap_or_else(|| SERVER.to_owned());
        let run_url = format!("{server}/{repository}/actions/runs/{run_id}");
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
        Ok(Self { api, token, repository, commit, event, is_private, server, run_url, run_id })
    }

    /// The pull request that it is about.
    pub(super) fn pull(&self) -> Option<&Pull> {
        match &self.event {
            Event::Pull(pull) => Some(pull),
            Event::Run(_) | Event::Other => None,
        }
    }

    /// Whether a repository is another one. One that was deleted was.
    pub(super) fn is_foreign(&self, repository: Option<&str>) -> bool {
        // Names of GitHub are the same in capitals.
        repository.is_none_or(|repository| !repository.eq_ignore_ascii_case(&self.repository.to_string()))
    }

    /// Whether its token may only read, since strangers wrote what runs in it; then it is said what to do.
    pub(super) fn is_of_stranger(&self, output: &Output) -> bool {
        let is_fork = self.pull().is_some_and(|pull| pull.is_fork);
        if is_fork {
            output.warn(
                "GitHub is not told: in a pull request from a fork a job's token may only read. \
                 `cutover github report` tells it from a job of its own",
            );
        }
        is_fork
    }

    /// The commit that is judged: GitHub runs the merge of a pull request, and shows what is said of its head.
    pub(super) fn judged(&self) -> &CommitId {
        self.pull().map_or(&self.commit, |pull| &pull.head)
    }

    /// Whether what lies in this work tree is what GitHub is told of; else it is said what does. A step may have checked out
    /// anything: what a stranger's commit says of itself must not stand at another one.
    pub(super) fn is_judged_in(&self, top: &Path, output: &Output) -> bool {
        let about = self.judged();
        let merged = if about == &self.commit { String::new() } else { format!(" (its merge is {})", self.commit) };
        let why = match head_commit(top) {
            Ok(head) if head == about.to_string() || head == self.commit.to_string() => return true,
            Ok(head) => format!("{head} is checked out, and this job is about {about}{merged}"),
            Err(error) => format!("whether {about} is checked out is not known: {error}"),
        };
        output.warn(&format!("GitHub is not told: {why}"));
        false
    }

    /// The page of another run.
    pub(super) fn page_of(&self, run_id: u64) -> String {
        format!("{}/{}/actions/runs/{run_id}", self.server, self.repository)
    }

    /// Speaks for it.
    pub(super) fn client(&self) -> Result<Client, String> {
        let access = Access {
            api: self.api.clone(),
            token: self.token.clone(),
            login: variable("CUTOVER_GITHUB_LOGIN"),
            repository: self.repository.clone(),
            certs: root_certs()?,
        };
        Client::new(access, Box::new(RealPace), Patience::default())
    }
}

/// A variable that is set to something, without the end of a line that a secret was pasted with.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Whether a server's address can stand in a link.
pub(super) fn is_plain(url: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_');
    url.starts_with("http") && url.len() < 300 && url.chars().all(is_plain)
}
