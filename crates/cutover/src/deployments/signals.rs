//! Signals: the first one asks the deployment to take itself back, the second one ends the process at once.

use cutover_core::target::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit code of a process that was made to leave a deployment half-way: a person is needed, or `cutover resume`.
const LEFT_HALF_WAY: i32 = 4;

/// Set by the first signal; a process makes one change at a time.
pub(crate) static CANCEL: Cancel = Cancel::new();

/// Begins to watch for signals. A closed terminal (SIGHUP) stops nothing.
pub(super) fn watch() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => {}
                _ if CANCEL.is_cancelled() => leave(),
                _ => {
                    tell("stopping: what was begun is taken back; once more leaves it as it is");
                    CANCEL.cancel();
                }
            }
        }
    })?;
    Ok(())
}

fn leave() {
    tell("left half-way; `cutover resume ENV` goes on from here, and so does the next deployment");
    std::process::exit(LEFT_HALF_WAY);
}

/// A closed terminal is no reason not to stop.
fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
