//! The environment's variables and secrets, with everything that is missing told at once.

use super::secret_command;
use super::signals::CANCEL;
use cutover_core::config::{CommandLine, EnvironmentConfig, SecretSource};
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use cutover_disk::read_bounded;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest value in bytes: what Linux lets one string of a process's environment have.
const VALUE_BYTES_MAX: usize = 128 * 1024;

/// Variables and secrets, ready to be written.
#[derive(Debug)]
pub(crate) struct Variables {
    /// Everything by name; empty when the values are not known.
    pub(crate) values: BTreeMap<String, Secret>,
    /// Which of them are secret.
    pub(crate) secret_names: BTreeSet<String>,
    is_known: bool,
}

/// Secrets that could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} of environment {environment} cannot be had: {}", count(faults.len()), faults.join("; "))]
pub(crate) struct VariablesError {
    /// The environment.
    pub(crate) environment: String,
    /// One line for each.
    pub(crate) faults: Vec<String>,
    /// Whether a signal asked to stop, so that nobody waited for the rest.
    pub(crate) cancelled: bool,
}

fn count(number: usize) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}

impl Variables {
    /// Which variables are secret, without asking for any value.
    pub(crate) fn unknown(environment: &EnvironmentConfig) -> Self {
        let secret_names = environment.secrets.keys().cloned().collect();
        Self { values: BTreeMap::new(), secret_names, is_known: false }
    }

    /// Those that a client sent; None: it did not know them.
    pub(crate) fn received(secret_names: BTreeSet<String>, values: Option<BTreeMap<String, Secret>>) -> Self {
        Self { is_known: values.is_some(), values: values.unwrap_or_default(), secret_names }
    }

    /// All of them by name; None when the values are not known.
    pub(crate) fn known(&self) -> Option<&BTreeMap<String, Secret>> {
        self.is_known.then_some(&self.values)
    }

    /// What a deployment is offered: None when the values are not known, so that nobody takes them for none.
    pub(crate) fn offered(&self) -> Option<BTreeMap<String, Secret>> {
        self.known().cloned()
    }

    /// The secrets that are known here without running a command: what cannot be had is left out.
    pub(crate) fn at_hand(environment: &EnvironmentConfig, root: &Path) -> Vec<(String, Secret)> {
        let at_hand = environment.secrets.iter().filter_map(|(name, source)| match source {
            SecretSource::Variable(_) | SecretSource::File(_) => Some((name.clone(), value(source, root).ok()?)),
            // It may ask a person for a password, which is no part of a look.
            SecretSource::Command(_) => None,
        });
        at_hand.collect()
    }

    /// Gets every value; relative paths are under `root`.
    pub(crate) fn resolve(name: &str, environment: &EnvironmentConfig, root: &Path) -> Result<Self, VariablesError> {
        let (variables, error) = Self::as_far_as_known(name, environment, root);
        error.map_or(Ok(variables), Err)
    }

    /// Gets every value that can be had, and says which cannot: enough to look, and too little to deploy.
    pub(crate) fn as_far_as_known(
        name: &str,
        environment: &EnvironmentConfig,
        root: &Path,
    ) -> (Self, Option<VariablesError>) {
        let mut variables = Self { is_known: true, ..Self::unknown(environment) };
        variables.values.extend(environment.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))));
        let mut faults = Vec::new();
        for (name, source) in &environment.secrets {
            match value(source, root) {
                Ok(value) => drop(variables.values.insert(name.clone(), value)),
                Err(why) => faults.push(format!("{name}: {why}")),
            }
        }
        let error = (!faults.is_empty()).then(|| VariablesError {
            environment: name.to_owned(),
            faults,
            cancelled: CANCEL.is_cancelled(),
        });
        (variables, error)
    }

    /// The secrets that a deployment would need and whose values are not known.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = &String> {
        self.secret_names.iter().filter(|name| self.is_known && !self.values.contains_key(*name))
    }

    /// The same with values for those that are lacking, as far as these variables have them.
    pub(crate) fn assuming(&self, live: &BTreeMap<String, Secret>) -> Self {
        let assumed = self.lacking().filter_map(|name| Some((name.clone(), live.get(name)?.clone())));
        let values = self.values.clone().into_iter().chain(assumed).collect();
        Self { values, secret_names: self.secret_names.clone(), is_known: self.is_known }
    }

    /// The names of secrets that no masker can hide; people should be warned.
    pub(crate) fn too_short(&self) -> Vec<String> {
        Masker::new(self.secrets()).too_short().to_vec()
    }

    /// The names of secrets that come from files which everybody on this machine may read, and those files; people should be warned.
    pub(crate) fn open_to_all(environment: &EnvironmentConfig, root: &Path) -> Vec<(String, PathBuf)> {
        let of_file = |(name, source): (&String, &SecretSource)| match source {
            SecretSource::File(path) => Some((name.clone(), root.join(path))),
            SecretSource::Variable(_) | SecretSource::Command(_) => None,
        };
        let files = environment.secrets.iter().filter_map(of_file);
        files.filter(|(_, path)| is_open_to_all(path)).collect()
    }

    /// The secrets with their names, for a masker.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.values
            .iter()
            .filter(|(name, _)| self.secret_names.contains(*name))
            .map(|(name, value)| (name.as_str(), value))
    }
}

/// Whether everybody may read a file, and gets to where it lies.
fn is_open_to_all(path: &Path) -> bool {
    let allows = |path: &Path, mode: u32| fs::metadata(path).is_ok_and(|about| about.mode() & mode != 0);
    path.canonicalize().is_ok_and(|path| allows(&path, 0o004) && path.ancestors().skip(1).all(|dir| allows(dir, 0o001)))
}

fn value(source: &SecretSource, root: &Path) -> Result<Secret, String> {
    let text = match source {
        SecretSource::Variable(name) => {
            std::env::var(name).map_err(|_| format!("set the environment variable {name}"))?
        }
        SecretSource::File(path) => read(&root.join(path))?,
        SecretSource::Command(command) => output(command, root)?,
    };
    if text.is_empty() {
        return Err("its value is empty".to_owned());
    }
    if text.len() > VALUE_BYTES_MAX || text.contains('\0') {
        return Err(format!("its value is no text of at most {VALUE_BYTES_MAX} bytes"));
    }
    Ok(Secret::new(text))
}

fn read(path: &Path) -> Result<String, String> {
    // Room for a last newline.
    let bytes = read_bounded(path, VALUE_BYTES_MAX as u64 + 2).map_err(|error| format!("{error}: {}", error.source))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("read {}: it is no text", path.display()))?;
    Ok(without_last_newline(text))
}

fn output(command: &CommandLine, root: &Path) -> Result<String, String> {
    // Room for a last newline, and for one byte more, so that too much is noticed.
    let bytes = secret_command::output(command, root, VALUE_BYTES_MAX + 3)?;
    String::from_utf8(bytes)
        .map(without_last_newline)
        .map_err(|_| "its command printed something that is no text".to_owned())
}

fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::Config;

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let secrets = BTreeMap::from([
            ("A".to_owned(), SecretSource::Variable("CUTOVER_TEST_SURELY_UNSET".to_owned())),
            ("B".to_owned(), SecretSource::File("/nonexistent".into())),
            ("C".to_owned(), SecretSource::Command(CommandLine::Shell("printf 'x\\n'".to_owned()))),
            ("D".to_owned(), SecretSource::Command(CommandLine::Shell("exit 3".to_owned()))),
        ]);
        let config = Config::parse("name = \"shop\"\n[environments.production]").unwrap();
        let environment = EnvironmentConfig { secrets, ..config.environments.into_values().next().unwrap() };

        let error = Variables::resolve("production", &environment, Path::new("/")).unwrap_err();

        assert_eq!(error.faults.len(), 3, "{error}");
        assert!(error.to_string().contains("CUTOVER_TEST_SURELY_UNSET"), "{error}");
    }

    #[test]
    fn what_is_at_hand_takes_no_command_and_leaves_out_what_is_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "made-up\n").unwrap();
        let secrets = BTreeMap::from([
            ("A".to_owned(), SecretSource::Variable("CUTOVER_TEST_SURELY_UNSET".to_owned())),
            ("B".to_owned(), SecretSource::File(file.path().to_owned())),
            ("C".to_owned(), SecretSource::Command(CommandLine::Shell("echo asked".to_owned()))),
        ]);
        let config = Config::parse("name = \"shop\"\n[environments.production]").unwrap();
        let environment = EnvironmentConfig { secrets, ..config.environments.into_values().next().unwrap() };

        let at_hand = Variables::at_hand(&environment, Path::new("/"));

        let told: Vec<_> = at_hand.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(told, [("B", "made-up")]);
    }

    #[test]
    fn a_secret_file_without_an_end_is_told_as_too_large() {
        let why = read(Path::new("/dev/zero")).unwrap_err();

        assert_eq!(why, "read /dev/zero: it has more than 131074 bytes");
    }

    #[test]
    fn a_secret_file_of_the_largest_value_and_a_newline_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "x".repeat(VALUE_BYTES_MAX) + "\r\n").unwrap();

        assert_eq!(read(file.path()).unwrap().len(), VALUE_BYTES_MAX);
    }
}
