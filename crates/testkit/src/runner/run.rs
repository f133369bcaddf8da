//! A run of a workflow: its jobs, in the order that they need.

use super::expression::Scope;
use super::groups::{Entered, Wish};
use super::job::Machine;
use super::{Event, Runner};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, ExitStatus};
use std::sync::PoisonError;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a step may take.
const STEP_PATIENCE: Duration = Duration::from_secs(300);

/// What became of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// The workflow's name.
    pub workflow: String,
    /// Its number, which names its artifacts.
    pub number: u64,
    /// What became of all jobs together.
    pub result: String,
    /// Its jobs, by id; those of a workflow that it calls are `caller/job`.
    pub jobs: BTreeMap<String, RunJob>,
}

/// What became of a job.
#[derive(Debug, Clone, Default)]
pub struct RunJob {
    /// `success`, `failure`, `cancelled` or `skipped`.
    pub result: String,
    /// What it said, secrets masked.
    pub log: String,
    /// Whether a secret's value was in what it said before that was masked.
    pub leaked: bool,
    /// What its steps wrote for people.
    pub summary: String,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// What it may, as it says.
    pub permissions: Value,
}

impl Run {
    /// What became of each job, one a line.
    pub fn told(&self) -> String {
        self.jobs.iter().map(|(id, job)| format!("{id}: {}\n", job.result)).collect()
    }

    /// What all jobs said.
    pub fn log(&self) -> String {
        self.jobs.iter().map(|(id, job)| format!("--- {id}\n{}", job.log)).collect()
    }
}

/// What can be ended of a run.
#[derive(Default)]
pub(super) struct UnderWay {
    process_group: Option<Pid>,
    cancelled: bool,
}

/// A run that goes on.
pub(super) struct Execution<'a> {
    pub(super) runner: &'a Runner,
    pub(super) event: &'a Event,
    pub(super) number: u64,
}

impl<'a> Execution<'a> {
    pub(super) fn new(runner: &'a Runner, event: &'a Event, number: u64) -> Self {
        Self { runner, event, number }
    }

    /// Runs a workflow with what a person entered.
    pub(super) fn run(&self, workflow: &Value) -> Run {
        let workflow_name = workflow["name"].as_str().unwrap_or_default().to_owned();
        let inputs = with_defaults(&workflow["on"]["workflow_dispatch"]["inputs"], &self.event.inputs);
        let mut run = Run { workflow: workflow_name, number: self.number, ..Run::default() };
        run.result = self.jobs(workflow, &inputs, "", &mut run.jobs);
        run
    }

    /// Runs all jobs of a workflow; the result of all together.
    fn jobs(&self, workflow: &Value, inputs: &Value, prefix: &str, told: &mut BTreeMap<String, RunJob>) -> String {
        let contexts = self.contexts(inputs, &Value::Null);
        let scope = Scope { contexts: &contexts, succeeded: true, cancelled: false, hash_files: &no_files };
        let Some(group) = self.enter(&workflow["concurrency"], &scope) else { return "cancelled".to_owned() };
        let jobs = workflow["jobs"].as_object().expect("a workflow has jobs");
        let mut done: BTreeMap<String, RunJob> = BTreeMap::new();
        while done.len() < jobs.len() {
            let is_ready =
                |id: &&String| !done.contains_key(*id) && needs(&jobs[*id]).iter().all(|need| done.contains_key(need));
            let id = jobs.keys().find(is_ready).expect("needs lead to no cycle");
            let job = self.job(id, &jobs[id], workflow, inputs, &done, (prefix, &mut *told));
            told.insert(format!("{prefix}{id}"), job.clone());
            done.insert(id.clone(), job);
        }
        drop(group);
        let results: BTreeSet<&str> = done.values().map(|job| job.result.as_str()).collect();
        let worst = ["failure", "cancelled", "success"].into_iter().find(|result| results.contains(result));
        worst.unwrap_or("skipped").to_owned()
    }

    fn job(
        &self,
        id: &str,
        job: &Value,
        workflow: &Value,
        inputs: &Value,
        done: &BTreeMap<String, RunJob>,
        (prefix, told): (&str, &mut BTreeMap<String, RunJob>),
    ) -> RunJob {
        let needed = needs(job);
        let need =
            |need: &String| (need.clone(), json!({ "result": done[need].result, "outputs": done[need].outputs }));
        let needs: Map<String, Value> = needed.iter().map(need).collect();
        let contexts = self.contexts(inputs, &Value::Object(needs));
        let succeeded = needed.iter().all(|need| done[need].result == "success");
        let scope = Scope { contexts: &contexts, succeeded, cancelled: self.is_cancelled(), hash_files: &no_files };
        let ended = |result: &str| RunJob {
            result: result.to_owned(),
            permissions: job["permissions"].clone(),
            ..RunJob::default()
        };
        if !scope.holds(job["if"].as_str()) {
            return ended("skipped");
        }
        if self.is_cancelled() {
            return ended("cancelled");
        }
        assert!(job.get("permissions").is_some(), "{id} says what it may");
        know(job, &JOB_KEYS);
        let Some(group) = self.enter(&job["concurrency"], &scope) else { return ended("cancelled") };
        let ran = match job["uses"].as_str() {
            Some(path) => self.call(path, &filled(&scope, &job["with"]), &format!("{prefix}{id}/"), told),
            None => Machine::new(self, id, job, workflow, contexts.clone()).run(),
        };
        drop(group);
        RunJob { permissions: job["permissions"].clone(), ..ran }
    }

    /// Runs a workflow of the repository that a job calls.
    fn call(&self, path: &str, given: &Value, below: &str, told: &mut BTreeMap<String, RunJob>) -> RunJob {
        let called = self.runner.workflow(path.strip_prefix("$/").expect("a workflow of the repository"), self.event);
        let inputs = with_defaults(&called["on"]["workflow_call"]["inputs"], given);
        let result = self.jobs(&called, &inputs, below, told);
        RunJob { result, outputs: self.outputs(&called, below, told), ..RunJob::default() }
    }

    /// What a called workflow hands back of the outputs of its jobs.
    fn outputs(&self, called: &Value, below: &str, told: &BTreeMap<String, RunJob>) -> BTreeMap<String, String> {
        let own = |(id, job): (&String, &RunJob)| {
            Some((id.strip_prefix(below)?.to_owned(), json!({ "outputs": job.outputs })))
        };
        let jobs: Map<String, Value> = told.iter().filter_map(own).collect();
        let contexts = json!({ "jobs": jobs });
        let scope = Scope { contexts: &contexts, succeeded: true, cancelled: false, hash_files: &no_files };
        let declared = called["on"]["workflow_call"]["outputs"].as_object().into_iter().flatten();
        let text = |value: &Value| value["value"].as_str().expect("an output has a value").to_owned();
        declared.map(|(name, value)| (name.clone(), scope.fill(&text(value)))).collect()
    }

    fn contexts(&self, inputs: &Value, needs: &Value) -> Value {
        let event = self.event;
        let name = event.reference.strip_prefix("refs/heads/").or(event.reference.strip_prefix("refs/pull/"));
        json!({
            "github": {
                "ref": event.reference, "ref_name": name, "sha": event.commit, "event_name": event.name,
                "event": event.payload, "repository": self.runner.repository, "run_id": self.number.to_string(),
                "server_url": "https://github.com", "token": "a-token-that-ends-with-the-job",
            },
            "inputs": inputs,
            "needs": needs,
        })
    }

    /// Waits for the group that a workflow or job names; None when a newer run took its place.
    fn enter(&self, concurrency: &Value, scope: &Scope<'_>) -> Option<Option<Entered<'a>>> {
        let Some(group) = concurrency["group"].as_str().map(|group| scope.fill(group)) else { return Some(None) };
        let replaces = concurrency["cancel-in-progress"] == Value::Bool(true);
        let wish = Wish { group: &group, replaces, queues: concurrency["queue"] == "max" };
        self.runner.groups.enter(self.number, &wish, |run| self.runner.cancel(run)).map(Some)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.runner.under_way().get(&self.number).is_some_and(|run| run.cancelled)
    }

    /// Remembers what a cancellation ends; None: nothing any more.
    pub(super) fn goes_on(&self, process_group: Option<Pid>) {
        let mut runs = self.runner.under_way();
        let run = runs.entry(self.number).or_default();
        run.process_group = process_group;
        if let (true, Some(group)) = (run.cancelled, process_group) {
            let _gone = kill_process_group(group, Signal::INT);
        }
    }
}

/// Waits for a child that leads a process group of its own, and ends all of it where it takes too long.
pub(super) fn end_of(child: &mut Child) -> ExitStatus {
    let group = Pid::from_raw(child.id().cast_signed());
    thread::scope(|scope| {
        let (ended, is_over) = mpsc::channel::<()>();
        scope.spawn(move || {
            if let (Err(RecvTimeoutError::Timeout), Some(group)) = (is_over.recv_timeout(STEP_PATIENCE), group) {
                let _gone = kill_process_group(group, Signal::KILL);
            }
        });
        let status = child.wait().expect("a child ends");
        drop(ended);
        status
    })
}

impl Runner {
    fn under_way(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a run to end, as GitHub does: its step gets a signal, and later steps do not begin.
    fn cancel(&self, run: u64) {
        let mut runs = self.under_way();
        let run = runs.entry(run).or_default();
        run.cancelled = true;
        if let Some(group) = run.process_group {
            let _gone = kill_process_group(group, Signal::INT);
        }
    }
}

/// The keys of a job that are played.
const JOB_KEYS: [&str; 12] = [
    "name",
    "needs",
    "if",
    "permissions",
    "environment",
    "concurrency",
    "outputs",
    "runs-on",
    "timeout-minutes",
    "steps",
    "uses",
    "with",
];

/// Refuses what would be played as if it did not stand there.
pub(super) fn know(table: &Value, keys: &[&str]) {
    for (key, _) in table.as_object().into_iter().flatten() {
        assert!(keys.contains(&key.as_str()), "the runner does not know the key {key}");
    }
}

fn no_files(_: &[String]) -> String {
    panic!("there are no files before a job begins")
}

/// What a job needs.
fn needs(job: &Value) -> Vec<String> {
    job["needs"].as_array().into_iter().flatten().filter_map(|need| need.as_str().map(str::to_owned)).collect()
}

/// A table of texts with their expressions replaced.
pub(super) fn filled(scope: &Scope<'_>, table: &Value) -> Value {
    let fill = |value: &Value| value.as_str().map_or_else(|| value.clone(), |text| scope.fill(text).into());
    table.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), fill(value))).collect::<Map<_, _>>().into()
}

/// What is given, and what is said to be given where nothing is.
pub(super) fn with_defaults(declared: &Value, given: &Value) -> Value {
    let declared = declared.as_object().cloned().unwrap_or_default();
    for (name, _) in given.as_object().into_iter().flatten() {
        assert!(declared.contains_key(name), "the workflow has no input {name}");
    }
    let value = |(name, input): (&String, &Value)| {
        let value = given.get(name).or(input.get("default")).cloned().unwrap_or_else(|| "".into());
        assert!(input["required"] != true || value != "", "the input {name} is required");
        (name.clone(), value)
    };
    declared.iter().map(value).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the runner does not know the key continue-on-error")]
    fn a_job_with_a_key_that_is_not_played_is_refused() {
        know(&json!({ "name": "deploy", "continue-on-error": true }), &JOB_KEYS);
    }
}
