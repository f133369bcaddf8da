//! What a deployment's events say, as lines that stay.

use super::Manner;
use super::failure;
use super::line::{Line, Tone};
use super::summary::{self, End, Need};
use super::words::{duration, one_line};
use cutover_core::event::Event;
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Phase, Plan, Reversal, Step, StepId};
use cutover_core::target::{Failure, Outcome};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A step that took this much longer than usual, and twice as long, is worth a remark.
const SLOW_BY_MIN: Duration = Duration::from_secs(1);

/// The step that starts a service anew.
const RESTART: &str = "restart";

/// What is being done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) label: String,
    pub(super) usual: Option<Duration>,
}

/// Follows a deployment and puts its events into words.
#[derive(Default)]
pub(super) struct Story {
    verbose: bool,
    retold: bool,
    usual: BTreeMap<String, Duration>,
    plan: Option<Box<Plan>>,
    /// Whether steps were done before this story began.
    resumed: bool,
    /// Steps that were started and not taken back, in order.
    begun: Vec<StepId>,
    applied: BTreeSet<StepId>,
    /// Steps that were started at all.
    tried: BTreeSet<StepId>,
    now: Option<Running>,
    unwinding: bool,
    began_at: Option<Timestamp>,
    /// When the last entry of each host was written: one does not wait for the other.
    last_at: BTreeMap<Option<String>, Timestamp>,
    /// What a person is needed for, when one is.
    need: Need,
    /// Whether what was brought back does not run.
    down: bool,
    warning_count: usize,
}

impl Story {
    pub(super) fn new(manner: &Manner) -> Self {
        Self { verbose: manner.verbose, retold: manner.retold, usual: manner.usual.clone(), ..Self::default() }
    }

    /// What is to be done, once that is known.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// What is being done now, when something is.
    pub(super) fn running(&self) -> Option<&Running> {
        self.now.as_ref()
    }

    /// The lines that an event adds.
    pub(super) fn tell(&mut self, event: &Event) -> Vec<Line> {
        match event {
            Event::Began { plan, resumed, at } => self.began(plan, *resumed, *at),
            Event::Recorded { record } => self.recorded(record),
            Event::Output { step, line } if self.verbose => vec![self.said(*step, line)],
            Event::Probed { step, result } if self.verbose => vec![self.said(*step, &failure::probe(result))],
            Event::Progressed { .. }
            | Event::Output { .. }
            | Event::Probed { .. }
            | Event::Fleet { .. }
            | Event::OnHost { .. }
            | Event::Stands { .. }
            | Event::Wave { .. }
            | Event::FleetEnded { .. } => Vec::new(),
            Event::Silent { seconds } => vec![self.silent(*seconds)],
            Event::Waiting { holder, ahead_count } => self.waiting(holder, *ahead_count),
            Event::Ended { outcome, elapsed_ms, .. } => self.ended(*outcome, Duration::from_millis(*elapsed_ms)),
        }
    }

    fn began(&mut self, plan: &Plan, resumed: bool, at: Timestamp) -> Vec<Line> {
        (self.plan, self.resumed, self.now) = (Some(Box::new(plan.clone())), resumed, None);
        (self.began_at, self.last_at) = (Some(at), BTreeMap::new());
        summary::began(plan, resumed, self.retold)
    }

    /// On which of its hosts the release stays, and on which it does not.
    fn divided<'p>(&self, plan: &'p Plan) -> (Vec<&'p str>, Vec<&'p str>) {
        let is_live =
            |step: &Step<_>| step.switches && self.begun.contains(&step.id) && self.applied.contains(&step.id);
        let has_it = |host: &&str| plan.steps.iter().any(|step| step.host == *host && is_live(step));
        plan.hosts().into_iter().partition(has_it)
    }

    /// What is true of a host on which it failed: one word, and a sentence.
    pub(super) fn as_before(&self) -> (&'static str, String) {
        let Some(plan) = &self.plan else { return ("unchanged", "nothing that runs was changed".to_owned()) };
        let restart = plan.steps.iter().filter(|step| step.name == RESTART).map(|step| step.id);
        let (was_restarted, was_tried) = restart.fold((false, false), |(done, tried), id| {
            (done | self.applied.contains(&id), tried | self.tried.contains(&id))
        });
        match &plan.original {
            Some(_) if !was_tried => ("unchanged", "nothing that runs was changed".to_owned()),
            None => ("as before", "no release was live before, and none is now".to_owned()),
            Some(_) if self.down => ("as before", "its service does not run, as before".to_owned()),
            Some(original) if was_restarted => {
                ("restarted", format!("restarted more than once, and healthy again on release {original}"))
            }
            Some(original) => ("as before", format!("release {original} runs as before")),
        }
    }

    fn waiting(&mut self, holder: &str, ahead_count: u32) -> Vec<Line> {
        let ahead = if ahead_count == 0 { String::new() } else { format!(" and {ahead_count} in the queue") };
        let label = format!("waiting for {}{ahead}", one_line(holder));
        let running = Some(Running { label: label.clone(), usual: None });
        if self.now == running {
            return Vec::new();
        }
        self.now = running;
        vec![Line::whole(Tone::Warning, format!("… {label}"))]
    }

    /// That the host says nothing, or speaks again.
    fn silent(&self, seconds: u64) -> Line {
        let host = self.plan.as_ref().and_then(|plan| plan.hosts().first().map(|host| one_line(host)));
        let host = host.unwrap_or_else(|| "the host".to_owned());
        match seconds {
            0 => Line::whole(Tone::Plain, format!("… {host} answers again")),
            seconds => Line::whole(Tone::Warning, format!("… {host} has been silent for {seconds} s")),
        }
    }

    fn ended(&mut self, outcome: DeploymentOutcome, took: Duration) -> Vec<Line> {
        self.now = None;
        if self.need.why.is_empty() {
            // It was begun before this story: only what is irreversible leaves nothing to try again.
            self.need.why = self.irreversible();
        }
        let Some(plan) = &self.plan else { return Vec::new() };
        let has_switched = plan.steps.iter().any(|step| step.switches && self.applied.contains(&step.id));
        let is_untouched = !has_switched && !self.resumed;
        let (live_on, not_on) = self.divided(plan);
        let (need, warning_count, down) = (&self.need, self.warning_count, self.down);
        let end = End { need, warning_count, down, is_untouched, live_on, not_on };
        let mut lines = summary::ended(plan, outcome, took, &end);
        lines.extend(summary::more(plan, outcome).filter(|_| !self.retold));
        lines
    }

    fn recorded(&mut self, record: &Record) -> Vec<Line> {
        let last = self.last_at.insert(record.host.clone(), record.at).or(self.began_at);
        let took = last.map_or(Duration::ZERO, |last| record.at.duration_since(last).unsigned_abs());
        self.now = None;
        match &record.entry {
            Entry::Started { step, .. } => self.started(*step),
            Entry::Applied { step, outcome } => self.applied(*step, outcome, took),
            Entry::Failed { step, error } => self.failed(*step, error, took),
            Entry::Cancelled { reason } => self.cancelled(reason),
            Entry::Restored { step, note, down } => {
                self.down |= down;
                self.restored(*step, note, took)
            }
            Entry::RestoreFailed { step, error } => self.restore_failed(*step, error, took),
            Entry::Resumed { by } => self.resumed_by(by),
        }
    }

    fn resumed_by(&mut self, by: &str) -> Vec<Line> {
        // What failed to be taken back is tried again.
        self.need = Need::default();
        vec![Line::whole(Tone::Plain, format!("… taken up again by {}", one_line(by)))]
    }

    fn started(&mut self, step: StepId) -> Vec<Line> {
        self.begun.push(step);
        self.tried.insert(step);
        let usual = self.step(step).and_then(|step| self.usual.get(&step.name)).copied();
        self.now = Some(Running { label: self.label(step), usual });
        Vec::new()
    }

    fn applied(&mut self, step: StepId, outcome: &Outcome, took: Duration) -> Vec<Line> {
        self.applied.insert(step);
        self.warning_count += outcome.warnings.len();
        let rest = format!(" {}{}{}", duration(took), self.remark(step, took), note(&outcome.note));
        let done = Line::headed(Tone::Good, format!("✓ {}", self.label(step)), rest);
        let warnings =
            outcome.warnings.iter().map(|warning| Line::whole(Tone::Warning, format!("  ! {}", one_line(warning))));
        [done].into_iter().chain(warnings).collect()
    }

    fn failed(&mut self, step: StepId, error: &Failure, took: Duration) -> Vec<Line> {
        let settles = self.step(step).is_some_and(|step| step.phase == Phase::Settle);
        let (tone, mark) = if settles { (Tone::Warning, '!') } else { (Tone::Bad, '✗') };
        let head = format!("{mark} {} {} — {}", self.label(step), duration(took), one_line(&error.message));
        let mut lines = vec![Line::whole(tone, head)];
        lines.extend(self.details(error));
        if settles {
            self.warning_count += 1;
            lines.push(Line::whole(Tone::Plain, "  nothing is taken back: the release is verified"));
        } else {
            lines.extend(self.unwind());
        }
        lines
    }

    fn details(&self, error: &Failure) -> Vec<Line> {
        failure::details(error, self.plan.as_ref().map(|plan| plan.environment.as_str()))
    }

    fn cancelled(&mut self, reason: &str) -> Vec<Line> {
        if self.unwinding {
            self.now = self.next_back();
            return Vec::new();
        }
        if self.is_committed() {
            return vec![Line::whole(Tone::Warning, "! too late to stop: the release is verified and stays live")];
        }
        let place = self.under_way().map_or_else(String::new, |step| format!(" at {}", self.label(step)));
        let mut lines = vec![Line::whole(Tone::Bad, format!("✗ stopped{place} — {}", one_line(reason)))];
        lines.extend(self.unwind());
        lines
    }

    /// The step that was started and has not ended.
    fn under_way(&self) -> Option<StepId> {
        self.begun.last().copied().filter(|step| !self.applied.contains(step))
    }

    fn restored(&mut self, step: StepId, text: &str, took: Duration) -> Vec<Line> {
        self.unwinding = true;
        self.begun.retain(|begun| *begun != step);
        self.now = self.next_back();
        let head = format!("↩ taken back: {}", self.label(step));
        vec![Line::headed(Tone::Back, head, format!(" {}{}", duration(took), note(text)))]
    }

    fn restore_failed(&mut self, step: StepId, error: &Failure, took: Duration) -> Vec<Line> {
        self.unwinding = true;
        let why = format!("could not take back {}: {}", self.label(step), one_line(&error.message));
        let mut lines = vec![Line::whole(Tone::Bad, format!("✗ {why} ({})", duration(took)))];
        lines.extend(self.details(error));
        self.need.why.push(why);
        self.need.can_be_tried_again = true;
        lines
    }

    /// Announces what will be taken back, last first.
    fn unwind(&mut self) -> Vec<Line> {
        self.unwinding = true;
        let irreversible: Vec<StepId> = self.begun.iter().copied().filter(|step| self.is_irreversible(*step)).collect();
        let why: Vec<String> = irreversible.iter().map(|step| self.no_way_back(*step)).collect();
        self.need.why.extend(why);
        self.begun.retain(|step| !irreversible.contains(step));
        self.now = self.next_back();
        let mut names: Vec<String> = self.begun.iter().rev().map(|step| self.label(*step)).collect();
        if self.resumed {
            names.push("what was done before".to_owned());
        }
        if names.is_empty() {
            Vec::new()
        } else {
            vec![Line::whole(Tone::Back, format!("taking back: {}", names.join(", ")))]
        }
    }

    fn irreversible(&self) -> Vec<String> {
        let steps = self.plan.iter().flat_map(|plan| &plan.steps);
        steps.filter(|step| self.is_irreversible(step.id)).map(|step| self.no_way_back(step.id)).collect()
    }

    fn no_way_back(&self, step: StepId) -> String {
        format!("{} cannot be taken back", self.label(step))
    }

    fn next_back(&self) -> Option<Running> {
        let step = self.begun.last()?;
        Some(Running { label: format!("taking back: {}", self.label(*step)), usual: None })
    }

    fn said(&self, step: StepId, line: &str) -> Line {
        Line::headed(Tone::Dim, format!("  {} |", self.label(step)), format!(" {}", one_line(line)))
    }

    fn step(&self, id: StepId) -> Option<&Step<serde_json::Value>> {
        self.plan.as_ref()?.step(id)
    }

    fn is_irreversible(&self, step: StepId) -> bool {
        self.step(step).is_some_and(|step| step.reversal == Reversal::Irreversible)
    }

    /// Whether nothing can be taken back any more.
    fn is_committed(&self) -> bool {
        let settled = |step: &Step<_>| step.phase == Phase::Settle || self.applied.contains(&step.id);
        !self.resumed && self.plan.as_ref().is_some_and(|plan| plan.steps.iter().all(settled))
    }

    /// The step's name, with its place where there are several.
    fn label(&self, id: StepId) -> String {
        let Some((plan, step)) = self.plan.as_ref().and_then(|plan| Some((plan, plan.step(id)?))) else {
            return format!("step {id}");
        };
        let alone = plan.steps.iter().all(|other| other.target == step.target && other.host == step.host);
        if alone {
            one_line(&step.name)
        } else {
            format!("{}/{} {}", step.target, one_line(&step.host), one_line(&step.name))
        }
    }

    fn remark(&self, step: StepId, took: Duration) -> String {
        let usual = self.step(step).and_then(|step| self.usual.get(&step.name)).copied();
        let slow = |usual: &Duration| took > *usual + SLOW_BY_MIN && took > *usual * 2;
        usual.filter(slow).map_or_else(String::new, |usual| format!(" (usually {})", duration(usual)))
    }
}

fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" — {}", one_line(text)) }
}
