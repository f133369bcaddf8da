//! The demo, told while it happens.

use super::ask;
use super::deployed::{Deployed, deploy};
use super::folder::{Folder, failed};
use super::project::{Project, check_needs, has_venv};
use super::versions::{VERSIONS, Version};
use crate::cli::{ColorChoice, GlobalArgs};
use crate::context::{CONFIG_NAME, Context};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::output::Output;
use cutover_reporters::duration;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was seen of one version.
struct Seen {
    deployed: Deployed,
    /// Which version answered afterwards, and with what.
    answered: String,
    greeting: String,
}

/// Plays the demo and tells it; fails when anything was not as it should be.
pub(super) fn tell(output: &Output, dir: Option<&Path>) -> Result<Exit, CommandError> {
    check_needs()?;
    let folder = Folder::make(dir)?;
    let played = play(output, folder.clone());
    played.map_err(|error| {
        let place = folder.dir.display();
        error.state(format!("everything is still in {place}")).hint("`cutover demo --clean` stops and removes it")
    })
}

fn play(output: &Output, mut folder: Folder) -> Result<Exit, CommandError> {
    let has_venv = has_venv();
    let port = ask::free_port().map_err(|error| failed("find a free port of", Path::new("127.0.0.1"), &error))?;
    let project = Project::create(&folder, port, has_venv)?;
    folder.data_dir = Some(data_dir(&folder)?);
    folder.list()?;
    let story = Story { output, folder: &folder, port };
    story.introduction(has_venv)?;
    let mut seen = Vec::new();
    for version in &VERSIONS {
        project.commit(version)?;
        seen.push(story.version(version)?);
    }
    story.end(&seen)?;
    Ok(Exit::Done)
}

/// Where Cutover keeps what it remembers of the demo's project.
fn data_dir(folder: &Folder) -> Result<PathBuf, CommandError> {
    let config = Some(folder.repository().join(CONFIG_NAME));
    let global = GlobalArgs { json: false, verbose: 0, color: ColorChoice::Never, directory: None, config };
    Ok(Context::new(&global, Output::new(&global)).project()?.data_dir.clone())
}

/// Tells, or keeps quiet where machines listen.
struct Story<'a> {
    output: &'a Output,
    folder: &'a Folder,
    port: u16,
}

impl Story<'_> {
    fn say(&self, text: &str) -> Result<(), CommandError> {
        if self.output.json { Ok(()) } else { self.output.text(&format!("{text}\n")) }
    }

    fn introduction(&self, has_venv: bool) -> Result<(), CommandError> {
        let place = self.output.paint().strong(self.folder.dir.display());
        self.say(&format!(
            "A small Python web service, three versions, deployed to this machine.\nEverything is in {place}"
        ))?;
        if !has_venv {
            self.say("(Without python3-venv here no virtual environment is built; the service uses the shipped wheel as it is.)")?;
        }
        Ok(())
    }

    /// Deploys a version and looks at what answers then.
    fn version(&self, version: &Version) -> Result<Seen, CommandError> {
        let paint = self.output.paint();
        self.say(&format!(
            "\n{}  {}",
            paint.strong(format!("Version {}", version.number)),
            paint.dim(format!("\"{}\"", version.subject))
        ))?;
        self.say("  $ cutover deploy local")?;
        let deployed = deploy(&self.folder.repository())?;
        deployed.expect(if version.is_sound { 0 } else { 3 }, version.number)?;
        self.say(&self.outcome(version, &deployed))?;
        let seen = self.look(deployed)?;
        self.check(version, &seen)?;
        self.say(&format!(
            "  GET http://127.0.0.1:{}/ → {}   {}",
            self.port,
            seen.greeting,
            paint.dim(format!("(version {})", seen.answered))
        ))?;
        Ok(seen)
    }

    fn outcome(&self, version: &Version, deployed: &Deployed) -> String {
        let (paint, took) = (self.output.paint(), duration(deployed.elapsed));
        if version.is_sound {
            return format!("  {} in {took}: {}", paint.good("✓ deployed"), deployed.steps.join(", "));
        }
        let (step, message, line) = deployed.failure.clone().unwrap_or_default();
        let line = if line.is_empty() { String::new() } else { format!("\n    its log: {line}") };
        let back = paint.warning("↩ rolled back");
        format!(
            "  {} {step}: {message}{line}\n  {back} in {took}, exit code 3: links, env file and service are as before",
            paint.bad("✗")
        )
    }

    fn look(&self, deployed: Deployed) -> Result<Seen, CommandError> {
        let asked = |path| ask::get(self.port, path);
        let told = asked("/").and_then(|greeting| Ok((greeting, asked("/health")?)));
        let (greeting, health) = told.map_err(|error| {
            CommandError::new(ErrorKind::Failed, format!("ask the service on port {}", self.port)).because(&error)
        })?;
        let health: Value = serde_json::from_str(&health)?;
        Ok(Seen { deployed, answered: health["version"].as_str().unwrap_or_default().to_owned(), greeting })
    }

    /// The live version must answer: this one, or, when it is broken, the last sound one.
    fn check(&self, version: &Version, seen: &Seen) -> Result<(), CommandError> {
        let expected = VERSIONS.iter().rfind(|other| other.is_sound && other.number <= version.number);
        let expected = expected.map(|other| (other.number, other.greeting));
        if expected == Some((seen.answered.as_str(), seen.greeting.as_str())) {
            return Ok(());
        }
        let message = format!("version {} answers {:?}; {expected:?} was expected", seen.answered, seen.greeting);
        Err(CommandError::new(ErrorKind::Failed, message))
    }

    fn end(&self, seen: &[Seen]) -> Result<(), CommandError> {
        if self.output.json {
            return self.output.json(&self.summary(seen));
        }
        let broken = seen.last().map(|seen| seen.deployed.id.clone()).unwrap_or_default();
        self.say(&self.places()?)?;
        self.say(&self.next(&broken))
    }

    fn places(&self) -> Result<String, CommandError> {
        let current = self.folder.deploy_to().join("current");
        let live = fs::read_link(&current).map_err(|error: io::Error| failed("read link", &current, &error))?;
        Ok(format!(
            "
{} {}
  greeter/                        the repository, with its cutover.toml
  site/current                    → {}, which is live
  site/releases/                  one directory per release; version 3 is kept there, marked bad
  site/.cutover/journal/done/     what was done, step by step
  site/.cutover/process/greeter/  what keeps the service running, and its log",
            self.output.paint().strong("In"),
            self.output.paint().strong(self.folder.dir.display()),
            live.display(),
        ))
    }

    fn next(&self, broken: &str) -> String {
        let alias = alias().map_or_else(String::new, |alias| format!("\n  {alias}"));
        let title = self.output.paint().strong("Try next");
        format!(
            "
{title}
  cd {}{alias}
  cutover status local                 what is live, and how it runs
  cutover history                      these three deployments
  cutover logs {broken}   why the third one failed
  cutover rollback local               back to version 1, and verified
  cutover demo --clean                 stops the service and removes all of this",
            self.folder.repository().display(),
        )
    }

    fn summary(&self, seen: &[Seen]) -> Value {
        let deployments: Vec<Value> = seen
            .iter()
            .map(|seen| {
                json!({
                    "deployment": seen.deployed.id,
                    "exit_code": seen.deployed.exit_code,
                    "elapsed_ms": u64::try_from(seen.deployed.elapsed.as_millis()).unwrap_or(u64::MAX),
                    "answered_version": seen.answered,
                })
            })
            .collect();
        json!({ "v": 1, "dir": self.folder.dir, "port": self.port, "deployments": deployments })
    }
}

/// How to call this program where it is not on the PATH under its name.
fn alias() -> Option<String> {
    let program = env::current_exe().ok()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join("cutover")).find(|path| path.is_file());
    let is_this = found.and_then(|path| path.canonicalize().ok()).is_some_and(|path| path == program);
    (!is_this).then(|| format!("alias cutover={}", program.display()))
}
