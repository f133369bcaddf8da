//! Versions as semver.org 2.0.0 has them, without build metadata: two that differ in nothing else would be one version with
//! two tags.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest version in bytes.
const LENGTH_MAX: usize = 100;

/// A semantic version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Grows where users must change something.
    pub major: u64,
    /// Grows with what is new.
    pub minor: u64,
    /// Grows with what is mended.
    pub patch: u64,
    /// What comes before the release itself: `rc.1`; empty otherwise.
    pre: String,
}

/// A text that is no semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no semantic version: {why}")]
pub struct InvalidVersion {
    text: String,
    why: &'static str,
}

impl Version {
    /// The first version of what is live: semver.org says of software in production that it should be 1.0.0.
    pub const FIRST: Self = Self::new(1, 0, 0);

    /// A version that is no pre-release.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch, pre: String::new() }
    }

    /// Whether it comes before a release itself: `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = |why| InvalidVersion { text: text.chars().take(LENGTH_MAX).collect(), why };
        if text.len() > LENGTH_MAX {
            return Err(invalid("it is too long"));
        }
        if text.contains('+') {
            return Err(invalid("build metadata, after '+', would make two versions of one"));
        }
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let parts: Vec<&str> = numbers.split('.').collect();
        let [major, minor, patch] = parts[..] else { return Err(invalid("it must be three numbers, as 1.2.3 is")) };
        let number = |text| number(text).ok_or_else(|| invalid("its parts must be numbers without a leading zero"));
        let is_sound = |pre: &str| pre.split('.').all(is_identifier);
        if pre.is_some_and(|pre| !is_sound(pre)) {
            return Err(invalid("what follows '-' must be letters, digits and '-', parted by '.'"));
        }
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
            patch: number(patch)?,
            pre: pre.unwrap_or_default().to_owned(),
        })
    }
}

/// A number without a leading zero; small enough to be counted on.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|number| is_plain && *number < u64::from(u32::MAX))
}

fn is_identifier(text: &str) -> bool {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !(is_number && text.len() > 1 && text.starts_with('0'))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.pre.is_empty() { Ok(()) } else { write!(f, "-{}", self.pre) }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| precedence(&self.pre, &other.pre))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Section 11 of semver.org: a release comes after its pre-releases; numbers by value and before words.
fn precedence(one: &str, other: &str) -> Ordering {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A number that is longer is larger: none has a leading zero.
    let key = |part: &str| {
        let is_number = part.bytes().all(|b| b.is_ascii_digit());
        (!is_number, if is_number { part.len() } else { 0 }, part.to_owned())
    };
    one.split('.').map(key).cmp(other.split('.').map(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_semver_orders_them() {
        // The chain of section 11 of semver.org, and numbers that text would order otherwise.
        let chain = [
            "0.9.10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.9",
            "1.0.10",
            "1.10.0",
            "2.0.0",
        ];
        let versions: Vec<Version> = chain.iter().map(|text| text.parse().unwrap()).collect();
        assert!(versions.is_sorted_by(|one, other| one < other), "{versions:?}");
        let told: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(told, chain);
    }

    #[test]
    fn what_is_no_version_is_said_to_be_none_and_why() {
        for wrong in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "01.2.3",
            "1.2.x",
            "1.2.-3",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3-01",
            "1.2.3+build",
            "1.2.3-ä",
            " 1.2.3",
            "1.2.3\n",
            "99999999999999999999.0.0",
            "4294967295.0.0",
            "+1.0.0",
        ] {
            let error = wrong.parse::<Version>().unwrap_err();
            assert!(error.to_string().contains("is no semantic version: "), "{error}");
        }
        assert!("1".repeat(1_000).parse::<Version>().unwrap_err().to_string().len() < 200);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_it_was(text in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(-[0-9a-z.-]{1,8})?") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }
}
