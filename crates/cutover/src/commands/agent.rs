//! `cutover agent`: what a client, the boot or a unit starts on a host. Not for people.

use super::exec::ExecArgs;
use crate::context::Context;
use crate::deployments::{CANCEL, agent, recover, supervisor, there, watch_signals};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::setup;
use clap::{Args, Subcommand};
use cutover_targets::remote::bootstrap::{AGENTS_DIR, mark_as_used, prune};
use std::io::{BufReader, stdin, stdout};
use std::path::{Path, PathBuf};

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
    Exec(ExecArgs),
    /// Prepare this host as root: the order comes on the standard input
    Setup,
    /// Finish or take back what a power cut left in these places
    Recover {
        /// Each target's deploy_to
        #[arg(required = true)]
        places: Vec<PathBuf>,
    },
}

impl AgentArgs {
    /// Whether this process becomes another program, for which its files are meant.
    pub(super) fn becomes_another(&self) -> bool {
        matches!(self.verb, Verb::Exec(_))
    }

    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        match &self.verb {
            Verb::Serve => serve(),
            Verb::Exec(args) => args.run(context),
            Verb::Setup => setup::answer_input(),
            Verb::Recover { places } => recover(context, places),
        }
    }
}

fn serve() -> Result<Exit, CommandError> {
    let failed = |error: &dyn std::error::Error| {
        CommandError::new(ErrorKind::Failed, "serve the client").because(error).state("nothing was changed")
    };
    // The session of the connection may end; what was begun must not end with it.
    let _leads_one_already = rustix::process::setsid();
    watch_signals().map_err(|error| failed(&error))?;
    let supervisor = supervisor()?;
    if agents_of(&supervisor.program).is_some() {
        mark_as_used(&supervisor.program);
    }
    let asked =
        agent::serve(BufReader::new(stdin()), stdout(), &supervisor, &CANCEL).map_err(|error| failed(&error))?;
    match asked {
        Some(agent::Asked::Question(question)) => return Err(there::answer(&question)),
        Some(agent::Asked::Setup(order)) => setup::answer(&order)?,
        None => {}
    }
    prune_agents(&supervisor.program);
    Ok(Exit::Done)
}

/// Every version of a client leaves an agent behind.
fn prune_agents(own: &Path) {
    if let Some(dir) = agents_of(own) {
        prune(dir, own);
    }
}

/// The directory of agents that a client put this one into.
fn agents_of(own: &Path) -> Option<&Path> {
    own.parent().filter(|dir| dir.ends_with(AGENTS_DIR))
}
