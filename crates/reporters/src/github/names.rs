//! Names of things on GitHub that come from variables and events, and stand in paths.

use super::client::Client;
use super::fault::Fault;
use super::wire::{Call, text};
use cutover_core::artifact::is_commit_hash;
use std::fmt;
use std::str::FromStr;

/// The longest owner's or repository's name, in bytes. GitHub's are shorter.
const NAME_BYTES_MAX: usize = 100;
/// Who speaks where a job's own token does.
const ACTIONS_LOGIN: &str = "github-actions[bot]";

/// A name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct InvalidName {
    text: String,
    what: &'static str,
}

impl InvalidName {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.chars().take(NAME_BYTES_MAX).collect(), what }
    }
}

/// A repository: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl FromStr for Repository {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_name = |name: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                && name.chars().all(is_plain)
                && name != "."
                && name != ".."
        };
        let is_sound = text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name));
        if is_sound { Ok(Self(text.to_owned())) } else { Err(InvalidName::new(text, "repository as owner/name")) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full hash of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitId(String);

impl FromStr for CommitId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let hash = text.to_ascii_lowercase();
        if is_commit_hash(&hash) { Ok(Self(hash)) } else { Err(InvalidName::new(text, "full hash of a commit")) }
    }
}

impl CommitId {
    /// As much of it as people are shown.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom GitHub takes us for. A job's own token may not ask that, and speaks as
/// `github-actions[bot]`; so it is said beforehand of the tokens of other apps, which may not ask either.
pub fn login(client: &Client) -> Result<String, Fault> {
    if let Some(login) = client.login() {
        return Ok(login.to_owned());
    }
    match client.send(&Call::get("/user".to_owned(), "ask who it belongs to", "none")) {
        Ok(answer) => Ok(text(&answer.body, "login").unwrap_or(ACTIONS_LOGIN).to_owned()),
        Err(Fault::Refused { status: 403 | 404, .. }) => Ok(ACTIONS_LOGIN.to_owned()),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_path_leads_nowhere_else() {
        for sound in ["o/r", "Some-Org/a.b_c-1"] {
            assert_eq!(sound.parse::<Repository>().unwrap().to_string(), sound);
        }
        for wrong in ["", "o", "o/", "/r", "o/r/x", "o/..", "../r", "o/r?x", "o/r#x", "o/ä", "o /r", "o/%2e"] {
            assert!(wrong.parse::<Repository>().is_err(), "{wrong}");
        }
        assert_eq!("AB".repeat(20).parse::<CommitId>().unwrap().to_string(), "ab".repeat(20));
        for wrong in ["", "main", &"a".repeat(39), &"g".repeat(40), &"a".repeat(41)] {
            assert!(wrong.parse::<CommitId>().is_err(), "{wrong}");
        }
    }
}
