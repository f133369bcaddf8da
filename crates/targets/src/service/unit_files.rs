//! The files that say how a unit is run: itself and its drop-ins, where systemd looks for them.

use crate::setup::own_account;
use cutover_core::config::SystemdScope;
use jiff::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

/// Where units of the whole machine lie (systemd.unit(5)).
const SYSTEM_DIRS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
/// Where units lie that each user's own systemd has.
const USER_DIRS: [&str; 4] =
    ["/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
/// The most drop-ins of one directory that are looked at.
const DROP_IN_COUNT_MAX: usize = 100;

/// When the files of a unit were last changed; None where none is found.
pub(super) fn changed_at(unit: &str, scope: SystemdScope) -> Option<Timestamp> {
    newest(unit, &directories(scope))
}

fn directories(scope: SystemdScope) -> Vec<PathBuf> {
    match scope {
        SystemdScope::System => SYSTEM_DIRS.map(PathBuf::from).to_vec(),
        SystemdScope::User => {
            let own = own_account().map(|account| account.home.join(".config/systemd/user"));
            own.into_iter().chain(USER_DIRS.map(PathBuf::from)).collect()
        }
    }
}

/// The first unit file hides the others of its name; drop-ins of all directories count.
fn newest(unit: &str, directories: &[PathBuf]) -> Option<Timestamp> {
    let file = directories.iter().find_map(|directory| modified_at(&directory.join(unit)));
    let drop_ins = directories.iter().flat_map(|directory| drop_ins(&directory.join(format!("{unit}.d"))));
    file.into_iter().chain(drop_ins.filter_map(|path| modified_at(&path))).max()
}

fn drop_ins(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().take(DROP_IN_COUNT_MAX);
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
}

fn modified_at(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_unit_is_as_new_as_the_newest_of_what_says_how_it_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let write = |path: &str, seconds: u64| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(&path).unwrap().set_modified(at(seconds)).unwrap();
        };
        let found = || {
            let directories = ["etc", "lib"].map(|name| dir.path().join(name));
            newest("shop.service", &directories).map(|changed| changed.as_second())
        };
        assert_eq!(found(), None);
        write("etc/shop.service", 20);
        write("etc/till.service", 90);
        write("lib/shop.service", 80);
        assert_eq!(found(), Some(20), "the one that is hidden does not count");
        write("lib/shop.service.d/limits.conf", 30);
        write("etc/shop.service.d/limits.conf.old", 70);
        assert_eq!(found(), Some(30));
    }
}
