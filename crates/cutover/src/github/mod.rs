//! What is said to GitHub from a job of its Actions: the surroundings are read here, and what comes of it is warned of.

mod account;
mod checks;
mod deploying;
mod doctor;
mod event;
mod job;
mod protect;
mod report;

pub(crate) use account::{Account, site, store_token};
pub(crate) use checks::ChecksTeller;
pub(crate) use deploying::DeploymentVoice;
pub(crate) use doctor::{Place, examine};
pub(crate) use job::token;
pub(crate) use protect::{Protected, protect};
pub(crate) use report::report;
