//! Scripts of steps, run for real with the files that a runner gives them.

use super::job::Machine;
use super::run::{end_of, filled};
use rustix::process::Pid;
use serde_json::{Map, Value};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

impl Machine<'_> {
    /// Runs a script; whether it ended well.
    pub(super) fn script(&mut self, script: &str, step: &Value) -> bool {
        let env = self.scoped(|scope| {
            assert_eq!(scope.fill(script), script, "a script has no expressions: texts come in variables");
            filled(scope, &step["env"])
        });
        let temp = self.temp();
        let files = ["ENV", "OUTPUT", "PATH", "STEP_SUMMARY"].map(|name| (name, temp.join(format!("file-{name}"))));
        files.iter().for_each(|(_, file)| fs::write(file, "").expect("a runner's file"));
        fs::write(temp.join("script.sh"), script).expect("a script is written");
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(temp.join("script.sh"));
        self.surround(&mut command, step);
        for (name, file) in &files {
            command.env(format!("GITHUB_{name}"), file);
        }
        for (name, value) in env.as_object().into_iter().flatten() {
            command.env(name, value.as_str().expect("variables are texts"));
        }
        let ended = self.watch(command);
        self.take_files(step, &files.map(|(_, file)| fs::read_to_string(file).expect("the files are UTF-8")));
        ended
    }

    /// Where a script runs, and what it knows besides its own variables.
    fn surround(&self, command: &mut Command, step: &Value) {
        let directory = step["working-directory"].as_str().or(self.directory.as_deref()).unwrap_or(".");
        let work = self.work().join(directory);
        assert!(work.is_dir(), "a script runs in a directory that is there: {}", work.display());
        let event = self.execution.event;
        let path = std::env::var("PATH").unwrap_or_default();
        let path = self.path.iter().rev().map(String::as_str).chain([path.as_str()]).collect::<Vec<_>>().join(":");
        command.current_dir(work).env_clear().stdin(Stdio::null());
        command.env("PATH", path).env("HOME", self.dir.join("home")).env("RUNNER_TEMP", self.temp());
        command.env("CI", "true").env("GITHUB_ACTIONS", "true").env("GITHUB_ACTOR", "ada");
        command
            .env("GITHUB_REPOSITORY", &self.execution.runner.repository)
            .env("GITHUB_SHA", &event.commit)
            .env("GITHUB_EVENT_NAME", event.name);
        command.env("GITHUB_REF", &event.reference).env("GITHUB_RUN_ID", self.execution.number.to_string());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        if let Some(base) = event.payload["pull_request"]["base"]["ref"].as_str() {
            command.env("GITHUB_BASE_REF", base);
        }
        command.envs(self.surroundings());
        command.envs(self.execution.runner.variables.iter().map(|(name, value)| (name, value)));
        command.envs(&self.environment);
    }

    /// Runs a command to its end in a process group of its own, which a cancellation ends.
    fn watch(&mut self, mut command: Command) -> bool {
        let said = self.temp().join("said");
        let file = fs::File::create(&said).expect("what is said is kept");
        command.stderr(file.try_clone().expect("one file for both")).stdout(file).process_group(0);
        let mut child = command.spawn().expect("bash runs");
        self.execution.goes_on(Pid::from_raw(child.id().cast_signed()));
        let status = end_of(&mut child);
        self.execution.goes_on(None);
        let text = String::from_utf8_lossy(&fs::read(&said).expect("what was said is there")).into_owned();
        for line in text.lines() {
            self.masks.extend(line.strip_prefix("::add-mask::").map(str::to_owned));
        }
        self.say(&text);
        status.success()
    }

    fn take_files(&mut self, step: &Value, [env, output, path, summary]: &[String; 4]) {
        self.environment.extend(assignments(env));
        let outputs = assignments(output).into_iter().map(|(name, value)| (name, value.into()));
        self.output(step, &outputs.collect::<Map<_, _>>());
        self.path.extend(path.lines().map(str::to_owned));
        assert!(self.path.iter().all(|path| Path::new(path).is_dir()), "{:?}", self.path);
        self.told.summary += summary;
    }
}

/// `name=value`, and `name<<mark` with lines up to the mark.
fn assignments(text: &str) -> Vec<(String, String)> {
    let (mut found, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        let is_long = line.find("<<").is_some_and(|at| line.find('=').is_none_or(|equals| at < equals));
        if is_long {
            let (name, mark) = line.split_once("<<").expect("looked for above");
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != mark).collect();
            found.push((name.to_owned(), value.join("\n")));
        } else {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no assignment: {line:?}"));
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}
