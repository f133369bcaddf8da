//! What the events of several hosts say, as lines that stay: where each host got, and whatever went wrong there.

use super::Manner;
use super::line::{Line, Tone};
use super::story::{Running, Story};
use super::summary::{self, Stand};
use super::words::{duration, one_line};
use cutover_core::event::Event;
use cutover_core::id::ReleaseId;
use cutover_core::journal::Entry;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind};
use cutover_core::rollout::{Standing, Whole};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many characters of a host's name are shown.
const NAME_LENGTH_MAX: usize = 32;
/// How many hosts that are at work are shown at once.
const BUSY_COUNT_MAX: usize = 12;

/// Follows a change of several hosts.
pub(super) struct FleetStory {
    verbose: bool,
    hosts: Vec<Told>,
    is_announced: bool,
}

/// One host, as far as it was told of.
struct Told {
    name: String,
    /// The name as it stands before each line.
    label: String,
    story: Story,
    standing: Standing,
    /// Whether it was said that it says nothing.
    is_silent: bool,
    /// Since when it has been on its way to where it gets next.
    since: Timestamp,
}

impl FleetStory {
    pub(super) fn new(manner: &Manner, hosts: &[String], at: Timestamp) -> Self {
        let labels: Vec<String> =
            hosts.iter().map(|host| one_line(host).chars().take(NAME_LENGTH_MAX).collect()).collect();
        let name_length = labels.iter().map(|label: &String| label.chars().count()).max().unwrap_or(0);
        let told = |(name, label): (&String, String)| Told {
            name: name.clone(),
            label: format!("{label:<name_length$}"),
            story: Story::new(manner),
            standing: Standing::Preparing,
            is_silent: false,
            since: at,
        };
        Self { verbose: manner.verbose, hosts: hosts.iter().zip(labels).map(told).collect(), is_announced: false }
    }

    /// The lines that an event adds.
    pub(super) fn tell(&mut self, event: &Event) -> Vec<Line> {
        match event {
            Event::OnHost { host, happened } => self.on_host(host, happened),
            Event::Stands { host, standing, why, at } => self.stands(host, *standing, why, *at),
            Event::Wave { number, count, hosts } => vec![wave(*number, *count, hosts)],
            Event::FleetEnded { whole, elapsed_ms, .. } => self.ended(*whole, Duration::from_millis(*elapsed_ms)),
            Event::Fleet { .. }
            | Event::Began { .. }
            | Event::Recorded { .. }
            | Event::Progressed { .. }
            | Event::Output { .. }
            | Event::Probed { .. }
            | Event::Silent { .. }
            | Event::Waiting { .. }
            | Event::Ended { .. } => Vec::new(),
        }
    }

    /// What is being done now on the hosts that are at work, by name: the first few of them.
    pub(super) fn running(&self) -> Vec<(String, Running)> {
        let at_work = |told: &&Told| {
            !told.standing.is_over()
                && !matches!(told.standing, Standing::Staged | Standing::Healthy | Standing::Silent)
        };
        let running = |told: &Told| {
            let Running { label, usual } = told.story.running()?.clone();
            Some((told.name.clone(), Running { label: format!("{}  {label}", told.label), usual }))
        };
        self.hosts.iter().filter(at_work).filter_map(running).take(BUSY_COUNT_MAX).collect()
    }

    /// How many hosts stand where: `40 hosts: 12 staged, 3 switching, 25 healthy`.
    pub(super) fn overview(&self) -> String {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for told in &self.hosts {
            let word = told.word();
            match counts.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        format!("{} hosts: {}", self.hosts.len(), counts.join(", "))
    }

    fn on_host(&mut self, host: &str, happened: &Event) -> Vec<Line> {
        let verbose = self.verbose;
        let Some(told) = self.hosts.iter_mut().find(|told| told.name == host) else { return Vec::new() };
        if let Event::Silent { seconds } = happened {
            let silence = Some(*seconds).filter(|seconds| *seconds > 0);
            return told.silent(silence.is_some(), silence).into_iter().collect();
        }
        let lines = told.story.tell(happened);
        if let Event::Began { plan, resumed, .. } = happened {
            return self.announce(plan, *resumed);
        }
        let label = told.label.clone();
        let lines = lines.into_iter().filter(|line| verbose || is_worth_telling(happened, line));
        lines.map(|line| line.of_host(&label)).collect()
    }

    /// What the first host is about to do, all of them are.
    fn announce(&mut self, plan: &Plan, resumed: bool) -> Vec<Line> {
        if std::mem::replace(&mut self.is_announced, true) {
            return Vec::new();
        }
        summary::fleet_began(plan, resumed, self.hosts.len())
    }

    fn stands(&mut self, host: &str, standing: Standing, why: &str, at: Timestamp) -> Vec<Line> {
        let Some(told) = self.hosts.iter_mut().find(|told| told.name == host) else { return Vec::new() };
        let took = duration(at.duration_since(told.since).unsigned_abs());
        let before = std::mem::replace(&mut told.standing, standing);
        told.since = at;
        let why = if why.is_empty() { String::new() } else { format!(": {}", one_line(why)) };
        let (tone, text) = match standing {
            Standing::Staged => (Tone::Plain, format!("staged in {took}")),
            Standing::Healthy if before == Standing::Silent => return told.silent(false, None).into_iter().collect(),
            Standing::Healthy => (Tone::Good, format!("✓ {} and healthy in {took}", told.way())),
            Standing::Silent => return told.silent(true, None).into_iter().collect(),
            Standing::Unreachable | Standing::Refused | Standing::Leaving | Standing::Lost => {
                (Tone::Bad, format!("✗ {}{why}", word(standing)))
            }
            Standing::Unchanged | Standing::Ended(DeploymentOutcome::Deployed) => return Vec::new(),
            Standing::Ended(DeploymentOutcome::RolledBack) => {
                let original =
                    told.original().map_or_else(|| "the release that it had".to_owned(), ToString::to_string);
                (Tone::Back, format!("↩ back on {original}, healthy"))
            }
            Standing::Ended(DeploymentOutcome::Failed) => (Tone::Plain, told.story.as_before().1),
            Standing::Ended(DeploymentOutcome::Stuck) => (Tone::Bad, "✗ stuck: a person is needed".to_owned()),
            Standing::Preparing | Standing::Switching | Standing::Settling | Standing::Stopping => return Vec::new(),
        };
        vec![Line::whole(tone, text).of_host(&told.label)]
    }

    fn ended(&self, whole: Whole, took: Duration) -> Vec<Line> {
        // What is said of the whole is said of those who switch, else of those who had something to do.
        let plans = || self.hosts.iter().filter_map(|told| told.story.plan());
        let does_something = || plans().find(|plan| !plan.finds_nothing_to_do());
        let Some(plan) = plans().find(|plan| plan.switches()).or_else(does_something).or_else(|| plans().next()) else {
            return Vec::new();
        };
        let mut lines = summary::fleet_ended(plan, whole, took, &self.stand(&self.overview()));
        lines.extend((!is_well(whole)).then(|| summary::read_more(plan)));
        lines
    }

    fn stand<'a>(&'a self, overview: &'a str) -> Stand<'a> {
        let names = |is: &dyn Fn(Standing) -> bool| -> Vec<&str> {
            self.hosts.iter().filter(|told| is(told.standing)).map(|told| told.name.as_str()).collect()
        };
        let is_done = |standing| matches!(standing, Standing::Unchanged | Standing::Ended(DeploymentOutcome::Deployed));
        let back = self.hosts.iter().filter(|told| told.standing == Standing::Ended(DeploymentOutcome::RolledBack));
        let originals: BTreeSet<_> = back.map(Told::original).collect();
        Stand {
            overview,
            done: names(&is_done),
            not_done: names(&|standing| !is_done(standing)),
            missing: names(&|standing| standing == Standing::Unreachable),
            lost: names(&|standing| standing == Standing::Lost || !standing.is_over()),
            original: originals.first().copied().flatten().filter(|_| originals.len() == 1),
            has_idle: self.hosts.iter().any(|told| told.standing == Standing::Unchanged && told.story.plan().is_some()),
        }
    }
}

impl Told {
    /// The release that was live before.
    fn original(&self) -> Option<&ReleaseId> {
        self.story.plan().and_then(|plan| plan.original.as_ref())
    }

    /// That it says nothing, for how many seconds where that is known, or speaks again. Told once, whoever noticed first.
    fn silent(&mut self, is_silent: bool, seconds: Option<u64>) -> Option<Line> {
        if std::mem::replace(&mut self.is_silent, is_silent) == is_silent {
            return None;
        }
        let (tone, text) = match (is_silent, seconds) {
            (false, _) => (Tone::Plain, "answers again".to_owned()),
            (true, None) => (Tone::Warning, "has not answered for a while".to_owned()),
            (true, Some(seconds)) => (Tone::Warning, format!("has been silent for {seconds} s")),
        };
        Some(Line::whole(tone, text).of_host(&self.label))
    }

    /// How it came to run the release.
    fn way(&self) -> &'static str {
        match self.story.plan() {
            Some(plan) if plan.starts => "started",
            Some(plan) if plan.kind == PlanKind::Restart => "restarted",
            Some(_) | None => "switched",
        }
    }

    /// How it stands.
    fn word(&self) -> &'static str {
        match self.standing {
            Standing::Ended(DeploymentOutcome::Failed) => self.story.as_before().0,
            standing => word(standing),
        }
    }
}

/// Whether there is no more to know than that it went well.
fn is_well(whole: Whole) -> bool {
    match whole {
        Whole::Done | Whole::Unchanged | Whole::Skipped => true,
        Whole::Divided | Whole::RolledBack | Whole::Failed | Whole::Stuck | Whole::InDoubt | Whole::NotDone => false,
    }
}

/// What went wrong is told whole; what went well, by where the host got.
fn is_worth_telling(happened: &Event, line: &Line) -> bool {
    match happened {
        Event::Recorded { record } => match &record.entry {
            Entry::Failed { .. } | Entry::RestoreFailed { .. } => line.tone != Tone::Back,
            Entry::Applied { .. } => line.tone == Tone::Warning,
            Entry::Started { .. } | Entry::Cancelled { .. } | Entry::Restored { .. } | Entry::Resumed { .. } => false,
        },
        Event::Waiting { .. } => true,
        _ => false,
    }
}

fn wave(number: u32, count: u32, hosts: &[String]) -> Line {
    let named: Vec<String> = hosts.iter().map(|host| one_line(host)).collect();
    Line::headed(Tone::Strong, format!("wave {number} of {count}:"), format!(" {}", named.join(", ")))
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Preparing => "preparing",
        Standing::Staged => "staged",
        Standing::Switching => "switching",
        Standing::Healthy => "healthy",
        Standing::Silent => "silent",
        Standing::Leaving => "on its own",
        Standing::Settling => "settling",
        Standing::Stopping => "going back",
        Standing::Unreachable => "not reached",
        Standing::Refused => "refused",
        Standing::Lost => "lost",
        Standing::Unchanged => "unchanged",
        Standing::Ended(DeploymentOutcome::Deployed) => "done",
        Standing::Ended(DeploymentOutcome::RolledBack) => "rolled back",
        Standing::Ended(DeploymentOutcome::Failed) => "unchanged",
        Standing::Ended(DeploymentOutcome::Stuck) => "stuck",
    }
}
