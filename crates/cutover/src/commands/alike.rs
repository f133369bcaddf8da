//! Whether several hosts serve the same, from what each of them says.

use std::collections::BTreeMap;

/// What stands before a host's live release, and what separates its commit from the rest.
const LIVE: &str = "live: ";
const SEPARATOR: &str = " · ";
/// What stands where a deployment is at work: until it ends, hosts may well differ.
const LOCKED: &str = "locked by ";

/// Whether hosts have different commits live, in the words of their `status`, each line with its host. Releases of one commit may have
/// different names on different hosts.
pub(super) fn differ(said: &str) -> bool {
    let mut live: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut target = BTreeMap::new();
    for (host, line) in said.lines().filter_map(|line| line.split_once(" | ")) {
        match line.strip_prefix("    ") {
            Some(line) if line.starts_with(LOCKED) => return false,
            Some(line) => {
                if let Some(commit) = line.strip_prefix(LIVE).and_then(commit) {
                    live.entry(target.get(host).copied().unwrap_or_default()).or_default().push(commit);
                }
            }
            None => {
                target.insert(host, line);
            }
        }
    }
    live.values().any(|commits| commits.windows(2).any(|pair| pair[0] != pair[1]))
}

/// The commit of `20261121101500-a1b2c3d · a1b2c3d Fix the cart · 3h ago`.
fn commit(release: &str) -> Option<&str> {
    Some(release.split_once(SEPARATOR)?.1.rsplit_once(SEPARATOR)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: &str, release: &str, commit: &str, more: &str) -> String {
        ["production", "  app in /opt/shop", &format!("    live: {release} · {commit} Fix · the cart · 3h ago"), more]
            .map(|line| format!("{host} | {line}\n"))
            .concat()
    }

    #[test]
    fn hosts_with_other_commits_differ_and_with_other_names_of_one_do_not() {
        let one = status("web-1 ", "r1", "a1b2c3d", "    before it: r0");
        assert!(differ(&(one.clone() + &status("web-10", "r2", "b1b2c3d", "    before it: r1"))));
        assert!(!differ(&(one.clone() + &status("web-10", "r2", "a1b2c3d", "    before it: r1"))));
        assert!(!differ(&one));
    }

    #[test]
    fn while_a_deployment_is_at_work_nothing_is_said() {
        let locked = status("web-2", "r2", "b1b2c3d", "    locked by ada since just now: deploy");
        assert!(!differ(&(status("web-1", "r1", "a1b2c3d", "") + &locked)));
    }
}
