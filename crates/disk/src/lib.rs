//! Durable files: atomic writes, links and trees, and the blob store.
//!
//! Everything that Cutover must still find after a power cut goes through here, so that the
//! order of write, sync and rename is decided in one place.

mod blob;
mod content;
mod copy;
mod error;
mod file;
mod link;
pub mod parallel;
mod space;
mod stamp;
mod store;
mod sweep;
mod temporary;
mod tree;

pub use blob::Blob;
pub use content::{digest_of_file, read_bounded, read_regular};
pub use copy::copy_content;
pub use error::{BlobError, DiskError, is_no_space};
pub use file::{overwrite_in_place, replace_symlink, sync_dir, sync_file_system, write_atomic, write_unsynced};
pub use link::Linked;
pub use space::{FreeSpace, free_space};
pub use store::{BlobState, BlobStore};
pub use sweep::Removed;
pub use temporary::remove_temporaries;
pub use tree::{remove_tree, remove_tree_in};
