//! What is live in a place, and what its releases share, as a deployment comes upon it.

use super::Finding;
use crate::host::{Layout, amiss, missing_files, obstacle, other_project, previous_release};
use crate::service::Service;
use cutover_core::config::HostConfig;
use cutover_core::id::ProjectName;
use cutover_core::target::Failure;

/// Whatever of it is not as it should be; what cannot be looked at is told of as a place.
pub(super) fn examine(
    project: &ProjectName,
    config: &HostConfig,
    layout: &Layout,
    service: Option<&dyn Service>,
) -> Vec<Finding> {
    if obstacle(layout).is_some() {
        return Vec::new();
    }
    let state = service.and_then(|service| service.state().ok());
    let amiss = amiss(layout, state.as_ref()).map(|amiss| {
        let Failure { message, hint, .. } = amiss.failure;
        let fix = hint.unwrap_or_default();
        if amiss.refuses { Finding::failed("current", message, fix) } else { Finding::warning("current", message, fix) }
    });
    let previous = previous_release(layout).err();
    let previous = previous.map(|odd| Finding::failed("previous", odd.message, odd.hint.unwrap_or_default()));
    let foreign = other_project(layout, project);
    let foreign = foreign.map(|theirs| Finding::failed("deploy_to", theirs.message, theirs.hint.unwrap_or_default()));
    let missing = missing_files(layout, &config.linked_files)
        .map(|file| Finding::failed("shared", format!("linked file {} is missing", file.display()), "put it there"));
    amiss.into_iter().chain(previous).chain(foreign).chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use cutover_core::config::{Config, TargetConfig};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn config(deploy_to: &Path) -> HostConfig {
        let text = format!(
            "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"{}\"\nlinked_files = [\"conf/key\"]\n",
            deploy_to.display()
        );
        let TargetConfig::Host(host) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        host
    }

    fn seen(layout: &Layout) -> Vec<(Verdict, String, String)> {
        let found = examine(&ProjectName::new("shop").unwrap(), &config(layout.root()), layout, None);
        let root = layout.root().display().to_string();
        let plain = |text: String| text.replace(&root, "DIR");
        found.into_iter().map(|one| (one.verdict, plain(one.what), plain(one.fix.unwrap()))).collect()
    }

    #[test]
    fn what_a_deployment_would_be_refused_for_is_found_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let key = layout.shared().join("conf/key");
        fs::create_dir_all(key.parent().unwrap()).unwrap();

        let missing = seen(&layout);
        let what = "linked file DIR/shared/conf/key is missing".to_owned();
        assert_eq!(missing, [(Verdict::Failed, what, "put it there".to_owned())]);

        fs::write(key, "").unwrap();
        assert_eq!(seen(&layout), []);

        symlink("releases/r1", layout.current()).unwrap();
        let (verdict, what, _) = seen(&layout).remove(0);
        assert!(verdict == Verdict::Failed && what.contains("points to release r1, which is not there"), "{what}");

        let release = layout.releases().join("r1");
        fs::create_dir_all(&release).unwrap();
        let described = serde_json::json!({
            "version": 1, "id": "r1", "seq": 1, "state": "good", "artifact": "0".repeat(64), "commit": "", "project": "till",
            "deployment": "20260101T000000-0000", "by": "ann", "created_at": "2026-01-01T00:00:00Z", "bytes": 0
        });
        fs::write(release.join("release.json"), described.to_string()).unwrap();
        let (verdict, what, fix) = seen(&layout).remove(0);
        assert!(verdict == Verdict::Failed && what == "r1, live in DIR, is a release of project till", "{what}");
        assert!(fix.starts_with("give shop a deploy_to of its own"), "{fix}");

        fs::remove_file(layout.current()).unwrap();
        let (verdict, what, _) = seen(&layout).remove(0);
        assert!(verdict == Verdict::Warning && what.starts_with("DIR/current is missing, though"), "{what}");

        fs::create_dir(layout.previous()).unwrap();
        let (verdict, what, fix) = seen(&layout).remove(1);
        assert!(verdict == Verdict::Failed && what == "DIR/previous is a directory and no link", "{what}");
        assert_eq!(fix, "move it out of the way (`mv DIR/previous DIR/previous.was`)");
        fs::remove_dir(layout.previous()).unwrap();
        symlink("/", layout.previous()).unwrap();
        let (_, what, fix) = seen(&layout).remove(1);
        assert!(
            what.ends_with("it points to /, which is no release") && fix.starts_with("remove it (`rm DIR/previous`)")
        );
    }
}
