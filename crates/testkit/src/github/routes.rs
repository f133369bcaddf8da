//! Which request does what, and what is refused.

use super::http::{Received, Reply};
use super::objects::{check_run, deployment, deployment_status, status};
use super::releases;
use super::settings;
use super::state::{Deployment, LOGIN, Limits, Rights, State};
use serde_json::{Value, json};

const CONCLUSIONS: [&str; 8] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"];
const DEPLOYMENT_STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

/// Does what is asked, or says why not.
pub(super) fn answer(state: &mut State, request: &Received) -> Reply {
    if let Some(refusal) = refused(state, request) {
        return refusal;
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if request.method == "GET" && path == format!("/repos/{}", state.repository) {
        return settings::whole(state);
    }
    let Some(rest) = path.strip_prefix(&format!("/repos/{}/", state.repository)) else {
        let is_user = path == "/user";
        return if is_user { Reply::refusal(403, "Resource not accessible by integration") } else { not_found() };
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let page = Page::of(request, query);
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["statuses", sha]) => permitted(state, "statuses", |state| write_status(state, sha, &request.body)),
        ("GET", ["commits", sha, "statuses"]) => page.list(newest(&state.statuses, |one| ends_with(&one["url"], sha))),
        ("POST", ["check-runs"]) => permitted(state, "checks", |state| make_check_run(state, &request.body)),
        ("PATCH", ["check-runs", id]) => permitted(state, "checks", |state| change_check_run(state, id, &request.body)),
        ("GET", ["check-runs", id]) => {
            found(state.check_runs.iter().find(|run| has_id(run, id)).map(without_annotations))
        }
        ("GET", ["commits", sha, "check-runs"]) => list_check_runs(state, sha, &page),
        ("GET", ["pulls", ..] | ["commits", _, "pulls"]) => answer_pulls(state, &parts, &page),
        (_, ["issues", ..]) => answer_comments(state, request, &parts, &page),
        ("GET", ["deployments"]) => page.list(deployments(state, &page)),
        ("POST", ["deployments"]) => permitted(state, "deployments", |state| make_deployment(state, &request.body)),
        ("GET", ["deployments", id, "statuses"]) => deployment_statuses(state, id, &page),
        ("POST", ["deployments", id, "statuses"]) => {
            permitted(state, "deployments", |state| tell_deployment(state, id, &request.body))
        }
        _ => releases::answer(state, request, &parts, &page)
            .or_else(|| settings::answer(state, request, &parts, &page))
            .unwrap_or_else(not_found),
    }
}

fn answer_pulls(state: &State, parts: &[&str], page: &Page) -> Reply {
    let is = |pull: &&Value, number: &str| pull["number"].as_u64().is_some_and(|known| known.to_string() == number);
    match parts {
        ["pulls"] => page.list(pulls(state, page)),
        ["pulls", number] => found(state.pulls.iter().find(|pull| is(pull, number)).cloned()),
        ["commits", sha, "pulls"] => page.list(pulls_of(state, sha)),
        _ => not_found(),
    }
}

fn answer_comments(state: &mut State, request: &Received, parts: &[&str], page: &Page) -> Reply {
    match (request.method.as_str(), parts) {
        ("GET", ["issues", pull, "comments"]) => page.list(comments(state, pull)),
        ("POST", ["issues", pull, "comments"]) => {
            permitted(state, "pull-requests", |state| make_comment(state, pull, &request.body))
        }
        ("PATCH", ["issues", "comments", id]) => {
            permitted(state, "pull-requests", |state| change_comment(state, id, &request.body))
        }
        ("DELETE", ["issues", "comments", id]) => permitted(state, "pull-requests", |state| remove_comment(state, id)),
        _ => not_found(),
    }
}

/// Who is not even listened to.
fn refused(state: &State, request: &Received) -> Option<Reply> {
    if request.header("user-agent").is_none_or(str::is_empty) {
        return Some(Reply::refusal(403, "Request forbidden by administrative rules."));
    }
    let token = request.header("authorization").and_then(|value| value.split_once(' '));
    let token = token.filter(|(kind, _)| ["Bearer", "token"].contains(kind)).map_or("", |(_, token)| token);
    let rights = state.granted.get(token);
    if rights.is_none() && token != state.token {
        return Some(Reply::refusal(401, "Bad credentials"));
    }
    if let Some(refusal) = rights.and_then(|rights| beyond(state, rights, request)) {
        return Some(refusal);
    }
    let version = request.header("x-github-api-version").unwrap_or("2022-11-28");
    (version != "2022-11-28").then(|| Reply::refusal(400, "The API version is not supported"))
}

/// What a job's token may not, in a repository that not everybody may read.
fn beyond(state: &State, rights: &Rights, request: &Received) -> Option<Reply> {
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.strip_prefix(&format!("/repos/{}/", state.repository))?.split('/').collect();
    let permission = match parts.as_slice() {
        ["statuses", ..] | ["commits", _, "statuses"] => "statuses",
        ["check-runs", ..] | ["commits", _, "check-runs"] => "checks",
        ["deployments", ..] => "deployments",
        ["git" | "releases", ..] => "contents",
        ["issues" | "pulls", ..] | ["commits", _, "pulls"] => "pull-requests",
        _ => return None,
    };
    let writes = request.method != "GET";
    let may = rights.get(permission).is_some_and(|may_write| *may_write || !writes);
    (!may).then(|| lacking(permission, if writes { "write" } else { "read" }))
}

fn lacking(permission: &str, access: &str) -> Reply {
    let mut reply = Reply::refusal(403, "Resource not accessible by integration");
    reply.headers.push(("x-accepted-github-permissions", format!("{}={access}", permission.replace('-', "_"))));
    reply
}

pub(super) fn permitted(state: &mut State, permission: &str, act: impl FnOnce(&mut State) -> Reply) -> Reply {
    if !state.refused.contains(permission) {
        return act(state);
    }
    lacking(permission, "write")
}

pub(super) fn not_found() -> Reply {
    Reply::refusal(404, "Not Found")
}

pub(super) fn found(value: Option<Value>) -> Reply {
    value.map_or_else(not_found, |value| Reply::ok(200, value))
}

pub(super) fn invalid(message: &str) -> Reply {
    Reply::ok(
        422,
        json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest",
        "errors": [{ "resource": "Thing", "field": "thing", "code": "custom", "message": message }] }),
    )
}

fn write_status(state: &mut State, sha: &str, asked: &Value) -> Reply {
    if !["error", "failure", "pending", "success"].contains(&text(asked, "state")) {
        return invalid("state is not included in the list");
    }
    if is_longer(asked, "description", Limits::DESCRIPTION) {
        return invalid("description is too long (maximum is 140 characters)");
    }
    let made = status(state.next_id(), sha, asked);
    state.statuses.push(made.clone());
    Reply::ok(201, made)
}

fn make_check_run(state: &mut State, asked: &Value) -> Reply {
    if text(asked, "name").is_empty() || text(asked, "head_sha").is_empty() {
        return invalid("name and head_sha are needed");
    }
    if let Some(wrong) = wrong_check_run(state, asked) {
        return invalid(wrong);
    }
    let mut made = check_run(state.next_id(), asked);
    made["annotations"] = json!([]);
    add_output(&mut made, asked);
    let shown = without_annotations(&made);
    state.check_runs.push(made);
    Reply::ok(201, shown)
}

fn change_check_run(state: &mut State, id: &str, asked: &Value) -> Reply {
    if let Some(wrong) = wrong_check_run(state, asked) {
        return invalid(wrong);
    }
    let Some(run) = state.check_runs.iter_mut().find(|run| has_id(run, id)) else { return not_found() };
    for name in ["status", "conclusion", "completed_at", "details_url"] {
        if let Some(value) = asked.get(name) {
            run[name] = value.clone();
        }
    }
    if asked.get("conclusion").is_some() {
        run["status"] = "completed".into();
    }
    add_output(run, asked);
    Reply::ok(200, without_annotations(run))
}

fn wrong_check_run(state: &State, asked: &Value) -> Option<&'static str> {
    let output = asked.get("output").unwrap_or(&Value::Null);
    let count = output.get("annotations").and_then(Value::as_array).map_or(0, Vec::len);
    let too_long = ["summary", "text"].iter().any(|name| text(output, name).len() > Limits::SUMMARY);
    let conclusion = asked.get("conclusion").and_then(Value::as_str);
    let at = |one: &Value| state.refused_line.is_some_and(|line| one["start_line"] == line);
    if output.get("annotations").and_then(Value::as_array).is_some_and(|all| all.iter().any(at)) {
        return Some("Invalid value for annotations");
    }
    if count > Limits::ANNOTATIONS {
        return Some("Only 50 annotations are allowed");
    }
    if too_long {
        return Some("Only 65535 characters are allowed");
    }
    if asked.get("output").is_some() && (text(output, "title").is_empty() || text(output, "summary").is_empty()) {
        return Some("output needs a title and a summary");
    }
    if text(asked, "status") == "completed" && conclusion.is_none() {
        return Some("conclusion is needed when the status is completed");
    }
    conclusion.filter(|known| !CONCLUSIONS.contains(known)).map(|_| "conclusion is not included in the list")
}

/// Annotations are added; title and summary are replaced.
fn add_output(run: &mut Value, asked: &Value) {
    let Some(output) = asked.get("output") else { return };
    for name in ["title", "summary", "text"] {
        if let Some(value) = output.get(name) {
            run["output"][name] = value.clone();
        }
    }
    let new = output.get("annotations").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = run["annotations"].as_array().cloned().unwrap_or_default();
    all.extend(new);
    run["output"]["annotations_count"] = all.len().into();
    run["annotations"] = all.into();
}

fn without_annotations(run: &Value) -> Value {
    let mut run = run.clone();
    run.as_object_mut().into_iter().for_each(|run| drop(run.remove("annotations")));
    run
}

fn list_check_runs(state: &State, sha: &str, page: &Page) -> Reply {
    let name = page.value("check_name");
    let fits = |run: &&Value| run["head_sha"] == sha && name.as_ref().is_none_or(|name| run["name"] == **name);
    let all: Vec<Value> = state.check_runs.iter().rev().filter(fits).map(without_annotations).collect();
    let count = all.len();
    let mut reply = page.list(all);
    reply.body = json!({ "total_count": count, "check_runs": reply.body });
    reply
}

fn comments(state: &mut State, pull: &str) -> Vec<Value> {
    if state.overlooked_count > 0 {
        state.overlooked_count -= 1;
        return Vec::new();
    }
    let on = state.comments.iter().filter(|comment| comment.pull.to_string() == pull);
    on.map(|comment| comment.value.clone()).collect()
}

fn make_comment(state: &mut State, pull: &str, asked: &Value) -> Reply {
    let Ok(pull) = pull.parse() else { return not_found() };
    match wrong_comment(asked) {
        Some(wrong) => invalid(wrong),
        None => Reply::ok(201, state.add_comment(LOGIN, pull, text(asked, "body"))),
    }
}

fn change_comment(state: &mut State, id: &str, asked: &Value) -> Reply {
    if let Some(wrong) = wrong_comment(asked) {
        return invalid(wrong);
    }
    let Some(comment) = state.comments.iter_mut().find(|comment| has_id(&comment.value, id)) else {
        return not_found();
    };
    if comment.value["user"]["login"] != LOGIN {
        return Reply::refusal(403, "Resource not accessible by integration");
    }
    comment.value["body"] = asked["body"].clone();
    Reply::ok(200, comment.value.clone())
}

fn remove_comment(state: &mut State, id: &str) -> Reply {
    let Some(at) = state.comments.iter().position(|comment| has_id(&comment.value, id)) else { return not_found() };
    if state.comments[at].value["user"]["login"] != LOGIN {
        return Reply::refusal(403, "Resource not accessible by integration");
    }
    state.comments.remove(at);
    Reply::ok(204, Value::Null)
}

fn wrong_comment(asked: &Value) -> Option<&'static str> {
    match text(asked, "body").chars().count() {
        0 => Some("body can't be blank"),
        1..=Limits::COMMENT => None,
        _ => Some("body is too long (maximum is 65536 characters)"),
    }
}

fn deployments(state: &State, page: &Page) -> Vec<Value> {
    let fits = |one: &Value| {
        ["sha", "ref", "environment", "task"]
            .iter()
            .all(|name| page.value(name).is_none_or(|value| one[name] == *value))
    };
    state.deployments.iter().rev().map(|one| &one.value).filter(|one| fits(one)).cloned().collect()
}

fn make_deployment(state: &mut State, asked: &Value) -> Reply {
    if text(asked, "ref").is_empty() {
        return invalid("ref is needed");
    }
    if is_longer(asked, "description", Limits::DESCRIPTION) {
        return invalid("description is too long (maximum is 140 characters)");
    }
    let is_empty = asked.get("required_contexts").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if !is_empty {
        return Reply::refusal(409, "Conflict: Commit status checks failed for the ref.");
    }
    if asked.get("auto_merge") != Some(&Value::Bool(false)) {
        return Reply::ok(202, json!({ "message": "Auto-merged main into topic on deployment." }));
    }
    let made = deployment(state.next_id(), asked);
    state.deployments.push(Deployment { value: made.clone(), statuses: Vec::new() });
    Reply::ok(201, made)
}

fn deployment_statuses(state: &State, id: &str, page: &Page) -> Reply {
    match state.deployments.iter().find(|one| has_id(&one.value, id)) {
        Some(one) => page.list(newest(&one.statuses, |_| true)),
        None => not_found(),
    }
}

fn tell_deployment(state: &mut State, id: &str, asked: &Value) -> Reply {
    if !DEPLOYMENT_STATES.contains(&text(asked, "state")) {
        return invalid("state is not included in the list");
    }
    if is_longer(asked, "description", Limits::DESCRIPTION) {
        return invalid("description is too long (maximum is 140 characters)");
    }
    let status_id = state.next_id();
    let Some(one) = state.deployments.iter_mut().find(|one| has_id(&one.value, id)) else { return not_found() };
    let made = deployment_status(status_id, &one.value, asked);
    one.statuses.push(made.clone());
    Reply::ok(201, made)
}

fn pulls(state: &State, page: &Page) -> Vec<Value> {
    let head = page.value("head");
    let wanted = page.value("state").unwrap_or_else(|| "open".to_owned());
    let fits = |pull: &&Value| {
        head.as_ref().is_none_or(|head| pull["head"]["label"] == **head)
            && (wanted == "all" || pull["state"] == *wanted)
    };
    state.pulls.iter().filter(fits).cloned().collect()
}

/// The pull request that a commit was merged with, or those that are open with it.
fn pulls_of(state: &State, sha: &str) -> Vec<Value> {
    let has = |pull: &&Value| pull["merge_commit_sha"] == sha || pull["head"]["sha"] == sha;
    state.pulls.iter().filter(has).cloned().collect()
}

/// A page of a list, as its query asks for it.
pub(super) struct Page {
    path: String,
    host: String,
    query: Vec<(String, String)>,
}

impl Page {
    fn of(request: &Received, query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        Self { path, host: request.header("host").unwrap_or_default().to_owned(), query }
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn number(&self, name: &str, otherwise: usize) -> usize {
        self.value(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise).max(1)
    }

    pub(super) fn list(&self, all: Vec<Value>) -> Reply {
        let (size, number) = (self.number("per_page", 30).min(100), self.number("page", 1));
        let is_more = all.len() > size * number;
        let page: Vec<Value> = all.into_iter().skip(size * (number - 1)).take(size).collect();
        let mut reply = Reply::ok(200, page.into());
        if is_more {
            let others = self.query.iter().filter(|(name, _)| name != "page");
            let query: String = others.map(|(name, value)| format!("{name}={}&", value.replace(' ', "%20"))).collect();
            let next = format!("<http://{}{}?{query}page={}>; rel=\"next\"", self.host, self.path, number + 1);
            reply.headers.push(("link", next));
        }
        reply
    }
}

pub(super) fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let hex =
            |rest: &mut dyn Iterator<Item = u8>| char::from(rest.next().unwrap_or(b'0')).to_digit(16).unwrap_or(0);
        bytes.push(match byte {
            b'%' => (hex(&mut rest) * 16 + hex(&mut rest)) as u8,
            // As forms write it, and some clients do.
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn newest(all: &[Value], fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    all.iter().rev().filter(|one| fits(one)).cloned().collect()
}

pub(super) fn has_id(value: &Value, id: &str) -> bool {
    value["id"].as_u64().is_some_and(|known| known.to_string() == id)
}

fn ends_with(value: &Value, end: &str) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(end))
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is_longer(value: &Value, name: &str, length_max: usize) -> bool {
    text(value, name).chars().count() > length_max
}
