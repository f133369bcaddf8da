//! The way to a host that is another machine: ssh, the agent that it starts there, and the frames between the two.
//!
//! [`ssh`] opens the connection to a [`destination`], [`bootstrap`] sees that the agent is there, [`frame`] cuts what is said into pieces,
//! [`content`] moves files. What is said is the binary's business. See `docs/design/0013-agent.md`.

pub mod bootstrap;
pub mod chunk;
pub mod content;
pub mod delta;
pub mod destination;
pub mod frame;
pub mod host_key;
mod keyring;
pub mod lacking;
pub mod patience;
pub mod ssh;
mod way;
