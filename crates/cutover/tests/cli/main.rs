//! The commands as a user meets them: real processes in a sandbox, what they print and how they end.
#![allow(clippy::unwrap_used, reason = "a sandbox that cannot be made is a broken test")]

mod apart;
mod app;
mod artifact;
mod build;
mod check;
#[path = "../shared/clean.rs"]
mod clean;
mod config;
mod deploy;
mod doctor;
mod exec;
mod far;
mod frame;
mod github;
mod github_settings;
mod gone;
mod https;
mod in_the_way;
mod init;
mod limits;
mod memory;
mod observed;
mod ownership;
mod promote;
mod provenance;
mod release;
mod required;
mod resume;
mod rollback;
mod sandbox;
mod status;
mod unprobed;
mod unreached;
mod unreadable;
mod workflows;
