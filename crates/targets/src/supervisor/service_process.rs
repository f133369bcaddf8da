//! Starting the service's process in the live release.

use super::SERVICE_MARK;
use super::dotenv::read_env_file;
use super::place::Spec;
use crate::process::ProcessIdentity;
use cutover_child::Inherited;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A service's main process.
pub(super) struct ServiceProcess {
    pub(super) identity: ProcessIdentity,
    pub(super) release: PathBuf,
    /// Hides the values of the service's secrets in what it says.
    pub(super) masker: Masker,
    /// Readable once it ended; None on kernels without such a thing (before Linux 5.3).
    pub(super) ended: Option<OwnedFd>,
}

/// Starts the service in the release that `current` points to now, or says in words why not.
///
/// The process is not reaped here: whoever called reaps all children.
pub(super) fn start(spec: &Spec, dir: &Path, output: &PipeWriter) -> Result<ServiceProcess, String> {
    let current = spec.deploy_to.join("current");
    let release = fs::canonicalize(&current)
        .map_err(|e| format!("find the release that {} points to: {e}", current.display()))?;
    let mut command = cutover_child::command(&spec.config.command, &release, Inherited::Services);
    let program = command.get_program().to_string_lossy().into_owned();
    let variables = read_env(spec, &release)?;
    command.envs(variables.iter().map(|(name, value)| (name, value.expose())));
    let clone = || output.try_clone().map_err(|e| format!("give {program} its output: {e}"));
    command.env(SERVICE_MARK, dir).stdout(clone()?).stderr(clone()?);
    let child = command.spawn().map_err(|e| explain(&program, &e))?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
    // Known even if it ended already, for nobody has reaped it.
    let identity =
        ProcessIdentity::of_child(&child).ok_or_else(|| format!("start {program}: it is not to be seen in /proc"))?;
    let secrets = variables.iter().filter(|(name, _)| spec.secret_names.contains(*name));
    let masker = Masker::new(secrets.map(|(name, value)| (name.as_str(), value)));
    Ok(ServiceProcess { identity, release, masker, ended })
}

fn explain(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("start {program}: there is no such program"),
        _ => format!("start {program}: {error}"),
    }
}

fn read_env(spec: &Spec, release: &Path) -> Result<BTreeMap<String, Secret>, String> {
    let Some(path) = spec.env_file.as_ref().map(|path| release.join(path)) else { return Ok(BTreeMap::new()) };
    read_env_file(&path).map_err(|error| error.to_string())
}
