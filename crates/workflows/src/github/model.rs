//! What a workflow of GitHub Actions is made of.

use crate::actions::Action;
use crate::yaml::Yaml;
use std::time::Duration;

/// A workflow.
pub(super) struct Workflow {
    pub(super) name: &'static str,
    pub(super) on: Yaml,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) directory: Option<String>,
    pub(super) jobs: Vec<(String, Job)>,
}

/// Which runs do not run at once.
pub(super) struct Concurrency {
    pub(super) group: String,
    pub(super) manner: Manner,
}

/// What becomes of the earlier runs of a group.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// They end; the newest counts.
    Replace,
    /// They are waited for, in order, and none is dropped.
    Queue,
}

/// A job, or a call of another workflow.
#[derive(Default)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) needs: Vec<String>,
    pub(super) condition: Option<String>,
    pub(super) permissions: Vec<&'static str>,
    pub(super) environment: Option<String>,
    pub(super) concurrency: Option<Concurrency>,
    pub(super) outputs: Vec<(&'static str, String)>,
    pub(super) work: Work,
}

/// What a job does.
pub(super) enum Work {
    /// Steps, on a runner with these labels.
    Steps { runs_on: Vec<String>, timeout: Duration, steps: Vec<Step> },
    /// Another workflow's jobs.
    Call { workflow: String, with: Vec<(&'static str, String)> },
}

impl Default for Work {
    fn default() -> Self {
        Self::Call { workflow: String::new(), with: Vec::new() }
    }
}

/// A step.
#[derive(Default)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) id: Option<&'static str>,
    pub(super) condition: Option<String>,
    pub(super) uses: Option<Uses>,
    pub(super) with: Vec<(&'static str, Yaml)>,
    pub(super) env: Vec<(String, String)>,
    /// Where it runs, when not where the others do.
    pub(super) directory: Option<&'static str>,
    /// Which shell runs it; only actions say that for each step.
    pub(super) shell: Option<&'static str>,
    pub(super) run: Option<String>,
    /// What is to be said of the script to whoever judges it.
    pub(super) note: Option<&'static str>,
}

/// Which action a step uses.
pub(super) enum Uses {
    /// One of others, pinned.
    Pinned(Action),
    /// One of the repository itself, as the workflow's own commit has it: what is fetched may be another commit.
    Local(&'static str),
}

fn texts(entries: &[(&'static str, String)]) -> Yaml {
    Yaml::table(entries.iter().map(|(key, value)| (*key, Yaml::text(value))))
}

impl Workflow {
    pub(super) fn yaml(&self) -> Yaml {
        let mut entries = vec![("name", Yaml::text(self.name)), ("on", self.on.clone())];
        // Each job says what it may; a job that says nothing may nothing.
        entries.push(("permissions", Yaml::Table(Vec::new())));
        entries.extend(self.concurrency.as_ref().map(|concurrency| ("concurrency", concurrency.yaml())));
        let directory = self.directory.as_ref().map(|directory| ("working-directory", Yaml::text(directory)));
        let defaults = Yaml::table([("shell", Yaml::text("bash"))].into_iter().chain(directory));
        entries.push(("defaults", Yaml::table([("run", defaults)])));
        entries.push(("jobs", Yaml::table(self.jobs.iter().map(|(id, job)| (id.as_str(), job.yaml())))));
        Yaml::table(entries)
    }
}

impl Concurrency {
    fn yaml(&self) -> Yaml {
        let group = ("group", Yaml::text(&self.group));
        match self.manner {
            Manner::Replace => Yaml::table([group, ("cancel-in-progress", Yaml::Switch(true))]),
            // Without a queue, GitHub lets one run wait and drops those before it.
            Manner::Queue => {
                Yaml::table([group, ("cancel-in-progress", Yaml::Switch(false)), ("queue", Yaml::text("max"))])
            }
        }
    }
}

impl Job {
    fn yaml(&self) -> Yaml {
        let mut entries = vec![("name", Yaml::text(&self.name))];
        if !self.needs.is_empty() {
            entries.push(("needs", Yaml::texts(&self.needs)));
        }
        entries.extend(self.condition.as_ref().map(|condition| ("if", expression(condition))));
        let permission = |scope: &&'static str| scope.split_once(": ").map(|(scope, level)| (scope, Yaml::text(level)));
        entries.push(("permissions", Yaml::table(self.permissions.iter().filter_map(permission))));
        entries
            .extend(self.environment.as_ref().map(|name| ("environment", Yaml::table([("name", Yaml::text(name))]))));
        entries.extend(self.concurrency.as_ref().map(|concurrency| ("concurrency", concurrency.yaml())));
        if !self.outputs.is_empty() {
            entries.push(("outputs", texts(&self.outputs)));
        }
        entries.extend(self.work.entries());
        Yaml::table(entries)
    }
}

impl Work {
    fn entries(&self) -> Vec<(&'static str, Yaml)> {
        match self {
            Self::Call { workflow, with } => {
                let with = (!with.is_empty()).then(|| ("with", texts(with)));
                [("uses", Yaml::text(format!("$/{workflow}")))].into_iter().chain(with).collect()
            }
            Self::Steps { runs_on, timeout, steps } => {
                let runs_on = match &runs_on[..] {
                    [label] => Yaml::text(label),
                    labels => Yaml::texts(labels),
                };
                let steps = Yaml::List(steps.iter().map(Step::yaml).collect());
                let minutes = Yaml::Number(timeout.as_secs().div_ceil(60).max(1));
                vec![("runs-on", runs_on), ("timeout-minutes", minutes), ("steps", steps)]
            }
        }
    }
}

impl Step {
    /// The step, as a workflow or an action lists it.
    pub(super) fn yaml(&self) -> Yaml {
        let mut entries = vec![("name", Yaml::text(self.name))];
        entries.extend(self.id.map(|id| ("id", Yaml::text(id))));
        entries.extend(self.condition.as_ref().map(|condition| ("if", expression(condition))));
        entries.extend(self.uses.as_ref().map(|uses| ("uses", uses.yaml())));
        if !self.with.is_empty() {
            entries.push(("with", Yaml::table(self.with.clone())));
        }
        if !self.env.is_empty() {
            entries.push(("env", Yaml::table(self.env.iter().map(|(name, value)| (name.as_str(), Yaml::text(value))))));
        }
        entries.extend(self.directory.map(|directory| ("working-directory", Yaml::text(directory))));
        entries.extend(self.shell.map(|shell| ("shell", Yaml::text(shell))));
        let noted = |run: &str| match self.note {
            Some(note) => Yaml::Noted(run.to_owned(), note.to_owned()),
            None => Yaml::text(run),
        };
        entries.extend(self.run.as_ref().map(|run| ("run", noted(script(run)))));
        Yaml::table(entries)
    }
}

/// A script of one line stands in one line.
fn script(run: &str) -> &str {
    match run.strip_suffix('\n') {
        Some(line) if !line.contains('\n') => line,
        Some(_) | None => run,
    }
}

impl Uses {
    fn yaml(&self) -> Yaml {
        match self {
            Self::Pinned(action) => {
                Yaml::Noted(format!("{}@{}", action.name, action.commit), action.version.to_owned())
            }
            Self::Local(path) => Yaml::text(format!("$/{path}")),
        }
    }
}

fn expression(condition: &str) -> Yaml {
    Yaml::text(format!("${{{{ {condition} }}}}"))
}
