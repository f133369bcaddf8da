//! How long other services are waited for, and how often they are asked again.

use jiff::Timestamp;
use std::time::Duration;

/// The first pause after an answer that was none; each further one is twice as long.
pub const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is ever asked for.
pub const PAUSE_MAX: Duration = Duration::from_hours(24);

/// Time as the client lives in it.
pub trait Pace: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Lets so much time pass.
    fn sleep(&self, pause: Duration);
}

/// How much is borne.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long one request may take, until the last byte of its answer.
    pub request: Duration,
    /// How long all pauses and all requests may take together.
    pub total: Duration,
    /// How often one call is sent.
    pub attempt_count: u32,
}

impl Default for Patience {
    /// Enough for two pauses of a secondary limit.
    fn default() -> Self {
        Self { request: Duration::from_secs(20), total: Duration::from_secs(200), attempt_count: 6 }
    }
}

/// The pause before the attempt after this one, where nothing asks for another.
pub fn trouble_pause(attempt: u32) -> Duration {
    doubled(TROUBLE_PAUSE, attempt)
}

/// A pause that is twice as long at each further attempt, up to [`PAUSE_MAX`].
pub fn doubled(pause: Duration, attempt: u32) -> Duration {
    pause.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX)
}
