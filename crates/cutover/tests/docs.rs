//! The documentation says what the code does: keys, examples, links and commands.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use cutover_core::config::{Config, json_schema, reference};
use cutover_workflows::project_action;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BEGIN: &str = "<!-- reference: begin -->\n";
const END: &str = "<!-- reference: end -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_reference_of_keys_is_what_the_code_says() {
    let guide = read("docs/configuration.md");
    let (head, rest) = guide.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();

    if std::env::var_os("CUTOVER_WRITE_DOCS").is_some() {
        fs::write(root().join("docs/configuration.md"), format!("{head}{BEGIN}{}{END}{tail}", reference())).unwrap();
        return;
    }

    assert!(written == reference(), "docs/configuration.md is not what the code says: run ./dev docs");
}

#[test]
fn the_action_for_workflows_of_others_is_what_the_code_says() {
    if std::env::var_os("CUTOVER_WRITE_DOCS").is_some() {
        fs::write(root().join("action.yml"), project_action()).unwrap();
        return;
    }

    assert!(read("action.yml") == project_action(), "action.yml is not what the code says: run ./dev docs");
}

#[test]
fn the_file_with_every_key_is_sound_and_has_every_key() {
    let text = blocks(&read("docs/configuration.md"), "toml").concat();

    let checked = Config::check(&text);
    assert!(checked.diagnostics.is_empty(), "{:#?}", checked.diagnostics);
    let used: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let missing: Vec<String> = keys().into_iter().filter(|key| !used.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/configuration.md has no example of: {}", missing.join(", "));
}

#[test]
fn every_key_of_the_schema_is_in_the_reference() {
    let guide = read("docs/configuration.md");
    let missing: Vec<String> = keys().into_iter().filter(|key| !guide.contains(&format!("| `{key}` |"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not tell of: {}", missing.join(", "));
}

/// Every key of the schema, whatever table it is in.
fn keys() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&json_schema(), &mut found);
    assert!(found.len() > 50, "{found:?}");
    found
}

fn collect(schema: &Value, found: &mut BTreeSet<String>) {
    for (key, nested) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(key.clone());
        collect(nested, found);
    }
    for form in schema["anyOf"].as_array().into_iter().flatten() {
        collect(form, found);
    }
    for nested in [&schema["additionalProperties"], &schema["items"]].into_iter().filter(|nested| nested.is_object()) {
        collect(nested, found);
    }
}

/// The fenced blocks of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let rests = text.split(fence.as_str()).skip(1);
    rests.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_example_is_sound() {
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path().join("cutover.toml");
        let checked = Config::check(&fs::read_to_string(&path).unwrap());
        assert!(checked.diagnostics.is_empty(), "{}: {:#?}", path.display(), checked.diagnostics);
    }
    for page in ["README.md", "docs/workflows.md"] {
        for text in blocks(&read(page), "toml") {
            let checked = Config::check(&text);
            assert!(checked.diagnostics.is_empty(), "{page}: {:#?}", checked.diagnostics);
        }
    }
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_ours = !file.is_empty() && !file.contains("://");
            if is_ours && !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// Every page of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut todo: Vec<PathBuf> = ["docs", "examples", "bench"].map(|dir| root().join(dir)).into();
    pages.extend(fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()));
    while let Some(dir) = todo.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { todo.push(path) } else { pages.push(path) }
        }
    }
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

#[test]
fn every_command_of_the_documentation_exists() {
    let known = commands();
    let mut unknown = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for command in named_commands(&text) {
            if !known.contains(&command) {
                unknown.push(format!("{}: cutover {command}", page.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "there is no such command:\n{}", unknown.join("\n"));
}

/// What stands after `cutover ` at the beginning of code or of a line in a block.
fn named_commands(text: &str) -> Vec<String> {
    let beginnings = ["`cutover ", "\ncutover ", "\n$ cutover "];
    let code = beginnings.iter().flat_map(|beginning| text.split(beginning).skip(1));
    let word = |rest: &str| rest.chars().take_while(char::is_ascii_lowercase).collect::<String>();
    code.map(word).filter(|word| !word.is_empty()).collect()
}

/// The commands that `cutover help` lists.
fn commands() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: BTreeSet<String> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() > 5, "{help}");
    names
}
