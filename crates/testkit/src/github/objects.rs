//! Objects with all the fields that GitHub's description of its API demands.

use serde_json::{Value, json};

/// The repository's address on the web and in the API.
pub(super) const WEB: &str = "https://github.com/shop/app";
pub(super) const API: &str = "https://api.github.com/repos/shop/app";
/// When everything happened.
pub(super) const WHEN: &str = "2026-11-21T10:00:00Z";

pub(super) fn user(login: &str) -> Value {
    let api = format!("https://api.github.com/users/{}", login.replace(['[', ']'], ""));
    json!({
        "login": login, "id": 41_898_282, "node_id": "MDM6Qm90NDE4OTgyODI=", "type": "Bot", "site_admin": false,
        "avatar_url": "https://avatars.githubusercontent.com/in/15368", "gravatar_id": "",
        "url": api, "html_url": "https://github.com/apps/github-actions",
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following"),
        "gists_url": format!("{api}/gists"),
        "starred_url": format!("{api}/starred"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events"),
        "received_events_url": format!("{api}/received_events"),
    })
}

pub(super) fn comment(id: u64, pull: u64, login: &str, body: &str) -> Value {
    json!({
        "id": id, "node_id": format!("IC_{id}"), "body": body, "user": user(login),
        "url": format!("{API}/issues/comments/{id}"),
        "html_url": format!("{WEB}/pull/{pull}#issuecomment-{id}"),
        "issue_url": format!("{API}/issues/{pull}"),
        "author_association": "NONE", "created_at": WHEN, "updated_at": WHEN, "performed_via_github_app": null,
        "reactions": {
            "url": format!("{API}/issues/comments/{id}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0,
            "confused": 0, "heart": 0, "hooray": 0, "eyes": 0, "rocket": 0,
        },
    })
}

pub(super) fn status(id: u64, sha: &str, asked: &Value) -> Value {
    json!({
        "id": id, "node_id": format!("SC_{id}"), "url": format!("{API}/statuses/{sha}"),
        "avatar_url": "https://avatars.githubusercontent.com/in/15368",
        "state": asked["state"], "description": asked["description"], "target_url": asked["target_url"],
        "context": asked.get("context").cloned().unwrap_or_else(|| "default".into()),
        "created_at": WHEN, "updated_at": WHEN, "creator": user(super::LOGIN),
    })
}

pub(super) fn check_run(id: u64, asked: &Value) -> Value {
    let field = |name: &str| asked.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": id, "node_id": format!("CR_{id}"), "name": field("name"), "head_sha": field("head_sha"),
        "external_id": field("external_id"), "details_url": field("details_url"),
        "url": format!("{API}/check-runs/{id}"), "html_url": format!("{WEB}/runs/{id}"),
        "status": asked.get("status").cloned().unwrap_or_else(|| "queued".into()),
        "conclusion": field("conclusion"), "started_at": field("started_at"), "completed_at": field("completed_at"),
        "check_suite": { "id": 1 }, "app": null, "pull_requests": [],
        "output": {
            "title": null, "summary": null, "text": null, "annotations_count": 0,
            "annotations_url": format!("{API}/check-runs/{id}/annotations"),
        },
    })
}

pub(super) fn deployment(id: u64, asked: &Value) -> Value {
    let field = |name: &str| asked.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": id, "node_id": format!("DE_{id}"), "url": format!("{API}/deployments/{id}"),
        "sha": field("ref"), "ref": field("ref"), "task": "deploy",
        "payload": asked.get("payload").cloned().unwrap_or_else(|| json!({})),
        "environment": asked.get("environment").cloned().unwrap_or_else(|| "production".into()),
        "original_environment": asked.get("environment").cloned().unwrap_or_else(|| "production".into()),
        "description": field("description"), "creator": user(super::LOGIN),
        "created_at": WHEN, "updated_at": WHEN, "statuses_url": format!("{API}/deployments/{id}/statuses"),
        "repository_url": API, "transient_environment": false, "production_environment": true,
        "performed_via_github_app": null,
    })
}

pub(super) fn deployment_status(id: u64, deployment: &Value, asked: &Value) -> Value {
    let (number, field) = (&deployment["id"], |name: &str| asked.get(name).cloned().unwrap_or_else(|| "".into()));
    json!({
        "id": id, "node_id": format!("DES_{id}"), "url": format!("{API}/deployments/{number}/statuses/{id}"),
        "state": asked["state"], "description": field("description"), "log_url": field("log_url"),
        "target_url": field("log_url"), "environment_url": field("environment_url"),
        "environment": deployment["environment"], "creator": user(super::LOGIN),
        "deployment_url": format!("{API}/deployments/{number}"), "repository_url": API,
        "created_at": WHEN, "updated_at": WHEN, "performed_via_github_app": null,
    })
}

/// Parts of a repository that have an address of their own, as their fields are called without `_url`.
const PLACES: [&str; 37] = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
    "svn",
];

pub(super) fn repository(owner: &str) -> Value {
    let (web, api) = (format!("https://github.com/{owner}/app"), format!("https://api.github.com/repos/{owner}/app"));
    let mut repository = json!({
        "id": 1, "node_id": "R_1", "name": "app", "full_name": format!("{owner}/app"), "owner": user(owner),
        "html_url": web, "url": api, "clone_url": format!("{web}.git"), "git_url": format!("{web}.git"),
        "ssh_url": format!("git@github.com:{owner}/app.git"), "default_branch": "main",
        "description": null, "homepage": null, "language": null, "mirror_url": null, "license": null,
        "pushed_at": WHEN, "created_at": WHEN, "updated_at": WHEN,
    });
    for place in PLACES {
        repository[format!("{place}_url")] = format!("{api}/{place}").into();
    }
    for name in
        ["private", "has_downloads", "has_issues", "has_projects", "has_wiki", "has_pages", "archived", "disabled"]
    {
        repository[name] = false.into();
    }
    repository["fork"] = (owner != "shop").into();
    for name in [
        "forks",
        "forks_count",
        "open_issues",
        "open_issues_count",
        "size",
        "stargazers_count",
        "watchers",
        "watchers_count",
    ] {
        repository[name] = 0.into();
    }
    repository
}

/// An open pull request from a branch of this owner's repository.
pub(super) fn pull(number: u64, owner: &str, branch: &str, sha: &str) -> Value {
    let api = format!("{API}/pulls/{number}");
    let link = |place: &str| json!({ "href": format!("{api}{place}") });
    let side = |owner: &str, branch: &str, sha: &str| {
        json!({ "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": user(owner),
            "repo": repository(owner) })
    };
    json!({
        "id": number, "node_id": format!("PR_{number}"), "number": number, "state": "open", "locked": false,
        "title": "Sell more", "body": null, "user": user(owner), "author_association": "NONE", "auto_merge": null,
        "assignee": null, "milestone": null, "labels": [], "created_at": WHEN, "updated_at": WHEN, "closed_at": null,
        "merged_at": null, "merge_commit_sha": null, "url": api, "html_url": format!("{WEB}/pull/{number}"),
        "diff_url": format!("{WEB}/pull/{number}.diff"), "patch_url": format!("{WEB}/pull/{number}.patch"),
        "issue_url": format!("{API}/issues/{number}"), "comments_url": format!("{API}/issues/{number}/comments"),
        "commits_url": format!("{api}/commits"), "statuses_url": format!("{API}/statuses/{sha}"),
        "review_comment_url": format!("{API}/pulls/comments/1"), "review_comments_url": format!("{api}/comments"),
        "head": side(owner, branch, sha), "base": side("shop", "main", &"b".repeat(40)),
        "_links": {
            "self": link(""), "html": link(""), "issue": link(""), "comments": link("/comments"), "commits": link("/commits"),
            "statuses": link("/statuses"), "review_comments": link("/comments"), "review_comment": link("/comments/1"),
        },
    })
}
