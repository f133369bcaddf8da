//! Asking an environment's hosts for what happened there.

use crate::context::Context;
use crate::deployments::catch_up_from_afar;
use crate::error::CommandError;
use clap::Args;
use cutover_core::id::EnvironmentName;

/// Whether an environment's hosts are asked for what is not known here.
#[derive(Debug, Args)]
pub(super) struct CatchUpArgs {
    /// Ask no host: tell what is known here
    #[arg(long)]
    offline: bool,
}

impl CatchUpArgs {
    /// Takes into the history what the environment's hosts know. One that the config does not name has none.
    pub(super) fn run(&self, context: &Context, environment: Option<&EnvironmentName>) -> Result<(), CommandError> {
        match environment {
            Some(name) if !self.offline && context.project()?.config.environments.contains_key(name) => {
                catch_up_from_afar(context, name.as_str())
            }
            Some(_) | None => Ok(()),
        }
    }
}
