//! The JSON Schema of `cutover.toml`, for editors, and the reference of its keys, for people.

use super::kind::Kind;
use super::tables::FileTable;
use serde_json::{Value, json};

/// The JSON Schema (draft 2020-12) of `cutover.toml`, made from the same declarations as the decoder.
///
/// It is wider than the decoder where a schema cannot say more: colliding paths, unknown targets.
pub fn json_schema() -> Value {
    let mut schema = FileTable::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("cutover.toml");
    schema
}

/// The reference of all keys as Markdown, made from the same declarations as the decoder.
pub fn reference() -> String {
    let mut text = String::new();
    write_table(&FileTable::schema(), "", &mut text);
    text
}

/// Writes a table's section, then those of the tables in it.
fn write_table(schema: &Value, path: &str, text: &mut String) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let title = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
    let description = schema["description"].as_str().unwrap_or_default();
    text.push_str(&format!("## {title}\n\n{description}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"));
    let required = |key: &str| schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
    for (key, nested) in properties {
        text.push_str(&row(key, nested, required(key)));
    }
    text.push('\n');
    for (key, nested) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        // An environment's overrides have the keys of the targets, told there.
        if path != "environments.NAME.targets" {
            write_nested(nested, &path, text);
        }
    }
}

/// Finds the tables in a value: itself, one of its forms, a map's values, a list's elements.
fn write_nested(schema: &Value, path: &str, text: &mut String) {
    write_table(schema, path, text);
    for form in schema["anyOf"].as_array().into_iter().flatten() {
        write_nested(form, path, text);
    }
    if schema["additionalProperties"].is_object() {
        write_nested(&schema["additionalProperties"], &format!("{path}.NAME"), text);
    }
    if schema["items"].is_object() {
        write_nested(&schema["items"], &format!("{path}[]"), text);
    }
}

fn row(key: &str, schema: &Value, required: bool) -> String {
    let default = match &schema["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null => String::new(),
        default => format!("`{default}`"),
    };
    let description = schema["description"].as_str().unwrap_or_default();
    format!("| `{key}` | {} | {default} | {description} |\n", form(schema))
}

/// What a value looks like, in a few words.
fn form(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        return forms.iter().map(form).collect::<Vec<_>>().join(", or ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("a list, each {}", form(&schema["items"])),
        Some("integer" | "number") => format!("{} to {}", schema["minimum"], schema["maximum"]),
        Some("boolean") => "true or false".to_owned(),
        Some(_) | None => "a table".to_owned(),
    }
}
