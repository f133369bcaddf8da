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

use crate::yaml;
use groups::Groups;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened in a repository.
#[derive(Debug, Clone)]
pub struct Event {
    /// `push`, `pull_request` or `workflow_dispatch`.
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
            groups: Groups::default(),
            run_count: AtomicU64::new(1),
            under_way: Mutex::default(),
        }
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
        Event { name: "push", reference, commit, payload: json!({}), inputs: json!({}) }
    }

    /// A pull request of this repository from a branch, or one of a fork.
    pub fn pull_request(&self, number: u64, branch: &str, repository: &str) -> Event {
        let payload = json!({ "pull_request": {
            "number": number,
            "html_url": format!("https://github.com/ada/shop/pull/{number}"),
            "head": { "repo": { "full_name": repository } },
            "base": { "ref": "main" },
            "user": { "login": "ada" },
        } });
        let reference = format!("refs/pull/{number}/merge");
        Event { name: "pull_request", reference, payload, ..self.push(branch) }
    }

    /// What a person starts on a branch.
    pub fn dispatch(&self, branch: &str, inputs: Value) -> Event {
        let payload = json!({ "repository": { "default_branch": "main" } });
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
    let branch = event.reference.strip_prefix("refs/heads/").unwrap_or_default();
    let fits = |key: &str| {
        let patterns = trigger[key].as_array().map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        patterns.map(|patterns| patterns.iter().any(|pattern| *pattern == "**" || pattern.replace('\\', "") == branch))
    };
    event.name != "push" || (fits("branches").unwrap_or(true) && !fits("branches-ignore").unwrap_or(false))
}
