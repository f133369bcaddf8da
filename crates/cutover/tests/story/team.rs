//! A team with the bot in a repository at GitHub, and the machine that its two channels run on.

use crate::clean::clean_command;
use crate::host::Host;
use crate::ran::Ran;
use cutover_testkit::github::FakeGitHub;
use cutover_testkit::runner::{Event, Run, Runner};
use serde_json::Value;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the bot's two channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    /// The environment in `cutover.toml`, at GitHub as well.
    pub(crate) environment: &'static str,
    /// The user of the machine that deploys there, and whom the bot runs as.
    user: &'static str,
    site: &'static str,
    /// The secret with the bot's password.
    password: &'static str,
    /// The bot's name in the channel.
    name: &'static str,
    pub(crate) url: &'static str,
}

/// Pull requests are tried out here.
pub(crate) const TEST: Channel = Channel {
    environment: "test",
    user: "bot-test",
    site: "/opt/bot-test",
    password: "TEST_BOT_PASSWORD",
    name: "rosey-test",
    url: "https://chat.example.org/test",
};
/// People are here.
pub(crate) const LOUNGE: Channel = Channel {
    environment: "production",
    user: "bot",
    site: "/opt/bot",
    password: "PROD_BOT_PASSWORD",
    name: "rosey",
    url: "https://chat.example.org/lounge",
};

/// The team, its repository, and its machine.
pub(crate) struct Team {
    dir: TempDir,
    pub(crate) runner: Runner,
    pub(crate) github: Arc<FakeGitHub>,
    host: Host,
    /// What nobody may see: passwords and lines of private keys.
    secrets: Vec<String>,
}

impl Team {
    /// A repository with the bot and its workflows on `main`, which was never deployed. None where there is no bed.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let host = Host::boot(test)?;
        let dir = TempDir::with_prefix("cutover-story-").unwrap();
        let github = Arc::new(FakeGitHub::start(&made_up()).unwrap());
        let mut runner = Runner::new(dir.path());
        runner.connect(Arc::clone(&github));
        let mut team = Self { dir, runner, github, host, secrets: Vec::new() };
        let passwords = [TEST, LOUNGE].map(|channel| team.open(channel));
        team.begin_chat(&passwords);
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bot");
        team.run("cp", &["-R", example.to_str().unwrap(), team.runner.origin().to_str().unwrap()]);
        team.git(&["init", "--quiet", "--initial-branch", "main"]);
        // As GitHub's servers do.
        team.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        team.configure();
        team.cutover(&["workflows"], LOUNGE).expect(0);
        team.commit("Say hello");
        Some(team)
    }

    /// A user of the machine for a channel, who knows one key, which is that environment's secret; gives the bot's password.
    fn open(&mut self, channel: Channel) -> String {
        let Channel { environment, user, site, .. } = channel;
        self.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", self.path(environment).to_str().unwrap()]);
        let key = fs::read_to_string(self.path(environment)).unwrap();
        let public = fs::read_to_string(self.path(&format!("{environment}.pub"))).unwrap();
        self.host.shell("root", &format!("useradd --create-home --shell /bin/bash {user}"));
        self.host.shell("root", &format!("install -d -o {user} -g {user} -m 0750 {site}"));
        self.host.write(user, &format!("/home/{user}/.ssh/authorized_keys"), &public);
        self.host.shell(user, "chmod 700 ~/.ssh; chmod 600 ~/.ssh/authorized_keys");
        let password = made_up();
        self.runner.secret(environment, "CUTOVER_SSH_KEY", &key);
        self.runner.secret(environment, channel.password, &password);
        self.secrets.extend(key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        self.secrets.push(password.clone());
        password
    }

    fn begin_chat(&self, [test, lounge]: &[String; 2]) {
        let server =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bot/server/chat.py"));
        self.host.write("root", "/srv/chat.py", &server.unwrap());
        let accounts = format!("CHAT_PASSWORDS={{\"{}\": \"{test}\", \"{}\": \"{lounge}\"}}\n", TEST.name, LOUNGE.name);
        self.host.write("root", "/srv/chat.env", &accounts.replace('"', "\\\""));
        self.host.shell(
            "root",
            "systemd-run --quiet --unit=chat --property=EnvironmentFile=/srv/chat.env python3 -B /srv/chat.py 6789",
        );
    }

    /// What the team changes in the example: where its machine is, and where its channels can be seen.
    fn configure(&self) {
        let address = self.host.address();
        let key = self.host.shell("root", "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
        for Channel { environment, user, url, .. } in [TEST, LOUNGE] {
            let hosts = format!("[environments.{environment}.hosts]\nbot = [\"");
            self.edit("cutover.toml", &format!("{hosts}localhost"), &format!("{hosts}{user}@{address}"));
            let table = format!("[environments.{environment}]\n");
            self.edit("cutover.toml", &table, &format!("{table}url = \"{url}\"\n"));
        }
        self.edit("cutover.toml", "within = \"20s\"", "within = \"6s\"");
        let binary = env!("CARGO_BIN_EXE_cutover");
        let sum = self.run("sha256sum", &[binary]);
        let pinned = format!("\n[ssh.host_keys]\n\"{address}\" = \"{key}\"\n");
        self.write("cutover.toml", &(self.text("cutover.toml") + &pinned));
        let download =
            format!("[workflows]\nurl = \"file://{binary}\"\nsha256 = \"{}\"\n", sum.split(' ').next().unwrap());
        self.edit("cutover.toml", "[workflows]\n", &download);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.runner.origin().join(path), text).unwrap();
    }

    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// Commits what is there; gives the commit.
    pub(crate) fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", subject]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// A file of the repository.
    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.runner.origin().join(path)).unwrap()
    }

    /// Writes a file on a branch of its own, from `main` as it is now; gives the commit.
    pub(crate) fn propose(&self, branch: &str, path: &str, text: &str) -> String {
        self.git(&["switch", "--quiet", "--create", branch, "main"]);
        self.write(path, text);
        self.commit(&format!("feat: change {path}"))
    }

    /// Opens a pull request from a branch, and runs what wants to know of it.
    pub(crate) fn open_pull(&self, number: u64, branch: &str) -> Run {
        let event = self.runner.pull_request(number, branch, "shop/app");
        let head = event.payload["pull_request"]["head"]["sha"].as_str().unwrap();
        self.github.open_pull(number, "shop", branch, head);
        self.only(&event)
    }

    /// Pushes to the branch of a pull request what is committed there, and runs what wants to know of it.
    pub(crate) fn push_pull(&self, number: u64, branch: &str) -> Run {
        let event = self.runner.pull_request(number, branch, "shop/app");
        self.github.push_pull(number, event.payload["pull_request"]["head"]["sha"].as_str().unwrap());
        self.only(&event)
    }

    /// Merges a pull request, as its button does.
    pub(crate) fn merge(&self, number: u64, branch: &str) -> Event {
        let push = self.runner.merge(number, branch);
        self.github.merge_pull(number, &push.commit);
        push
    }

    /// Delivers what happened, which one workflow wants to know of. Nothing secret may be said.
    pub(crate) fn only(&self, event: &Event) -> Run {
        let mut runs = self.runner.deliver(event);
        assert_eq!(runs.len(), 1, "{:?}", runs.iter().map(|run| &run.workflow).collect::<Vec<_>>());
        let run = runs.remove(0);
        assert!(run.jobs.values().all(|job| !job.leaked), "a secret was said: {}", run.log());
        run
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.run("git", args)
    }

    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        Ran::from(self.command(program).args(args).output().unwrap()).expect(0).stdout
    }

    fn command(&self, program: &str) -> Command {
        let origin = self.runner.origin();
        let place = if origin.is_dir() { origin } else { self.dir.path().to_owned() };
        clean_command(program, &place, &self.path("home"), &self.path("home/cutover"))
    }

    /// Runs Cutover as somebody of the team does who has a channel's key.
    pub(crate) fn cutover(&self, args: &[&str], channel: Channel) -> Ran {
        let key = fs::read_to_string(self.path(channel.environment)).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(args).env("CUTOVER_SSH_KEY", key).output().unwrap().into()
    }

    /// Waits until so many wait for the lock of an environment.
    pub(crate) fn await_waiting(&self, channel: Channel, count: usize) {
        let until = Instant::now() + PATIENCE;
        let waiting = || {
            let said = self.cutover(&["lock", channel.environment, "status", "--json"], channel).expect(0).json();
            said["queue"].as_array().map_or(0, Vec::len)
        };
        while waiting() < count {
            assert!(Instant::now() < until, "there were never {count} in the line");
        }
    }

    /// The deployments of an environment, the oldest first.
    pub(crate) fn history(&self, channel: Channel) -> Vec<Value> {
        let said = self.cutover(&["history", channel.environment, "--json"], channel).expect(0).json();
        said["deployments"].as_array().unwrap().iter().rev().cloned().collect()
    }

    /// What the bot in a channel answers to somebody who greets it: its version, and how often it was greeted.
    #[track_caller]
    pub(crate) fn greet(&self, channel: Channel) -> (String, u32) {
        let said = self.there(channel, "set -a; . ../../shared/.env; bin/smoke");
        let (version, hello) = said.split_once("; hello smoke-test, for the ").unwrap_or_else(|| panic!("{said}"));
        let count = hello.split('.').next().unwrap().parse().unwrap();
        (version.trim_start_matches("this is version ").to_owned(), count)
    }

    /// Which configuration the live release of a channel has.
    pub(crate) fn configuration(&self, channel: Channel) -> String {
        self.there(channel, "basename \"$(readlink config.json)\"")
    }

    /// The databases that a channel has.
    pub(crate) fn databases(&self, channel: Channel) -> String {
        self.there(channel, "ls ../../shared/data")
    }

    /// What a shell says in the live release of a channel.
    #[track_caller]
    fn there(&self, channel: Channel, script: &str) -> String {
        let Channel { user, site, .. } = channel;
        self.host.shell(user, &format!("cd -P {site}/current; {script}"))
    }

    /// The tags that releases have, with their commits, the oldest first.
    pub(crate) fn tags(&self) -> Vec<(String, String)> {
        self.github.tags().into_iter().map(|(name, commit, _)| (name, commit)).collect()
    }

    /// The text of the one comment on a pull request.
    #[track_caller]
    pub(crate) fn comment(&self, pull: u64) -> String {
        let comments = self.github.comments(pull);
        assert_eq!(comments.len(), 1, "{comments:?}");
        comments.into_iter().next().unwrap().1
    }

    /// What the check runs at a commit are called, and how they ended.
    pub(crate) fn check_runs(&self, commit: &str) -> Vec<(String, String)> {
        let text = |run: &Value, name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let runs = self.github.check_runs();
        let at = runs.iter().filter(|run| run["head_sha"] == commit);
        at.map(|run| (text(run, "name"), text(run, "conclusion"))).collect()
    }

    /// The states that GitHub has seen of an environment's deployments, the oldest first, each with its commit.
    pub(crate) fn deployments(&self, channel: Channel) -> Vec<(String, String)> {
        let all = self.github.deployments().into_iter();
        let own = all.filter(|(environment, _, _)| environment == channel.environment);
        own.map(|(_, commit, states)| (commit, states.join(" "))).collect()
    }

    /// What the last status of a deployment to an environment says, and where it leads.
    pub(crate) fn last_status(&self, channel: Channel) -> Value {
        let all = self.github.deployment_statuses();
        all.into_iter().rev().find(|status| status["environment"] == channel.environment).unwrap()
    }
}

impl Drop for Team {
    /// Whatever was told to GitHub, nothing of it is secret.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let asked = format!("{:?}", self.github.received().iter().map(|asked| &asked.body).collect::<Vec<_>>());
        assert!(!self.secrets.iter().any(|secret| asked.contains(secret)), "a secret was told to GitHub");
    }
}

/// A word that nobody has written down.
fn made_up() -> String {
    format!("{:016x}", RandomState::new().hash_one("password"))
}
