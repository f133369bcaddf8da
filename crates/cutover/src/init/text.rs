//! Small searches in source texts. They guess: what they find is shown to a person.

use std::net::Ipv4Addr;

/// Routes that tell health, the most usual first.
const HEALTH_ROUTES: [&str; 11] = [
    "/health",
    "/healthz",
    "/health/",
    "/healthcheck",
    "/health-check",
    "/_health",
    "/ready",
    "/readyz",
    "/livez",
    "/ping",
    "/up",
];
/// The longest route that is taken.
const ROUTE_LENGTH_MAX: usize = 60;
/// What stands before a port in a program's text.
const PORT_MARKERS: [&str; 12] = [
    ".listen(",
    "HTTPServer((",
    "PORT ||",
    "PORT ??",
    "\"PORT\"",
    "'PORT'",
    "port=",
    "port =",
    "PORT =",
    "ListenAndServe(",
    "Addr:",
    "0.0.0.0:",
];
/// What stands before a port in a command line.
const PORT_WORDS: [&str; 7] = ["--port", "-p", "--bind", "-b", "--addr", "--server.port", "PORT"];
/// How far behind its marker a port may stand, in characters that are no letters.
const PORT_DISTANCE_MAX: usize = 6;

/// The texts between quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| ['"', '\'', '`'].into_iter().flat_map(move |quote| line.split(quote).skip(1).step_by(2)))
}

/// The most usual health route that a text has, with its rank (0 is the best).
pub(super) fn health_route(text: &str) -> Option<(usize, String)> {
    let rank = |route: &str| HEALTH_ROUTES.iter().position(|known| route.ends_with(known));
    let ranked =
        quoted(text).filter(|route| is_route(route)).filter_map(|route| Some((rank(route)?, route.to_owned())));
    ranked.min_by_key(|(rank, route)| (*rank, route.len()))
}

fn is_route(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    text.starts_with('/') && !text.starts_with("//") && text.len() <= ROUTE_LENGTH_MAX && text.chars().all(plain)
}

/// The port that a program's text names.
pub(super) fn port_in_source(text: &str) -> Option<u16> {
    let behind = |marker: &str| text.match_indices(marker).find_map(|(at, _)| port_near(&text[at + marker.len()..]));
    PORT_MARKERS.into_iter().find_map(behind)
}

/// The number that follows after a few quotes, brackets and the like, and after the machine's name where one stands before it.
fn port_near(text: &str) -> Option<u16> {
    let text = next_word(text)?;
    let host = &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len())];
    let is_host = host == "localhost" || host.parse::<Ipv4Addr>().is_ok();
    leading_port(if is_host { next_word(&text[host.len()..])? } else { text })
}

fn next_word(text: &str) -> Option<&str> {
    let start = text.char_indices().take(PORT_DISTANCE_MAX).find(|(_, c)| c.is_ascii_alphanumeric())?.0;
    Some(&text[start..])
}

/// The port at the start of a text; small numbers are none, nor is the beginning of an address.
fn leading_port(text: &str) -> Option<u16> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    digits.parse().ok().filter(|port| *port >= 80 && !rest.starts_with('.'))
}

/// The port that a command line names: `--port 8000`, `-b 0.0.0.0:8000`, `${PORT:-8000}`.
pub(super) fn port_in_command(line: &str) -> Option<u16> {
    let words: Vec<&str> = line.split([' ', '=', '"', ',']).filter(|word| !word.is_empty()).collect();
    let named = words.windows(2).filter(|pair| PORT_WORDS.contains(&pair[0]));
    let named = named.map(|pair| pair[1]);
    named.chain(words.iter().copied().filter(|word| word.contains(':'))).find_map(port_of_word)
}

fn port_of_word(word: &str) -> Option<u16> {
    let tail = word.rsplit(':').next().unwrap_or(word);
    leading_port(tail.trim_start_matches('-'))
}

/// The port of a Dockerfile's first `EXPOSE`.
pub(super) fn exposed_port(dockerfile: &str) -> Option<u16> {
    dockerfile.lines().find_map(|line| leading_port(line.trim().strip_prefix("EXPOSE ")?.trim()))
}

/// A text as one short line for a comment.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_usual_health_route_is_found() {
        let route = |text| health_route(text).map(|(_, route)| route);
        assert_eq!(route("@app.get('/ping')\n@app.get(\"/api/health\")"), Some("/api/health".to_owned()));
        assert_eq!(route("x = \"/health?a\"; y = \"//health\"; z = '/a b/health'"), None);
    }

    #[test]
    fn ports_are_found_in_commands_and_sources() {
        assert_eq!(port_in_command("uvicorn app:app --host 0.0.0.0 --port 8080"), Some(8080));
        assert_eq!(port_in_command("gunicorn -b 127.0.0.1:9000 app"), Some(9000));
        assert_eq!(port_in_command("gunicorn --bind=:$PORT app"), None);
        assert_eq!(port_in_command("serve --port ${PORT:-5001}"), Some(5001));
        assert_eq!(port_in_source("app.listen(process.env.PORT || 3000)"), Some(3000));
        assert_eq!(port_in_source("os.environ.get(\"PORT\", \"8000\")"), Some(8000));
        assert_eq!(port_in_source("http.ListenAndServe(\":8080\", nil)"), Some(8080));
        assert_eq!(port_in_source("http.ListenAndServe(\"127.0.0.1:8080\", nil)"), Some(8080));
        assert_eq!(port_in_source("HTTPServer((\"127.0.0.1\", 8020), H)"), Some(8020));
        assert_eq!(port_in_command("python -m http.server --bind 127.0.0.1"), None);
        assert_eq!(port_in_source("port = config.port"), None);
        assert_eq!(exposed_port("FROM x\nEXPOSE 8000/tcp\n"), Some(8000));
    }
}
