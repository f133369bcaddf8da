//! The words and the law of Cutover.
//!
//! Everything here could run with the network unplugged and time frozen: no disk, clock,
//! environment variable or terminal is touched. Adapters (targets, stores, reporters) depend on
//! this crate and never on each other.

pub mod artifact;
pub mod check;
pub mod config;
pub mod engine;
pub mod event;
pub mod id;
pub mod journal;
pub mod mask;
pub mod metrics;
pub mod moment;
pub mod next;
pub mod patience;
pub mod percent;
pub mod plan;
pub mod probe;
pub mod provenance;
pub mod record;
pub mod release;
pub mod rollout;
pub mod secret;
pub mod size;
pub mod store;
pub mod target;
