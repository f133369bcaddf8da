//! Packs a commit into an artifact, stores it, exports and imports it.
//!
//! An artifact is a manifest (what lies at which path) and blobs (the files' content by digest).
//! It is packed once and deployed many times; its id is the digest of its manifest.

mod cache;
mod changes;
pub mod depot;
mod entries;
mod error;
mod export;
mod filter;
mod git;
mod import;
mod intake;
mod pack;
mod record;
mod signing;
mod store;
mod tags;
mod uncommitted;
mod vouched;

pub use changes::{Changes, changes, work_tree_top};
pub use error::{ArtifactError, BuildError, ImportError};
pub use filter::Filter;
pub use pack::{PackObserver, PackRequest, PackSource};
pub use record::{Artifact, ArtifactRecord};
pub use signing::{SigningError, SigningKey, sign, verify, verify_anybody};
pub use store::{ArtifactBlobs, ArtifactStore, ID_PREFIX_LENGTH_MIN, PruneReport, Retention};
pub use tags::{resolve_commit, tags_here, tags_there};
pub use uncommitted::{Uncommitted, WorkTree, head_commit, uncommitted, work_tree, work_tree_since};
