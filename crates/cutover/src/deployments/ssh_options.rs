//! How hosts are reached, as the config and the surroundings of this process say.

use crate::context::Project;
use cutover_core::config::{Config, SecretSource, SshConfig};
use cutover_core::secret::{SSH_KEY_VARIABLE, Secret};
use cutover_targets::remote::ssh::{Identity, Options};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The options of the project's connections.
pub(crate) fn ssh_options(project: &Project) -> Options {
    let SshConfig { config_file, user, port, identity, jump, host_keys } = project.config.ssh.clone();
    let file = identity.map(|file| Identity::File(local(&project.dir, &file)));
    let identity = key_variable().map(Identity::Key).or(file);
    let config_file = config_file.map(|file| project.dir.join(file));
    let withheld = secret_variables(&project.config);
    Options { config_file, user, port, identity, jump, host_keys, withheld }
}

/// The variables that hold secrets of any environment, here or where it runs.
fn secret_variables(config: &Config) -> BTreeSet<String> {
    let secrets = config.environments.values().flat_map(|environment| &environment.secrets);
    let names = secrets.flat_map(|(name, source)| match source {
        SecretSource::Variable(variable) => [Some(name), Some(variable)],
        SecretSource::File(_) | SecretSource::Command(_) => [Some(name), None],
    });
    names.flatten().cloned().collect()
}

/// The key that a CI gives; a variable that is set and empty is what a CI gives for a secret that it does not have.
fn key_variable() -> Option<Secret> {
    std::env::var(SSH_KEY_VARIABLE).ok().filter(|key| !key.trim().is_empty()).map(Secret::new)
}

/// A file beside `cutover.toml`, or in the home directory for `~/`.
pub(crate) fn local(dir: &Path, file: &Path) -> PathBuf {
    let at_home = file.strip_prefix("~").ok().and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    at_home.unwrap_or_else(|| dir.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_all_environments_are_withheld_by_the_names_that_they_have_here_and_there() {
        let text = "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\nenv_file = \".env\"\n\
                    [environments.production]\nenv = { MODE = \"fast\" }\nhosts.app = [\"web1\"]\n\
                    secrets = { TOKEN = { env = \"PROD_TOKEN\" }, KEY = { file = \"key\" } }\n\
                    [environments.staging]\nhosts.app = [\"web2\"]\nsecrets = [\"PASSWORD\"]\n";
        let names = secret_variables(&Config::parse(text).unwrap());
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["KEY", "PASSWORD", "PROD_TOKEN", "TOKEN"]);
    }
}
