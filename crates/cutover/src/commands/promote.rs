//! `cutover promote`.

use super::deploy::HowArgs;
use super::status;
use super::words;
use crate::context::Context;
use crate::deployments::{Place, Session};
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::{Artifact, ArtifactError};
use cutover_core::artifact::Digest;
use cutover_core::record::ReleaseState;
use cutover_reporters::one_line;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Bring to one environment what another one has verified, byte for byte
///
/// Asks FROM's hosts what is live there now: it must be one artifact on all of them, found good by a
/// deployment, and its service must run. That artifact is deployed to TO, as `deploy` would; nothing
/// is built or packed again. TO has its own variables, hosts and `required_checks`.
///
/// The artifact must be on this machine or in the store of `[artifact.store]`: `cutover build` packs the
/// same again from the same commit, or `cutover deploy TO --artifact FILE` takes what was exported elsewhere.
///
/// Examples:
///   cutover promote staging production
///   cutover promote staging production --dry-run           # show what would change, and stop
///   cutover promote staging production --reason "release 42"
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PromoteArgs {
    /// The environment that has verified it
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment to bring it to
    #[arg(value_name = "TO")]
    pub(super) to: String,
    #[command(flatten)]
    how: HowArgs,
}

impl PromoteArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        if self.from == self.to {
            let why = format!("{} is both where it comes from and where it goes", self.from);
            return Err(CommandError::new(ErrorKind::Usage, why).state("nothing was deployed"));
        }
        let session = Session::open(context, &self.to)?;
        let connections = session.connect()?;
        let live = verified(&self.from, &places(context, &self.from)?, &status::seen(context, &self.from)?)?;
        let artifact = self.stored(context, &live)?;
        self.how.bring(context, session, connections, &artifact)
    }

    fn stored(&self, context: &Context, live: &Live) -> Result<Artifact, CommandError> {
        match context.artifacts()?.get(&live.artifact.to_string()) {
            Err(ArtifactError::NotFound(_)) => {
                if let Some(artifact) = depot::lacking(context, &live.artifact.to_string())? {
                    return Ok(artifact);
                }
                let (id, commit) = (live.artifact.short(), words::commit(&live.commit, false));
                let message = format!(
                    "artifact {id} of commit {commit}, live in {}, is not {}",
                    self.from,
                    depot::here_or_there(context)?
                );
                Err(CommandError::new(ErrorKind::Failed, message).state("nothing was deployed").hint(format!(
                    "`cutover build --commit {}` packs it again, with the same id where the build is reproducible; \
                     `cutover deploy {} --artifact FILE` takes what was exported where it was built",
                    live.commit, self.to
                )))
            }
            found => Ok(found?),
        }
    }
}

/// What is live in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Live {
    artifact: Digest,
    commit: String,
}

/// What `status` tells of an environment on one host.
#[derive(Deserialize)]
struct SeenThere {
    host: Option<String>,
    error: Option<String>,
    #[serde(default)]
    targets: Vec<TargetThere>,
}

#[derive(Deserialize)]
struct TargetThere {
    name: String,
    release: Option<ReleaseThere>,
    service: Option<ServiceThere>,
    service_error: Option<String>,
    service_release: Option<String>,
    unfinished: Vec<Value>,
    /// What cannot be read: a journal, a lock, a link.
    #[serde(default)]
    faults: Vec<String>,
}

#[derive(Deserialize)]
struct ReleaseThere {
    id: String,
    state: Option<ReleaseState>,
    artifact: Option<Digest>,
    commit: Option<String>,
}

#[derive(Deserialize)]
struct ServiceThere {
    active: bool,
    description: String,
}

/// Where an environment is: its hosts, and the targets on each.
type Places = BTreeMap<String, BTreeSet<String>>;

fn places(context: &Context, environment: &str) -> Result<Places, CommandError> {
    let (name, config) = context.environment(environment)?;
    let place = |place: &Place<'_>| (place.host.to_owned(), place.targets.keys().map(ToString::to_string).collect());
    Ok(Place::all(name, config)?.iter().map(place).collect())
}

/// The one artifact that is live and good on all hosts of an environment, for all targets that are there.
fn verified(environment: &str, places: &Places, seen: &[Value]) -> Result<Live, CommandError> {
    let mut missing = places.clone();
    let mut found: BTreeMap<Digest, (Live, Vec<String>)> = BTreeMap::new();
    for there in seen {
        let there = SeenThere::deserialize(there).map_err(|error| {
            let message = format!("cannot read what the hosts of {environment} say");
            CommandError::new(ErrorKind::Failed, message).because(&error).state("nothing was deployed")
        })?;
        // A single host is not named.
        let host = there.host.or_else(|| missing.keys().next().cloned()).unwrap_or_default();
        if let Some(why) = &there.error {
            let message = format!("cannot see what is live in {environment} on {host}: {}", one_line(why));
            return Err(CommandError::new(ErrorKind::Unreachable, message).state("nothing was deployed"));
        }
        for target in &there.targets {
            let place = format!("{} on {host}", target.name);
            let live = target.verified().map_err(|why| unverified(environment, &place, &why))?;
            if let Some(targets) = missing.get_mut(&host) {
                targets.remove(&target.name);
            }
            found.entry(live.artifact).or_insert_with(|| (live, Vec::new())).1.push(place);
        }
    }
    if let Some((host, targets)) = missing.iter().find(|(_, targets)| !targets.is_empty()) {
        let targets = targets.iter().cloned().collect::<Vec<_>>().join(", ");
        return Err(unverified(environment, &format!("{targets} on {host}"), "the host says nothing of it"));
    }
    only_one(environment, &found.into_values().collect::<Vec<_>>())
}

fn only_one(environment: &str, found: &[(Live, Vec<String>)]) -> Result<Live, CommandError> {
    match found {
        [] => Err(unverified(environment, "it", "it has no targets")),
        [(live, _)] => Ok(live.clone()),
        [(one, here), (other, there), ..] => {
            let [one, other] =
                [one, other].map(|live| format!("{} of {}", live.artifact.short(), words::commit(&live.commit, false)));
            let why = format!("{} has {one} and {} has {other}", here.join(", "), there.join(", "));
            Err(unverified(environment, "not one artifact is live everywhere", &why))
        }
    }
}

fn unverified(environment: &str, what: &str, why: &str) -> CommandError {
    let message = format!("{environment} has verified nothing that could be promoted: {what}: {}", one_line(why));
    CommandError::new(ErrorKind::Failed, message)
        .state("nothing was deployed")
        .hint(format!("`cutover status {environment}` shows what is live there"))
}

impl TargetThere {
    /// What is live here, or why it does not count.
    fn verified(&self) -> Result<Live, String> {
        if let Some(fault) = self.faults.first() {
            return Err(fault.clone());
        }
        if !self.unfinished.is_empty() {
            return Err("a deployment is unfinished".to_owned());
        }
        let release = self.release.as_ref().ok_or("nothing is live")?;
        let ReleaseThere { id, state: Some(state), artifact: Some(artifact), commit } = release else {
            return Err(format!("release {} has no readable release.json", release.id));
        };
        if *state != ReleaseState::Good {
            return Err(format!("release {id} was not found good: it is {}", words::release_state(*state)));
        }
        if let Some(error) = &self.service_error {
            return Err(format!("its service cannot be seen: {error}"));
        }
        if let Some(other) = &self.service_release {
            return Err(format!("its service runs release {other}, and {id} is live"));
        }
        match &self.service {
            Some(service) if !service.active => Err(format!("its service does not run: {}", service.description)),
            Some(_) | None => Ok(Live { artifact: *artifact, commit: commit.clone().unwrap_or_default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A target that is sound, with this artifact live.
    fn target(name: &str, artifact: u8) -> Value {
        let artifact = format!("{artifact:02x}").repeat(32);
        let release = json!({ "id": "r1", "state": "good", "artifact": artifact, "commit": "c0ffee".repeat(6) });
        let service = json!({ "active": true, "description": "active (running)" });
        json!({ "name": name, "release": release, "service": service, "unfinished": [] })
    }

    /// What two hosts say, each of which has an `api`, and the first a `worker`.
    fn two(first: &[Value], second: &[Value]) -> Result<Live, String> {
        judged(&[json!({ "host": "a", "targets": first }), json!({ "host": "b", "targets": second })])
    }

    fn judged(seen: &[Value]) -> Result<Live, String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let places = Places::from([("a".to_owned(), names(&["api", "worker"])), ("b".to_owned(), names(&["api"]))]);
        verified("staging", &places, seen).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn one_artifact_that_is_good_everywhere_is_verified() {
        let live = two(&[target("api", 7), target("worker", 7)], &[target("api", 7)]).unwrap();
        assert_eq!(live.artifact.to_string(), "07".repeat(32));
    }

    #[test]
    fn whatever_is_not_whole_verifies_nothing_and_is_named() {
        let first = [target("api", 7), target("worker", 7)];
        let changed = |key: &str, value: Value| {
            let mut api = target("api", 7);
            api[key] = value;
            two(&first, &[api]).unwrap_err()
        };
        let release = |key: &str, value: Value| {
            let mut release = target("api", 7)["release"].clone();
            release[key] = value;
            changed("release", release)
        };
        let all = [
            changed("unfinished", json!([{}])),
            changed("faults", json!(["the journals cannot be read"])),
            changed("release", Value::Null),
            changed("service", json!({ "active": false, "description": "failed (exit-code)" })),
            changed("service_error", json!("no answer")),
            changed("service_release", json!("r0")),
            release("state", json!("bad")),
            release("artifact", Value::Null),
            two(&first, &[target("api", 8)]).unwrap_err(),
            two(&first, &[]).unwrap_err(),
            two(&first[..1], &[target("api", 7)]).unwrap_err(),
            judged(&[json!({ "host": "a", "targets": first })]).unwrap_err(),
            judged(&[json!({ "host": "a", "error": "unreachable" })]).unwrap_err(),
        ];
        let said = all.join("\n").replace("staging has verified nothing that could be promoted: ", "");
        insta::assert_snapshot!(said, @r"
        api on b: a deployment is unfinished
        api on b: the journals cannot be read
        api on b: nothing is live
        api on b: its service does not run: failed (exit-code)
        api on b: its service cannot be seen: no answer
        api on b: its service runs release r0, and r1 is live
        api on b: release r1 was not found good: it is bad
        api on b: release r1 has no readable release.json
        not one artifact is live everywhere: api on a, worker on a has 070707070707 of c0ffeec and api on b has 080808080808 of c0ffeec
        api on b: the host says nothing of it
        worker on a: the host says nothing of it
        api on b: the host says nothing of it
        cannot see what is live in staging on a: unreachable
        ");
    }

    #[test]
    fn a_host_that_does_not_say_whether_something_is_unfinished_is_not_believed() {
        let mut api = target("api", 7);
        api.as_object_mut().unwrap().remove("unfinished");
        let error = two(&[target("api", 7), target("worker", 7)], &[api]).unwrap_err();
        assert_eq!(error, "cannot read what the hosts of staging say");
    }
}
