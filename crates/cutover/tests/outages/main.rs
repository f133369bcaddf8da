//! Whatever ends in the middle of a deployment over ssh: the client, ssh, sshd, the agent, the network, the power, the
//! memory, the disk. Afterwards exactly the old or exactly the new release serves, and people are told the truth.
//!
//! A choice of points is tried by default; `CUTOVER_FAULTS=all` tries every one.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod agent;
#[path = "../shared/clean.rs"]
mod clean;
#[path = "../shared/client.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod client;
mod fault;
#[path = "../shared/host.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod host;
mod long;
mod matrix;
mod prober;
#[path = "../shared/ran.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod ran;
mod scarce;
mod shop;
mod verdict;
