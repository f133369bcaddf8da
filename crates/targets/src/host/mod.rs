//! Hosts: releases under `deploy_to`, switched by atomic links, on the machine that this code runs on.
//!
//! The executor performs steps; [`planner`] makes plans from a config and an artifact;
//! [`transaction`] holds the lock and drives a plan with its journal to the end.

mod action;
mod archive;
mod course;
mod current;
pub mod env_text;
mod executor;
mod fitness;
mod follow;
pub mod gate;
mod journal_file;
mod layout;
mod left;
mod leftovers;
pub mod lock;
pub mod planner;
mod queue;
mod release;
mod site;
mod spare;
mod standing;
mod steps;
mod succession;
pub mod transaction;
mod unfinished;
mod unprobed;

pub use action::{Action, Work};
pub use archive::ended_in;
pub use current::{Amiss, amiss, live, other_project, release_of};
pub use executor::{HostPlan, LocalHost, check_preflight};
pub use follow::follow;
pub use journal_file::{FileJournal, journal_name, read as read_journal};
pub use layout::Layout;
pub use release::{Listing, RELEASE_FILE, Release, ReleaseState, Unreadable, linked, previous_release};
pub use site::{Offer, SupervisorProgram};
pub(crate) use standing::own_name;
pub use standing::{Obstacle, obstacle, obstacle_above};
pub use steps::preflight::make_directories as prepare_directories;
pub(crate) use steps::preflight::{find_program, missing_files};
pub use unfinished::{done_journals, open_journals};
pub(crate) use unprobed::unprobed;
