//! The keys of `[targets.NAME.host]`.

use super::command::{Command, FromCommand, OrCommand};
use super::kind::{ListOf, MapOf, Switch, Whole};
use super::names::{ModuleName, Text, Word};
use super::places::{OwnDirectory, ReleasePath};
use super::service::ServiceTable;
use super::table::table;
use super::units::{Limit, Size, Time};
use super::verify::ProbeTable;
use super::{HookConfig, HostConfig, MigrateConfig, PythonConfig, RunConfig, VerifyConfig};

/// How many good releases are kept: the live one, and one to go back to.
pub(super) type KeptReleases = Whole<u32, 2, 1_000>;
/// How many backups of an env file are kept.
pub(super) type EnvBackups = Whole<u32, 0, 1_000>;

table! {
    /// Releases on Linux hosts: a service in `releases/`.
    HostTable for HostConfig = HostConfig {
        /// Absolute directory that holds `releases/`, `current` and `shared/`.
        deploy_to: OwnDirectory, required;
        /// How many good releases to keep, the live one included.
        keep_releases: KeptReleases, default "3";
        /// Directories of `shared/` linked into every release.
        linked_dirs: ListOf<ReleasePath>, default "[]";
        /// Files of `shared/` linked into every release.
        linked_files: ListOf<ReleasePath>, default "[]";
        /// Links made inside a release: link to the release's file that it points to.
        config_links: MapOf<ReleasePath, ReleasePath>, default "{}";
        /// Path of the env file in a release; the file itself lies in `shared/`. Absent: none is written.
        env_file: ReleasePath, optional;
        /// How many backups of the env file are kept.
        env_backups: EnvBackups, default "5";
        /// Free space that must remain after the release is unpacked.
        disk_free_min_bytes as "disk_free_min": Size<0>, default "'100 MiB'";
        /// Free inodes that must remain.
        inodes_free_min: Whole<u64, 0, 1_000_000_000>, default "1000";
        /// Python dependencies and smoke imports.
        python: PythonTable, optional;
        /// Commands of your own.
        run: RunTable, default "{}";
        /// What runs the release. Absent: nothing is restarted.
        service: ServiceTable, optional;
        /// How health is observed.
        verify: VerifyTable, default "{}";
    }
    check super::checks::check_host,
}

table! {
    /// Python dependencies and smoke imports.
    PythonTable for PythonConfig = PythonConfig {
        /// Requirements file inside the release. Absent: no virtual environment is built.
        requirements: ReleasePath, optional;
        /// Directory of wheels inside the release: the install is then offline.
        wheels: ReleasePath, optional;
        /// Interpreter that builds the environment.
        interpreter: Word, default "'python3'";
        /// Modules that must import before the switch.
        smoke: ListOf<ModuleName>, default "[]";
        /// How long the install may take.
        install_timeout: Limit, default "'10m'";
        /// How long the smoke imports may take.
        smoke_timeout: Limit, default "'60s'";
    }
}

table! {
    /// Commands of your own, run in the release directory with the environment's variables.
    RunTable for RunConfig = RunConfig {
        /// Runs before the switch, after dependencies.
        install: OrCommand<HookTable>, optional;
        /// Runs just before the switch; a bare command cannot be taken back.
        migrate: OrCommand<MigrateTable>, optional;
        /// Runs after verification; its failure does not take the release back.
        after: OrCommand<HookTable>, optional;
    }
}

table! {
    /// A command and its time limit.
    HookTable for HookConfig = HookConfig {
        /// What to run: a line for `sh -c`, or a program and its arguments.
        command: Command, required;
        /// How long it may take.
        timeout: Limit, default "'10m'";
    }
}

impl FromCommand for HookTable {
    const KEY: &'static str = "command";
}

table! {
    /// Changes the database; irreversible unless `down` or `compatible` says otherwise.
    MigrateTable for MigrateConfig = MigrateConfig {
        /// Applies the migrations; must do nothing when there is nothing to do.
        up: Command, required;
        /// Takes them back.
        down: Command, optional;
        /// Whether the old release works with the new schema, so that nothing need be taken back.
        compatible: Switch, default "false";
        /// How long each of them may take.
        timeout: Limit, default "'10m'";
    }
}

impl FromCommand for MigrateTable {
    const KEY: &'static str = "up";
}

table! {
    /// How health is observed after the restart.
    VerifyTable for VerifyConfig = VerifyConfig {
        /// All probes must pass within this time after the restart.
        within: Limit, default "'60s'";
        /// Pause between attempts; the first ones come faster.
        interval: Limit, default "'500ms'";
        /// How long the service must stay healthy after that.
        soak: Time, default "'0s'";
        /// Texts in the log since the restart that mean failure.
        fatal: ListOf<Text>, default "[]";
        /// What is observed.
        probes: ListOf<ProbeTable>, default "[]";
    }
}
