//! What `cutover init` does: looks at a repository and writes a commented `cutover.toml` for it.
//!
//! [`inspect`] reads files and guesses; [`render()`] writes what was found, says where it was found,
//! and keeps what was not found as comments. What it renders is always a sound config.

mod checks;
mod git;
mod golang;
mod listening;
mod node;
mod python;
mod reads;
mod render;
mod rust;
mod stack;
mod surroundings;
mod text;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use render::render;

use checks::FoundCheck;
use cutover_core::id::ProjectName;
use reads::Reads;
use stack::Stack;
use std::path::Path;
use surroundings::{Unit, Variables};
use tree::Tree;

/// The longest project name that is made from a directory's.
const NAME_LENGTH_MAX: usize = 40;

/// What a repository was found to be.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    /// The project's name.
    name: ProjectName,
    /// What the main language's files say.
    stack: Stack,
    /// Directories that the service does not need.
    left_out: Vec<String>,
    /// Directories that the service writes into.
    written: Vec<String>,
    /// A systemd unit in the repository.
    unit: Option<Unit>,
    /// The health route and the file that names it.
    health: Option<(String, String)>,
    /// Variables of an example env file.
    variables: Variables,
    /// Variables that the sources read.
    reads: Reads,
    /// The branch that production deploys from.
    branch: String,
    /// The branch that staging deploys from.
    staging_branch: Option<String>,
    /// The tests, as a check.
    check: Option<FoundCheck>,
    /// A workflow that deploys already.
    deploying_workflow: Option<String>,
}

impl Findings {
    /// What was found where, each in a few words for people.
    pub(crate) fn evidence(&self) -> Vec<String> {
        let mut evidence = self.stack.evidence.clone();
        evidence.extend(self.unit.as_ref().map(|unit| format!("the unit file {}", unit.file)));
        evidence.extend(self.health.as_ref().map(|(route, file)| format!("the route {route} in {file}")));
        evidence.extend(self.check.as_ref().map(|check| format!("tests in {}", check.evidence)));
        evidence.extend(self.variables.file.as_ref().map(|file| format!("variables in {file}")));
        evidence.iter().map(|line| text::one_line(line)).collect()
    }

    /// The port that the service listens on.
    fn port(&self) -> Option<u16> {
        self.unit.as_ref().map_or(self.stack.port, |unit| unit.listening.port(None, self.stack.port))
    }

    /// Whether it is known what runs the release.
    fn has_service(&self) -> bool {
        self.unit.is_some() || self.stack.command.is_some()
    }
}

/// Looks at a repository. Reads a bounded part of its files, changes nothing, runs nothing; what
/// cannot be read counts as not there.
pub(crate) fn inspect(root: &Path) -> Findings {
    let tree = Tree::walk(root);
    let mut stack = stack::detect(&tree);
    let (variables, reads) = (surroundings::variables(&tree), reads::reads(&tree));
    surroundings::overlay(&tree, &mut stack, &variables, &reads);
    let branches = git::branches(root);
    Findings {
        name: project_name(root, stack.name.as_deref()),
        left_out: surroundings::left_out(&tree),
        written: surroundings::written_directories(&tree),
        unit: surroundings::unit(&tree),
        health: surroundings::health(&tree),
        variables,
        reads,
        branch: branches.production,
        staging_branch: branches.staging,
        check: checks::detect(&tree, stack.language),
        deploying_workflow: git::deploying_workflow(&tree).map(str::to_owned),
        stack,
    }
}

/// The name that the project's files say, else its directory's, made sound.
fn project_name(root: &Path, said: Option<&str>) -> ProjectName {
    let directory = root.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let candidates = said.map(str::to_owned).into_iter().chain(directory).chain(["app".to_owned()]);
    let mut sound = candidates.filter_map(|text| ProjectName::new(sound_name(&text)).ok());
    sound.next().expect("\"app\" is a sound name")
}

fn sound_name(text: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let name: String = text.trim().chars().map(sound).take(NAME_LENGTH_MAX).collect();
    name.trim_matches('-').to_lowercase()
}
