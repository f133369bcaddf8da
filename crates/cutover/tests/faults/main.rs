//! What goes wrong around a deployment, with the real binary: each ends in the documented state, with the documented
//! exit code and one clear message.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod bed;
#[path = "../shared/clean.rs"]
mod clean;
mod clock;
mod disk;
mod engine;
mod eyes;
mod journal;
mod locks;
#[path = "../shared/ran.rs"]
mod ran;
mod reporter;
mod root;
mod run;
mod secrets;
mod sentinel;
mod service;
mod signals;
mod table;
