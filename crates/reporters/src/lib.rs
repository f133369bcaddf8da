//! The voice of Cutover: tells events to people and machines.
//!
//! A [`Reporter`] tells one event after another and may fail. A [`Tee`] is the
//! [`Observer`](cutover_core::event::Observer) that the engine knows: it gives every reporter a
//! thread of its own, so that a broken or slow one never fails or slows a deployment.
//!
//! To add a reporter: implement [`Reporter`], tell every kind of event or say why not, return the
//! first error, and hand it to the tee in the binary.

pub mod checks;
pub mod github;
mod json;
mod markdown;
mod release_notes;
mod reporter;
mod tee;
mod terminal;

pub use json::{JsonLines, json_line};
pub use release_notes::ReleaseNotes;
pub use reporter::Reporter;
pub use tee::{THREAD_NAME, Tee};
pub use terminal::words::{bytes, duration, in_environment, log_text, one_line};
pub use terminal::{Live, Manner, Plain};
