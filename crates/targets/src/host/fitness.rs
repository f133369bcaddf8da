//! Whether an artifact has what a target's config asks of it: known from its manifest, before anything is written.

use cutover_core::artifact::{Manifest, ManifestEntry, RelativePath};
use cutover_core::config::HostConfig;
use std::path::Path;

/// What does not fit, each as a sentence for people.
pub(super) fn misfits(config: &HostConfig, manifest: &Manifest) -> Vec<String> {
    let place = Place { config, manifest };
    let python = config.python.iter();
    let wanted = python.flat_map(|python| python.requirements.iter().chain(&python.wheels));
    let absent = wanted.chain(config.config_links.values()).filter(|path| !place.may_have(path));
    let absent =
        absent.map(|path| format!("the artifact has no {}: is it committed, and not excluded?", path.display()));
    absent.chain(config.linked_dirs.iter().filter_map(|path| place.hides_file(path))).chain(place.blocked()).collect()
}

struct Place<'a> {
    config: &'a HostConfig,
    manifest: &'a Manifest,
}

impl Place<'_> {
    /// Whether a release may have this path: from the artifact, or by a link to what is not in it.
    fn may_have(&self, path: &Path) -> bool {
        let HostConfig { linked_dirs, linked_files, env_file, config_links, .. } = self.config;
        let mut links = linked_dirs.iter().chain(linked_files).chain(env_file).chain(config_links.keys());
        let is_below = |entry: &RelativePath| Path::new(entry.as_str()).starts_with(path);
        links.any(|link| path.starts_with(link))
            || self.manifest.entries.keys().any(is_below)
            // Where a link of the artifact leads is seen when it is there.
            || path.ancestors().skip(1).any(|above| matches!(self.entry(above), Some(ManifestEntry::Symlink { .. })))
    }

    /// A directory of `shared/` that would hide a file which is committed and surely wanted.
    fn hides_file(&self, path: &Path) -> Option<String> {
        let is_file = matches!(self.entry(path), Some(ManifestEntry::File { .. }));
        is_file.then(|| format!("linked_dirs has {0}, which is a file of the artifact", path.display()))
    }

    /// Links that have no place, because the artifact has a file where they need a directory.
    fn blocked(&self) -> impl Iterator<Item = String> {
        let HostConfig { linked_dirs, linked_files, env_file, config_links, .. } = self.config;
        let links = linked_dirs.iter().chain(linked_files).chain(env_file).chain(config_links.keys());
        links.filter_map(|link| {
            let is_file = |above: &&Path| matches!(self.entry(above), Some(ManifestEntry::File { .. }));
            let file = link.ancestors().skip(1).find(is_file)?;
            Some(format!("{} cannot be linked: {} is a file of the artifact", link.display(), file.display()))
        })
    }

    fn entry(&self, path: &Path) -> Option<&ManifestEntry> {
        let path = RelativePath::new(path.to_str()?).ok()?;
        self.manifest.entries.get(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::artifact::Digest;
    use cutover_core::config::{Config, TargetConfig};
    use cutover_core::id::TargetName;

    fn misfits_of(keys: &str, files: &[&str], links: &[&str]) -> Vec<String> {
        let text = format!("name = \"shop\"\n[targets.api.host]\ndeploy_to = \"/srv/shop\"\n{keys}\n");
        let config = Config::check(&text).config.unwrap_or_else(|| panic!("not sound: {text}"));
        let TargetConfig::Host(host) = &config.targets[&TargetName::new("api").unwrap()];
        let file = ManifestEntry::File { digest: Digest::of(b""), bytes: 0, executable: false };
        let link = ManifestEntry::Symlink { target: "elsewhere".to_owned() };
        let path = |path: &&str| RelativePath::new(*path).unwrap();
        let files = files.iter().map(|name| (path(name), file.clone()));
        let entries = files.chain(links.iter().map(|name| (path(name), link.clone()))).collect();
        let manifest = Manifest {
            version: Manifest::VERSION,
            project: "shop".to_owned(),
            commit: String::new(),
            dirty: false,
            entries,
        };
        misfits(host, &manifest)
    }

    #[test]
    fn what_the_artifact_has_fits() {
        let python = "python = { requirements = \"py/requirements.txt\", wheels = \"wheels\" }";
        assert_eq!(misfits_of(python, &["py/requirements.txt", "wheels/a.whl"], &[]), [""; 0]);
        assert_eq!(misfits_of("config_links = { \"c.json\" = \"prod.json\" }", &["prod.json"], &[]), [""; 0]);
        assert_eq!(misfits_of("linked_dirs = [\"data\"]", &["data/keep", "app.py"], &[]), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_told_by_its_path() {
        let python = "python = { requirements = \"reqs.txt\", wheels = \"wheels\" }";
        assert_eq!(
            misfits_of(python, &["requirements.txt"], &[]),
            ["reqs.txt", "wheels"]
                .map(|path| format!("the artifact has no {path}: is it committed, and not excluded?"))
        );
        assert_eq!(misfits_of("config_links = { \"c.json\" = \"prod.json\" }", &["c.json"], &[]).len(), 1);
    }

    #[test]
    fn what_comes_by_a_link_may_be_there() {
        let shared = "linked_dirs = [\"conf\"]\nconfig_links = { \"c.json\" = \"conf/prod.json\" }";
        assert_eq!(misfits_of(shared, &[], &[]), [""; 0]);
        let python = "python = { requirements = \"deps/requirements.txt\" }";
        assert_eq!(misfits_of(python, &[], &["deps"]), [""; 0]);
    }

    #[test]
    fn a_file_where_a_directory_would_be_linked_is_told() {
        assert_eq!(
            misfits_of("linked_dirs = [\"app.py\"]", &["app.py"], &[]),
            ["linked_dirs has app.py, which is a file of the artifact"]
        );
        assert_eq!(
            misfits_of("linked_files = [\"app.py/key\"]", &["app.py"], &[]),
            ["app.py/key cannot be linked: app.py is a file of the artifact"]
        );
        assert_eq!(misfits_of("linked_dirs = [\"data\"]", &[], &["data"]), [""; 0], "a link makes way, with a warning");
    }
}
