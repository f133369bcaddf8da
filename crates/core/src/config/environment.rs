//! Environments: their secrets, and their targets with the overrides merged in.

use super::kind::{Kind, ListOf, MapOf, Node, wrong_type};
use super::merge::merge;
use super::names::VariableName;
use super::places::LocalFile;
use super::reach::warn_of_unreached;
use super::sink::{Fault, Sink, show, suggest};
use super::table::{Reader, table};
use super::tables::TargetTable;
use super::{CommandLine, EnvironmentConfig, RolloutConfig, SecretSource, TargetConfig};
use crate::id::{CheckName, TargetName};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeString, DeTable};

/// The most targets, and the most environments; each environment decodes its targets anew.
pub const TARGET_COUNT_MAX: usize = 100;

/// An environment before its targets are merged.
pub(super) struct EnvironmentParts {
    pub(super) branch: Option<String>,
    pub(super) url: Option<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, SecretSource>,
    pub(super) hosts: BTreeMap<TargetName, Vec<String>>,
    pub(super) rollout: RolloutConfig,
    pub(super) required_checks: Option<Vec<CheckName>>,
    pub(super) targets: (),
}

impl EnvironmentParts {
    /// The environment with its merged targets.
    pub(super) fn with(self, targets: BTreeMap<TargetName, TargetConfig>) -> EnvironmentConfig {
        let Self { branch, url, env, secrets, hosts, rollout, required_checks, targets: () } = self;
        let required_checks = required_checks.unwrap_or_default();
        EnvironmentConfig { branch, url, env, secrets, hosts, rollout, required_checks, targets }
    }
}

/// Overrides of targets: tables with the keys of a target, none of them required.
///
/// Only their outer shape is decoded here; [`merged_targets`] decodes them merged.
pub(super) struct Overrides;

impl Kind for Overrides {
    type Out = ();

    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": relaxed(TargetTable::schema()) })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<()> {
        if !node.get_ref().is_table() {
            wrong_type(node, "a table", None, sink);
            return None;
        }
        Some(())
    }
}

/// The schema without anything required, except within lists, which are replaced as a whole.
fn relaxed(mut schema: Value) -> Value {
    if let Value::Object(object) = &mut schema {
        for key in ["required", "oneOf", "default"] {
            object.remove(key);
        }
        let properties = object.get_mut("properties").and_then(Value::as_object_mut);
        properties.into_iter().flatten().for_each(|(_, nested)| *nested = relaxed(nested.take()));
        let variants = object.get_mut("anyOf").and_then(Value::as_array_mut);
        variants.into_iter().flatten().for_each(|nested| *nested = relaxed(nested.take()));
    }
    schema
}

/// `secrets`: names, or a table of names and sources.
pub(super) struct Secrets;

impl Kind for Secrets {
    type Out = BTreeMap<String, SecretSource>;

    fn schema() -> Value {
        let mut names = ListOf::<VariableName>::schema();
        names["uniqueItems"] = json!(true);
        json!({ "anyOf": [names, MapOf::<VariableName, SecretTable>::schema()] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Self::Out> {
        if node.get_ref().is_table() {
            return MapOf::<VariableName, SecretTable>::decode(node, sink);
        }
        if !node.get_ref().is_array() {
            wrong_type(node, "a list of names or a table", Some("write [\"APP_TOKEN\"]".to_owned()), sink);
            return None;
        }
        let names = ListOf::<VariableName>::decode(node, sink)?;
        let count = names.len();
        let secrets: BTreeMap<_, _> =
            names.into_iter().map(|name| (name.clone(), SecretSource::Variable(name))).collect();
        if secrets.len() < count {
            sink.fault(node.span(), "named twice", Fault::new("names a secret twice"));
            return None;
        }
        Some(secrets)
    }
}

/// Every key of a secret's source; [`source`] makes the chosen kind from it.
pub(super) struct SecretParts {
    env: Option<String>,
    file: Option<PathBuf>,
    command: Option<CommandLine>,
}

table! {
    /// Where a secret's value comes from.
    SecretTable for SecretSource = SecretParts {
        /// An environment variable of the CLI.
        env: VariableName, optional;
        /// A file, relative to `cutover.toml`; its last newline is left out.
        file: LocalFile, optional;
        /// A command's standard output; its last newline is left out.
        command: super::command::Command, optional;
    }
    one_of ["env", "file", "command"],
    into source,
}

fn source(parts: SecretParts) -> Option<SecretSource> {
    let variable = parts.env.map(SecretSource::Variable);
    variable.or(parts.file.map(SecretSource::File)).or(parts.command.map(SecretSource::Command))
}

/// Reports the names that are both a variable and a secret.
pub(super) fn check_variables(reader: &Reader<'_, '_>, sink: &mut Sink) {
    let Some(env) = reader.get("env").and_then(|node| node.get_ref().as_table()) else { return };
    for (name, span) in secret_names(reader) {
        if env.contains_key(name) {
            let why = format!("has `{}` both in `env` and in `secrets`", show(name));
            sink.fault(span, "also in `env`", Fault::hinted(why, "keep it in one of them"));
        }
    }
}

fn secret_names<'n>(reader: &Reader<'n, '_>) -> Vec<(&'n str, std::ops::Range<usize>)> {
    let Some(node) = reader.get("secrets").map(Spanned::get_ref) else { return Vec::new() };
    let listed = node.as_array().into_iter().flat_map(|list| list.iter());
    let listed = listed.filter_map(|item| Some((item.get_ref().as_str()?, item.span())));
    let keyed = node.as_table().into_iter().flat_map(|table| table.keys());
    listed.chain(keyed.map(|key| (key.get_ref().as_ref(), key.span()))).collect()
}

/// Each environment's targets, merged and decoded.
pub(super) type MergedTargets = BTreeMap<String, BTreeMap<TargetName, TargetConfig>>;

/// Merges every environment's overrides into its targets and decodes them.
///
/// Works on what is undecoded, so that its findings come together with all others. What could not
/// be decoded is left out after a diagnostic.
pub(super) fn merged_targets(file: &DeTable<'_>, sink: &mut Sink) -> MergedTargets {
    let none = DeTable::new();
    let table = |key| file.get(key).and_then(|node: &Node<'_>| node.get_ref().as_table()).unwrap_or(&none);
    let (environments, targets) = (table("environments"), table("targets"));
    for (key, table) in [("environments", environments), ("targets", targets)] {
        if table.len() > TARGET_COUNT_MAX {
            let span = file.get(key).map(Spanned::span).unwrap_or_default();
            let message = format!("`{key}` has {} entries; the most is {TARGET_COUNT_MAX}", table.len());
            sink.error(span, message, "too many", None);
            return MergedTargets::new();
        }
    }
    let merged = environments.iter().filter_map(|(name, environment)| {
        let merging = Merging { name: name.get_ref(), environment: environment.get_ref().as_table()?, targets };
        Some((name.get_ref().to_string(), merging.targets(sink)))
    });
    merged.collect()
}

/// One environment while its targets are merged.
struct Merging<'n, 'i> {
    name: &'n str,
    environment: &'n DeTable<'i>,
    targets: &'n DeTable<'i>,
}

impl<'n, 'i> Merging<'n, 'i> {
    fn targets(&self, sink: &mut Sink) -> BTreeMap<TargetName, TargetConfig> {
        let hosts: BTreeSet<&str> = self.keys("hosts").map(|key| key.get_ref().as_ref()).collect();
        for key in self.keys("hosts").chain(self.keys("targets")) {
            self.check_known(key, sink);
        }
        for key in self.keys("targets").filter(|key| !hosts.contains(key.get_ref().as_ref())) {
            self.warn_without_hosts(key, sink);
            self.target(key.get_ref(), sink);
        }
        let targets = hosts.into_iter().filter_map(|name| self.target(name, sink)).collect();
        self.check_what_is_kept(&targets, sink);
        warn_of_unreached(self.name, self.environment, &targets, sink);
        targets
    }

    /// A host that keeps the new release by itself must not lose the schema that this release needs.
    fn check_what_is_kept(&self, targets: &BTreeMap<TargetName, TargetConfig>, sink: &mut Sink) {
        let rollout = self.environment.get("rollout").and_then(|node| node.get_ref().as_table());
        let Some(policy) = rollout.and_then(|rollout| rollout.get("on_lost_coordinator")) else { return };
        let takes_back = |(_, target): &(&TargetName, &TargetConfig)| {
            let TargetConfig::Host(host) = target;
            host.run.migrate.as_ref().is_some_and(|migrate| migrate.down.is_some())
        };
        let Some((name, _)) = targets.iter().find(takes_back) else { return };
        if policy.get_ref().as_str() == Some("keep") {
            let key = format!("environments.{}.rollout.on_lost_coordinator", show(self.name));
            let why = format!("`{key}` keeps what `targets.{name}.host.run.migrate.down` takes the schema away from");
            let hint = "leave it at \"restore\", or make the migration `compatible` and without `down`";
            sink.error(policy.span(), why, "a release without its schema", Some(hint.to_owned()));
        }
    }

    /// The keys of one of the environment's tables.
    fn keys(&self, table: &str) -> impl Iterator<Item = &'n Spanned<DeString<'i>>> {
        self.environment
            .get(table)
            .and_then(|node| node.get_ref().as_table())
            .into_iter()
            .flat_map(|table| table.keys())
    }

    fn target(&self, name: &str, sink: &mut Sink) -> Option<(TargetName, TargetConfig)> {
        let mut node = self.targets.get(name)?.clone();
        if let Some(over) = self.environment.get("targets").and_then(|targets| targets.get_ref().get(name)) {
            merge(&mut node, over);
        }
        let decoded = sink.within("targets", |sink| sink.within(name, |sink| TargetTable::decode(&node, sink)));
        Some((TargetName::new(name).ok()?, decoded?))
    }

    fn check_known(&self, key: &Spanned<DeString<'_>>, sink: &mut Sink) {
        let name = key.get_ref();
        if self.targets.contains_key(name.as_ref()) {
            return;
        }
        let message = format!("`environments.{}` names the unknown target `{}`", show(self.name), show(name));
        let known: Vec<&str> = self.targets.keys().map(|key| key.get_ref().as_ref()).collect();
        let hint = if self.targets.is_empty() {
            format!("describe it under [targets.{}.host]", show(name))
        } else {
            suggest(name, &known)
        };
        sink.absent(key.span(), message, "unknown target", Some(hint));
    }

    fn warn_without_hosts(&self, key: &Spanned<DeString<'_>>, sink: &mut Sink) {
        let (environment, target) = (show(self.name), show(key.get_ref()));
        if !self.targets.contains_key(key.get_ref().as_ref()) {
            return;
        }
        let message = format!("`environments.{environment}.targets.{target}` has no effect");
        let hint = format!("name hosts in [environments.{environment}.hosts]: {target} = [\"localhost\"]");
        sink.warning(key.span(), message, "has no hosts here", Some(hint));
    }
}
