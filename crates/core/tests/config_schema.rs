//! The schema and the decoder say the same, key by key.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use cutover_core::config::{Config, Severity, json_schema, reference};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SAMPLE: &str = include_str!("data/host.toml");
const EVERYTHING: &str = include_str!("data/everything.toml");

/// A key that is valid nowhere and like no valid one.
const NONSENSE: &str = "zzzzzzzz";

/// Why a value is not valid under a schema; knows the words that our schema uses and refuses others.
fn fault(schema: &Value, value: &Value) -> Option<String> {
    let rules = schema.as_object().expect("a schema is an object");
    rules.iter().find_map(|(rule, says)| {
        let broken = match rule.as_str() {
            "$schema" | "title" | "description" | "default" | "examples" | "pattern" | "propertyNames" => None,
            "type" => (!is_type(value, says.as_str().unwrap())).then(|| format!("is no {says}")),
            "enum" => (!says.as_array().unwrap().contains(value)).then(|| "is none of the words".to_owned()),
            "minimum" => value.as_f64().and_then(|n| (n < says.as_f64().unwrap()).then(|| "is too small".to_owned())),
            "maximum" => value.as_f64().and_then(|n| (n > says.as_f64().unwrap()).then(|| "is too large".to_owned())),
            "minItems" => count(value).filter(|n| *n < says.as_u64().unwrap()).map(|_| "has too few".to_owned()),
            "maxItems" | "maxProperties" => {
                count(value).filter(|n| *n > says.as_u64().unwrap()).map(|_| "has too many".to_owned())
            }
            "uniqueItems" => value.as_array().and_then(|list| {
                let unique: BTreeSet<_> = list.iter().map(Value::to_string).collect();
                (unique.len() < list.len()).then(|| "is not unique".to_owned())
            }),
            "items" => value.as_array().into_iter().flatten().find_map(|item| fault(says, item)),
            "required" => says
                .as_array()
                .unwrap()
                .iter()
                .find_map(|key| value.get(key.as_str().unwrap()).is_none().then(|| format!("lacks {key}"))),
            "properties" => says.as_object().unwrap().iter().find_map(|(key, says)| fault(says, value.get(key)?)),
            "additionalProperties" => additional(rules, value).find_map(|(key, value)| match says {
                Value::Bool(false) => Some(format!("has the unknown key {key}")),
                says => fault(says, value),
            }),
            "anyOf" => {
                let faults: Vec<_> = says.as_array().unwrap().iter().map(|says| fault(says, value)).collect();
                faults.iter().all(Option::is_some).then(|| format!("{faults:?}"))
            }
            "oneOf" => {
                let valid = says.as_array().unwrap().iter().filter(|says| fault(says, value).is_none()).count();
                (valid != 1).then(|| format!("{valid} forms fit"))
            }
            unknown => panic!("the test does not know the rule {unknown}"),
        };
        broken.map(|broken| format!("{broken}: {value}"))
    })
}

fn count(value: &Value) -> Option<u64> {
    let count = value.as_array().map(Vec::len).or(value.as_object().map(Map::len));
    count.map(|count| count as u64)
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("the test does not know the type {unknown}"),
    }
}

fn additional<'v>(rules: &'v Map<String, Value>, value: &'v Value) -> impl Iterator<Item = (&'v String, &'v Value)> {
    let known = rules.get("properties").and_then(Value::as_object);
    value.as_object().into_iter().flatten().filter(move |(key, _)| known.is_none_or(|known| !known.contains_key(*key)))
}

/// TOML as JSON, through the same parser as the decoder's but nothing else of it.
fn to_json(text: &str) -> Value {
    value_to_json(&DeValue::Table(DeTable::parse(text).unwrap().into_inner()))
}

fn value_to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).map_or(json!("too large"), Value::from),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::Array(list) => list.iter().map(|item| value_to_json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entry = |(key, item): (&Spanned<_>, &Spanned<_>)| (key_text(key), value_to_json(item.get_ref()));
            Value::Object(table.iter().map(entry).collect())
        }
        DeValue::Float(float) => float.as_str().parse().map_or(Value::Null, |number: f64| json!(number)),
        DeValue::Datetime(_) => Value::Null,
    }
}

fn key_text(key: &Spanned<std::borrow::Cow<'_, str>>) -> String {
    key.get_ref().to_string()
}

/// JSON as TOML, in one line.
fn to_toml(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(to_toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let entries: Vec<_> = table.iter().map(|(key, item)| format!("{key:?} = {}", to_toml(item))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn file(value: &Value) -> String {
    let entries = value.as_object().unwrap().iter();
    entries.map(|(key, item)| format!("{key:?} = {}\n", to_toml(item))).collect()
}

/// Values that together show every key and every form of a schema.
fn examples(schema: &Value) -> Vec<Value> {
    if let Some(forms) = schema["anyOf"].as_array() {
        return forms.iter().flat_map(examples).collect();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    match schema["type"].as_str().unwrap() {
        "array" => examples(&schema["items"]).into_iter().map(|item| json!([item])).collect(),
        "object" => tables(schema),
        "string" | "integer" | "number" | "boolean" => schema["examples"].as_array().unwrap().clone(),
        unknown => panic!("the test does not know the type {unknown}"),
    }
}

/// For each value of each key a table that has only it and what must be there.
fn tables(schema: &Value) -> Vec<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        let name = schema["propertyNames"]["examples"][0].as_str().unwrap_or("app");
        let values = examples(&schema["additionalProperties"]).into_iter();
        return values.map(|value| json!({ name: value })).collect();
    };
    let mut tables = Vec::new();
    for (key, nested) in properties {
        for value in examples(nested) {
            let mut table = needed(schema, key);
            table.insert(key.clone(), value);
            tables.push(Value::Object(table));
        }
    }
    tables
}

/// What must be in a table beside a key.
fn needed(schema: &Value, beside: &str) -> Map<String, Value> {
    let mut keys: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let forms: Vec<&str> =
        schema["oneOf"].as_array().into_iter().flatten().filter_map(|form| form["required"][0].as_str()).collect();
    if !forms.contains(&beside) {
        keys.extend(forms.first());
    }
    keys.retain(|key| *key != beside);
    keys.into_iter().map(|key| (key.to_owned(), examples(&schema["properties"][key])[0].clone())).collect()
}

/// Changes a generated file so that what no schema can say fits too: its targets, a service for its probes, what checks
/// need and what they are judged by, the environments that workflows name.
fn completed(mut file: Value) -> Value {
    if let Some(checks) = file.get_mut("checks").and_then(Value::as_object_mut) {
        let check = checks.remove("tests").unwrap();
        checks.insert("judged".to_owned(), check);
        checks.insert("tests".to_owned(), json!({ "run": "true" }));
        let judged = &mut checks["judged"];
        if judged.get("reports").is_none() {
            judged["reports"] = json!({ "junit": "j.xml", "coverage": "c.xml", "sarif": "s.sarif" });
        }
    }
    if let Some(workflows) = file.get_mut("workflows").and_then(Value::as_object_mut) {
        if workflows.contains_key("url") || workflows.contains_key("sha256") {
            workflows.entry("url").or_insert_with(|| json!("https://example.org/cutover"));
            workflows.entry("sha256").or_insert_with(|| json!("0".repeat(64)));
        }
        if workflows.contains_key("after") {
            workflows["after"] = json!({ "production": "staging" });
        }
        let environment = json!({ "branch": "main", "hosts": { "app": "web.example.org" } });
        let staging = json!({ "branch": "main", "hosts": { "app": "staging.example.org" } });
        file["environments"] = json!({ "production": environment, "staging": staging });
    }
    if file.get("release").is_some() {
        file["environments"] = json!({ "production": { "hosts": { "app": "web.example.org" } } });
    }
    if file.get("environments").is_some() {
        file["targets"] = json!({ "app": { "host": {
            "deploy_to": "/opt/app", "service": { "unit": "app.service" } } } });
        file["checks"] = json!({ "tests": { "run": "true" } });
    }
    let targets = file.get_mut("targets").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, target) in targets {
        if target["host"].get("verify").is_some() && target["host"].get("service").is_none() {
            target["host"]["service"] = json!({ "unit": "app.service" });
        }
    }
    file
}

/// Whether an override alone gives a table that lacks what must be there; only the decoder can know.
fn lacks_something(file: &str) -> bool {
    let found = Config::parse(file).unwrap_err();
    let mut errors = found.iter().filter(|found| found.severity == Severity::Error);
    file.contains("environments") && errors.all(|found| found.message.contains(" lacks "))
}

#[test]
fn every_key_and_form_of_the_schema_is_accepted_by_the_decoder() {
    let files = examples(&json_schema());
    assert!(files.len() > 150, "only {} files generated", files.len());
    for value in files {
        let text = file(&completed(value));
        assert_eq!(fault(&json_schema(), &to_json(&text)), None, "{text}");
        let found = Config::check(&text);
        assert!(found.config.is_some() || lacks_something(&text), "{text}\n{:#?}", found.diagnostics);
    }
}

/// Every table of a value, as a path of keys and indexes, with its schema.
fn tables_with_schema<'s>(schema: &'s Value, value: &Value, path: &str, found: &mut Vec<(String, &'s Value)>) {
    for form in schema["anyOf"].as_array().into_iter().flatten().filter(|form| fault(form, value).is_none()) {
        tables_with_schema(form, value, path, found);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            tables_with_schema(&schema["items"], item, &format!("{path}/{index}"), found);
        }
    }
    let Some(table) = value.as_object() else { return };
    if schema["properties"].is_object() {
        found.push((path.to_owned(), schema));
    }
    for (key, item) in table {
        let nested = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
        if nested.is_object() {
            tables_with_schema(nested, item, &format!("{path}/{}", key.replace('/', "~1")), found);
        }
    }
}

#[test]
fn every_key_of_the_decoder_is_in_the_schema() {
    let schema = json_schema();
    let mut seen = 0;
    for text in [SAMPLE, EVERYTHING] {
        let whole = to_json(text);
        let mut tables = Vec::new();
        tables_with_schema(&schema, &whole, "", &mut tables);
        for (path, schema) in tables {
            let mut wrong = whole.clone();
            wrong.pointer_mut(&path).unwrap()[NONSENSE] = json!(1);
            let found = Config::parse(&file(&wrong)).expect_err(&path);
            let hint = found.iter().find(|found| found.message.contains(NONSENSE)).expect(&path).hint.clone().unwrap();
            let decoder: BTreeSet<&str> = hint.strip_prefix("valid here: ").unwrap().split(", ").collect();
            let keys: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(decoder, keys, "{path}");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} tables seen");
}

#[test]
fn the_schema_accepts_what_the_decoder_accepts_and_refuses_plain_mistakes() {
    for text in [SAMPLE, EVERYTHING] {
        assert_eq!(fault(&json_schema(), &to_json(text)), None);
    }
    let wrong = [
        "",
        "name = 1",
        "name = \"x\"\nnmae = 1",
        "name = \"x\"\n[targets.a.host]",
        "name = \"x\"\n[targets.a]",
        "name = \"x\"\n[targets.a.host]\ndeploy_to = \"/x\"\nkeep_releases = 1",
        "name = \"x\"\n[targets.a.host]\ndeploy_to = \"/x\"\nservice = { unit = \"a.service\", process = { command = \"x\" } }",
    ];
    for text in wrong {
        assert!(fault(&json_schema(), &to_json(text)).is_some(), "{text}");
        assert!(Config::parse(text).is_err(), "{text}");
    }
}

#[test]
fn every_key_has_a_description_and_the_reference_tells_it() {
    fn walk(schema: &Value, reference: &str) {
        for (key, nested) in schema["properties"].as_object().into_iter().flatten() {
            let description = nested["description"].as_str().unwrap_or_default();
            assert!(description.len() > 5, "{key} has no description");
            assert!(reference.contains(&format!("| `{key}` |")), "{key} is not in the reference");
            walk(nested, reference);
        }
        let forms = schema["anyOf"].as_array().into_iter().flatten();
        for form in forms.chain([&schema["items"], &schema["additionalProperties"]]).filter(|form| form.is_object()) {
            walk(form, reference);
        }
    }
    walk(&json_schema(), &reference());
}

#[test]
fn the_reference_reads_as_documentation() {
    insta::assert_snapshot!(reference());
}

proptest! {
    #![proptest_config(cutover_testkit::at_least(2_000))]

    #[test]
    fn a_text_with_a_line_changed_is_refused_by_the_decoder_where_the_schema_refuses_it(
        text in prop::sample::select(&[SAMPLE, EVERYTHING][..]),
        line in any::<prop::sample::Index>(),
        change in prop::sample::select(&["", "name = 1", "[ssh]", "port = 0", "unit = \"x.service\"", "timeout = 5", "host = {}"][..]),
    ) {
        let mut lines: Vec<&str> = text.lines().collect();
        let at = line.index(lines.len());
        lines[at] = change;
        let changed = lines.join("\n");
        if Config::parse(&changed).is_ok() {
            prop_assert_eq!(fault(&json_schema(), &to_json(&changed)), None, "{}", changed);
        }
    }
}
