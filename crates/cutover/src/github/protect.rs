//! The ruleset of the branch that production is deployed from.

use super::account::Account;
use super::doctor::unreached;
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use cutover_core::config::Config;
use cutover_core::id::EnvironmentName;
use cutover_reporters::github::ruleset::{self, Ruleset, Wish};
use cutover_reporters::github::settings::{self, Looked, Rules};
use cutover_reporters::github::{Client, Fault};
use cutover_workflows::required_check;
use serde::Serialize;

/// What stands whenever this fails before anything is sent.
const STATE: &str = "nothing was changed at GitHub";
/// The environment that is production where nothing else says so.
const PRODUCTION: &str = "production";
/// The rules that any such branch has, and what they are for.
pub(super) const RULES: [(&str, &str); 3] = [
    ("pull_request", "changes by pull request alone"),
    ("non_fast_forward", "no force push"),
    ("deletion", "no deletion"),
];

/// What was found, and done.
#[derive(Debug, Serialize)]
pub(crate) struct Protected {
    pub(crate) branch: String,
    /// The ruleset's name.
    pub(crate) ruleset: String,
    /// What was otherwise, in words: `+ deletion`.
    pub(crate) differences: Vec<String>,
    /// Whether it was made so.
    pub(crate) is_changed: bool,
    /// Whether it was seen to be in force.
    pub(crate) is_in_force: bool,
    /// What others demand that contradicts it.
    pub(crate) contradictions: Vec<String>,
    /// What could not be looked at, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unseen: Vec<String>,
    /// What is not demanded, since nothing would report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// The environment that is production, and the branch that it is deployed from.
pub(super) fn protected(config: &Config) -> Option<(&EnvironmentName, &str)> {
    let released = config.release.as_ref().map(|release| release.environment.as_str());
    let name = released.unwrap_or(PRODUCTION);
    branch_of(config, name).or_else(|| {
        let mut all = config.environments.keys().filter_map(|name| branch_of(config, name.as_str()));
        all.next().filter(|_| all.next().is_none())
    })
}

fn branch_of<'c>(config: &'c Config, name: &str) -> Option<(&'c EnvironmentName, &'c str)> {
    let (name, environment) = config.environments.iter().find(|(known, _)| known.as_str() == name)?;
    Some((name, environment.branch.as_deref()?))
}

/// Makes the ruleset what it shall be, or only says what is otherwise.
pub(crate) fn protect(
    account: &Account,
    output: &Output,
    config: &Config,
    environment: Option<&str>,
    dry_run: bool,
) -> Result<Protected, CommandError> {
    let found = environment.map_or_else(|| protected(config), |name| branch_of(config, name));
    let (_, branch) = found.ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, "no branch is known to be the one that production is deployed from")
            .state(STATE)
            .hint("give the environment its `branch` in cutover.toml, and name it: `cutover github protect ENV`")
    })?;
    if branch.contains(['*', '?', '[', ']', '\\']) {
        let what = format!("GitHub would take the name of the branch {branch:?} for a pattern");
        return Err(CommandError::new(ErrorKind::Usage, what).state(STATE));
    }
    // Each branch has a ruleset of its own: one environment's does not take the protection from another's.
    let name = format!("cutover: {}, {branch}", config.name);
    let checks: Vec<&str> = required_check(config).into_iter().collect();
    let wish = Wish {
        name: &name,
        branch,
        checks: &checks,
        approval_count: config.protection.approvals,
        up_to_date: config.protection.up_to_date,
    };
    let client = account.client_for(output)?;
    set(&client, &wish, dry_run)
}

fn set(client: &Client, wish: &Wish<'_>, dry_run: bool) -> Result<Protected, CommandError> {
    let found = ruleset::find(client, wish).map_err(|fault| told(&fault).state(STATE))?;
    let differences = wish.differences(found.as_ref());
    let is_changed = !dry_run && !differences.is_empty();
    let now = if is_changed {
        Some(ruleset::set(client, wish, found.as_ref()).map_err(|fault| told(&fault).state(after(&fault)))?)
    } else {
        found
    };
    let rules = settings::rules(client, wish.branch).map_err(|fault| told(&fault))?;
    let older = settings::branch_checks(client, wish.branch).map_err(|fault| told(&fault))?;
    let is_set = is_changed || differences.is_empty();
    let is_in_force = is_set && verify(wish, now.as_ref(), &rules)?;
    let mut contradictions = match &rules {
        Looked::Seen(rules) => contradictions(client, wish, now.as_ref(), rules).map_err(|fault| told(&fault))?,
        Looked::Absent | Looked::Refused(_) => Vec::new(),
    };
    contradictions.extend(match &older {
        Looked::Seen(checks) => unknown(wish, checks.iter().map(String::as_str), "the branch's older protection"),
        Looked::Absent | Looked::Refused(_) => Vec::new(),
    });
    let of_rules = unseen(
        if is_set {
            "whether the ruleset is in force, and whether rules of others contradict it,"
        } else {
            "whether rules of others contradict the ruleset"
        },
        &rules,
    );
    let of_older = unseen(&format!("what the older protection of {} requires", wish.branch), &older);
    let note = wish.checks.is_empty().then(|| "cutover.toml has no checks, so none is required".to_owned());
    Ok(Protected {
        branch: wish.branch.to_owned(),
        ruleset: wish.name.to_owned(),
        differences,
        is_changed,
        is_in_force,
        contradictions,
        unseen: of_rules.into_iter().chain(of_older).collect(),
        note,
    })
}

/// What is not known, where it was not seen, and why.
fn unseen<T>(what: &str, looked: &Looked<T>) -> Option<String> {
    match looked {
        Looked::Seen(_) => None,
        Looked::Absent => {
            Some(format!("{what} is not known: it is not there, or this token may not even know of it (404)"))
        }
        Looked::Refused(why) => Some(format!("{what} is not known: {why}")),
    }
}

/// What was sent must be what is there, and in force; whether the latter was seen.
fn verify(wish: &Wish<'_>, now: Option<&Ruleset>, rules: &Looked<Rules>) -> Result<bool, CommandError> {
    let left = wish.differences(now);
    if !left.is_empty() {
        let what = format!("GitHub took the ruleset {:?}, and it is otherwise: {}", wish.name, left.join("; "));
        return Err(CommandError::new(ErrorKind::Failed, what).hint("look at it: Settings, Rules, Rulesets"));
    }
    let Looked::Seen(rules) = rules else { return Ok(false) };
    let ours = |kind: &str| rules.all.iter().any(|rule| rule.kind == kind && rule.ruleset == now.map(Ruleset::id));
    if RULES.iter().all(|(kind, _)| ours(kind)) {
        return Ok(true);
    }
    let what = format!("GitHub has the ruleset {:?}, and it is not in force for {}", wish.name, wish.branch);
    Err(CommandError::new(ErrorKind::Failed, what).hint("private repositories need a paid plan for rulesets"))
}

/// What rules of others demand that nothing reports, or that keeps everybody out.
fn contradictions(
    client: &Client,
    wish: &Wish<'_>,
    ours: Option<&Ruleset>,
    rules: &Rules,
) -> Result<Vec<String>, Fault> {
    let mut told = Vec::new();
    for rule in rules.all.iter().filter(|rule| rule.ruleset != ours.map(Ruleset::id)) {
        let is_lock = rule.kind == "update";
        if rule.checks.is_empty() && !is_lock {
            continue;
        }
        let name = rule.ruleset.map(|id| ruleset::name(client, id)).transpose()?.flatten();
        let place = name.map_or_else(|| "another ruleset".to_owned(), |name| format!("the ruleset {name:?}"));
        if is_lock {
            told.push(format!("{place} lets nobody change {} who may not bypass it", wish.branch));
        }
        told.extend(unknown(wish, rule.checks.iter().map(String::as_str), &place));
    }
    Ok(told)
}

/// Checks of Cutover's that are demanded by a name that they do not report: those would be waited for, for ever.
fn unknown<'c>(wish: &Wish<'_>, checks: impl Iterator<Item = &'c str>, place: &str) -> Vec<String> {
    let is_ours = |check: &str| check == "checks" || check == "checks / checks" || check.starts_with("cutover: ");
    let wrong = checks.filter(|check| is_ours(check) && !wish.checks.contains(check));
    wrong
        .map(|check| format!("{place} requires {check:?}, which the workflows do not report on every pull request"))
        .collect()
}

/// What stands after a change that GitHub did not answer well.
fn after(fault: &Fault) -> &'static str {
    match fault {
        Fault::Unheard { may_have_landed: true, .. } => "whether GitHub has changed it is not known: run it again",
        Fault::Unheard { .. }
        | Fault::Unknown { .. }
        | Fault::Refused { .. }
        | Fault::Rejected { .. }
        | Fault::Limited { .. }
        | Fault::Here { .. } => STATE,
    }
}

fn told(fault: &Fault) -> CommandError {
    let error = unreached(fault);
    if fault.to_string().contains("Upgrade to") {
        return error.hint("GitHub has rulesets for private repositories on paid plans only");
    }
    if !fault.is_refusal() {
        return error;
    }
    error.hint("it takes a token of somebody who administers the repository: a job's own may not")
}
