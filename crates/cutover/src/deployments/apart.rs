//! Whether what is deployed to this machine has a place apart from the repository that it comes from.

use super::place::{Place, is_asked_from_elsewhere};
use crate::context::Project;
use crate::error::{CommandError, ErrorKind};
use cutover_targets::host::Obstacle;
use std::path::{Path, PathBuf};

/// What is wrong where a place on this machine is the repository, or one lies in the other: releases and the env file with its secrets
/// would be files of the project, and what removes a deployment would remove the project.
pub(crate) fn not_apart(project: &Project, place: &Place<'_>) -> Option<Obstacle> {
    if !place.is_here() || is_asked_from_elsewhere() {
        return None;
    }
    let repository = real(repository(&project.dir));
    let how = |deploy_to: &Path| {
        let deploy_to = real(deploy_to);
        match (deploy_to.starts_with(&repository), repository.starts_with(&deploy_to)) {
            (true, true) => Some("is"),
            (true, false) => Some("lies in"),
            (false, true) => Some("has in it"),
            (false, false) => None,
        }
    };
    let (deploy_to, how) = place.directories().into_iter().find_map(|deploy_to| Some((deploy_to, how(deploy_to)?)))?;
    let what = format!(
        "deploy_to {} {how} the repository {}: releases and the variables with their secrets would be among the project's files",
        deploy_to.display(),
        repository.display()
    );
    Some(Obstacle { what, fix: "deploy to a directory of its own, outside of the repository: \"/opt/app\"".to_owned() })
}

/// Refuses what would be deployed into the repository.
pub(super) fn assert_apart(project: &Project, places: &[Place<'_>]) -> Result<(), CommandError> {
    let Some(Obstacle { what, fix }) = places.iter().find_map(|place| not_apart(project, place)) else { return Ok(()) };
    Err(CommandError::new(ErrorKind::Config, what).state("nothing was changed").hint(fix))
}

/// The repository that a directory is in; itself where it is in none.
fn repository(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(dir)
}

/// Where a path leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let whole = there
        .and_then(|(above, real)| Some(real.components().chain(path.strip_prefix(above).ok()?.components()).collect()));
    whole.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::Config;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// What is wrong with deploying the project in `repo/app` there.
    fn told(root: &Path, deploy_to: &str, host: &str) -> Option<String> {
        let text = format!(
            "name = \"shop\"\n[targets.api.host]\ndeploy_to = \"{}\"\n[environments.p.hosts]\napi = [\"{host}\"]\n",
            root.join(deploy_to).display()
        );
        let (config, dir) = (Config::parse(&text).unwrap(), root.join("repo/app"));
        let project = Project { config, file: dir.join("cutover.toml"), dir, data_dir: root.join("data") };
        let (name, environment) = project.config.environments.first_key_value().unwrap();
        let place = Place::all(name, environment).unwrap().remove(0);
        not_apart(&project, &place)
            .map(|found| found.what.replace(&root.canonicalize().unwrap().display().to_string(), "DIR"))
    }

    #[test]
    fn a_place_on_this_machine_has_nothing_to_do_with_the_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("repo/app")).unwrap();
        fs::create_dir_all(root.join("repo/.git")).unwrap();
        symlink("repo", root.join("link")).unwrap();

        for apart in ["srv", "repository", "data/repo"] {
            assert_eq!(told(root, apart, "localhost"), None, "{apart}");
        }
        for (deploy_to, how) in [
            ("repo", "DIR/repo is the repository DIR/repo: "),
            ("repo/srv/new", "DIR/repo/srv/new lies in the repository DIR/repo: "),
            ("link/srv", "DIR/link/srv lies in the repository DIR/repo: "),
            ("", " has in it the repository DIR/repo: "),
        ] {
            let found = told(root, deploy_to, "localhost").unwrap_or_default();
            assert!(found.contains(how), "{deploy_to}: {found}");
        }
        assert_eq!(told(root, "repo", "deploy@web-1"), None, "on another machine it is another directory");
    }
}
