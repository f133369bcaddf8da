//! `cutover doctor`: whether everything is there that deployments rely on, here and on each host.

mod artifacts;
mod here;
mod host;
mod tell;

pub(crate) use tell::section;

use crate::context::Context;
use crate::deployments::{Place, is_asked_from_elsewhere};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::side_by_side::side_by_side;
use clap::Args;
use cutover_core::id::EnvironmentName;
use cutover_targets::doctor::Finding;
use serde::{Deserialize, Serialize};

/// Check everything that deployments rely on
///
/// Looks at this machine (git, ssh, secrets, Cutover's own data, the artifact store, who signs) and at each host of the environments: whether it is reached and known, who deploys
/// there and what sudo lets them, disk and inodes, clock, Python, units, logs, ports, and what happens at boot. Says what
/// is not as it should be, and what to do about it. Changes nothing.
///
/// Ends with 0 when a deployment can begin, warnings or not; with 1 when something would make it fail; with 7 when a host
/// is not reached.
///
/// Examples:
///   cutover doctor                    # all environments
///   cutover doctor production         # one
///   cutover doctor production -v      # also what is well
///   cutover doctor --json             # for machines
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DoctorArgs {
    /// The environment; all of them when it is not named
    pub(crate) environment: Option<String>,
}

/// What was found at one place.
#[derive(Debug, Serialize, Deserialize)]
struct Ward {
    /// The environment; None for what is the same for all.
    environment: Option<EnvironmentName>,
    /// The host; None for this machine as the one that deploys.
    host: Option<String>,
    /// Whether it was reached.
    reached: bool,
    findings: Vec<Finding>,
}

impl DoctorArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let environments = match &self.environment {
            Some(name) => vec![context.environment(name)?],
            None => context.project()?.config.environments.iter().collect(),
        };
        if is_asked_from_elsewhere() {
            return host::answer(context, &environments);
        }
        let mut wards = vec![here::machine(context)?];
        for (name, environment) in environments {
            wards.push(here::environment(context, name, environment)?);
            let mut examined = Vec::new();
            let examine = |place: Place<'_>| host::examine(context, &place);
            side_by_side(Place::all(name, environment)?, examine, |ward| examined.push(ward));
            wards.extend(examined.into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        tell::tell(context, &wards)?;
        Ok(tell::exit(&wards))
    }
}
