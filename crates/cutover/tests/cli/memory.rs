//! What is remembered: `history`, `logs`, `metrics`.

use crate::sandbox::{CONFIG, Ran, Sandbox};
use cutover_core::journal::{Chain, header};
use cutover_core::store::Store;
use cutover_store::SqliteStore;
use cutover_testkit::{Story, Told, minute};
use insta::assert_snapshot;
use jiff::Timestamp;
use std::fs;

/// A sandbox whose history holds these deployments.
fn remembering(told: &[Told]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&["history"]);
    let store = SqliteStore::open(&sandbox.data_dir().join("history.db")).unwrap();
    told.iter().for_each(|(plan, records)| store.ingest(plan, records).unwrap());
    sandbox
}

/// A deployment's journal, as a host keeps it.
fn journal((plan, records): &Told) -> Vec<u8> {
    let mut chain = Chain::default();
    let mut lines = chain.encode(&header(plan)).unwrap();
    records.iter().for_each(|record| lines.extend(chain.encode(record).unwrap()));
    lines
}

#[test]
fn a_damaged_history_is_set_aside_and_made_anew_from_the_journals() {
    let sandbox = remembering(&[Story::new(7).deployed()]);
    let deploy_to = sandbox.path().join("srv");
    sandbox.write("cutover.toml", &CONFIG.replace("/srv/shop", deploy_to.to_str().unwrap()));
    let done = deploy_to.join(".cutover/journal/done");
    fs::create_dir_all(&done).unwrap();
    fs::write(done.join("d-00001.journal"), journal(&Story::new(1).deployed())).unwrap();
    let file = sandbox.data_dir().join("history.db");
    for first_sound_bytes in [0, 8_192] {
        // Given damage that is seen at once, and damage that is seen only when rows are read.
        let mut bytes = fs::read(&file).unwrap();
        bytes[first_sound_bytes..].fill(0xA5);
        fs::write(&file, bytes).unwrap();

        let ran = sandbox.run(&["history"]);

        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains("the history was damaged and lies in "), "{ran:?}");
        assert!(ran.stdout.contains("d-00001") && !ran.stdout.contains("d-00007"), "{ran:?}");
    }
    assert!(file.with_file_name("history.db.damaged-2").exists());
    assert_eq!(sandbox.run(&["history"]).stderr, "");
}

#[test]
fn a_deployment_that_meets_a_damaged_history_makes_it_anew() {
    // Given damage that is seen only when rows are written.
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let file = sandbox.data_dir().join("history.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[8_192..].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    // When something is deployed.
    let ran = sandbox.run(&["deploy", "production"]);
    // Then the new history has it, and once the journals were asked also what was before.
    assert_eq!(ran.code, 0, "{ran:?}");
    let anew = ran.stderr.matches("the history was damaged and lies in ").count();
    assert!(anew == 1 && !ran.stderr.contains("was not written"), "{ran:?}");
    let history = sandbox.run(&["history"]);
    assert!(history.stderr.is_empty() && history.stdout.matches("✓ deployed").count() == 2, "{history:?}");
}

/// Three deployments: one that went well, one that was taken back, one that nobody finished.
fn eventful() -> Sandbox {
    let staging = Story::new(3).environment("staging").unfinished();
    remembering(&[Story::new(1).deployed(), Story::new(2).subject("Break the cart").rolled_back(), staging])
}

/// The table without the column that depends on the day of the test.
fn without_age(ran: &Ran) -> String {
    let head = ran.stdout.lines().next().unwrap();
    let (start, end) = (head.find("WHEN").unwrap(), head.find("ENVIRONMENT").unwrap());
    let cut = |line: &str| line.chars().take(start).chain(line.chars().skip(end)).collect::<String>();
    ran.stdout.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_history_is_listed_newest_first() {
    assert_snapshot!(without_age(&eventful().run(&["history"])), @"
    DEPLOYMENT  ENVIRONMENT  KIND    OUTCOME        RELEASE  TOOK   BY   WHAT
    d-00003     staging      deploy  … unfinished   r3       2.00s  ada  0000000 Change 3
    d-00002     production   deploy  ↩ rolled back  r2       5.00s  ada  0000000 Break the cart — switch: probe /health: status 500
    d-00001     production   deploy  ✓ deployed     r1       5.00s  ada  0000000 Change 1
    ");
}

#[test]
fn the_history_can_be_narrowed() {
    let sandbox = eventful();
    let ids = |args: &[&str]| {
        let told = sandbox.run(&[&["history", "--json"], args].concat()).json();
        told["deployments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["deployment"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
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
    assert_snapshot!(eventful().run(&["logs", "d-00002"]).told(), @"
    exit 0
    deployment d-00002 ↩ rolled back
      deploy by ada at 2026-11-21 10:02:00 UTC
      artifact artifact-2

    Deploying shop to production: release r2
      commit 0000000 Break the cart
      live before r1
    ✓ stage 1.00s — done
      ! slow disk
    ✗ switch 1.00s — probe /health: status 500
      probe health (http://127.0.0.1:8000/health) not healthy after 12 ms, code 500: status 500
        | Traceback
        | ValueError
    taking back: switch, stage
    ↩ taken back: switch 1.00s — back
    ↩ taken back: stage 1.00s — back
    ↩ Rolled back in 5.00s: release r1 is live and healthy again, r2 is not

    probes
    TIME      HOST       PROBE   WHERE                         HEALTHY  CODE  MS  ATTEMPTS  SAID
    10:00:00  localhost  health  http://127.0.0.1:8000/health  yes      200   12  1         {}
    10:00:00  localhost  health  http://127.0.0.1:8000/health  NO       500   12  1         status 500

    incident: opened 2026-11-21 10:02:04 UTC, closed 2026-11-21 10:02:06 UTC; `cutover logs d-00002 --incident` is its report
    ");
}

#[test]
fn an_unfinished_deployment_says_how_it_can_go_on() {
    assert_snapshot!(eventful().run(&["logs", "d-00003"]).told(), @"
    exit 0
    deployment d-00003 … unfinished
      deploy by ada at 2026-11-21 10:03:00 UTC
      artifact artifact-3

    Deploying shop to staging: release r3
      commit 0000000 Change 3
      live before r2
    ✓ stage 1.00s — done
      ! slow disk
    … unfinished; cutover resume staging takes it up

    probes
    TIME      HOST       PROBE   WHERE                         HEALTHY  CODE  MS  ATTEMPTS  SAID
    10:00:00  localhost  health  http://127.0.0.1:8000/health  yes      200   12  1         {}
    ");
}

#[test]
fn one_step_can_be_told_alone() {
    let sandbox = eventful();
    let ran = sandbox.run(&["logs", "d-00002", "--step", "switch"]);
    assert!(ran.stdout.contains("switch") && !ran.stdout.contains("✓ stage"), "{ran:?}");
    assert_snapshot!(sandbox.run(&["logs", "d-00002", "--step", "swich"]).told(), @r#"
    exit 2
    --- stderr
    error: no step "swich" in d-00002
      hint: its steps are: prune, stage, switch
    "#);
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
    assert_snapshot!(sandbox.run(&["logs", "d-0000"]).told(), @r#"
    exit 2
    --- stderr
    error: deployment "d-0000" is ambiguous: d-00001, d-00002, d-00003
      hint: give more of its id
    "#);
    assert_snapshot!(sandbox.run(&["logs", "d-9"]).told(), @r#"
    exit 2
    --- stderr
    error: no deployment "d-9" in the history
      hint: `cutover history` lists what is remembered
    "#);
}

#[test]
fn an_environment_that_is_nowhere_is_warned_of_and_one_that_is_only_remembered_is_not() {
    let sandbox = eventful();
    let warning = "warning: no environment prod in cutover.toml or in the history; there are: production\n";
    for command in ["history", "metrics"] {
        let (unknown, remembered) = (sandbox.run(&[command, "prod"]), sandbox.run(&[command, "staging"]));
        assert_eq!((unknown.code, unknown.stderr.as_str()), (0, warning), "{unknown:?}");
        assert_eq!((remembered.code, remembered.stderr.as_str()), (0, ""), "{remembered:?}");
    }
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
    assert_snapshot!(table, @"
    FIGURE                                 VALUE                           N
    deployment frequency, a day            not enough data (fewer than 5)  1
    lead time for changes, median          not enough data (fewer than 5)  1
    lead time for changes, 9 of 10 within  not enough data (fewer than 5)  1
    change failure rate                    not enough data (fewer than 5)  2
    time to restore, median                not enough data (fewer than 5)  1
    time to restore, 9 of 10 within        not enough data (fewer than 5)  1
    success rate                           not enough data (fewer than 5)  2
    rollbacks per change                   not enough data (fewer than 5)  2
    duration, median                       not enough data (fewer than 5)  1
    duration, 9 of 10 within               not enough data (fewer than 5)  1
    ");
}

#[test]
fn many_deployments_make_figures() {
    let told: Vec<Told> =
        (1..=8).map(|n| if n % 4 == 0 { recent(n).rolled_back() } else { recent(n).deployed() }).collect();
    let sandbox = remembering(&told);
    let ran = sandbox.run(&["metrics", "production", "--since", "2020-01-01"]);
    // These depend on the day of the test.
    let passing = |line: &&str| line.starts_with("From") || line.contains("a day") || line.contains("lead time");
    let table: Vec<&str> = ran.stdout.lines().filter(|line| !passing(line)).collect();
    assert_snapshot!(table.join("\n"), @"
    FIGURE                                 VALUE                           N
    change failure rate                    25.0 %                          8
    time to restore, median                not enough data (fewer than 5)  2
    time to restore, 9 of 10 within        not enough data (fewer than 5)  2
    success rate                           75.0 %                          8
    rollbacks per change                   0.25                            8
    duration, median                       5.00s                           6
    duration, 9 of 10 within               5.00s                           6
    ");
    let json = sandbox.run(&["metrics", "--json", "--since", "2020-01-01"]).json();
    assert_eq!(json["metrics"]["change_failure_rate"]["value"], 0.25);
    assert_eq!(json["incomplete"], serde_json::json!([]));
}

#[test]
fn machines_are_told_that_a_history_knows_only_what_is_in_journals() {
    let sandbox = remembering(&[recent(1).deployed()]);
    // Given what a newer version wrote: the schema's version stands in the header.
    let file = sandbox.data_dir().join("history.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&file, bytes).unwrap();

    for command in ["history", "metrics"] {
        let ran = sandbox.run(&[command, "--json"]);
        let told = ran.json();
        assert_eq!(ran.code, 0, "{}", ran.told());
        assert!(told["incomplete"][0].as_str().unwrap().contains("has schema version 99"), "{command}: {told}");
    }
}
