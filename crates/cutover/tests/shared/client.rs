//! Who deploys from here to machines: a home, a key, a repository, all cut off from this machine's settings.

use crate::clean::clean_command;
use crate::host::Host;
use crate::ran::Ran;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Variables of this machine that installers need: where packages come from, and whose word is trusted on that.
const PASSED_ON: [&str; 4] = ["PIP_", "HTTP_PROXY", "HTTPS_PROXY", "SSL_CERT_"];

/// A person with a repository.
pub(crate) struct Client {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

impl Client {
    /// A person with an empty repository and a new key.
    pub(crate) fn new() -> Self {
        let client = Self { dir: TempDir::with_prefix("cutover-client-").unwrap(), variables: Vec::new() };
        fs::create_dir(client.path("repo")).unwrap();
        client.here("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", client.path("key").to_str().unwrap()]);
        client.here("git", &["init", "--quiet", "--initial-branch", "main"]);
        let config = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nLogLevel ERROR\n",
            client.path("key").display(),
            client.path("known_hosts").display()
        );
        fs::write(client.path("ssh_config"), config).unwrap();
        client
    }

    /// A second person, who knows what this one knows and has the same repository and key, but a home of their own.
    pub(crate) fn colleague(&self) -> Self {
        let other = Self { dir: TempDir::with_prefix("cutover-client-").unwrap(), variables: self.variables.clone() };
        let from = self.dir.path().display().to_string();
        for name in ["repo", "key", "known_hosts"] {
            self.here("cp", &["-a", &format!("{from}/{name}"), other.dir.path().to_str().unwrap()]);
        }
        let config = fs::read_to_string(self.path("ssh_config")).unwrap();
        fs::write(other.path("ssh_config"), config.replace(&from, other.dir.path().to_str().unwrap())).unwrap();
        other.edit("cutover.toml", &from, other.dir.path().to_str().unwrap());
        other
    }

    /// Lets this person in to a machine as one of its users, and tells them its key.
    pub(crate) fn befriend(&self, host: &Host, user: &str) {
        let public = fs::read_to_string(self.path("key.pub")).unwrap();
        host.write(user, &format!("/home/{user}/.ssh/authorized_keys"), &public);
        host.shell(user, "chmod 700 ~/.ssh; chmod 600 ~/.ssh/authorized_keys");
        let key = host.shell("root", "cat /etc/ssh/ssh_host_ed25519_key.pub");
        let known = fs::read_to_string(self.path("known_hosts")).unwrap_or_default();
        fs::write(self.path("known_hosts"), format!("{known}{} {key}\n", host.address())).unwrap();
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The table of `cutover.toml` that names this person's ssh settings.
    pub(crate) fn ssh_table(&self) -> String {
        format!("\n[ssh]\nconfig_file = \"{}\"\n", self.path("ssh_config").display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the repository a copy of this directory.
    pub(crate) fn copy(&self, directory: &Path) {
        self.here("cp", &["-R", directory.join(".").to_str().unwrap(), "."]);
    }

    /// Writes a file of the repository; programs begin with `#!`.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path("repo").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            self.here("chmod", &["755", path.to_str().unwrap()]);
        }
    }

    /// Replaces a text in a file of the repository.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("repo").join(path)).unwrap();
        assert!(text.contains(from), "{path} has {from:?}");
        fs::write(self.path("repo").join(path), text.replace(from, to)).unwrap();
    }

    /// Commits everything; gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.here("git", &["add", "--all"]);
        self.here("git", &["commit", "--quiet", "--message", message]);
        self.here("git", &["rev-parse", "HEAD"])
    }

    /// Runs a program in the repository; gives what it said.
    #[track_caller]
    pub(crate) fn here(&self, program: &str, args: &[&str]) -> String {
        let ran = Ran::from(self.command(program).args(args).output().unwrap()).expect(0);
        ran.stdout.trim_end().to_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = clean_command(program, &self.path("repo"), self.dir.path(), &self.path("home"));
        let is_passed_on = |name: &str| PASSED_ON.iter().any(|start| name.to_uppercase().starts_with(start));
        command.envs(std::env::vars().filter(|(name, _)| is_passed_on(name)));
        // What was fetched for one test need not be fetched for the next.
        command.env("PIP_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("pip"));
        command.envs(self.variables.clone());
        command
    }

    /// A `cutover` that was not started yet.
    pub(crate) fn cutover(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(args);
        command
    }

    /// Runs `cutover` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.cutover(args).output().unwrap().into()
    }

    /// Starts `cutover` in a process group of its own.
    pub(crate) fn start(&self, args: &[&str]) -> Started {
        let mut command = self.cutover(args);
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Started { child, lines, said: String::new() }
    }
}

/// A command at work. It is ended with the test.
pub(crate) struct Started {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Started {
    /// Waits until it says this.
    #[track_caller]
    pub(crate) fn await_words(&mut self, words: &str) {
        while let Some(Ok(line)) = self.lines.next() {
            self.said += &format!("{line}\n");
            if line.contains(words) {
                return;
            }
        }
        panic!("it ended without {words:?}: {}", self.said);
    }

    /// Waits until it has said so many lines more; false when it ends before.
    pub(crate) fn await_lines(&mut self, count: usize) -> bool {
        let said: Vec<String> = self.lines.by_ref().map_while(Result::ok).take(count).collect();
        self.said += &said.iter().map(|line| format!("{line}\n")).collect::<String>();
        said.len() == count
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to it and to all that it started here.
    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended hears nothing.
        let _ended = kill_process_group(self.pid(), signal);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let rest: String = self.lines.by_ref().map_while(Result::ok).map(|line| line + "\n").collect();
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut pipe, &mut stderr).unwrap();
        Ran { status: self.child.wait().unwrap(), stdout: std::mem::take(&mut self.said) + &rest, stderr }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::CONT);
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
