//! Signals: the first one asks whatever is at work to stop and a deployment to take itself back, the second one ends
//! the process at once.

use crate::exit::Exit;
use cutover_core::id::EnvironmentName;
use cutover_core::target::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first signal; a process makes one change at a time.
pub(crate) static CANCEL: Cancel = Cancel::new();
/// Whether signals are watched for.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Whether a change may have begun, so that leaving could leave it half-way.
static CHANGING: AtomicBool = AtomicBool::new(false);
/// Where that change is made.
static ENVIRONMENT: OnceLock<EnvironmentName> = OnceLock::new();
/// Whether another machine makes it, which does not need this process to bring it to its end.
static ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Begins to watch for signals, so that children are ended with this process. A closed terminal (SIGHUP) stops nothing.
pub(crate) fn watch() -> std::io::Result<()> {
    if WATCHED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever().filter(|signal| *signal != SIGHUP) {
            if CANCEL.is_cancelled() { leave() } else { stop() }
        }
    })?;
    Ok(())
}

/// The same, and from here on something in this environment may be left half-way.
pub(super) fn begin_change(environment: &EnvironmentName, is_here: bool) -> std::io::Result<()> {
    watch()?;
    // A process makes one change: the first name stays.
    let _known = ENVIRONMENT.set(environment.clone());
    ELSEWHERE.store(!is_here, Ordering::SeqCst);
    CHANGING.store(true, Ordering::SeqCst);
    Ok(())
}

fn stop() {
    if CHANGING.load(Ordering::SeqCst) {
        let once_more = if ELSEWHERE.load(Ordering::SeqCst) { "lets go of the host" } else { "leaves it as it is" };
        tell(&format!(
            "stopping: what was begun is taken back unless the release is verified already; once more {once_more}"
        ));
    } else {
        tell("stopping");
    }
    CANCEL.cancel();
}

fn leave() {
    if CHANGING.load(Ordering::SeqCst) {
        let environment = ENVIRONMENT.get().map_or("ENV", EnvironmentName::as_str);
        if ELSEWHERE.load(Ordering::SeqCst) {
            tell(&format!(
                "let go: the host brings it to its end by itself; `cutover resume {environment}` attaches again"
            ));
            std::process::exit(Exit::Unreachable as i32);
        }
        tell(&format!(
            "left half-way; `cutover resume {environment}` goes on from here, the next deployment takes it back first"
        ));
        std::process::exit(Exit::Stuck as i32);
    }
    tell("stopped; nothing was changed");
    std::process::exit(Exit::Failed as i32);
}

/// A closed terminal is no reason not to stop.
fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
