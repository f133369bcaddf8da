//! Branch names, read from the repository's files.

use super::tree::Tree;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The largest `packed-refs` that is read, in bytes.
const PACKED_BYTES_MAX: u64 = 1 << 20;
/// The most branches that are looked at.
const BRANCH_COUNT_MAX: usize = 1_000;
/// Names of the branch that production deploys from, the most usual first.
const PRODUCTION: [&str; 4] = ["main", "master", "production", "trunk"];
/// Names of the branch that staging deploys from, the most usual first.
const STAGING: [&str; 4] = ["staging", "develop", "development", "dev"];

/// The branches that environments deploy from.
pub(super) struct Branches {
    pub(super) production: String,
    pub(super) staging: Option<String>,
}

/// Finds the branches; without a repository production deploys from `main`.
pub(super) fn branches(root: &Path) -> Branches {
    let git = root.join(".git");
    let mut names = packed(&git);
    names.extend(loose(&git.join("refs/heads")));
    names.extend(loose(&git.join("refs/remotes/origin")));
    let usual = |wanted: &[&str]| wanted.iter().find(|name| names.contains(**name)).map(|name| (*name).to_owned());
    let production = usual(&PRODUCTION).or_else(|| head(&git)).unwrap_or_else(|| "main".to_owned());
    Branches { production, staging: usual(&STAGING) }
}

/// The checked out branch, also before its first commit.
fn head(git: &Path) -> Option<String> {
    let text = fs::read_to_string(git.join("HEAD")).ok()?;
    let name = text.trim().strip_prefix("ref: refs/heads/")?;
    is_plain(name).then(|| name.to_owned())
}

fn loose(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(BRANCH_COUNT_MAX).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn packed(git: &Path) -> BTreeSet<String> {
    let path = git.join("packed-refs");
    let small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= PACKED_BYTES_MAX);
    let text = if small { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    let names = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name);
    let branches =
        names.filter_map(|name| name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/remotes/origin/")));
    branches.take(BRANCH_COUNT_MAX).map(str::to_owned).collect()
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('-') && name.chars().all(plain)
}

/// Whether a workflow names deployment already; it is told, so that nobody deploys twice.
pub(super) fn deploying_workflow(tree: &Tree) -> Option<&str> {
    let workflows = tree.ending(&[".yml", ".yaml"]).into_iter().filter(|file| file.starts_with(".github/workflows/"));
    workflows.into_iter().find(|file| tree.read(file).is_some_and(|text| text.to_lowercase().contains("deploy")))
}
