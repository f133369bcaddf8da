//! `[artifact.store]`: where several machines share artifacts.

use super::kind::{Switch, TextKind};
use super::names::Word;
use super::places::{Directory, Url};
use super::sink::Fault;
use super::table::table;
use super::units::Time;
use super::{ArtifactStoreConfig, ArtifactStoreKind, GitHubStoreConfig, S3Config};
use std::path::PathBuf;
use std::time::Duration;

/// The longest prefix in bytes; S3 takes names of 1024, and ours are less than 300 long.
const PREFIX_LENGTH_MAX: usize = 500;
/// The longest tag in bytes.
const TAG_LENGTH_MAX: usize = 100;
/// The longest owner's or repository's name in bytes.
const REPOSITORY_LENGTH_MAX: usize = 100;

pub(super) struct StoreParts {
    directory: Option<PathBuf>,
    s3: Option<S3Config>,
    github: Option<GitHubStoreConfig>,
    keep_for: Duration,
}

fn store(parts: StoreParts) -> Option<ArtifactStoreConfig> {
    let directory = parts.directory.map(ArtifactStoreKind::Directory);
    let kind = directory.or(parts.s3.map(ArtifactStoreKind::S3)).or(parts.github.map(ArtifactStoreKind::GitHub))?;
    Some(ArtifactStoreConfig { kind, keep_for: parts.keep_for })
}

table! {
    /// Where several machines share artifacts.
    StoreTable for ArtifactStoreConfig = StoreParts {
        /// A directory that all these machines see, such as one of NFS.
        directory: Directory, optional;
        /// A bucket of an S3-compatible service.
        s3: S3Table, optional;
        /// A release at GitHub, whose files the artifacts are.
        github: GitHubTable, optional;
        /// How long artifacts are kept there: `cutover artifact prune` removes older ones that nobody needs.
        keep_for: Time, default "'30d'";
    }
    one_of ["directory", "s3", "github"],
    into store,
}

table! {
    /// A bucket of an S3-compatible service. `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one,
    /// `AWS_SESSION_TOKEN` say who asks.
    S3Table for S3Config = S3Config {
        /// The bucket.
        bucket: Bucket, required;
        /// The service's address; that of AWS in the region when there is none.
        endpoint: Url, optional;
        /// The region.
        region: Word, default "'us-east-1'";
        /// What all names in the bucket begin with.
        prefix: Prefix, default "''";
        /// Whether the bucket is part of the path instead of the host's name: so by default where there is an `endpoint`.
        path_style: Switch, optional;
    }
}

table! {
    /// A release at GitHub that holds artifacts: a prerelease, made when the first one comes. `GITHUB_TOKEN` says who asks, and
    /// `CUTOVER_ARTIFACTS_TOKEN` where the repository is another one.
    GitHubTable for GitHubStoreConfig = GitHubStoreConfig {
        /// The repository, as `owner/name`; the one that the project itself is in when there is none.
        repository: Repository, optional;
        /// The release's tag, which is made with it and is for nothing else.
        tag: Tag, default "'cutover-artifacts'";
    }
}

/// A repository at GitHub.
pub(super) struct Repository;

impl TextKind for Repository {
    type Out = String;
    const WHAT: &'static str = "a repository at GitHub";
    const EXAMPLE: &'static str = "shop/artifacts";

    fn parse(text: &str) -> Result<String, Fault> {
        let is_name = |name: &str| {
            (1..=REPOSITORY_LENGTH_MAX).contains(&name.len())
                && !matches!(name, "." | "..")
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name)) {
            return Ok(text.to_owned());
        }
        Err(Fault::hinted("is not a repository at GitHub", "write it as owner/name: \"shop/artifacts\""))
    }
}

/// A tag: nothing that git, a URL or a shell pattern would take for something else.
pub(super) struct Tag;

impl TextKind for Tag {
    type Out = String;
    const WHAT: &'static str = "a tag";
    const EXAMPLE: &'static str = "cutover-artifacts";

    fn parse(text: &str) -> Result<String, Fault> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        // What git itself does not take: `git check-ref-format`.
        let refused =
            text.starts_with(['-', '.']) || text.ends_with(['.']) || text.contains("..") || text.ends_with(".lock");
        if !(1..=TAG_LENGTH_MAX).contains(&text.len()) || !plain || refused {
            return Err(Fault::hinted(
                "is not a tag",
                "use letters, digits, '-', '_' and '.', as in \"cutover-artifacts\"",
            ));
        }
        Ok(text.to_owned())
    }
}

/// The name of a bucket, which may become a part of a host's name.
pub(super) struct Bucket;

impl TextKind for Bucket {
    type Out = String;
    const WHAT: &'static str = "a bucket's name";
    const EXAMPLE: &'static str = "shop-artifacts";

    fn parse(text: &str) -> Result<String, Fault> {
        let sound = (3..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !text.contains("..");
        if sound {
            return Ok(text.to_owned());
        }
        Err(Fault::hinted("is not a bucket's name", "3 to 63 small letters, digits, '-' and '.'"))
    }
}

/// What names begin with: parts of plain characters between slashes.
pub(super) struct Prefix;

impl TextKind for Prefix {
    type Out = String;
    const WHAT: &'static str = "a prefix";
    const EXAMPLE: &'static str = "artifacts";

    fn parse(text: &str) -> Result<String, Fault> {
        let prefix = text.strip_suffix('/').unwrap_or(text);
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if prefix.len() > PREFIX_LENGTH_MAX || !(prefix.is_empty() || prefix.split('/').all(plain)) {
            return Err(Fault::hinted("is not a prefix", "use letters, digits, '-', '_' and '.', between single '/'"));
        }
        Ok(prefix.to_owned())
    }
}
