//! Stories of whole deployments, told as plans and journals.

use crate::clock::start;
use crate::plan::name;
use cutover_core::journal::{Entry, Record};
use cutover_core::plan::{Phase, Plan, PlanKind, Reversal, Step, StepId};
use cutover_core::probe::ProbeResult;
use cutover_core::target::{Before, Failure, FailureKind, Outcome};
use jiff::{SignedDuration, Timestamp};

/// A plan and everything that was journaled of it.
pub type Told = (Plan, Vec<Record>);

/// So many minutes after fake time begins.
pub fn minute(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

/// A deployment of three steps, `stage`, `switch` and `prune`, and how it goes.
#[derive(Debug, Clone)]
pub struct Story {
    plan: Plan,
    step_seconds: i64,
}

impl Story {
    /// Number n begins in minute n and deploys release rn.
    pub fn new(number: i64) -> Self {
        let steps = vec![
            story_step(0, "stage", Phase::Prepare),
            story_step(1, "switch", Phase::Live),
            story_step(2, "prune", Phase::Settle),
        ];
        let plan = Plan {
            deployment: name(&format!("d-{number:05}")),
            kind: PlanKind::Deploy,
            project: name("shop"),
            environment: name("production"),
            artifact: format!("artifact-{number}"),
            commit: format!("{number:040x}"),
            subject: format!("Change {number}"),
            committed_at: Some(minute(number - 1)),
            dirty: false,
            release: name(&format!("r{number}")),
            original: Some(name(&format!("r{}", number - 1))),
            by: "ada".to_owned(),
            reason: String::new(),
            made_at: minute(number),
            fleet: Vec::new(),
            forward: false,
            starts: false,
            promoted_from: None,
            steps,
        };
        Self { plan, step_seconds: 1 }
    }

    /// Begins in another minute.
    #[must_use]
    pub fn at_minute(mut self, minutes: i64) -> Self {
        self.plan.made_at = minute(minutes);
        self
    }

    /// Waits for the other hosts before it prunes: as a part of a deployment to several.
    #[must_use]
    pub fn waiting_for_others(mut self) -> Self {
        let place = self.plan.steps.len() - 1;
        self.plan.steps.insert(place, story_step(0, "await-others", Phase::Live));
        for (id, step) in (0..).zip(&mut self.plan.steps) {
            step.id = StepId(id);
        }
        self
    }

    /// Goes to another environment.
    #[must_use]
    pub fn environment(mut self, environment: &str) -> Self {
        self.plan.environment = name(environment);
        self
    }

    /// Is of another kind.
    #[must_use]
    pub fn kind(mut self, kind: PlanKind) -> Self {
        self.plan.kind = kind;
        self
    }

    /// Starts what did not run.
    #[must_use]
    pub fn starting(mut self) -> Self {
        (self.plan.kind, self.plan.starts) = (PlanKind::Restart, true);
        self
    }

    /// Has another subject.
    #[must_use]
    pub fn subject(mut self, subject: &str) -> Self {
        self.plan.subject = subject.to_owned();
        self
    }

    /// Takes so many seconds from entry to entry.
    #[must_use]
    pub fn step_seconds(mut self, seconds: i64) -> Self {
        self.step_seconds = seconds;
        self
    }

    /// Everything goes well.
    pub fn deployed(self) -> Told {
        let entries = (0..).zip(&self.plan.steps).flat_map(|(step, _)| [started(step), applied(step)]);
        let entries = entries.collect();
        self.tell(entries)
    }

    /// What it was to deploy is live already, unchanged: it only looked.
    pub fn nothing_to_do(mut self) -> Told {
        self.plan.original = Some(self.plan.release.clone());
        self.plan.steps = vec![story_step(0, "hold", Phase::Live)];
        self.tell(vec![started(0), applied(0)])
    }

    /// It is at work on the switch, or its engine crashed there.
    pub fn unfinished(self) -> Told {
        self.tell(vec![started(0), applied(0), started(1)])
    }

    /// Somebody asks to stop before the switch ends, and what was live is back.
    pub fn cancelled(self) -> Told {
        let cancelled = Entry::Cancelled { reason: "asked to stop".to_owned() };
        self.tell(vec![started(0), applied(0), started(1), cancelled, restored(1), restored(0)])
    }

    /// Somebody asks to stop after the switch has ended, and what was live is back.
    pub fn cancelled_after_the_second(mut self) -> Told {
        self.plan.steps[2].phase = Phase::Live;
        let cancelled = Entry::Cancelled { reason: "another host failed".to_owned() };
        self.tell(vec![started(0), applied(0), started(1), applied(1), cancelled, restored(1), restored(0)])
    }

    /// It happens on this host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.plan.steps.iter_mut().for_each(|step| host.clone_into(&mut step.host));
        self
    }

    /// The release is unhealthy after the switch, and what was live is back.
    pub fn rolled_back(self) -> Told {
        self.tell(vec![started(0), applied(0), started(1), failed(1), restored(1), restored(0)])
    }

    /// The release is unhealthy after the switch, and what was live cannot be brought back.
    pub fn stuck(self) -> Told {
        self.tell(vec![started(0), applied(0), started(1), failed(1), restore_failed(1)])
    }

    /// It was stuck; somebody took it up again, and what was live is back.
    pub fn stuck_then_resumed(self) -> Told {
        let resumed = Entry::Resumed { by: "ada".to_owned() };
        self.tell(vec![
            started(0),
            applied(0),
            started(1),
            failed(1),
            restore_failed(1),
            resumed,
            restored(1),
            restored(0),
        ])
    }

    fn tell(self, entries: Vec<Entry>) -> Told {
        let at = |place: i64| self.plan.made_at + SignedDuration::from_secs(self.step_seconds * place);
        let records = entries
            .into_iter()
            .zip(1..)
            .map(|(entry, seq)| Record { seq, at: at(seq as i64), host: None, entry })
            .collect();
        (self.plan, records)
    }
}

fn story_step(id: u32, called: &str, phase: Phase) -> Step<serde_json::Value> {
    Step {
        id: StepId(id),
        target: name("api"),
        host: "localhost".to_owned(),
        name: called.to_owned(),
        phase,
        switches: called == "switch",
        reversal: Reversal::Restorable,
        action: serde_json::json!({ "do": called }),
    }
}

fn started(step: u32) -> Entry {
    Entry::Started { step: StepId(step), before: Before(serde_json::json!({ "link": "r1" })) }
}

fn applied(step: u32) -> Entry {
    let outcome =
        Outcome { warnings: vec!["slow disk".to_owned()], probes: vec![probe(true)], ..Outcome::changed("done") };
    Entry::Applied { step: StepId(step), outcome }
}

fn failed(step: u32) -> Entry {
    let error =
        Failure::new("probe /health: status 500").kind(FailureKind::Unhealthy).excerpt("Traceback\nValueError\n");
    Entry::Failed { step: StepId(step), error: Failure { probes: vec![probe(false)], ..error } }
}

fn restored(step: u32) -> Entry {
    Entry::Restored { step: StepId(step), note: "back".to_owned(), down: false }
}

fn restore_failed(step: u32) -> Entry {
    Entry::RestoreFailed { step: StepId(step), error: Failure::new("restart unit app.service: exit code 1") }
}

fn probe(healthy: bool) -> ProbeResult {
    ProbeResult {
        name: "health".to_owned(),
        endpoint: "http://127.0.0.1:8000/health".to_owned(),
        healthy,
        code: Some(if healthy { 200 } else { 500 }),
        latency_ms: Some(12),
        body: "{}".to_owned(),
        error: if healthy { String::new() } else { "status 500".to_owned() },
        pid: Some(42),
        attempt_count: 1,
        at: minute(0),
    }
}
