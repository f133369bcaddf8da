//! `cutover.toml`: from text to a sound [`Config`], or every diagnostic at once.

mod model;

pub use model::*;
