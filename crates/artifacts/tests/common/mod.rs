//! A real repository and a store, each in a directory of its own.
#![allow(unreachable_pub, reason = "shared by the test files")]
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use cutover_artifacts::{Artifact, ArtifactError, ArtifactStore, PackRequest, PackSource};
use cutover_core::config::{ArtifactConfig, CommandLine};
use cutover_core::id::ProjectName;
use cutover_core::provenance::Builder;
use jiff::Timestamp;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub struct Bed {
    pub dir: TempDir,
    pub repository: PathBuf,
    pub store: ArtifactStore,
    pub config: ArtifactConfig,
    pub builder: Builder,
    pub now: Timestamp,
}

pub fn bed() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("repository");
    fs::create_dir(&repository).unwrap();
    let store = ArtifactStore::open(&dir.path().join("artifacts")).unwrap();
    let (builder, now) = (Builder::default(), Timestamp::from_second(1_800_000_000).unwrap());
    let bed = Bed { dir, repository, store, config: config(), builder, now };
    bed.git(&["init", "--quiet", "--initial-branch=main"]);
    bed
}

pub fn config() -> ArtifactConfig {
    ArtifactConfig {
        include: vec!["**".into()],
        exclude: vec![],
        build: None,
        build_timeout: Duration::from_secs(60),
        keep: 20,
        keep_for: Duration::from_secs(30 * 86_400),
        store: None,
        signers: None,
        signing_key: None,
    }
}

pub fn project() -> ProjectName {
    ProjectName::new("sample").unwrap()
}

pub fn head() -> PackSource {
    PackSource::Commit("HEAD".into())
}

impl Bed {
    /// Runs git as somebody without any configuration of their own.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.repository).args(args);
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(name);
        }
        for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
            command.env(name, "/dev/null");
        }
        for (role, name) in [("AUTHOR", "Ada"), ("COMMITTER", "Grace")] {
            command.env(format!("GIT_{role}_NAME"), name).env(format!("GIT_{role}_EMAIL"), "mail@example.org");
            command.env(format!("GIT_{role}_DATE"), "1790000000 +0000");
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.repository.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn make_executable(&self, path: &str) {
        fs::set_permissions(self.repository.join(path), Permissions::from_mode(0o755)).unwrap();
    }

    /// Commits all that is there and returns the hash.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn shell(&mut self, line: &str) {
        self.config.build = Some(CommandLine::Shell(line.into()));
    }

    pub fn pack(&self, source: &PackSource) -> Result<Artifact, ArtifactError> {
        self.pack_into(&self.store, source)
    }

    pub fn pack_into(&self, store: &ArtifactStore, source: &PackSource) -> Result<Artifact, ArtifactError> {
        let request = PackRequest {
            repository: &self.repository,
            project: &project(),
            source,
            config: &self.config,
            builder: &self.builder,
            now: self.now,
            again: false,
        };
        store.pack(&request, &mut ())
    }

    pub fn other_store(&self, name: &str) -> ArtifactStore {
        ArtifactStore::open(&self.dir.path().join(name)).unwrap()
    }

    pub fn blob_count(&self) -> usize {
        files_beneath(&self.dir.path().join("artifacts/blobs")).len()
    }
}

pub fn paths(artifact: &Artifact) -> Vec<&str> {
    artifact.manifest.entries.keys().map(|path| path.as_str()).collect()
}

pub fn files_beneath(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_beneath(&path)) } else { files.push(path) }
    }
    files
}
