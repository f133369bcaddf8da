//! The commands as a user meets them: real processes in a sandbox, what they print and how they end.

mod build;
mod config;
mod frame;
mod memory;
mod sandbox;
