//! How a release spreads over several hosts.

use super::kind::{Kind, Node, wrong_type};
use super::names::{Failing, Losing, Missing};
use super::sink::{Fault, Sink};
use super::table::table;
use super::units::{Limit, Time};
use super::{RolloutConfig, Share};
use serde_json::{Value, json};
use toml::de::DeValue;

/// The most hosts that a number can mean.
const COUNT_MAX: u64 = 1_000;
const EXPECTED: &str = "a number of hosts or a percentage";

/// Some of the hosts: `2` or `"25%"`.
pub(super) struct Part;

impl Kind for Part {
    type Out = Share;

    fn schema() -> Value {
        let count = json!({ "type": "integer", "minimum": 1, "maximum": COUNT_MAX, "examples": [1] });
        let percent = json!({ "type": "string", "pattern": "^([1-9][0-9]?|100)%$", "examples": ["25%"] });
        json!({ "anyOf": [count, percent] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<Share> {
        let decoded = match node.get_ref() {
            DeValue::Integer(integer) => count(u64::from_str_radix(integer.as_str(), integer.radix()).ok()),
            DeValue::String(text) => percent(text),
            _ => {
                wrong_type(node, EXPECTED, Some("write 1 or \"25%\"".to_owned()), sink);
                return None;
            }
        };
        decoded.map_err(|fault| sink.fault(node.span(), &format!("expected {EXPECTED}"), fault)).ok()
    }
}

fn count(number: Option<u64>) -> Result<Share, Fault> {
    let count = number.filter(|count| (1..=COUNT_MAX).contains(count)).and_then(|count| u32::try_from(count).ok());
    count.map(Share::Count).ok_or_else(|| Fault::new(format!("must be from 1 to {COUNT_MAX}, or a percentage")))
}

fn percent(text: &str) -> Result<Share, Fault> {
    let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let percent = digits.and_then(|digits| digits.parse().ok()).filter(|percent| (1..=100).contains(percent));
    percent.map(Share::Percent).ok_or_else(|| Fault::hinted("is not a percentage", "write 1 or \"25%\""))
}

table! {
    /// How a release spreads over several hosts. It is put together on all of them first; then they are switched in
    /// waves, and none of them is done before all of them are healthy.
    RolloutTable for RolloutConfig = RolloutConfig {
        /// How many hosts are switched first and must be healthy before any other: a number or a percentage.
        canary: Part, optional;
        /// How many hosts each further wave has: a number or a percentage.
        batch: Part, default "'100%'";
        /// How many hosts of a wave may be switched at the same time: a number or a percentage of all hosts.
        max_unavailable: Part, default "'100%'";
        /// How long to wait between two waves.
        pause: Time, default "'0s'";
        /// What becomes of the hosts that were switched before another one failed: `restore_all` or `keep`.
        on_failure: Failing, default "'restore_all'";
        /// What a host that was switched does by itself when the client that coordinates is gone: `restore` or `keep`.
        on_lost_coordinator: Losing, default "'restore'";
        /// For how long a host believes in a client that says nothing.
        lease: Limit, default "'30s'";
        /// What is done when hosts cannot be reached before anything is switched: `refuse` or `skip` them.
        on_unreachable: Missing, default "'refuse'";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_count_or_a_percentage_and_never_nobody() {
        assert_eq!([1, 2, 9].map(|count| Share::Count(count).of(4)), [1, 2, 4]);
        assert_eq!([1, 25, 26, 100].map(|percent| Share::Percent(percent).of(4)), [1, 1, 2, 4]);
        for text in ["0%", "101%", "+5%", "%", "5", "5 %", ""] {
            assert!(percent(text).is_err(), "{text:?}");
        }
        assert!(count(Some(0)).is_err() && count(Some(1001)).is_err() && count(None).is_err());
    }
}
