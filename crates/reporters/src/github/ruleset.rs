//! The ruleset of a branch: ours by its name, and no other is ever changed.

use super::check_run::without_id;
use super::client::Client;
use super::fault::Fault;
use super::wire::{Call, number, text};
use serde_json::{Value, json};

const WRITE: &str = "administration: write";
const READ: &str = "metadata: read";
/// The most differences that are told.
const DIFFERENCE_COUNT_MAX: usize = 50;

/// What a branch is to be protected by.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The ruleset's name, by which it is ours.
    pub name: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// The checks that a change must have passed, by the names that they report.
    pub checks: &'a [&'a str],
    /// How many people must approve a change.
    pub approval_count: u8,
    /// Whether a change must be judged with the newest of the branch.
    pub up_to_date: bool,
}

/// A ruleset of ours as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruleset {
    id: u64,
    value: Value,
}

impl Wish<'_> {
    /// The ruleset as GitHub takes it.
    fn value(&self) -> Value {
        let mut rules = vec![
            json!({ "type": "deletion" }),
            json!({ "type": "non_fast_forward" }),
            json!({ "type": "pull_request", "parameters": {
                "required_approving_review_count": self.approval_count,
                "dismiss_stale_reviews_on_push": self.approval_count > 0,
                "require_code_owner_review": false,
                "require_last_push_approval": false,
                "required_review_thread_resolution": false,
            } }),
        ];
        if !self.checks.is_empty() {
            let checks: Vec<Value> = self.checks.iter().map(|check| json!({ "context": check })).collect();
            rules.push(json!({ "type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": self.up_to_date,
                "do_not_enforce_on_create": true,
                "required_status_checks": checks,
            } }));
        }
        json!({
            "name": self.name,
            "target": "branch",
            "enforcement": "active",
            "conditions": { "ref_name": { "include": [format!("refs/heads/{}", self.branch)], "exclude": [] } },
            "rules": rules,
        })
    }

    /// What is otherwise in a ruleset, in words; everything where there is none. Branches that people added to it stay in it.
    pub fn differences(&self, found: Option<&Ruleset>) -> Vec<String> {
        let wanted = flat(&self.value());
        let is = found.map(|found| flat(&known(&found.value, &self.value()))).unwrap_or_default();
        let added = wanted.iter().filter(|line| !is.contains(line)).map(|line| format!("+ {line}"));
        let is_more = |line: &&String| !wanted.contains(line) && !line.starts_with("include: ");
        let removed = is.iter().filter(is_more).map(|line| format!("- {line}"));
        removed.chain(added).take(DIFFERENCE_COUNT_MAX).collect()
    }
}

/// Our ruleset, by its name, of the repository's own.
pub fn find(client: &Client, wish: &Wish<'_>) -> Result<Option<Ruleset>, Fault> {
    let call = Call::get(client.path("rulesets?includes_parents=false&per_page=100"), "list rulesets", READ);
    let id = client.seek(call, |page| {
        let is_ours = |one: &&Value| text(one, "name") == Some(wish.name);
        page.as_array()?.iter().find(is_ours).and_then(|one| number(one, "id"))
    })?;
    let Some(id) = id else { return Ok(None) };
    let path = client.path(&format!("rulesets/{id}"));
    let value = client.send(&Call::get(path, "look at a ruleset", READ))?.body;
    Ok(Some(Ruleset { id, value }))
}

/// The name of a ruleset by its number; None where GitHub does not say.
pub fn name(client: &Client, id: u64) -> Result<Option<String>, Fault> {
    let path = client.path(&format!("rulesets/{id}?includes_parents=true"));
    match client.send(&Call::get(path, "look at a ruleset", READ)) {
        Ok(answer) => Ok(text(&answer.body, "name").map(str::to_owned)),
        Err(fault) if fault.is_refusal() => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl Ruleset {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// Makes our ruleset, or makes it what it shall be. Whom people let bypass it may do so still, and branches that they added stay in
/// it.
pub fn set(client: &Client, wish: &Wish<'_>, found: Option<&Ruleset>) -> Result<Ruleset, Fault> {
    let mut body = wish.value();
    let value = match found {
        None => {
            let post = Call::post(client.path("rulesets"), body, "make a ruleset", WRITE);
            client.create(&post, || Ok(find(client, wish)?.map(|found| found.value)))?
        }
        Some(found) => {
            if let Some(actors) = found.value.get("bypass_actors") {
                body["bypass_actors"] = actors.clone();
            }
            add_includes(&mut body, &found.value);
            let path = client.path(&format!("rulesets/{}", found.id));
            client.send(&Call::put(path, body, "change our ruleset", WRITE))?.body
        }
    };
    let id = number(&value, "id").ok_or_else(|| without_id("make a ruleset"))?;
    Ok(Ruleset { id, value })
}

fn add_includes(body: &mut Value, found: &Value) {
    let include = "/conditions/ref_name/include";
    let there = found.pointer(include).and_then(Value::as_array);
    if let (Some(wanted), Some(there)) = (body.pointer_mut(include).and_then(Value::as_array_mut), there) {
        let more: Vec<Value> = there.iter().filter(|name| !wanted.contains(name)).cloned().collect();
        wanted.extend(more);
    }
}

/// As much of what is there as we say something of: GitHub adds parameters as time goes on.
fn known(found: &Value, wanted: &Value) -> Value {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let both = |(key, value): (&String, &Value)| Some((key.clone(), known(found.get(key)?, value)));
            wanted.iter().filter_map(both).collect::<serde_json::Map<_, _>>().into()
        }
        (Value::Array(found), Value::Array(wanted)) if wanted.iter().any(Value::is_object) => {
            let same =
                |one: &Value, other: &Value| ["type", "context"].iter().all(|key| one.get(key) == other.get(key));
            let like = |one: &Value| {
                wanted.iter().find(|other| same(one, other)).map_or(one.clone(), |other| known(one, other))
            };
            found.iter().map(like).collect::<Vec<_>>().into()
        }
        (found, _) => found.clone(),
    }
}

/// A ruleset in lines that can be compared, whatever their order.
fn flat(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let rules = value.get("rules").and_then(Value::as_array).into_iter().flatten();
    for name in ["target", "enforcement"] {
        lines.extend(text(value, name).map(|word| format!("{name}: {word}")));
    }
    for side in ["include", "exclude"] {
        let names = value.pointer(&format!("/conditions/ref_name/{side}")).and_then(Value::as_array);
        lines.extend(names.into_iter().flatten().map(|name| format!("{side}: {}", words(name))));
    }
    for rule in rules {
        let kind = text(rule, "type").unwrap_or("?");
        lines.push(kind.to_owned());
        let parameters = rule.get("parameters").and_then(Value::as_object).into_iter().flatten();
        for (key, value) in parameters {
            match value.as_array() {
                Some(all) => lines.extend(all.iter().map(|one| {
                    let context = text(one, "context").map_or_else(|| words(one), str::to_owned);
                    format!("{kind}: {context}")
                })),
                None => lines.push(format!("{kind}: {key} = {}", words(value))),
            }
        }
    }
    lines
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
