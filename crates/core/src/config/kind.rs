//! The kinds of values: each knows how to decode itself and how to describe itself.

use super::sink::{Fault, Sink};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use toml::Spanned;
use toml::de::DeValue;

/// A TOML value and its place in the text.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// The most elements of a list and the most keys of a map.
pub(super) const ITEM_COUNT_MAX: usize = 1_000;

/// A kind of value in `cutover.toml`: decoder and schema in one place, so that they cannot drift.
pub(super) trait Kind {
    /// What a sound value becomes.
    type Out;

    /// JSON Schema of the value.
    fn schema() -> Value;

    /// Decodes a value; None after a diagnostic went into the sink.
    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Self::Out>;
}

/// A kind of value that is written as a string.
pub(super) trait TextKind {
    /// What a sound text becomes.
    type Out;
    /// What it is, with its article: "a duration".
    const WHAT: &'static str;
    /// A sound text.
    const EXAMPLE: &'static str;

    /// Reads the text.
    fn parse(text: &str) -> Result<Self::Out, Fault>;

    /// What to do about a value that is no string.
    fn type_hint() -> String {
        format!("write it like {:?}", Self::EXAMPLE)
    }

    /// JSON Schema of the string.
    fn text_schema() -> Value {
        json!({ "type": "string", "examples": [Self::EXAMPLE] })
    }
}

impl<T: TextKind> Kind for T {
    type Out = T::Out;

    fn schema() -> Value {
        let mut schema = T::text_schema();
        schema["title"] = json!(T::WHAT);
        schema
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<T::Out> {
        let Some(text) = node.get_ref().as_str() else {
            wrong_type(node, T::WHAT, Some(T::type_hint()), sink);
            return None;
        };
        match T::parse(text) {
            Ok(out) => Some(out),
            Err(fault) => {
                sink.fault(node.span(), &format!("expected {}", T::WHAT), fault);
                None
            }
        }
    }
}

/// Adds the error that a value has the wrong type.
pub(super) fn wrong_type(node: &Node<'_>, expected: &str, hint: Option<String>, sink: &mut Sink) {
    let why = format!("must be {expected}, found {}", found(node.get_ref()));
    sink.fault(node.span(), &format!("expected {expected}"), Fault { why, hint });
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Kind for Switch {
    type Out = bool;

    fn schema() -> Value {
        json!({ "type": "boolean", "examples": [true] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<bool> {
        let decoded = node.get_ref().as_bool();
        if decoded.is_none() {
            wrong_type(node, "true or false", None, sink);
        }
        decoded
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Whole<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Kind for Whole<T, MIN, MAX> {
    type Out = T;

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX, "examples": [MAX] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<T> {
        let Some(integer) = node.get_ref().as_integer() else {
            wrong_type(node, &format!("a whole number from {MIN} to {MAX}"), None, sink);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let decoded = Self::within(number);
        decoded.map_err(|fault| sink.fault(node.span(), "out of range", fault)).ok()
    }
}

impl<T: TryFrom<u64>, const MIN: u64, const MAX: u64> Whole<T, MIN, MAX> {
    /// The number, if it is within the bounds.
    pub(super) fn within(number: Option<u64>) -> Result<T, Fault> {
        let sound = number.filter(|n| (MIN..=MAX).contains(n)).and_then(|n| T::try_from(n).ok());
        sound.ok_or_else(|| Fault::new(format!("must be from {MIN} to {MAX}")))
    }
}

/// A list of values of one kind.
pub(super) struct ListOf<K>(PhantomData<K>);

impl<K: Kind> Kind for ListOf<K> {
    type Out = Vec<K::Out>;

    fn schema() -> Value {
        json!({ "type": "array", "items": K::schema(), "maxItems": ITEM_COUNT_MAX })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Self::Out> {
        let Some(array) = node.get_ref().as_array() else {
            wrong_type(node, "a list", None, sink);
            return None;
        };
        bounded(array.len(), node, sink)?;
        let decode = |(index, item)| sink.within_index(index, |sink| K::decode(item, sink));
        // Collected first, so that every element is looked at even when one is wrong.
        let decoded: Vec<Option<K::Out>> = array.iter().enumerate().map(decode).collect();
        decoded.into_iter().collect()
    }
}

/// A table from names of one kind to values of another.
pub(super) struct MapOf<N, K>(PhantomData<(N, K)>);

impl<N: TextKind<Out: Ord>, K: Kind> Kind for MapOf<N, K> {
    type Out = BTreeMap<N::Out, K::Out>;

    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": K::schema(), "maxProperties": ITEM_COUNT_MAX,
            "propertyNames": N::text_schema() })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Self::Out> {
        let Some(table) = node.get_ref().as_table() else {
            wrong_type(node, "a table", None, sink);
            return None;
        };
        bounded(table.len(), node, sink)?;
        let decoded: Vec<_> = table.iter().map(|(key, item)| entry::<N, K>(key, item, sink)).collect();
        decoded.into_iter().collect()
    }
}

fn entry<N: TextKind, K: Kind>(
    key: &Spanned<impl AsRef<str>>,
    item: &Node<'_>,
    sink: &mut Sink,
) -> Option<(N::Out, K::Out)> {
    let text = key.get_ref().as_ref();
    sink.within(text, |sink| {
        let name = N::parse(text).map_err(|fault| sink.fault(key.span(), &format!("expected {}", N::WHAT), fault));
        let value = K::decode(item, sink);
        Some((name.ok()?, value?))
    })
}

fn bounded(count: usize, node: &Node<'_>, sink: &mut Sink) -> Option<()> {
    if count <= ITEM_COUNT_MAX {
        return Some(());
    }
    let why = format!("has {count} entries; the most is {ITEM_COUNT_MAX}");
    sink.fault(node.span(), "too many", Fault::new(why));
    None
}

/// One value, or a list of at least one without repetition.
pub(super) struct OneOrMore<K>(PhantomData<K>);

impl<K: TextKind<Out: Ord + Clone>> Kind for OneOrMore<K> {
    type Out = Vec<K::Out>;

    fn schema() -> Value {
        let mut list = ListOf::<K>::schema();
        list["minItems"] = json!(1);
        list["uniqueItems"] = json!(true);
        json!({ "anyOf": [list, K::schema()] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Self::Out> {
        if !node.get_ref().is_array() {
            return Some(vec![K::decode(node, sink)?]);
        }
        let list = ListOf::<K>::decode(node, sink)?;
        let unique: BTreeSet<_> = list.iter().cloned().collect();
        if list.is_empty() || unique.len() < list.len() {
            let why = if list.is_empty() { "must not be empty" } else { "names something twice" };
            sink.fault(node.span(), why, Fault::new(why));
            return None;
        }
        Some(list)
    }
}
