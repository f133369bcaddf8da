//! Judging a change: what the config's checks say of the work tree, by their exit codes and by their reports.

mod actions;
mod files;
mod jobs;
mod judge;
mod judged;
mod known;
mod teller;
mod words;

pub(crate) use actions::Actions;
pub(crate) use jobs::{Wanted, choose, depends_on_changes, left_out};
pub(crate) use judge::ReportJudge;
pub(crate) use judged::Judged;
pub(crate) use known::{KnownChecks, read_run};
pub(crate) use teller::Teller;
pub(crate) use words::summary;
