//! What GitHub is told, against one that is none and that has mishaps.
#![allow(clippy::unwrap_used, reason = "a test that cannot begin is a broken test")]

mod hostile;
mod mishaps;
mod operations;
mod releases;
mod support;
mod telling;
