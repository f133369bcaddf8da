//! What is remembered: `history`, `logs`, `metrics`.

use crate::sandbox::{Ran, Sandbox};
use cutover_core::store::Store;
use cutover_store::SqliteStore;
use cutover_testkit::{Story, Told, minute};
use insta::assert_snapshot;
use jiff::Timestamp;

/// A sandbox whose history holds these deployments.
fn remembering(told: &[Told]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&["history"]);
    let store = SqliteStore::open(&sandbox.data_dir().join("history.db")).unwrap();
    told.iter().for_each(|(plan, records)| store.ingest(plan, records).unwrap());
    sandbox
}

/// Three deployments: one that went well, one that was taken back, one that nobody finished.
fn eventful() -> Sandbox {
    let staging = Story::new(3).environment("staging").unfinished();
    remembering(&[Story::new(1).deployed(), Story::new(2).subject("Break the cart").rolled_back(), staging])
}

/// How long ago it was depends on the day of the test.
fn without_age(ran: &Ran) -> String {
    let words: Vec<String> = ran.told().lines().map(|line| line.split("  ").enumerate().filter(|(at, _)| *at != 1).map(|(_, cell)| cell).collect::<Vec<_>>().join("  ")).collect();
    words.join("\n")
}

#[test]
fn the_history_is_listed_newest_first() {
    assert_snapshot!(without_age(&eventful().run(&["history"])), @"");
}

#[test]
fn the_history_can_be_narrowed() {
    let sandbox = eventful();
    let ids = |args: &[&str]| {
        let told = sandbox.run(&[&["history", "--json"], args].concat()).json();
        told["deployments"].as_array().unwrap().iter().map(|row| row["deployment"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), ["d-00003", "d-00002", "d-00001"]);
    assert_eq!(ids(&["production"]), ["d-00002", "d-00001"]);
    assert_eq!(ids(&["--outcome", "rolled-back"]), ["d-00002"]);
    assert_eq!(ids(&["--outcome", "unfinished"]), ["d-00003"]);
    assert_eq!(ids(&["--search", "cart"]), ["d-00002"]);
    assert_eq!(ids(&["-n", "1"]), ["d-00003"]);
    assert_eq!(ids(&["--before", "d-00002"]), ["d-00001"]);
    assert_eq!(ids(&["gone"]), [""; 0], "an environment that is gone from the config is no error");
}

#[test]
fn the_next_page_is_named() {
    let sandbox = eventful();
    assert_eq!(sandbox.run(&["history", "-n", "2", "--json"]).json()["next"], "d-00002");
    assert!(sandbox.run(&["history", "-n", "2"]).stdout.ends_with("older ones: --before d-00002\n"));
}

#[test]
fn the_whole_story_of_a_deployment_is_told() {
    assert_snapshot!(eventful().run(&["logs", "d-00002"]).told(), @"");
}

#[test]
fn an_unfinished_deployment_says_how_it_can_go_on() {
    assert_snapshot!(eventful().run(&["logs", "d-00003"]).told(), @"");
}

#[test]
fn one_step_can_be_told_alone() {
    let sandbox = eventful();
    let ran = sandbox.run(&["logs", "d-00002", "--step", "switch"]);
    assert!(ran.stdout.contains("switch") && !ran.stdout.contains("✓ stage"), "{ran:?}");
    assert_snapshot!(sandbox.run(&["logs", "d-00002", "--step", "swich"]).told(), @"");
}

#[test]
fn the_end_of_a_kept_log_is_shown_without_its_escapes() {
    let sandbox = Sandbox::new();
    sandbox.run(&["history"]);
    let log = sandbox.path().join("verify.log");
    std::fs::write(&log, "first\n\x1b[31mlast\x1b[0m\n").unwrap();
    let (plan, mut records) = Story::new(1).rolled_back();
    let failed = records.iter_mut().find_map(|record| match &mut record.entry {
        cutover_core::journal::Entry::Failed { error, .. } => Some(error),
        _ => None,
    });
    failed.unwrap().log = Some(log.display().to_string());
    SqliteStore::open(&sandbox.data_dir().join("history.db")).unwrap().ingest(&plan, &records).unwrap();
    let told = sandbox.run(&["logs", "d-00001", "-v"]).stdout;
    assert!(told.contains("    | first\n    | last\n"), "{told}");
}

#[test]
fn machines_get_the_journal_as_it_was_recorded() {
    let told = eventful().run(&["logs", "d-00002", "--json"]).json();
    assert_eq!((&told["v"], &told["deployment"]["outcome"]), (&1.into(), &"rolled_back".into()));
    assert_eq!(told["entries"][0]["seq"], 1);
}

#[test]
fn a_deployment_can_be_named_by_the_beginning_of_its_id() {
    let sandbox = eventful();
    assert_snapshot!(sandbox.run(&["logs", "d-0000"]).told(), @"");
    assert_snapshot!(sandbox.run(&["logs", "d-9"]).told(), @"");
}

/// A story that began yesterday: metrics look at what lies before now.
fn recent(number: i64) -> Story {
    let now = (Timestamp::now().as_second() - minute(0).as_second()) / 60;
    Story::new(number).at_minute(now - 1_440 + number)
}

#[test]
fn few_deployments_make_no_figures() {
    let sandbox = remembering(&[recent(1).deployed(), recent(2).rolled_back()]);
    let ran = sandbox.run(&["metrics", "--since", "2020-01-01"]);
    let table = ran.stdout.split_once("\n\n").unwrap().1;
    assert_snapshot!(table, @"");
}

#[test]
fn many_deployments_make_figures() {
    let told: Vec<Told> = (1..=8).map(|n| if n % 4 == 0 { recent(n).rolled_back() } else { recent(n).deployed() }).collect();
    let sandbox = remembering(&told);
    let ran = sandbox.run(&["metrics", "production", "--since", "2020-01-01"]);
    // These depend on the day of the test.
    let passing = |line: &&str| line.starts_with("From") || line.contains("a day") || line.contains("lead time");
    let table: Vec<&str> = ran.stdout.lines().filter(|line| !passing(line)).collect();
    assert_snapshot!(table.join("\n"), @"");
    let json = sandbox.run(&["metrics", "--json", "--since", "2020-01-01"]).json();
    assert_eq!(json["metrics"]["change_failure_rate"]["value"], 0.25);
}
