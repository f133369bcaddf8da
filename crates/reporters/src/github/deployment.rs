//! Deployments as GitHub shows them: at the commit, at the pull request and in the list of environments.

use super::check_run::without_id;
use super::client::Client;
use super::fault::Fault;
use super::names::CommitId;
use super::status::described;
use super::wire::{Call, number, text};
use cutover_core::percent::encoded;
use serde_json::{Value, json};

/// How many of an environment's earlier deployments are made inactive at once; what is left is, after the next one.
const DEACTIVATED_COUNT_MAX: u32 = 10;
/// After how many that are inactive already nobody looks further.
const INACTIVE_COUNT_MAX: u32 = 20;
const WRITE: &str = "deployments: write";
const READ: &str = "deployments: read";

/// A deployment at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeploymentNumber(u64);

/// What is deployed, and where.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The commit.
    pub commit: &'a CommitId,
    /// The environment.
    pub environment: &'a str,
    /// The project: several may be in one repository, with environments of the same name.
    pub project: &'a str,
    /// Cutover's own id of the deployment.
    pub id: &'a str,
    /// What it is, in one line.
    pub description: &'a str,
}

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is on its way.
    InProgress,
    /// It is live.
    Success,
    /// It is not live; what was before is.
    Failure,
    /// A person is needed, or nobody knows.
    Error,
    /// Another one took its place.
    Inactive,
}

impl State {
    /// The state as GitHub writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Inactive => "inactive",
        }
    }
}

/// Makes a deployment, or finds the one that was made for this id: a deployment that is resumed has one already.
pub fn begin(client: &Client, wish: &Wish<'_>, is_resumed: bool) -> Result<DeploymentNumber, Fault> {
    let known = if is_resumed { find(client, wish)? } else { None };
    let made = match known {
        Some(known) => known,
        None => client.create(&post(client, wish), || find(client, wish))?,
    };
    number(&made, "id").map(DeploymentNumber).ok_or_else(|| without_id("make a deployment"))
}

/// GitHub merges nothing for it and waits for no checks: what is deployed was decided before.
fn post(client: &Client, wish: &Wish<'_>) -> Call {
    let body = json!({
        "ref": wish.commit.to_string(),
        "environment": wish.environment,
        "description": described(wish.description),
        "auto_merge": false,
        "required_contexts": [],
        "payload": { "cutover": { "project": wish.project, "deployment": wish.id } },
    });
    Call::post(client.path("deployments"), body, "make a deployment", WRITE)
}

fn find(client: &Client, wish: &Wish<'_>) -> Result<Option<Value>, Fault> {
    let path = format!("deployments?sha={}&environment={}&per_page=100", wish.commit, encoded(wish.environment));
    client.seek(Call::get(client.path(&path), "list deployments", READ), |page| {
        let is_it = |one: &&Value| ours(one, wish.project).is_some_and(|id| id == wish.id);
        page.as_array()?.iter().find(is_it).cloned()
    })
}

/// Cutover's id of a deployment that it made for this project. GitHub gives a payload back as an object or as its text.
fn ours(deployment: &Value, project: &str) -> Option<String> {
    let payload = deployment.get("payload")?;
    let parsed: Option<Value> = payload.as_str().and_then(|text| serde_json::from_str(text).ok());
    let own = parsed.as_ref().unwrap_or(payload).get("cutover")?;
    (text(own, "project")? == project).then(|| text(own, "deployment").map(str::to_owned))?
}

/// Writes how a deployment stands. The last status counts, so that one may be written twice.
pub fn tell(
    client: &Client,
    deployment: DeploymentNumber,
    state: State,
    description: &str,
    log_url: &str,
    environment_url: Option<&str>,
) -> Result<(), Fault> {
    // GitHub's own way of making others inactive leaves production out, and takes those of other projects with it.
    let mut body = json!({
        "state": state.as_str(),
        "log_url": log_url,
        "description": described(description),
        "auto_inactive": false,
    });
    if let Some(url) = environment_url {
        body["environment_url"] = url.into();
    }
    let path = client.path(&format!("deployments/{}/statuses", deployment.0));
    client.send(&Call::post(path, body, "write a deployment's status", WRITE).repeatable()).map(drop)
}

/// Makes the environment's earlier deployments of this project inactive, the newest first; says how many. One page of them is
/// looked at. One that is inactive already says little of those before it: GitHub may have had trouble when it was their turn.
pub fn deactivate_predecessors(
    client: &Client,
    wish: &Wish<'_>,
    deployment: DeploymentNumber,
    log_url: &str,
) -> Result<u32, Fault> {
    let path = format!("deployments?environment={}&per_page=100", encoded(wish.environment));
    let listed = client.send(&Call::get(client.path(&path), "list deployments", READ))?.body;
    let earlier = listed.as_array().into_iter().flatten().filter(|one| ours(one, wish.project).is_some());
    let earlier = earlier.filter_map(|one| number(one, "id")).filter(|id| *id < deployment.0);
    let (mut count, mut inactive_count) = (0, 0);
    for id in earlier.map(DeploymentNumber) {
        if count == DEACTIVATED_COUNT_MAX || inactive_count == INACTIVE_COUNT_MAX {
            break;
        }
        let path = client.path(&format!("deployments/{}/statuses?per_page=1", id.0));
        let statuses = client.send(&Call::get(path, "look at a deployment", READ))?.body;
        match statuses.get(0).and_then(|status| text(status, "state")) {
            Some("inactive") => inactive_count += 1,
            // What failed stays so: that is what happened.
            Some("failure" | "error") => {}
            Some(_) | None => {
                tell(client, id, State::Inactive, "another deployment took its place", log_url, None)?;
                count += 1;
            }
        }
    }
    Ok(count)
}
