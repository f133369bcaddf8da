//! What packing, sharing and signing rely on, on the machine that deploys.

use crate::context::Context;
use crate::depot;
use crate::error::CommandError;
use cutover_artifacts::SigningKey;
use cutover_core::config::ArtifactStoreKind;
use cutover_core::secret::SIGNING_KEY_VARIABLE;
use cutover_disk::{is_no_space, read_regular};
use cutover_targets::doctor::Finding;
use rustix::fs::{Access, access};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most that is read of a file of signers, or of a key, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How much is written to see whether there is room: what the history takes at the least.
const PROBE_BYTES: usize = 64 << 10;
/// How many entries of a directory are looked at.
const ENTRY_COUNT_MAX: usize = 100;
/// The rights that make `ssh-keygen` refuse a private key.
const OTHERS_MODE: u32 = 0o077;

/// Looks at Cutover's own data, and at what `[artifact]` names.
pub(super) fn examine(context: &Context) -> Result<Vec<Finding>, CommandError> {
    let project = context.project()?;
    let mut findings = vec![data(&project.data_dir)];
    findings.extend(store(context)?);
    findings.extend(depot::signers(project).map(|file| signers(&file)));
    findings.extend(depot::signing_key(project).map(|key| signing(&key)));
    Ok(findings)
}

/// Whether artifacts and history can be written. Their directory is made by the first command, where that may.
fn data(dir: &Path) -> Finding {
    let nearest = dir.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(dir);
    let refused = match unwritable(nearest) {
        None if nearest == dir => entries(dir).iter().find_map(|path| unwritable(path)),
        None if !nearest.is_dir() => Some(format!("{} is no directory", nearest.display())),
        other => other,
    };
    let cannot = |why: String| format!("artifacts and history cannot be kept in {}: {why}", dir.display());
    let Some(refused) = refused else {
        return match keeps(nearest) {
            Ok(()) => Finding::fine("data", format!("{} can be written to", dir.display())),
            Err(error) => {
                let room = if is_no_space(&error) { "make room there, or " } else { "" };
                let fix = format!("{room}let CUTOVER_HOME name a directory in which files can be kept");
                Finding::failed("data", cannot(format!("{}: {error}", nearest.display())), fix)
            }
        };
    };
    let what = cannot(refused);
    let fix = "give back what is named to who deploys (`sudo chown -R`), or let CUTOVER_HOME name another directory";
    Finding::failed("data", what, fix)
}

/// Whether a directory keeps what is written into it: a disk may be full, and not every file system has files of ours. The file
/// that is tried has no name, and nothing is left of it.
fn keeps(dir: &Path) -> Result<(), io::Error> {
    let mut tried = tempfile::tempfile_in(dir)?;
    tried.write_all(&[0; PROBE_BYTES])?;
    tried.sync_all()
}

/// What lies in a directory: one command that was run as root leaves what nobody else can write.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten().take(ENTRY_COUNT_MAX);
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Why a directory or a file cannot be written.
fn unwritable(path: &Path) -> Option<String> {
    let wanted = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    access(path, wanted).err().map(|error| format!("{}: {}", path.display(), io::Error::from(error)))
}

/// Whether the shared store is there. A bucket or a release at GitHub is not asked: only whether there is something to ask it with.
fn store(context: &Context) -> Result<Option<Finding>, CommandError> {
    let config = &context.project()?.config;
    let Some(store) = &config.artifact.store else { return Ok(None) };
    Ok(Some(match (depot::open(context), &store.kind) {
        (Err(error), _) => Finding::failed("store", error.reason(), error.advice()),
        (Ok(_), ArtifactStoreKind::Directory(dir)) => shared(dir, config.name.as_str()),
        (Ok(_), ArtifactStoreKind::S3(_)) => Finding::fine("store", "there are credentials for its bucket"),
        (Ok(_), ArtifactStoreKind::GitHub(_)) => Finding::fine("store", "there is a token for its release at GitHub"),
    }))
}

/// Whether artifacts can be put into a directory that machines share: into what others have made there as well.
fn shared(dir: &Path, project: &str) -> Finding {
    let ours = dir.join(project);
    let made = if ours.is_dir() { [vec![ours.clone()], entries(&ours)].concat() } else { Vec::new() };
    let refused = unwritable(dir).or_else(|| made.iter().find_map(|path| unwritable(path)));
    let Some(refused) = refused else {
        return Finding::fine("store", format!("{} can be written to", dir.display()));
    };
    let fix = "all who share the store must be able to write to its directory: a group of their own and the set-group-ID bit \
               (chmod g+ws) do that";
    Finding::failed("store", format!("this user can put nothing into it: {refused}"), fix)
}

/// Whether it is known whose signatures count: where it is not, nothing is deployed.
fn signers(file: &Path) -> Finding {
    let shown = file.display();
    let what = match text_of(file) {
        // As `ssh-keygen(1)` reads ALLOWED SIGNERS.
        Ok(text) => match text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).count()
        {
            0 => format!("nobody's signature counts: {shown} names nobody"),
            count => return Finding::fine("signers", format!("{shown} names {count}")),
        },
        Err(why) => format!("nobody knows whose signatures count: {shown} cannot be read: {why}"),
    };
    let fix = "`signers` of [artifact] names it, beside cutover.toml; each of its lines is a name and a public key";
    Finding::failed("signers", what, fix)
}

/// Whether what is packed here can be signed. Nothing is signed to find out: an agent may ask a person.
fn signing(key: &SigningKey) -> Finding {
    let SigningKey::File(file) = key else { return Finding::fine("signing", "there is a key, in a variable") };
    let shown = file.display();
    let text = match text_of(file) {
        Ok(text) => text,
        Err(why) => {
            let what = format!("what is packed here cannot be signed: {shown} cannot be read: {why}");
            let fix = format!(
                "`signing_key` of [artifact] names it, beside cutover.toml; or give the key itself in {SIGNING_KEY_VARIABLE}"
            );
            return Finding::failed("signing", what, fix);
        }
    };
    if text.starts_with("-----BEGIN") && is_open(file) {
        let what = format!("what is packed here cannot be signed: ssh-keygen refuses {shown}, which others may read");
        return Finding::failed("signing", what, format!("`chmod 600 {shown}`"));
    }
    Finding::fine("signing", format!("{shown} can be read"))
}

/// Whether a key of this user's has rights with which `ssh-keygen` refuses it.
fn is_open(file: &Path) -> bool {
    let is_own = |about: &fs::Metadata| about.uid() == rustix::process::geteuid().as_raw();
    fs::metadata(file).is_ok_and(|about| is_own(&about) && about.mode() & OTHERS_MODE != 0)
}

fn text_of(file: &Path) -> Result<String, io::Error> {
    let bytes = read_regular(file, FILE_BYTES_MAX).map_err(|error| error.source)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_targets::doctor::Verdict;

    #[test]
    fn a_place_that_keeps_nothing_is_told_with_another_way_and_one_that_does_has_nothing_left_in_it() {
        // Given a file system in which nobody makes files, whoever they are.
        let nowhere = data(Path::new("/proc/nope"));

        assert_eq!(nowhere.verdict, Verdict::Failed);
        assert!(nowhere.what.starts_with("artifacts and history cannot be kept in /proc/nope: /proc"), "{nowhere:?}");
        assert!(nowhere.fix.unwrap().contains("let CUTOVER_HOME name"));

        let dir = tempfile::tempdir().unwrap();
        assert_eq!(data(&dir.path().join("home")).verdict, Verdict::Fine);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is changed");
    }
}
