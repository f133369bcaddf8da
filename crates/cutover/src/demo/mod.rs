//! `cutover demo`: the sample service of `examples/greeter`, three versions, deployed to this machine for real.

mod ask;
mod clean;
mod deployed;
mod folder;
mod project;
mod story;
mod versions;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use std::path::PathBuf;

/// Deploy a real sample service on this machine; its broken third version goes back by itself.
///
/// Makes a folder with a git repository, commits three versions of a small Python web service, and
/// deploys each the way you would: with `cutover deploy local`. Versions one and two go live in
/// turn. Version three cannot start, so it is taken back, and version two answers again: that is
/// asked over HTTP, not assumed. The exit code is 0 only when all of that was seen.
///
/// The folder stays and the service keeps running, so that you can look around and try things.
/// Nothing outside of the folder is touched but Cutover's own history, and no network is needed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover demo                    in a fresh folder
  cutover demo --dir /srv/demo    in a folder that is empty or not there yet
  cutover demo --clean            stop what demos started and remove their folders")]
pub(crate) struct DemoArgs {
    /// The folder to use: empty, or not there yet
    #[arg(long, value_name = "DIR", conflicts_with = "clean")]
    dir: Option<PathBuf>,

    /// Stop everything that demos started, and remove their folders
    #[arg(long)]
    clean: bool,
}

impl DemoArgs {
    /// Shows how it works, or removes what was shown.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        if self.clean { clean::clean(&context.output) } else { story::tell(&context.output, self.dir.as_deref()) }
    }
}
