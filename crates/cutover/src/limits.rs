//! Limits that the caller's shell has set.

use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Lets a write that meets the limit of a file's size (`ulimit -f`) fail like one on a full disk, where the signal would end the
/// client half-way, or the supervisor under its service.
///
/// By a handler that does nothing, since children get the default back from that, and would inherit that it is ignored.
pub(crate) fn survive() {
    // Where it cannot be set, things are as they were.
    let _ = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)));
}
