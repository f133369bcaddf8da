//! Tags, releases and their files.

use super::http::{Received, Reply};
use super::objects::{API, WEB, WHEN, user};
use super::routes::{Page, decoded, found, has_id, invalid, not_found, permitted, text};
use super::state::{LOGIN, Limits, State};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What the fake has of releases.
#[derive(Default)]
pub(super) struct Releases {
    /// References: their whole names, and what they point at.
    pub(super) references: Vec<(String, Value)>,
    /// Tag objects.
    pub(super) tags: Vec<Value>,
    /// Releases, the oldest first, with their files.
    pub(super) all: Vec<Value>,
    /// What files hold, by their number.
    pub(super) contents: Vec<(u64, Vec<u8>)>,
    /// Whether a release that everybody sees takes no file any more.
    pub(super) are_immutable: bool,
    /// Where files shall go instead.
    pub(super) elsewhere: Option<String>,
    /// Where files are read.
    pub(super) storage: String,
    /// How many files are told of with a release at most.
    pub(super) told_count: Option<usize>,
}

/// What the fake calls the newest commit of the default branch, of which it has none.
pub fn newest_commit() -> String {
    "d".repeat(40)
}

/// How many files a release takes.
const FILE_COUNT_MAX: usize = 1_000;

/// Answers what concerns tags and releases; None where something else is asked.
pub(super) fn answer(state: &mut State, request: &Received, parts: &[&str], page: &Page) -> Option<Reply> {
    let asked = &request.body;
    let write = |state: &mut State, act: &dyn Fn(&mut State) -> Reply| permitted(state, "contents", act);
    Some(match (request.method.as_str(), parts) {
        ("GET", ["git", "ref", name]) => reference(state, &format!("refs/{}", decoded(name))),
        ("GET", ["git", "ref", "tags", name]) => reference(state, &format!("refs/tags/{name}")),
        ("GET", ["git", "tags", sha]) => found(state.releases.tags.iter().find(|tag| tag["sha"] == **sha).cloned()),
        ("POST", ["git", "tags"]) => write(state, &|state| make_tag(state, asked)),
        ("POST", ["git", "refs"]) => write(state, &|state| make_reference(state, asked)),
        ("GET", ["releases"]) => page.list(listed(state)),
        ("POST", ["releases"]) => {
            let host = request.header("host").unwrap_or_default().to_owned();
            write(state, &|state| make(state, asked, &host))
        }
        ("GET", ["releases", "tags", tag]) => {
            let tag = decoded(tag);
            let seen = state.releases.all.iter().find(|one| one["tag_name"] == *tag && one["draft"] == false);
            found(seen.map(|one| told(state, one)))
        }
        ("GET", ["releases", "assets", id]) => file(state, request, id),
        ("PATCH", ["releases", id]) => write(state, &|state| change(state, id, asked)),
        ("DELETE", ["releases", id]) => write(state, &|state| {
            let count = state.releases.all.len();
            state.releases.all.retain(|one| !has_id(one, id));
            if state.releases.all.len() < count { Reply::ok(204, Value::Null) } else { not_found() }
        }),
        ("GET", ["releases", id, "assets"]) => {
            let release = state.releases.all.iter().find(|one| has_id(one, id));
            release.map_or_else(not_found, |one| page.list(one["assets"].as_array().cloned().unwrap_or_default()))
        }
        ("POST", ["releases", id, "assets"]) => {
            let name = page.value("name").unwrap_or_default();
            write(state, &|state| upload(state, id, &name, &request.raw))
        }
        ("DELETE", ["releases", "assets", id]) => write(state, &|state| remove(state, id)),
        _ => return None,
    })
}

fn reference(state: &State, name: &str) -> Reply {
    let known = state.releases.references.iter().find(|(known, _)| known == name);
    found(known.map(
        |(_, object)| json!({ "ref": name, "node_id": "REF_1", "url": format!("{API}/git/{name}"), "object": object }),
    ))
}

/// An object is not known to anybody before a reference leads to it.
fn make_tag(state: &mut State, asked: &Value) -> Reply {
    let [tag, object] = ["tag", "object"].map(|name| text(asked, name).to_owned());
    if tag.is_empty() || asked.get("message").is_none() || object.len() != 40 || text(asked, "type") != "commit" {
        return invalid("tag, message, object and type are needed");
    }
    let sha = format!("{:040x}", 0xa000_0000 + state.next_id());
    let made = json!({
        "sha": sha, "node_id": "TAG_1", "url": format!("{API}/git/tags/{sha}"), "tag": tag, "message": asked["message"],
        "tagger": { "name": LOGIN, "email": "bot@example.org", "date": WHEN },
        "object": { "sha": object, "type": "commit", "url": format!("{API}/git/commits/{object}") },
        "verification": { "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null },
    });
    state.releases.tags.push(made.clone());
    Reply::ok(201, made)
}

fn make_reference(state: &mut State, asked: &Value) -> Reply {
    let [name, sha] = ["ref", "sha"].map(|name| text(asked, name).to_owned());
    if !name.starts_with("refs/") || name.split('/').count() < 3 || sha.len() != 40 {
        return invalid("ref and sha are needed");
    }
    if state.releases.references.iter().any(|(known, _)| *known == name) {
        return Reply::refusal(422, "Reference already exists");
    }
    let kind = if state.releases.tags.iter().any(|tag| tag["sha"] == sha) { "tag" } else { "commit" };
    state.add_reference(&name, &sha, kind);
    let mut made = reference(state, &name);
    made.status = 201;
    made
}

/// A release with as many of its files as are told of.
fn told(state: &State, release: &Value) -> Value {
    let mut release = release.clone();
    let count = state.releases.told_count.unwrap_or(usize::MAX);
    release["assets"].as_array_mut().into_iter().for_each(|assets| assets.truncate(count));
    release
}

/// A file: what it is, or where whoever knows the address may read it, for a while and without a token.
fn file(state: &State, request: &Received, id: &str) -> Reply {
    let mut files = state.releases.all.iter().filter_map(|one| one["assets"].as_array()).flatten();
    let Some(asset) = files.find(|asset| has_id(asset, id)) else { return not_found() };
    match request.header("accept") {
        Some("application/octet-stream") if asset["state"] == "uploaded" => {
            Reply::moved(format!("{}/file/{id}?signature=made-up", state.releases.storage))
        }
        Some("application/octet-stream") => not_found(),
        Some(_) | None => Reply::ok(200, asset.clone()),
    }
}

/// What the storage has at this path.
pub(super) fn stored(state: &State, path: &str) -> Reply {
    let id = path.strip_prefix("/file/").and_then(|rest| rest.strip_suffix("?signature=made-up"));
    let id: Option<u64> = id.and_then(|id| id.parse().ok());
    let content = state.releases.contents.iter().find(|(known, _)| Some(*known) == id);
    content.map_or_else(not_found, |(_, content)| Reply::file(content.clone()))
}

/// The newest first, drafts too: whoever has the token may write.
fn listed(state: &State) -> Vec<Value> {
    state.releases.all.iter().rev().cloned().collect()
}

fn wrong(asked: &Value) -> Option<&'static str> {
    let is_long = text(asked, "body").chars().count() > Limits::RELEASE;
    let latest = asked.get("make_latest").and_then(Value::as_str);
    if is_long {
        return Some("body is too long (maximum is 125000 characters)");
    }
    latest
        .filter(|latest| !["true", "false", "legacy"].contains(latest))
        .map(|_| "make_latest is not included in the list")
}

fn make(state: &mut State, asked: &Value, host: &str) -> Reply {
    let tag = text(asked, "tag_name").to_owned();
    let is_draft = asked.get("draft") == Some(&Value::Bool(true));
    if tag.is_empty() {
        return invalid("tag_name is needed");
    }
    if let Some(wrong) = wrong(asked) {
        return invalid(wrong);
    }
    if !is_draft && is_published(state, &tag) {
        return already_exists("tag_name");
    }
    let id = state.next_id();
    let field = |name: &str| asked.get(name).cloned().unwrap_or(Value::Null);
    let files = state.releases.elsewhere.clone().unwrap_or_else(|| format!("http://{host}"));
    let page = if is_draft { format!("untagged-{id}") } else { tag.clone() };
    let made = json!({
        "id": id, "node_id": format!("RE_{id}"), "tag_name": tag, "target_commitish": "main", "name": field("name"),
        "body": field("body"), "draft": is_draft, "prerelease": asked.get("prerelease") == Some(&Value::Bool(true)),
        "author": user(LOGIN), "assets": [], "created_at": WHEN, "published_at": if is_draft { Value::Null } else { WHEN.into() },
        "url": format!("{API}/releases/{id}"), "assets_url": format!("{API}/releases/{id}/assets"),
        // The port of this machine stands for the host that takes files.
        "upload_url": format!("{files}/repos/{}/releases/{id}/assets{{?name,label}}", state.repository),
        "html_url": format!("{WEB}/releases/tag/{page}"),
        "tarball_url": format!("{API}/tarball/{tag}"), "zipball_url": format!("{API}/zipball/{tag}"),
    });
    state.releases.all.push(made.clone());
    let reference = format!("refs/tags/{tag}");
    if !is_draft && state.releases.references.iter().all(|(known, _)| *known != reference) {
        state.add_reference(&reference, &newest_commit(), "commit");
    }
    Reply::ok(201, made)
}

fn is_published(state: &State, tag: &str) -> bool {
    state.releases.all.iter().any(|one| one["tag_name"] == tag && one["draft"] == false)
}

fn already_exists(field: &str) -> Reply {
    let error = json!({ "resource": "Release", "code": "already_exists", "field": field });
    Reply::ok(
        422,
        json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "errors": [error] }),
    )
}

fn change(state: &mut State, id: &str, asked: &Value) -> Reply {
    if let Some(wrong) = wrong(asked) {
        return invalid(wrong);
    }
    let Some(at) = state.releases.all.iter().position(|one| has_id(one, id)) else { return not_found() };
    let tag = text(&state.releases.all[at], "tag_name").to_owned();
    let is_shown = asked.get("draft") == Some(&Value::Bool(false));
    if is_shown && state.releases.all[at]["draft"] == true {
        if is_published(state, &tag) {
            return already_exists("tag_name");
        }
        let one = &mut state.releases.all[at];
        one["draft"] = false.into();
        one["published_at"] = WHEN.into();
        one["html_url"] = format!("{WEB}/releases/tag/{tag}").into();
    }
    let one = &mut state.releases.all[at];
    for name in ["name", "body", "prerelease"] {
        if let Some(value) = asked.get(name) {
            one[name] = value.clone();
        }
    }
    Reply::ok(200, one.clone())
}

fn upload(state: &mut State, id: &str, name: &str, content: &[u8]) -> Reply {
    let number = state.next_id();
    let are_immutable = state.releases.are_immutable;
    let Some(release) = state.releases.all.iter_mut().find(|one| has_id(one, id)) else { return not_found() };
    let name = &called(name);
    if name.is_empty() {
        return invalid("name is needed");
    }
    if content.is_empty() {
        return invalid("size is not included in the list");
    }
    if are_immutable && release["draft"] == false {
        return Reply::refusal(422, "Cannot upload assets to an immutable release.");
    }
    let assets = release["assets"].as_array().cloned().unwrap_or_default();
    if assets.iter().any(|asset| asset["name"] == *name) {
        return already_exists("name");
    }
    if assets.len() >= FILE_COUNT_MAX {
        return invalid("file_count limited to 1000 assets per release");
    }
    let (tag, now) = (text(release, "tag_name"), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let made = json!({
        "id": number, "node_id": format!("RA_{number}"), "name": name, "label": null, "state": "uploaded", "size": content.len(),
        "content_type": "application/octet-stream", "digest": null, "download_count": 0, "uploader": user(LOGIN),
        "url": format!("{API}/releases/assets/{number}"), "created_at": now, "updated_at": now,
        "browser_download_url": format!("{WEB}/releases/download/{tag}/{name}"),
    });
    release["assets"] = assets.into_iter().chain([made.clone()]).collect();
    state.releases.contents.push((number, content.to_vec()));
    Reply::ok(201, made)
}

/// What GitHub calls a file that somebody calls so: other characters become periods, and none stand at its ends.
fn called(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let parts: Vec<&str> = name.split(|c| !is_plain(c) || c == '.').filter(|part| !part.is_empty()).collect();
    parts.join(".")
}

fn remove(state: &mut State, id: &str) -> Reply {
    for release in &mut state.releases.all {
        let assets = release["assets"].as_array().cloned().unwrap_or_default();
        let left: Vec<Value> = assets.iter().filter(|asset| !has_id(asset, id)).cloned().collect();
        if left.len() < assets.len() {
            release["assets"] = left.into();
            return Reply::ok(204, Value::Null);
        }
    }
    not_found()
}

impl State {
    /// Lets a name lead to a commit or to a tag object.
    pub(super) fn add_reference(&mut self, name: &str, sha: &str, kind: &str) {
        let url = format!("{API}/git/{kind}s/{sha}");
        let object = json!({ "sha": sha, "type": kind, "url": url });
        self.releases.references.push((name.to_owned(), object));
    }

    /// The tags: name, commit, and the message of those that are annotated.
    pub(super) fn tags_told(&self) -> Vec<(String, String, Option<String>)> {
        let told = |(name, object): &(String, Value)| {
            let name = name.strip_prefix("refs/tags/")?.to_owned();
            let inner = self.releases.tags.iter().find(|tag| tag["sha"] == object["sha"]);
            let sha = inner.map_or(object, |tag| &tag["object"])["sha"].as_str()?.to_owned();
            Some((name, sha, inner.map(|tag| text(tag, "message").to_owned())))
        };
        self.releases.references.iter().filter_map(told).collect()
    }

    /// Has a release list a file whose upload has begun and does not come to an end.
    pub(super) fn begin_file(&mut self, tag: &str, name: &str, at: &str) {
        let id = self.next_id();
        let file = json!({ "id": id, "name": name, "state": "starter", "size": 0, "created_at": at });
        let release = self.releases.all.iter_mut().find(|one| one["tag_name"] == tag).expect("it was made");
        release["assets"].as_array_mut().into_iter().for_each(|assets| assets.push(file.clone()));
    }

    /// Leaves of the newest file half of it, as an upload does that breaks off.
    pub(super) fn halve_newest_file(&mut self) {
        let assets = self.releases.all.iter_mut().filter_map(|release| release["assets"].as_array_mut()).flatten();
        if let Some(asset) = assets.max_by_key(|asset| asset["id"].as_u64()) {
            asset["state"] = "starter".into();
            asset["size"] = 0.into();
        }
    }
}
