//! targets

pub mod child;
pub mod process;
pub mod service;
pub mod supervisor;
pub mod verify;
