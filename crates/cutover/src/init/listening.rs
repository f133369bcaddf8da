//! Where a command listens, by its own words and by what the servers do that it starts.

use super::text::{port_in_command, port_in_source};
use super::tree::Tree;

/// Where a command listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listening {
    /// At this port, whatever else is said.
    At(u16),
    /// At the port of the variable `PORT`; at this one where that is not set.
    AtVariable(Option<u16>),
    /// At no port that anybody could ask: a socket in the file system, or a port that a file says in its own way.
    Elsewhere,
    /// Its words don't say.
    Unsaid,
}

impl Listening {
    /// The port, where `PORT` has this value in production, and where others guess at that one.
    pub(super) fn port(self, variable: Option<u16>, guessed: Option<u16>) -> Option<u16> {
        match self {
            Self::At(port) => Some(port),
            Self::AtVariable(otherwise) => variable.or(otherwise).or(guessed),
            Self::Elsewhere => None,
            Self::Unsaid => guessed,
        }
    }
}

/// A server, the port that it has where it is told none, and whether `PORT` tells it.
struct Server {
    name: &'static str,
    port: u16,
    reads_variable: bool,
}

const fn server(name: &'static str, port: u16, reads_variable: bool) -> Server {
    Server { name, port, reads_variable }
}

/// What each has by its own documentation.
const SERVERS: [Server; 10] = [
    server("gunicorn", 8000, true),
    server("uvicorn", 8000, false),
    server("hypercorn", 8000, false),
    server("daphne", 8000, false),
    server("waitress-serve", 8080, false),
    server("waitress_serve", 8080, false),
    server("streamlit", 8501, false),
    server("flask", 5000, false),
    server("http.server", 8000, false),
    server("runserver", 8000, false),
];
/// The file that gunicorn reads where it is told none.
const GUNICORN_FILE: &str = "gunicorn.conf.py";
/// Options that say where a server listens.
const ADDRESS_OPTIONS: [&str; 9] =
    ["-b", "--bind", "--uds", "--fd", "--unix-socket", "--listen", "--port", "-p", "--server.port"];

/// Where a command listens.
pub(super) fn listening(tree: &Tree, line: &str) -> Listening {
    if line.contains("$PORT") || line.contains("${PORT") {
        return Listening::AtVariable(port_in_command(line));
    }
    let words: Vec<&str> = line.split([' ', '=', '"', '\'', ',']).filter(|word| !word.is_empty()).collect();
    if let Some(port) = port_in_command(line) {
        return Listening::At(port);
    }
    let named = |word: &&str| SERVERS.iter().find(|server| word.rsplit('/').next() == Some(server.name));
    let Some((at, server)) = words.iter().enumerate().find_map(|(at, word)| Some((at, named(word)?))) else {
        return Listening::Unsaid;
    };
    let options = &words[at + 1..];
    if ["http.server", "runserver"].contains(&server.name) {
        return Listening::At(options.iter().find_map(|word| word.parse().ok()).unwrap_or(server.port));
    }
    if server.name == "gunicorn"
        && let Some(bound) = bound(tree, options)
    {
        return bound;
    }
    // It is told where, and no port in that is understood.
    if options.iter().any(|word| ADDRESS_OPTIONS.contains(word)) {
        return Listening::Elsewhere;
    }
    if server.reads_variable { Listening::AtVariable(Some(server.port)) } else { Listening::At(server.port) }
}

/// What gunicorn's own file says of the address that it binds; None where there is no file, or nothing of that in it.
fn bound(tree: &Tree, options: &[&str]) -> Option<Listening> {
    let named = options.windows(2).find(|pair| ["-c", "--config"].contains(&pair[0])).map(|pair| pair[1]);
    let file = named.unwrap_or(GUNICORN_FILE);
    let text = tree.read(file.trim_start_matches("python:").trim_start_matches("file:").trim_start_matches("./"));
    let Some(text) = text else { return named.map(|_| Listening::Elsewhere) };
    let line = text.lines().find(|line| line.split('=').next().is_some_and(|name| name.trim() == "bind"))?;
    Some(match (line.contains("PORT"), port_in_command(line).or_else(|| port_in_source(line))) {
        (true, port) => Listening::AtVariable(port),
        (false, Some(port)) => Listening::At(port),
        (false, None) => Listening::Elsewhere,
    })
}
