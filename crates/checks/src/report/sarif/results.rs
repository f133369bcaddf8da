//! The results of a run.

use super::super::json::Items;
use super::rules::{Level, RuleRef, Rules};
use cutover_core::check::{FINDINGS_MAX, Finding, Findings, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, excerpt};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error};
use std::cell::RefCell;
use std::collections::HashMap;

/// The most kinds of results of a run: rules that were broken, each with the levels that results give it.
pub const KINDS_MAX: usize = 20_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    kind: Option<String>,
    level: Option<Level>,
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleRef>,
    message: Option<Message>,
    #[serde(default)]
    locations: Items<Location>,
    #[serde(default)]
    suppressions: Items<Suppression>,
    baseline_state: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    text: Option<String>,
    markdown: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Option<Physical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Option<Artifact>,
    region: Option<Region>,
}

#[derive(Deserialize)]
struct Artifact {
    uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<i64>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
}

/// Rule and level of a result: what decides how bad it is.
type Kind = (RuleRef, Option<Level>);

/// A result whose details are kept.
struct Kept {
    kind: Kind,
    file: Option<String>,
    line: Option<u32>,
    message: String,
}

/// The results of a run as they come, before its rules are known.
#[derive(Default)]
pub(super) struct Results {
    counts: HashMap<Kind, u64>,
    kept: Vec<Kept>,
    suppressed_count: u64,
}

/// Reads a result into the others.
pub(super) struct ResultSeed<'a> {
    pub(super) results: &'a RefCell<Results>,
}

impl<'de> DeserializeSeed<'de> for ResultSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let told = Told::deserialize(input)?;
        self.results.borrow_mut().take(told).map_err(D::Error::custom)
    }
}

impl Results {
    fn take(&mut self, told: Told) -> Result<(), String> {
        if !told.is_finding() {
            return Ok(());
        }
        if told.is_suppressed() {
            self.suppressed_count += 1;
            return Ok(());
        }
        let kind = (told.rule_ref(), told.level);
        if self.counts.len() == KINDS_MAX && !self.counts.contains_key(&kind) {
            return Err(format!("the results are of more than {KINDS_MAX} kinds"));
        }
        *self.counts.entry(kind.clone()).or_default() += 1;
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(told.kept(kind));
        }
        Ok(())
    }

    /// The findings, as the run's rules see them.
    pub(super) fn judged(self, rules: &Rules) -> Findings {
        let mut findings = Findings { suppressed_count: self.suppressed_count, ..Findings::default() };
        for ((rule, level), count) in &self.counts {
            findings.counts.add(rules.severity(rule, *level), *count);
        }
        findings.list.left_out_count = findings.counts.total() - self.kept.len() as u64;
        findings.list.items = self.kept.into_iter().map(|kept| kept.judged(rules)).collect();
        findings
    }
}

impl Told {
    fn is_finding(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "fail") && self.baseline_state.as_deref() != Some("absent")
    }

    fn is_suppressed(&self) -> bool {
        let counts =
            |suppression: &Suppression| suppression.status.as_deref().is_none_or(|status| status == "accepted");
        !self.suppressions.0.is_empty() && self.suppressions.0.iter().all(counts)
    }

    fn rule_ref(&self) -> RuleRef {
        let mut rule = self.rule.clone().unwrap_or_default();
        if rule.id.is_empty() {
            rule.id = self.rule_id.clone().unwrap_or_default();
        }
        rule.id = excerpt(&rule.id, NAME_BYTES_MAX);
        rule.index = rule.index.or(self.rule_index);
        rule
    }

    fn kept(self, kind: Kind) -> Kept {
        let message = self.message.and_then(|message| message.text.or(message.markdown).or(message.id));
        let place = self.locations.0.into_iter().find_map(|location| location.physical_location);
        let (artifact, region) = place.map_or((None, None), |place| (place.artifact_location, place.region));
        Kept {
            kind,
            file: artifact.and_then(|artifact| artifact.uri).map(|uri| excerpt(&path_of(&uri), NAME_BYTES_MAX)),
            // Whole files have findings, too: then there is no region, or one that begins at 0.
            line: region
                .and_then(|region| region.start_line)
                .and_then(|line| u32::try_from(line).ok())
                .filter(|line| *line > 0),
            message: excerpt(&message.unwrap_or_default(), MESSAGE_BYTES_MAX),
        }
    }
}

impl Kept {
    fn judged(self, rules: &Rules) -> Finding {
        let (rule, level) = self.kind;
        Finding {
            tool: rules.tool.clone(),
            rule: excerpt(rules.name(&rule), NAME_BYTES_MAX),
            severity: rules.severity(&rule, level),
            file: self.file,
            line: self.line,
            message: self.message,
        }
    }
}

/// The path of a URI reference: `file:` is taken off, and percent-encoding (RFC 3986, 2.1) undone.
fn path_of(uri: &str) -> String {
    let path = uri.strip_prefix("file://").or_else(|| uri.strip_prefix("file:")).unwrap_or(uri);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        other => (other | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_becomes_a_path() {
        let paths = ["file:///a%20b/%C3%A4.py", "src/a.py", "100%/x%2", "file:a"].map(path_of);
        assert_eq!(paths, ["/a b/ä.py", "src/a.py", "100%/x%2", "a"]);
    }
}
