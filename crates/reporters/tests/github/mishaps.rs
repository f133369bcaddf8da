//! What goes wrong out there, and that each thing is done once all the same.

use crate::support::{World, commit, run};
use cutover_core::engine::Clock;
use cutover_reporters::github::check_run::{self, Told};
use cutover_reporters::github::comment::{self, Kept, Place, Section};
use cutover_reporters::github::deployment::{self, State, Wish};
use cutover_reporters::github::status;
use cutover_testkit::FrozenClock;
use cutover_testkit::github::Mishap;

const PLACE: Place<'_> = Place { pull: 7, project: "shop", login: "github-actions[bot]" };

/// All that a run of checks and a deployment say, in order.
fn tell_all(world: &World) {
    let (client, commit) = (&world.client, commit("a"));
    status::write(client, &commit, "Cutover", status::State::Pending, "it runs", "https://run").unwrap();
    let id = check_run::begin(client, &commit, "Cutover", "key", "https://run").unwrap();
    check_run::complete(client, &id, &Told::new(&run(120, "assert 1 == 2"), "")).unwrap();
    assert_eq!(comment::keep(client, PLACE, &Section::new("checks", "one")).unwrap(), Kept::Made);
    assert_eq!(comment::keep(client, PLACE, &Section::new("checks", "two")).unwrap(), Kept::Changed);
    for id in ["one", "two"] {
        let wish = Wish { commit: &commit, environment: "production", project: "shop", id, description: "deploy" };
        let number = deployment::begin(client, &wish, false).unwrap();
        deployment::tell(client, number, State::Success, "live", "https://run", None).unwrap();
        deployment::deactivate_predecessors(client, &wish, number, "https://run").unwrap();
    }
}

/// What must be there afterwards, whatever befell.
fn assert_told_once(world: &World, mishap: &str) {
    let github = &world.github;
    let runs = github.check_runs();
    assert_eq!(runs.len(), 1, "{mishap}");
    assert_eq!(runs[0]["annotations"].as_array().unwrap().len(), 120, "{mishap}");
    let comments = github.comments(7);
    assert!(comments.len() == 1 && comments[0].1.contains("two"), "{mishap}: {comments:?}");
    let deployments = github.deployments();
    assert_eq!(deployments.len(), 2, "{mishap}");
    let last: Vec<_> = deployments.iter().filter_map(|(_, _, states)| states.last().cloned()).collect();
    assert_eq!(last, ["inactive", "success"], "{mishap}");
}

/// Every request that [`tell_all`] makes where nothing goes wrong: method and path.
fn requests() -> Vec<(&'static str, String)> {
    let world = World::new();
    tell_all(&world);
    assert_told_once(&world, "nothing");
    let method = |name: &str| *["GET", "POST", "PATCH"].iter().find(|known| **known == name).unwrap();
    let asked = world.github.received();
    let mut all: Vec<_> = asked.iter().map(|asked| (method(&asked.method), path_kind(&asked.path))).collect();
    all.sort();
    all.dedup();
    all
}

/// The part of a path that tells one kind of request from another, without numbers.
fn path_kind(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let kinds = ["statuses/a", "check-runs", "issues/comments/", "issues/7/comments", "/statuses", "/deployments"];
    kinds.iter().find(|kind| path.contains(**kind)).map(|kind| (*kind).to_owned()).unwrap()
}

/// Has each mishap befall each kind of request once, then twice in a row; says how many befell.
fn survive(mishaps: &[Mishap]) -> (usize, u64) {
    let (mut befallen, mut pauses) = (0, 0);
    for (method, part) in requests() {
        for mishap in mishaps {
            for count in 1..=2 {
                let world = World::new();
                (0..count).for_each(|_| world.github.order(method, &part, mishap.clone()));
                tell_all(&world);
                assert_told_once(&world, &format!("{count} times {mishap:?} of {method} {part}"));
                // What was done already is found, and not asked for a second time.
                let spared = world.github.outstanding_count();
                assert!(spared < count, "{mishap:?} of {method} {part} befell nobody");
                befallen += count - spared;
                pauses += world.slept.pauses().iter().sum::<u64>();
            }
        }
    }
    (befallen, pauses)
}

#[test]
fn trouble_of_github_s_own_is_survived_and_nothing_is_said_twice() {
    let answer = |status| Mishap::Answer(status, Vec::new(), "Server Error");
    let mishaps =
        [answer(500), answer(502), answer(503), answer(504), Mishap::DoneAndBroken, Mishap::DoneAndCut, Mishap::HungUp];
    let (befallen, pauses) = survive(&mishaps);
    println!("survived {befallen} broken, cut or missing answers with {pauses} s of pauses");
    assert!(befallen >= 150, "{befallen}");
}

#[test]
fn annotations_are_all_there_once_whichever_request_with_some_of_them_is_lost() {
    for mishap in [Mishap::HungUp, Mishap::DoneAndCut] {
        for spared_count in 0..3 {
            let world = World::new();
            (0..spared_count).for_each(|_| world.github.order("PATCH", "check-runs", Mishap::Spared));
            world.github.order("PATCH", "check-runs", mishap.clone());
            tell_all(&world);
            assert_told_once(&world, &format!("{mishap:?} of request {spared_count}"));
            assert_eq!(world.github.outstanding_count(), 0);
        }
    }
}

#[test]
fn limits_are_survived_with_the_pauses_that_github_asks_for() {
    let limit = |status, headers, message| Mishap::Answer(status, headers, message);
    let reset = (FrozenClock::default().now().as_second() + 30).to_string();
    let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let mishaps = [
        limit(429, vec![("retry-after", "7".to_owned())], "Too many requests"),
        limit(403, vec![("retry-after", "60".to_owned())], secondary),
        limit(403, vec![], secondary),
        limit(
            403,
            vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)],
            "API rate limit exceeded",
        ),
    ];
    let (befallen, pauses) = survive(&mishaps);
    println!("survived {befallen} limits with {pauses} s of pauses");
    assert!(befallen >= 90, "{befallen}");
}

#[test]
fn answers_that_do_not_come_are_survived() {
    for (method, part) in requests() {
        for mishap in [Mishap::Silent, Mishap::DoneAndSilent] {
            let world = World::hasty();
            world.github.order(method, &part, mishap.clone());
            tell_all(&world);
            assert_told_once(&world, &format!("{mishap:?} of {method} {part}"));
            assert_eq!(world.github.outstanding_count(), 0);
        }
    }
}

#[test]
fn patience_has_an_end_and_the_pause_that_was_too_long_is_named() {
    let world = World::new();
    let limit = Mishap::Answer(403, vec![("retry-after", "3600".to_owned())], "secondary rate limit");
    world.github.order("POST", "statuses", limit);
    let write = || status::write(&world.client, &commit("a"), "c", status::State::Error, "", "https://run");

    assert_eq!(
        write().unwrap_err().to_string(),
        "GitHub has had too many requests to write a commit status (403), and wants a pause of 3600 s"
    );
    assert_eq!(world.slept.pauses(), [0_u64; 0], "what is too long is not begun");

    (0..6).for_each(|_| world.github.order("POST", "statuses", Mishap::HungUp));
    let told = write().unwrap_err().to_string();
    assert!(told.starts_with("GitHub could not write a commit status: "), "{told}");
    assert_eq!(world.slept.pauses(), [1, 2, 4, 8, 16]);
    write().unwrap();
}

#[test]
fn answers_that_are_slow_have_an_end_as_well() {
    let world = World::new();
    world.slept.slow_down(15);
    let write = || status::write(&world.client, &commit("a"), "c", status::State::Error, "", "https://run");
    let told = (0..100).find_map(|_| write().err()).unwrap().to_string();
    assert_eq!(told, "GitHub could not write a commit status: the 200 s that it is given are over");
    let count = world.github.statuses().len();
    assert!((5..=14).contains(&count), "{count}");
}

#[test]
fn time_is_counted_once_and_a_pause_that_is_asked_for_is_made_also_before_something_is_looked_up() {
    let world = World::new();
    world.github.order("POST", "check-runs", Mishap::Answer(503, vec![("retry-after", "9".to_owned())], "Busy"));
    check_run::begin(&world.client, &commit("a"), "Cutover", "key", "https://run").unwrap();
    assert_eq!(world.slept.pauses(), [9]);

    let world = World::new();
    world.slept.slow_down(4);
    world.github.order("POST", "check-runs", Mishap::DoneAndBroken);
    check_run::begin(&world.client, &commit("a"), "Cutover", "key", "https://run").unwrap();
    // Two requests, at each of which the clock is looked at when it begins, for its answer, and when it ends; and a second's pause.
    assert_eq!(world.client.survived().spent.as_secs(), 2 * 8 + 1);
}

#[test]
fn nobody_is_heard_where_nobody_listens() {
    let world = World::new();
    let (url, token, slept) = (world.github.url(), world.token.clone(), world.slept.clone());
    drop(world);
    let client = crate::support::client(&url, &token, &slept, cutover_reporters::github::Patience::default());
    let told = check_run::begin(&client, &commit("a"), "Cutover", "key", "https://run").unwrap_err().to_string();
    assert!(told.starts_with("GitHub could not make a check run: "), "{told}");
    let survived = client.survived();
    assert_eq!((survived.request_count, survived.trouble_count), (6, 6));
}

#[test]
fn who_waits_for_a_first_word_gives_up_early_and_then_is_as_patient_as_all() {
    let world = World::new();
    let impatient = |url: &str| {
        crate::support::client(url, &world.token, &world.slept, cutover_reporters::github::Patience::default())
            .impatient_at_first(2)
    };
    // Given an address at which nobody listens.
    let nobody = World::new().github.url();
    let client = impatient(&nobody);
    check_run::begin(&client, &commit("a"), "Cutover", "key", "https://run").unwrap_err();
    assert_eq!((client.survived().request_count, world.slept.pauses()), (2, vec![1]));
    // Given one that answers, and then has trouble for a while.
    let client = impatient(&world.github.url());
    for _ in 0..4 {
        world.github.order("POST", "check-runs", Mishap::Answer(503, Vec::new(), "try later"));
    }
    check_run::begin(&client, &commit("a"), "Cutover", "key", "https://run").unwrap();
}
