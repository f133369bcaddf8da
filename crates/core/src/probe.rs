//! What a probe saw.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest excerpt of a body that is kept, in bytes.
pub const BODY_BYTES_MAX: usize = 512;

/// One observation of health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// The probe's name.
    pub name: String,
    /// Where it looked: a URL, an address, a command.
    pub endpoint: String,
    /// Whether it passed.
    pub healthy: bool,
    /// HTTP status or exit code.
    pub code: Option<i32>,
    /// How long the answer took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The beginning of the answer, masked, at most [`BODY_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What was wrong; empty when healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Process that answered, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How many attempts it took.
    pub attempt_count: u32,
    /// When it was made.
    pub at: Timestamp,
}
