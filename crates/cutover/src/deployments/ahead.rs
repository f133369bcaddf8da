//! Hosts whose clocks are ahead: what they say of the future would stay the newest for ever.

use cutover_targets::host::transaction::Ended;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How far ahead of this machine's clock a host's may be. Clocks that nobody sets go wrong by minutes; a zone that was taken
/// for another makes half a day.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What can have happened by now; and of what can't, a warning for each host.
pub(super) fn sift(all: &[Ended], now: Timestamp) -> (Vec<&Ended>, Vec<String>) {
    let (ahead, sound): (Vec<&Ended>, Vec<&Ended>) = all.iter().partition(|ended| is_ahead(ended, now));
    let mut hosts: BTreeMap<&str, Vec<&Ended>> = BTreeMap::new();
    for ended in ahead {
        hosts.entry(ended.plan.steps.first().map_or("a host", |step| &step.host)).or_default().push(ended);
    }
    (sound, hosts.into_iter().map(|(host, ended)| warning(host, &ended)).collect())
}

fn is_ahead(ended: &Ended, now: Timestamp) -> bool {
    let times = ended.records.iter().map(|record| record.at).chain([ended.plan.made_at]);
    times.max().is_some_and(|latest| latest.duration_since(now) > AHEAD_MAX)
}

fn warning(host: &str, ended: &[&Ended]) -> String {
    let first = ended.first().map(|ended| ended.plan.deployment.to_string()).unwrap_or_default();
    let what = match ended.len() {
        1 => format!("deployment {first}"),
        count => format!("{count} deployments, {first} among them"),
    };
    format!(
        "{host} says of {what} that it happens more than a day from now, and the history does not take it in; see whether the \
         clocks of {host} and of this machine are right"
    )
}
