//! Where things lie: paths, globs, URLs and hosts.

use super::kind::{Kind, ListOf, Node, TextKind};
use super::sink::{Fault, Sink};
use crate::artifact::RelativePath;
use std::path::{Path, PathBuf};

/// The longest glob pattern in bytes.
const GLOB_LENGTH_MAX: usize = 500;
/// The longest URL in bytes.
const URL_LENGTH_MAX: usize = 4_000;
/// The longest host in bytes.
const HOST_LENGTH_MAX: usize = 300;

/// A path that stays inside the release.
pub(super) struct ReleasePath;

impl TextKind for ReleasePath {
    type Out = PathBuf;
    const WHAT: &'static str = "a path inside the release";
    const EXAMPLE: &'static str = "data/cache";

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        printable(text)?;
        match RelativePath::new(text) {
            Ok(path) => Ok(PathBuf::from(path.as_str())),
            Err(invalid) => Err(Fault::hinted(invalid.why, "write a relative path inside the release: \"data/cache\"")),
        }
    }
}

/// An absolute path that Cutover may fill: not the root, nothing relative in it.
pub(super) struct Directory;

impl TextKind for Directory {
    type Out = PathBuf;
    const WHAT: &'static str = "an absolute directory";
    const EXAMPLE: &'static str = "/opt/app";

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        printable(text)?;
        if text.starts_with('~') {
            return Err(Fault::hinted(
                "must be an absolute path",
                "write the home directory out: \"/home/deploy/app\"",
            ));
        }
        let Some(relative) = text.strip_prefix('/') else {
            return Err(Fault::hinted("must be an absolute path", "start it with '/'"));
        };
        let relative = relative.strip_suffix('/').unwrap_or(relative);
        if relative.is_empty() {
            return Err(Fault::hinted("must not be the root directory", "use a directory of its own: \"/opt/app\""));
        }
        match RelativePath::new(relative) {
            Ok(path) => Ok(PathBuf::from(format!("/{path}"))),
            Err(invalid) => Err(Fault::new(invalid.why)),
        }
    }

    fn text_schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^/.", "examples": [Self::EXAMPLE] })
    }
}

/// Directories that each system has for its own: what is made and removed in one of them lies among what is not Cutover's.
const SYSTEM_DIRECTORIES: [&str; 16] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr",
    "var",
];

/// A directory for Cutover alone: none of those that a system has for its own.
pub(super) struct OwnDirectory;

impl TextKind for OwnDirectory {
    type Out = PathBuf;
    const WHAT: &'static str = Directory::WHAT;
    const EXAMPLE: &'static str = Directory::EXAMPLE;

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        let path = Directory::parse(text)?;
        if SYSTEM_DIRECTORIES.iter().any(|name| path == Path::new("/").join(name)) {
            let shown = path.display();
            let why = format!("must not be {shown}, which is the system's own");
            return Err(Fault::hinted(why, "use a directory of its own: \"/opt/app\""));
        }
        Ok(path)
    }

    fn text_schema() -> serde_json::Value {
        Directory::text_schema()
    }
}

/// A file of the machine that the CLI runs on; relative to `cutover.toml`.
pub(super) struct LocalFile;

impl TextKind for LocalFile {
    type Out = PathBuf;
    const WHAT: &'static str = "a path";
    const EXAMPLE: &'static str = "ssh_config";

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        printable(text)?;
        let trimmed = text.strip_prefix('/').unwrap_or(text);
        if trimmed.is_empty() || text.len() > crate::artifact::PATH_LENGTH_MAX {
            return Err(Fault::new("is not the path of a file"));
        }
        Ok(PathBuf::from(text))
    }
}

/// A file on the host: absolute, or relative to `deploy_to` and inside of it.
pub(super) struct HostFile;

impl TextKind for HostFile {
    type Out = PathBuf;
    const WHAT: &'static str = "a path on the host";
    const EXAMPLE: &'static str = "shared/app.pid";

    fn parse(text: &str) -> Result<PathBuf, Fault> {
        if text.starts_with('/') { Directory::parse(text) } else { ReleasePath::parse(text) }
    }
}

/// A control character in a path would break unit files, logs and terminals.
pub(super) fn printable(text: &str) -> Result<(), Fault> {
    if text.contains(char::is_control) {
        return Err(Fault::new("has a control character"));
    }
    Ok(())
}

/// A glob pattern over the paths of a commit; as in `.gitignore`, it may begin with '/'.
pub(super) struct GlobPattern;

impl TextKind for GlobPattern {
    type Out = String;
    const WHAT: &'static str = "a glob pattern";
    const EXAMPLE: &'static str = "tests/**";

    fn parse(text: &str) -> Result<String, Fault> {
        printable(text)?;
        if text.is_empty() || text.len() > GLOB_LENGTH_MAX {
            return Err(Fault::new(format!("must have 1 to {GLOB_LENGTH_MAX} bytes")));
        }
        if text.split('/').any(|part| part == "..") {
            return Err(Fault::hinted("must not leave the repository", "write it as in \"tests/**\""));
        }
        if text.starts_with('!') {
            return Err(Fault::hinted("must not begin with '!'", "put the pattern into the other list"));
        }
        if matches!(text.trim_matches('/'), "" | ".") {
            return Err(Fault::hinted("names nothing", "write \"**\" for everything"));
        }
        match globset::Glob::new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(Fault::new(format!("is no glob pattern: {}", error.kind()))),
        }
    }
}

/// An `http://` or `https://` URL.
pub(super) struct Url;

impl TextKind for Url {
    type Out = String;
    const WHAT: &'static str = "a URL";
    const EXAMPLE: &'static str = "http://127.0.0.1:8000/health";

    fn parse(text: &str) -> Result<String, Fault> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let Some(rest) = rest else {
            return Err(Fault::hinted(
                "must start with http:// or https://",
                format!("write it like {:?}", Self::EXAMPLE),
            ));
        };
        if text.len() > URL_LENGTH_MAX || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Fault::new("is too long or has spaces"));
        }
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(Fault::new("must not contain a user or password"));
        }
        authority_fault(authority).map_or_else(|| Ok(text.to_owned()), Err)
    }

    fn text_schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^https?://[^\\s]+$", "examples": [Self::EXAMPLE] })
    }
}

fn authority_fault(authority: &str) -> Option<Fault> {
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return Some(Fault::new("has no sound host"));
    }
    port.and_then(|port| port_fault(port).err())
}

/// `host:port`, as a TCP probe connects to it.
pub(super) struct Address;

impl TextKind for Address {
    type Out = String;
    const WHAT: &'static str = "host:port";
    const EXAMPLE: &'static str = "127.0.0.1:5432";

    fn parse(text: &str) -> Result<String, Fault> {
        let (host, port) = split_port(text);
        let port = port.ok_or_else(|| Fault::hinted("has no port", format!("write it like {:?}", Self::EXAMPLE)))?;
        if !is_host(host) {
            return Err(Fault::new("has no sound host"));
        }
        port_fault(port)?;
        Ok(text.to_owned())
    }
}

/// `localhost`, or `[user@]host[:port]` as ssh would take it.
pub(super) struct Host;

impl TextKind for Host {
    type Out = String;
    const WHAT: &'static str = "a host";
    const EXAMPLE: &'static str = "deploy@web-1.example.org";

    fn parse(text: &str) -> Result<String, Fault> {
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        if let Some(user) = user {
            super::names::UserName::parse(user)?;
        }
        check_place(place, "write \"localhost\" or \"user@host\"")?;
        Ok(text.to_owned())
    }
}

/// Whether it is `host` or `host:port`.
pub(super) fn check_place(place: &str, hint: &str) -> Result<(), Fault> {
    let (host, port) = split_port(place);
    if !is_host(host) {
        return Err(Fault::hinted("is not a host", hint));
    }
    port.map_or(Ok(()), port_fault)
}

/// One host on the way, or several in order.
pub(super) struct Jumps;

impl Kind for Jumps {
    type Out = Vec<String>;

    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [ListOf::<Host>::schema(), Host::schema()] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Vec<String>> {
        if node.get_ref().is_array() {
            return ListOf::<Host>::decode(node, sink);
        }
        Host::decode(node, sink).map(|host| vec![host])
    }
}

/// What a host names, for comparing: without its user and ssh's usual port.
pub(super) fn machine(host: &str) -> String {
    let place = host.rsplit_once('@').map_or(host, |(_, place)| place);
    place.strip_suffix(":22").unwrap_or(place).to_ascii_lowercase()
}

/// Splits at the port's colon, which is not a colon of an IPv6 address in brackets.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

/// Whether ssh and a resolver can take it for a host and nothing else (never for an option).
fn is_host(text: &str) -> bool {
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    text.len() <= HOST_LENGTH_MAX
        && text.starts_with(|c: char| c.is_alphanumeric())
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn port_fault(port: &str) -> Result<(), Fault> {
    let sound = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if sound { Ok(()) } else { Err(Fault::new("has a port that is not from 1 to 65535")) }
}

/// The name of an HTTP header.
pub(super) struct HeaderName;

impl TextKind for HeaderName {
    type Out = String;
    const WHAT: &'static str = "a header name";
    const EXAMPLE: &'static str = "content-type";

    fn parse(text: &str) -> Result<String, Fault> {
        // The characters of a token, RFC 9110 section 5.6.2.
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.is_empty() && text.len() <= 200 && text.bytes().all(token) {
            return Ok(text.to_owned());
        }
        Err(Fault::new("is not a header name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<K: TextKind>(texts: &[&str]) -> Vec<bool> {
        texts.iter().map(|text| K::parse(text).is_ok()).collect()
    }

    fn assert_all<K: TextKind>(good: &[&str], bad: &[&str]) {
        assert_eq!(accepts::<K>(good), vec![true; good.len()], "{good:?}");
        assert_eq!(accepts::<K>(bad), vec![false; bad.len()], "{bad:?}");
    }

    #[test]
    fn a_deploy_directory_is_absolute_and_its_own() {
        assert_all::<Directory>(
            &["/opt/app", "/srv/a b/", "/home/ä"],
            &["", "/", "//", "opt/app", "~/app", "/opt/../etc", "/opt//app", "/opt/./app", "/a\nb", "/a\0b"],
        );
    }

    #[test]
    fn a_deploy_directory_is_none_of_the_system() {
        assert_all::<OwnDirectory>(
            &["/opt/app", "/var/www", "/home/deploy", "/etcetera", "/tmp/x"],
            &[
                "/", "/etc", "/usr/", "/bin", "/boot", "/dev", "/proc", "/sys", "/var", "/home", "/root", "/tmp",
                "opt/app",
            ],
        );
        assert_all::<Directory>(&["/home", "/run"], &[]);
    }

    #[test]
    fn a_release_path_cannot_leave_the_release() {
        assert_all::<ReleasePath>(&["data", "a/b", ".env"], &["", "/etc", "../x", "a/../b", "a//b", ".", "a\nb", "a/"]);
    }

    #[test]
    fn hosts_cannot_be_taken_for_options() {
        assert_all::<Host>(
            &["localhost", "deploy@10.0.0.1", "web-1", "a@b:2222", "[::1]", "root@[fe80::1]:22"],
            &["", "-oProxyCommand=x", "a@-x", "-l@x", "a b", "a@", "@a", "a:0", "a:99999", "a:+22", "[x]", "a;b"],
        );
    }

    #[test]
    fn hosts_name_one_machine_whoever_logs_in() {
        for host in ["web-1", "deploy@web-1", "root@WEB-1:22"] {
            assert_eq!(machine(host), "web-1", "{host}");
        }
        assert_ne!(machine("web-1:2222"), machine("web-1"));
        assert_ne!(machine("[fe80::22]"), machine("[fe80::]"));
    }

    #[test]
    fn urls_and_addresses() {
        assert_all::<Url>(
            &["http://127.0.0.1:8000/health", "https://example.org", "http://[::1]:80/?a=b"],
            &["", "ftp://x", "http://", "http:///x", "http://a b/", "http://u:p@h/", "http://h:0/", "127.0.0.1:80"],
        );
        assert_all::<Address>(&["localhost:5432", "[::1]:80"], &["localhost", "5432", ":80", "a:x", "a:"]);
    }

    #[test]
    fn globs() {
        assert_all::<GlobPattern>(
            &["**", "src/*.{py,toml}", "[ab]", "/tests", "./a"],
            &["", "/", "./", "../x", "!x", "a[", "a{b", "a\0"],
        );
    }
}
