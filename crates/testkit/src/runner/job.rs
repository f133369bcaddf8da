//! A job on a machine of its own.

use super::expression::Scope;
use super::run::{Execution, RunJob, filled, know, with_defaults};
use crate::yaml;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// The keys of a step that are played.
const STEP_KEYS: [&str; 9] = ["name", "id", "if", "uses", "with", "env", "working-directory", "shell", "run"];

/// A machine that has nothing yet, and a job that runs on it.
pub(super) struct Machine<'a> {
    pub(super) execution: &'a Execution<'a>,
    id: &'a str,
    job: &'a Value,
    pub(super) directory: Option<String>,
    contexts: Value,
    pub(super) dir: PathBuf,
    /// The token that speaks for the job.
    token: String,
    /// Secrets that this job could see.
    pub(super) masks: Vec<String>,
    /// What earlier steps wrote to `GITHUB_ENV` and `GITHUB_PATH`.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) path: Vec<String>,
    /// What is kept when the job succeeds: key, and where it lies.
    pub(super) to_cache: Vec<(String, Vec<PathBuf>)>,
    pub(super) told: RunJob,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        execution: &'a Execution<'a>,
        id: &'a str,
        job: &'a Value,
        workflow: &'a Value,
        mut contexts: Value,
    ) -> Self {
        let dir = execution.runner.dir.join("machines").join(format!("{}-{id}", execution.number));
        for name in ["work", "home", "temp"] {
            fs::create_dir_all(dir.join(name)).expect("a machine has its directories");
        }
        let environment = job["environment"]["name"].as_str().unwrap_or_default();
        // A fork's pull requests get none.
        let is_fork = contexts["github"]["event"]["pull_request"]["head"]["repo"]["full_name"]
            .as_str()
            .is_some_and(|name| name != execution.runner.repository);
        let secrets = execution.runner.secrets.get(environment).filter(|_| !is_fork).cloned().unwrap_or_default();
        // Of a text with several lines each is a secret.
        let masks = secrets.values().flat_map(|value| value.lines().map(str::to_owned)).collect();
        let token = token(execution, job, is_fork);
        contexts["github"]["token"] = json!(token);
        contexts["secrets"] = json!(secrets);
        contexts["steps"] = json!({});
        contexts["runner"] = json!({ "os": "Linux", "temp": dir.join("temp") });
        let directory = workflow["defaults"]["run"]["working-directory"].as_str().map(str::to_owned);
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash");
        Self {
            execution,
            id,
            job,
            directory,
            contexts,
            dir,
            token,
            masks,
            environment: BTreeMap::new(),
            path: Vec::new(),
            to_cache: Vec::new(),
            told: RunJob { result: "success".to_owned(), ..RunJob::default() },
        }
    }

    pub(super) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    pub(super) fn temp(&self) -> PathBuf {
        self.dir.join("temp")
    }

    /// A path of the machine: absolute, of its home, or of its workspace.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.dir.join("home").join(rest),
            None => self.work().join(path),
        }
    }

    /// Runs all steps.
    pub(super) fn run(mut self) -> RunJob {
        assert!(self.job["timeout-minutes"].is_u64(), "{} has a time limit", self.id);
        let steps = self.job["steps"].as_array().expect("a job has steps").clone();
        self.steps(&steps);
        let ids = self.job["outputs"].as_object().cloned().unwrap_or_default();
        self.told.outputs = ids
            .iter()
            .map(|(name, value)| (name.clone(), self.scoped(|scope| scope.fill(value.as_str().unwrap_or_default()))))
            .collect();
        if self.told.result == "success" {
            self.keep_caches();
        }
        if let Some(github) = &self.execution.runner.github {
            github.revoke(&self.token);
        }
        self.told
    }

    /// What every script knows of the GitHub that it runs for.
    pub(super) fn surroundings(&self) -> Vec<(&'static str, String)> {
        let Some(github) = &self.execution.runner.github else { return Vec::new() };
        let file = self.temp().join("event.json");
        fs::write(&file, self.execution.event.payload.to_string()).expect("an event is written");
        vec![
            ("GITHUB_API_URL", github.url()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_EVENT_PATH", file.display().to_string()),
        ]
    }

    fn steps(&mut self, steps: &[Value]) {
        for step in steps {
            know(step, &STEP_KEYS);
            if !self.scoped(|scope| scope.holds(step["if"].as_str())) {
                continue;
            }
            let name = step["name"].as_str().expect("a step has a name");
            self.told.log += &format!("## {name}\n");
            let ended = match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) => self.action(action, step),
                (None, Some(script)) => self.script(script, step),
                (uses, run) => panic!("a step uses an action or runs a script: {uses:?} {run:?}"),
            };
            self.told.result = match (ended, self.execution.is_cancelled(), self.told.result.as_str()) {
                (_, true, _) => "cancelled".to_owned(),
                (false, false, "success") => "failure".to_owned(),
                (_, false, result) => result.to_owned(),
            };
        }
    }

    /// An action of the repository itself is its steps; others are played.
    fn action(&mut self, action: &str, step: &Value) -> bool {
        let Some(path) = action.strip_prefix("$/") else { return self.play(action, step) };
        let shown = self.execution.runner.git(&["show", &format!("{}:{path}/action.yml", self.execution.event.commit)]);
        let definition = yaml(&shown);
        assert_eq!(definition["runs"]["using"], "composite");
        let steps = definition["runs"]["steps"].as_array().expect("an action has steps").clone();
        assert!(steps.iter().all(|step| step["run"].is_null() || step["shell"] == "bash"), "an action says its shells");
        let inputs = with_defaults(&definition["inputs"], &self.given(step));
        let outer = (self.directory.take(), std::mem::replace(&mut self.contexts["inputs"], inputs));
        self.steps(&steps);
        (self.directory, self.contexts["inputs"]) = outer;
        self.told.result == "success"
    }

    /// Asks expressions as they stand now.
    pub(super) fn scoped<T>(&self, ask: impl FnOnce(&Scope<'_>) -> T) -> T {
        let hash_files = |patterns: &[String]| self.hash_files(patterns);
        let scope = Scope {
            contexts: &self.contexts,
            succeeded: self.told.result == "success",
            cancelled: self.execution.is_cancelled(),
            hash_files: &hash_files,
        };
        ask(&scope)
    }

    /// What a step is given.
    pub(super) fn given(&self, step: &Value) -> Value {
        self.scoped(|scope| filled(scope, &step["with"]))
    }

    pub(super) fn output(&mut self, step: &Value, outputs: &Map<String, Value>) {
        if let Some(id) = step["id"].as_str() {
            self.contexts["steps"][id] = json!({ "outputs": outputs });
        }
    }

    /// What was said, masked; a value that a job could see and that is in it was leaked.
    pub(super) fn say(&mut self, text: &str) {
        let masks = self.masks.iter().filter(|mask| !mask.is_empty());
        let masked = masks.fold(text.to_owned(), |text, mask| text.replace(mask.as_str(), "***"));
        self.told.leaked |= masked != text;
        self.told.log += &masked;
    }
}

/// A token that may what the job says; a pull request of a fork may only read.
fn token(execution: &Execution<'_>, job: &Value, is_fork: bool) -> String {
    let Some(github) = &execution.runner.github else { return "a-token-that-ends-with-the-job".to_owned() };
    let token = format!("ghs_{:016x}", RandomState::new().hash_one(execution.number));
    let rights = job["permissions"].as_object().into_iter().flatten();
    github.grant(&token, rights.map(|(permission, access)| (permission.clone(), access == "write" && !is_fork)));
    token
}

/// Every file below a directory, from there.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) { todo.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
