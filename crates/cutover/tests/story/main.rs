//! The chat bot of `examples/bot`, from pull request to production, as people at GitHub see it: generated workflows run on this
//! machine, which plays the runner, and deploy over ssh to a machine of the project's own test bed (see `bed/README.md`).
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "../shared/clean.rs"]
mod clean;
mod fork;
#[path = "../shared/host.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod host;
mod merges;
#[path = "../shared/ran.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod ran;
mod team;
