//! What will probably not work in a CI as it stands.

use cutover_core::config::{ArtifactStoreKind, Config, EnvironmentConfig, SecretSource};

/// What labels of GitHub's and GitLab's own runners begin with.
const HOSTED: [&str; 4] = ["ubuntu-", "macos-", "windows-", "saas-"];

/// What is true of every CI.
pub(crate) fn common(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.checks.is_empty() {
        warnings
            .push("there are no checks in cutover.toml, so nothing judges a change before it is deployed".to_owned());
    }
    if config.workflows.download.is_none() {
        warnings
            .push("url and sha256 are not set under [workflows], so Cutover must be on the runner already".to_owned());
    }
    let nowhere = config.workflows.pull_requests.iter().chain(&config.workflows.approval).filter(|name| {
        let environment = config.environments.get(*name);
        environment.is_none_or(|environment| environment.targets.is_empty())
    });
    warnings.extend(nowhere.map(|name| format!("nothing is deployed to {name}: it has no hosts")));
    warnings.extend(unreleased(config));
    warnings.extend(unshared(config));
    warnings.extend(unsigned(config));
    let knows_hosts = !config.ssh.host_keys.is_empty() || config.ssh.config_file.is_some();
    for (name, environment) in &config.environments {
        if is_local(environment) && are_thrown_away(config) {
            warnings.push(format!(
                "{name} would be deployed to the runner itself (localhost), which is thrown away after the job: \
                 name its machine, or a runner of your own in `runs_on` under [workflows]"
            ));
        }
        if is_remote(environment) && !knows_hosts {
            let why = "their keys are not in [ssh.host_keys], and a runner knows none";
            warnings.push(format!("hosts of {name} cannot be reached: {why}; `cutover setup {name}` pins them"));
        }
        warnings.extend(environment.secrets.iter().filter_map(|(secret, source)| {
            let from = match source {
                SecretSource::Variable(_) => return None,
                SecretSource::File(_) => "a file that a runner does not have",
                SecretSource::Command(_) => {
                    "a command, which finds on a runner what the repository and the runner have"
                }
            };
            Some(format!("the secret {secret} of {name} comes from {from}"))
        }));
    }
    warnings
}

/// What is not released by itself: only what a push deploys is.
fn unreleased(config: &Config) -> Option<String> {
    let name = &config.release.as_ref()?.environment;
    let environment = config.environments.get(name)?;
    let by_itself = environment.branch.is_some() && !environment.targets.is_empty();
    (!by_itself).then(|| {
        format!("nothing is deployed to {name} by a push, so nothing is released by itself: `cutover release {name}` does it")
    })
}

/// A directory as the shared store that runners do not have: each job would look into one of its own machine.
fn unshared(config: &Config) -> Option<String> {
    let ArtifactStoreKind::Directory(directory) = &config.artifact.store.as_ref()?.kind else { return None };
    let packs = config.environments.values().any(|environment| !environment.targets.is_empty());
    (packs && are_thrown_away(config)).then(|| {
        format!(
            "the artifact store is the directory {}, which a runner that is thrown away after the job does not have: \
             `cutover build` would fail there; share in a bucket or a release at GitHub (docs/artifacts.md), or name runners of your \
             own that have it in `runs_on` under [workflows]",
            directory.display()
        )
    })
}

/// What a pull request can try out in no environment, though one is meant for it: what is packed for it is not signed.
fn unsigned(config: &Config) -> Option<String> {
    let name = config.workflows.pull_requests.as_ref().filter(|_| config.artifact.signers.is_some())?;
    let has_hosts = config.environments.get(name).is_some_and(|environment| !environment.targets.is_empty());
    has_hosts.then(|| {
        format!(
            "pull requests will not get to {name}: `signers` are named, and what is built before anybody has looked at it is not \
             signed; take `pull_requests` out, and deploy there from a branch"
        )
    })
}

/// How many seconds a job waits for the lock of an environment: half of what it has.
pub(crate) fn patience(config: &Config) -> u64 {
    (config.workflows.timeout.as_secs() / 2).max(1)
}

/// Whether jobs run on machines of the CI's own, by all that their labels say: each job has a new one.
fn are_thrown_away(config: &Config) -> bool {
    let labels = &config.workflows.runs_on;
    let is_hosted = |label: &String| HOSTED.iter().any(|beginning| label.starts_with(beginning));
    labels.is_empty() || labels.iter().any(is_hosted) && labels.iter().all(|label| label != "self-hosted")
}

/// Whether a host of it is the machine that deploys.
fn is_local(environment: &EnvironmentConfig) -> bool {
    environment.hosts.values().flatten().any(|host| host == "localhost")
}

/// Whether a host of it is another machine.
pub(crate) fn is_remote(environment: &EnvironmentConfig) -> bool {
    environment.hosts.values().flatten().any(|host| host != "localhost")
}
