//! What is in the way of a deployment that would come now.

use super::unfinished::Unfinished;
use crate::commands::words;
use cutover_core::id::EnvironmentName;
use cutover_targets::host::lock::{holder, maintenance};
use cutover_targets::host::{Layout, open_journals};
use jiff::Timestamp;

/// Locks of a place, and what was left there unfinished; a line for each. What cannot be read is told, too.
pub(super) fn in_the_way(layout: &Layout, environment: &EnvironmentName, now: Timestamp) -> Vec<String> {
    let maintenance = match maintenance(layout, now) {
        Ok(held) => held.map(|held| {
            let told = words::holder("maintenance lock by", &held, now);
            format!("{told}; until it ends a deployment is refused: `cutover lock {environment} release` ends it")
        }),
        Err(error) => Some(error.to_string()),
    };
    if let Some(held) = holder(layout) {
        // What is unfinished is what its holder is at.
        let told = words::holder("locked by", &held, now);
        let told = format!("{told}; a deployment that comes now is refused, or waits for its end with --wait");
        return maintenance.into_iter().chain([told]).collect();
    }
    let unfinished = open_journals(layout).into_iter().filter_map(|journal| Unfinished::read(&journal));
    maintenance.into_iter().chain(unfinished.map(|left| left.before_the_next(environment))).collect()
}
