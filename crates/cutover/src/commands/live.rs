//! What an environment has verified: the one artifact that is live and good everywhere in it.

use super::words;
use crate::context::Context;
use crate::deployments::Place;
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Digest;
use cutover_core::record::ReleaseState;
use cutover_reporters::one_line;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody wants with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// To complete "has verified nothing that could be …".
    pub(super) done: &'static str,
    /// What stands when there is nothing.
    pub(super) state: &'static str,
}

/// What is live in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) artifact: Digest,
    pub(super) commit: String,
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
pub(super) type Places = BTreeMap<String, BTreeSet<String>>;

pub(super) fn places(context: &Context, environment: &str) -> Result<Places, CommandError> {
    let (name, config) = context.environment(environment)?;
    let place = |place: &Place<'_>| (place.host.to_owned(), place.targets.keys().map(ToString::to_string).collect());
    Ok(Place::all(name, config)?.iter().map(place).collect())
}

/// The one artifact that is live and good on all hosts of an environment, for all targets that are there.
pub(super) fn verified(
    environment: &str,
    places: &Places,
    seen: &[Value],
    purpose: Purpose,
) -> Result<Live, CommandError> {
    let unverified = |what: &str, why: &str| unverified(environment, what, why, purpose);
    let mut missing = places.clone();
    let mut found: BTreeMap<Digest, (Live, Vec<String>)> = BTreeMap::new();
    for there in seen {
        let there = SeenThere::deserialize(there).map_err(|error| {
            let message = format!("cannot read what the hosts of {environment} say");
            CommandError::new(ErrorKind::Failed, message).because(&error).state(purpose.state)
        })?;
        // A single host is not named.
        let host = there.host.or_else(|| missing.keys().next().cloned()).unwrap_or_default();
        if let Some(why) = &there.error {
            let message = format!("cannot see what is live in {environment} on {host}: {}", one_line(why));
            return Err(CommandError::new(ErrorKind::Unreachable, message).state(purpose.state));
        }
        for target in &there.targets {
            let place = format!("{} on {host}", target.name);
            let live = target.verified().map_err(|why| unverified(&place, &why))?;
            if let Some(targets) = missing.get_mut(&host) {
                targets.remove(&target.name);
            }
            found.entry(live.artifact).or_insert_with(|| (live, Vec::new())).1.push(place);
        }
    }
    if let Some((host, targets)) = missing.iter().find(|(_, targets)| !targets.is_empty()) {
        let targets = targets.iter().cloned().collect::<Vec<_>>().join(", ");
        return Err(unverified(&format!("{targets} on {host}"), "the host says nothing of it"));
    }
    only_one(&found.into_values().collect::<Vec<_>>()).map_err(|(what, why)| unverified(&what, &why))
}

/// As much of what the hosts say as [`verified`] needs, for a record that anybody may read: no paths, no people, no reasons.
pub(super) fn summary(environment: &str, seen: &[Value]) -> Value {
    let all: Vec<Value> = seen.iter().map(|there| summary_there(environment, there)).collect();
    json!({ "v": 1, "environments": all })
}

fn summary_there(environment: &str, there: &Value) -> Value {
    let failed = |host: Option<String>, why: &str| json!({ "name": environment, "host": host, "error": why });
    let Ok(there) = SeenThere::deserialize(there) else { return failed(None, "what it says cannot be read") };
    if there.error.is_some() {
        return failed(there.host, "it could not be asked");
    }
    let target = |target: &TargetThere| match (target.verified(), &target.release) {
        (Ok(Live { artifact, commit }), Some(ReleaseThere { id, state, .. })) => {
            let release = json!({ "id": id, "state": state, "artifact": artifact, "commit": commit });
            json!({ "name": target.name, "release": release, "unfinished": [] })
        }
        (Ok(_) | Err(_), _) => {
            json!({ "name": target.name, "unfinished": [], "faults": ["it was not whole when it was looked at"] })
        }
    };
    json!({ "name": environment, "host": there.host, "targets": there.targets.iter().map(target).collect::<Vec<_>>() })
}

fn only_one(found: &[(Live, Vec<String>)]) -> Result<Live, (String, String)> {
    match found {
        [] => Err(("it".to_owned(), "it has no targets".to_owned())),
        [(live, _)] => Ok(live.clone()),
        [(one, here), (other, there), ..] => {
            let [one, other] =
                [one, other].map(|live| format!("{} of {}", live.artifact.short(), words::commit(&live.commit, false)));
            let why = format!("{} has {one} and {} has {other}", here.join(", "), there.join(", "));
            Err(("not one artifact is live everywhere".to_owned(), why))
        }
    }
}

fn unverified(environment: &str, what: &str, why: &str, purpose: Purpose) -> CommandError {
    let done = purpose.done;
    let message = format!("{environment} has verified nothing that could be {done}: {what}: {}", one_line(why));
    CommandError::new(ErrorKind::Failed, message)
        .state(purpose.state)
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
        let purpose = Purpose { done: "promoted", state: "nothing was deployed" };
        verified("staging", &places, seen, purpose).map_err(|error| error.message().to_owned())
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

    #[test]
    fn a_record_for_others_says_as_much_as_is_needed_and_nothing_else() {
        let mut sound = target("api", 7);
        sound["deploy_to"] = json!("/opt/secret-place");
        sound["lock"] = json!({ "by": "ada", "reason": "payday" });
        sound["service"]["description"] = json!("of ada");
        let mut broken = target("worker", 7);
        broken["service_error"] = json!("no answer from /opt/secret-place");
        let told = |targets: &[&Value]| summary("staging", &[json!({ "host": "a", "targets": targets })]);

        let record = told(&[&sound, &broken]);

        for hidden in ["/opt", "ada", "payday", "service"] {
            assert!(!record.to_string().contains(hidden), "{hidden} in {record}");
        }
        let places = |name: &str| Places::from([("a".to_owned(), BTreeSet::from([name.to_owned()]))]);
        let judged = |record: &Value, name: &str| {
            let seen = record["environments"].as_array().unwrap();
            verified("staging", &places(name), seen, Purpose { done: "released", state: "nothing" })
        };
        assert_eq!(judged(&told(&[&sound]), "api").unwrap().artifact.to_string(), "07".repeat(32));
        assert!(judged(&record, "worker").unwrap_err().message().contains("worker on a: it was not whole"));
        let unheard = summary("staging", &[json!({ "host": "a", "error": "of /opt/secret-place" })]);
        let error = judged(&unheard, "api").unwrap_err();
        assert_eq!(error.message(), "cannot see what is live in staging on a: it could not be asked");
    }
}
