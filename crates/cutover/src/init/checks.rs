//! The tests of a repository, as a check that runs them.

use super::stack::Language;
use super::tree::Tree;
use serde_json::Value;

/// Files that say what a Python project's tests need.
const PYTHON_SETTINGS: [&str; 7] =
    ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "requirements.txt", "requirements-dev.txt", "Pipfile"];
/// What `npm init` writes for a project without tests.
const NO_TESTS: &str = "no test specified";

/// How the tests are run, and what they report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundCheck {
    /// Where they were found, for people.
    pub(super) evidence: String,
    /// The command.
    pub(super) run: String,
    /// What a runner needs before it, said in a comment.
    pub(super) needs: &'static str,
    /// The JUnit report that it writes.
    pub(super) junit: Option<&'static str>,
}

/// The tests of a repository in this language.
pub(super) fn detect(tree: &Tree, language: Language) -> Option<FoundCheck> {
    match language {
        Language::Python => python(tree),
        Language::Node => node(tree),
        Language::Rust => Some(plain("src", "cargo test")).filter(|_| tree.has("Cargo.toml")),
        Language::Go => first_test(tree, |name| name.ends_with("_test.go")).map(|file| plain(file, "go test ./...")),
        Language::Unknown => None,
    }
}

fn plain(evidence: &str, run: &str) -> FoundCheck {
    FoundCheck { evidence: evidence.to_owned(), run: run.to_owned(), needs: "", junit: None }
}

fn first_test(tree: &Tree, is_test: fn(&str) -> bool) -> Option<&str> {
    tree.files().find(|file| file.rsplit('/').next().is_some_and(is_test))
}

fn python(tree: &Tree) -> Option<FoundCheck> {
    let is_test = |name: &str| name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"));
    let file = first_test(tree, is_test)?;
    let names_pytest = |path: &&str| tree.read(path).is_some_and(|text| text.contains("pytest"));
    let is_unittest = tree.read(file).is_some_and(|text| text.contains("unittest"));
    if !PYTHON_SETTINGS.iter().any(names_pytest) && is_unittest && !tree.has("conftest.py") {
        let directory = file.rsplit_once('/').map_or(".", |(directory, _)| directory);
        // Goes into a line for the shell as it stands.
        let is_plain = directory.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.'));
        let directory = if is_plain { directory } else { "." };
        return Some(plain(file, &format!("python3 -m unittest discover -s {directory}")).needing(PYTHON_NEEDS));
    }
    let run = "python3 -m pytest --junitxml=junit.xml".to_owned();
    Some(FoundCheck { evidence: file.to_owned(), run, needs: PYTHON_NEEDS, junit: Some("junit.xml") })
}

const PYTHON_NEEDS: &str = "A fresh runner of a CI has nothing installed: let the command install first what it needs, as `pip install -r requirements.txt pytest && …` does.";
const NODE_NEEDS: &str =
    "A fresh runner of a CI has nothing installed: let the command begin with `npm ci && …` there.";

fn node(tree: &Tree) -> Option<FoundCheck> {
    let package: Value = serde_json::from_str(&tree.read("package.json")?).ok()?;
    let test = package["scripts"]["test"].as_str()?;
    (!test.contains(NO_TESTS)).then(|| plain("the script test of package.json", "npm test").needing(NODE_NEEDS))
}

impl FoundCheck {
    fn needing(self, needs: &'static str) -> Self {
        Self { needs, ..self }
    }
}
