//! The demo's git repository.

use super::folder::{Folder, failed};
use super::versions::{Edit, FILES, Version, edits, fit};
use crate::error::{CommandError, ErrorKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is said in commits of the demo, whatever this user's own git settings are.
const GIT_SETTINGS: [&str; 5] = [
    "user.name=Cutover demo",
    "user.email=demo@localhost",
    "commit.gpgsign=false",
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
];
/// Variables that would lead git to another repository.
const GIT_VARIABLES: [&str; 5] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];

/// The repository.
pub(super) struct Project {
    dir: PathBuf,
}

/// Fails with advice when something that the demo needs is not there.
pub(super) fn check_needs() -> Result<(), CommandError> {
    for (program, why) in
        [("git", "the demo makes a repository"), ("python3", "the sample service is written in Python")]
    {
        if !runs(Command::new(program).arg("--version")) {
            return Err(CommandError::new(ErrorKind::Failed, format!("{program} is not on the PATH: {why}"))
                .state("nothing was done")
                .hint(format!("install it, as with: apt-get install {program}")));
        }
    }
    Ok(())
}

/// Whether a virtual environment can be made here.
pub(super) fn has_venv() -> bool {
    runs(Command::new("uv").arg("--version")) || runs(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

impl Project {
    /// Writes the example's files, fitted to this machine, into a new repository.
    pub(super) fn create(folder: &Folder, port: u16, has_venv: bool) -> Result<Self, CommandError> {
        let project = Self { dir: folder.repository() };
        for file in FILES {
            write(&project.dir.join(file.path), file.content)?;
        }
        let deploy_to = folder.deploy_to();
        let Some(deploy_to) = deploy_to.to_str() else {
            return Err(
                CommandError::new(ErrorKind::Usage, "the folder's path is not UTF-8").hint("--dir names another place")
            );
        };
        project.edit(&fit(deploy_to, port, has_venv))?;
        project.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(project)
    }

    /// Makes a version from the one before it and commits it.
    pub(super) fn commit(&self, version: &Version) -> Result<(), CommandError> {
        self.edit(&edits(version.number))?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", version.subject])
    }

    fn edit(&self, edits: &[Edit]) -> Result<(), CommandError> {
        for edit in edits {
            let path = self.dir.join(edit.path);
            let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
            let text =
                edit.apply(&text).ok_or_else(|| CommandError::bug(format!("the demo cannot change {}", edit.path)))?;
            write(&path, text.as_bytes())?;
        }
        Ok(())
    }

    fn git(&self, arguments: &[&str]) -> Result<(), CommandError> {
        let mut command = Command::new("git");
        command.current_dir(&self.dir).stdin(Stdio::null());
        for name in GIT_VARIABLES {
            command.env_remove(name);
        }
        for setting in GIT_SETTINGS {
            command.args(["-c", setting]);
        }
        let output = command.args(arguments).output().map_err(|error| failed("run git in", &self.dir, &error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(CommandError::new(ErrorKind::Failed, format!("git {} failed", arguments[0])).excerpt(said))
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, content));
    written.map_err(|error| failed("write", path, &error))
}
