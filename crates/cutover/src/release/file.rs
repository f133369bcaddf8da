//! The version that a file of the project says.

use cutover_core::release::Version;
use serde_json::Value;
use std::path::Path;
use toml::de::DeTable;

/// Reads the version of a file by its name: a manifest of Rust, Python or Node, or a text that is nothing else.
pub(super) fn version(path: &Path, text: &str) -> Result<Version, String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let found = match name {
        "Cargo.toml" => of_table(text, &[&["package", "version"], &["workspace", "package", "version"]])?,
        "pyproject.toml" => of_table(text, &[&["project", "version"], &["tool", "poetry", "version"]])?,
        "package.json" => {
            let json: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
            json.get("version").and_then(Value::as_str).map(str::to_owned).ok_or("it has no `version`")?
        }
        _ => text.trim().to_owned(),
    };
    found.parse().map_err(|error| format!("{error}"))
}

/// The first of these keys that is there and is a text: what a workspace hands on is a table.
fn of_table(text: &str, keys: &[&[&str]]) -> Result<String, String> {
    let table = DeTable::parse(text).map_err(|error| format!("it is no TOML: {}", error.message()))?;
    let value = |path: &&[&str]| {
        let (first, rest) = path.split_first()?;
        let node = rest.iter().try_fold(table.get_ref().get(*first)?, |node, key| node.get_ref().get(*key))?;
        node.get_ref().as_str().map(str::to_owned)
    };
    let names = || keys.iter().map(|path| format!("`{}`", path.join("."))).collect::<Vec<_>>().join(" or ");
    keys.iter().find_map(value).ok_or_else(|| format!("it has no text at {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<String, String> {
        version(Path::new(name), text).map(|version| version.to_string())
    }

    #[test]
    fn a_version_is_found_where_each_tool_keeps_it() {
        let found = [
            read("Cargo.toml", "[package]\nname = \"x\"\nversion = \"1.2.3\""),
            read(
                "api/Cargo.toml",
                "[package]\nversion = { workspace = true }\n[workspace.package]\nversion = \"1.2.4\"",
            ),
            read("pyproject.toml", "[project]\nversion = \"1.2.5\""),
            read("pyproject.toml", "[tool.poetry]\nversion = \"1.2.6\""),
            read("package.json", "{\"version\": \"1.2.7-rc.1\"}"),
            read("VERSION", "1.2.8\n"),
        ];
        let found: Vec<String> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, ["1.2.3", "1.2.4", "1.2.5", "1.2.6", "1.2.7-rc.1", "1.2.8"]);
    }

    #[test]
    fn a_file_without_one_is_said_to_have_none() {
        let told = [
            read("Cargo.toml", "[package]\nversion.workspace = true"),
            read("pyproject.toml", "[project]\ndynamic = [\"version\"]"),
            read("pyproject.toml", "[project]\nversion = \"1.2\""),
            read("package.json", "{}"),
            read("package.json", "{"),
            read("Cargo.toml", "["),
            read("VERSION", "v1.2.3"),
            read("VERSION", ""),
        ];
        let told: Vec<String> = told.into_iter().map(Result::unwrap_err).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        it has no text at `package.version` or `workspace.package.version`
        it has no text at `project.version` or `tool.poetry.version`
        "1.2" is no semantic version: it must be three numbers, as 1.2.3 is
        it has no `version`
        it is no JSON: EOF while parsing an object at line 1 column 1
        it is no TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
        "v1.2.3" is no semantic version: its parts must be numbers without a leading zero
        "" is no semantic version: it must be three numbers, as 1.2.3 is
        "#);
    }
}
