//! A run of checks, told once it is over.

pub mod github;
pub mod words;
