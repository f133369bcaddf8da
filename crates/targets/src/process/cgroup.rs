//! Which processes belong to a systemd unit's control group.

use super::stat_of;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where systemd's hierarchy is mounted: version 2, hybrid, version 1.
const ROOTS: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
/// How deep groups inside of a unit's group are followed.
const DEPTH_MAX: usize = 16;

/// The living processes of a control group and the groups inside of it.
///
/// `path` is what `systemctl show -p ControlGroup` says: `/system.slice/app.service`.
pub fn cgroup_members(path: &str) -> BTreeSet<u32> {
    let relative = path.trim_start_matches('/');
    let mut members = BTreeSet::new();
    if relative.is_empty() || relative.split('/').any(|part| part == "..") {
        return members;
    }
    for root in ROOTS {
        collect(&Path::new(root).join(relative), DEPTH_MAX, &mut members);
    }
    members.retain(|pid| stat_of(*pid).is_some_and(|stat| !stat.is_dead()));
    members
}

fn collect(dir: &Path, depth: usize, members: &mut BTreeSet<u32>) {
    let Ok(text) = fs::read_to_string(dir.join("cgroup.procs")) else { return };
    members.extend(text.lines().filter_map(|line| line.trim().parse::<u32>().ok()));
    if depth == 0 {
        return;
    }
    for child in directories(dir) {
        collect(&child, depth - 1, members);
    }
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_inside_of_a_group_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("worker");
        fs::create_dir(&inner).unwrap();
        fs::write(dir.path().join("cgroup.procs"), "10\n11\n").unwrap();
        fs::write(inner.join("cgroup.procs"), "12\n").unwrap();

        let mut members = BTreeSet::new();
        collect(dir.path(), DEPTH_MAX, &mut members);

        assert_eq!(members, BTreeSet::from([10, 11, 12]));
    }

    #[test]
    fn a_unit_without_a_group_has_no_members() {
        assert!(cgroup_members("").is_empty());
        assert!(cgroup_members("/").is_empty());
        assert!(cgroup_members("/../..").is_empty());
    }
}
