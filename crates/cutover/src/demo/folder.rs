//! The demo's folder, and the list of all such folders, so that `--clean` finds them.

use crate::context::home;
use crate::error::{CommandError, ErrorKind};
use cutover_core::artifact::Digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file that says that a folder was made by a demo. Nothing without it is ever removed.
const MARK: &str = ".cutover-demo";
/// How many names are tried for a fresh folder.
const ATTEMPT_COUNT_MAX: u32 = 1_000;
/// The largest entry of the list that is read, in bytes.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// A demo's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folder {
    /// The folder itself, absolute.
    pub(super) dir: PathBuf,
    /// Where the demo's artifacts and history lie, once it has some.
    pub(super) data_dir: Option<PathBuf>,
}

impl Folder {
    /// Makes a fresh folder, or takes this one when it is empty or not there yet.
    pub(super) fn make(wanted: Option<&Path>) -> Result<Self, CommandError> {
        let dir = match wanted {
            Some(dir) => make_wanted(dir)?,
            None => make_fresh()?,
        };
        let dir = dir.canonicalize().map_err(|error| failed("find", &dir, &error))?;
        let folder = Self { dir, data_dir: None };
        // Listed before anything is begun in it.
        folder.list()?;
        fs::write(folder.mark(), "").map_err(|error| failed("write", &folder.mark(), &error))?;
        Ok(folder)
    }

    /// The git repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.dir.join("greeter")
    }

    /// Where the service is deployed to.
    pub(super) fn deploy_to(&self) -> PathBuf {
        self.dir.join("site")
    }

    fn mark(&self) -> PathBuf {
        self.dir.join(MARK)
    }

    /// Whether this is a folder that a demo made.
    pub(super) fn is_marked(&self) -> bool {
        self.mark().is_file()
    }

    /// Puts the folder on the list, or what is new about it.
    pub(super) fn list(&self) -> Result<(), CommandError> {
        let path = self.entry()?;
        let write = || {
            private_dir(path.parent().unwrap_or(&path))?;
            fs::write(&path, serde_json::to_vec(self)?)
        };
        write().map_err(|error| failed("write", &path, &error))
    }

    /// Takes the folder off the list.
    pub(super) fn unlist(&self) -> Result<(), CommandError> {
        let path = self.entry()?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn entry(&self) -> Result<PathBuf, CommandError> {
        let name = Digest::of(self.dir.as_os_str().as_encoded_bytes()).short();
        Ok(demos()?.join(format!("{name}.json")))
    }
}

/// Every folder on the list.
pub(super) fn all() -> Result<Vec<Folder>, CommandError> {
    let list = demos()?;
    let Ok(entries) = fs::read_dir(&list) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths.iter().filter_map(|path| read(path)).collect())
}

/// An entry that cannot be read names no folder.
fn read(path: &Path) -> Option<Folder> {
    let is_small = fs::metadata(path).ok()?.len() <= ENTRY_BYTES_MAX;
    is_small.then(|| fs::read(path).ok()).flatten().and_then(|text| serde_json::from_slice(&text).ok())
}

fn demos() -> Result<PathBuf, CommandError> {
    Ok(home()?.join("demos"))
}

fn make_wanted(dir: &Path) -> Result<PathBuf, CommandError> {
    fs::create_dir_all(dir).map_err(|error| failed("make directory", dir, &error))?;
    let mut entries = fs::read_dir(dir).map_err(|error| failed("read directory", dir, &error))?;
    match entries.next() {
        None => Ok(dir.to_owned()),
        Some(_) => Err(CommandError::new(ErrorKind::Usage, format!("{} is not empty", dir.display()))
            .hint("name a folder that is empty or not there yet")),
    }
}

fn make_fresh() -> Result<PathBuf, CommandError> {
    let parent = std::env::temp_dir();
    let seed = std::process::id();
    for number in 0..ATTEMPT_COUNT_MAX {
        let dir = parent.join(format!("cutover-demo-{seed}-{number}"));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make directory", &dir, &error).hint("--dir names another place")),
        }
    }
    Err(CommandError::new(ErrorKind::Failed, format!("all names in {} are taken", parent.display())))
}

fn private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// An error of this operation on this path.
pub(super) fn failed(operation: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::new(ErrorKind::Failed, format!("{operation} {}", path.display())).because(error)
}
