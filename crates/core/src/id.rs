//! Names and identifiers: each a checked string that is safe as a file name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest identifier in bytes.
pub const ID_LENGTH_MAX: usize = 100;

/// An identifier that is empty, too long, or has a character that a file name should not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a valid name: use 1 to {ID_LENGTH_MAX} of A-Z a-z 0-9 . _ - and do not begin with a dot or dash"
)]
pub struct InvalidId {
    /// The refused text, cut to a printable length.
    pub text: String,
}

fn check(text: &str) -> Result<(), InvalidId> {
    let sound = !text.is_empty()
        && text.len() <= ID_LENGTH_MAX
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if sound { Ok(()) } else { Err(InvalidId { text: text.chars().take(ID_LENGTH_MAX).collect() }) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts a text that is safe as a file name.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

id!(
    /// The name of a project, `name` in `cutover.toml`.
    ProjectName
);
id!(
    /// The name of a target, the key under `[targets]`.
    TargetName
);
id!(
    /// The name of a check, the key under `[checks]`.
    CheckName
);
id!(
    /// The name of an environment, the key under `[environments]`.
    EnvironmentName
);
id!(
    /// One attempt to bring an artifact live: `20261121T101500-7f3a5c09`.
    DeploymentId
);
id!(
    /// One artifact placed on a target: `20261121101500-a1b2c3d`.
    ReleaseId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_directory_is_refused() {
        for text in ["", ".", "..", "a/b", "-rf", ".hidden", "a b", "a\0b", "ü"] {
            assert!(ReleaseId::new(text).is_err(), "{text:?}");
        }
        assert!(ReleaseId::new("x".repeat(ID_LENGTH_MAX + 1)).is_err());
    }

    #[test]
    fn an_identifier_is_checked_when_it_is_read_from_json() {
        assert!(serde_json::from_str::<ReleaseId>("\"20261121101500-a1b2c3d\"").is_ok());
        assert!(serde_json::from_str::<ReleaseId>("\"../current\"").is_err());
    }
}
