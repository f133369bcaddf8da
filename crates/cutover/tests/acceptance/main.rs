//! What users were promised, scenario by scenario: the examples, deployed over ssh to a machine with a real systemd of the
//! project's own test bed (see `bed/README.md`). What needs a CI runner, or somebody to be notified, is not here.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "../shared/clean.rs"]
mod clean;
#[path = "../shared/client.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod client;
#[path = "../shared/host.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod host;
mod python_service;
#[path = "../shared/ran.rs"]
mod ran;
mod records;
mod site;
mod worker;
