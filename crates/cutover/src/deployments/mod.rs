//! What every command that changes an environment shares: who asks, which targets, which variables, the lock,
//! recovery, the run itself and its way into the history.

mod afar;
pub(crate) mod agent;
mod agents;
pub(crate) mod audit;
mod conductor;
mod contact;
mod fleet;
mod hands;
mod identity;
mod journals;
mod letter;
mod line;
mod lines;
mod live_env;
mod memory;
mod order;
mod place;
mod recover;
mod remote;
mod secret_command;
mod session;
mod signals;
mod ssh_options;
pub(crate) mod there;
mod variables;

pub(crate) use afar::catch_up_from_afar;
pub(crate) use conductor::{RunError, nothing_live, open_service};
pub(crate) use identity::{asker, deployment_id};
pub(crate) use journals::journals_fault;
pub(crate) use live_env::live_variables;
pub(crate) use memory::catch_up;
pub(crate) use order::Task;
pub(crate) use place::{Place, PlaceError, is_asked_from_elsewhere};
pub(crate) use recover::recover;
pub(crate) use session::{Session, connect_as, supervisor};
pub(crate) use signals::{CANCEL, watch as watch_signals};
pub(crate) use ssh_options::ssh_options;
pub(crate) use there::ask_host as ask_there;
pub(crate) use variables::{Variables, VariablesError};
