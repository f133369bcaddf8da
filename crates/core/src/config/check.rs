//! `[checks]`: commands whose results judge a change.

use super::command::Command;
use super::kind::{Kind, ListOf, MapOf, Node, OneOrMore, TextKind, Whole, wrong_type};
use super::names::{AnyText, Check, Severe, VariableName};
use super::places::{GlobPattern, ReleasePath};
use super::sink::{Fault, Sink, show, suggest};
use super::table::{Reader, table};
use super::units::Limit;
use super::{CacheConfig, CheckConfig, CommandLine, ReportsConfig};
use crate::check::{Limits, Percent, Severity};
use crate::id::CheckName;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The gates that need a report, by the kind that they are judged by.
const GATES: [(&str, &[&str]); 3] = [
    ("junit", &["tests_min", "flaky_max"]),
    ("coverage", &["coverage_min", "coverage_wanted", "patch_coverage_min"]),
    ("sarif", &["severity_max"]),
];

/// A share: `85` or `66.5`, in percent.
pub(super) struct Share;

impl Kind for Share {
    type Out = Percent;

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 100, "examples": [85] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Percent> {
        let number = match node.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => {
                wrong_type(node, "a number from 0 to 100", Some("write 85 or 66.5".to_owned()), sink);
                return None;
            }
        };
        let percent = number.and_then(Percent::new);
        if percent.is_none() {
            sink.fault(node.span(), "out of range", Fault::new("must be from 0 to 100"));
        }
        percent
    }
}

table! {
    /// A command whose result judges a change: by its exit code, and by its reports where it writes any.
    CheckTable for CheckConfig = CheckParts {
        /// What is run.
        run: Command, required;
        /// Checks that must have passed before.
        needs: OneOrMore<Check>, optional;
        /// Where it runs, inside the repository.
        directory: ReleasePath, optional;
        /// Variables on top of those that Cutover itself has; the secrets of environments are not among those.
        env: MapOf<VariableName, AnyText>, default "{}";
        /// Glob patterns: the check is left out, and said to be, where a change touches none of these.
        paths: ListOf<GlobPattern>, default "['**']";
        /// How long it may take.
        timeout: Limit, default "'15m'";
        /// How often it is repeated when it fails; what passes only then counts as flaky.
        retries: Whole<u32, 0, 10>, default "0";
        /// What a CI keeps between runs.
        cache: CacheTable, optional;
        /// The reports that it writes.
        reports: ReportsTable, default "{}";
        /// How many tests must have run. Needs `reports.junit`.
        tests_min: Whole<u64, 1, 1_000_000_000>, optional;
        /// How many tests may have passed only when repeated. Needs `reports.junit`.
        flaky_max: Whole<u64, 0, 1_000_000_000>, optional;
        /// Share of the lines in percent that tests must run through. Needs `reports.coverage`.
        coverage_min: Share, optional;
        /// Share of the lines in percent that tests should run through: less is a warning. Needs `reports.coverage`.
        coverage_wanted: Share, optional;
        /// Share of the changed lines in percent that tests must run through. Needs `reports.coverage`.
        patch_coverage_min: Share, optional;
        /// The worst that a scanner may find: `none`, `low`, `medium`, `high` or `critical`. Needs `reports.sarif`.
        severity_max: Severe, optional;
    }
    check check_gates,
    into check,
}

table! {
    /// What a CI keeps between runs of a check.
    CacheTable for CacheConfig = CacheConfig {
        /// Glob patterns of the files that decide whether what is kept still fits: lock files.
        key: OneOrMore<GlobPattern>, required;
        /// What is kept, inside the repository or beginning with `~/`.
        paths: OneOrMore<CachePath>, required;
    }
}

table! {
    /// The reports that a check writes, as glob patterns inside the repository.
    ReportsTable for ReportsConfig = ReportsParts {
        /// Test cases: JUnit's XML.
        junit: OneOrMore<GlobPattern>, optional;
        /// Coverage: Cobertura, LCOV, coverage.py's or Istanbul's JSON.
        coverage: OneOrMore<GlobPattern>, optional;
        /// Findings of scanners: SARIF.
        sarif: OneOrMore<GlobPattern>, optional;
    }
    into reports,
}

/// The reports as written.
struct ReportsParts {
    junit: Option<Vec<String>>,
    coverage: Option<Vec<String>>,
    sarif: Option<Vec<String>>,
}

fn reports(ReportsParts { junit, coverage, sarif }: ReportsParts) -> Option<ReportsConfig> {
    let [junit, coverage, sarif] = [junit, coverage, sarif].map(Option::unwrap_or_default);
    Some(ReportsConfig { junit, coverage, sarif })
}

/// A directory or file that a CI keeps.
pub(super) struct CachePath;

impl TextKind for CachePath {
    type Out = PathBuf;
    const WHAT: &'static str = "a path that is kept";
    const EXAMPLE: &'static str = "~/.cache/pip";

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        let inside = ReleasePath::parse(text.strip_prefix("~/").unwrap_or(text));
        inside
            .map(|_| PathBuf::from(text))
            .map_err(|fault| Fault::hinted(fault.why, "write \"~/.cache/pip\" or \"node_modules\""))
    }
}

/// A check as written.
struct CheckParts {
    run: CommandLine,
    needs: Option<Vec<CheckName>>,
    directory: Option<PathBuf>,
    env: BTreeMap<String, String>,
    paths: Vec<String>,
    timeout: Duration,
    retries: u32,
    cache: Option<CacheConfig>,
    reports: ReportsConfig,
    tests_min: Option<u64>,
    flaky_max: Option<u64>,
    coverage_min: Option<Percent>,
    coverage_wanted: Option<Percent>,
    patch_coverage_min: Option<Percent>,
    severity_max: Option<Severity>,
}

fn check(parts: CheckParts) -> Option<CheckConfig> {
    let CheckParts { run, needs, directory, env, paths, timeout, retries, cache, reports, .. } = parts;
    let needs = needs.unwrap_or_default();
    let limits = Limits {
        tests_min: parts.tests_min,
        coverage_min: parts.coverage_min,
        coverage_wanted: parts.coverage_wanted,
        patch_coverage_min: parts.patch_coverage_min,
        severity_max: parts.severity_max,
        flaky_max: parts.flaky_max,
    };
    Some(CheckConfig { run, needs, directory, env, paths, timeout, retries, cache, reports, limits })
}

/// A gate without the report that it is judged by would fail every time.
fn check_gates(reader: &Reader<'_, '_>, sink: &mut Sink) {
    let reports = reader.get("reports").and_then(|node| node.get_ref().as_table());
    for (report, gates) in GATES {
        if reports.is_some_and(|reports| reports.contains_key(report)) {
            continue;
        }
        for (gate, span) in gates.iter().filter_map(|gate| Some((gate, reader.key_span(gate)?))) {
            let hint = format!("say where the command writes it: reports = {{ {report} = \"…\" }}");
            sink.fault(span, "no report", Fault::hinted(format!("has `{gate}` but no `reports.{report}`"), hint));
        }
    }
}

/// Where a table of the text names a check.
struct Need<'n> {
    of: &'n str,
    on: &'n str,
    span: Range<usize>,
}

/// Checks that whatever names checks names some that are there, and that nothing needs itself in the end.
pub(super) fn check_names(file: &Reader<'_, '_>, sink: &mut Sink) {
    let names: BTreeSet<&str> =
        tables(file, "checks").into_iter().flat_map(|checks| checks.keys()).map(|key| key.get_ref().as_ref()).collect();
    let is_known = |need: &Need<'_>| names.contains(need.on);
    let (known, unknown): (Vec<_>, Vec<_>) = named(file, "checks", "needs").into_iter().partition(is_known);
    let required = named(file, "environments", "required_checks").into_iter().filter(|need| !is_known(need));
    let unknown = unknown.into_iter().map(|need| ("checks", "needs", need));
    for (place, verb, Need { of, on, span }) in unknown.chain(required.map(|need| ("environments", "requires", need))) {
        let why = format!("{verb} `{}`, which is no check", show(on));
        let fault = Fault::hinted(why, suggest(on, &names.iter().copied().collect::<Vec<_>>()));
        sink.within(place, |sink| sink.within(of, |sink| sink.fault(span, "no such check", fault)));
    }
    if let Some(Need { of, on, span }) = on_a_cycle(known) {
        let why = match of == on {
            true => "needs itself".to_owned(),
            false => format!("needs `{}`, which needs it in turn", show(on)),
        };
        let fault = Fault::hinted(why, "take one of these needs away");
        sink.within("checks", |sink| sink.within(of, |sink| sink.fault(span, "a cycle", fault)));
    }
}

fn tables<'n, 'i>(file: &'n Reader<'n, 'i>, place: &str) -> Option<&'n DeTable<'i>> {
    file.get(place).and_then(|node| node.get_ref().as_table())
}

/// The checks that each table of a place names under a key: one, or a list of them.
fn named<'n>(file: &'n Reader<'n, '_>, place: &str, key: &str) -> Vec<Need<'n>> {
    let of_table = |(name, node): (&'n toml::Spanned<_>, &'n Node<'_>)| {
        let of: &str = AsRef::<str>::as_ref(name.get_ref());
        let named = node.get_ref().as_table().and_then(|table| table.get(key));
        let listed = named.and_then(|named| named.get_ref().as_array()).into_iter().flat_map(|list| list.iter());
        let all = listed.chain(named);
        all.filter_map(move |need| Some(Need { of, on: need.get_ref().as_str()?, span: need.span() }))
            .collect::<Vec<_>>()
    };
    tables(file, place).into_iter().flat_map(|tables| tables.iter()).flat_map(of_table).collect()
}

/// A need that is on a cycle, the last one in the text. Those of a check without needs of its own are on none, nor are
/// those that lead only to such ones.
fn on_a_cycle(mut needs: Vec<Need<'_>>) -> Option<Need<'_>> {
    loop {
        let count = needs.len();
        let waiting: BTreeSet<&str> = needs.iter().map(|need| need.of).collect();
        needs.retain(|need| waiting.contains(need.on));
        let needed: BTreeSet<&str> = needs.iter().map(|need| need.on).collect();
        needs.retain(|need| needed.contains(need.of));
        if needs.len() == count {
            return needs.into_iter().max_by_key(|need| need.span.start);
        }
    }
}
