//! What is missing at GitHub for what the config and the workflows need. Nothing is changed.

use super::account::Account;
use super::protect::{self, RULES};
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use cutover_core::config::{Config, EnvironmentConfig};
use cutover_core::id::EnvironmentName;
use cutover_reporters::github::settings::{self, Allowed, Branches, EnvironmentFacts, Looked};
use cutover_reporters::github::{Client, Fault};
use cutover_targets::doctor::Finding;
use cutover_workflows::{File, needed_repository_secrets, needed_secrets, required_check};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a pull request's workflow runs with, as a pattern of GitHub's for what may deploy.
const PULLS: &str = "refs/pull/*/merge";

/// What was found in one place.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    /// The environment; None for what is the same for all.
    pub(crate) environment: Option<EnvironmentName>,
    pub(crate) findings: Vec<Finding>,
}

/// Secrets that all environments have: the repository's and its organization's. None where they could not be seen.
struct Shared {
    repository: Option<BTreeSet<String>>,
    organization: Option<BTreeSet<String>>,
}

/// Looks at everything, as far as the token may. `files` are the workflows as they shall be.
pub(crate) fn examine(
    account: &Account,
    output: &Output,
    config: &Config,
    files: &[File],
) -> Result<Vec<Place>, CommandError> {
    let client = account.client_for(output)?;
    look(&client, config, files).map_err(|fault| unreached(&fault))
}

fn look(client: &Client, config: &Config, files: &[File]) -> Result<Vec<Place>, Fault> {
    let mut findings = Vec::new();
    let default_branch = repository(client, &mut findings)?;
    actions(client, files, &mut findings)?;
    workflows(client, files, &mut findings)?;
    rules(client, config, &mut findings)?;
    let mut places = vec![Place { environment: None, findings }];
    let mut findings = Vec::new();
    let shared = Shared {
        repository: shared(settings::secrets(client, None)?, &mut findings),
        organization: shared(settings::organization_secrets(client)?, &mut Vec::new()),
    };
    repository_secrets(config, &shared, &mut findings);
    places[0].findings.extend(findings);
    for (name, environment) in config.environments.iter().filter(|(_, environment)| !environment.targets.is_empty()) {
        let mut findings = Vec::new();
        let asks = config.workflows.approval.contains(name);
        let has_pulls = config.workflows.pull_requests.as_ref() == Some(name);
        let branch = environment.branch.as_deref();
        let wanted = branch.into_iter().chain(default_branch.as_deref()).chain(has_pulls.then_some(PULLS)).collect();
        let deploying = Deploying { name, wanted, has_pulls };
        environment_itself(client, environment, asks, &deploying, &mut findings)?;
        secrets(client, name, environment, &shared, &mut findings)?;
        places.push(Place { environment: Some(name.clone()), findings });
    }
    Ok(places)
}

/// What a fault of GitHub's is for a command.
pub(super) fn unreached(fault: &Fault) -> CommandError {
    let (kind, what) = match fault {
        Fault::Limited { .. } | Fault::Unheard { .. } => (ErrorKind::Unreachable, "GitHub is not reached"),
        Fault::Unknown { .. } => (ErrorKind::Failed, "the token is none"),
        Fault::Refused { .. } => (ErrorKind::Failed, "the token may not do that"),
        Fault::Rejected { .. } => (ErrorKind::Failed, "GitHub does not take that"),
        Fault::Here { .. } => (ErrorKind::Failed, "this machine failed"),
    };
    let error = CommandError::new(kind, what).because(fault);
    match fault {
        Fault::Unheard { .. } => error.hint(
            "see that this machine has a network, and that its proxy (HTTPS_PROXY) lets it out; \
             GITHUB_API_URL says where GitHub is when it is not github.com",
        ),
        Fault::Unknown { .. } => error.hint("GITHUB_TOKEN has expired or is another server's: make a new one"),
        Fault::Limited { .. } | Fault::Refused { .. } | Fault::Rejected { .. } | Fault::Here { .. } => error,
    }
}

fn unseen(area: &str, why: impl std::fmt::Display) -> Finding {
    Finding::warning(area, format!("could not be looked at: {why}"), "give the token that right, or look yourself")
}

fn repository(client: &Client, findings: &mut Vec<Finding>) -> Result<Option<String>, Fault> {
    let (finding, branch) = match settings::repository(client)? {
        Looked::Seen(facts) if facts.is_archived => (
            Finding::failed("repository", "is archived: nothing runs in it", "unarchive it"),
            Some(facts.default_branch),
        ),
        Looked::Seen(facts) => (Finding::fine("repository", "is there"), Some(facts.default_branch)),
        Looked::Absent => {
            (unseen("repository", "GitHub says that there is none, or that the token may not see it"), None)
        }
        Looked::Refused(why) => (unseen("repository", why), None),
    };
    findings.push(finding);
    Ok(branch)
}

fn actions(client: &Client, files: &[File], findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let area = "actions";
    findings.push(match settings::actions(client)? {
        Looked::Seen(None) => Finding::failed(area, "are switched off", "Settings, Actions, General: allow actions"),
        Looked::Seen(Some(Allowed::All)) => Finding::fine(area, "all may run"),
        Looked::Seen(Some(Allowed::Local)) => not_allowed(&used(files)),
        Looked::Seen(Some(Allowed::Selected { is_github, patterns })) => {
            let is_allowed = |action: &&str| {
                is_github && (action.starts_with("actions/") || action.starts_with("github/"))
                    || patterns.iter().any(|pattern| fits(pattern, action))
            };
            let missing: BTreeSet<&str> = used(files).into_iter().filter(|action| !is_allowed(action)).collect();
            if missing.is_empty() { Finding::fine(area, "those that are used may run") } else { not_allowed(&missing) }
        }
        Looked::Seen(Some(Allowed::Unknown)) => {
            unseen(area, "GitHub says something of them that this version does not know")
        }
        Looked::Absent => unseen(area, "that needs the permission `administration: read`"),
        Looked::Refused(why) => unseen(area, why),
    });
    match settings::jobs_may_write(client)? {
        Looked::Seen(true) => findings.push(Finding::warning(
            area,
            "a job that says nothing of its rights may write; Cutover's all say what they may, others may not",
            "Settings, Actions, General, Workflow permissions: read repository contents",
        )),
        Looked::Seen(false) => {
            findings.push(Finding::fine(area, "a job that says nothing of its rights may only read"))
        }
        // It is the same right, and was told already.
        Looked::Absent | Looked::Refused(_) => {}
    }
    Ok(())
}

fn not_allowed(actions: &BTreeSet<&str>) -> Finding {
    let all = actions.iter().copied().collect::<Vec<_>>().join(", ");
    let fix = "Settings, Actions, General: allow actions created by GitHub";
    Finding::failed("actions", format!("may not run, and the workflows use them: {all}"), fix)
}

/// The actions of others that the workflows use.
fn used(files: &[File]) -> BTreeSet<&str> {
    let lines = files.iter().flat_map(|file| file.text.lines());
    let used = lines.filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "));
    used.filter_map(|action| action.split_once('@')).map(|(name, _)| name).collect()
}

/// Whether a pattern of GitHub's names an action: `owner/name@ref`, with `*` for anything.
fn fits(pattern: &str, action: &str) -> bool {
    let (name, reference) = pattern.split_once('@').unwrap_or((pattern, "*"));
    let is_name = name.strip_suffix('*').map_or(name == action, |beginning| action.starts_with(beginning));
    // Which commits a pattern may name, is not looked at: only one that names all is sure to name ours.
    is_name && reference == "*"
}

fn workflows(client: &Client, files: &[File], findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let area = "workflows";
    let fix = "`cutover workflows`, commit, push to the default branch";
    let before = findings.len();
    for file in files {
        match settings::file(client, &file.path)? {
            Looked::Seen(content) if content == file.text.as_bytes() => {}
            Looked::Seen(_) => {
                let what = format!("{} is on the default branch, and is not what cutover.toml here says", file.path);
                findings.push(Finding::warning(area, what, fix));
            }
            Looked::Absent => {
                findings.push(Finding::failed(area, format!("{} is not on the default branch", file.path), fix));
            }
            Looked::Refused(why) => {
                findings.push(unseen(area, why));
                return Ok(());
            }
        }
    }
    if findings.len() == before {
        let count = files.len();
        findings.push(Finding::fine(area, format!("{count} files on the default branch are what cutover.toml says")));
    }
    Ok(())
}

fn rules(client: &Client, config: &Config, findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let Some((name, branch)) = protect::protected(config) else { return Ok(()) };
    let area = "branch";
    let fix = format!("`cutover github protect {name}`");
    match settings::rules(client, branch)? {
        Looked::Seen(rules) => {
            let missing: Vec<&str> = RULES.iter().filter(|(kind, _)| !rules.has(kind)).map(|(_, what)| *what).collect();
            let older = match settings::branch_checks(client, branch)? {
                Looked::Seen(checks) => checks,
                Looked::Absent => {
                    let what = format!("there is no branch {branch}, which {name} is deployed from");
                    findings.push(Finding::failed(area, what, "push it"));
                    return Ok(());
                }
                Looked::Refused(_) => Vec::new(),
            };
            let lacks = required_check(config).filter(|wanted| {
                !rules.checks().any(|check| check == *wanted) && !older.iter().any(|check| check == wanted)
            });
            let check = lacks.map(|check| format!("the check {check:?}"));
            let all: Vec<&str> = missing.into_iter().chain(check.as_deref()).collect();
            findings.push(if all.is_empty() {
                Finding::fine(area, format!("{branch} is protected"))
            } else {
                let what = format!("{branch}, which {name} is deployed from, is not protected by: {}", all.join(", "));
                Finding::warning(area, what, fix)
            });
        }
        Looked::Absent => findings.push(unseen(area, format!("GitHub knows no rules of {branch}"))),
        Looked::Refused(why) => findings.push(unseen(area, why)),
    }
    Ok(())
}

fn environment_itself(
    client: &Client,
    environment: &EnvironmentConfig,
    asks: bool,
    deploying: &Deploying<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    let (area, name) = ("settings", deploying.name);
    let facts = match settings::environment(client, name.as_str())? {
        Looked::Seen(facts) => facts,
        Looked::Absent => {
            let fix = format!("Settings, Environments, New environment: {name}");
            let what = "is not there at GitHub, or the token may not see it";
            let is_needed = asks || !needed_secrets(environment).is_empty();
            findings.push(if is_needed { Finding::failed(area, what, fix) } else { Finding::warning(area, what, fix) });
            return Ok(());
        }
        Looked::Refused(why) => {
            findings.push(unseen(area, why));
            return Ok(());
        }
    };
    findings.push(match (asks, facts.reviewer_count) {
        (true, 0) => Finding::failed(
            area,
            "cutover.toml wants an approval, and GitHub asks nobody",
            format!("Settings, Environments, {name}: required reviewers"),
        ),
        (true, count) => Finding::fine(area, format!("{count} people or teams are asked")),
        (false, _) => Finding::fine(area, "is there"),
    });
    findings.push(branches(client, &facts, deploying)?);
    Ok(())
}

/// What may deploy to an environment, and what should.
struct Deploying<'a> {
    name: &'a EnvironmentName,
    wanted: BTreeSet<&'a str>,
    /// Whether pull requests are deployed there.
    has_pulls: bool,
}

fn branches(client: &Client, facts: &EnvironmentFacts, deploying: &Deploying<'_>) -> Result<Finding, Fault> {
    let area = "branches";
    let Deploying { name, wanted, has_pulls } = deploying;
    let all = wanted.iter().copied().collect::<Vec<_>>().join(", ");
    let fix = format!("Settings, Environments, {name}, Deployment branches: {all}");
    Ok(match (facts.branches, has_pulls) {
        (Branches::Any, true) => Finding::fine(area, "pull requests may deploy here, and so may any branch"),
        (Branches::Any, false) => {
            let what = "whoever can push any branch can have a workflow there that has the environment's secrets";
            Finding::warning(area, what, fix)
        }
        (Branches::Protected, true) => {
            Finding::failed(area, "only protected branches may deploy here, and pull requests are none", fix)
        }
        // docs.github.com, "Managing environments for deployment", Deployment branches and tags.
        (Branches::Protected, false) => {
            let what = "branches with the older kind of protection may deploy here; rulesets do not count, and where no branch \
                        has any, all may";
            Finding::warning(area, what, fix)
        }
        (Branches::Named, _) => match settings::branch_patterns(client, name.as_str())? {
            Looked::Seen(patterns) => {
                let is_let = |branch: &&str| patterns.iter().any(|pattern| lets(pattern, branch));
                let missing: Vec<&str> = wanted.iter().filter(|branch| !is_let(branch)).copied().collect();
                if missing.is_empty() {
                    Finding::fine(area, "those that deploy may")
                } else {
                    Finding::failed(area, format!("may not deploy here: {}", missing.join(", ")), fix)
                }
            }
            Looked::Absent => unseen(area, "GitHub does not say which"),
            Looked::Refused(why) => unseen(area, why),
        },
    })
}

/// Whether a pattern of GitHub's may let a branch in, or [`PULLS`].
fn lets(pattern: &str, branch: &str) -> bool {
    let is_beginning = pattern.split_once('*').is_some_and(|(beginning, _)| branch.starts_with(beginning));
    // What a pull request runs with is no branch: a pattern must name it.
    pattern == branch || is_beginning && (branch != PULLS || pattern.starts_with("refs/pull/"))
}

fn shared(looked: Looked<BTreeSet<String>>, findings: &mut Vec<Finding>) -> Option<BTreeSet<String>> {
    match looked {
        Looked::Seen(names) => Some(names),
        Looked::Absent => None,
        Looked::Refused(why) => {
            findings.push(unseen("secrets", why));
            None
        }
    }
}

impl Shared {
    /// Whether a secret of this name is seen there.
    fn has(&self, wanted: &str) -> bool {
        self.repository.iter().chain(&self.organization).any(|names| has(names, wanted))
    }
}

/// GitHub keeps names in capitals.
fn has(names: &BTreeSet<String>, wanted: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
}

fn repository_secrets(config: &Config, shared: &Shared, findings: &mut Vec<Finding>) {
    let area = "secrets";
    for wanted in needed_repository_secrets(config) {
        let fix = format!("Settings, Secrets and variables, Actions, New repository secret: {wanted}");
        findings.push(if shared.has(wanted) {
            Finding::fine(area, format!("{wanted} is there"))
        } else if shared.repository.is_some() {
            Finding::failed(area, format!("{wanted} is missing"), fix)
        } else {
            Finding::warning(area, format!("whether {wanted} is there could not be seen"), fix)
        });
    }
}

fn secrets(
    client: &Client,
    name: &EnvironmentName,
    environment: &EnvironmentConfig,
    shared: &Shared,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    let area = "secrets";
    let needed = needed_secrets(environment);
    if needed.is_empty() {
        return Ok(());
    }
    let (own, is_seen) = match settings::secrets(client, Some(name.as_str()))? {
        Looked::Seen(names) => (names, true),
        Looked::Absent => (BTreeSet::new(), true),
        Looked::Refused(why) => {
            findings.push(unseen(area, why));
            (BTreeSet::new(), false)
        }
    };
    for wanted in &needed {
        let fix = format!("Settings, Environments, {name}, Add environment secret: {wanted}");
        let beside = shared.has(wanted);
        findings.push(if has(&own, wanted) {
            Finding::fine(area, format!("{wanted} is there"))
        } else if beside {
            let what =
                format!("{wanted} is a secret of the repository or its organization: workflows of any branch have it");
            Finding::warning(area, what, fix)
        } else if is_seen && shared.repository.is_some() {
            Finding::failed(area, format!("{wanted} is missing"), fix)
        } else {
            Finding::warning(area, format!("whether {wanted} is there could not be seen"), fix)
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_actions_names_what_begins_with_it_at_any_commit() {
        for pattern in ["actions/*", "actions/checkout", "actions/checkout@*", "*"] {
            assert!(fits(pattern, "actions/checkout"), "{pattern}");
        }
        for pattern in ["actions/cache", "actions/checkout@v4", "other/*", ""] {
            assert!(!fits(pattern, "actions/checkout"), "{pattern}");
        }
    }
}
