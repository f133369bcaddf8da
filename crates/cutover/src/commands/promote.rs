//! `cutover promote`.

use super::deploy::HowArgs;
use super::status;
use super::words;
use crate::context::Context;
use crate::deployments::Session;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_artifacts::{Artifact, ArtifactError};
use cutover_core::artifact::Digest;
use cutover_core::record::ReleaseState;
use cutover_reporters::one_line;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Bring to one environment what another one has verified, byte for byte
///
/// Asks FROM's hosts what is live there now: it must be one artifact on all of them, found good by a
/// deployment, and its service must run. That artifact is deployed to TO, as `deploy` would; nothing
/// is built or packed again. TO has its own variables, hosts and `required_checks`.
///
/// The artifact must be on this machine: `cutover build` packs the same again from the same commit, or
/// `cutover deploy TO --artifact FILE` takes what was exported elsewhere.
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
        let live = verified(&self.from, &status::seen(context, &self.from)?)?;
        let artifact = self.stored(context, &live)?;
        self.how.bring(context, session, connections, &artifact)
    }

    fn stored(&self, context: &Context, live: &Live) -> Result<Artifact, CommandError> {
        match context.artifacts()?.get(&live.artifact.to_string()) {
            Err(ArtifactError::NotFound(_)) => {
                let (id, commit) = (live.artifact.short(), words::commit(&live.commit, false));
                let message =
                    format!("artifact {id} of commit {commit}, live in {}, is not on this machine", self.from);
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
    #[serde(default)]
    unfinished: Vec<Value>,
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

/// The one artifact that is live and good on all hosts of an environment.
fn verified(environment: &str, seen: &[Value]) -> Result<Live, CommandError> {
    let mut found: BTreeMap<Digest, (Live, Vec<String>)> = BTreeMap::new();
    for there in seen {
        let there = SeenThere::deserialize(there).map_err(|error| {
            CommandError::new(ErrorKind::Failed, format!("cannot read what the hosts of {environment} say"))
                .because(&error)
        })?;
        let host = there.host.as_ref().map_or_else(String::new, |host| format!(" on {host}"));
        if let Some(why) = &there.error {
            let message = format!("cannot see what is live in {environment}{host}: {}", one_line(why));
            return Err(CommandError::new(ErrorKind::Unreachable, message).state("nothing was deployed"));
        }
        for target in &there.targets {
            let place = format!("{}{host}", target.name);
            let live = target.verified().map_err(|why| unverified(environment, &place, &why))?;
            found.entry(live.artifact).or_insert_with(|| (live, Vec::new())).1.push(place);
        }
    }
    let mut all = found.into_values();
    match (all.next(), all.next()) {
        (None, _) => Err(unverified(environment, "it", "nothing is live")),
        (Some((live, _)), None) => Ok(live),
        (Some((one, here)), Some((other, there))) => {
            let [one, other] = [one, other].map(|live| words::commit(&live.commit, false));
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
        let release = self.release.as_ref().ok_or("nothing is live")?;
        let ReleaseThere { id, state: Some(state), artifact: Some(artifact), commit } = release else {
            return Err(format!("release {} has no readable release.json", release.id));
        };
        if !self.unfinished.is_empty() {
            return Err("a deployment is unfinished".to_owned());
        }
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
