//! How hosts are reached, as the config and the surroundings of this process say.

use crate::context::Project;
use cutover_core::config::SshConfig;
use cutover_core::secret::{SSH_KEY_VARIABLE, Secret};
use cutover_targets::remote::ssh::{Identity, Options};
use std::path::{Path, PathBuf};

/// The options of the project's connections.
pub(crate) fn ssh_options(project: &Project) -> Options {
    let SshConfig { config_file, user, port, identity, jump, host_keys } = project.config.ssh.clone();
    let file = identity.map(|file| Identity::File(local(&project.dir, &file)));
    let identity = key_variable().map(Identity::Key).or(file);
    let config_file = config_file.map(|file| project.dir.join(file));
    Options { config_file, user, port, identity, jump, host_keys }
}

/// The key that a CI gives; a variable that is set and empty is what a CI gives for a secret that it does not have.
fn key_variable() -> Option<Secret> {
    std::env::var(SSH_KEY_VARIABLE).ok().filter(|key| !key.trim().is_empty()).map(Secret::new)
}

/// A file beside `cutover.toml`, or in the home directory for `~/`.
fn local(dir: &Path, file: &Path) -> PathBuf {
    let at_home = file.strip_prefix("~").ok().and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    at_home.unwrap_or_else(|| dir.join(file))
}
