//! What the caller's shell has set.

use rustix::fs::Mode;
use rustix::process::{Signal, umask};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Lets nobody but the user and their group write to what is made from here on, whatever the caller's umask gives away: releases are
/// code that runs.
pub(crate) fn keep_strangers_out() {
    let callers = umask(Mode::WOTH);
    umask(callers | Mode::WOTH);
}

/// Lets a write that meets the limit of a file's size (`ulimit -f`) fail like one on a full disk, where the signal would end the
/// client half-way, or the supervisor under its service.
///
/// By a handler that does nothing, since children get the default back from that, and would inherit that it is ignored.
pub(crate) fn survive() {
    // Where it cannot be set, things are as they were.
    let _ = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)));
}
