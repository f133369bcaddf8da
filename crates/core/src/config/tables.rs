//! The keys of `cutover.toml` outside of a host: the file itself, artifact, ssh, environments.

use super::check::CheckTable;
use super::command::Command;
use super::environment::{EnvironmentParts, Overrides, Secrets};
use super::host::HostTable;
use super::host_keys::{HostKey, HostPlace};
use super::kind::{ListOf, MapOf, OneOrMore, Whole};
use super::names::{AnyText, Check, Environment, Project, Target, UserName, VariableName, Word};
use super::places::{GlobPattern, Host, Jumps, LocalFile, Url};
use super::release::{ProtectionTable, ReleaseTable};
use super::rollout::RolloutTable;
use super::sink::Sink;
use super::table::{Reader, table};
use super::units::{Limit, Time};
use super::workflows::WorkflowsTable;
use super::{
    ArtifactConfig, CheckConfig, HostConfig, ProtectionConfig, ReleaseConfig, SshConfig, TargetConfig, WorkflowsConfig,
};
use crate::id::{CheckName, EnvironmentName, ProjectName, TargetName};
use std::collections::BTreeMap;

/// The whole file, its environments not yet merged with their targets.
pub(super) struct FileParts {
    pub(super) name: ProjectName,
    pub(super) artifact: ArtifactConfig,
    pub(super) checks: BTreeMap<CheckName, CheckConfig>,
    pub(super) targets: BTreeMap<TargetName, TargetConfig>,
    pub(super) ssh: SshConfig,
    pub(super) environments: BTreeMap<EnvironmentName, EnvironmentParts>,
    pub(super) workflows: WorkflowsConfig,
    pub(super) release: Option<ReleaseConfig>,
    pub(super) protection: ProtectionConfig,
}

table! {
    /// The configuration of Cutover.
    FileTable for FileParts = FileParts {
        /// The project's name: letters, digits, `-`, `_` and `.`.
        name: Project, required;
        /// How a commit becomes an artifact.
        artifact: ArtifactTable, default "{}";
        /// Commands whose results judge a change, by name.
        checks: MapOf<Check, CheckTable>, default "{}";
        /// What serves a release, by name.
        targets: MapOf<Target, TargetTable>, default "{}";
        /// How the OpenSSH client is called.
        ssh: SshTable, default "{}";
        /// Where releases go, by name: production, staging, …
        environments: MapOf<Environment, EnvironmentTable>, default "{}";
        /// What a CI does.
        workflows: WorkflowsTable, default "{}";
        /// How what is live gets a version, a tag and a release at GitHub.
        release: ReleaseTable, optional;
        /// What changes to the branch of production must have passed.
        protection: ProtectionTable, default "{}";
    }
    check check_names,
}

/// Names that must be those of something else in the file.
fn check_names(file: &Reader<'_, '_>, sink: &mut Sink) {
    super::check::check_names(file, sink);
    super::workflows::check_environments(file, sink);
    super::release::check_environment(file, sink);
}

table! {
    /// How a commit becomes an artifact.
    ArtifactTable for ArtifactConfig = ArtifactConfig {
        /// Glob patterns of the files to take.
        include: ListOf<GlobPattern>, default "['**']";
        /// Glob patterns of the files to leave out; they win over `include`.
        exclude: ListOf<GlobPattern>, default "[]";
        /// A command that runs in a clean checkout before packing.
        build: Command, optional;
        /// How long the build may take.
        build_timeout: Limit, default "'15m'";
        /// How many artifacts are kept locally at most.
        keep: Whole<u32, 1, 10_000>, default "20";
        /// How long artifacts are kept locally.
        keep_for: Time, default "'30d'";
    }
}

/// The one kind of target that there is.
pub(super) struct TargetParts {
    host: Option<HostConfig>,
}

fn target(parts: TargetParts) -> Option<TargetConfig> {
    parts.host.map(TargetConfig::Host)
}

table! {
    /// What serves a release.
    TargetTable for TargetConfig = TargetParts {
        /// Releases on Linux hosts.
        host: HostTable, optional;
    }
    one_of ["host"],
    into target,
}

table! {
    /// How the user's own OpenSSH client is called.
    SshTable for SshConfig = SshConfig {
        /// Configuration file for `ssh -F`, relative to `cutover.toml`.
        config_file: LocalFile, optional;
        /// User on hosts that name none.
        user: UserName, optional;
        /// Port on hosts that name none.
        port: Whole<u16, 1, 65_535>, optional;
        /// Private key to use, and no other: relative to `cutover.toml`, or beginning with `~/`. The variable
        /// `CUTOVER_SSH_KEY` goes before it.
        identity: LocalFile, optional;
        /// Hosts to go through on the way, in order.
        jump: Jumps, default "[]";
        /// Public keys of hosts, by host: accepted besides those that your own `ssh` knows.
        host_keys: MapOf<HostPlace, OneOrMore<HostKey>>, default "{}";
    }
}

table! {
    /// Where releases go, and with which variables.
    EnvironmentTable for EnvironmentParts = EnvironmentParts {
        /// Branch that deploys here by itself.
        branch: Word, optional;
        /// Where people see what is deployed here: GitHub links to it.
        url: Url, optional;
        /// Plain variables.
        env: MapOf<VariableName, AnyText>, default "{}";
        /// Secret variables: their names, or a table of where each value comes from.
        secrets: Secrets, default "[]";
        /// Hosts by target; `localhost` is this machine.
        hosts: MapOf<Target, OneOrMore<Host>>, default "{}";
        /// How a release spreads over several hosts.
        rollout: RolloutTable, default "{}";
        /// Checks that a commit must have passed before it is deployed here.
        required_checks: OneOrMore<Check>, optional;
        /// What differs here from the targets above; merged key by key, lists are replaced.
        targets: Overrides, default "{}";
    }
    check super::environment::check_variables,
}
