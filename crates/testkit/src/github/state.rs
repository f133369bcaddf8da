//! What the fake remembers.

use super::objects::{comment, pull};
use super::releases::Releases;
use super::settings::Settings;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Whom the token speaks for.
pub const LOGIN: &str = "github-actions[bot]";
/// The shortest token that is made up for it, so that maskers find it.
pub const TOKEN_BYTES_MIN: usize = 8;

/// The limits that GitHub's description of its API names.
#[derive(Debug, Clone, Copy)]
pub struct Limits;

impl Limits {
    /// Characters of a comment.
    pub const COMMENT: usize = 65_536;
    /// Bytes of a check run's summary.
    pub const SUMMARY: usize = 65_535;
    /// Annotations in a request.
    pub const ANNOTATIONS: usize = 50;
    /// Characters of a description.
    pub const DESCRIPTION: usize = 140;
    /// Characters of a release's text.
    pub const RELEASE: usize = 125_000;
}

/// A comment, and on which pull request it stands.
pub(super) struct Comment {
    pub(super) pull: u64,
    pub(super) value: Value,
}

/// A deployment and its statuses, the oldest first.
pub(super) struct Deployment {
    pub(super) value: Value,
    pub(super) statuses: Vec<Value>,
}

/// What a job's token may: each permission, and whether it is to write.
pub(super) type Rights = BTreeMap<String, bool>;

pub(super) struct State {
    pub(super) token: String,
    /// What tokens of jobs may: a permission, and whether that is to write.
    pub(super) granted: BTreeMap<String, Rights>,
    /// The repository that it has, as paths name it.
    pub(super) repository: String,
    pub(super) refused: BTreeSet<&'static str>,
    /// The line at which no annotation is taken.
    pub(super) refused_line: Option<u64>,
    /// How many lists of comments are empty yet.
    pub(super) overlooked_count: u32,
    pub(super) comments: Vec<Comment>,
    pub(super) check_runs: Vec<Value>,
    pub(super) statuses: Vec<Value>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) pulls: Vec<Value>,
    pub(super) releases: Releases,
    pub(super) settings: Settings,
    last_id: u64,
}

impl State {
    pub(super) fn new(token: &str) -> Self {
        assert!(token.len() >= TOKEN_BYTES_MIN, "a token that short is not masked");
        Self {
            token: token.to_owned(),
            granted: BTreeMap::new(),
            repository: "shop/app".to_owned(),
            refused: BTreeSet::new(),
            refused_line: None,
            overlooked_count: 0,
            comments: Vec::new(),
            check_runs: Vec::new(),
            statuses: Vec::new(),
            deployments: Vec::new(),
            pulls: Vec::new(),
            releases: Releases::default(),
            settings: Settings::default(),
            last_id: 1_000,
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add_comment(&mut self, login: &str, pull: u64, body: &str) -> Value {
        let value = comment(self.next_id(), pull, login, body);
        self.comments.push(Comment { pull, value: value.clone() });
        value
    }

    pub(super) fn comments_on(&self, pull: u64) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let on = self.comments.iter().filter(|comment| comment.pull == pull);
        on.map(|comment| (text(&comment.value["user"]["login"]), text(&comment.value["body"]))).collect()
    }

    pub(super) fn open_pull(&mut self, number: u64, owner: &str, branch: &str, sha: &str) {
        self.pulls.push(pull(number, owner, branch, sha));
    }

    pub(super) fn push_pull(&mut self, number: u64, sha: &str) {
        let pull = self.pulls.iter_mut().find(|pull| pull["number"] == number).expect("it was opened");
        pull["head"]["sha"] = sha.into();
    }

    /// Merges a pull request as this commit.
    pub(super) fn merge_pull(&mut self, number: u64, sha: &str) {
        let merged = self.pulls.iter_mut().find(|pull| pull["number"] == number).expect("it was opened");
        merged["state"] = "closed".into();
        merged["closed_at"] = super::objects::WHEN.into();
        merged["merged_at"] = super::objects::WHEN.into();
        merged["merge_commit_sha"] = sha.into();
    }

    pub(super) fn deployments_told(&self) -> Vec<(String, String, Vec<String>)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let states = |statuses: &[Value]| statuses.iter().map(|status| text(&status["state"])).collect();
        let told = |one: &Deployment| (text(&one.value["environment"]), text(&one.value["sha"]), states(&one.statuses));
        self.deployments.iter().map(told).collect()
    }

    pub(super) fn all_deployment_statuses(&self) -> Vec<Value> {
        self.deployments.iter().flat_map(|one| one.statuses.clone()).collect()
    }
}
