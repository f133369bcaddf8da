//! What a failure says below its first line.

use super::line::{Line, Tone};
use super::words::{in_environment, one_line};
use cutover_core::probe::ProbeResult;
use cutover_core::target::Failure;

/// The most lines of a log that are shown; its file has the rest.
const EXCERPT_LINES_MAX: usize = 20;

/// What probes saw, the log's last lines, where the whole of it lies and what to do in this environment, when that is known.
pub(super) fn details(error: &Failure, environment: Option<&str>) -> Vec<Line> {
    let unhealthy = error.probes.iter().filter(|result| !result.healthy);
    let mut lines: Vec<Line> =
        unhealthy.map(|result| Line::whole(Tone::Plain, format!("  probe {}", probe(result)))).collect();
    lines.extend(excerpt(&error.excerpt));
    if let Some(log) = &error.log {
        lines.push(Line::whole(Tone::Plain, format!("  log: {}", one_line(log))));
    }
    if let Some(hint) = &error.hint {
        let hint = environment.map_or_else(|| hint.clone(), |name| in_environment(hint, name));
        lines.push(Line::whole(Tone::Strong, format!("  hint: {}", one_line(&hint))));
    }
    lines
}

fn excerpt(text: &str) -> Vec<Line> {
    let all: Vec<&str> = text.lines().collect();
    let first = all.len().saturating_sub(EXCERPT_LINES_MAX);
    let hidden = (first > 0).then(|| Line::whole(Tone::Dim, format!("    … {first} lines before")));
    let shown = all[first..].iter().map(|line| Line::whole(Tone::Plain, format!("    | {}", one_line(line))));
    hidden.into_iter().chain(shown).collect()
}

/// One observation in one line.
pub(super) fn probe(result: &ProbeResult) -> String {
    let verdict = if result.healthy { "healthy" } else { "not healthy" };
    // What was refused at once took no time that says anything.
    let took = result.latency_ms.filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(" after {ms} ms"));
    let code = result.code.map_or_else(String::new, |code| format!(", code {code}"));
    let error = if result.error.is_empty() { String::new() } else { format!(": {}", result.error) };
    // A probe without a name of its own has its endpoint's.
    let place = if result.name == result.endpoint { String::new() } else { format!(" ({})", result.endpoint) };
    one_line(&format!("{}{place} {verdict}{took}{code}{error}", result.name))
}
