//! Which binaries can be the agent on other machines: this one, and those that lie beside it for other kinds of machine.

use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Digest;
use cutover_disk::{digest_of_file, read_bounded, write_unsynced};
use cutover_targets::remote::bootstrap::Agent;
use std::env::consts::ARCH;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the binaries for other kinds of machine are called: `cutover-agent-aarch64`.
pub(super) const PREFIX: &str = "cutover-agent-";
/// How many of them are looked at.
const AGENT_COUNT_MAX: usize = 16;

/// This binary first, then those for other kinds of machine.
pub(crate) fn agents(program: &Path) -> Result<Vec<Agent>, CommandError> {
    let mut agents = vec![agent(ARCH.to_owned(), program.to_owned())?];
    let beside = program.parent().and_then(|dir| fs::read_dir(dir).ok());
    for entry in beside.into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let machine = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).filter(|machine| is_machine(machine));
        if let Some(machine) = machine.filter(|_| agents.len() < AGENT_COUNT_MAX) {
            agents.push(agent(machine.to_owned(), entry.path())?);
        }
    }
    Ok(agents)
}

/// It becomes a word of a shell script.
fn is_machine(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn agent(machine: String, path: PathBuf) -> Result<Agent, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::new(ErrorKind::Failed, format!("read {}", path.display()))
            .because(error)
            .state("nothing was changed")
    };
    let metadata = fs::metadata(&path).map_err(|error| failed(&error))?;
    let digest = match remembered(&path, &metadata) {
        Some(digest) => digest,
        None => remember(&path, &metadata, digest_of_file(&path).map_err(|error| failed(&error))?),
    };
    Ok(Agent { machine, bytes: metadata.len(), path, digest })
}

/// What tells one state of a file from another without reading it.
fn state(path: &Path, metadata: &Metadata) -> String {
    format!(
        "{} {} {} {} {}.{}",
        path.display(),
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

/// Where the digest of a binary is kept: reading it all takes longer than much of a deployment.
fn note(path: &Path) -> Option<PathBuf> {
    let name = Digest::of(path.as_os_str().as_encoded_bytes()).short();
    Some(crate::context::home().ok()?.join("agents").join(name))
}

fn remembered(path: &Path, metadata: &Metadata) -> Option<Digest> {
    let text = String::from_utf8(read_bounded(&note(path)?, 16 << 10).ok()?).ok()?;
    let (digest, seen) = text.split_once('\n')?;
    (seen == state(path, metadata)).then(|| digest.parse().ok())?
}

fn remember(path: &Path, metadata: &Metadata, digest: Digest) -> Digest {
    // What cannot be noted is found out anew each time.
    let _noted = note(path).map(|note| {
        let _made = note.parent().map(fs::create_dir_all);
        write_unsynced(&note, format!("{digest}\n{}", state(path, metadata)).as_bytes(), 0o600)
    });
    digest
}
