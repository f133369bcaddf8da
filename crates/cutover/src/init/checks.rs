//! The tests of a repository, as a check that runs them.

use super::node::manager;
use super::stack::Language;
use super::tree::Tree;
use serde_json::Value;
use std::collections::BTreeSet;

/// Files that say what a Python project's tests need.
const PYTHON_SETTINGS: [&str; 7] =
    ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "requirements.txt", "requirements-dev.txt", "Pipfile"];
/// What `npm init` writes for a project without tests.
const NO_TESTS: &str = "no test specified";

/// What a Python project without a tool of its own needs.
const PYTHON_NEEDS: &str = "A fresh runner of a CI has nothing installed: let the command install first what it needs, as `pip install -r requirements.txt pytest && …` does.";
/// How many sources are read to find a test.
const SOURCE_COUNT_MAX: usize = 500;
/// How many commands find all tests at most.
const COMMAND_COUNT_MAX: usize = 4;

/// How the tests are run, and what they report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundCheck {
    /// Where they were found, for people.
    pub(super) evidence: String,
    /// The command.
    pub(super) run: String,
    /// What a runner needs before it, said in a comment.
    pub(super) needs: Option<String>,
    /// The JUnit report that it writes.
    pub(super) junit: Option<&'static str>,
}

/// The tests of a repository in this language.
pub(super) fn detect(tree: &Tree, language: Language) -> Option<FoundCheck> {
    match language {
        Language::Python => python(tree),
        Language::Node => node(tree),
        Language::Rust => rust(tree),
        Language::Go => first_test(tree, |name| name.ends_with("_test.go")).map(|file| plain(file, "go test ./...")),
        Language::Unknown => None,
    }
}

fn plain(evidence: &str, run: &str) -> FoundCheck {
    FoundCheck { evidence: evidence.to_owned(), run: run.to_owned(), needs: None, junit: None }
}

fn name_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

fn first_test(tree: &Tree, is_test: fn(&str) -> bool) -> Option<&str> {
    tree.files().find(|file| is_test(name_of(file)))
}

fn rust(tree: &Tree) -> Option<FoundCheck> {
    let is_tested =
        |file: &&&str| tree.read(file).is_some_and(|text| text.contains("#[test]") || text.contains("::test]"));
    tree.ending(&[".rs"]).iter().take(SOURCE_COUNT_MAX).find(is_tested).map(|file| plain(file, "cargo test"))
}

fn python(tree: &Tree) -> Option<FoundCheck> {
    let is_test = |file: &&str| {
        let name = name_of(file);
        name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"))
    };
    let tests: Vec<&str> = tree.files().filter(is_test).collect();
    let first = tests.first()?;
    let names_pytest = |path: &&str| tree.read(path).is_some_and(|text| text.contains("pytest"));
    let is_unittest = tree.read(first).is_some_and(|text| text.contains("unittest"));
    let is_unittest = is_unittest && !PYTHON_SETTINGS.iter().any(names_pytest) && !tree.has("conftest.py");
    let (python, needs) = interpreter(tree);
    let found = match is_unittest.then(|| unittest(tree, &tests, &python)).flatten() {
        Some(run) => plain(first, &run),
        None => {
            FoundCheck { junit: Some("junit.xml"), ..plain(first, &format!("{python} -m pytest --junitxml=junit.xml")) }
        }
    };
    Some(FoundCheck { needs: Some(needs), ..found })
}

/// The command that finds all of these tests with unittest, which looks into one directory and those packages beneath it, for files
/// of one pattern. None where that is many commands: pytest finds such tests, too.
fn unittest(tree: &Tree, tests: &[&str], python: &str) -> Option<String> {
    let mut commands = BTreeSet::new();
    for file in tests {
        let mut directory = file.rsplit_once('/').map_or(".", |(directory, _)| directory);
        while tree.has(&format!("{directory}/__init__.py"))
            && let Some((above, _)) = directory.rsplit_once('/')
        {
            directory = above;
        }
        // Goes into a line for the shell as it stands.
        if !directory.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.')) {
            return None;
        }
        let pattern = if name_of(file).starts_with("test") { "" } else { " -p '*_test.py'" };
        // A package is imported from where it lies.
        let top = if tree.has(&format!("{directory}/__init__.py")) { " -t ." } else { "" };
        commands.insert(format!("{python} -m unittest discover -s {directory}{top}{pattern}"));
    }
    (commands.len() <= COMMAND_COUNT_MAX).then(|| commands.into_iter().collect::<Vec<_>>().join(" && "))
}

/// How Python is called, and what a runner needs for it. What it compiles must not make the work tree another one than the commit.
fn interpreter(tree: &Tree) -> (String, String) {
    let tools = [
        ("uv.lock", "uv", ""),
        ("poetry.lock", "poetry", " && poetry install"),
        ("Pipfile.lock", "pipenv", " && pipenv sync --dev"),
    ];
    let ignored = tree
        .read(".gitignore")
        .is_some_and(|text| ["__pycache__", "*.pyc", "*.py["].iter().any(|one| text.contains(one)));
    let flag = if ignored { "" } else { " -B" };
    match tools.iter().find(|(lock, ..)| tree.has(lock)) {
        Some((_, tool, install)) => {
            let needs = format!(
                "A fresh runner of a CI may have no {tool}: let the command begin with `pipx install {tool}{install} && …` there."
            );
            (format!("{tool} run python{flag}"), needs)
        }
        None => (format!("python3{flag}"), PYTHON_NEEDS.to_owned()),
    }
}

fn node(tree: &Tree) -> Option<FoundCheck> {
    let package: Value = serde_json::from_str(&tree.read("package.json")?).ok()?;
    let test = package["scripts"]["test"].as_str()?.trim();
    let (manager, install) = manager(tree)?;
    let needs =
        format!("A fresh runner of a CI has nothing installed: let the command begin with `{install} && …` there.");
    let is_one = !test.is_empty() && !test.contains(NO_TESTS);
    let found = || plain("the script test of package.json", &format!("{manager} test"));
    is_one.then(|| FoundCheck { needs: Some(needs), ..found() })
}
