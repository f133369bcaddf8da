//! Secrets: values that cannot be printed or serialized.

use std::fmt;

/// The variable with a private key for `ssh`. It is for Cutover alone: no program that it starts has it in its environment.
pub const SSH_KEY_VARIABLE: &str = "CUTOVER_SSH_KEY";

/// The variable with a private key that provenance is signed with. It is for Cutover alone as well.
pub const SIGNING_KEY_VARIABLE: &str = "CUTOVER_SIGNING_KEY";

/// The variable with the token that a job of GitHub Actions speaks with. What Cutover starts does not have it either: whoever
/// wants it in a check names it otherwise on purpose.
pub const GITHUB_TOKEN_VARIABLE: &str = "GITHUB_TOKEN";

/// The variable with a token for a repository whose release holds artifacts, where that is not the repository that a job is of: a
/// job's own token is for its own.
pub const ARTIFACTS_TOKEN_VARIABLE: &str = "CUTOVER_ARTIFACTS_TOKEN";

/// The variables that say who asks an S3-compatible service, by the names that all its clients have for them: the id of an access
/// key, its secret, and a token where they are for a while. Where a config shares artifacts by such a service, checks do not have them.
pub const S3_VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// A value that must never be shown. It prints `***` and has no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for env files and child environments only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
