//! `[release]` and `[protection]`: how what is live gets a version, and what changes to it must have passed.

use super::kind::{Switch, TextKind, Whole};
use super::names::Environment;
use super::places::ReleasePath;
use super::sink::{Fault, Sink, show, suggest};
use super::table::{Reader, table};
use super::{ProtectionConfig, ReleaseConfig};

/// The longest beginning of a tag in bytes.
const PREFIX_LENGTH_MAX: usize = 60;

/// What a tag begins with: nothing that git, a URL or a shell pattern would take for something else.
pub(super) struct TagPrefix;

impl TextKind for TagPrefix {
    type Out = String;
    const WHAT: &'static str = "the beginning of a tag";
    const EXAMPLE: &'static str = "shop-v";

    fn parse(text: &str) -> Result<String, Fault> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        // What git itself does not take: `git check-ref-format`.
        let is_refused =
            text.starts_with(['-', '.', '/']) || ["..", "//", "/.", ".lock/"].iter().any(|part| text.contains(part));
        if text.len() > PREFIX_LENGTH_MAX || !text.chars().all(is_plain) || is_refused {
            let hint = "use letters, digits, '-', '_', '.' and '/', as in \"v\" or \"shop/v\"";
            return Err(Fault::hinted("cannot begin a tag", hint));
        }
        Ok(text.to_owned())
    }
}

table! {
    /// How what is live gets a version, a tag and a release at GitHub.
    ReleaseTable for ReleaseConfig = ReleaseConfig {
        /// Environment whose good deployments are released.
        environment: Environment, required;
        /// File with the version, relative to `cutover.toml`: a `Cargo.toml`, `package.json` or `pyproject.toml`, or a text that
        /// is nothing else. Absent: conventional commits make the version.
        version_file: ReleasePath, optional;
        /// What stands before the version in a tag.
        tag_prefix: TagPrefix, default "'v'";
        /// Whether the artifact is attached to the release at GitHub.
        attach: Switch, default "true";
    }
}

table! {
    /// What `cutover github protect` demands of changes to the branch of production.
    ProtectionTable for ProtectionConfig = ProtectionConfig {
        /// How many people must approve a change.
        approvals: Whole<u8, 0, 6>, default "0";
        /// Whether a change must be judged together with the newest of the branch.
        up_to_date: Switch, default "false";
    }
}

/// Checks that the environment is one. Sees undecoded values, so that this finding comes together with all others.
pub(super) fn check_environment(file: &Reader<'_, '_>, sink: &mut Sink) {
    let table = |key| file.get(key).and_then(|node| node.get_ref().as_table());
    let Some(node) = table("release").and_then(|release| release.get("environment")) else { return };
    let Some(name) = node.get_ref().as_str() else { return };
    let known: Vec<&str> = table("environments").into_iter().flatten().map(|(key, _)| key.get_ref().as_ref()).collect();
    if !known.contains(&name) {
        let why = format!("names `{}`, which is no environment", show(name));
        let hint = (!known.is_empty()).then(|| suggest(name, &known));
        sink.within("release", |sink| {
            sink.within("environment", |sink| sink.fault(node.span(), "no such environment", Fault { why, hint }));
        });
    }
}
