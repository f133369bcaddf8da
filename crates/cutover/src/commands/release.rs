//! `cutover release`.

use super::live::{Live, Purpose, places, summary, verified};
use super::packing::take_in;
use super::{status, words};
use crate::context::Context;
use crate::depot;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::github::Account;
use crate::release::{self, Decision, Export, Made, Planned, REMOTE, Repository, Saved, Step, Told, Wanted};
use clap::Args;
use cutover_artifacts::depot::{Exported, FileContent};
use cutover_artifacts::{Artifact, ArtifactError};
use cutover_core::config::ReleaseConfig;
use cutover_disk::read_bounded;
use cutover_reporters::{ReleaseNotes, one_line};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What is live somewhere is to have a version.
const PURPOSE: Purpose = Purpose { done: "released", state: "nothing was tagged or released" };
/// The largest record of what is live, in bytes.
const SEEN_BYTES_MAX: u64 = 16 << 20;
const VERSION: u32 = 1;

/// Give what is live in an environment a version, a tag and a release
///
/// Asks the environment's hosts what is live there now: it must be one artifact on all of them, found
/// good by a deployment. Its commit gets the version that the conventional commits since the last tag
/// lead to (feat: a new minor version; fix, perf, revert: a new patch; `!` or BREAKING CHANGE: a new
/// major one, before 1.0.0 a new minor), or the one in `release.version_file`; then an annotated tag,
/// and with GITHUB_TOKEN a release at GitHub with notes and the artifact. Commits that lead to no new
/// version are no error.
///
/// It can be run again at any time: what is there is kept, what is missing is made. A tag is never
/// moved; one that is on another commit is an error. The artifact must be on this machine or in the
/// shared store, and of the commit that the hosts name; with uncommitted changes it is not released.
///
/// Examples:
///   cutover release production --dry-run   # the version and the notes; nothing is made
///   cutover release production
///
/// With --json: {"v":1,"release":{"version":…,"tag":…,"commit":…,"notes":…},"made":{"tag":"made",…}};
/// "release" is null and "why" says why, where there is nothing to release.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ReleaseArgs {
    /// The environment in cutover.toml
    #[arg(value_name = "ENV")]
    pub(super) environment: String,

    /// Show the version and the notes, and make nothing
    #[arg(long)]
    dry_run: bool,

    /// Take in the artifact from this file first, which `cutover build --output` wrote; where another is live by now, nothing is
    /// released
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,

    /// Take what is live from what `--see` wrote or `cutover status ENV --json` printed, instead of asking the hosts
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,

    /// Only write down what is live, for --seen: as much as that needs and nothing else. A host that cannot be asked is no error
    /// then, but one of --seen
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "artifact", "seen"])]
    see: Option<PathBuf>,
}

impl ReleaseArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let config = self.config(context)?;
        if let Some(file) = &self.see {
            return see(context, &self.environment, file);
        }
        let taken = self.artifact.as_ref().map(|file| take_in(context, file)).transpose();
        let taken = taken.map_err(|error| error.state(PURPOSE.state))?;
        let live = self.live(context)?;
        if let Some(taken) = taken.filter(|taken| taken.id != live.artifact) {
            let (other, ours) = (live.artifact.short(), taken.id.short());
            return nothing(context, &config, &format!("another artifact is live now: {other}, not {ours}"));
        }
        let project = context.project()?;
        let repository = Repository::at(&project.dir);
        let artifact = source(context, &repository, &config, &live).map_err(|error| error.state(PURPOSE.state))?;
        let wanted = Wanted { config: &config, commit: &live.commit, artifact: live.artifact };
        let planned = match release::plan(&repository, &wanted)? {
            Decision::Release(planned) => planned,
            Decision::Nothing(why) => return nothing(context, &config, &why),
        };
        let account = Account::here(&project.dir)?;
        let notes = notes(&planned, &config, account.as_ref().ok());
        if self.dry_run {
            return tell(context, &planned, &notes, None);
        }
        let name = project.config.name.as_str();
        let title = format!("{name} {}", planned.version);
        let message = format!(
            "{title}\n\nLive in {}: artifact {}, commit {}.\n",
            config.environment, planned.artifact, planned.commit
        );
        let export = |file: &Path| match &artifact {
            Some(artifact) => self.save(context, artifact, file),
            None => Err(nowhere(context, &live)?),
        };
        let has_provenance = depot::is_spoken_of(context, &live.artifact)?;
        let attach = config.attach.then_some(&export as &Export<'_>);
        let told =
            Told { project: name, title: &title, message: &message, notes: &notes, export: attach, has_provenance };
        let made = release::publish(&repository, account.as_ref(), &planned, &told)?;
        tell(context, &planned, &notes, Some(&made))
    }

    /// Writes the artifact into a file, and says what is said of that.
    fn save(&self, context: &Context, artifact: &Artifact, file: &Path) -> Result<Saved, CommandError> {
        let mut exported = self.as_built(context, artifact)?;
        let provenance = depot::said_of(context, artifact, &exported)?;
        super::build::save(&mut exported.file, file)?;
        Ok(Saved { bytes: exported.file.bytes, sha256: exported.file.sha256, provenance })
    }

    /// The artifact's file as its builder wrote it, where that is to be had, since its provenance is about that one, byte for byte.
    fn as_built(&self, context: &Context, artifact: &Artifact) -> Result<Exported, CommandError> {
        let file = match &self.artifact {
            Some(path) => Some(File::open(path).and_then(FileContent::of).map_err(|error| {
                CommandError::new(ErrorKind::Failed, format!("cannot read {}", path.display())).because(&error)
            })?),
            None => depot::file_of_builder(context, artifact),
        };
        match file {
            Some(file) => Ok(Exported { record: artifact.record.clone(), file }),
            None => Ok(context.artifacts()?.export_file(artifact)?),
        }
    }

    fn config(&self, context: &Context) -> Result<ReleaseConfig, CommandError> {
        let (environment, _) = context.environment(&self.environment)?;
        let Some(config) = context.project()?.config.release.clone() else {
            let environment = environment.clone();
            return Ok(ReleaseConfig { environment, version_file: None, tag_prefix: "v".to_owned(), attach: true });
        };
        if config.environment != *environment {
            let what = format!("cutover.toml releases what is live in {}, not in {environment}", config.environment);
            return Err(CommandError::new(ErrorKind::Usage, what)
                .state(PURPOSE.state)
                .hint("`release.environment` in cutover.toml names the environment"));
        }
        Ok(config)
    }

    fn live(&self, context: &Context) -> Result<Live, CommandError> {
        let seen = match &self.seen {
            Some(file) => recorded(file, &self.environment)?,
            None => status::seen(context, &self.environment)?,
        };
        verified(&self.environment, &places(context, &self.environment)?, &seen, PURPOSE)
    }
}

/// Writes down what is live, as little as is needed. What cannot be seen is told here, and refused where the record is read: a good
/// deployment does not become a bad one by it.
fn see(context: &Context, environment: &str, file: &Path) -> Result<Exit, CommandError> {
    let seen = status::seen(context, environment)?;
    if let Err(error) = verified(environment, &places(context, environment)?, &seen, PURPOSE) {
        context.output.warn(error.message());
    }
    std::fs::write(file, format!("{}\n", summary(environment, &seen))).map_err(|error| {
        let what = format!("cannot write {}", file.display());
        CommandError::new(ErrorKind::Failed, what).because(&error).state(PURPOSE.state)
    })?;
    Ok(Exit::Done)
}

/// What `status --json` told of an environment.
fn recorded(file: &Path, environment: &str) -> Result<Vec<Value>, CommandError> {
    let wrong = |why: &str| {
        let what = format!("{} is not what `cutover status --json` prints: {why}", file.display());
        CommandError::new(ErrorKind::Usage, what).state(PURPOSE.state)
    };
    let bytes = read_bounded(file, SEEN_BYTES_MAX).map_err(|error| wrong(&error.source.to_string()))?;
    let record: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    if record.get("v").and_then(Value::as_u64) != Some(1) {
        return Err(wrong("its version is not 1"));
    }
    let all = record.get("environments").and_then(Value::as_array).ok_or_else(|| wrong("it has no environments"))?;
    Ok(all.iter().filter(|one| one.get("name").and_then(Value::as_str) == Some(environment)).cloned().collect())
}

fn notes(planned: &Planned, config: &ReleaseConfig, account: Option<&Account>) -> String {
    let url = account.map(Account::url);
    let notes = ReleaseNotes {
        changes: &planned.changes,
        unread_count: planned.unread_count,
        tag: &planned.tag,
        previous: planned.previous.as_deref(),
        environment: config.environment.as_str(),
        commit: &planned.commit,
        artifact: &planned.artifact.to_string(),
        repository: url.as_deref(),
    };
    notes.markdown()
}

/// The artifact that is live, which must be of the commit that the hosts name: the tag is made there, and never moved.
///
/// None where it is not to be had and need not be attached; then the commit must be one that could have been deployed.
fn source(
    context: &Context,
    repository: &Repository,
    config: &ReleaseConfig,
    live: &Live,
) -> Result<Option<Artifact>, CommandError> {
    let id = live.artifact.to_string();
    let found = match context.artifacts()?.get(&id) {
        Err(ArtifactError::NotFound(_)) => depot::lacking(context, &id)?,
        found => Some(found?),
    };
    let Some(artifact) = found else {
        if config.attach {
            return Err(nowhere(context, live)?);
        }
        deployable(context, repository, config, live)?;
        return Ok(None);
    };
    let (short, commit) = (live.artifact.short(), &artifact.record.commit);
    let wrong = |what: String, hint: &str| Err(CommandError::new(ErrorKind::Failed, what).hint(hint));
    if artifact.record.dirty {
        let what = format!("artifact {short} holds changes that are in no commit");
        return wrong(what, "deploy a commit, then release it");
    }
    if *commit != live.commit {
        let what = format!("artifact {short} is of {}, and the hosts say {}", told(commit), told(&live.commit));
        return wrong(what, "somebody wrote into `release.json` there: deploy again, then release");
    }
    Ok(Some(artifact))
}

/// Refuses a commit that is not in the history of the environment's branch: nothing but the hosts' word speaks for it.
fn deployable(
    context: &Context,
    repository: &Repository,
    config: &ReleaseConfig,
    live: &Live,
) -> Result<(), CommandError> {
    let (_, environment) = context.environment(config.environment.as_str())?;
    let branch = environment.branch.as_deref();
    let tips = branch.map_or_else(
        || vec!["HEAD".to_owned()],
        |branch| vec![format!("refs/remotes/{REMOTE}/{branch}"), format!("refs/heads/{branch}")],
    );
    for tip in &tips {
        if repository.has_in_history(tip, &live.commit)? {
            return Ok(());
        }
    }
    let artifact = format!("artifact {} is not {}", live.artifact.short(), depot::here_or_there(context)?);
    let commit = told(&live.commit);
    let what = format!("{artifact}, and {commit} is not in the history of {}", branch.unwrap_or("what is checked out"));
    Err(CommandError::new(ErrorKind::Failed, what).hint("`git fetch`, or bring the artifact here: `--artifact FILE`"))
}

fn told(commit: &str) -> String {
    if commit.is_empty() { "no commit".to_owned() } else { format!("commit {}", one_line(commit)) }
}

fn nowhere(context: &Context, live: &Live) -> Result<CommandError, CommandError> {
    let what = format!("artifact {}, which is live, is not {}", live.artifact.short(), depot::here_or_there(context)?);
    let hint = format!(
        "`cutover build --commit {}` packs it again, with the same id where the build is reproducible; without it: \
         `attach = false` under [release]",
        words::commit(&live.commit, false)
    );
    Ok(CommandError::new(ErrorKind::Failed, what).hint(hint))
}

fn nothing(context: &Context, config: &ReleaseConfig, why: &str) -> Result<Exit, CommandError> {
    if context.output.json {
        context.output.json(&json!({ "v": VERSION, "release": null, "why": why }))?;
    } else {
        context.output.text(&format!("Nothing to release in {}: {}\n", config.environment, one_line(why)))?;
    }
    Ok(Exit::Done)
}

fn tell(context: &Context, planned: &Planned, notes: &str, made: Option<&Made>) -> Result<Exit, CommandError> {
    let output = &context.output;
    if output.json {
        let release = json!({
            "version": planned.version.to_string(),
            "tag": planned.tag,
            "commit": planned.commit,
            "artifact": planned.artifact,
            "previous": planned.previous,
            "changes": planned.changes.all,
            "notes": notes,
        });
        output.json(&json!({ "v": VERSION, "release": release, "made": made }))?;
        return Ok(Exit::Done);
    }
    if let Some(why) = made.and_then(|made| made.left_out.as_deref()) {
        output.warn(why);
    }
    output.text(&text(context, planned, notes, made))?;
    Ok(Exit::Done)
}

fn text(context: &Context, planned: &Planned, notes: &str, made: Option<&Made>) -> String {
    let paint = context.output.paint();
    let commit = words::commit(&planned.commit, false);
    let after = planned.previous.as_ref().map(|tag| format!(", after {tag}")).unwrap_or_default();
    let Some(made) = made else {
        let head = format!("{} at commit {commit}{after}; nothing was made\n\n", paint.strong(&planned.tag));
        return head + &cutover_reporters::log_text(notes);
    };
    let step = |what: &str, step: Step| match step {
        Step::Made => format!("{} {what}\n", paint.good("✓ made")),
        Step::WasThere => format!("{} {what}\n", paint.dim("was there")),
        Step::LeftOut => format!("{} {what}\n", paint.dim("left out")),
    };
    let mut text = step(&format!("tag {} at commit {commit}{after}", planned.tag), made.tag);
    text += &step(
        &made.url.as_ref().map_or_else(|| "release".to_owned(), |url| format!("release {}", one_line(url))),
        made.release,
    );
    text += &step(&format!("artifact {}", planned.artifact.short()), made.artifact);
    // It may be that there is none.
    if made.provenance != Step::LeftOut {
        text += &step("provenance", made.provenance);
    }
    text
}
