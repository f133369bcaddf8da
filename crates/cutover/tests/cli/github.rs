//! Jobs of GitHub Actions, and what GitHub is told from them.

use crate::sandbox::{Ran, Sandbox};
use cutover_testkit::github::{FakeGitHub, Mishap};
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};

const HEAD: &str = "cccccccccccccccccccccccccccccccccccccccc";
const BASE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A project in a job of GitHub Actions.
struct Job {
    sandbox: Sandbox,
    github: FakeGitHub,
    token: String,
    name: &'static str,
    sha: String,
}

impl Job {
    /// A job for a pull request from this repository, of a project with these checks.
    fn of_pull(sandbox: Sandbox, from: &str) -> Self {
        let head = json!({ "sha": HEAD, "repo": { "full_name": from } });
        let base = json!({ "sha": BASE, "repo": { "full_name": "shop/app" } });
        let event = json!({ "pull_request": { "number": 7, "title": "\u{1b}]0;x", "head": head, "base": base } });
        Self::of(sandbox, "pull_request", &event)
    }

    fn of(sandbox: Sandbox, name: &'static str, event: &Value) -> Self {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        let github = FakeGitHub::start(&token).unwrap();
        std::fs::write(sandbox.path().join("event.json"), event.to_string()).unwrap();
        let sha = head(&sandbox);
        Self { sandbox, github, token, name, sha }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], others: &[(&str, &str)]) -> Ran {
        let (api, event) = (self.github.url(), self.sandbox.path().join("event.json").display().to_string());
        let variables = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_TOKEN", &*self.token),
            ("GITHUB_API_URL", &*api),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "shop/app"),
            ("GITHUB_SHA", &*self.sha),
            ("GITHUB_EVENT_NAME", self.name),
            ("GITHUB_EVENT_PATH", &*event),
            ("GITHUB_RUN_ID", "42"),
        ];
        let ran = self.sandbox.run_with(args, &[&variables[..], others].concat());
        assert!(!ran.told().contains(&self.token), "the token is told: {}", ran.told());
        ran
    }

    fn comment(&self) -> String {
        let comments = self.github.comments(7);
        assert_eq!(comments.len(), 1, "{comments:?}");
        comments.into_iter().next().unwrap().1
    }
}

fn checks(tables: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "results.xml\nlcov.info\n");
    sandbox.write("cutover.toml", &format!("{}\n{tables}", sandbox.config()));
    sandbox.commit("Judge changes");
    sandbox
}

const FAILING: &str = "[checks.unit]\nrun = \"cp tests.xml results.xml\"\nreports = { junit = \"results.xml\" }\n";
const FAILED: &str = r#"<testsuite><testcase classname="shop" name="counts" file="shop.py" line="7">
  <failure message="assert @1 == 2">x</failure></testcase></testsuite>"#;

#[test]
fn checks_of_a_pull_request_are_told_at_its_head_and_in_its_comment_and_marked_once() {
    let job = Job::of_pull(checks(FAILING), "shop/app");
    job.sandbox.write("tests.xml", FAILED);

    let ran = job.run(&["check"]);

    assert_eq!((ran.code, &*ran.stderr), (5, ""), "{}", ran.told());
    let runs = job.github.check_runs();
    assert_eq!(runs.len(), 1);
    let shown = |name: &str| runs[0][name].as_str().unwrap();
    assert_eq!((shown("name"), shown("head_sha"), shown("conclusion")), ("cutover: shop", HEAD, "failure"));
    assert_eq!(shown("details_url"), "https://github.com/shop/app/actions/runs/42");
    assert_eq!(runs[0]["annotations"][0]["path"], "shop.py");
    assert!(!ran.stdout.contains("::error"), "the check run marks it: {}", ran.told());
    let comment = job.comment();
    assert!(comment.contains("✗ The checks failed") && comment.contains("actions/runs/42"), "{comment}");
    assert!(!comment.contains("@1"), "{comment}");
}

#[test]
fn what_is_said_of_another_commit_than_the_job_s_is_not_told_of_it() {
    // A job that has more rights than a pull request, and checks out what that wrote all the same.
    let job = Job::of(checks("[checks.unit]\nrun = \"true\"\n"), "pull_request_target", &json!({}));
    job.sandbox.write("app.py", "print('stranger')\n");
    job.sandbox.commit("Write anything");

    let ran = job.run(&["check"]);

    let told = format!(
        "warning: GitHub is not told: {} is checked out, and this job is about {}\n",
        head(&job.sandbox),
        job.sha
    );
    assert_eq!((ran.code, &*ran.stderr), (0, &*told), "{}", ran.told());
    assert!(job.github.received().is_empty());

    let mut job = Job::of_pull(job.sandbox, "shop/app");
    job.sha = "d".repeat(40);
    let ran = job.run(&["check"]);
    let told = format!("and this job is about {HEAD} (its merge is {})\n", job.sha);
    assert!(ran.code == 0 && ran.stderr.ends_with(&told), "{}", ran.told());
    assert!(job.github.received().is_empty());
}

#[test]
fn the_head_of_a_pull_request_stands_for_its_merge() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    let side = |sha: &str| json!({ "sha": sha, "repo": { "full_name": "shop/app" } });
    let event = json!({ "pull_request": { "number": 7, "head": side(&job.sha), "base": side(BASE) } });
    std::fs::write(job.sandbox.path().join("event.json"), event.to_string()).unwrap();
    let job = Job { sha: "d".repeat(40), ..job };

    let ran = job.run(&["check"]);

    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    assert_eq!(job.github.check_runs()[0]["head_sha"], *head(&job.sandbox));
}

#[test]
fn coverage_is_compared_with_what_the_base_says() {
    let check = "[checks.unit]\nrun = \"cp report lcov.info\"\nreports = { coverage = \"lcov.info\" }\n";
    let job = Job::of(checks(check), "push", &json!({}));
    job.sandbox.write("report", "SF:app.py\nDA:1,1\nDA:2,0\nDA:3,0\nDA:4,0\nend_of_record\n");
    assert_eq!(job.run(&["check"]).code, 0);
    assert!(job.github.comments(7).is_empty(), "a push is no pull request");

    let job = Job { name: "pull_request", ..job };
    let side = |sha: &str| json!({ "sha": sha, "repo": { "full_name": "shop/app" } });
    let event = json!({ "pull_request": { "number": 7, "head": side(HEAD), "base": side(&job.sha) } });
    std::fs::write(job.sandbox.path().join("event.json"), event.to_string()).unwrap();
    job.sandbox.write("report", "SF:app.py\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,0\nend_of_record\n");
    assert_eq!(job.run(&["check"]).code, 0);

    assert!(job.comment().contains("Coverage: 75.00 % of lines (+50.00 points)"), "{}", job.comment());
}

#[test]
fn what_the_token_may_not_is_one_line_each_and_changes_no_result() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    job.github.refuse("checks");

    let ran = job.run(&["check"]);

    assert_eq!((ran.code, ran.stderr.lines().count()), (0, 1), "{}", ran.told());
    assert!(ran.stderr.starts_with("warning: a commit status stands for a check run: "), "{}", ran.told());
    assert!(ran.stderr.contains("needs the permission `checks: write`"), "{}", ran.told());
    let states: Vec<Value> = job.github.statuses().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["pending", "success"]);

    let job = Job::of_pull(job.sandbox, "shop/app");
    for permission in ["checks", "statuses", "pull-requests"] {
        job.github.refuse(permission);
    }
    let ran = job.run(&["check"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (0, 2), "{}", ran.told());
    for permission in ["checks: write", "statuses: write", "pull-requests: write"] {
        assert!(ran.stderr.contains(permission), "{}", ran.told());
    }
}

#[test]
fn a_pull_request_from_a_fork_is_not_told_and_it_is_said_what_can() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "stranger/app");
    let ran = job.run(&["check"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("`cutover github report` tells it from a job of its own"), "{}", ran.told());
    assert!(job.github.received().is_empty());
}

#[test]
fn without_a_token_or_outside_of_a_job_nobody_is_told_and_a_broken_job_is_a_warning() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    for silent in [("GITHUB_TOKEN", ""), ("GITHUB_ACTIONS", "")] {
        let ran = job.run_with(&["check"], &[silent]);
        assert_eq!((ran.code, &*ran.stderr), (0, ""), "{silent:?}: {}", ran.told());
    }
    let cases = [
        ("GITHUB_REPOSITORY", "../../x", "GITHUB_REPOSITORY: \"../../x\" is no repository"),
        ("GITHUB_SHA", "main", "is no full hash of a commit"),
        ("GITHUB_EVENT_PATH", "/nowhere", "the event in /nowhere cannot be read"),
        ("GITHUB_RUN_ID", "1/../2", "GITHUB_RUN_ID is no number"),
        ("GITHUB_API_URL", "http://example.org", "is not https: the token would be seen by others"),
    ];
    for (name, value, told) in cases {
        let ran = job.run_with(&["check"], &[(name, value)]);
        assert!(ran.code == 0 && ran.stderr.contains(told), "{name}: {}", ran.told());
    }
    assert!(job.github.received().is_empty());
}

#[test]
fn a_secret_that_was_pasted_with_the_end_of_its_line_is_the_secret() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    let ran = job.run_with(&["check"], &[("GITHUB_TOKEN", &format!("{}\n", job.token)), ("GITHUB_RUN_ID", " 42\n")]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    assert_eq!(job.github.check_runs().len(), 1);
}

#[test]
fn no_check_has_the_token_and_one_that_has_it_otherwise_cannot_show_it() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"env; echo $GH_TOKEN\"\n"), "shop/app");
    let token = job.token.clone();

    let ran = job.run_with(&["check"], &[("GH_TOKEN", &token)]);

    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(!ran.stdout.contains("GITHUB_TOKEN") && ran.stdout.contains("GH_TOKEN=***"), "{}", ran.told());
    let log = std::fs::read_to_string(job.sandbox.data_dir().join("checks/logs/unit.log")).unwrap();
    assert!(log.contains("***") && !log.contains(&token), "{log}");
}

#[test]
fn an_answer_that_was_cut_makes_no_second_check_run() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    job.github.order("POST", "check-runs", Mishap::DoneAndCut);
    let ran = job.run(&["check"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    assert_eq!((job.github.check_runs().len(), job.github.comments(7).len()), (1, 1));
    assert_eq!(job.github.check_runs()[0]["conclusion"], "success");
}

#[test]
fn neither_ssh_nor_git_has_the_token() {
    let sandbox = Sandbox::new();
    sandbox.write("cutover.toml", &sandbox.config().replace("localhost", "nowhere"));
    sandbox.commit("Go far");
    let seen = sandbox.path().join("seen").display().to_string();
    sandbox.script("ssh", &format!("env >> {seen}-ssh; exit 255"));
    sandbox.script("git", &format!("env >> {seen}-git; PATH=${{PATH#*:}} exec git \"$@\""));
    let path = format!("{}:{}", sandbox.bin().display(), std::env::var("PATH").unwrap());
    let job = Job::of(sandbox, "push", &json!({}));

    let ran = job.run_with(&["deploy", "production"], &[("PATH", &path)]);

    assert_eq!(ran.code, 7, "{}", ran.told());
    for program in ["ssh", "git"] {
        let seen = std::fs::read_to_string(format!("{seen}-{program}")).unwrap();
        assert!(seen.contains("GITHUB_ACTIONS=true") && !seen.contains(&job.token), "{program}: {seen}");
    }
}

fn deployable() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.host("", "url = \"https://shop.example\"");
    sandbox
}

/// The commit that HEAD is.
fn head(sandbox: &Sandbox) -> String {
    let output = sandbox.command("git").args(["rev-parse", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn deployments_are_told_with_their_states_and_the_one_before_is_no_longer_active() {
    let mut job = Job::of(deployable(), "push", &json!({}));
    let first = head(&job.sandbox);
    job.sha.clone_from(&first);
    let ran = job.run(&["deploy", "production"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    job.sandbox.write("app.py", "print('v2')\n");
    job.sandbox.commit("Sell more");
    assert_eq!(job.run(&["deploy", "production"]).code, 0);
    assert_eq!(job.run(&["rollback", "production"]).code, 0);

    let told = job.github.deployments();
    let commits: Vec<&str> = told.iter().map(|(_, commit, _)| commit.as_str()).collect();
    assert_eq!(commits, [&*first, &*head(&job.sandbox), &*first]);
    let states: Vec<String> = told.iter().map(|(_, _, states)| states.join(" ")).collect();
    let replaced = "in_progress success inactive";
    assert_eq!(states, [replaced, replaced, "in_progress success"]);
    let last = job.github.deployment_statuses().pop().unwrap();
    assert_eq!(last["log_url"], "https://github.com/shop/app/actions/runs/42");
    assert_eq!(last["environment_url"], "https://shop.example");
}

#[test]
fn a_deployment_of_the_pull_requests_commit_is_told_beside_its_checks() {
    let sandbox = deployable();
    let config = format!("{}\n[checks.unit]\nrun = \"true\"\n", sandbox.config());
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Check");
    let mut job = Job::of_pull(sandbox, "shop/app");
    job.sha = head(&job.sandbox);

    assert_eq!(job.run(&["deploy", "production"]).code, 0);
    assert_eq!(job.run(&["check"]).code, 0);

    let comment = job.comment();
    let at = |words: &str| comment.find(words).unwrap_or_else(|| panic!("{words} in {comment}"));
    assert!(at("✓ The checks passed") < at("**production**: ✓"), "{comment}");
    at("[Open](https://shop.example)");
}

#[test]
fn a_deployment_that_github_is_not_told_of_is_a_deployment() {
    let mut job = Job::of(deployable(), "push", &json!({}));
    job.sha = head(&job.sandbox);
    job.github.refuse("deployments");
    let ran = job.run(&["deploy", "production"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (0, 1), "{}", ran.told());
    assert!(ran.stderr.contains("`deployments: write`"), "{}", ran.told());
}

#[test]
fn a_run_that_ends_late_leaves_what_is_said_of_a_newer_head() {
    let job = Job::of_pull(checks("[checks.unit]\nrun = \"true\"\n"), "shop/app");
    job.github.open_pull(7, "shop", "topic", HEAD);
    assert_eq!(job.run(&["check"]).code, 0);
    let comment = job.comment();
    assert!(comment.contains("`ccccccc` · [Logs]("), "{comment}");

    let job = Job::of_pull(job.sandbox, "shop/app");
    job.github.open_pull(7, "shop", "topic", &"e".repeat(40));
    let ran = job.run(&["check"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    assert_eq!((job.github.check_runs().len(), job.github.comments(7).len()), (1, 0));
}

fn workflow_run(conclusion: &str) -> Value {
    json!({ "workflow_run": { "id": 41, "head_sha": HEAD, "head_branch": "topic", "event": "pull_request",
        "conclusion": conclusion, "head_repository": { "full_name": "stranger/app", "owner": { "login": "stranger" } } } })
}

#[test]
fn the_record_of_a_fork_is_told_where_github_says_and_calls_nobody() {
    let sandbox = checks(FAILING);
    sandbox.write("tests.xml", &FAILED.replace("assert", "@everyone https://evil.example #7"));
    let record = sandbox.run(&["check", "--json"]);
    // A record may name whatever it wants: nothing of that is looked at.
    let mut forged = record.json();
    forged["pull"] = 1.into();
    sandbox.write("record.json", &forged.to_string());
    let job = Job::of(sandbox, "workflow_run", &workflow_run("failure"));
    job.github.open_pull(7, "stranger", "topic", HEAD);

    let ran = job.run(&["github", "report", "record.json"]);

    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.told());
    assert_eq!(ran.stdout, "reported failure at ccccccc and on pull request 7\n");
    let runs = job.github.check_runs();
    let shown = |name: &str| runs[0][name].as_str().unwrap();
    assert_eq!((shown("name"), shown("head_sha")), ("cutover: shop (from a fork)", HEAD));
    let comment = job.comment();
    assert!(comment.contains("whoever wrote the change could have written"), "{comment}");
    assert!(comment.contains("actions/runs/41"), "{comment}");
    for call in ["@everyone", "https://evil", "#7"] {
        assert!(!comment.contains(call), "{call} in {comment}");
    }
    assert!(job.github.comments(1).is_empty());
}

#[test]
fn a_record_that_says_more_than_github_is_not_believed() {
    let sandbox = checks("[checks.unit]\nrun = \"true\"\n");
    let record = sandbox.run(&["check", "--json"]);
    sandbox.write("record.json", &record.stdout);
    let job = Job::of(sandbox, "workflow_run", &workflow_run("failure"));

    let ran = job.run(&["github", "report", "record.json", "--json"]);

    assert_eq!(ran.json()["reported"], json!({ "pull": null, "commit": HEAD, "conclusion": "failure" }));
    assert_eq!(job.github.check_runs()[0]["conclusion"], "failure");
}

#[test]
fn a_run_of_the_repository_itself_is_not_reported_since_it_could_speak() {
    let sandbox = checks("[checks.unit]\nrun = \"true\"\n");
    let mut event = workflow_run("success");
    event["workflow_run"]["head_repository"]["full_name"] = "Shop/App".into();
    let job = Job::of(sandbox, "workflow_run", &event);

    let ran = job.run(&["github", "report", "record.json"]);

    assert!(ran.code == 0 && ran.stdout.starts_with("nothing to report: "), "{}", ran.told());
    assert_eq!(job.run(&["github", "report", "record.json", "--json"]).json()["reported"], Value::Null);
    assert!(job.github.received().is_empty());
}

#[test]
fn a_report_where_none_can_be_made_says_why() {
    let sandbox = checks("[checks.unit]\nrun = \"true\"\n");
    sandbox.write("record.json", "{\"v\":1,\"run\":{}}");
    let job = Job::of(sandbox, "workflow_run", &workflow_run("success"));
    let broken = job.run(&["github", "report", "record.json"]);
    assert!(
        broken.code == 2 && broken.stderr.contains("cannot read the record of checks record.json"),
        "{}",
        broken.told()
    );
    let outside = job.run_with(&["github", "report", "record.json"], &[("GITHUB_TOKEN", "")]);
    assert!(outside.code == 2 && outside.stderr.contains("on: workflow_run"), "{}", outside.told());
    let job = Job { name: "push", ..job };
    assert_eq!(job.run(&["github", "report", "record.json"]).code, 2);
    assert!(job.github.received().is_empty());
}
