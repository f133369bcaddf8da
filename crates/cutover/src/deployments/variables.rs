//! The environment's variables and secrets, with everything that is missing told at once.

use cutover_core::config::{CommandLine, EnvironmentConfig, SecretSource};
use cutover_core::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// The largest value in bytes: what Linux lets one string of a process's environment have.
const VALUE_BYTES_MAX: usize = 128 * 1024;

/// Variables and secrets, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// Everything by name.
    pub(crate) values: BTreeMap<String, Secret>,
    /// Which of them are secret.
    pub(crate) secret_names: BTreeSet<String>,
}

/// Secrets that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{} of environment {environment} cannot be had: {}", count(faults.len()), faults.join("; "))]
pub(crate) struct VariablesError {
    /// The environment.
    pub(crate) environment: String,
    /// One line for each.
    pub(crate) faults: Vec<String>,
}

fn count(number: usize) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}

impl Variables {
    /// Gets every value; relative paths are under `root`.
    pub(crate) fn resolve(name: &str, environment: &EnvironmentConfig, root: &Path) -> Result<Self, VariablesError> {
        let mut variables = Self::default();
        variables.values.extend(environment.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))));
        let mut faults = Vec::new();
        for (name, source) in &environment.secrets {
            match value(source, root) {
                Ok(value) => drop(variables.values.insert(name.clone(), value)),
                Err(why) => faults.push(format!("{name}: {why}")),
            }
            variables.secret_names.insert(name.clone());
        }
        if faults.is_empty() { Ok(variables) } else { Err(VariablesError { environment: name.to_owned(), faults }) }
    }

    /// The secrets with their names, for a masker.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.values
            .iter()
            .filter(|(name, _)| self.secret_names.contains(*name))
            .map(|(name, value)| (name.as_str(), value))
    }
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
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    Ok(without_last_newline(text))
}

/// The command's standard error goes to the user's terminal: tools like `op` and `pass` ask there.
fn output(command: &CommandLine, root: &Path) -> Result<String, String> {
    let mut child = match command {
        CommandLine::Shell(line) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", line]);
            shell
        }
        CommandLine::Argv(words) => {
            let (program, arguments) = words.split_first().ok_or("its command is empty")?;
            let mut child = Command::new(program);
            child.args(arguments);
            child
        }
    };
    let output = child
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("run its command: {error}"))?;
    if !output.status.success() {
        return Err(format!("its command ended with {}", output.status));
    }
    String::from_utf8(output.stdout)
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

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let secrets = BTreeMap::from([
            ("A".to_owned(), SecretSource::Variable("CUTOVER_TEST_SURELY_UNSET".to_owned())),
            ("B".to_owned(), SecretSource::File("/nonexistent".into())),
            ("C".to_owned(), SecretSource::Command(CommandLine::Shell("printf 'x\\n'".to_owned()))),
            ("D".to_owned(), SecretSource::Command(CommandLine::Shell("exit 3".to_owned()))),
        ]);
        let environment = EnvironmentConfig {
            branch: None,
            env: BTreeMap::new(),
            secrets,
            hosts: BTreeMap::new(),
            targets: BTreeMap::new(),
        };

        let error = Variables::resolve("production", &environment, Path::new("/")).unwrap_err();

        assert_eq!(error.faults.len(), 3, "{error}");
        assert!(error.to_string().contains("CUTOVER_TEST_SURELY_UNSET"), "{error}");
    }
}
