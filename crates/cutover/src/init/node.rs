//! Node: package manager, build and start scripts.

use super::stack::{Language, Stack, command_line};
use super::text::{port_in_command, port_in_source};
use super::tree::Tree;
use serde_json::Value;

/// Files that are started where no script says so.
const ENTRIES: [&str; 6] = ["server.js", "index.js", "app.js", "src/server.js", "src/index.js", "server.mjs"];

/// How one package manager installs: its lock file, everything, only what runs.
const MANAGERS: [(&str, &str, &str, &str); 4] = [
    ("package-lock.json", "npm", "npm ci", "npm ci --omit=dev"),
    ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile", "pnpm install --frozen-lockfile --prod"),
    ("yarn.lock", "yarn", "yarn install --frozen-lockfile", "yarn install --frozen-lockfile --production"),
    ("package.json", "npm", "npm install", "npm install --omit=dev"),
];

/// The package manager that a repository with `package.json` uses, and how it installs everything.
pub(super) fn manager(tree: &Tree) -> Option<(&'static str, &'static str)> {
    MANAGERS.iter().find(|manager| tree.has(manager.0)).map(|(_, manager, all, _)| (*manager, *all))
}

/// What `package.json` says; None where there is none.
pub(super) fn detect(tree: &Tree) -> Option<Stack> {
    let text = tree.read("package.json")?;
    let package: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut stack = Stack::new(Language::Node);
    stack.name = package["name"].as_str().map(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
    stack.evidence.push("Node (package.json)".to_owned());
    let (_, manager, all, only_what_runs) = MANAGERS.iter().find(|manager| tree.has(manager.0))?;
    if package["scripts"]["build"].is_string() {
        let command = format!("{all} && {manager} run build");
        stack.build = Some((command, "Built once, in a clean checkout; what it makes goes into the artifact."));
        stack.exclude.push("node_modules/**".to_owned());
    }
    if package["dependencies"].as_object().is_some_and(|dependencies| !dependencies.is_empty()) {
        stack.install = Some((*only_what_runs).to_owned());
    }
    find_entry(tree, &package, manager, &mut stack);
    Some(stack)
}

fn find_entry(tree: &Tree, package: &Value, manager: &str, stack: &mut Stack) {
    let start = package["scripts"]["start"].as_str().filter(|start| !start.trim().is_empty());
    let main = package["main"].as_str().filter(|main| tree.has(main.trim_start_matches("./")));
    let file = main.or_else(|| tree.first_of(&ENTRIES));
    let line = match (start, file) {
        // Signals reach the program itself when no package manager stands before it.
        (Some(start), _) if start.starts_with("node ") => start.to_owned(),
        (Some(_), _) => format!("{manager} start"),
        (None, Some(file)) => format!("node {file}"),
        (None, None) => return,
    };
    stack.evidence.push(format!("started with `{line}`"));
    let source = line.strip_prefix("node ").or(file).and_then(|file| tree.read(file.trim_start_matches("./")));
    stack.port = start.and_then(port_in_command).or_else(|| port_in_source(&source?));
    stack.command = Some(command_line(&line));
    stack.variables.push(("NODE_ENV".to_owned(), "production".to_owned()));
}
