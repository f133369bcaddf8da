//! Rust: the binary that a release is.

use super::stack::{Language, Stack, command_line};
use super::text::port_in_source;
use super::tree::Tree;
use toml::de::{DeTable, DeValue};

/// What `Cargo.toml` says; None where there is none.
pub(super) fn detect(tree: &Tree) -> Option<Stack> {
    let root = tree.read("Cargo.toml")?;
    let mut stack = Stack::new(Language::Rust);
    stack.evidence.push("Rust (Cargo.toml)".to_owned());
    let Some((package, source)) = find_package(tree, &root) else { return Some(stack) };
    let binary = format!("target/release/{package}");
    let build = "Built where you build: same platform as the hosts, or the static target musl.";
    stack.build = Some((format!("cargo build --release --locked --bin {package}"), build));
    stack.include = vec![binary.clone()];
    let beside = ["migrations", "static", "templates", "assets"].into_iter().filter(|name| tree.has_directory(name));
    stack.include.extend(beside.map(|name| format!("{name}/**")));
    stack.port = tree.read(&source).as_deref().and_then(port_in_source);
    stack.command = Some(command_line(&binary));
    stack.name = Some(package);
    Some(stack)
}

/// The package with a program: the root's, else the first member's.
fn find_package(tree: &Tree, root: &str) -> Option<(String, String)> {
    if tree.has("src/main.rs") {
        return Some((binary_name(root)?, "src/main.rs".to_owned()));
    }
    let programs = tree.ending(&["/src/main.rs"]).into_iter();
    programs.into_iter().find_map(|source| {
        let manifest = tree.read(&format!("{}/Cargo.toml", source.strip_suffix("/src/main.rs")?))?;
        Some((binary_name(&manifest)?, source.to_owned()))
    })
}

/// The name of the first `[[bin]]`, else of the package.
fn binary_name(manifest: &str) -> Option<String> {
    let (table, _) = DeTable::parse_recoverable(manifest);
    let table = table.get_ref();
    let name = |value: &DeValue<'_>| value.get("name").and_then(|name| name.get_ref().as_str().map(str::to_owned));
    let binary = table.get("bin").and_then(|bins| name(bins.get_ref().as_array()?.first()?.get_ref()));
    let found = binary.or_else(|| name(table.get("package")?.get_ref()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!found.starts_with('-') && found.chars().all(plain)).then_some(found)
}
