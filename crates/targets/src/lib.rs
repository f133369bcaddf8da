//! The hands of Cutover: what changes the world.
//!
//! [`host`] puts releases on this machine and takes them back. It is served by [`service`] and
//! [`supervisor`], which run a release, by [`verify`], which observes it, and by [`process`],
//! which looks at processes.

pub mod doctor;
pub mod host;
pub mod process;
pub mod remote;
pub mod service;
pub mod setup;
pub mod supervisor;
mod tool;
pub mod verify;
