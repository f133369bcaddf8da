//! What a run's tool says of its rules.

use super::super::json::Items;
use cutover_core::check::{NAME_BYTES_MAX, Severity, excerpt};
use serde::Deserialize;
use std::collections::HashMap;

/// A level, as SARIF names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    None,
    Note,
    Warning,
    Error,
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Self::None => Severity::None,
            Self::Note => Severity::Low,
            Self::Warning => Severity::Medium,
            Self::Error => Severity::High,
        }
    }
}

/// A tool: its name, and its rules with those of its extensions.
#[derive(Default, Deserialize)]
pub(super) struct Tool {
    #[serde(default)]
    driver: Component,
    #[serde(default)]
    extensions: Items<Component>,
}

#[derive(Default, Deserialize)]
struct Component {
    #[serde(default)]
    name: String,
    #[serde(default)]
    rules: Items<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    id: String,
    default_configuration: Option<Configuration>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<Level>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "security-severity")]
    security_severity: Option<serde_json::Value>,
}

/// How a run was told to see a rule.
#[derive(Deserialize)]
pub(super) struct Override {
    descriptor: RuleRef,
    configuration: Configuration,
}

/// A rule, as a result or an override names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleRef {
    #[serde(default)]
    pub(super) id: String,
    pub(super) index: Option<i64>,
    pub(super) tool_component: Option<ComponentRef>,
}

/// One of a tool's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct ComponentRef {
    index: Option<i64>,
}

/// Where a rule stands: its component (0 is the driver), and its index there.
type At = (usize, usize);

/// The rules of a run.
pub(super) struct Rules {
    /// The tool's name.
    pub(super) tool: String,
    components: Vec<Vec<Rule>>,
    by_id: HashMap<String, At>,
    overrides: HashMap<At, Level>,
}

impl Rules {
    pub(super) fn of(tool: Tool, overrides: Vec<Override>) -> Self {
        let name = excerpt(&tool.driver.name, NAME_BYTES_MAX);
        let components: Vec<_> =
            std::iter::once(tool.driver).chain(tool.extensions.0).map(|component| component.rules.0).collect();
        let mut by_id = HashMap::new();
        for (component, rules) in components.iter().enumerate() {
            for (index, rule) in rules.iter().enumerate() {
                by_id.entry(rule.id.clone()).or_insert((component, index));
            }
        }
        let mut rules = Self { tool: name, components, by_id, overrides: HashMap::new() };
        for Override { descriptor, configuration } in overrides {
            if let (Some(at), Some(level)) = (rules.find(&descriptor), configuration.level) {
                rules.overrides.entry(at).or_insert(level);
            }
        }
        rules
    }

    /// The rule's name, also where a result has its index alone.
    pub(super) fn name<'a>(&'a self, wanted: &'a RuleRef) -> &'a str {
        if !wanted.id.is_empty() {
            return &wanted.id;
        }
        self.find(wanted).map_or("", |(component, index)| &self.components[component][index].id)
    }

    /// How bad a result of this rule with this level is.
    pub(super) fn severity(&self, wanted: &RuleRef, level: Option<Level>) -> Severity {
        let at = self.find(wanted);
        let rule = at.map(|(component, index)| &self.components[component][index]);
        if let Some(severity) = rule.and_then(Rule::score) {
            return severity;
        }
        let overridden = || at.and_then(|at| self.overrides.get(&at)).copied();
        let default = || rule?.default_configuration.as_ref()?.level;
        level.or_else(overridden).or_else(default).unwrap_or(Level::Warning).severity()
    }

    fn find(&self, wanted: &RuleRef) -> Option<At> {
        self.find_by_index(wanted).or_else(|| self.find_by_id(&wanted.id))
    }

    fn find_by_index(&self, wanted: &RuleRef) -> Option<At> {
        let component = match wanted.tool_component.and_then(|component| component.index) {
            Some(index) => usize::try_from(index).ok()?.checked_add(1)?,
            None => 0,
        };
        let index = usize::try_from(wanted.index?).ok()?;
        let rule = self.components.get(component)?.get(index)?;
        // An index that names another rule is a mistake; then the name counts.
        (wanted.id.is_empty() || within(&wanted.id, &rule.id)).then_some((component, index))
    }

    /// Ids are hierarchical: a result may name a part of a rule, as in `CA1000/1`.
    fn find_by_id(&self, id: &str) -> Option<At> {
        let above = id.rsplit_once('/').map(|(above, _)| above);
        [Some(id), above].into_iter().flatten().find_map(|id| self.by_id.get(id)).copied()
    }
}

fn within(id: &str, rule: &str) -> bool {
    id.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Rule {
    /// What the rule's score makes of it. What is no score from 0 to 10 is none.
    fn score(&self) -> Option<Severity> {
        let score = match self.properties.as_ref()?.security_severity.as_ref()? {
            serde_json::Value::String(score) => score.trim().parse().ok()?,
            serde_json::Value::Number(score) => score.as_f64()?,
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => return None,
        };
        match score {
            9.0..=10.0 => Some(Severity::Critical),
            7.0..9.0 => Some(Severity::High),
            4.0..7.0 => Some(Severity::Medium),
            score if score > 0.0 && score < 4.0 => Some(Severity::Low),
            0.0 => Some(Severity::None),
            _ => None,
        }
    }
}
