//! How the repository is set up: Actions, environments, names of secrets, files, rulesets.

use super::http::{Received, Reply};
use super::objects::{API, WEB, WHEN, repository};
use super::routes::{Page, decoded, found, has_id, invalid, not_found, permitted, text};
use super::state::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the fake knows of settings.
pub(super) struct Settings {
    /// `enabled`, `allowed_actions`.
    pub(super) actions: Value,
    /// What `selected` means.
    pub(super) selected: Value,
    /// Whether a job that says nothing may write.
    pub(super) jobs_may_write: bool,
    /// Environments by name: how many are asked, and the patterns of their branches.
    pub(super) environments: BTreeMap<String, (usize, Option<Vec<String>>)>,
    /// Secrets by environment; empty: the repository's own.
    pub(super) secrets: Vec<(String, String)>,
    /// Files of the default branch.
    pub(super) files: BTreeMap<String, String>,
    pub(super) rulesets: Vec<Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            actions: json!({ "enabled": true, "allowed_actions": "all" }),
            selected: json!({ "github_owned_allowed": true, "verified_allowed": false, "patterns_allowed": [] }),
            jobs_may_write: false,
            environments: BTreeMap::new(),
            secrets: Vec::new(),
            files: BTreeMap::new(),
            rulesets: Vec::new(),
        }
    }
}

/// The repository itself.
pub(super) fn whole(state: &State) -> Reply {
    let owner = state.repository.split('/').next().unwrap_or_default();
    let mut whole = repository(owner);
    for name in ["network_count", "subscribers_count", "id"] {
        whole[name] = 1.into();
    }
    whole["has_discussions"] = false.into();
    Reply::ok(200, whole)
}

/// Answers what concerns settings; None where something else is asked.
pub(super) fn answer(state: &mut State, request: &Received, parts: &[&str], page: &Page) -> Option<Reply> {
    let get = request.method == "GET";
    let settings = &state.settings;
    Some(match parts {
        ["actions", "permissions"] if get => {
            permitted(state, "administration", |state| Reply::ok(200, state.settings.actions.clone()))
        }
        ["actions", "permissions", "selected-actions"] if get => {
            permitted(state, "administration", |state| Reply::ok(200, state.settings.selected.clone()))
        }
        ["actions", "permissions", "workflow"] if get => permitted(state, "administration", |state| {
            let level = if state.settings.jobs_may_write { "write" } else { "read" };
            let told = json!({ "default_workflow_permissions": level, "can_approve_pull_request_reviews": false });
            Reply::ok(200, told)
        }),
        ["environments", name] if get => environment(settings, &decoded(name)),
        ["environments", name, "deployment-branch-policies"] if get => patterns(settings, &decoded(name)),
        ["environments", name, "secrets"] if get => {
            let name = decoded(name);
            permitted(state, "environments", |state| secrets(&state.settings, &name, page))
        }
        ["actions", "secrets"] if get => permitted(state, "secrets", |state| secrets(&state.settings, "", page)),
        ["actions", "organization-secrets"] if get => {
            permitted(state, "secrets", |state| secrets(&state.settings, "(organization)", page))
        }
        ["branches", name] if get => branch(&decoded(name)),
        ["rules", "branches", name] if get => page.list(rules(settings, &decoded(name))),
        ["contents", ..] if get => file(settings, &decoded(&parts[1..].join("/"))),
        ["rulesets", ..] => rulesets(state, request, parts, page)?,
        _ => return None,
    })
}

fn environment(settings: &Settings, name: &str) -> Reply {
    let Some((count, patterns)) = settings.environments.get(name) else { return not_found() };
    let reviewer = |at: usize| json!({ "type": "User", "reviewer": super::objects::user(&format!("reviewer-{at}")) });
    let asked: Vec<Value> = (0..*count).map(reviewer).collect();
    let rule = json!({ "id": 1, "node_id": "GA_1", "type": "required_reviewers", "prevent_self_review": false, "reviewers": asked });
    let policy = patterns.as_ref().map(|_| json!({ "protected_branches": false, "custom_branch_policies": true }));
    Reply::ok(
        200,
        json!({
            "id": 1, "node_id": "EN_1", "name": name, "url": format!("{API}/environments/{name}"),
            "html_url": format!("{WEB}/deployments/activity_log"), "created_at": WHEN, "updated_at": WHEN,
            "protection_rules": if *count > 0 { vec![rule] } else { Vec::new() }, "deployment_branch_policy": policy,
        }),
    )
}

fn patterns(settings: &Settings, name: &str) -> Reply {
    let Some((_, Some(patterns))) = settings.environments.get(name) else { return not_found() };
    let all: Vec<Value> =
        patterns.iter().map(|name| json!({ "id": 1, "node_id": "BP_1", "name": name, "type": "branch" })).collect();
    Reply::ok(200, json!({ "total_count": all.len(), "branch_policies": all }))
}

fn secrets(settings: &Settings, environment: &str, page: &Page) -> Reply {
    let of = settings.secrets.iter().filter(|(of, _)| of == environment);
    // GitHub keeps them in capitals.
    let all: Vec<Value> =
        of.map(|(_, name)| json!({ "name": name.to_uppercase(), "created_at": WHEN, "updated_at": WHEN })).collect();
    let count = all.len();
    let mut reply = page.list(all);
    reply.body = json!({ "total_count": count, "secrets": reply.body });
    reply
}

fn branch(name: &str) -> Reply {
    let sha = "b".repeat(40);
    let url = format!("{API}/commits/{sha}");
    let who = json!({ "name": "Ada", "email": "ada@example.org", "date": WHEN });
    let commit = json!({
        "sha": sha, "node_id": "C_1", "url": url, "html_url": url, "comments_url": url, "author": null, "committer": null,
        "parents": [], "commit": {
            "url": url, "author": who, "committer": who, "message": "m", "comment_count": 0, "tree": { "sha": sha, "url": url },
        },
    });
    Reply::ok(
        200,
        json!({
            "name": name, "commit": commit, "protected": false, "protection": { "enabled": false },
            "protection_url": format!("{API}/branches/{name}/protection"),
            "_links": { "html": format!("{WEB}/tree/{name}"), "self": format!("{API}/branches/{name}") },
        }),
    )
}

fn rules(settings: &Settings, branch: &str) -> Vec<Value> {
    let applies = |ruleset: &&Value| {
        let named = |name: &Value| {
            let name = name.as_str().unwrap_or_default();
            name == format!("refs/heads/{branch}") || name == "~ALL" || name == "~DEFAULT_BRANCH" && branch == "main"
        };
        let include = ruleset.pointer("/conditions/ref_name/include").and_then(Value::as_array);
        ruleset["enforcement"] == "active" && include.is_some_and(|names| names.iter().any(named))
    };
    let of = |ruleset: &Value| {
        let all = ruleset["rules"].as_array().cloned().unwrap_or_default();
        let with = |mut rule: Value| {
            rule["ruleset_source_type"] = "Repository".into();
            rule["ruleset_source"] = "shop/app".into();
            rule["ruleset_id"] = ruleset["id"].clone();
            rule
        };
        all.into_iter().map(with).collect::<Vec<_>>()
    };
    settings.rulesets.iter().filter(applies).flat_map(of).collect()
}

fn file(settings: &Settings, path: &str) -> Reply {
    let Some(content) = settings.files.get(path) else { return not_found() };
    let url = format!("{API}/contents/{path}");
    // As GitHub writes it: lines of sixty.
    let encoded =
        STANDARD.encode(content).as_bytes().chunks(60).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    let name = path.rsplit('/').next();
    Reply::ok(
        200,
        json!({
            "type": "file", "encoding": "base64", "size": content.len(), "name": name, "path": path, "content": encoded,
            "sha": "d".repeat(40), "url": url, "git_url": url, "html_url": url, "download_url": url,
            "_links": { "git": url, "html": url, "self": url },
        }),
    )
}

fn rulesets(state: &mut State, request: &Received, parts: &[&str], page: &Page) -> Option<Reply> {
    let asked = &request.body;
    Some(match (request.method.as_str(), parts) {
        ("GET", ["rulesets"]) => {
            let short = |ruleset: &Value| {
                let mut short = ruleset.clone();
                short.as_object_mut().into_iter().for_each(|short| {
                    short.remove("rules");
                    short.remove("conditions");
                });
                short
            };
            page.list(state.settings.rulesets.iter().map(short).collect())
        }
        ("GET", ["rulesets", id]) => found(state.settings.rulesets.iter().find(|one| has_id(one, id)).cloned()),
        ("POST", ["rulesets"]) => permitted(state, "administration", |state| match wrong(asked) {
            Some(wrong) => invalid(wrong),
            None => Reply::ok(201, state.add_ruleset(asked)),
        }),
        ("PUT", ["rulesets", id]) => permitted(state, "administration", |state| {
            if let Some(wrong) = wrong(asked) {
                return invalid(wrong);
            }
            let Some(one) = state.settings.rulesets.iter_mut().find(|one| has_id(one, id)) else { return not_found() };
            for (key, value) in asked.as_object().into_iter().flatten() {
                one[key] = value.clone();
            }
            Reply::ok(200, one.clone())
        }),
        _ => return None,
    })
}

fn wrong(asked: &Value) -> Option<&'static str> {
    let enforcement = text(asked, "enforcement");
    if text(asked, "name").is_empty() || !["disabled", "active", "evaluate"].contains(&enforcement) {
        return Some("name and enforcement are needed");
    }
    let rules = asked.get("rules").and_then(Value::as_array).into_iter().flatten();
    let is_wrong = |rule: &Value| match text(rule, "type") {
        "required_status_checks" => {
            let checks = rule.pointer("/parameters/required_status_checks").and_then(Value::as_array);
            checks.is_none_or(Vec::is_empty)
        }
        "" => true,
        _ => false,
    };
    rules.into_iter().any(is_wrong).then_some("a rule is not sound")
}

impl State {
    /// A new ruleset, with a parameter that whoever asked did not know of.
    pub(super) fn add_ruleset(&mut self, asked: &Value) -> Value {
        let mut made = asked.clone();
        let id = self.next_id();
        made["id"] = id.into();
        made["source"] = "shop/app".into();
        made["source_type"] = "Repository".into();
        made["node_id"] = format!("RRS_{id}").into();
        for rule in made["rules"].as_array_mut().into_iter().flatten().filter(|rule| rule["type"] == "pull_request") {
            rule["parameters"]["allowed_merge_methods"] = json!(["merge", "squash", "rebase"]);
        }
        if made.get("bypass_actors").is_none() {
            made["bypass_actors"] = json!([]);
        }
        self.settings.rulesets.push(made.clone());
        made
    }
}
