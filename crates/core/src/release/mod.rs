//! What a release is called and what is new in it: from commits, without asking anybody.
//!
//! [`Version`] orders as semver.org 2.0.0 says. [`Changes`] reads commits as conventionalcommits.org 1.0.0 says, and
//! [`Changes::next`] makes the version that they lead to.

mod changes;
mod commit;
mod version;

pub use changes::{Change, ChangeKind, Changes};
pub use commit::Commit;
pub use version::{InvalidVersion, Version};
