//! Moments as people read them.

use jiff::Timestamp;

/// A moment to the second, in UTC: `2026-01-02 03:04:05 UTC`, wherever one is told.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
