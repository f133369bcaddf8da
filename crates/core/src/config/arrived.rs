//! Paths and numbers of a config that came from another machine: they are held to what the text of a config is held to.

use super::host::{EnvBackups, KeptReleases};
use super::kind::TextKind;
use super::places::{OwnDirectory, ReleasePath};
use super::sink::Fault;
use serde::de::{Deserialize, Deserializer, Error};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An absolute directory.
pub(super) fn directory<'de, D: Deserializer<'de>>(input: D) -> Result<PathBuf, D::Error> {
    parsed::<OwnDirectory, D::Error>(&String::deserialize(input)?)
}

/// A path inside of a release, or none.
pub(super) fn path<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    Option::<String>::deserialize(input)?.as_deref().map(parsed::<ReleasePath, D::Error>).transpose()
}

/// Paths inside of a release.
pub(super) fn paths<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<PathBuf>, D::Error> {
    Vec::<String>::deserialize(input)?.iter().map(|text| parsed::<ReleasePath, D::Error>(text)).collect()
}

/// Links between paths inside of a release.
pub(super) fn links<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<PathBuf, PathBuf>, D::Error> {
    let inside = parsed::<ReleasePath, D::Error>;
    let links = BTreeMap::<String, String>::deserialize(input)?;
    links.iter().map(|(link, target)| Ok((inside(link)?, inside(target)?))).collect()
}

/// How many good releases are kept.
pub(super) fn kept_releases<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let number = u64::deserialize(input)?;
    KeptReleases::within(Some(number)).map_err(|fault| out_of_range("keep_releases", number, &fault))
}

/// How many backups of the env file are kept.
pub(super) fn env_backups<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let number = u64::deserialize(input)?;
    EnvBackups::within(Some(number)).map_err(|fault| out_of_range("env_backups", number, &fault))
}

fn out_of_range<E: Error>(key: &str, number: u64, fault: &Fault) -> E {
    E::custom(format_args!("{key} is {number}, and {}", fault.why))
}

fn parsed<K: TextKind<Out = PathBuf>, E: Error>(text: &str) -> Result<PathBuf, E> {
    K::parse(text).map_err(|Fault { why, .. }| E::custom(format_args!("path {text:?} {why}")))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, HostConfig, TargetConfig};

    #[test]
    fn a_number_that_no_config_could_have_is_refused_also_when_it_comes_from_another_machine() {
        let text = "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\n";
        let TargetConfig::Host(host) = Config::check(text).config.unwrap().targets.into_values().next().unwrap();
        let json = serde_json::to_string(&host).unwrap();
        for (key, usual, worse) in [
            ("keep_releases", 3, ["0", "1", "1001", "-1", "4294967299"]),
            ("env_backups", 5, ["1001", "-1", "1e9", "null", "\"5\""]),
        ] {
            for worse in worse {
                let changed = json.replace(&format!("\"{key}\":{usual}"), &format!("\"{key}\":{worse}"));
                assert!(changed != json && serde_json::from_str::<HostConfig>(&changed).is_err(), "{key} of {worse}");
            }
        }
    }

    #[test]
    fn a_path_that_leaves_its_place_is_refused_also_when_it_comes_from_another_machine() {
        let text = "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\nlinked_dirs = [\"a-dir\"]\n\
                    linked_files = [\"a-file\"]\nconfig_links = { a-link = \"a-target\" }\nenv_file = \"an-env\"\n\
                    [targets.app.host.python]\nrequirements = \"some-text\"\nwheels = \"the-wheels\"\n";
        let TargetConfig::Host(host) = Config::check(text).config.unwrap().targets.into_values().next().unwrap();
        let json = serde_json::to_string(&host).unwrap();

        assert_eq!(serde_json::from_str::<HostConfig>(&json).unwrap(), host);
        let inside = ["a-dir", "a-file", "a-link", "a-target", "an-env", "some-text", "the-wheels"];
        for (path, worse) in inside
            .map(|path| (path, ["../x", "/etc/x", "a/../../x"]))
            .into_iter()
            .flat_map(|(path, worse)| worse.map(|worse| (path, worse)))
        {
            let changed = json.replace(&format!("\"{path}\""), &format!("\"{worse}\""));
            assert!(changed != json && serde_json::from_str::<HostConfig>(&changed).is_err(), "{path} as {worse}");
        }
        for worse in ["/", "opt/shop", "/opt/../etc", "~/shop"] {
            assert!(serde_json::from_str::<HostConfig>(&json.replace("/opt/shop", worse)).is_err(), "{worse}");
        }
    }
}
