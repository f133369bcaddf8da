//! `cutover init`

use crate::context::{CONFIG_NAME, Context};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::init::{inspect, render};
use clap::Args;
use cutover_disk::write_atomic;
use serde_json::json;
use std::env;
use std::path::{Path, PathBuf};

/// The config is not secret: it is committed.
const CONFIG_MODE: u32 = 0o644;

/// Look at the repository and write a commented cutover.toml.
///
/// Reads what is there (pyproject.toml, requirements, package.json, Cargo.toml, Dockerfile, unit
/// files, example env files, workflows), says what it found, and writes a config that works as it
/// stands or names what it could not know. Runs nothing and changes nothing else. It works at the top
/// of a repository: a release holds the whole of it.
///
/// With --json: {"v":1,"path":…,"found":[…]}.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover init
  cutover init --stdout        show the config instead of writing it
  cutover init --force         write it anew, replacing the one that is there
  cutover -C ../shop init      in another repository")]
pub(crate) struct InitArgs {
    /// Print the config instead of writing it
    #[arg(long, conflicts_with = "force")]
    stdout: bool,

    /// Replace a cutover.toml that is there
    #[arg(long)]
    force: bool,
}

impl InitArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        refuse_below_top(&env::current_dir().map_err(|error| {
            CommandError::new(ErrorKind::Failed, "cannot find the current directory").because(&error)
        })?)?;
        let findings = inspect(Path::new("."));
        let text = render(&findings);
        if self.stdout {
            context.output.text(&text)?;
            return Ok(Exit::Done);
        }
        let path = context.named_config().map_or_else(|| PathBuf::from(CONFIG_NAME), Path::to_owned);
        self.write(&path, &text)?;
        tell(context, &path, &findings.evidence())?;
        Ok(Exit::Done)
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), CommandError> {
        if !self.force && path.symlink_metadata().is_ok() {
            return Err(CommandError::new(ErrorKind::Usage, format!("{} is there already", path.display()))
                .state("nothing was changed")
                .hint("--stdout shows what would be written")
                .hint("--force replaces it"));
        }
        Ok(write_atomic(path, text.as_bytes(), CONFIG_MODE)?)
    }
}

/// A release holds the whole repository, so what is found in one of its directories would have wrong paths.
fn refuse_below_top(here: &Path) -> Result<(), CommandError> {
    let Some(top) = here.ancestors().find(|dir| dir.join(".git").exists()).filter(|top| *top != here) else {
        return Ok(());
    };
    let below = here.strip_prefix(top).unwrap_or(here).display();
    let message = format!("{} is a directory of the repository {}", here.display(), top.display());
    Err(CommandError::new(ErrorKind::Usage, message)
        .state("nothing was changed: a release holds the whole repository, and paths in cutover.toml begin at its top")
        .hint(format!("cutover -C {} init", top.display()))
        .hint(format!("to deploy this directory only, set include = [\"{below}/**\"] in [artifact] there")))
}

fn tell(context: &Context, path: &Path, found: &[String]) -> Result<(), CommandError> {
    let output = &context.output;
    if output.json {
        return output.json(&json!({ "v": 1, "path": path, "found": found }));
    }
    let mut text = format!("{} {}\n", output.paint().good("✓ wrote"), path.display());
    text.extend(found.iter().map(|line| format!("  found {line}\n")));
    text += "\nnext:\n";
    text += &format!("  read {}: what could not be known is a comment\n", path.display());
    text += "  git add it and commit: only what is committed is deployed\n";
    text += "  cutover setup production    first, where hosts are other machines: prepares them\n";
    text += "  cutover plan production     what a deployment would do; touches nothing\n";
    text += "  cutover deploy production   does it, and takes it back when it is not healthy\n";
    output.text(&text)
}
