//! Releases: a version for what is live, its tag, and what GitHub shows of it.
//!
//! [`plan()`] decides from git alone, [`publish()`] makes what is missing. Nothing is ever moved: a tag that is elsewhere is an
//! error.

mod file;
mod files;
mod git;
mod plan;
mod publish;

pub(crate) use files::{Export, Saved};
pub(crate) use git::Repository;
pub(crate) use plan::{Decision, Planned, Wanted, plan};
pub(crate) use publish::{Made, REMOTE, Step, Told, publish};
