//! A repository and a home of their own, cut off from this machine's settings.

use crate::clean::clean_command;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Waits until something is so, which it must be within a minute.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A config that every command accepts.
pub(crate) const CONFIG: &str = r#"name = "shop"

[targets.api.host]
deploy_to = "/srv/shop"

[environments.production.hosts]
api = ["localhost"]
"#;

/// A temporary directory with `repo/` and `home/`.
pub(crate) struct Sandbox {
    dir: TempDir,
}

/// How a process ended, with the sandbox's path replaced by `DIR`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Everything that was printed, the standard error below a line of its own.
    pub(crate) fn told(&self) -> String {
        let errors = if self.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", self.stderr) };
        format!("exit {}\n{}{errors}", self.code, self.stdout)
    }

    /// Everything that was printed, with names for what each run has others of: ids, commits, times.
    pub(crate) fn settled(&self) -> String {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':');
        let told = self.told();
        let (mut out, mut rest) = (String::new(), told.as_str());
        while let Some(start) = rest.find(word) {
            let length = rest[start..].find(|c| !word(c)).unwrap_or(rest.len() - start);
            out += &rest[..start];
            out += settled(&rest[start..start + length]);
            rest = &rest[start + length..];
        }
        out + rest
    }

    /// The standard output as one JSON object.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The name for a word that looks like something that each run has others of.
fn settled(word: &str) -> &str {
    let shape: String =
        word.chars().map(|c| if c.is_ascii_digit() || matches!(c, 'a'..='f') { 'x' } else { c }).collect();
    match shape.as_str() {
        "xxxxxxxxTxxxxxx-xxxxxxxx" => "DEPLOYMENT",
        "xxxxxxxxxxxxxx-xxxxxxx" => "RELEASE",
        "xxxxxxx" => "COMMIT",
        "xxxx-xx-xx" => "DAY",
        "xx:xx:xx" => "TIME",
        _ => word,
    }
}

impl Sandbox {
    /// A repository with one commit.
    pub(crate) fn new() -> Self {
        let sandbox = Self { dir: TempDir::new().unwrap() };
        for name in ["repo", "home"] {
            fs::create_dir(sandbox.path().join(name)).unwrap();
        }
        sandbox.begin_repository();
        sandbox.write("cutover.toml", CONFIG);
        sandbox.write("app.py", "print('v1')\n");
        sandbox.commit("Sell things");
        sandbox
    }

    /// A repository that deploys to `srv/`, with these keys of the target.
    pub(crate) fn deployable(target: &str) -> Self {
        let sandbox = Self::new();
        sandbox.host(target, "");
        sandbox
    }

    /// Makes the last deployment look as if it had been killed after so many lines of its journal.
    pub(crate) fn reopen_last_journal(&self, line_count: usize) {
        let journals = self.path().join("srv/.cutover/journal");
        let done = fs::read_dir(journals.join("done")).unwrap().map(|entry| entry.unwrap().path());
        let last = done.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).unwrap();
        let text = fs::read_to_string(&last).unwrap();
        let kept: String = text.split_inclusive('\n').take(line_count).collect();
        fs::write(journals.join("open").join(last.file_name().unwrap()), kept).unwrap();
        fs::remove_file(last).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path().join("repo")
    }

    /// The directory where the project's artifacts and history lie; there is only one project.
    pub(crate) fn data_dir(&self) -> PathBuf {
        let projects = fs::read_dir(self.path().join("home/cutover/projects")).unwrap();
        let dirs: Vec<PathBuf> = projects.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(dirs.len(), 1, "{dirs:?}");
        dirs.into_iter().next().unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A directory of programs, for a `PATH`.
    pub(crate) fn bin(&self) -> PathBuf {
        self.path().join("bin")
    }

    /// Puts a shell script among them.
    pub(crate) fn script(&self, name: &str, line: &str) {
        let path = self.bin().join(name);
        fs::create_dir_all(self.bin()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A repository without a commit.
    pub(crate) fn begin_repository(&self) {
        self.git(&["init", "--quiet", "--initial-branch", "main"]);
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Begins a branch.
    pub(crate) fn branch(&self, name: &str) {
        self.git(&["switch", "--quiet", "--create", name]);
    }

    /// Calls the branch otherwise.
    pub(crate) fn rename_branch(&self, name: &str) {
        self.git(&["branch", "--move", name]);
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, args: &[&str]) {
        let status = self.command("git").args(args).status().unwrap();
        assert!(status.success(), "git {args:?}");
    }

    /// Commits a config that deploys to `srv/`, with these keys of the target and of the environment.
    pub(crate) fn host(&self, target: &str, environment: &str) {
        let srv = self.path().join("srv").display().to_string();
        let config = format!(
            r#"name = "shop"

[targets.api.host]
deploy_to = "{srv}"
env_file = ".env"
disk_free_min = "0 B"
inodes_free_min = 0
{target}

[environments.production]
{environment}
hosts.api = ["localhost"]
"#
        );
        self.write("cutover.toml", &config);
        self.commit("Say where it goes");
    }

    /// A config that deploys these targets to directories of `srv/`, each with a process of its own.
    pub(crate) fn targets(&self, names: &[&str]) {
        let srv = self.path().join("srv").display().to_string();
        let target = |name: &&str| {
            format!(
                "[targets.{name}.host]\ndeploy_to = \"{srv}/{name}\"\ndisk_free_min = \"0 B\"\ninodes_free_min = 0\n\
                 verify.soak = \"100ms\"\nservice.process.command = [\"sleep\", \"1000\"]\n"
            )
        };
        let host = |name: &&str| format!("{name} = [\"localhost\"]\n");
        let (all, hosts) = (names.iter().map(target).collect::<String>(), names.iter().map(host).collect::<String>());
        self.write("cutover.toml", &format!("name = \"shop\"\n{all}[environments.production.hosts]\n{hosts}"));
    }

    /// Ends the service of the deployed target with its supervisor.
    pub(crate) fn stop_service(&self) {
        cutover_targets::supervisor::stop(&self.path().join("srv/.cutover/process/api")).unwrap();
    }

    /// What `cutover.toml` says now.
    pub(crate) fn config(&self) -> String {
        fs::read_to_string(self.repo().join("cutover.toml")).unwrap()
    }

    /// Runs `cutover` in the repository.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    /// Runs `cutover` in the repository with these variables in addition.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = self.cutover(args).envs(variables.iter().copied()).output().unwrap();
        self.ran(&output)
    }

    /// A `cutover` that was not started yet.
    pub(crate) fn cutover(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(args);
        command
    }

    pub(crate) fn ran(&self, output: &Output) -> Ran {
        let here = self.path().canonicalize().unwrap().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(&here, "DIR");
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// A program in the sandbox that was not started yet.
    pub(crate) fn command(&self, program: &str) -> Command {
        let home = self.path().join("home");
        let mut command = clean_command(program, &self.repo(), &home, &home.join("cutover"));
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_DATE"), "2026-11-20T09:00:00Z");
        }
        command
    }
}
