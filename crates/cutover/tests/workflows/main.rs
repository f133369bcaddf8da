//! The workflows that `cutover workflows` writes, run as GitHub would: from a push to a service that answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod action;
mod api;
#[path = "../shared/clean.rs"]
mod clean;
mod gitlab;
mod manual;
mod project;
mod pull_request;
mod push;
mod release;
mod store;
