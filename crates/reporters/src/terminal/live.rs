//! On a terminal: finished steps stay as lines, the running one turns below them.

use super::Manner;
use super::line::{Line, Tone};
use super::story::{Running, Story};
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

/// Shows the running step with its elapsed time, its usual time and its progress.
pub struct Live {
    story: Story,
    manner: Manner,
    screen: MultiProgress,
    shown: Option<(Running, ProgressBar)>,
    /// What is wrong now, by the probe that says so.
    unhealthy: BTreeMap<String, String>,
}

impl Live {
    /// Draws on `target`, which should be a terminal: on anything else nothing is shown.
    pub fn new(target: ProgressDrawTarget, manner: Manner) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        Self { story: Story::new(&manner), manner, screen, shown: None, unhealthy: BTreeMap::new() }
    }

    /// Draws on the standard output.
    pub fn stdout(manner: Manner) -> Self {
        Self::new(ProgressDrawTarget::stdout(), manner)
    }

    fn show(&mut self, running: Option<Running>) {
        if self.shown.as_ref().map(|(shown, _)| shown) == running.as_ref() {
            return;
        }
        if let Some((_, bar)) = self.shown.take() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        // A template that cannot be read costs the moving line, not the report.
        self.unhealthy.clear();
        self.shown = running.and_then(|running| self.bar(&running).ok().map(|bar| (running, bar)));
    }

    fn bar(&self, running: &Running) -> Result<ProgressBar, TemplateError> {
        let usual = running.usual.map_or_else(String::new, |usual| format!(" (usually {})", duration(usual)));
        let took = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Writing into the line that is being drawn cannot fail.
            let _drawn = write!(out, "{}{usual}", duration(state.elapsed()));
        };
        let style = ProgressStyle::with_template("{spinner} {prefix} {took} {wide_msg}")?.with_key("took", took);
        let bar = self.screen.add(ProgressBar::new_spinner().with_style(style));
        let label = Line::whole(Tone::Strong, running.label.clone());
        bar.set_prefix(label.render(self.manner.color, None));
        bar.enable_steady_tick(TICK);
        Ok(bar)
    }

    fn say(&self, message: &str) {
        if let Some((_, bar)) = &self.shown {
            bar.set_message(Line::whole(Tone::Dim, message).render(self.manner.color, None));
        }
    }

    /// What is still wrong, or that nothing is any more: while a service soaks, an old fault would be untrue.
    fn say_health(&mut self, probe: &ProbeResult) {
        let attempt = format!("{}, attempt {}", probe.name, probe.attempt_count);
        if probe.healthy {
            self.unhealthy.remove(&probe.name);
        } else {
            self.unhealthy.insert(probe.name.clone(), format!("{attempt}: {}", probe.error));
        }
        let message = self.unhealthy.values().next().cloned().unwrap_or_else(|| format!("{attempt}: healthy"));
        self.say(&one_line(&message));
    }

    fn tell_passing(&mut self, event: &Event) {
        match event {
            Event::Progressed { done, total, unit, .. } => self.say(&progress(*done, *total, unit)),
            Event::Output { line, .. } if self.manner.verbose => self.say(&one_line(line)),
            Event::Probed { result, .. } => self.say_health(result),
            Event::Output { .. }
            | Event::Began { .. }
            | Event::Recorded { .. }
            | Event::Waiting { .. }
            | Event::Ended { .. } => {}
        }
    }
}

impl Reporter for Live {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.tell_passing(event);
        // What is passing is shown in the moving line; only the rest stays.
        let lines = if matches!(event, Event::Output { .. } | Event::Probed { .. }) {
            Vec::new()
        } else {
            self.story.tell(event)
        };
        let running = self.story.running().cloned();
        self.show(running);
        lines.iter().try_for_each(|line| self.screen.println(line.render(self.manner.color, self.manner.width)))
    }
}
