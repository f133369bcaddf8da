//! Dependencies: a virtual environment at its final path, keyed by everything it depends on.
//!
//! The key is a digest of the requirements (with the files they name), the shipped wheels and the
//! interpreter's identity. An unchanged key costs one link. An environment without its `complete`
//! mark was cut short and is built anew, and so is one whose interpreter does not start, unless it is live.

use super::hook::{log_file, with_log};
use super::preflight::find_program;
use super::requirements;
use crate::host::release::{disk, io};
use crate::host::site::{DEPLOYMENT_VARIABLE, Site};
use cutover_child::{ChildCommand, ChildError, Leftovers, listen, run};
use cutover_core::artifact::Digest;
use cutover_core::config::{CommandLine, PythonConfig};
use cutover_core::secret::Secret;
use cutover_core::target::{EXCERPT_BYTES_MAX, Failure, Outcome, Progress};
use cutover_disk::{digest_of_file, remove_tree, replace_symlink, sync_file_system, write_atomic};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The environment's name in a release.
pub(crate) const LINK: &str = ".venv";
/// Says that an environment is whole.
const COMPLETE: &str = ".cutover-complete";
/// How long the interpreter of an environment that is used again may take to start.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// Builds or reuses the environment and links it into the release.
pub(crate) fn apply(site: &Site<'_>, python: &PythonConfig, progress: &dyn Progress) -> Result<Outcome, Failure> {
    let Some(requirements) = &python.requirements else { return Ok(Outcome::unchanged("none")) };
    let release = site.layout.release(site.release);
    let key = key(&release, requirements, python)?;
    let environment = site.layout.dependencies(&key);
    let damage = damage(site, &environment, progress)?;
    if let Some(why) = &damage {
        assert_not_live(site, &environment, requirements, why)?;
        build(site, python, requirements, &environment, progress)?;
    }
    link(&release, &environment)?;
    let name = key.short();
    Ok(match damage {
        Some(_) => Outcome::changed(format!("environment {name} built")),
        None => Outcome::unchanged(format!("environment {name} reused")),
    })
}

/// Why an environment cannot be used as it is: it was never finished, or its interpreter does not even start.
fn damage(site: &Site<'_>, environment: &Path, progress: &dyn Progress) -> Result<Option<String>, Failure> {
    if !environment.join(COMPLETE).exists() {
        return Ok(Some("it is not whole".to_owned()));
    }
    let words = [environment.join("bin/python").display().to_string(), "-c".to_owned(), String::new()];
    let child = ChildCommand {
        command: &CommandLine::Argv(words.to_vec()),
        cwd: &site.layout.release(site.release),
        variables: &quiet(site),
        timeout: LOOK_TIMEOUT,
        log: None,
        masker: &site.masker(),
        leftovers: Leftovers::Kill,
    };
    match listen(&child, EXCERPT_BYTES_MAX, &|| progress.cancelled()) {
        Ok(exit) if exit.code == 0 => Ok(None),
        Ok(exit) => Ok(Some(format!("its interpreter ended with exit code {}", exit.code))),
        Err(error @ ChildError::Cancelled) => Err(error.failure("look at the environment")),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// What is live goes on with what it has loaded: nothing may be built over it.
fn assert_not_live(site: &Site<'_>, environment: &Path, requirements: &Path, why: &str) -> Result<(), Failure> {
    if !is_live(site, environment) {
        return Ok(());
    }
    let (path, file) = (environment.display(), requirements.display());
    Err(Failure::new(format!("environment {path} is damaged ({why}), and the live release uses it")).hint(format!(
        "what runs was not touched, but could not be started again; any change of {file}, such as a comment, makes \
         another environment, or move this one away (`mv {path} {path}.damaged`) and deploy again"
    )))
}

fn is_live(site: &Site<'_>, environment: &Path) -> bool {
    let live = site.layout.current().join(LINK).canonicalize();
    live.is_ok_and(|live| environment.canonicalize().is_ok_and(|environment| environment == live))
}

/// Removes an environment that was cut short; a whole one is kept for the next deployment that wants it.
pub(crate) fn restore(site: &Site<'_>, python: &PythonConfig) -> Result<String, Failure> {
    let release = site.layout.release(site.release);
    let Some(requirements) = python.requirements.as_ref().filter(|_| release.exists()) else {
        return Ok("nothing to take back".to_owned());
    };
    let Ok(key) = key(&release, requirements, python) else { return Ok("nothing to take back".to_owned()) };
    let environment = site.layout.dependencies(&key);
    if environment.exists() && !environment.join(COMPLETE).exists() && !is_live(site, &environment) {
        remove_tree(&environment).map_err(disk)?;
        return Ok("unfinished environment removed".to_owned());
    }
    Ok("nothing to take back".to_owned())
}

fn link(release: &Path, environment: &Path) -> Result<(), Failure> {
    // Relative, and from releases/<id>/: two up is deploy_to.
    let name = environment.file_name().unwrap_or_default();
    let target = Path::new("../../.cutover/envs").join(name);
    let link = release.join(LINK);
    if std::fs::read_link(&link).is_ok_and(|now| now == target) {
        return Ok(());
    }
    remove_tree(&link).map_err(disk)?;
    replace_symlink(&link, &target).map_err(disk)
}

/// Everything that the environment depends on, as one digest.
fn key(release: &Path, requirements: &Path, python: &PythonConfig) -> Result<Digest, Failure> {
    let mut text = requirements::everything(release, requirements)?;
    if let Some(wheels) = &python.wheels {
        text.extend(listing(&release.join(wheels))?);
    }
    text.extend(interpreter_identity(&python.interpreter)?);
    Ok(Digest::of(&text))
}

/// Names and digests of shipped wheels: a wheel can be rebuilt under its old name.
fn listing(wheels: &Path) -> Result<Vec<u8>, Failure> {
    let entries = std::fs::read_dir(wheels).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|e| io("read", wheels, &e))?.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    let mut text = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        text.extend(path.file_name().unwrap_or_default().as_encoded_bytes());
        text.extend(digest_of_file(path).map_err(disk)?.to_string().as_bytes());
    }
    Ok(text)
}

/// Path, size and time of the real executable: another version or build differs in one of them. Cheaper than asking it.
fn interpreter_identity(interpreter: &str) -> Result<Vec<u8>, Failure> {
    let missing = || {
        Failure::new(format!("find interpreter {interpreter}: it is not on the PATH"))
            .hint("install it (apt-get install python3 python3-venv), or set python.interpreter")
    };
    let path = find_program(interpreter).ok_or_else(missing)?;
    let real = path.canonicalize().map_err(|e| io("find", &path, &e))?;
    let data = real.metadata().map_err(|e| io("examine", &real, &e))?;
    Ok(format!("{}\0{}\0{}\0{}", real.display(), data.len(), data.mtime(), std::env::consts::ARCH).into_bytes())
}

fn build(
    site: &Site<'_>,
    python: &PythonConfig,
    requirements: &Path,
    environment: &Path,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    remove_tree(environment).map_err(disk)?;
    let log = log_file(site, "dependencies")?;
    let commands = if find_program("uv").is_some() {
        uv(python, requirements, environment)
    } else {
        pip(python, requirements, environment)
    };
    let began = Instant::now();
    for command in commands {
        let subject = format!("install {}", requirements.display());
        let child = ChildCommand {
            command: &CommandLine::Argv(command),
            cwd: &site.layout.release(site.release),
            variables: &quiet(site),
            timeout: python.install_timeout.saturating_sub(began.elapsed()),
            log: Some(&log),
            masker: &site.masker(),
            leftovers: Leftovers::Kill,
        };
        let ended =
            run(&child, progress).map_err(|error| error.failure(&subject)).and_then(|exit| exit.success(&subject));
        ended.map_err(|failure| with_log(advise(failure), &log))?;
    }
    sync_file_system(environment).map_err(disk)?;
    write_atomic(&environment.join(COMPLETE), b"", 0o644).map_err(disk)
}

fn advise(failure: Failure) -> Failure {
    if failure.excerpt.contains("ensurepip is not") || failure.excerpt.contains("No module named venv") {
        return failure.hint("install the venv module (apt-get install python3-venv), or uv");
    }
    if failure.excerpt.contains("No space left on device") {
        return failure
            .kind(cutover_core::target::FailureKind::NoSpace)
            .hint("free some space (df -h; df -i), then deploy again");
    }
    failure
}

/// The deployment's name lets a recovery find an install that outlived its deployment.
fn quiet(site: &Site<'_>) -> BTreeMap<String, Secret> {
    let settings = [
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_INPUT", "1"),
        (DEPLOYMENT_VARIABLE, site.deployment.as_str()),
    ];
    settings.map(|(name, value)| (name.to_owned(), Secret::new(value))).into()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn uv(python: &PythonConfig, requirements: &Path, environment: &Path) -> Vec<Vec<String>> {
    let (path, requirements) = (environment.display().to_string(), requirements.display().to_string());
    let make = words(&["uv", "venv", "--quiet", "--python", &python.interpreter, &path]);
    let mut install = words(&["uv", "pip", "install", "--python", &format!("{path}/bin/python"), "-r", &requirements]);
    install.extend(offline(python));
    vec![make, install]
}

fn pip(python: &PythonConfig, requirements: &Path, environment: &Path) -> Vec<Vec<String>> {
    let (path, requirements) = (environment.display().to_string(), requirements.display().to_string());
    let make = words(&[&python.interpreter, "-m", "venv", &path]);
    let mut install = words(&[&format!("{path}/bin/python"), "-m", "pip", "install", "-r", &requirements]);
    install.extend(offline(python));
    vec![make, install]
}

/// With shipped wheels nothing is asked for over the network.
fn offline(python: &PythonConfig) -> Vec<String> {
    let Some(wheels) = &python.wheels else { return Vec::new() };
    words(&["--no-index", "--find-links", &wheels.display().to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_that_was_built_again_under_its_name_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("foo-1.0-py3-none-any.whl");
        std::fs::write(&wheel, "first").unwrap();
        let first = listing(folder.path()).unwrap();
        std::fs::write(&wheel, "again").unwrap();
        assert_ne!(listing(folder.path()).unwrap(), first);
    }
}
