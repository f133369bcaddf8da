//! `cutover agent`: what a client starts on a host. Not for people.

use crate::context::Context;
use crate::deployments::{CANCEL, agent, supervisor, there, watch_signals};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::{Args, Subcommand};
use cutover_targets::remote::bootstrap::{AGENTS_DIR, prune};
use std::io::{BufReader, stdin, stdout};
use std::path::Path;

/// Serve a client over this connection
///
/// Started by `cutover` on another machine, over ssh; it speaks frames on its standard input and output.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Carry out one order
    Serve,
}

impl AgentArgs {
    pub(super) fn run(&self, _context: &Context) -> Result<Exit, CommandError> {
        let Verb::Serve = self.verb;
        let failed = |error: &dyn std::error::Error| {
            CommandError::new(ErrorKind::Failed, "serve the client").because(error).state("nothing was changed")
        };
        // The session of the connection may end; what was begun must not end with it.
        let _leads_one_already = rustix::process::setsid();
        watch_signals().map_err(|error| failed(&error))?;
        let supervisor = supervisor()?;
        let asked =
            agent::serve(BufReader::new(stdin()), stdout(), &supervisor, &CANCEL).map_err(|error| failed(&error))?;
        if let Some(question) = asked {
            return Err(there::answer(&question));
        }
        prune_agents(&supervisor.program);
        Ok(Exit::Done)
    }
}

/// Every version of a client leaves an agent behind.
fn prune_agents(own: &Path) {
    if let Some(dir) = own.parent().filter(|dir| dir.ends_with(AGENTS_DIR)) {
        prune(dir, own);
    }
}
