//! Go: the binary that a release is.

use super::stack::{Language, Stack, command_line};
use super::text::port_in_source;
use super::tree::Tree;

/// What `go.mod` says; None where there is none.
pub(super) fn detect(tree: &Tree) -> Option<Stack> {
    let text = tree.read("go.mod")?;
    let mut stack = Stack::new(Language::Go);
    stack.evidence.push("Go (go.mod)".to_owned());
    let path = text.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim();
    let name = path.rsplit('/').find(|part| !is_major_version(part)).unwrap_or("app").to_owned();
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') || name.starts_with('-') {
        return Some(stack);
    }
    let source = tree.first_of(&["main.go"]).or_else(|| tree.ending(&["/main.go"]).first().copied());
    if let Some((source, package)) = source.and_then(|source| Some((source, package_of(source)?))) {
        let binary = format!("bin/{name}");
        let build = "Built where you build: set GOOS and GOARCH when the hosts differ.";
        stack.build = Some((format!("CGO_ENABLED=0 go build -trimpath -o {binary} {package}"), build));
        stack.include = vec![binary.clone()];
        stack.port = tree.read(source).as_deref().and_then(port_in_source);
        stack.command = Some(command_line(&binary));
    }
    stack.name = Some(name);
    Some(stack)
}

/// `v2` at the end of a module's path is no name.
fn is_major_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// The package of a source as `go build` takes it; None when it would need quotes.
fn package_of(source: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    let directory = source.strip_suffix("main.go")?.trim_end_matches('/');
    let package = if directory.is_empty() { ".".to_owned() } else { format!("./{directory}") };
    package.chars().all(plain).then_some(package)
}
