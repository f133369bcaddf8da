//! Looks for secrets where they must not be: in the artifact, or in files that git would take.

use super::{Place, Variables};
use cutover_child::Git;
use cutover_core::artifact::{BlobSource, Manifest, ManifestEntry};
use std::io::Read;
use std::path::Path;

/// The most that git is heard of, in bytes: what it says does not matter.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Shorter values stand in files by chance.
const VALUE_LENGTH_MIN: usize = 8;
/// Larger files are no place where people write secrets.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most that is looked through, in bytes.
const TOTAL_BYTES_MAX: u64 = 64 << 20;

/// What a person should know about secrets in the artifact. Values are never shown.
pub(crate) fn artifact_warnings(
    place: &Place<'_>,
    variables: &Variables,
    manifest: &Manifest,
    blobs: &dyn BlobSource,
) -> Vec<String> {
    let env_files = place.targets.values().filter_map(|config| config.env_file.as_ref());
    let committed =
        env_files.filter(|file| manifest.entries.keys().any(|path| Path::new(path.as_str()) == file.as_path()));
    let mut warnings: Vec<String> = committed
        .map(|file| format!("{0} is in the artifact: take it out of the repository, and exclude it with artifact.exclude = [\"{0}\"]", file.display()))
        .collect();
    warnings.extend(committed_values(variables, manifest, blobs));
    warnings
}

fn committed_values(variables: &Variables, manifest: &Manifest, blobs: &dyn BlobSource) -> Vec<String> {
    let secrets: Vec<(&str, &str)> = variables
        .secrets()
        .map(|(name, value)| (name, value.expose()))
        .filter(|(_, value)| value.len() >= VALUE_LENGTH_MIN)
        .collect();
    if secrets.is_empty() {
        return Vec::new();
    }
    let mut left = TOTAL_BYTES_MAX;
    let mut warnings = Vec::new();
    for (path, entry) in &manifest.entries {
        let ManifestEntry::File { digest, bytes, .. } = entry else { continue };
        if *bytes > FILE_BYTES_MAX || *bytes > left {
            continue;
        }
        left -= bytes;
        let mut content = Vec::new();
        // A blob that can't be read fails the deployment itself, with a better word for it.
        let _read = blobs.open(digest).and_then(|reader| reader.take(FILE_BYTES_MAX).read_to_end(&mut content));
        let text = String::from_utf8_lossy(&content);
        let found = secrets.iter().filter(|(_, value)| text.contains(value));
        warnings.extend(found.map(|(name, _)| {
            format!("{path} holds the value of secret {name}: take it out of the repository and change the secret")
        }));
    }
    warnings
}

/// Env files that git has, or would take with the next `git add`.
pub(crate) fn unignored(place: &Place<'_>, manifest: &Manifest, root: &Path) -> Vec<String> {
    let in_artifact = |file: &Path| manifest.entries.keys().any(|path| Path::new(path.as_str()) == file);
    let env_files = place.targets.values().filter_map(|config| config.env_file.as_ref());
    // What is in the artifact is committed, which has been said.
    let others = env_files.filter(|file| !in_artifact(file));
    others.filter_map(|file| open_to_git(root, file).map(|why| format!("{} {why}", file.display()))).collect()
}

fn open_to_git(root: &Path, file: &Path) -> Option<&'static str> {
    // git says 0 for yes, 1 for no, and something else when it can't tell.
    if git(root, &["ls-files", "--error-unmatch"], file) == Some(0) {
        return Some("is committed: take it out of the repository, and change the secrets that are in it");
    }
    let is_ignored = git(root, &["check-ignore", "--quiet"], file);
    (is_ignored == Some(1)).then_some("is not in .gitignore: a copy of it beside the code could be committed")
}

fn git(root: &Path, arguments: &[&str], file: &Path) -> Option<i32> {
    let arguments = [arguments, &["--", file.to_str()?]].concat();
    Git::in_dir(root).answer(&arguments, ANSWER_BYTES_MAX).ok()?.exit_code
}
