//! What a language's files say about a project.

use super::tree::Tree;
use super::{golang, node, python, rust};
use cutover_core::config::CommandLine;

/// The main language of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// `pyproject.toml`, requirements files, `manage.py`.
    Python,
    /// `package.json`.
    Node,
    /// `Cargo.toml`.
    Rust,
    /// `go.mod`.
    Go,
    /// None of them.
    Unknown,
}

/// What one language's files say.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// The language.
    pub(super) language: Language,
    /// The project's name as its files say.
    pub(super) name: Option<String>,
    /// What was found where, for people.
    pub(super) evidence: Vec<String>,
    /// The build command and why it is needed.
    pub(super) build: Option<(String, &'static str)>,
    /// What goes into the artifact.
    pub(super) include: Vec<String>,
    /// Directories that the build makes and that must stay out.
    pub(super) exclude: Vec<String>,
    /// Requirements file that the virtual environment is built from.
    pub(super) requirements: Option<String>,
    /// Directory of wheels that the repository ships.
    pub(super) wheels: Option<String>,
    /// Modules for the smoke import.
    pub(super) smoke: Vec<String>,
    /// `run.install`.
    pub(super) install: Option<String>,
    /// `run.migrate`.
    pub(super) migrate: Option<CommandLine>,
    /// What starts the service.
    pub(super) command: Option<CommandLine>,
    /// Variables that the command needs.
    pub(super) variables: Vec<(String, String)>,
    /// The port that the service listens on.
    pub(super) port: Option<u16>,
}

impl Stack {
    /// A stack of which only the language is known.
    pub(super) fn new(language: Language) -> Self {
        Self {
            language,
            name: None,
            evidence: Vec::new(),
            build: None,
            include: vec!["**".to_owned()],
            exclude: Vec::new(),
            requirements: None,
            wheels: None,
            smoke: Vec::new(),
            install: None,
            migrate: None,
            command: None,
            variables: Vec::new(),
            port: None,
        }
    }
}

/// The stack that runs the service: the first with a command, else the first at all.
pub(super) fn detect(tree: &Tree) -> Stack {
    let found: Vec<Stack> =
        [python::detect, node::detect, rust::detect, golang::detect].iter().filter_map(|detect| detect(tree)).collect();
    let running = found.iter().find(|stack| stack.command.is_some()).or(found.first());
    running.cloned().unwrap_or_else(|| Stack::new(Language::Unknown))
}

/// A command line as a list where it has nothing that a shell would interpret.
pub(super) fn command_line(line: &str) -> CommandLine {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ./:_-=,@+%".contains(c);
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    // `A=b program` sets a variable, which only a shell does.
    let starts_plainly = words.first().is_some_and(|word| !word.contains('='));
    if line.chars().all(plain) && starts_plainly {
        CommandLine::Argv(words)
    } else {
        CommandLine::Shell(line.to_owned())
    }
}
