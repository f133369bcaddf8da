//! One run of a tool.

use super::super::json::{Each, Items};
use super::Reading;
use super::results::{ResultSeed, Results};
use super::rules::{Override, Rules, Tool};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

/// Reads a run into what was read of all.
pub(super) struct RunSeed<'a, 'b> {
    pub(super) all: &'a RefCell<&'b mut Reading>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
    #[serde(default)]
    rule_configuration_overrides: Items<Override>,
}

impl<'de> DeserializeSeed<'de> for RunSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RunSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a run")
    }

    /// The tool may come after its results, so they are judged at the run's end.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (mut tool, mut invocations, mut looked) = (Tool::default(), Items(Vec::<Invocation>::new()), false);
        let results = RefCell::new(Results::default());
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "tool" => tool = entries.next_value()?,
                "invocations" => invocations = entries.next_value()?,
                "results" => looked |= entries.next_value_seed(Listed(&results))?,
                _ => entries.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        let failed = invocations.0.iter().any(|invocation| invocation.execution_successful == Some(false));
        let overrides = invocations.0.into_iter().flat_map(|invocation| invocation.rule_configuration_overrides.0);
        let rules = Rules::of(tool, overrides.collect());
        let mut all = self.all.borrow_mut();
        all.findings.merge(results.into_inner().judged(&rules));
        all.findings.failed_run_count += u64::from(failed || !looked);
        all.looked_count += u64::from(looked);
        Ok(())
    }
}

/// Reads a list of results, or the `null` that stands for a run which did not look. Tells which it was.
struct Listed<'a>(&'a RefCell<Results>);

impl<'de> DeserializeSeed<'de> for Listed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<bool, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Listed<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of results")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<bool, A::Error> {
        Each(|| ResultSeed { results: self.0 }).visit_seq(items).map(|_| true)
    }
}
