//! What many deployments say together: the DORA metrics and a few more.
//!
//! Each figure is defined in `docs/metrics.md`; the functions here are those definitions.

mod figure;
mod measure;

pub use figure::{Figure, SAMPLE_COUNT_MIN, Spread, median};
pub use measure::{Metrics, Window, measure};
