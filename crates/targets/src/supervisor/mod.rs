//! Cutover's own small supervisor, for machines without systemd.
//!
//! One supervisor runs per directory, kept single by a kernel lock. It is the same binary, detached
//! from whoever began it. It starts the service in the `current` release, starts it again when it
//! ends, keeps its log within a size, and on request ends it with everything that it left behind.
//!
//! ```text
//! spec.json       what to run; written by the client, holds no secret
//! state.json      what is running; written by the supervisor
//! lock            held by the supervisor for as long as it lives
//! client.lock     held by whoever starts or stops
//! control         a named pipe: one byte asks the supervisor to stop
//! service.log     what the service says, and service.log.1 before that
//! supervisor.log  why the supervisor itself could not run
//! ```

mod account;
mod client;
mod dotenv;
mod error;
mod place;
mod rolling_log;
mod run;
mod service_process;

pub use account::{Account, Traces, account};
pub use client::{Launch, left_by, spawn, state, stop};
pub use dotenv::{ENV_BYTES_MAX, EnvFileError, InvalidEnvFile, parse_env, read_env_file};
pub use error::SupervisorError;
pub use place::{Phase, Place, Spec, SupervisorState};
pub use run::supervise;

/// Variable that marks a supervisor; its value is the supervisor's directory.
const SUPERVISOR_MARK: &str = "CUTOVER_SUPERVISOR";
/// Variable that marks every process of a service; its value is the supervisor's directory.
///
/// It finds those that outlived a supervisor that was killed.
const SERVICE_MARK: &str = "CUTOVER_SERVICE";
