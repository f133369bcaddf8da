//! A runner of GitHub Actions, played: workflows as they are written, their scripts run for real.
//!
//! Each job has a machine of its own: a workspace, a home and a temporary directory that nobody had before. Actions of others are
//! played by what they are known to do: the checkout clones, caches and artifacts are folders.
//! What it does not know it refuses, so that no workflow passes because something in it was passed over.

mod actions;
mod expression;
mod groups;
mod job;
mod run;
mod steps;

pub use run::{Run, RunJob};

use crate::github::{FakeGitHub, newest_commit};
use crate::yaml;
use groups::Groups;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What happened in a repository.
#[derive(Debug, Clone)]
pub struct Event {
    /// `push`, `pull_request`, `workflow_run` or `workflow_dispatch`.
    pub name: &'static str,
    /// The full name of the branch or of the pull request.
    pub reference: String,
    /// The commit.
    pub commit: String,
    /// What is said of it: `github.event`.
    pub payload: Value,
    /// What a person entered.
    pub inputs: Value,
}

/// A repository at GitHub, its settings, and all the machines that its workflows want.
pub struct Runner {
    dir: PathBuf,
    /// Secrets by the environment that has them.
    secrets: BTreeMap<String, BTreeMap<String, String>>,
    variables: Vec<(String, String)>,
    /// The repository's full name.
    repository: String,
    /// The GitHub whose API jobs reach, if there is one.
    github: Option<Arc<FakeGitHub>>,
    groups: Groups,
    run_count: AtomicU64,
    /// The process groups of each run's steps that are under way.
    under_way: Mutex<BTreeMap<u64, run::UnderWay>>,
}

impl Runner {
    /// A runner that keeps all that it has in this directory, for a repository that lies in `origin` there.
    pub fn new(dir: &Path) -> Self {
        for name in ["artifacts", "caches", "machines"] {
            fs::create_dir_all(dir.join(name)).expect("a runner has its directories");
        }
        Self {
            dir: dir.to_owned(),
            secrets: BTreeMap::new(),
            variables: Vec::new(),
            repository: "ada/shop".to_owned(),
            github: None,
            groups: Groups::default(),
            run_count: AtomicU64::new(1),
            under_way: Mutex::default(),
        }
    }

    /// Lets jobs reach the API of this GitHub, each with a token that may what the job's `permissions` say, for as long as it runs.
    pub fn connect(&mut self, github: Arc<FakeGitHub>) {
        "shop/app".clone_into(&mut self.repository);
        self.github = Some(github);
    }

    /// Sets a secret of an environment.
    pub fn secret(&mut self, environment: &str, name: &str, value: &str) {
        self.secrets.entry(environment.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Sets a variable that all machines have.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The repository that is fetched from.
    pub fn origin(&self) -> PathBuf {
        self.dir.join("origin")
    }

    /// The push of a branch, as it is now.
    pub fn push(&self, branch: &str) -> Event {
        let reference = format!("refs/heads/{branch}");
        let commit = self.git(&["rev-parse", &reference]).trim().to_owned();
        Event {
            name: "push",
            reference,
            commit,
            payload: json!({ "repository": { "private": true } }),
            inputs: json!({}),
        }
    }

    /// A pull request to `main` from a branch of this repository, or of a fork, as it is now: what runs is the merge of the two.
    pub fn pull_request(&self, number: u64, branch: &str, repository: &str) -> Event {
        let (base, head) = (self.push("main").commit, self.push(branch).commit);
        let commit = self.merged(&base, &head, &format!("Merge {head} into {base}"));
        let owner = repository.split('/').next().unwrap_or_default();
        let payload = json!({ "pull_request": {
            "number": number,
            "html_url": format!("https://github.com/{}/pull/{number}", self.repository),
            "head": { "ref": branch, "sha": head, "repo": { "full_name": repository, "owner": { "login": owner } } },
            "base": { "ref": "main", "sha": base, "repo": { "full_name": self.repository } },
            "user": { "login": "ada" },
        } });
        let reference = format!("refs/pull/{number}/merge");
        Event { name: "pull_request", reference, commit, payload, inputs: json!({}) }
    }

    /// Merges a branch into `main`, as the button of a pull request does; the push that comes of it.
    pub fn merge(&self, number: u64, branch: &str) -> Event {
        let (base, head) = (self.push("main").commit, self.push(branch).commit);
        let commit = self.merged(&base, &head, &format!("Merge pull request #{number} from {branch}"));
        self.git(&["update-ref", "refs/heads/main", &commit, &base]);
        self.push("main")
    }

    /// A commit that merges the second one into the first.
    fn merged(&self, base: &str, head: &str, message: &str) -> String {
        let tree = self.git(&["merge-tree", "--write-tree", base, head]);
        let who = ["-c", "user.name=GitHub", "-c", "user.email=noreply@github.com"];
        let commit = ["commit-tree", tree.trim(), "-p", base, "-p", head, "-m", message];
        self.git(&[&who[..], &commit].concat()).trim().to_owned()
    }

    /// What other workflows are told of a run that has ended, on the default branch.
    pub fn completed(&self, run: &Run, of: &Event) -> Event {
        let head = &of.payload["pull_request"]["head"];
        let is_pull = head.is_object();
        let own = json!({ "full_name": self.repository, "owner": { "login": self.owner() } });
        let payload = json!({ "workflow_run": {
            "id": run.number,
            "name": run.workflow,
            "event": of.name,
            "conclusion": run.result,
            "head_sha": if is_pull { head["sha"].clone() } else { of.commit.as_str().into() },
            "head_branch": if is_pull { head["ref"].clone() } else { of.reference.trim_start_matches("refs/heads/").into() },
            "head_repository": if is_pull { head["repo"].clone() } else { own },
        } });
        Event { name: "workflow_run", payload, ..self.push("main") }
    }

    fn owner(&self) -> &str {
        self.repository.split('/').next().unwrap_or_default()
    }

    /// What a person starts on a branch.
    pub fn dispatch(&self, branch: &str, inputs: Value) -> Event {
        let payload = json!({ "repository": { "default_branch": "main", "private": true } });
        Event { name: "workflow_dispatch", inputs, payload, ..self.push(branch) }
    }

    /// Runs every workflow that wants to know of an event, one after the other.
    pub fn deliver(&self, event: &Event) -> Vec<Run> {
        let files = self.git(&["ls-tree", "--name-only", &event.commit, ".github/workflows/"]);
        let files = files.lines().filter(|file| wants(&self.workflow(file, event), event));
        files.map(|file| self.run(file, event)).collect()
    }

    /// Runs one workflow.
    pub fn run(&self, file: &str, event: &Event) -> Run {
        let number = self.run_count.fetch_add(1, Ordering::Relaxed);
        run::Execution::new(self, event, number).run(&self.workflow(file, event))
    }

    /// Waits until so many runs hold or want a group.
    pub fn await_line(&self, group: &str, count: usize) {
        self.groups.await_line(group, count);
    }

    /// Lets the repository have the tags that were made through GitHub's API.
    fn take_tags(&self) {
        for (name, commit, _) in self.github.iter().flat_map(|github| github.tags()) {
            let commit = if commit == newest_commit() { "main".to_owned() } else { commit };
            self.git(&["update-ref", &format!("refs/tags/{name}"), &commit]);
        }
    }

    fn workflow(&self, file: &str, event: &Event) -> Value {
        yaml(&self.git(&["show", &format!("{}:{file}", event.commit)]))
    }

    fn git(&self, args: &[&str]) -> String {
        let output = git(&self.origin()).args(args).output().expect("git runs");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("git says UTF-8")
    }
}

/// Git without anybody's settings.
fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").stdin(Stdio::null());
    command
}

/// Whether a workflow wants to run for an event.
fn wants(workflow: &Value, event: &Event) -> bool {
    let on = &workflow["on"];
    let Some(trigger) = on.get(event.name) else { return false };
    if event.name == "workflow_run" {
        let names = trigger["workflows"].as_array().into_iter().flatten();
        return names.into_iter().any(|name| *name == event.payload["workflow_run"]["name"]);
    }
    let branch = event.reference.strip_prefix("refs/heads/").unwrap_or_default();
    let fits = |key: &str| {
        let patterns = trigger[key].as_array().map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        patterns.map(|patterns| patterns.iter().any(|pattern| *pattern == "**" || pattern.replace('\\', "") == branch))
    };
    event.name != "push" || (fits("branches").unwrap_or(true) && !fits("branches-ignore").unwrap_or(false))
}
