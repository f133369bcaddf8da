//! Which units are not what setup would write now. Anybody may read them, so that deployments can say it, too.

use super::account::own_account;
use super::foreign::KEEP;
use super::parts::{FileKind, Part, ROOT};
use super::place::TEXT_BYTES_MAX;
use super::unit::{MARK, titled};
use super::{ENV_EXEC, Wish};
use cutover_core::config::HostConfig;
use cutover_core::id::{EnvironmentName, ProjectName, TargetName};
use cutover_disk::read_bounded;
use std::path::{Path, PathBuf};

/// A unit that differs from what setup would write.
#[derive(Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Its name.
    pub unit: String,
    /// Whether its service would be given the variables of an env file that it does not read now.
    pub hides_variables: bool,
    /// Whose it is.
    pub author: Author,
}

/// Who wrote a unit.
#[derive(Debug, PartialEq, Eq)]
pub enum Author {
    /// A setup of this environment, which writes it anew.
    Own,
    /// A setup of another one, in the words of people. This one's would be refused.
    Other(String),
    /// No setup, and none replaces it.
    Nobody,
}

impl Outdated {
    /// What to do about it, with `ENV` for the environment.
    pub fn advice(&self) -> String {
        match &self.author {
            Author::Own => "`cutover setup ENV` writes it anew".to_owned(),
            Author::Other(title) => {
                format!(
                    "it is the unit of {title}: give `service.unit` another name, or set up the other one with --remove first"
                )
            }
            Author::Nobody => format!("no setup wrote it: {KEEP}"),
        }
    }
}

impl Author {
    /// Who wrote this unit, asked by somebody whose own are called so.
    fn of(unit: &str, title: &str) -> Self {
        if !unit.starts_with(MARK) {
            return Self::Nobody;
        }
        match titled(unit) {
            Some(theirs) if theirs != title => Self::Other(theirs),
            Some(_) | None => Self::Own,
        }
    }
}

/// The units of this machine that differ from what setup would write for these targets and for whoever asks, by name.
///
/// One that is not there, or cannot be read, is none of them: others tell of that. For root it does not matter whom a unit
/// runs as, for root may deploy for anybody.
pub fn outdated_units<'t>(
    project: &ProjectName,
    environment: &EnvironmentName,
    targets: impl IntoIterator<Item = (&'t TargetName, &'t HostConfig)>,
) -> Vec<Outdated> {
    let account = own_account();
    let (user, home) = account.map_or_else(|| (ROOT.to_owned(), PathBuf::from("/root")), |own| (own.name, own.home));
    let targets = targets.into_iter().map(|(name, config)| (name.clone(), config.clone())).collect();
    let wish = Wish { project: project.clone(), environment: environment.clone(), user, key: None, targets };
    let there = |path: &Path| String::from_utf8(read_bounded(path, TEXT_BYTES_MAX).ok()?).ok();
    differing(&wish, &home, &there)
}

fn differing(wish: &Wish, home: &Path, there: &dyn Fn(&Path) -> Option<String>) -> Vec<Outdated> {
    let is_anybody = wish.user == ROOT;
    let compared = |path: &Path, text: &str| {
        let there = there(path)?;
        let is_same = if is_anybody { nobodys(&there) == nobodys(text) } else { there == text };
        let unit = path.file_name()?.to_string_lossy().into_owned();
        let hides_variables = env_file(text).is_some() && env_file(&there) != env_file(text);
        let author = Author::of(&there, &wish.title());
        (!is_same).then_some(Outdated { unit, hides_variables, author })
    };
    let outdated = wish.parts(home).into_iter().filter_map(|part| match part {
        Part::File { path, text, kind: FileKind::Unit | FileKind::UserUnit, .. } => compared(&path, &text),
        Part::File { .. }
        | Part::User { .. }
        | Part::Member { .. }
        | Part::Directory { .. }
        | Part::Program { .. }
        | Part::Line { .. }
        | Part::Link { .. }
        | Part::Linger { .. } => None,
    });
    outdated.collect()
}

/// The env file that a unit of setup's has its service's variables from, as it stands there.
fn env_file(unit: &str) -> Option<&str> {
    let words = format!(" {} ", ENV_EXEC.join(" "));
    let start = unit.lines().find(|line| line.starts_with("ExecStart="))?;
    Some(start.split_once(&words)?.1.split_once(" -- ")?.0)
}

/// A unit without whom it runs as.
fn nobodys(unit: &str) -> Vec<&str> {
    unit.lines().filter(|line| !line.starts_with("User=")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::config::{Config, TargetConfig};
    use std::collections::BTreeMap;

    const HOME: &str = "/home/deploy";

    fn wish(user: &str, start: &str) -> Wish {
        let host = "[targets.app.host]\ndeploy_to = \"/opt/shop\"\n";
        let service = format!("service = {{ unit = \"shop.service\", start = \"{start}\" }}\n");
        let config = Config::parse(&format!("name = \"shop\"\n{host}{service}")).unwrap();
        let targets = config.targets.into_iter().map(|(name, TargetConfig::Host(host))| (name, host)).collect();
        let environment = EnvironmentName::new("production").unwrap();
        Wish { project: config.name, environment, user: user.to_owned(), key: None, targets }
    }

    /// What differs for a wish on a host that was set up for another one.
    fn found(set_up: &Wish, now: &Wish) -> Vec<String> {
        let files: BTreeMap<PathBuf, String> = set_up
            .parts(Path::new(HOME))
            .into_iter()
            .filter_map(|part| if let Part::File { path, text, .. } = part { Some((path, text)) } else { None })
            .collect();
        let outdated = differing(now, Path::new(HOME), &|path| files.get(path).cloned());
        outdated.into_iter().map(|one| one.unit + if one.hides_variables { " hides variables" } else { "" }).collect()
    }

    #[test]
    fn a_unit_is_outdated_when_setup_would_write_it_otherwise_now() {
        let (old, new) = (wish("deploy", "./serve"), wish("deploy", "./serve --fast"));
        assert_eq!(found(&old, &old), Vec::<String>::new());
        assert_eq!(found(&old, &new), ["shop.service"]);
        assert_eq!(found(&old, &wish("ada", "./serve")), ["shop.service", "cutover-shop-production.service"]);
        assert_eq!(found(&old, &wish(ROOT, "./serve")), Vec::<String>::new());
        assert_eq!(found(&old, &wish(ROOT, "./serve --fast")), ["shop.service"]);
        assert_eq!(differing(&new, Path::new(HOME), &|_| None), Vec::new());
    }

    #[test]
    fn a_unit_that_does_not_read_the_env_file_of_now_hides_variables() {
        let with = |env_file: Option<&str>| {
            let mut wish = wish("deploy", "./serve");
            wish.targets.values_mut().for_each(|config| config.env_file = env_file.map(PathBuf::from));
            wish
        };
        let hides = ["shop.service hides variables"];
        assert_eq!(found(&with(None), &with(Some(".env"))), hides);
        assert_eq!(found(&with(Some("old.env")), &with(Some(".env"))), hides);
        assert_eq!(found(&with(Some(".env")), &with(None)), ["shop.service"]);
        assert_eq!(found(&with(Some(".env")), &with(Some(".env"))), [""; 0]);
    }

    #[test]
    fn who_puts_a_unit_right_depends_on_whose_it_is() {
        let now = wish("deploy", "./serve --fast");
        let parts = wish("deploy", "./serve").parts(Path::new(HOME));
        let text = parts.into_iter().find_map(|part| match part {
            Part::File { text, kind: FileKind::Unit, .. } => Some(text),
            _ => None,
        });
        let text = text.unwrap();
        let advice = |there: &str| {
            let there = there.to_owned();
            let outdated =
                differing(&now, Path::new(HOME), &|path| path.ends_with("shop.service").then(|| there.clone()));
            outdated[0].advice()
        };
        assert_eq!(advice(&text), "`cutover setup ENV` writes it anew");
        let theirs = advice(&text.replace("of shop (production)", "of hello (production)"));
        assert!(theirs.starts_with("it is the unit of hello (production): "), "{theirs}");
        let foreign = advice("[Service]\nExecStart=/bin/true\n");
        assert!(foreign.starts_with("no setup wrote it") && !foreign.contains("cutover setup"), "{foreign}");
    }

    #[test]
    fn a_unit_of_an_earlier_version_that_follows_the_link_is_outdated() {
        let wish = wish(ROOT, "./serve");
        let earlier = |path: &Path| {
            let text = wish.parts(Path::new(HOME)).into_iter().find_map(|part| match part {
                Part::File { path: there, text, .. } if there == path => Some(text),
                _ => None,
            });
            Some(text?.replace("ConditionPathIsSymbolicLink=", "ConditionPathExists="))
        };
        let outdated = differing(&wish, Path::new(HOME), &earlier);
        assert_eq!(outdated.iter().map(|outdated| outdated.unit.as_str()).collect::<Vec<_>>(), ["shop.service"]);
    }
}
