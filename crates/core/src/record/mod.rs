//! What is remembered of a deployment: a summary made from its plan and journal, and nothing else.
//!
//! These are the shapes that `--json` prints and that the store keeps. Fields are only ever added
//! within a [`RECORD_VERSION`]; readers skip what they do not know.

mod artifact;
mod deployment;
mod incident;
mod release;
mod report;
mod row;
mod step;
mod summarize;
mod united;
mod worst;

pub use artifact::ArtifactRecord;
pub use deployment::{DeploymentRecord, FailureRecord, ProbeRecord, RECORD_VERSION, TargetRecord};
pub use incident::{Incident, closes, incident, incidents};
pub use release::{ReleaseRecord, ReleaseState};
pub use row::DeploymentRow;
pub use step::{StepRecord, StepState};
pub(crate) use summarize::elapsed_ms;
pub use summarize::summarize;
pub use united::{Part, gather, split, unite};
