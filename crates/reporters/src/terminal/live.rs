//! On a terminal: finished steps stay as lines, the running one turns below them.

use super::Manner;
use super::line::{Line, Tone};
use super::story::Running;
use super::tale::Tale;
use super::words::{duration, one_line, progress};
use crate::reporter::Reporter;
use cutover_core::event::Event;
use cutover_core::probe::ProbeResult;
use indicatif::style::TemplateError;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// Shows the running step with its elapsed time, its usual time and its progress; of several hosts, a line for each
/// that is at work, and one that says how many stand where.
pub struct Live {
    tale: Tale,
    manner: Manner,
    screen: MultiProgress,
    /// By host; the name is empty where there is one alone.
    shown: BTreeMap<String, (Running, ProgressBar)>,
    overview: Option<ProgressBar>,
    /// What is wrong now, by host and the probe that says so.
    unhealthy: BTreeMap<(String, String), String>,
}

impl Live {
    /// Draws on `target`, which should be a terminal: on anything else nothing is shown.
    pub fn new(target: ProgressDrawTarget, manner: Manner) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let (tale, shown, unhealthy) = (Tale::new(&manner), BTreeMap::new(), BTreeMap::new());
        Self { tale, manner, screen, shown, overview: None, unhealthy }
    }

    /// Draws on the standard output.
    pub fn stdout(manner: Manner) -> Self {
        Self::new(ProgressDrawTarget::stdout(), manner)
    }

    fn show(&mut self, running: Vec<(String, Running)>) {
        let gone: Vec<String> =
            self.shown.keys().filter(|host| !is_as_shown(&self.shown, host, &running)).cloned().collect();
        for host in gone {
            if let Some((_, bar)) = self.shown.remove(&host) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            self.unhealthy.retain(|(of, _), _| *of != host);
        }
        for (host, running) in running {
            // A template that cannot be read costs the moving line, not the report.
            if !self.shown.contains_key(&host)
                && let Ok(bar) = self.bar(&running)
            {
                self.shown.insert(host, (running, bar));
            }
        }
    }

    /// How many hosts stand where, below the lines of those that are at work.
    fn show_overview(&mut self, event: &Event) {
        let overview = self.tale.overview().filter(|_| !matches!(event, Event::FleetEnded { .. }));
        let Some(text) = overview else {
            if let Some(bar) = self.overview.take() {
                bar.finish_and_clear();
            }
            return;
        };
        let style = || ProgressStyle::with_template("{wide_msg}");
        if self.overview.is_none() {
            self.overview = style().ok().map(|style| self.screen.add(ProgressBar::new_spinner().with_style(style)));
        }
        if let Some(bar) = &self.overview {
            bar.set_message(Line::whole(Tone::Strong, text).render(self.manner.color, None));
        }
    }

    fn bar(&self, running: &Running) -> Result<ProgressBar, TemplateError> {
        let usual = running.usual.map_or_else(String::new, |usual| format!(" (usually {})", duration(usual)));
        let took = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Writing into the line that is being drawn cannot fail.
            let _drawn = write!(out, "{}{usual}", duration(state.elapsed()));
        };
        let style = ProgressStyle::with_template("{spinner} {prefix} {took} {wide_msg}")?.with_key("took", took);
        let bar = ProgressBar::new_spinner().with_style(style);
        let bar = match &self.overview {
            Some(overview) => self.screen.insert_before(overview, bar),
            None => self.screen.add(bar),
        };
        let label = Line::whole(Tone::Strong, running.label.clone());
        bar.set_prefix(label.render(self.manner.color, None));
        bar.enable_steady_tick(TICK);
        Ok(bar)
    }

    fn say(&self, host: &str, message: &str) {
        if let Some((_, bar)) = self.shown.get(host) {
            bar.set_message(Line::whole(Tone::Dim, message).render(self.manner.color, None));
        }
    }

    /// What is still wrong, or that nothing is any more: while a service soaks, an old fault would be untrue.
    fn say_health(&mut self, host: &str, probe: &ProbeResult) {
        let attempt = format!("{}, attempt {}", probe.name, probe.attempt_count);
        let key = (host.to_owned(), probe.name.clone());
        if probe.healthy {
            self.unhealthy.remove(&key);
        } else {
            self.unhealthy.insert(key, format!("{attempt}: {}", probe.error));
        }
        let mut wrong = self.unhealthy.iter().filter(|((of, _), _)| of == host).map(|(_, message)| message.clone());
        let message = wrong.next().unwrap_or_else(|| format!("{attempt}: healthy"));
        self.say(host, &one_line(&message));
    }

    fn tell_passing(&mut self, host: &str, event: &Event) {
        match event {
            Event::Progressed { done, total, unit, .. } => self.say(host, &progress(*done, *total, unit)),
            Event::Output { line, .. } if self.manner.verbose => self.say(host, &one_line(line)),
            Event::Probed { result, .. } => self.say_health(host, result),
            Event::OnHost { host, happened } => self.tell_passing(host, happened),
            Event::Output { .. }
            | Event::Began { .. }
            | Event::Recorded { .. }
            | Event::Waiting { .. }
            | Event::Silent { .. }
            | Event::Ended { .. }
            | Event::Fleet { .. }
            | Event::Stands { .. }
            | Event::Wave { .. }
            | Event::FleetEnded { .. } => {}
        }
    }
}

fn is_as_shown(shown: &BTreeMap<String, (Running, ProgressBar)>, host: &str, running: &[(String, Running)]) -> bool {
    let now = running.iter().find(|(other, _)| other == host).map(|(_, running)| running);
    shown.get(host).map(|(running, _)| running) == now
}

/// What is shown in a moving line only.
fn is_passing(event: &Event) -> bool {
    match event {
        Event::Output { .. } | Event::Probed { .. } => true,
        Event::OnHost { happened, .. } => is_passing(happened),
        _ => false,
    }
}

impl Reporter for Live {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.tell_passing("", event);
        let lines = if is_passing(event) { Vec::new() } else { self.tale.tell(event, &self.manner) };
        self.show(self.tale.running());
        self.show_overview(event);
        lines.iter().try_for_each(|line| self.screen.println(line.render(self.manner.color, self.manner.width)))
    }
}
