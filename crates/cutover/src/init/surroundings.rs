//! What lies around a project's code: unit files, Procfile, Dockerfile, example variables.

use super::listening::{Listening, listening};
use super::reads::Reads;
use super::stack::{Stack, command_line};
use super::text::{exposed_port, health_route};
use super::tree::Tree;
use cutover_core::config::{CommandLine, SystemdScope};
use std::collections::BTreeMap;

/// Endings of sources in which routes are looked for.
const SOURCES: [&str; 9] = [".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rs", ".rb", ".php"];
/// The most sources in which routes are looked for.
const SOURCE_COUNT_MAX: usize = 400;
/// Examples of env files.
const ENV_EXAMPLES: [&str; 4] = [".env.example", ".env.sample", ".env.template", ".env.dist"];
/// The most variables that are taken from an example.
const VARIABLE_COUNT_MAX: usize = 50;
/// Parts of names whose values are secrets.
const SECRET_PARTS: [&str; 9] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL", "DSN", "DATABASE_URL", "WEBHOOK"];
/// Ignored directories that hold what a service writes.
const WRITTEN: [&str; 6] = ["data", "uploads", "media", "storage", "logs", "var"];
/// Python programs that a virtual environment holds.
const PYTHON_PROGRAMS: [&str; 8] =
    ["uvicorn", "gunicorn", "hypercorn", "flask", "celery", "streamlit", "waitress-serve", "daphne"];

/// A systemd unit that lies in the repository.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// Its file.
    pub(super) file: String,
    /// Its name with the suffix.
    pub(super) name: String,
    /// Whose systemd it is made for.
    pub(super) scope: SystemdScope,
    /// Where it expects the releases, and the directory as it says it.
    pub(super) directory: Option<(String, String)>,
    /// Where its command listens.
    pub(super) listening: Listening,
}

/// The first unit file that describes one service.
pub(super) fn unit(tree: &Tree) -> Option<Unit> {
    let files = tree.ending(&[".service"]).into_iter();
    files.into_iter().find_map(|file| read_unit(tree, file, &tree.read(file)?))
}

fn read_unit(tree: &Tree, file: &str, text: &str) -> Option<Unit> {
    let name = file.rsplit('/').next()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if !name.bytes().all(plain) || name.starts_with(['-', '.']) || name.len() > 200 {
        return None;
    }
    let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    let start = value("ExecStart")?.trim();
    let for_user = value("WantedBy").is_some_and(|wanted| wanted.contains("default.target"));
    let directory = value("WorkingDirectory").map(str::trim).and_then(|directory| {
        let releases = directory.split("/current").next()?.trim_end_matches('/');
        is_own_directory(releases).then(|| (releases.to_owned(), directory.to_owned()))
    });
    let scope = if for_user { SystemdScope::User } else { SystemdScope::System };
    let set = text.lines().filter_map(|line| line.trim().strip_prefix("Environment=")).find_map(port_variable);
    let listening = match (listening(tree, start), set) {
        (Listening::AtVariable(_) | Listening::Unsaid, Some(port)) => Listening::At(port),
        (said, _) => said,
    };
    Some(Unit { file: file.to_owned(), name: name.to_owned(), scope, directory, listening })
}

/// The value of `PORT` among the variables that a line sets.
fn port_variable(line: &str) -> Option<u16> {
    line.split([' ', '"', '\'']).find_map(|word| word.strip_prefix("PORT=")?.parse().ok())
}

fn is_own_directory(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    let parts = text.strip_prefix('/').unwrap_or_default();
    text.len() <= 200 && text.chars().all(plain) && parts.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Lays what a Procfile and a Dockerfile say over what the language's files say. The port is the one at which the command listens,
/// with the variables that it gets.
pub(super) fn overlay(tree: &Tree, stack: &mut Stack, variables: &Variables, reads: &Reads) {
    let exposed = tree.read("Dockerfile").as_deref().and_then(exposed_port);
    if let Some(port) = exposed {
        stack.evidence.push(format!("a Dockerfile that exposes port {port}"));
    }
    if let Some(line) = tree.read("Procfile").as_deref().and_then(procfile_web) {
        stack.evidence.push("the web process of the Procfile".to_owned());
        stack.port = exposed.or(stack.port);
        stack.command = Some(command_line(&in_environment(&line, stack)));
    }
    let said = match &stack.command {
        Some(CommandLine::Shell(line)) => listening(tree, line),
        Some(CommandLine::Argv(words)) => listening(tree, &words.join(" ")),
        None => Listening::Unsaid,
    };
    let said =
        if said == Listening::Unsaid && reads.plain.contains("PORT") { Listening::AtVariable(None) } else { said };
    let given = variables.plain.get("PORT").and_then(|port| port.parse().ok());
    stack.port = said.port(given, stack.port.or(exposed));
    if wants_port_variable(stack) {
        let port = *stack.port.get_or_insert(8000);
        stack.variables.push(("PORT".to_owned(), port.to_string()));
    }
}

fn procfile_web(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("web:"))?.trim();
    (!line.is_empty() && !line.contains(char::is_control)).then(|| line.to_owned())
}

/// The command with the programs of the release's own environment.
fn in_environment(line: &str, stack: &Stack) -> String {
    let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
    if stack.requirements.is_none() {
        return line.to_owned();
    }
    match program {
        "python" | "python3" => format!(".venv/bin/python {rest}"),
        program if PYTHON_PROGRAMS.contains(&program) => {
            format!(".venv/bin/python -m {} {rest}", program.replace('-', "_"))
        }
        _ => line.to_owned(),
    }
}

fn wants_port_variable(stack: &Stack) -> bool {
    match &stack.command {
        Some(CommandLine::Shell(line)) => line.contains("$PORT") || line.contains("${PORT"),
        Some(CommandLine::Argv(_)) | None => false,
    }
}

/// The health route that the sources name, and where.
pub(super) fn health(tree: &Tree) -> Option<(String, String)> {
    let sources = tree.ending(&SOURCES).into_iter().take(SOURCE_COUNT_MAX);
    let found = sources.filter_map(|file| Some((health_route(&tree.read(file)?)?, file)));
    let ((_, route), file) = found.min_by_key(|((rank, _), _)| *rank)?;
    Some((route, file.to_owned()))
}

/// The variables of an example env file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    /// The file.
    pub(super) file: Option<String>,
    /// Names and values of what is no secret.
    pub(super) plain: BTreeMap<String, String>,
    /// Names of what looks like a secret.
    pub(super) secret: Vec<String>,
}

/// Reads the first example env file.
pub(super) fn variables(tree: &Tree) -> Variables {
    let Some(file) = tree.first_of(&ENV_EXAMPLES) else { return Variables::default() };
    let text = tree.read(file).unwrap_or_default();
    let mut variables = Variables { file: Some(file.to_owned()), ..Variables::default() };
    for (name, value) in text.lines().filter_map(variable).take(VARIABLE_COUNT_MAX) {
        if is_secret(&name) || has_password(&value) {
            variables.secret.push(name);
        } else if !value.is_empty() {
            variables.plain.insert(name, value);
        }
    }
    variables.secret.sort();
    variables.secret.dedup();
    variables
}

/// Whether a variable's name looks as if its value were a secret.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a value is an address with a password in it, which a file that is committed must not have.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    has_login(place) || query.split(['&', ';', '#']).filter_map(|part| part.split_once('=')).any(opens_something)
}

/// Whether a login with a password stands before the host. People write `/` and `#` into passwords as they are: what is no host up to
/// there is a login's beginning.
fn has_login(place: &str) -> bool {
    let authority = place.split(['/', '#']).next().unwrap_or(place);
    let login = match authority.rsplit_once('@') {
        Some((login, _)) => login,
        None if !is_host(authority) => place.rsplit_once('@').map_or("", |(login, _)| login),
        None => "",
    };
    login.split_once(':').is_some_and(|(_, word)| !word.is_empty())
}

/// Whether this is a host, perhaps with a port.
fn is_host(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a part of a query is a password or a token.
fn opens_something((name, value): (&str, &str)) -> bool {
    let name = name.to_uppercase();
    !value.is_empty() && (is_secret(&name) || name == "PWD")
}

/// Whether this is how variables are named.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 100
}

fn variable(line: &str) -> Option<(String, String)> {
    let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
    let (name, value) = line.split_once('=')?;
    let value = value.trim().trim_matches(['"', '\'']);
    let plain = value.len() <= 300 && !value.contains(char::is_control);
    (is_variable(name) && plain).then(|| (name.to_owned(), value.to_owned()))
}

/// Directories that git ignores because the service writes into them.
pub(super) fn written_directories(tree: &Tree) -> Vec<String> {
    let text = tree.read(".gitignore").unwrap_or_default();
    let ignored: Vec<&str> = text.lines().map(|line| line.trim().trim_matches('/')).collect();
    WRITTEN.into_iter().filter(|name| ignored.contains(name)).map(str::to_owned).collect()
}

/// Directories that a running service does not need.
pub(super) fn left_out(tree: &Tree) -> Vec<String> {
    let names = ["tests", "test", "docs", ".github"].into_iter().filter(|name| tree.has_directory(name));
    names.map(|name| format!("{name}/**")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_is_told_from_one_without() {
        for secret in [
            "postgres://shop:made-up@db/shop",
            "postgres://shop:q/7Zx@db/shop",
            "redis://:p#w@cache/0",
            "jdbc:postgresql://db/shop?user=a&password=made-up",
            "https://example.org/?access_token=made-up",
        ] {
            assert!(has_password(secret), "{secret}");
        }
        for plain in
            ["https://example.org:8443/a@b:c", "http://[::1]:8000/", "https://ada@example.org/?page=2", "db:5432"]
        {
            assert!(!has_password(plain), "{plain}");
        }
    }
}
