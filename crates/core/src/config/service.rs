//! The keys of `[targets.NAME.host.service]`.

use super::command::Command;
use super::names::{Scope, UnitName};
use super::places::HostFile;
use super::sink::{Fault, Sink};
use super::table::{Reader, table};
use super::units::{Limit, Size};
use super::{CommandLine, ProcessConfig, ServiceConfig, SystemdScope};
use std::time::Duration;

/// The keys that say what kind of service it is: exactly one must be there.
pub(super) const SERVICE_CHOICES: [&str; 3] = ["unit", "command", "process"];
/// The keys that go with `unit` alone.
const UNIT_KEYS: [&str; 3] = ["scope", "timeout", "start"];

/// Every key of the table; [`service`] makes the chosen kind from it.
pub(super) struct ServiceParts {
    unit: Option<String>,
    scope: SystemdScope,
    timeout: Duration,
    start: Option<CommandLine>,
    command: Option<ServiceConfig>,
    process: Option<ProcessConfig>,
}

table! {
    /// What runs the release: a systemd unit, commands of your own, or Cutover's own supervisor.
    ServiceTable for ServiceConfig = ServiceParts {
        /// Systemd unit with its suffix.
        unit: UnitName, optional;
        /// Whose systemd runs the unit.
        scope: Scope, default "'system'";
        /// How long a stop or start of the unit may take.
        timeout: Limit, default "'90s'";
        /// What the unit runs in the release directory: `cutover setup` then writes the unit.
        start: Command, optional;
        /// Commands that run the service.
        command: CommandTable, optional;
        /// A command that Cutover's own supervisor keeps running.
        process: ProcessTable, optional;
    }
    one_of SERVICE_CHOICES,
    check check_unit_keys,
    into service,
}

fn check_unit_keys(reader: &Reader<'_, '_>, sink: &mut Sink) {
    let other = SERVICE_CHOICES.iter().find(|key| reader.get(key).is_some());
    let Some(other) = other.filter(|&&key| key != "unit") else { return };
    for key in UNIT_KEYS {
        let Some(span) = reader.key_span(key) else { continue };
        let why = format!("has `{key}`, which goes with `unit` only");
        sink.fault(span, "not used", Fault::hinted(why, format!("see the keys of `service.{other}`")));
    }
}

fn service(parts: ServiceParts) -> Option<ServiceConfig> {
    match (parts.unit, parts.command, parts.process) {
        (Some(unit), None, None) => {
            let ServiceParts { scope, timeout, start, .. } = parts;
            Some(ServiceConfig::Systemd { unit, scope, timeout, start })
        }
        (None, Some(command), None) => Some(command),
        (None, None, Some(process)) => Some(ServiceConfig::Process(process)),
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => None,
    }
}

table! {
    /// Commands that run the service.
    CommandTable for ServiceConfig = ServiceConfig::Command {
        /// Starts the service, or restarts it when it runs.
        restart: Command, required;
        /// Stops it; must succeed when it is stopped already.
        stop: Command, required;
        /// Exits with 0 when it runs.
        status: Command, required;
        /// File that holds the main process's id; relative paths are under `deploy_to`.
        pid_file: HostFile, optional;
        /// How long each of them may take.
        timeout: Limit, default "'90s'";
    }
}

table! {
    /// A command that Cutover's own supervisor keeps running.
    ProcessTable for ProcessConfig = ProcessConfig {
        /// What to run, in the release directory, with the env file's variables.
        command: Command, required;
        /// Time between TERM and KILL.
        stop_timeout: Limit, default "'10s'";
        /// First pause before a crashed process is started again; doubles up to `backoff_max`.
        backoff: Limit, default "'500ms'";
        /// Longest pause before a crashed process is started again.
        backoff_max: Limit, default "'30s'";
        /// Size at which the log is rotated; one old file is kept.
        log_max_bytes as "log_max": Size<4096>, default "'10 MiB'";
    }
}
