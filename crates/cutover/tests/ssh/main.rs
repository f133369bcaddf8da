//! Deployments over a real OpenSSH to a machine of the project's own test bed (see `bed/README.md`).

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "../shared/clean.rs"]
mod clean;
mod deploy;
mod doctor;
mod fleet;
mod follow;
#[path = "../shared/host.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod host;
mod keys;
mod looks;
mod renamed;
mod setup;
mod world;
