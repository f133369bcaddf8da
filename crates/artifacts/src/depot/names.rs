//! The names of a project's things in a shared store: made here, and read back here.

use super::sha256::is_digest;
use cutover_core::artifact::{Digest, is_commit_hash};
use cutover_core::id::{EnvironmentName, ProjectName};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How times are written in names.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// What a name is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing<'n> {
    /// The record of an artifact.
    Record(Digest),
    /// A file of an artifact or what is said of it, by the digest of the file.
    Part(Digest, &'n str),
    /// That somebody is removing something of an artifact.
    Leaving(Digest),
    /// That a commit has an artifact.
    Commit(&'n str, Digest),
    /// What checks said of a commit.
    Checks(&'n str),
    /// That an artifact was about to be brought live in an environment.
    Deploying(&'n str, Timestamp, Digest),
    /// That an artifact was brought live in an environment.
    Deployed(&'n str, Timestamp, Digest),
}

/// Makes and reads names.
#[derive(Debug)]
pub(super) struct Names {
    project: String,
}

impl Names {
    pub(super) fn of(project: &ProjectName) -> Self {
        Self { project: format!("{project}/") }
    }

    /// What all names begin with.
    pub(super) fn all(&self) -> &str {
        &self.project
    }

    /// What the names of artifacts begin with whose ids begin like this.
    pub(super) fn artifacts_from(&self, prefix: &str) -> String {
        format!("{}artifacts/{prefix}", self.project)
    }

    /// What the names of all that lies there of an artifact begin with.
    pub(super) fn of_artifact(&self, id: &Digest) -> String {
        self.artifacts_from(&format!("{id}/"))
    }

    pub(super) fn record(&self, id: &Digest) -> String {
        format!("{}artifacts/{id}/record.json", self.project)
    }

    pub(super) fn file(&self, id: &Digest, sha256: &str) -> String {
        format!("{}artifacts/{id}/{sha256}.cutover", self.project)
    }

    pub(super) fn provenance(&self, id: &Digest, sha256: &str) -> String {
        format!("{}artifacts/{id}/{sha256}.provenance.json", self.project)
    }

    /// That somebody is removing something of an artifact; the token is nobody else's.
    pub(super) fn leaving(&self, id: &Digest, token: &str) -> String {
        format!("{}artifacts/{id}/{token}.leaving", self.project)
    }

    /// What the names begin with of what artifacts commits have.
    pub(super) fn commits(&self) -> String {
        format!("{}commits/", self.project)
    }

    /// What the names of a commit's artifacts begin with.
    pub(super) fn commit(&self, commit: &str) -> String {
        format!("{}{commit}/", self.commits())
    }

    pub(super) fn commit_artifact(&self, commit: &str, id: &Digest) -> String {
        format!("{}{id}", self.commit(commit))
    }

    /// What the names of all that checks said begin with.
    pub(super) fn checks_of_all(&self) -> String {
        format!("{}checks/", self.project)
    }

    /// What the names of all that checks said of a commit begin with.
    pub(super) fn checks(&self, commit: &str) -> String {
        format!("{}{commit}/", self.checks_of_all())
    }

    pub(super) fn said(&self, commit: &str, digest: &Digest) -> String {
        format!("{}{digest}.json", self.checks(commit))
    }

    /// What the names of all notes about deployments begin with.
    pub(super) fn notes(&self) -> [String; 2] {
        ["deploying", "deployed"].map(|kind| format!("{}{kind}/", self.project))
    }

    pub(super) fn deploying(&self, environment: &EnvironmentName, at: Timestamp, id: &Digest) -> String {
        format!("{}deploying/{environment}/{}-{id}", self.project, at.strftime(TIME_FORMAT))
    }

    pub(super) fn deployed(&self, environment: &EnvironmentName, at: Timestamp, id: &Digest) -> String {
        format!("{}deployed/{environment}/{}-{id}", self.project, at.strftime(TIME_FORMAT))
    }

    /// The artifact that this is the record of.
    pub(super) fn recorded(&self, name: &str) -> Option<Digest> {
        match self.read(name)? {
            Thing::Record(id) => Some(id),
            Thing::Part(..)
            | Thing::Leaving(_)
            | Thing::Commit(..)
            | Thing::Checks(_)
            | Thing::Deploying(..)
            | Thing::Deployed(..) => None,
        }
    }

    /// The commit that has an artifact by this name, and the artifact.
    pub(super) fn committed<'n>(&self, name: &'n str) -> Option<(&'n str, Digest)> {
        match self.read(name)? {
            Thing::Commit(commit, id) => Some((commit, id)),
            Thing::Record(_)
            | Thing::Part(..)
            | Thing::Leaving(_)
            | Thing::Checks(_)
            | Thing::Deploying(..)
            | Thing::Deployed(..) => None,
        }
    }

    /// What a name is of; None where it is none of ours.
    pub(super) fn read<'n>(&self, name: &'n str) -> Option<Thing<'n>> {
        let parts: Vec<&str> = name.strip_prefix(&self.project)?.split('/').collect();
        match parts[..] {
            ["artifacts", id, "record.json"] => Some(Thing::Record(id.parse().ok()?)),
            ["artifacts", id, part] => {
                let (stem, kind) = part.split_once('.')?;
                let id = id.parse().ok()?;
                match kind {
                    // The last two are what provenance was called once.
                    "cutover" | "provenance.json" | "intoto.json" | "intoto.json.sig" => {
                        is_digest(stem).then_some(Thing::Part(id, stem))
                    }
                    "leaving" => Some(Thing::Leaving(id)),
                    _ => None,
                }
            }
            ["commits", commit, id] if is_commit_hash(commit) => Some(Thing::Commit(commit, id.parse().ok()?)),
            ["checks", commit, said] if is_commit_hash(commit) => {
                said.strip_suffix(".json")?.parse::<Digest>().ok().map(|_| Thing::Checks(commit))
            }
            [kind @ ("deploying" | "deployed"), environment, deployment] => {
                let (time, id) = deployment.split_once('-')?;
                let at = DateTime::strptime(TIME_FORMAT, time).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
                let thing = if kind == "deployed" { Thing::Deployed } else { Thing::Deploying };
                Some(thing(environment, at, id.parse().ok()?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_as_what_it_was_made_of_and_nothing_else_is() {
        let (names, id) = (Names::of(&ProjectName::new("shop").unwrap()), Digest::of(b"a"));
        let (commit, sha256, at) = ("c".repeat(40), "d".repeat(64), "2026-11-21T10:15:00Z".parse().unwrap());
        let production = EnvironmentName::new("production").unwrap();

        assert_eq!(names.read(&names.record(&id)), Some(Thing::Record(id)));
        let old = ["intoto.json", "intoto.json.sig"].map(|kind| format!("shop/artifacts/{id}/{sha256}.{kind}"));
        for part in [names.file(&id, &sha256), names.provenance(&id, &sha256)].into_iter().chain(old) {
            assert_eq!(names.read(&part), Some(Thing::Part(id, sha256.as_str())), "{part}");
        }
        assert_eq!(names.read(&names.leaving(&id, "0a")), Some(Thing::Leaving(id)));
        assert_eq!(names.read(&names.deploying(&production, at, &id)), Some(Thing::Deploying("production", at, id)));
        assert_eq!(names.read(&names.commit_artifact(&commit, &id)), Some(Thing::Commit(&commit, id)));
        assert_eq!(names.read(&names.said(&commit, &id)), Some(Thing::Checks(&commit)));
        assert_eq!(names.read(&names.deployed(&production, at, &id)), Some(Thing::Deployed("production", at, id)));
        for other in ["bank/artifacts/x", "shop/artifacts/x/record.json", "shop/commits/main/x", "shop/", "shop/x"] {
            assert_eq!(names.read(other), None, "{other}");
        }
    }
}
