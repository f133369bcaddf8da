//! `cutover init`

use crate::context::{CONFIG_NAME, Context};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::init::{inspect, render};
use clap::Args;
use cutover_disk::write_atomic;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The config is not secret: it is committed.
const CONFIG_MODE: u32 = 0o644;

/// Looks at the repository and writes a commented cutover.toml.
///
/// Reads what is there (pyproject.toml, requirements, package.json, Cargo.toml, Dockerfile, unit
/// files, example env files, workflows), says what it found, and writes a config that works as it
/// stands or names what it could not know. Runs nothing and changes nothing else.
///
/// With --json: {"v":1,"path":…,"found":[…]}.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover init
  cutover init --stdout        show the config instead of writing it
  cutover init --force         write it anew, replacing the one that is there
  cutover -C services/api init")]
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
    text += "  cutover plan production     what a deployment would do; touches nothing\n";
    text += "  cutover deploy production   does it, and takes it back when it is not healthy\n";
    output.text(&text)
}
