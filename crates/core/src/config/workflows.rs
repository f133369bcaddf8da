//! `[workflows]`: what a CI needs to know to run Cutover.

use super::kind::{ListOf, MapOf, OneOrMore, TextKind, Whole};
use super::names::{Environment, Word};
use super::places::printable;
use super::sink::{Fault, Sink, show, suggest};
use super::table::{Reader, table};
use super::units::Limit;
use super::{CutoverDownload, WorkflowsConfig};
use crate::id::EnvironmentName;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest URL in bytes.
const URL_LENGTH_MAX: usize = 4_000;
/// How many hexadecimal digits a SHA-256 has.
const SHA256_LENGTH: usize = 64;

/// Where a runner gets Cutover from.
pub(super) struct DownloadUrl;

impl TextKind for DownloadUrl {
    type Out = String;
    const WHAT: &'static str = "a URL";
    const EXAMPLE: &'static str = "https://example.org/cutover-x86_64";

    fn parse(text: &str) -> Result<String, Fault> {
        printable(text)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("file:///"));
        if rest.is_none_or(str::is_empty) {
            let hint = format!("write it like {:?}", Self::EXAMPLE);
            return Err(Fault::hinted("must start with https:// or file:///", hint));
        }
        if text.len() > URL_LENGTH_MAX || text.contains(char::is_whitespace) {
            return Err(Fault::new("is too long or has spaces"));
        }
        Ok(text.to_owned())
    }

    fn text_schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^(https://|file:///)[^\\s]+$", "examples": [Self::EXAMPLE] })
    }
}

/// The SHA-256 of a file.
pub(super) struct Sha256;

impl TextKind for Sha256 {
    type Out = String;
    const WHAT: &'static str = "a SHA-256";
    const EXAMPLE: &'static str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn parse(text: &str) -> Result<String, Fault> {
        if text.len() == SHA256_LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(text.to_ascii_lowercase());
        }
        Err(Fault::hinted("is not a SHA-256", "`sha256sum FILE` prints it: 64 hexadecimal digits"))
    }

    fn text_schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$", "examples": [Self::EXAMPLE] })
    }
}

/// The workflows as written.
pub(super) struct WorkflowsParts {
    url: Option<String>,
    sha256: Option<String>,
    runs_on: Option<Vec<String>>,
    image: Option<String>,
    timeout: Duration,
    retention_days: u16,
    python: Option<String>,
    node: Option<String>,
    approval: Vec<EnvironmentName>,
    after: BTreeMap<EnvironmentName, EnvironmentName>,
    pull_requests: Option<EnvironmentName>,
}

table! {
    /// What `cutover workflows` writes for a CI.
    WorkflowsTable for WorkflowsConfig = WorkflowsParts {
        /// Where a runner gets the binary of Cutover. Absent: it is on the runner already.
        url: DownloadUrl, optional;
        /// What the binary at `url` must be.
        sha256: Sha256, optional;
        /// Labels of the runners: GitHub's `runs-on`, GitLab's `tags`.
        runs_on: OneOrMore<Word>, optional;
        /// Image that GitLab's jobs run in.
        image: Word, optional;
        /// How long a job may take.
        timeout: Limit, default "'30m'";
        /// How many days a CI keeps artifacts, logs and records.
        retention_days: Whole<u16, 1, 400>, default "30";
        /// Python's version, for checks and builds; the runner's own by default.
        python: Word, optional;
        /// Node's version, for checks and builds; the runner's own by default.
        node: Word, optional;
        /// Environments that a person lets a deployment into.
        approval: ListOf<Environment>, default "[]";
        /// Environments that are deployed only after another one of the same branch is healthy: the one and the other.
        after: MapOf<Environment, Environment>, default "{}";
        /// Environment that pull requests are deployed to.
        pull_requests: Environment, optional;
    }
    check check_download,
    into workflows,
}

fn workflows(parts: WorkflowsParts) -> Option<WorkflowsConfig> {
    let WorkflowsParts { url, sha256, image, timeout, retention_days, python, node, after, pull_requests, .. } = parts;
    let download = match (url, sha256) {
        (Some(url), Some(sha256)) => Some(CutoverDownload { url, sha256 }),
        (None, None) => None,
        // Reported already.
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(WorkflowsConfig {
        download,
        runs_on: parts.runs_on.unwrap_or_default(),
        image,
        timeout,
        retention_days,
        python,
        node,
        approval: parts.approval.into_iter().collect(),
        after,
        pull_requests,
    })
}

/// A binary that nobody vouches for would be run with all secrets.
fn check_download(reader: &Reader<'_, '_>, sink: &mut Sink) {
    for (one, other) in [("url", "sha256"), ("sha256", "url")] {
        if let (Some(span), None) = (reader.key_span(one), reader.get(other)) {
            sink.fault(
                span,
                "incomplete",
                Fault::hinted(format!("has `{one}` but no `{other}`"), "give both or neither"),
            );
        }
    }
}

/// Checks that what is said of environments is said of such that there are. Sees undecoded values, so that these findings
/// come together with all others.
pub(super) fn check_environments(file: &Reader<'_, '_>, sink: &mut Sink) {
    let table = |key| file.get(key).and_then(|node| node.get_ref().as_table());
    let Some(workflows) = table("workflows") else { return };
    let none = DeTable::new();
    let environments = table("environments").unwrap_or(&none);
    let known: Vec<&str> = environments.keys().map(|key| key.get_ref().as_ref()).collect();
    sink.within("workflows", |sink| {
        for (key, name, span) in named(workflows) {
            if !known.contains(&name) {
                let why = format!("names `{}`, which is no environment", show(name));
                let hint = (!known.is_empty()).then(|| suggest(name, &known));
                let fault = Fault { why, hint };
                sink.within(key, |sink| sink.fault(span, "no such environment", fault));
            }
        }
        sink.within("after", |sink| check_order(workflows, environments, sink));
    });
}

/// Every environment that is named, by the key that names it.
fn named<'n>(workflows: &'n DeTable<'_>) -> Vec<(&'static str, &'n str, Range<usize>)> {
    let text = |node: &'n Spanned<DeValue<'_>>| Some((node.get_ref().as_str()?, node.span()));
    let listed = workflows.get("approval").and_then(|node| node.get_ref().as_array()).into_iter().flatten();
    let after = order(workflows).into_iter().flat_map(|(one, other)| [one, other]);
    let approval = listed.filter_map(text).map(|(name, span)| ("approval", name, span));
    let channel = workflows.get("pull_requests").and_then(text).map(|(name, span)| ("pull_requests", name, span));
    approval.chain(after.map(|(name, span)| ("after", name, span))).chain(channel).collect()
}

type Named<'n> = (&'n str, Range<usize>);

/// The pairs of `after`, as written.
fn order<'n>(workflows: &'n DeTable<'_>) -> Vec<(Named<'n>, Named<'n>)> {
    let table = workflows.get("after").and_then(|node| node.get_ref().as_table());
    let pair = |(key, node): (&'n Spanned<_>, &'n Spanned<DeValue<'_>>)| {
        let one: &str = AsRef::<str>::as_ref(key.get_ref());
        Some(((one, key.span()), (node.get_ref().as_str()?, node.span())))
    };
    table.into_iter().flat_map(|table| table.iter()).filter_map(pair).collect()
}

fn check_order(workflows: &DeTable<'_>, environments: &DeTable<'_>, sink: &mut Sink) {
    let pairs = order(workflows);
    let branch = |name: &str| environments.get(name)?.get_ref().get("branch")?.get_ref().as_str();
    let has_hosts = |name: &str| {
        let hosts = environments.get(name).and_then(|node| node.get_ref().get("hosts")?.get_ref().as_table());
        hosts.is_some_and(|hosts| !hosts.is_empty())
    };
    for ((one, _), (other, span)) in &pairs {
        let exist = environments.contains_key(*one) && environments.contains_key(*other);
        if exist && (branch(one).is_none() || branch(one) != branch(other)) {
            let why = format!("puts `{}` after `{}`, which has another branch", show(one), show(other));
            let hint = "one push deploys both: give both environments the same `branch`";
            sink.fault(span.clone(), "another branch", Fault::hinted(why, hint));
        }
        let empty = [one, other].into_iter().find(|name| !has_hosts(name));
        if let (Some(name), true) = (empty, exist && branch(one).is_some() && branch(one) == branch(other)) {
            let why = format!("puts `{}` after `{}`, and `{}` has no hosts", show(one), show(other), show(name));
            let hint = "nothing is deployed there, so nothing is waited for: give it hosts, or take this away";
            sink.fault(span.clone(), "no hosts", Fault::hinted(why, hint));
        }
        if comes_back(one, &pairs) {
            let why = format!("puts `{}` after itself in the end", show(one));
            sink.fault(span.clone(), "a cycle", Fault::hinted(why, "take one of these away"));
        }
    }
}

/// Whether whatever comes before an environment is that environment again.
fn comes_back(start: &str, pairs: &[(Named<'_>, Named<'_>)]) -> bool {
    let before = |name: &str| pairs.iter().find(|((one, _), _)| *one == name).map(|(_, (other, _))| *other);
    let mut at = before(start);
    for _ in pairs {
        match at {
            Some(name) if name == start => return true,
            Some(name) => at = before(name),
            None => return false,
        }
    }
    false
}
