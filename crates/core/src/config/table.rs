//! Tables with fixed keys: declared once, decoded and described from the declaration.

use super::kind::{Kind, Node, wrong_type};
use super::sink::{Fault, Sink, show, suggest};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One key of a table, for the schema.
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) doc: String,
    pub(super) schema: Value,
    pub(super) required: bool,
    pub(super) default: Option<&'static str>,
}

/// Declares the kind of a table.
///
/// Each key has its doc, its kind, and is `required`, `optional` or has a `default` in TOML.
/// From this come the decoder, the valid keys and the schema. `one_of` names the keys of which
/// exactly one must be there, `check` sees the table whatever else is wrong with it, and `into`
/// makes the result from the fields; its None is for what `one_of` and `check` reported already.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $table:ident for $out:ty = $($ctor:ident)::+ {
            $($(#[doc = $field_doc:literal])+
            $field:ident $(as $key:literal)?: $kind:ty, $presence:ident $($default:literal)?;)+
        }
        $(one_of $one_of:expr,)?
        $(check $check:path,)?
        $(into $into:path,)?
    ) => {
        $(#[doc = $doc])+
        pub(super) struct $table;

        impl $table {
            /// The valid keys.
            const KEYS: &'static [&'static str] = &[$($crate::config::table::table!(@key $field $($key)?)),+];
        }

        impl $crate::config::kind::Kind for $table {
            type Out = $out;

            fn schema() -> serde_json::Value {
                let fields = vec![$($crate::config::table::Field {
                    key: $crate::config::table::table!(@key $field $($key)?),
                    doc: concat!($($field_doc, "\n"),+).to_owned(),
                    schema: <$kind as $crate::config::kind::Kind>::schema(),
                    required: stringify!($presence) == "required",
                    default: None$(.or(Some($default)))?,
                }),+];
                let one_of: &[&str] = &[];
                $(let one_of = [one_of, &$one_of].concat();)?
                $crate::config::table::schema(concat!($($doc, "\n"),+), fields, &one_of[..])
            }

            fn decode(
                node: &$crate::config::kind::Node<'_>,
                sink: &mut $crate::config::sink::Sink,
            ) -> Option<$out> {
                let reader = $crate::config::table::Reader::open(node, Self::KEYS, sink)?;
                $(reader.exactly_one(&$one_of, sink);)?
                $($check(&reader, sink);)?
                $(let $field = reader.$presence::<$kind>(
                    $crate::config::table::table!(@key $field $($key)?), $($default,)? sink);)+
                let decoded = $($ctor)::+ { $($field: $field?),+ };
                $crate::config::table::table!(@into decoded $(, $into)?)
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@into $decoded:ident) => { Some($decoded) };
    (@into $decoded:ident, $into:path) => { $into($decoded) };
}
pub(super) use table;

/// A table that is being decoded.
pub(super) struct Reader<'n, 'i> {
    table: &'n DeTable<'i>,
    span: std::ops::Range<usize>,
}

impl<'n, 'i> Reader<'n, 'i> {
    /// Takes a table and reports the keys that are not valid in it.
    pub(super) fn open(node: &'n Node<'i>, keys: &[&str], sink: &mut Sink) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            wrong_type(node, "a table", None, sink);
            return None;
        };
        for (key, _) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            unknown_key(key, keys, sink);
        }
        Some(Self { table, span: node.span() })
    }

    /// The value of a key, undecoded.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node<'i>> {
        self.table.get(key)
    }

    /// The place of a key.
    pub(super) fn key_span(&self, key: &str) -> Option<std::ops::Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Decodes a key that must be there.
    pub(super) fn required<K: Kind>(&self, key: &str, sink: &mut Sink) -> Option<K::Out> {
        let Some(node) = self.get(key) else {
            let message = format!("{} lacks the key `{key}`", sink.subject());
            sink.absent(self.span.clone(), message, &format!("`{key}` is missing"), missing_hint::<K>(key));
            return None;
        };
        sink.within(key, |sink| K::decode(node, sink))
    }

    /// Decodes a key that may be absent.
    pub(super) fn optional<K: Kind>(&self, key: &str, sink: &mut Sink) -> Option<Option<K::Out>> {
        let Some(node) = self.get(key) else { return Some(None) };
        sink.within(key, |sink| K::decode(node, sink)).map(Some)
    }

    /// Decodes a key, or its default where it is absent.
    pub(super) fn default<K: Kind>(&self, key: &str, default: &str, sink: &mut Sink) -> Option<K::Out> {
        if let Some(node) = self.get(key) {
            return sink.within(key, |sink| K::decode(node, sink));
        }
        // A default that would not parse is found by the test that decodes every one.
        let node = DeValue::parse(default).ok()?;
        sink.within(key, |sink| K::decode(&node, sink))
    }

    /// Reports when not exactly one of the keys is there.
    pub(super) fn exactly_one(&self, keys: &[&str], sink: &mut Sink) {
        let present: Vec<_> = keys.iter().filter_map(|key| self.key_span(key).map(|span| (key, span))).collect();
        let listed = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        match &present[..] {
            [_] => {}
            [] => {
                let one_of = if keys.len() == 1 { "" } else { "one of " };
                let message = format!("{} lacks {one_of}{listed}", sink.subject());
                sink.absent(self.span.clone(), message, "incomplete", None);
            }
            [(first, _), rest @ ..] => {
                for (key, span) in rest {
                    let why = format!("has both `{first}` and `{key}`");
                    sink.fault(
                        span.clone(),
                        "one too many",
                        Fault::hinted(why, format!("keep exactly one of {listed}")),
                    );
                }
            }
        }
    }
}

fn unknown_key(key: &Spanned<impl AsRef<str>>, keys: &[&str], sink: &mut Sink) {
    let text = key.get_ref().as_ref();
    let message = format!("unknown key `{}` in {}", show(text), sink.subject());
    sink.error(key.span(), message, "unknown key", Some(suggest(text, keys)));
}

/// An example, where the schema has one.
fn missing_hint<K: Kind>(key: &str) -> Option<String> {
    let schema = K::schema();
    let example = schema.get("examples")?.get(0)?;
    Some(format!("add {key} = {example}"))
}

/// The schema of a table.
pub(super) fn schema(doc: &str, fields: Vec<Field>, one_of: &[&str]) -> Value {
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    let properties: Map<_, _> = fields.into_iter().map(|field| (field.key.to_owned(), described(field))).collect();
    let mut schema = json!({
        "type": "object", "description": words(doc), "properties": properties, "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !one_of.is_empty() {
        schema["oneOf"] = one_of.iter().map(|key| json!({ "required": [key] })).collect();
    }
    schema
}

fn described(field: Field) -> Value {
    let mut schema = field.schema;
    schema["description"] = json!(words(&field.doc));
    if let Some(default) = field.default.and_then(|text| DeValue::parse(text).ok()) {
        schema["default"] = to_json(default.get_ref());
    }
    schema
}

/// A doc comment as one paragraph.
fn words(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A TOML value as JSON; what JSON has no word for becomes a string.
pub(super) fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| json!(integer.to_string()), |number| json!(number)),
        DeValue::Float(float) => float.as_str().parse::<f64>().map_or(Value::Null, |number| json!(number)),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::Datetime(datetime) => json!(datetime.to_string()),
        DeValue::Array(array) => array.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, item)| (key.get_ref().to_string(), to_json(item.get_ref())))
            .collect::<Map<_, _>>()
            .into(),
    }
}
