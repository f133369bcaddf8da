//! The picture of a `deploy_to`: every path outside Cutover's own directory with its type, mode, target and content.
//! What differs between two runs of the same deployment (times, and names made of them) is named alike.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What lies where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Picture(BTreeMap<String, String>);

/// How much of a file's content a difference shows, in characters.
const LINE_LENGTH_MAX: usize = 200;

/// What `release.json` says that does not depend on when it was said.
const RELEASE_KEYS: [&str; 9] =
    ["version", "state", "reason", "artifact", "commit", "subject", "bytes", "config", "verify"];

impl Picture {
    /// Looks at a `deploy_to`.
    pub(crate) fn of(srv: &Path) -> Self {
        let mut seen = Vec::new();
        walk(srv, "", &mut seen);
        let names = Names::of(srv, &seen);
        let mut picture: BTreeMap<String, String> =
            seen.iter().map(|path| (names.alike(path), names.alike(&describe(&srv.join(path))))).collect();
        // A shared directory that was made and stayed empty takes nothing from anyone.
        let empty =
            |path: &str| !seen.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
        picture.retain(|path, what| !(what.starts_with("directory") && path.starts_with("shared/") && empty(path)));
        Self(picture)
    }

    /// The lines in which two pictures differ: `+` is only in this one.
    pub(crate) fn difference(&self, other: &Self) -> Vec<String> {
        let only = |sign, one: &Self, other: &Self| -> Vec<String> {
            let differing = one.0.iter().filter(|(path, what)| other.0.get(*path) != Some(*what));
            differing
                .map(|(path, what)| {
                    format!("    {sign} {path}: {}\n", what.chars().take(LINE_LENGTH_MAX).collect::<String>())
                })
                .collect()
        };
        [only('+', self, other), only('-', other, self)].concat()
    }

    /// The picture without what is kept of releases that failed.
    pub(crate) fn without_bad_releases(&self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(path, _)| !path.contains(", bad>"))
                .map(|(path, what)| (path.clone(), what.clone()))
                .collect(),
        )
    }

    /// The description of a path.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// The env file and its backups.
    pub(crate) fn env_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|(path, _)| path.starts_with("shared/.env"))
            .map(|(path, what)| (path.as_str(), what.as_str()))
    }
}

fn walk(srv: &Path, below: &str, seen: &mut Vec<String>) {
    let Ok(listing) = fs::read_dir(srv.join(below)) else { return };
    for entry in listing {
        // What goes away meanwhile is part of no picture.
        let Some(name) = entry.ok().and_then(|entry| entry.file_name().into_string().ok()) else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if path == ".cutover" {
            continue;
        }
        if fs::symlink_metadata(srv.join(&path)).is_ok_and(|data| data.is_dir()) {
            walk(srv, &path, seen);
        }
        seen.push(path);
    }
}

fn describe(path: &Path) -> String {
    let Ok(data) = fs::symlink_metadata(path) else { return "gone".to_owned() };
    let mode = data.permissions().mode() & 0o7777;
    if data.is_symlink() {
        return format!("link to {}", fs::read_link(path).unwrap_or_default().display());
    }
    if data.is_dir() {
        return format!("directory {mode:o}");
    }
    let content = fs::read(path).unwrap_or_default();
    let content = String::from_utf8_lossy(&content).into_owned();
    let told = if path.ends_with("release.json") { lasting(&content) } else { content };
    format!("file {mode:o} {told:?}")
}

/// A `release.json` without what depends on the time.
fn lasting(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return format!("unreadable: {text}") };
    let mut kept: BTreeMap<&str, Value> =
        RELEASE_KEYS.iter().filter_map(|key| Some((*key, value.get(key)?.clone()))).collect();
    if let Some(reason) = kept.get("reason").and_then(Value::as_str).map(without_last_word) {
        kept.insert("reason", reason.into());
    }
    format!("{kept:?}")
}

/// Reasons end with the deployment's id.
fn without_last_word(text: &str) -> String {
    text.rsplit_once(' ').map_or(text, |(rest, _)| rest).to_owned()
}

/// Names that hold a time, and what they are called instead.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(srv: &Path, seen: &[String]) -> Self {
        let mut names = Vec::new();
        let mut releases: Vec<&str> =
            seen.iter().filter_map(|path| path.strip_prefix("releases/")).filter(|name| !name.contains('/')).collect();
        releases.sort_unstable();
        for id in releases {
            let mut called = title(&srv.join("releases").join(id));
            while names.iter().any(|(_, taken)| *taken == called) {
                called += "+";
            }
            names.push((id.to_owned(), called));
        }
        let mut backups: Vec<&str> = seen.iter().filter_map(|path| path.strip_prefix("shared/.env.bak.")).collect();
        backups.sort_unstable();
        names.extend(
            backups.iter().enumerate().map(|(at, time)| (format!(".env.bak.{time}"), format!(".env.bak #{at}"))),
        );
        // The longest first: a name may be the beginning of another.
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self(names)
    }

    fn alike(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, called)| text.replace(name, called))
    }
}

/// What a release is called: what it says of itself.
fn title(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("release.json")).unwrap_or_default();
    let release: Value = serde_json::from_str(&text).unwrap_or_default();
    match (release["subject"].as_str(), release["state"].as_str()) {
        (Some(subject), Some(state)) => format!("<{subject}, {state}>"),
        _ => format!("<{} without a description>", directory.file_name().unwrap_or_default().display()),
    }
}
