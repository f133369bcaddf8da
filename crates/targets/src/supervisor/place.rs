//! The supervisor's directory and what its files hold.

use super::SupervisorError;
use crate::process::ProcessIdentity;
use crate::service::LogPlace;
use cutover_core::config::ProcessConfig;
use cutover_disk::{is_no_space, overwrite_in_place};
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest `spec.json` or `state.json` that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a supervisor runs. It holds no secret: the env file is read anew at every start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The command and its bounds.
    pub config: ProcessConfig,
    /// The directory that holds `current`.
    pub deploy_to: PathBuf,
    /// Path of the env file in a release.
    pub env_file: Option<PathBuf>,
    /// Variables of the env file whose values are hidden in the service's log.
    pub secret_names: BTreeSet<String>,
}

/// What a supervisor is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It was started itself.
    Starting,
    /// The service was started.
    Running,
    /// The service ended or could not be started, and will be started after a pause.
    Waiting,
    /// The service is being stopped.
    Stopping,
    /// The service is stopped, and the supervisor ends.
    Stopped,
}

/// What a supervisor last told of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SupervisorState {
    /// The supervisor.
    pub supervisor: ProcessIdentity,
    /// What it is at.
    pub phase: Phase,
    /// The service's main process, when it was started.
    pub child: Option<ProcessIdentity>,
    /// The release that the service was started in.
    pub release: Option<PathBuf>,
    /// When the service was started.
    pub started_at: Option<Timestamp>,
    /// How often the service was started again.
    pub restart_count: u64,
    /// How often in a row that was after it had run for less than the longest pause.
    #[serde(default)]
    pub quick_restart_count: u64,
    /// How the service ended last, or why it could not be started.
    pub last_exit: Option<String>,
    /// Where the log stood when this supervisor began: what is before was said by a run before.
    #[serde(default)]
    pub log_began: Option<LogPlace>,
}

/// A supervisor's directory.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    /// The supervisor's place in this directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Where the service's log lies.
    pub fn service_log(&self) -> PathBuf {
        self.0.join("service.log")
    }

    pub(super) fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// Makes the directory, which only this user may enter: the log in it is not masked.
    pub(super) fn create(&self) -> Result<(), SupervisorError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(SupervisorError::file("make directory", &self.0))
    }

    pub(super) fn write_spec(&self, spec: &Spec) -> Result<(), SupervisorError> {
        self.replace("spec.json", spec)
    }

    pub(super) fn read_spec(&self) -> Result<Option<Spec>, SupervisorError> {
        self.read("spec.json")
    }

    /// Whether anything was ever to be run here.
    pub(super) fn has_spec(&self) -> bool {
        self.0.join("spec.json").exists()
    }

    pub(super) fn write_state(&self, state: &SupervisorState) -> Result<(), SupervisorError> {
        self.replace("state.json", state)
    }

    pub(super) fn read_state(&self) -> Result<Option<SupervisorState>, SupervisorError> {
        self.read("state.json")
    }

    /// Takes away what the supervisor told. Only once it is dead.
    pub(super) fn forget_state(&self) -> Result<(), SupervisorError> {
        let path = self.0.join("state.json");
        fs::remove_file(&path).map_err(SupervisorError::file("remove", &path))
    }

    /// Replaces a file at once, but does not wait for the disk: after a power cut nothing of it is true any more.
    fn replace(&self, name: &str, content: &impl Serialize) -> Result<(), SupervisorError> {
        let (path, temporary) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        let bytes = serde_json::to_vec_pretty(content).map_err(|e| damaged(&path, &e))?;
        let write = || {
            let mut file = private().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(&bytes)?;
            fs::rename(&temporary, &path)
        };
        let written = match write() {
            // The old release must come back on a full disk too. Whoever reads meanwhile looks again.
            Err(error) if is_no_space(&error) => overwrite_in_place(&path, &bytes).map_err(|_| error),
            other => other,
        };
        written.map_err(SupervisorError::file("write", &path))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SupervisorError> {
        let path = self.0.join(name);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => serde_json::from_slice(&bytes).map(Some).map_err(|e| damaged(&path, &e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(SupervisorError::file("read", &path)(e)),
        }
    }

    /// Takes a kernel lock, which ends with this process whatever becomes of it. None when it is held.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>, SupervisorError> {
        let path = self.0.join(name);
        let open = private().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(SupervisorError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(SupervisorError::file("lock", &path)(e)),
        }
    }

    /// The supervisor's end of the named pipe. It is open for writing too, so that it never ends.
    pub(super) fn open_control(&self) -> Result<File, SupervisorError> {
        let path = self.control();
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_fifo()) {
            // Whatever else lies there is a leftover of nobody.
            let _ = fs::remove_file(&path);
            rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600))
                .map_err(|e| SupervisorError::file("make named pipe", &path)(e.into()))?;
        }
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let open = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(&path);
        open.map_err(SupervisorError::file("open", &path))
    }

    /// Asks the supervisor to stop. False when it does not listen (yet, or any more).
    pub(super) fn ask_to_stop(&self) -> bool {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let open = OpenOptions::new().write(true).custom_flags(nonblocking).open(self.control());
        open.is_ok_and(|mut control| control.write_all(b"s").is_ok())
    }

    fn control(&self) -> PathBuf {
        self.0.join("control")
    }
}

/// For files that only this user may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn damaged(path: &Path, why: &serde_json::Error) -> SupervisorError {
    SupervisorError::Damaged { path: path.to_owned(), why: why.to_string() }
}
