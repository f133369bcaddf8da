//! `cutover.toml`: from text to a sound [`Config`], or every diagnostic at once.
//!
//! Each table is declared once (in `tables`, `check`, `host`, `service`, `verify`, `environment`, `rollout`, `workflows`, `release`);
//! the decoder, the valid keys, [`json_schema`] and [`reference()`] all come from that declaration.
//! To add a key: add a field to the model and a line to its table.

mod arrived;
mod check;
mod checks;
mod command;
mod diagnostic;
mod environment;
mod host;
mod host_keys;
mod kind;
mod merge;
mod model;
mod names;
mod places;
mod reach;
mod release;
mod rollout;
mod schema;
mod service;
mod sink;
mod syntax;
mod table;
mod tables;
mod units;
mod verify;
mod workflows;

pub use diagnostic::{Diagnostic, LocatedDiagnostic, Offset, Position, Severity};
pub use environment::TARGET_COUNT_MAX;
pub use model::*;
pub use schema::{json_schema, reference};

use kind::Kind;
use sink::Sink;
use tables::{FileParts, FileTable};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest `cutover.toml` in bytes: 1 MiB.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a text was found to be: a config where it is sound, and every diagnostic.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The config; None when there is an error among the diagnostics.
    pub config: Option<Config>,
    /// Errors and warnings, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Config {
    /// Reads a whole `cutover.toml`; the errors are all that there are (at most 100), sorted by place.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let Checked { config, diagnostics } = Self::check(text);
        config.ok_or(diagnostics)
    }

    /// Reads a whole `cutover.toml` like [`Config::parse`] and keeps the warnings of a sound one.
    pub fn check(text: &str) -> Checked {
        let mut sink = Sink::default();
        let config = read(text, &mut sink);
        let diagnostics = sink.finish(text);
        let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
        Checked { config: config.filter(|_| sound), diagnostics }
    }
}

fn read(text: &str, sink: &mut Sink) -> Option<Config> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the file has {} bytes; the most is {TEXT_BYTES_MAX}", text.len());
        sink.error(0..0, message, "too large", None);
        return None;
    }
    let (table, faults) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    if !faults.is_empty() {
        syntax::report(text, &faults, sink);
        syntax::add_unrelated(text, &faults, table, sink);
        return None;
    }
    decode(table, sink)
}

fn decode(table: DeTable<'_>, sink: &mut Sink) -> Option<Config> {
    let targets = environment::merged_targets(&table, sink);
    let parts = FileTable::decode(&Spanned::new(0..0, DeValue::Table(table)), sink)?;
    Some(assemble(parts, targets))
}

fn assemble(parts: FileParts, mut merged: environment::MergedTargets) -> Config {
    let FileParts { name, artifact, checks, targets, ssh, environments, workflows, release, protection } = parts;
    let environments = environments.into_iter().map(|(name, parts)| {
        let targets = merged.remove(name.as_str()).unwrap_or_default();
        (name, parts.with(targets))
    });
    Config {
        name,
        artifact,
        checks,
        targets,
        ssh,
        environments: environments.collect(),
        workflows,
        release,
        protection,
    }
}
