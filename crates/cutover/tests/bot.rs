//! The chat bot of `examples/bot`: two channels that know nothing of each other, and a server that tells who is really there.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "shared/example.rs"]
mod example;

use cutover_targets::supervisor;
use example::{Copy, example, run, text};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A password that nobody has written down.
fn made_up() -> String {
    format!("{:016x}", RandomState::new().hash_one("password"))
}

/// A server with both bots' accounts, and the bot in a repository of its own, deployed beneath a directory of the test.
struct Bot {
    copy: Copy,
    server: Child,
    passwords: [String; 2],
}

impl Bot {
    fn new() -> Self {
        let copy = Copy::of("bot");
        let passwords = [made_up(), made_up()];
        let accounts = format!(r#"{{"rosey-test": "{}", "rosey": "{}"}}"#, passwords[0], passwords[1]);
        let mut server = Command::new("python3");
        server.args(["-B", "server/chat.py", "0"]).env("CHAT_PASSWORDS", accounts).current_dir(copy.repository());
        let mut server = server.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim().rsplit(' ').next().unwrap().to_owned();
        let bot = Self { copy, server, passwords };
        for config in ["config-test.json", "config-prod.json"] {
            bot.copy.edit(config, ":6789", &format!(":{port}"));
        }
        for (place, environment) in [("/opt/bot-test", "test"), ("/opt/bot", "production")] {
            let there = bot.site(environment).display().to_string();
            bot.copy.edit("cutover.toml", &format!("deploy_to = \"{place}\""), &format!("deploy_to = \"{there}\""));
        }
        bot.copy.commit();
        bot
    }

    fn site(&self, environment: &str) -> PathBuf {
        self.copy.path(environment)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.copy.cutover(arguments);
        command.env("TEST_BOT_PASSWORD", &self.passwords[0]).env("PROD_BOT_PASSWORD", &self.passwords[1]);
        command
    }

    /// Runs `cutover`, which must end with this code.
    fn cutover(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(!self.passwords.iter().any(|password| said.contains(password)), "{said}");
        said
    }

    /// What the release's own probe says, which asks the server who is there.
    fn asks(&self, environment: &str, probe: &str) -> String {
        let password = if environment == "test" { &self.passwords[0] } else { &self.passwords[1] };
        let current = self.site(environment).join("current");
        let mut command = Command::new(current.join("bin").join(probe));
        run(command.current_dir(&current).env("BOT_PASSWORD", password))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        for environment in ["test", "production"] {
            let _ = supervisor::stop(&self.site(environment).join(".cutover/process/bot"));
        }
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

#[test]
fn the_tests_of_the_bot_pass() {
    let mut command = Command::new("python3");
    run(command.args(["-B", "-m", "unittest", "discover", "tests"]).current_dir(example("bot")));
}

#[test]
fn what_the_test_channel_has_seen_goes_to_the_channel_that_people_are_in() {
    // Given a change that was not judged yet, production refuses it, and the test channel takes it.
    let bot = Bot::new();
    assert!(bot.cutover(&["deploy", "production"], 5).contains("requires checks"));
    bot.cutover(&["deploy", "test"], 0);
    assert_eq!(bot.asks("test", "healthy"), "rosey-test 1 is in test\n");
    let config = fs::read_link(bot.site("test").join("current/config.json")).unwrap();
    assert_eq!(config.file_name().unwrap(), "config-test.json");

    // When it has passed, the very same goes to production,
    assert!(bot.cutover(&["promote", "test", "production"], 5).contains("requires checks"));
    bot.cutover(&["check"], 0);
    bot.cutover(&["promote", "test", "production"], 0);

    // then both are there, each with its own configuration and database.
    assert_eq!(bot.asks("production", "healthy"), "rosey 1 is in lounge\n");
    assert_eq!(bot.asks("test", "healthy"), "rosey-test 1 is in test\n");
    assert!(bot.site("production").join("shared/data/prod.db").is_file());
    assert!(bot.site("test").join("shared/data/test.db").is_file());
    assert!(!bot.site("production").join("shared/data/test.db").exists());
}

#[test]
fn a_bot_that_connects_and_answers_wrongly_is_taken_back_and_its_database_stays() {
    // Given a bot that has greeted somebody in its deployment,
    let bot = Bot::new();
    bot.cutover(&["check"], 0);
    bot.cutover(&["deploy", "production"], 0);

    // when the next one connects, but answers nothing of use, and its tests did not see that,
    fs::write(bot.copy.repository().join("VERSION"), "2\n").unwrap();
    bot.copy.edit("cutover.toml", "within = \"20s\"", "within = \"5s\"");
    bot.copy.edit("bot/commands.py", "return f\"hello {by}, for the {count}. time\"", "return \"hello\"");
    bot.copy.edit("tests/test_bot.py", "import unittest", "import unittest\nraise unittest.SkipTest(\"later\")");
    bot.copy.commit();
    bot.cutover(&["check"], 0);
    let failed = bot.cutover(&["deploy", "production"], 3);

    // then the first one is in the channel again, and remembers.
    assert!(failed.contains("wrong answers: 'this is version 2', 'hello'"), "{failed}");
    assert_eq!(bot.asks("production", "healthy"), "rosey 1 is in lounge\n");
    let smoke = bot.asks("production", "smoke");
    let count: u32 = smoke.rsplit(' ').nth(1).unwrap().trim_end_matches('.').parse().unwrap();
    assert!(count >= 3, "greeted by three deployments and now: {smoke}");
}

#[test]
fn a_bot_with_a_wrong_password_never_connects_and_nothing_is_live() {
    let mut bot = Bot::new();
    bot.copy.edit("cutover.toml", "within = \"20s\"", "within = \"2s\"");
    bot.copy.commit();
    bot.passwords[0] = made_up();

    let failed = bot.cutover(&["deploy", "test"], 1);

    assert!(failed.contains("wrong password"), "{failed}");
    assert!(!bot.site("test").join("current").exists());
}

#[test]
fn two_deployments_at_once_go_one_after_the_other() {
    let bot = Bot::new();
    bot.cutover(&["check"], 0);

    let [first, second] = ["one", "two"].map(|reason| {
        let arguments = ["deploy", "production", "--restart", "--wait=60", "--reason", reason];
        bot.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for deployment in [first, second] {
        let output = deployment.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }

    let history = bot.cutover(&["history", "production", "--json"], 0);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let rows = history["deployments"].as_array().unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["outcome"] == "deployed"), "{history}");
    // Both began at once, and either may have had the lock first: what counts is that the other waited for its end.
    let ended = |row: &serde_json::Value| row["ended_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let took = |row: &serde_json::Value| jiff::SignedDuration::from_millis(row["elapsed_ms"].as_i64().unwrap());
    let [mut first, mut second] = [&rows[0], &rows[1]];
    if ended(second) < ended(first) {
        (first, second) = (second, first);
    }
    assert!(ended(second) - took(second) >= ended(first), "{history}");
    assert_eq!(bot.asks("production", "healthy"), "rosey 1 is in lounge\n");
}
