//! Where a command works: the project, its config, and what is remembered of it.

use crate::cli::GlobalArgs;
use crate::deployments::{catch_up, journals_fault};
use crate::diagnostics::ConfigFindings;
use crate::error::{CommandError, ErrorKind};
use crate::memory::Memory;
use crate::output::Output;
use cutover_artifacts::ArtifactStore;
use cutover_core::artifact::Digest;
use cutover_core::config::{Checked, Config, EnvironmentConfig, TEXT_BYTES_MAX, TargetConfig};
use cutover_core::id::EnvironmentName;
use cutover_core::store::{Filter, Scope, Store, StoreError};
use cutover_store::SqliteStore;
use cutover_targets::host::{Layout, Release};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, path};

/// The config's name.
pub(crate) const CONFIG_NAME: &str = "cutover.toml";
/// The history's name, beside the artifacts.
const HISTORY: &str = "history.db";
/// How many characters of the hash of a repository's path keep projects of the same name apart.
const PLACE_LENGTH: usize = 12;

/// What a command knows before it begins. Nothing is read before it is asked for.
pub(crate) struct Context {
    /// How to print.
    pub(crate) output: Output,
    /// Why the shared store did not say who vouches for an artifact: it is not asked that again.
    pub(crate) store_silence: OnceLock<String>,
    /// Why the history may lack deployments, as far as that was met.
    gaps: Mutex<Vec<String>>,
    config: Option<PathBuf>,
    project: OnceLock<Project>,
    memory: OnceLock<Memory>,
}

/// A project on this machine.
#[derive(Debug)]
pub(crate) struct Project {
    /// What its `cutover.toml` says.
    pub(crate) config: Config,
    /// Its `cutover.toml`, absolute.
    pub(crate) file: PathBuf,
    /// The directory of its `cutover.toml`, absolute.
    pub(crate) dir: PathBuf,
    /// Where its artifacts and its history lie.
    pub(crate) data_dir: PathBuf,
}

impl Context {
    /// A context for these flags, in the current directory.
    pub(crate) fn new(global: &GlobalArgs, output: Output) -> Self {
        let (store_silence, project, memory) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let gaps = Mutex::new(Vec::new());
        Self { output, store_silence, gaps, config: global.config.clone(), project, memory }
    }

    /// The config that `--config` names.
    pub(crate) fn named_config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The project whose `cutover.toml` is in this directory or the nearest above.
    pub(crate) fn project(&self) -> Result<&Project, CommandError> {
        if let Some(project) = self.project.get() {
            return Ok(project);
        }
        let project = self.read_project()?;
        Ok(self.project.get_or_init(|| project))
    }

    fn read_project(&self) -> Result<Project, CommandError> {
        let path = self.config_path()?;
        let config = self.read_config(&path)?;
        // A found config has a directory: the path ends with the file's name.
        let dir = path.parent().unwrap_or(&path).to_owned();
        let data_dir = home()?.join("projects").join(place(&config, &dir));
        Ok(Project { config, file: path, dir, data_dir })
    }

    /// The project's whole `cutover.toml`.
    pub(crate) fn config_text(&self) -> Result<String, CommandError> {
        let file = &self.project()?.file;
        read_text(file).map_err(|error| failed(&format!("cannot read {}", shown(file)), &error))
    }

    fn config_path(&self) -> Result<PathBuf, CommandError> {
        let here = env::current_dir().map_err(|error| failed("cannot find the current directory", &error))?;
        if let Some(path) = &self.config {
            return Ok(here.join(path));
        }
        let found = here.ancestors().map(|dir| dir.join(CONFIG_NAME)).find(|path| path.is_file());
        found.ok_or_else(|| {
            CommandError::new(ErrorKind::Config, format!("no {CONFIG_NAME} in {} or above", here.display()))
                .hint("`cutover init` writes one")
        })
    }

    fn read_config(&self, path: &Path) -> Result<Config, CommandError> {
        let shown = shown(path);
        let text = read_text(path).map_err(|error| {
            CommandError::new(ErrorKind::Config, format!("cannot read {shown}"))
                .because(&error)
                .state("nothing was changed")
        })?;
        let Checked { config, diagnostics } = Config::check(&text);
        let findings = ConfigFindings::new(shown, text, diagnostics);
        let Some(config) = config else { return Err(CommandError::config(findings)) };
        if !findings.is_empty() && !self.output.json {
            // A warning that cannot be written stops nothing.
            let _told = self.output.error(&findings.render(self.output.paint_errors(), self.output.width));
        }
        Ok(config)
    }

    /// One of the project's environments.
    pub(crate) fn environment(&self, name: &str) -> Result<(&EnvironmentName, &EnvironmentConfig), CommandError> {
        let environments = &self.project()?.config.environments;
        environments.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = environments.keys().map(EnvironmentName::as_str).collect();
            let told = CommandError::new(ErrorKind::Usage, format!("no environment {name:?} in {CONFIG_NAME}"));
            let told = told.hint(if known.is_empty() {
                format!(
                    "there are none yet: [environments.{name}.hosts] makes one, with a line like: app = [\"localhost\"]"
                )
            } else {
                format!("there are: {}", known.join(", "))
            });
            let has_host =
                |environment: &EnvironmentConfig| environment.hosts.values().flatten().any(|host| host == name);
            match environments.iter().find(|(_, environment)| has_host(environment)) {
                Some((environment, _)) => told.hint(format!("{name} is a host of {environment}: name that")),
                None => told,
            }
        })
    }

    /// The project's deployments, all or those of one environment, which may be gone from the config.
    pub(crate) fn scope(&self, environment: Option<&EnvironmentName>) -> Result<Scope, CommandError> {
        let project = self.project()?.config.name.clone();
        Ok(Scope { project: Some(project), environment: environment.cloned() })
    }

    /// Where the project's targets lie on this machine.
    fn layouts(&self) -> Result<Vec<Layout>, CommandError> {
        let environments = self.project()?.config.environments.values();
        let targets = environments.flat_map(|environment| environment.targets.values());
        Ok(targets.map(|TargetConfig::Host(host)| Layout::new(&host.deploy_to)).collect())
    }

    /// What the releases on this machine were made of; a history that was just made anew does not list them yet.
    pub(crate) fn held_artifacts(&self) -> Result<Vec<Digest>, CommandError> {
        let held = |layout: &Layout| Release::list(layout).into_iter().map(|release| release.artifact);
        Ok(self.layouts()?.iter().flat_map(held).collect())
    }

    /// Warns of an environment that neither the config nor the history has: it may be mistyped.
    pub(crate) fn warn_of_unknown(&self, environment: Option<&EnvironmentName>) -> Result<(), CommandError> {
        let environments = &self.project()?.config.environments;
        let Some(name) = environment.filter(|name| !environments.contains_key(*name)) else { return Ok(()) };
        let filter = Filter { scope: self.scope(environment)?, ..Filter::default() };
        if self.memory()?.ask(|store| store.history(&filter, 1))?.rows.is_empty() {
            let known: Vec<&str> = environments.keys().map(EnvironmentName::as_str).collect();
            let known = known.join(", ");
            self.output.warn(&format!("no environment {name} in {CONFIG_NAME} or in the history; there are: {known}"));
        }
        Ok(())
    }

    /// The project's artifacts on this machine.
    pub(crate) fn artifacts(&self) -> Result<ArtifactStore, CommandError> {
        Ok(ArtifactStore::open(&self.data_dir()?.join("artifacts"))?)
    }

    /// What this machine remembers of the project.
    pub(crate) fn memory(&self) -> Result<&Memory, CommandError> {
        let file = self.project()?.data_dir.join(HISTORY);
        Ok(self.memory.get_or_init(|| Memory::new(file, self.output.clone())))
    }

    /// Asks the history, after it has caught up with the journals of this machine's targets.
    pub(crate) fn recall<T>(&self, ask: impl Fn(&SqliteStore) -> Result<T, StoreError>) -> Result<T, CommandError> {
        let layouts = self.layouts()?;
        for fault in layouts.iter().filter_map(journals_fault) {
            self.note_gap(fault);
        }
        let asked = |store: &SqliteStore| {
            layouts.iter().try_for_each(|layout| catch_up(store, layout))?;
            ask(store)
        };
        Ok(self.memory()?.ask(asked)?)
    }

    /// Says why the history may lack deployments, and keeps it for [`Self::gaps`].
    pub(crate) fn note_gap(&self, why: String) {
        self.output.warn(&format!("the history may lack deployments: {why}"));
        let mut gaps = self.gaps.lock().unwrap_or_else(PoisonError::into_inner);
        if !gaps.contains(&why) {
            gaps.push(why);
        }
    }

    /// Why what was asked of the history may not be all that was: machines are told that with the answer.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let noted = self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        noted.into_iter().chain(self.memory.get().and_then(Memory::gap)).collect()
    }

    /// Whether there is a history on this machine; none is made.
    pub(crate) fn remembers(&self) -> bool {
        self.project().is_ok_and(|project| project.data_dir.join(HISTORY).exists())
    }

    /// The directory of what is remembered, made when it is missing. Only its owner can read it.
    fn data_dir(&self) -> Result<&Path, CommandError> {
        let dir = &self.project()?.data_dir;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| {
            failed(&format!("cannot make directory {}", dir.display()), &error)
                .state("nothing was deployed")
                .advise_on_space(Some(&error))
                .hint("CUTOVER_HOME can name another place")
        })?;
        Ok(dir)
    }
}

/// Where this process began, when `-C` has led it elsewhere: what its environment names is seen from there.
static BEGINNING: OnceLock<PathBuf> = OnceLock::new();

/// Goes to the directory that `-C` names.
pub(crate) fn go_to(directory: &Path) -> io::Result<()> {
    let beginning = env::current_dir()?;
    env::set_current_dir(directory)?;
    let _noted = BEGINNING.set(beginning);
    Ok(())
}

/// `$CUTOVER_HOME`, or `cutover` in the user's data directory as the XDG base directories say.
pub(crate) fn home() -> Result<PathBuf, CommandError> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = || variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let user = || variable("HOME").map(|home| home.join(".local/share"));
    let home = variable("CUTOVER_HOME").or_else(|| Some(data().or_else(user)?.join("cutover")));
    let home = home.ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, "cannot find the home directory: HOME is not set")
            .hint("set CUTOVER_HOME to the directory that shall hold artifacts and history")
    })?;
    let home = BEGINNING.get().map(|beginning| beginning.join(&home)).unwrap_or(home);
    path::absolute(&home).map_err(|error| failed("cannot find the current directory", &error))
}

/// The project's directory name: its name, and what keeps apart two repositories with that name.
fn place(config: &Config, dir: &Path) -> String {
    let repository = dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir);
    let canonical = repository.canonicalize().unwrap_or_else(|_| repository.to_owned());
    let digest = Digest::of(canonical.as_os_str().as_encoded_bytes()).to_string();
    format!("{}-{}", config.name, &digest[..PLACE_LENGTH])
}

/// The path as the user would type it: relative where it lies below the current directory.
pub(crate) fn shown(path: &Path) -> String {
    let here = env::current_dir().ok();
    let below = here.as_ref().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).display().to_string()
}

/// Reads a text, but never more than a sound config can have.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn failed(what: &str, error: &io::Error) -> CommandError {
    CommandError::new(ErrorKind::Failed, what).because(error)
}
