//! Places that are another's: two projects in one `deploy_to` would run each other's releases, with each other's secrets.

use super::parts::{Part, Wish};
use super::place::Place;
use super::receipt::{Claims, Receipt};
use crate::host::{Layout, RELEASE_FILE, Release, linked};
use cutover_core::target::Failure;
use std::path::Path;

/// Fails for a `deploy_to` that another environment was set up for, or in which a release of another project is live.
pub(super) fn check(wish: &Wish, receipt: &Receipt) -> Result<(), Failure> {
    for config in wish.targets.values() {
        let place = &config.deploy_to;
        if let Some(other) = receipt.others.iter().find(|claims| has(claims, place)) {
            return Err(Failure::new(format!("prepare the host: {} deploys to {}", other.title, place.display()))
                .hint("give each environment a deploy_to of its own, or set up the other one with --remove first"));
        }
        let foreign = live(place).and_then(|release| release.foreign(&Layout::new(place), &wish.project));
        if let Some(failure) = foreign {
            return Err(Failure { message: format!("prepare the host: {}", failure.message), ..failure });
        }
    }
    Ok(())
}

/// Whether an environment that is still set up has this place. One that was taken back may have left it for the data in it, and
/// has no file any more.
fn has(claims: &Claims, place: &Path) -> bool {
    let is_set_up = claims.made.iter().any(|made| matches!(made.part, Part::File { .. }));
    let is_place = |part: &Part| matches!(part, Part::Directory { path, .. } if path == place);
    is_set_up && claims.made.iter().any(|made| is_place(&made.part))
}

/// The live release of a place. Who may write there leads root nowhere else; what cannot be read says nothing.
fn live(deploy_to: &Path) -> Option<Release> {
    let layout = Layout::new(deploy_to);
    let id = linked(&layout.current()).ok()??;
    let text = Place::of(&layout.release(&id).join(RELEASE_FILE)).ok()??.text().ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::parts::FileKind;
    use super::super::plan::Made;
    use super::*;
    use cutover_core::config::{Config, TargetConfig};
    use cutover_core::id::EnvironmentName;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn wish(place: &Path) -> Wish {
        let text = format!("name = \"shop\"\n[targets.app.host]\ndeploy_to = \"{}\"\n", place.display());
        let config = Config::parse(&text).unwrap();
        let targets = config.targets.into_iter().map(|(name, TargetConfig::Host(host))| (name, host)).collect();
        let environment = EnvironmentName::new("production").unwrap();
        Wish { project: config.name, environment, user: "deploy".to_owned(), key: None, targets }
    }

    /// What is said where another environment has made these things.
    fn told(place: &Path, theirs: &[Part]) -> Option<Failure> {
        let mut claims = Claims::none("hello (production)");
        claims.made = theirs.iter().map(|part| Made { part: part.clone(), before: None }).collect();
        check(&wish(place), &Receipt::of(Claims::none("shop (production)"), vec![claims])).err()
    }

    /// Makes a release live there that is of this project.
    fn deploy(place: &Path, project: &str) {
        let release = place.join("releases/r1");
        fs::create_dir_all(&release).unwrap();
        let described = serde_json::json!({
            "version": 1, "id": "r1", "seq": 1, "state": "good", "artifact": "0".repeat(64), "commit": "",
            "deployment": "d1", "by": "ada", "created_at": "2026-01-01T00:00:00Z", "bytes": 0, "project": project,
        });
        fs::write(release.join(RELEASE_FILE), described.to_string()).unwrap();
        symlink("releases/r1", place.join("current")).unwrap();
    }

    #[test]
    fn a_place_that_another_environment_was_set_up_for_is_refused_whoever_owns_it() {
        let (dir, other) = (Path::new("/nowhere/hello"), Path::new("/nowhere/world"));
        let directory =
            |path: &Path| Part::Directory { path: path.to_owned(), owner: "deploy".to_owned(), mode: 0o755 };
        let (path, owner, text) = ("/etc/systemd/system/hello.service".into(), "root".to_owned(), String::new());
        let unit = Part::File { path, owner, mode: 0o644, text, kind: FileKind::Unit };

        let refused = told(dir, &[directory(dir), unit.clone()]).unwrap();

        assert!(refused.message.ends_with("hello (production) deploys to /nowhere/hello"), "{refused:?}");
        assert!(refused.hint.unwrap().contains("--remove"));
        assert_eq!(told(dir, &[directory(other), unit]), None);
        assert_eq!(told(dir, &[directory(dir)]), None, "it was taken back, and only its data stayed");
    }

    #[test]
    fn a_place_where_a_release_of_another_project_is_live_is_refused() {
        let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        deploy(own.path(), "shop");
        deploy(others.path(), "hello");

        let refused = told(others.path(), &[]).unwrap();

        assert!(refused.message.contains("prepare the host: r1, live in "), "{refused:?}");
        assert!(refused.message.ends_with("is a release of project hello"), "{refused:?}");
        assert_eq!(told(own.path(), &[]), None);
        // Given that whoever deploys there has put a link to some other file in its place.
        let release = others.path().join("releases/r1");
        fs::rename(release.join(RELEASE_FILE), others.path().join("elsewhere")).unwrap();
        symlink("../../elsewhere", release.join(RELEASE_FILE)).unwrap();
        assert_eq!(told(others.path(), &[]), None, "no link of theirs is followed");
    }
}
