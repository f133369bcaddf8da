//! An incident told for people, as Markdown.

use super::deployment::{DeploymentRecord, FailureRecord, ProbeRecord};
use super::incident::{Incident, is_by_hand};
use super::step::{StepRecord, StepState};
use crate::next::DeploymentOutcome;
use crate::plan::Reversal;
use jiff::Timestamp;
use std::fmt::Write;

/// The most probes that a report shows: the last ones.
const PROBE_COUNT_MAX: usize = 20;

pub(super) fn markdown(incident: &Incident, record: &DeploymentRecord) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, incident, record);
    text
}

fn write_all(out: &mut String, incident: &Incident, record: &DeploymentRecord) -> std::fmt::Result {
    writeln!(out, "# Incident: {} in {}\n", incident.project, incident.environment)?;
    writeln!(out, "## What happened\n")?;
    what_happened(out, incident, record)?;
    writeln!(out, "\n## Timeline (UTC)\n")?;
    timeline(out, incident, record)?;
    probes(out, &record.probes)?;
    for failure in record.failure.iter().chain(&record.restore_failure) {
        log(out, failure)?;
    }
    writeln!(out, "\n## State now\n\n{}", state_now(incident, record))?;
    writeln!(out, "\n## What to do\n")?;
    what_to_do(out, incident, record)
}

fn what_happened(out: &mut String, incident: &Incident, record: &DeploymentRecord) -> std::fmt::Result {
    writeln!(out, "- Cause: {}", line(&incident.cause))?;
    writeln!(out, "- Deployment: {} by {}", record.deployment, line(&record.by))?;
    writeln!(out, "- Release: {} ({})", incident.release, commit(record))?;
    match &record.original {
        Some(original) if is_by_hand(record) => writeln!(out, "- Live before: {original}, now: {}", record.release)?,
        Some(original) => writeln!(out, "- Live before: {original}")?,
        None => writeln!(out, "- Live before: nothing")?,
    }
    if !record.reason.is_empty() {
        writeln!(out, "- Reason given: {}", line(&record.reason))?;
    }
    Ok(())
}

fn commit(record: &DeploymentRecord) -> String {
    if record.commit.is_empty() {
        return format!("artifact {}", line(&record.artifact));
    }
    let short: String = line(&record.commit).chars().take(12).collect();
    let dirty = if record.dirty { ", with uncommitted changes" } else { "" };
    format!("commit {short}{dirty}: {}", line(&record.subject))
}

fn timeline(out: &mut String, incident: &Incident, record: &DeploymentRecord) -> std::fmt::Result {
    moment(out, record.began_at, "began")?;
    for step in &record.steps {
        forward(out, step, record)?;
    }
    if let Some(at) = record.cancelled_at {
        moment(out, at, &format!("cancelled: {}", record.cancel_reason))?;
    }
    for step in record.steps.iter().rev() {
        if let Some(at) = step.restored_at {
            moment(out, at, &format!("{} on {} restored", step.name, step.host))?;
        }
    }
    if let Some(failure) = &record.restore_failure {
        moment(
            out,
            failure.at,
            &format!("{} on {} could not be restored: {}", failure.name, failure.host, failure.failure),
        )?;
    }
    match (incident.closed_at, &incident.closed_by) {
        (Some(at), Some(by)) => moment(out, at, &format!("healthy again, by {by}")),
        (Some(at), None) => moment(out, at, "healthy again"),
        (None, _) => Ok(()),
    }
}

fn forward(out: &mut String, step: &StepRecord, record: &DeploymentRecord) -> std::fmt::Result {
    let failed = record.failure.as_ref().filter(|failure| failure.step == step.id);
    match (failed, step.ended_at.or(step.started_at)) {
        (Some(failure), _) => {
            moment(out, failure.at, &format!("**{} on {} failed**: {}", step.name, step.host, failure.failure))
        }
        (None, Some(at)) if step.ended_at.is_some() => {
            moment(out, at, &format!("{} on {}: {}", step.name, step.host, step.note))
        }
        (None, Some(at)) => moment(out, at, &format!("{} on {} began and did not end", step.name, step.host)),
        (None, None) => Ok(()),
    }
}

fn moment(out: &mut String, at: Timestamp, text: &str) -> std::fmt::Result {
    writeln!(out, "- {} {}", at.strftime("%Y-%m-%d %H:%M:%S"), line(text))
}

fn probes(out: &mut String, probes: &[ProbeRecord]) -> std::fmt::Result {
    if probes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Probes\n\n| time | host | probe | where | healthy | code | ms | said |\n|---|---|---|---|---|---|---|---|"
    )?;
    let hidden = probes.len().saturating_sub(PROBE_COUNT_MAX);
    for probe in &probes[hidden..] {
        probe_row(out, probe)?;
    }
    if hidden > 0 {
        writeln!(out, "\n{hidden} earlier ones are left out.")?;
    }
    Ok(())
}

fn probe_row(out: &mut String, probe: &ProbeRecord) -> std::fmt::Result {
    let result = &probe.result;
    let said = if result.error.is_empty() { &result.body } else { &result.error };
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let healthy = if result.healthy { "yes" } else { "**no**" };
    let latency_ms = result.latency_ms.and_then(|latency| i64::try_from(latency).ok());
    writeln!(
        out,
        "| {} | {} | {} | {} | {healthy} | {} | {} | {} |",
        result.at.strftime("%H:%M:%S"),
        cell(&probe.host),
        cell(&result.name),
        cell(&result.endpoint),
        number(result.code.map(i64::from)),
        number(latency_ms),
        cell(said),
    )
}

fn log(out: &mut String, failure: &FailureRecord) -> std::fmt::Result {
    let said = &failure.failure;
    if !said.excerpt.is_empty() {
        let fence = fence(&said.excerpt);
        writeln!(
            out,
            "\n## Log of {} on {}\n\n{fence}\n{}\n{fence}",
            failure.name,
            failure.host,
            said.excerpt.trim_end()
        )?;
    }
    match &said.log {
        Some(path) => {
            writeln!(out, "\nThe whole log of {}: `{}` on {}", failure.name, line(path), failure.host)
        }
        None => Ok(()),
    }
}

fn state_now(incident: &Incident, record: &DeploymentRecord) -> String {
    let original = record.original.as_ref();
    match (incident.closed_at, &incident.closed_by) {
        (Some(_), Some(by)) if *by != record.deployment => format!("Healthy again since deployment {by}."),
        (Some(_), _) if !record.divided().is_empty() => {
            let hosts: Vec<String> = record.divided().into_iter().map(line).collect();
            format!("**Divided:** {} stays on {}, and is not on the others.", record.release, hosts.join(", "))
        }
        (Some(_), _) if is_by_hand(record) => format!("Healthy: {} is live and verified.", record.release),
        (Some(_), _) => match (record.outcome, original) {
            (Some(DeploymentOutcome::RolledBack), Some(original)) => {
                format!("Healthy: {original} is live again and verified.")
            }
            _ if original.is_none() => "What was begun is taken back; nothing was live before.".to_owned(),
            _ => "What was begun is taken back.".to_owned(),
        },
        (None, _) => {
            "**Stuck: a person is needed.** What serves may be neither the old release nor the new one.".to_owned()
        }
    }
}

fn what_to_do(out: &mut String, incident: &Incident, record: &DeploymentRecord) -> std::fmt::Result {
    for failure in record.failure.iter().chain(&record.restore_failure) {
        if let Some(hint) = &failure.failure.hint {
            writeln!(out, "- {}", line(hint))?;
        }
    }
    if incident.closed_at.is_some() {
        return closed_advice(out, incident, record);
    }
    let left = |step: &&StepRecord| step.state == StepState::RestoreFailed || is_left(step);
    for step in record.steps.iter().filter(left) {
        writeln!(out, "- {} on {}: {}", step.name, step.host, open_advice(step))?;
    }
    writeln!(out, "- Then run `cutover resume {}`.", record.environment)
}

fn is_left(step: &StepRecord) -> bool {
    step.reversal == Reversal::Irreversible && step.state != StepState::Pending && step.started_at.is_some()
}

fn open_advice(step: &StepRecord) -> &'static str {
    match step.state {
        StepState::RestoreFailed => "look at why it could not be restored, and mend it",
        StepState::Pending | StepState::Started | StepState::Applied | StepState::Failed | StepState::Restored => {
            "it cannot be taken back by itself: decide whether to take it back by hand or to go forward"
        }
    }
}

fn closed_advice(out: &mut String, incident: &Incident, record: &DeploymentRecord) -> std::fmt::Result {
    writeln!(
        out,
        "- Find out why {} failed before deploying it again; it is never chosen by default.",
        incident.release
    )?;
    writeln!(out, "- Everything that was recorded: `cutover logs {}`", record.deployment)
}

/// One line of text: what comes from outside cannot begin a heading or end a list.
fn line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).collect()
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A fence that the log itself cannot close.
fn fence(log: &str) -> String {
    let longest = log.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}
