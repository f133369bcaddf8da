//! What client and agent say to each other, as JSON. How it travels is `cutover_targets::remote`'s business.

use super::order::Order;
use super::variables::Variables;
use cutover_core::config::HostConfig;
use cutover_core::id::{DeploymentId, TargetName};
use cutover_core::next::DeploymentOutcome;
use cutover_core::rollout::Gate;
use cutover_core::secret::Secret;
use cutover_targets::setup;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The client's first message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Letter {
    /// Something is to be changed.
    Change(Box<Change>),
    /// It is to be told what a deployment would change. Nothing is.
    Look(Look),
    /// A command is to be answered there.
    Question(Question),
    /// The host is to be prepared.
    Setup(Box<setup::Order>),
}

impl Letter {
    /// The targets that it is about; None where it is about none, or has the text of a config, which is checked when it is read.
    pub(super) fn targets(&self) -> Option<&BTreeMap<TargetName, HostConfig>> {
        match self {
            Self::Change(change) => Some(&change.order.targets),
            Self::Look(Look::Plan { order, .. } | Look::Back { order }) => Some(&order.targets),
            Self::Look(Look::Variables { targets, .. }) => Some(targets),
            Self::Setup(order) => Some(&order.wish.targets),
            Self::Question(_) => None,
        }
    }
}

/// A command that looks at an environment, and is answered where that is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The whole `cutover.toml`.
    pub(super) config: String,
    /// What the config calls the host: there it is this machine.
    pub(super) host: String,
    /// The command line without what is about places here.
    pub(super) args: Vec<String>,
    /// Who asks.
    pub(super) by: String,
}

/// An order and what comes behind it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// What is asked for.
    pub(super) order: Order,
    /// Whether the environment's variables follow; unknown is not the same as none.
    pub(super) has_variables: bool,
    /// Whether a manifest follows.
    pub(super) has_manifest: bool,
    /// Whether contents that the host probably lacks follow.
    pub(super) has_ahead: bool,
}

/// What is to be told of a deployment that nobody makes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// What it would do. The environment's variables follow, and the manifest.
    Plan {
        /// What would be asked for.
        order: Box<Order>,
        /// Whether to check besides all that can be checked beforehand.
        rehearse: bool,
    },
    /// Where a rollback would find the host, and to what it would go.
    Back {
        /// What would be asked for.
        order: Box<Order>,
    },
    /// Which variables would be different. The environment's variables follow.
    Variables {
        /// The environment's targets on the host.
        targets: BTreeMap<TargetName, HostConfig>,
        /// Which of the variables are secret.
        secret_names: BTreeSet<String>,
    },
}

/// The host waits at a gate.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AtGate {
    /// The gate.
    pub(super) gate: Gate,
    /// The artifact that it brings live.
    pub(super) artifact: String,
}

/// The host is still there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Present {
    /// The client's question, as it was put: when it was asked, by its own count of milliseconds.
    pub(super) asked_ms: u64,
    /// The gate at which the host waits.
    pub(super) gate: Option<Gate>,
}

/// The host knows of a deployment that is too large to be told of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Untold {
    /// Which.
    pub(super) deployment: DeploymentId,
}

/// The agent's last message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// How it ended; None when there was nothing to do.
    pub(super) outcome: Option<DeploymentOutcome>,
}

/// The variables as JSON, secrets in clear: for the connection only.
pub(super) fn pack_variables(variables: &BTreeMap<String, Secret>) -> Result<Vec<u8>, serde_json::Error> {
    let exposed: BTreeMap<&str, &str> = variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    serde_json::to_vec(&exposed)
}

/// The opposite of [`pack_variables`], told which are secret.
pub(super) fn unpack_variables(
    secret_names: &BTreeSet<String>,
    bytes: Option<&[u8]>,
) -> Result<Variables, serde_json::Error> {
    let values = bytes.map(serde_json::from_slice::<BTreeMap<String, String>>).transpose()?;
    let values = values.map(|values| values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect());
    Ok(Variables::received(secret_names.clone(), values))
}
