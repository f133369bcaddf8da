//! How a repository is set up, as far as a token may see it. Nothing is changed here.

use super::client::Client;
use super::fault::Fault;
use super::wire::{Call, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cutover_core::percent::encoded;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What came of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked<T> {
    /// It is this.
    Seen(T),
    /// There is no such thing, or the token may not even know of it.
    Absent,
    /// The token may not look, and what it would need; or GitHub's answer is none.
    Refused(String),
}

/// The repository itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// The branch that workflows of events without a branch come from.
    pub default_branch: String,
    /// Whether nothing in it can be changed any more.
    pub is_archived: bool,
}

/// Which actions may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All of them.
    All,
    /// Those of the repository and its owner.
    Local,
    /// Those that are named.
    Selected {
        /// Whether GitHub's own are among them.
        is_github: bool,
        /// Patterns of the others: `actions/*`.
        patterns: Vec<String>,
    },
    /// Something that this version does not know.
    Unknown,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentFacts {
    /// How many people or teams are asked; one of them must agree.
    pub reviewer_count: usize,
    /// Which branches may deploy there.
    pub branches: Branches,
}

/// Which branches may deploy to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branches {
    /// Any.
    Any,
    /// Those that are protected.
    Protected,
    /// Those whose names fit a pattern.
    Named,
}

/// The rules that are in force for a branch, whatever ruleset they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Each with its kind, the ruleset that it comes from, and the checks that it demands.
    pub all: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `pull_request`, `required_status_checks`, …
    pub kind: String,
    /// The number of its ruleset.
    pub ruleset: Option<u64>,
    /// The checks that it demands, by name.
    pub checks: Vec<String>,
}

impl Rules {
    /// Whether there is a rule of this kind.
    pub fn has(&self, kind: &str) -> bool {
        self.all.iter().any(|rule| rule.kind == kind)
    }

    /// Every check that is demanded.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.all.iter().flat_map(|rule| &rule.checks).map(String::as_str)
    }
}

/// The repository.
pub fn repository(client: &Client) -> Result<Looked<RepositoryFacts>, Fault> {
    // A path ends without a slash here.
    let path = client.path("").trim_end_matches('/').to_owned();
    look(client, path, "look at the repository", "metadata: read", |repository| {
        let default_branch = text(repository, "default_branch")?.to_owned();
        Some(RepositoryFacts { default_branch, is_archived: is_true(repository, "archived") })
    })
}

/// Which actions may run; None where none may.
pub fn actions(client: &Client) -> Result<Looked<Option<Allowed>>, Fault> {
    let (doing, permission) = ("look at the settings of Actions", "administration: read");
    let read = |found: &Value| {
        let allowed = match text(found, "allowed_actions") {
            Some("all") | None => Allowed::All,
            Some("local_only") => Allowed::Local,
            Some("selected") => Allowed::Selected { is_github: false, patterns: Vec::new() },
            Some(_) => Allowed::Unknown,
        };
        Some(is_true(found, "enabled").then_some(allowed))
    };
    let found = look(client, client.path("actions/permissions"), doing, permission, read)?;
    let Looked::Seen(Some(Allowed::Selected { .. })) = found else { return Ok(found) };
    look(client, client.path("actions/permissions/selected-actions"), doing, permission, |found| {
        let patterns = found.get("patterns_allowed").and_then(Value::as_array).into_iter().flatten();
        let patterns = patterns.filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Some(Allowed::Selected { is_github: is_true(found, "github_owned_allowed"), patterns }))
    })
}

/// Whether a job that says nothing of its rights may write.
pub fn jobs_may_write(client: &Client) -> Result<Looked<bool>, Fault> {
    let path = client.path("actions/permissions/workflow");
    look(client, path, "look at the rights of jobs", "administration: read", |found| {
        Some(text(found, "default_workflow_permissions")? == "write")
    })
}

/// An environment.
pub fn environment(client: &Client, name: &str) -> Result<Looked<EnvironmentFacts>, Fault> {
    let path = client.path(&format!("environments/{}", encoded(name)));
    look(client, path, "look at the environment", "actions: read", |found| {
        let rules = found.get("protection_rules").and_then(Value::as_array).into_iter().flatten();
        let reviewers = rules.filter(|rule| text(rule, "type") == Some("required_reviewers"));
        let count = |rule: &Value| rule.get("reviewers").and_then(Value::as_array).map_or(0, Vec::len);
        let branches = match found.get("deployment_branch_policy").filter(|policy| policy.is_object()) {
            None => Branches::Any,
            Some(policy) if is_true(policy, "protected_branches") => Branches::Protected,
            Some(_) => Branches::Named,
        };
        Some(EnvironmentFacts { reviewer_count: reviewers.map(count).sum(), branches })
    })
}

/// The patterns of the branches that may deploy to an environment.
pub fn branch_patterns(client: &Client, environment: &str) -> Result<Looked<BTreeSet<String>>, Fault> {
    let path = format!("environments/{}/deployment-branch-policies", encoded(environment));
    names(client, &path, "look at the environment's branches", "actions: read", "branch_policies")
}

/// The names of an environment's secrets; of the repository's own where none is named. Values cannot be read by anybody.
pub fn secrets(client: &Client, environment: Option<&str>) -> Result<Looked<BTreeSet<String>>, Fault> {
    match environment {
        Some(name) => {
            let path = format!("environments/{}/secrets", encoded(name));
            names(client, &path, "list the names of the environment's secrets", "environments: read", "secrets")
        }
        None => names(client, "actions/secrets", "list the names of secrets", "secrets: read", "secrets"),
    }
}

/// The names of secrets that the repository has from its organization.
pub fn organization_secrets(client: &Client) -> Result<Looked<BTreeSet<String>>, Fault> {
    let doing = "list the names of the organization's secrets";
    names(client, "actions/organization-secrets", doing, "secrets: read", "secrets")
}

/// The checks that the older kind of protection demands of a branch.
pub fn branch_checks(client: &Client, branch: &str) -> Result<Looked<Vec<String>>, Fault> {
    let path = client.path(&format!("branches/{}", encoded(branch)));
    look(client, path, "look at the branch", "contents: read", |found| {
        let checks = found.pointer("/protection/required_status_checks/contexts").and_then(Value::as_array);
        Some(checks.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    })
}

/// The rules in force for a branch.
pub fn rules(client: &Client, branch: &str) -> Result<Looked<Rules>, Fault> {
    let path = format!("rules/branches/{}?per_page=100", encoded(branch));
    let all = RefCell::new(Vec::new());
    let call = Call::get(client.path(&path), "look at the rules of the branch", "metadata: read");
    let listed = client.seek(call, |page| {
        all.borrow_mut().extend(page.as_array().into_iter().flatten().filter_map(rule));
        None::<()>
    });
    Ok(match refusal(listed)? {
        Looked::Seen(_) => Looked::Seen(Rules { all: all.into_inner() }),
        Looked::Absent => Looked::Absent,
        Looked::Refused(why) => Looked::Refused(why),
    })
}

fn rule(value: &Value) -> Option<Rule> {
    let checks = value.pointer("/parameters/required_status_checks").and_then(Value::as_array);
    let checks = checks.into_iter().flatten().filter_map(|check| text(check, "context")).map(str::to_owned).collect();
    let ruleset = value.get("ruleset_id").and_then(Value::as_u64);
    Some(Rule { kind: text(value, "type")?.to_owned(), ruleset, checks })
}

/// What a file holds on the default branch.
pub fn file(client: &Client, path: &str) -> Result<Looked<Vec<u8>>, Fault> {
    let parts: Vec<String> = path.split('/').map(encoded).collect();
    let path = client.path(&format!("contents/{}", parts.join("/")));
    look(client, path, "look at a file", "contents: read", |found| {
        let lines: String = text(found, "content")?.split_whitespace().collect();
        STANDARD.decode(lines).ok()
    })
}

/// The names in a list that GitHub counts.
fn names(
    client: &Client,
    path: &str,
    doing: &'static str,
    permission: &'static str,
    key: &str,
) -> Result<Looked<BTreeSet<String>>, Fault> {
    let all = RefCell::new(BTreeSet::new());
    let listed = client.seek(Call::get(client.path(&format!("{path}?per_page=100")), doing, permission), |page| {
        let items = page.get(key).and_then(Value::as_array).into_iter().flatten();
        all.borrow_mut().extend(items.filter_map(|item| text(item, "name")).map(str::to_owned));
        None::<()>
    });
    Ok(match refusal(listed)? {
        Looked::Seen(_) => Looked::Seen(all.into_inner()),
        Looked::Absent => Looked::Absent,
        Looked::Refused(why) => Looked::Refused(why),
    })
}

fn look<T>(
    client: &Client,
    path: String,
    doing: &'static str,
    permission: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Looked<T>, Fault> {
    match refusal(client.send(&Call::get(path, doing, permission)))? {
        Looked::Seen(answer) => Ok(read(&answer.body).map_or_else(
            || {
                let message = "its answer is not what its description says".to_owned();
                Looked::Refused(Fault::Rejected { doing, status: answer.status, message }.to_string())
            },
            Looked::Seen,
        )),
        Looked::Absent => Ok(Looked::Absent),
        Looked::Refused(why) => Ok(Looked::Refused(why)),
    }
}

/// What a token may not see is no fault, and neither is an odd answer: other things can be looked at still.
fn refusal<T>(result: Result<T, Fault>) -> Result<Looked<T>, Fault> {
    match result {
        Ok(seen) => Ok(Looked::Seen(seen)),
        Err(Fault::Refused { status: 404, .. }) => Ok(Looked::Absent),
        Err(fault @ (Fault::Refused { .. } | Fault::Rejected { .. })) => Ok(Looked::Refused(fault.to_string())),
        Err(fault) if fault.is_refusal() => Ok(Looked::Refused(fault.to_string())),
        Err(fault) => Err(fault),
    }
}

fn is_true(value: &Value, name: &str) -> bool {
    value.get(name) == Some(&Value::Bool(true))
}
