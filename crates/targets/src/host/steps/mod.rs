//! The steps of a host deployment, one module each. None of them asks whether it is first run, resumption or
//! unwinding: they only know how to capture, apply and restore.

pub(super) mod assemble;
mod bases;
pub(super) mod dependencies;
pub(super) mod env_file;
pub(super) mod hold;
pub(super) mod hook;
pub(super) mod link;
pub(super) mod preflight;
pub(super) mod prune;
pub(super) mod receive;
mod requirements;
pub(super) mod restart;
pub(super) mod settle;
pub(super) mod smoke;
pub(super) mod stop;
pub(super) mod switch;
pub(super) mod verify;
mod way_back;
