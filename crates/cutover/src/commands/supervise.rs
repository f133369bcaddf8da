//! `cutover supervise`: what runs behind `service.process`. Not for people.

use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_core::target::Cancel;
use cutover_targets::supervisor::supervise;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;

/// Keep the process of a directory's spec.json running
///
/// Started by deployments; it lives on when they end. `cutover app ENV restart` and `status` talk to it.
#[derive(Debug, Args)]
pub(crate) struct SuperviseArgs {
    /// The supervisor's directory under .cutover/process/
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl SuperviseArgs {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let failed = |error: &dyn std::error::Error| {
            CommandError::new(ErrorKind::Failed, format!("supervise {}", self.directory.display())).because(error)
        };
        let stop = stop_on_signals().map_err(|error| failed(&error))?;
        supervise(&self.directory, stop).map_err(|error| failed(&error))?;
        Ok(Exit::Done)
    }
}

/// TERM and INT end the supervisor in good order, as often as they come; a closed terminal does not.
fn stop_on_signals() -> std::io::Result<&'static Cancel> {
    static STOP: Cancel = Cancel::new();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever().filter(|signal| *signal != SIGHUP) {
            STOP.cancel();
        }
    })?;
    Ok(&STOP)
}
