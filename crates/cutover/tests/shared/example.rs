//! An example in a repository of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs what must succeed; gives what it says.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

/// A copy of an example, with room beside it for what is deployed.
pub(crate) struct Copy {
    dir: TempDir,
    name: &'static str,
}

impl Copy {
    /// A copy without a commit.
    pub(crate) fn of(name: &'static str) -> Self {
        let copy = Self { dir: tempfile::tempdir().unwrap(), name };
        run(Command::new("cp").arg("-R").arg(example(name)).arg(copy.repository()));
        copy.git(&["init", "--quiet", "--initial-branch=main"]);
        copy
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path(self.name)
    }

    /// What lies beside the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.repository().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]);
        run(command.args(arguments).current_dir(self.repository()));
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "A change"]);
    }

    /// A `cutover` with a history of its own that was not started yet.
    pub(crate) fn cutover(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).env("CUTOVER_HOME", self.path("home")).current_dir(self.repository());
        command
    }
}
