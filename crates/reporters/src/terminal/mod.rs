//! Tells a deployment to people: live on a terminal, line by line elsewhere.

mod failure;
mod fleet;
mod line;
mod live;
mod plain;
mod story;
mod summary;
mod tale;
pub(crate) mod words;

pub use live::Live;
pub use plain::Plain;

use std::collections::BTreeMap;
use std::time::Duration;

/// How people want to be told.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Whether to use colours. Symbols and words say the same without them.
    pub color: bool,
    /// Whether to show what child processes and probes say.
    pub verbose: bool,
    /// Where lines that can be shortened are cut, in characters.
    pub width: Option<usize>,
    /// Whether it is the past that is told: what was live, and no word on where to read more.
    pub retold: bool,
    /// How long each step usually takes, by its name.
    pub usual: BTreeMap<String, Duration>,
}
