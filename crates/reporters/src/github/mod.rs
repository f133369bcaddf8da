//! GitHub as it is spoken to by its REST API: commit statuses, check runs, one comment on a pull request, deployments,
//! tags and releases, a release whose files are a store, a ruleset, and a look at a repository's settings.
//!
//! [`Client`] sends and is patient; the other modules know what is sent. Paths, fields and limits are those of GitHub's own
//! description of its API, version 2022-11-28. Nothing here fails a deployment: what GitHub does not take is a [`Fault`],
//! which the binary tells as a warning.

pub mod assets;
pub mod check_run;
mod client;
pub mod comment;
pub mod deployment;
mod failure;
mod fault;
mod names;
mod patience;
pub mod pull;
pub mod release;
pub mod ruleset;
pub mod settings;
pub mod status;
pub mod tag;
mod teller;
mod wire;

pub use client::{Access, Client, Sink, Source, Survived};
pub use fault::Fault;
pub use names::{CommitId, InvalidName, Repository, login};
pub use patience::{Pace, Patience, RealPace};
pub use teller::{DeploymentTeller, JudgedPull, Stage};
