//! Who asks, and the names of their attempts.

use cutover_core::id::{DeploymentId, InvalidId};
use cutover_targets::setup::own_account;
use jiff::Timestamp;
use std::hash::{BuildHasher, Hasher};

/// The longest name of an asker in characters.
const ASKER_LENGTH_MAX: usize = 100;

/// A new deployment's id: the time, and eight random characters for those who begin in the same second.
///
/// Four were too few: among thousands of deployments that followed another within its second, one had the other's name.
pub(crate) fn deployment_id(now: Timestamp) -> Result<DeploymentId, InvalidId> {
    // The standard library's hasher is seeded at random for every process; the counterpart that matters
    // here is another process in the same second.
    let random = std::hash::RandomState::new().build_hasher().finish() & 0xffff_ffff;
    DeploymentId::new(format!("{}-{random:08x}", now.strftime("%Y%m%dT%H%M%S")))
}

/// Who asks: what CI says, else the user and the machine.
pub(crate) fn asker() -> String {
    let named = variable("CUTOVER_BY").or_else(|| variable("GITHUB_ACTOR"));
    let name = named.unwrap_or_else(|| {
        let user = own_name().unwrap_or_else(|| "unknown".to_owned());
        format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
    });
    name.chars().filter(|c| !c.is_control()).take(ASKER_LENGTH_MAX).collect()
}

/// Who asks on this machine, also through sudo; None where that is not known.
pub(crate) fn own_name() -> Option<String> {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(variable);
    named.or_else(|| own_account().map(|account| account.name))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_a_second() {
        let at = |second| Timestamp::from_second(second).unwrap();
        // With four characters, two of so many would be the same all but surely; with eight, once in ten thousand runs.
        let ids: Vec<_> = (0..1_000).map(|_| deployment_id(at(1_800_000_000)).unwrap()).collect();
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        assert!(deployment_id(at(1_800_000_001)).unwrap() > ids[0]);
    }
}
