//! Units under a real systemd, on machines of the project's own test bed (see `bed/README.md`): deployed, taken back
//! and rolled back, with what systemd and its journal really say.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

#[path = "../shared/host.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod host;
mod log;
mod plain_user;
mod power;
#[path = "../shared/ran.rs"]
mod ran;
mod shop;
mod system;
mod user;
