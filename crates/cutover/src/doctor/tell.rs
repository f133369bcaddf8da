//! Tells what was found.

use super::Ward;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use cutover_reporters::one_line;
use cutover_targets::doctor::{Finding, Verdict};
use serde_json::json;
use std::fmt::Write as _;

/// The version of the JSON.
const VERSION: u32 = 1;
/// Room for the longest area.
const AREA_WIDTH: usize = 10;

/// Tells it all: for people what is not well, and what is well when they ask for it.
pub(super) fn tell(context: &Context, wards: &[Ward]) -> Result<(), CommandError> {
    let count =
        |wanted| wards.iter().flat_map(|ward| &ward.findings).filter(|finding| finding.verdict == wanted).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    if context.output.json {
        return context.output.json(&json!({ "v": VERSION, "failed": failed, "warnings": warnings, "places": wards }));
    }
    let mut text: String = wards.iter().map(|ward| told(context, ward)).collect();
    let summary = match (failed, warnings) {
        (0, 0) => "everything is well".to_owned(),
        (0, warnings) => format!("deployments can begin; {warnings} not well"),
        (failed, 0) => format!("{failed} in the way of deployments"),
        (failed, warnings) => format!("{failed} in the way of deployments, {warnings} more not well"),
    };
    let _infallible = writeln!(text, "{summary}");
    context.output.text(&text)
}

fn told(context: &Context, ward: &Ward) -> String {
    let environment = ward.environment.as_ref().map(|name| name.as_str());
    let title = match (environment, ward.host.as_deref()) {
        (None, _) => "this machine".to_owned(),
        (Some(name), None) => name.to_owned(),
        (Some(name), Some(host)) => format!("{host} ({name})"),
    };
    section(context, &title, environment, &ward.findings)
}

/// What was found in one place, below its title.
pub(crate) fn section(context: &Context, title: &str, environment: Option<&str>, findings: &[Finding]) -> String {
    let paint = context.output.paint();
    let mut text = format!("{}\n", paint.strong(title));
    let fine = findings.iter().filter(|finding| finding.verdict == Verdict::Fine).count();
    let shown = findings.iter().filter(|finding| context.output.verbose || finding.verdict != Verdict::Fine);
    for finding in shown {
        let mark = match finding.verdict {
            Verdict::Fine => paint.good("✓"),
            Verdict::Warning => paint.warning("!"),
            Verdict::Failed => paint.bad("✗"),
        };
        let _infallible = writeln!(text, "  {mark} {:AREA_WIDTH$} {}", finding.area, one_line(&finding.what));
        if let Some(fix) = finding.fix.as_deref().filter(|fix| !fix.is_empty()) {
            let fix = environment.map_or_else(|| fix.to_owned(), |name| fix.replace("ENV", name));
            let _infallible = writeln!(text, "    {:AREA_WIDTH$} {}", "", paint.dim(format!("-> {fix}")));
        }
    }
    if !context.output.verbose && fine > 0 {
        let _infallible = writeln!(text, "  {} {fine} as it should be", paint.good("✓"));
    }
    text
}

/// How the command ends.
pub(super) fn exit(wards: &[Ward]) -> Exit {
    let is_failed = |ward: &Ward| ward.findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    if wards.iter().any(|ward| !ward.reached) {
        Exit::Unreachable
    } else if wards.iter().any(is_failed) {
        Exit::Failed
    } else {
        Exit::Done
    }
}
