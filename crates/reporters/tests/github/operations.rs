//! What is written, within GitHub's limits.

use crate::support::{World, client, commit, run};
use cutover_core::check::Counted;
use cutover_core::check::run::Conclusion;
use cutover_core::secret::Secret;
use cutover_reporters::github::check_run::{self, Told};
use cutover_reporters::github::comment::{self, Kept, Place, Section};
use cutover_reporters::github::deployment::{self, State, Wish};
use cutover_reporters::github::status;
use cutover_reporters::github::{Access, Client, Fault, Patience, RealPace, login, pull};
use serde_json::Value;
use std::sync::Arc;
use ureq::tls::RootCerts;

const US: &str = "github-actions[bot]";

fn place(project: &str) -> Place<'_> {
    Place { pull: 7, project, login: US }
}

#[test]
fn every_request_says_who_asks_and_in_which_version() {
    let world = World::new();
    status::write(&world.client, &commit("a"), "Cutover", status::State::Pending, "it runs", "https://run").unwrap();

    let asked = &world.github.received()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", &*format!("/repos/shop/app/statuses/{}", "a".repeat(40)))
    );
    assert_eq!(asked.header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(asked.header("accept"), Some("application/vnd.github+json, application/json;q=0.9"));
    assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {}", world.token)));
    assert!(asked.header("user-agent").unwrap().starts_with("cutover/"));
    assert_eq!(world.github.statuses()[0]["state"], "pending");
}

#[test]
fn a_description_of_any_length_is_taken() {
    let world = World::new();
    status::write(&world.client, &commit("a"), "c", status::State::Failure, &"ä".repeat(500), "https://run").unwrap();
    assert!(world.github.statuses()[0]["description"].as_str().unwrap().ends_with("ä…"));
}

#[test]
fn a_check_run_has_all_its_annotations_though_a_request_takes_fifty() {
    let world = World::new();
    let id = check_run::begin(&world.client, &commit("a"), "Cutover", "key-1", "https://run").unwrap();
    assert_eq!(world.github.check_runs()[0]["status"], "in_progress");

    check_run::complete(&world.client, &id, &Told::new(&run(120, "assert 1 == 2"), "")).unwrap();

    let shown = &world.github.check_runs()[0];
    assert_eq!((&shown["status"], &shown["conclusion"]), (&"completed".into(), &"failure".into()));
    let annotations = shown["annotations"].as_array().unwrap();
    let lines: Vec<u64> = annotations.iter().map(|one| one["start_line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=120).collect::<Vec<_>>());
    assert_eq!(world.github.received().iter().filter(|asked| asked.method == "PATCH").count(), 3);
}

#[test]
fn a_check_run_ends_also_where_its_annotations_are_not_taken() {
    for (failure_count, wrong_line, kept) in [(3, 2, 0), (120, 70, 50)] {
        let world = World::new();
        world.github.refuse_annotation_at(wrong_line);
        let id = check_run::begin(&world.client, &commit("a"), "Cutover", "key-1", "https://run").unwrap();

        let told = check_run::complete(&world.client, &id, &Told::new(&run(failure_count, "x"), "")).unwrap_err();

        assert!(told.to_string().starts_with("GitHub did not complete a check run (422: "), "{told}");
        let shown = &world.github.check_runs()[0];
        assert_eq!((&shown["status"], &shown["conclusion"]), (&"completed".into(), &"failure".into()));
        assert_eq!(shown["annotations"].as_array().unwrap().len(), kept, "what is there stays");
    }
}

#[test]
fn a_check_run_says_what_it_does_not_show() {
    let world = World::new();
    let id = check_run::begin(&world.client, &commit("a"), "Cutover", "key-1", "https://run").unwrap();

    check_run::complete(&world.client, &id, &Told::new(&run(900, &"y\n".repeat(4_000)), "")).unwrap();

    let shown = &world.github.check_runs()[0];
    assert_eq!(shown["annotations"].as_array().unwrap().len(), 500);
    let summary = shown["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("400 more places are not marked in the code."), "{}", &summary[..500]);
    assert!(summary.contains("more</div>"), "{}", &summary[..500]);
    assert!(summary.len() <= check_run::SUMMARY_BYTES_MAX);
}

#[test]
fn a_passed_run_has_no_annotations_and_another_conclusion_can_be_forced() {
    let world = World::new();
    let id = check_run::begin(&world.client, &commit("a"), "Cutover", "key-1", "https://run").unwrap();
    check_run::complete(&world.client, &id, &Told::new(&run(0, ""), "")).unwrap();
    assert_eq!(world.github.check_runs()[0]["conclusion"], "success");

    let id = check_run::begin(&world.client, &commit("a"), "Cutover", "key-2", "https://run").unwrap();
    check_run::complete(&world.client, &id, &Told::new(&run(0, ""), "").concluding(Conclusion::Failure)).unwrap();
    assert_eq!(world.github.check_runs()[1]["conclusion"], "failure");
}

#[test]
fn the_coverage_of_a_commit_is_read_where_its_check_run_says_it() {
    let world = World::new();
    let lines = Some(Counted { covered: 832, total: 1_000 });
    let told = |name: &str, lines| {
        let mut run = run(0, "");
        run.totals.lines = lines;
        let id = check_run::begin(&world.client, &commit("b"), name, name, "https://run").unwrap();
        check_run::complete(&world.client, &id, &Told::new(&run, "")).unwrap();
    };
    told("cutover: shop", lines);
    told("cutover: other", None);

    let of = |name: &str| check_run::lines_of(&world.client, &commit("b"), name).unwrap();
    assert_eq!(of("cutover: shop"), lines);
    assert_eq!(of("cutover: other"), None);
    assert_eq!(of("nobody"), None);
}

#[test]
fn a_comment_is_made_once_and_changed_only_when_something_is_new() {
    let world = World::new();
    let checks = Section::checks("", &run(1, "assert 1 == 2"), "", &commit("a"), "https://run");

    assert_eq!(comment::keep(&world.client, place("shop"), &checks).unwrap(), Kept::Made);
    assert_eq!(comment::keep(&world.another(), place("shop"), &checks).unwrap(), Kept::Unchanged);
    let fine = Section::checks("", &run(0, ""), "", &commit("a"), "https://run");
    assert_eq!(comment::keep(&world.another(), place("shop"), &fine).unwrap(), Kept::Changed);

    let comments = world.github.comments(7);
    assert_eq!(comments.len(), 1);
    assert!(comments[0].1.contains("✓ The checks passed"), "{}", comments[0].1);
    let writes = world.github.received().iter().filter(|asked| asked.method != "GET").count();
    assert_eq!(writes, 2);
}

#[test]
fn each_writer_keeps_what_the_others_said() {
    let world = World::new();
    comment::keep(&world.client, place("shop"), &Section::new("deploy staging", "staging: old")).unwrap();
    comment::keep(&world.client, place("shop"), &Section::checks("", &run(0, ""), "", &commit("a"), "https://run"))
        .unwrap();
    comment::keep(&world.client, place("shop"), &Section::new("deploy staging", "staging: new")).unwrap();
    comment::keep(&world.client, place("shop"), &Section::new("deploy production", "production: live")).unwrap();
    comment::keep(&world.client, place("other"), &Section::new("deploy staging", "another project")).unwrap();

    let comments = world.github.comments(7);
    assert_eq!(comments.len(), 2);
    let at = |words: &str| comments[0].1.find(words);
    assert!(at("✓ The checks passed") < at("production: live") && at("production: live") < at("staging: new"));
    assert!(at("✓ The checks passed").is_some() && at("staging: old").is_none(), "{}", comments[0].1);
}

#[test]
fn what_others_wrote_is_left_alone_also_when_it_looks_like_ours_and_ours_is_on_a_later_page() {
    let world = World::new();
    let marker = "<!-- cutover:comment shop -->";
    (0..230).for_each(|_| world.github.comment_as("stranger", 7, &format!("{marker}\nforged")));
    comment::keep(&world.client, place("shop"), &Section::new("checks", "one")).unwrap();
    comment::keep(&world.client, place("shop"), &Section::new("checks", "two")).unwrap();

    let comments = world.github.comments(7);
    assert_eq!(comments.iter().filter(|(author, _)| author == US).count(), 1);
    assert!(comments.iter().take(230).all(|(_, body)| body.ends_with("forged")));
    assert!(comments[230].1.contains("two"));
}

#[test]
fn a_long_comment_is_within_what_github_takes() {
    let world = World::new();
    for number in 0..6 {
        let section = Section::new(&format!("deploy env-{number}"), &"ä".repeat(40_000));
        comment::keep(&world.client, place("shop"), &section).unwrap();
    }
    let checks = Section::checks("", &run(900, &"long\n".repeat(400)), "", &commit("a"), "https://run");
    comment::keep(&world.client, place("shop"), &checks).unwrap();
    let body = &world.github.comments(7)[0].1;
    assert!(body.contains("no room for more") && body.contains("✗ The checks failed"), "{}", body.len());
}

#[test]
fn nothing_that_a_check_says_calls_anybody_or_leads_anywhere() {
    let world = World::new();
    let hostile = "@everyone #1 https://evil.example\n\n[x](https://evil.example) <img src=x> <!-- cutover:end -->";
    let checks = Section::checks("", &run(2, hostile), "", &commit("a"), "https://run");
    comment::keep(&world.client, place("shop"), &checks).unwrap();
    let id = check_run::begin(&world.client, &commit("a"), "Cutover", "k", "https://run").unwrap();
    check_run::complete(&world.client, &id, &Told::new(&run(2, hostile), "")).unwrap();

    let summary = world.github.check_runs()[0]["output"]["summary"].as_str().unwrap().to_owned();
    for text in [world.github.comments(7)[0].1.clone(), summary] {
        for call in ["@everyone", "#1", "https://evil", "<img", "](https://evil"] {
            assert!(!text.contains(call), "{call} in {text}");
        }
    }
}

fn wish<'a>(commit: &'a cutover_reporters::github::CommitId, project: &'a str, id: &'a str) -> Wish<'a> {
    Wish { commit, environment: "production", project, id, description: "deploy 20261121-a1b2c3d" }
}

#[test]
fn a_deployment_that_is_live_takes_the_place_of_those_before_it_of_its_project_alone() {
    let world = World::new();
    let (commit, client) = (commit("a"), &world.client);
    let deploy = |project: &str, id: &str, state: State| {
        let wish = wish(&commit, project, id);
        let number = deployment::begin(client, &wish, false).unwrap();
        deployment::tell(client, number, State::InProgress, "on its way", "https://run", None).unwrap();
        deployment::tell(client, number, state, "over", "https://run", Some("https://shop.example")).unwrap();
        let is_live = state == State::Success;
        if is_live { deployment::deactivate_predecessors(client, &wish, number, "https://run").unwrap() } else { 0 }
    };
    assert_eq!(deploy("shop", "one", State::Success), 0);
    assert_eq!(deploy("other", "two", State::Success), 0);
    assert_eq!(deploy("shop", "three", State::Failure), 0);
    assert_eq!(deploy("shop", "four", State::Success), 1);

    let states: Vec<Vec<String>> = world.github.deployments().into_iter().map(|(_, _, states)| states).collect();
    assert_eq!(states[0], ["in_progress", "success", "inactive"]);
    assert_eq!(states[1], ["in_progress", "success"]);
    assert_eq!(states[2], ["in_progress", "failure"]);
    assert_eq!(states[3], ["in_progress", "success"]);
    let asked = world.github.received();
    let made = asked.iter().find(|asked| asked.path.ends_with("/deployments")).unwrap();
    assert_eq!((&made.body["auto_merge"], &made.body["required_contexts"]), (&false.into(), &Value::Array(vec![])));
}

#[test]
fn failures_and_one_that_is_inactive_hide_no_earlier_deployment_that_is_active() {
    let world = World::new();
    let commit = commit("a");
    let begin = |id: &str, state| {
        let number = deployment::begin(&world.client, &wish(&commit, "shop", id), false).unwrap();
        deployment::tell(&world.client, number, state, "over", "https://run", None).unwrap();
        number
    };
    begin("active", State::Success);
    begin("inactive", State::Inactive);
    for number in 0..12 {
        begin(&format!("failed {number}"), State::Failure);
    }
    let last = begin("last", State::Success);
    let count = deployment::deactivate_predecessors(&world.client, &wish(&commit, "shop", "last"), last, "https://run");
    assert_eq!(count.unwrap(), 1);
    assert_eq!(world.github.deployments()[0].2, ["success", "inactive"]);
}

#[test]
fn a_resumed_deployment_goes_on_with_the_one_that_was_made() {
    let world = World::new();
    let commit = commit("a");
    let first = deployment::begin(&world.client, &wish(&commit, "shop", "one"), false).unwrap();
    let again = deployment::begin(&world.another(), &wish(&commit, "shop", "one"), true).unwrap();
    assert_eq!(first, again);
    assert_eq!(world.github.deployments().len(), 1);
}

#[test]
fn what_a_token_may_not_is_said_with_the_permission_that_it_lacks() {
    let world = World::new();
    for permission in ["checks", "statuses", "deployments", "pull-requests"] {
        world.github.refuse(permission);
    }
    let commit = commit("a");
    let said = |result: Result<(), Fault>| result.unwrap_err().to_string();
    let (client, us) = (&world.client, place("shop"));
    let told = [
        said(check_run::begin(client, &commit, "Cutover", "k", "https://run").map(drop)),
        said(status::write(client, &commit, "Cutover", status::State::Error, "", "https://run")),
        said(comment::keep(client, us, &Section::new("checks", "x")).map(drop)),
        said(deployment::begin(client, &wish(&commit, "shop", "one"), false).map(drop)),
    ];
    let needs = ["checks: write", "statuses: write", "pull-requests: write", "deployments: write"];
    for (told, permission) in told.iter().zip(needs) {
        let refused = "(403: Resource not accessible by integration); that needs the permission";
        assert!(told.ends_with(&format!("{refused} `{permission}`")), "{told}");
    }
    assert_eq!(world.slept.pauses(), [0_u64; 0], "waiting helps nobody who may not");
}

#[test]
fn a_wrong_token_is_said_to_be_one_and_stands_in_no_message() {
    let world = World::new();
    let token = format!("{}x", world.token);
    let client = client(&world.github.url(), &token, &Arc::default(), Patience::default());
    let told = status::write(&client, &commit("a"), "c", status::State::Error, "", "https://run").unwrap_err();
    assert_eq!(
        told.to_string(),
        "GitHub does not know the token, so it cannot write a commit status (401: Bad credentials); it is wrong or has expired"
    );
    assert!(!format!("{told:?}").contains(&token));
}

#[test]
fn a_job_s_token_speaks_for_the_actions_bot_unless_it_is_said_for_whom() {
    assert_eq!(login(&World::new().client).unwrap(), US);
    let access = Access {
        api: "https://api.github.com".to_owned(),
        token: Secret::new("x".repeat(20)),
        login: Some("my-app[bot]".to_owned()),
        repository: "shop/app".parse().unwrap(),
        certs: RootCerts::WebPki,
    };
    let told = Client::new(access, Box::new(RealPace), Patience::default()).unwrap();
    assert_eq!(login(&told).unwrap(), "my-app[bot]", "nobody is asked");
}

#[test]
fn of_two_comments_that_were_made_at_once_the_older_has_all_sections() {
    let world = World::new();
    // Another job makes one between our look and our comment: both are there when ours is looked at again.
    let theirs = Section::new("deploy production", "live");
    comment::keep(&world.another(), place("shop"), &theirs).unwrap();
    world.github.overlook_comments(1);

    comment::keep(&world.client, place("shop"), &Section::new("checks", "all well")).unwrap();

    let comments = world.github.comments(7);
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].1.contains("all well") && comments[0].1.contains("live"), "{comments:?}");
}

#[test]
fn who_is_not_whom_we_thought_makes_no_comment_each_time() {
    let world = World::new();
    let thought = Place { login: "somebody-else", ..place("shop") };
    for words in ["one", "two", "three"] {
        comment::keep(&world.client, thought, &Section::new("checks", words)).unwrap();
    }
    let comments = world.github.comments(7);
    assert!(comments.len() == 1 && comments[0].1.contains("three"), "{comments:?}");
}

#[test]
fn a_pull_request_is_found_by_its_head_alone() {
    let world = World::new();
    world.github.open_pull(7, "stranger", "a&state=closed#1", &"c".repeat(40));
    let find = |branch: &str, digit: &str| pull::with_head(&world.client, "stranger", branch, &commit(digit)).unwrap();
    assert_eq!(find("a&state=closed#1", "c"), Some(7));
    assert_eq!(find("a&state=closed#1", "d"), None, "it was pushed to since");
    assert_eq!(find("a", "c"), None);
    assert_eq!(pull::head(&world.client, 7).unwrap(), Some(commit("c")));
    assert_eq!(pull::head(&world.client, 8).unwrap(), None);
}

#[test]
fn no_token_goes_anywhere_in_clear() {
    let client = |api: &str| {
        let (api, repository) = (api.to_owned(), "shop/app".parse().unwrap());
        let (token, login) = (Secret::new("x".repeat(20)), None);
        let access = Access { api, token, login, repository, certs: RootCerts::WebPki };
        Client::new(access, Box::new(RealPace), Patience::default()).map(drop)
    };
    for sound in
        ["https://api.github.com", "https://ghe.example/api/v3/", "http://127.0.0.1:4020", "http://localhost:1"]
    {
        client(sound).unwrap();
    }
    for wrong in ["http://api.github.com", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "", "api.github.com"] {
        assert!(client(wrong).is_err(), "{wrong}");
    }
}
