//! Whether several hosts serve the same, from what each of them says.

use serde_json::Value;
use std::collections::BTreeMap;

/// Whether hosts have different commits live, by what their `status` tells of each. Releases of one commit may have different names on
/// different hosts. While a deployment is at work nothing is said: until it ends, hosts may well differ.
pub(super) fn differ(hosts: &[Value]) -> bool {
    let targets = || hosts.iter().filter_map(|host| host["targets"].as_array()).flatten();
    if targets().any(|target| !target["lock"].is_null()) {
        return false;
    }
    let mut live: BTreeMap<&str, &str> = BTreeMap::new();
    targets().any(|target| {
        let Some((name, code)) = target["name"].as_str().zip(code(&target["release"])) else { return false };
        *live.entry(name).or_insert(code) != code
    })
}

/// What names the code of a release: its commit, or its artifact where it has more or less than a commit. None where it cannot be read.
fn code(release: &Value) -> Option<&str> {
    let commit = release["commit"].as_str().filter(|commit| !commit.is_empty());
    commit.filter(|_| release["dirty"] != true).or_else(|| release["artifact"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(release: &Value) -> Value {
        json!({ "name": "production", "targets": [{ "name": "app", "release": release, "lock": null }] })
    }

    fn release(id: &str, commit: &str, artifact: &str) -> Value {
        json!({ "id": id, "commit": commit, "dirty": false, "artifact": artifact })
    }

    #[test]
    fn hosts_with_other_commits_differ_and_with_other_names_of_one_do_not() {
        let one = host(&release("r1", "c1", "a1"));
        assert!(differ(&[one.clone(), host(&release("r2", "c2", "a2"))]));
        assert!(!differ(&[one.clone(), host(&release("r2", "c1", "a2"))]));
        assert!(!differ(std::slice::from_ref(&one)));
        // Nothing is known of a release that cannot be read, or of a host where nothing is live.
        assert!(!differ(&[one, host(&json!({ "id": "r2" })), host(&Value::Null)]));
    }

    #[test]
    fn what_is_of_no_commit_alone_is_compared_by_its_content() {
        let dirty = |artifact: &str| {
            let mut release = release("r1", "c1", artifact);
            release["dirty"] = true.into();
            host(&release)
        };
        for [one, other] in
            [[dirty("a1"), dirty("a2")], ["a1", "a2"].map(|artifact| host(&release("r1", "", artifact)))]
        {
            assert!(differ(&[one.clone(), other]) && !differ(&[one.clone(), one]));
        }
    }

    #[test]
    fn another_target_is_another_thing() {
        let mut worker = host(&release("r2", "c2", "a2"));
        worker["targets"][0]["name"] = "worker".into();
        assert!(!differ(&[host(&release("r1", "c1", "a1")), worker]));
    }

    #[test]
    fn while_a_deployment_is_at_work_nothing_is_said() {
        let mut locked = host(&release("r2", "c2", "a2"));
        locked["targets"][0]["lock"] = json!({ "by": "ada" });
        assert!(!differ(&[host(&release("r1", "c1", "a1")), locked]));
    }
}
