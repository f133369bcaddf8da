//! `cutover workflows`

use crate::context::{CONFIG_NAME, Context, Project};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::github::site;
use crate::release::{REMOTE, Repository};
use clap::Args;
use cutover_artifacts::work_tree_top;
use cutover_disk::{read_bounded, write_atomic};
use cutover_workflows::{
    Badge, File, GITHUB_PATHS, GITLAB_PATHS, MARK, Rendered, github, github_badges, gitlab, gitlab_badges,
};
use serde_json::json;
use similar::TextDiff;
use std::fs;
use std::path::{Path, PathBuf};

/// The version of the JSON.
const VERSION: u32 = 1;
/// The largest file that is compared, in bytes; none of ours comes near.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Workflows are committed.
const FILE_MODE: u32 = 0o644;

/// Write the CI's workflows from cutover.toml.
///
/// For GitHub Actions, files under .github: checks of every push and pull request; what is pushed to
/// the branch of an environment is judged, packed once and deployed there; pull requests to the
/// environment that is meant for them; deployments and rollbacks that people start. With --gitlab one
/// .gitlab-ci.yml with the same jobs. The table `workflows` in cutover.toml says how.
///
/// They are yours to commit, and made anew after cutover.toml changed: --check fails when they are
/// not what it says now. Files that were written for the other CI before are kept true, too. A file that Cutover did not write is never replaced.
///
/// --badges prints Markdown for the README: how the newest run for each branch that is deployed from ended.
///
/// With --json: {"v":1,"files":[{"path":…,"state":"same"|"written"|"removed"|"differs"}],"warnings":[…]}, or with --badges
/// {"v":1,"badges":[{"of":…,"image":…,"link":…}]}.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover workflows            write what differs
  cutover workflows --check    exit code 1 and a diff when anything does; changes nothing
  cutover workflows --gitlab   for GitLab CI
  cutover workflows --badges   Markdown for the README")]
pub(crate) struct WorkflowsArgs {
    /// Change nothing; fail and show the difference when the files are not what cutover.toml says
    #[arg(long)]
    check: bool,

    /// Write .gitlab-ci.yml instead
    #[arg(long)]
    gitlab: bool,

    /// Write nothing; print badges for the README
    #[arg(long, conflicts_with = "check")]
    badges: bool,
}

impl WorkflowsArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let project = context.project()?;
        let top = top(project);
        let directory = below(project, &top)?;
        let about = cutover_workflows::Project { config: &project.config, directory: directory.as_deref() };
        if self.badges {
            return self.tell_badges(context, &about);
        }
        let mut both = [(github(&about), &GITHUB_PATHS[..]), (gitlab(&about), &GITLAB_PATHS[..])];
        if self.gitlab {
            both.reverse();
        }
        let [(rendered, paths), (other, other_paths)] = both;
        let mark = about.mark();
        let mut changes = compare(&top, &rendered.files, paths, &mark)?;
        refuse_foreign(&changes, &mark)?;
        let mut warnings = rendered.warnings;
        // What was written for the other one before is kept true, too, as a whole: its files lead to one another. What cannot be read there
        // is not ours.
        let others = compare(&top, &other.files, other_paths, &mark).unwrap_or_default();
        if others.iter().any(|change| change.is_ours(&mark)) {
            refuse_foreign(&others, &mark)?;
            changes.extend(others);
            warnings
                .extend(other.warnings.into_iter().filter(|warning| !warnings.contains(warning)).collect::<Vec<_>>());
        }
        if !self.check {
            changes.iter().try_for_each(|change| change.make(&top))?;
        }
        self.tell(context, &warnings, &changes)?;
        let differs = changes.iter().any(|change| change.state() != "same");
        Ok(if self.check && differs { Exit::Failed } else { Exit::Done })
    }

    fn tell_badges(&self, context: &Context, about: &cutover_workflows::Project<'_>) -> Result<Exit, CommandError> {
        let site = site_of(context.project()?)?;
        let badges = if self.gitlab { gitlab_badges(about, &site) } else { github_badges(about, &site) };
        if context.output.json {
            let badge = |badge: &Badge| json!({ "of": badge.of, "image": badge.image, "link": badge.link });
            let badges: Vec<_> = badges.iter().map(badge).collect();
            return context.output.json(&json!({ "v": VERSION, "badges": badges })).map(|()| Exit::Done);
        }
        if badges.is_empty() {
            let nothing = "no run can be shown: no environment with hosts has a `branch`";
            return Err(
                CommandError::new(ErrorKind::Config, nothing).hint("`branch = \"main\"` under [environments.ENV]")
            );
        }
        context
            .output
            .text(&badges.iter().map(|badge| badge.markdown() + "\n").collect::<String>())
            .map(|()| Exit::Done)
    }

    fn tell(&self, context: &Context, warnings: &[String], changes: &[Change]) -> Result<(), CommandError> {
        let output = &context.output;
        if output.json {
            let state = |change: &Change| if self.check { change.state_of_check() } else { change.state() };
            let files: Vec<_> =
                changes.iter().map(|change| json!({ "path": change.path, "state": state(change) })).collect();
            return output.json(&json!({ "v": VERSION, "files": files, "warnings": warnings }));
        }
        warnings.iter().for_each(|warning| output.warn(warning));
        let paint = output.paint();
        let mut text = String::new();
        for change in changes.iter().filter(|change| change.state() != "same") {
            text += &match self.check {
                true => change.diff(),
                false => format!("{} {}\n", paint.good(format!("✓ {}", change.state())), change.path),
            };
        }
        if changes.is_empty() {
            text = format!("Nothing to write: {CONFIG_NAME} has no checks, and no environment with hosts\n");
        } else if text.is_empty() {
            let count =
                if changes.len() == 1 { "1 file is".to_owned() } else { format!("{} files are", changes.len()) };
            text = format!("{} {count} what {CONFIG_NAME} says\n", paint.good("✓"));
        } else if self.check {
            let gitlab = if self.gitlab { " --gitlab" } else { "" };
            output.error(&format!("these files are not what {CONFIG_NAME} says: run cutover workflows{gitlab}\n"))?;
        }
        output.text(&text)
    }
}

/// The files for GitHub as they shall be.
pub(super) fn at_github(project: &Project) -> Result<Rendered, CommandError> {
    let directory = below(project, &top(project))?;
    Ok(github(&cutover_workflows::Project { config: &project.config, directory: directory.as_deref() }))
}

/// The address at which people see the repository.
fn site_of(project: &Project) -> Result<String, CommandError> {
    let url = Repository::at(&project.dir).remote_url(REMOTE)?;
    let site = url.as_deref().and_then(site).map(|(host, name)| format!("https://{host}/{name}"));
    site.ok_or_else(|| {
        CommandError::new(ErrorKind::Usage, format!("{REMOTE} is at no server whose badges could be shown"))
            .hint(format!("`git remote add {REMOTE} git@github.com:OWNER/NAME.git`"))
    })
}

fn top(project: &Project) -> PathBuf {
    work_tree_top(&project.dir).unwrap_or_else(|_| project.dir.clone())
}

/// Where `cutover.toml` lies below the repository's top.
fn below(project: &Project, top: &Path) -> Result<Option<String>, CommandError> {
    let wrong = |what: String| Err(CommandError::new(ErrorKind::Usage, what).state("nothing was changed"));
    if project.file.file_name().is_none_or(|name| name != CONFIG_NAME) {
        return wrong(format!("workflows find the config by its name: call it {CONFIG_NAME}"));
    }
    let dir = fs::canonicalize(&project.dir).unwrap_or_else(|_| project.dir.clone());
    let top = fs::canonicalize(top).unwrap_or_else(|_| top.to_owned());
    match dir.strip_prefix(&top).map(Path::to_str) {
        Ok(Some("")) | Err(_) => Ok(None),
        Ok(Some(directory)) if directory.contains("${{") => {
            wrong(format!("GitHub would take the name of {directory:?} for an expression: call it otherwise"))
        }
        Ok(Some(directory)) => Ok(Some(directory.to_owned())),
        Ok(None) => wrong(format!("the path of {} is not UTF-8", project.dir.display())),
    }
}

/// A file as it is and as it shall be.
struct Change {
    /// From the repository's top.
    path: String,
    /// None: there is none.
    is: Option<String>,
    /// None: there shall be none.
    shall: Option<String>,
}

/// What is to be done about each file that is rendered, and about those that were rendered earlier and are not now.
fn compare(top: &Path, files: &[File], paths: &[&str], mark: &str) -> Result<Vec<Change>, CommandError> {
    let rendered = files.iter().map(|file| (file.path.as_str(), Some(file.text.clone())));
    let gone = paths.iter().filter(|path| files.iter().all(|file| file.path != **path)).map(|path| (*path, None));
    let mut changes = Vec::new();
    for (path, shall) in rendered.chain(gone) {
        let is = read(&top.join(path))?;
        let change = Change { path: path.to_owned(), is, shall };
        // What somebody else wrote there is in nobody's way when there shall be nothing.
        if change.shall.is_some() || change.is_ours(mark) {
            changes.push(change);
        }
    }
    Ok(changes)
}

fn read(path: &Path) -> Result<Option<String>, CommandError> {
    match read_bounded(path, FILE_BYTES_MAX) {
        // What is no text is not ours, and is refused as such.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(CommandError::from(error).state("nothing was changed")),
    }
}

fn is_marked(text: &str, mark: &str) -> bool {
    text.lines().next() == Some(mark)
}

/// Nothing is written when a file of somebody else is in the way.
fn refuse_foreign(changes: &[Change], mark: &str) -> Result<(), CommandError> {
    let foreign = changes.iter().find(|change| change.is.is_some() && !change.is_ours(mark));
    let Some(change) = foreign else { return Ok(()) };
    if change.is.as_deref().is_some_and(|text| text.starts_with(MARK)) {
        let message = format!("{} is there already, from another {CONFIG_NAME} of this repository", change.path);
        return Err(CommandError::new(ErrorKind::Usage, message)
            .state("nothing was changed")
            .hint("one config of a repository has its workflows: put both into one, or remove the other's files"));
    }
    let message = format!("{} is there already, and Cutover did not write it", change.path);
    Err(CommandError::new(ErrorKind::Usage, message)
        .state("nothing was changed")
        .hint("move what it does into a workflow of another name, and remove it")
        .hint(format!("to have it replaced, let its first line be: {mark}")))
}

impl Change {
    /// Whether it is there, and was written from this config.
    fn is_ours(&self, mark: &str) -> bool {
        self.is.as_deref().is_some_and(|text| is_marked(text, mark))
    }

    fn state(&self) -> &'static str {
        match (&self.is, &self.shall) {
            (is, shall) if is == shall => "same",
            (_, Some(_)) => "written",
            (_, None) => "removed",
        }
    }

    fn state_of_check(&self) -> &'static str {
        if self.state() == "same" { "same" } else { "differs" }
    }

    fn make(&self, top: &Path) -> Result<(), CommandError> {
        let path: PathBuf = top.join(&self.path);
        match &self.shall {
            _ if self.state() == "same" => Ok(()),
            Some(text) => {
                let dir = path.parent().unwrap_or(top);
                fs::create_dir_all(dir).map_err(|error| {
                    CommandError::new(ErrorKind::Failed, format!("cannot make {}", dir.display())).because(&error)
                })?;
                Ok(write_atomic(&path, text.as_bytes(), FILE_MODE)?)
            }
            None => fs::remove_file(&path).map_err(|error| {
                CommandError::new(ErrorKind::Failed, format!("cannot remove {}", self.path)).because(&error)
            }),
        }
    }

    fn diff(&self) -> String {
        let (is, shall) = (self.is.as_deref().unwrap_or_default(), self.shall.as_deref().unwrap_or_default());
        let name = |text: &Option<String>| if text.is_some() { self.path.as_str() } else { "/dev/null" };
        TextDiff::from_lines(is, shall).unified_diff().header(name(&self.is), name(&self.shall)).to_string()
    }
}
