//! Who else needs what setup made: units of other people's that run its program.

use super::place::TEXT_BYTES_MAX;
use cutover_disk::read_regular;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where people put units and drop-ins of their own (systemd.unit(5)).
const UNITS: [&str; 3] = ["/etc/systemd/system", "/etc/systemd/user", "/usr/local/lib/systemd/system"];
/// The most entries of one directory that are looked at.
const ENTRY_COUNT_MAX: usize = 10_000;

/// A unit, or a drop-in of one, that names this program and is not among those that are gone.
pub(super) fn unit_that_runs(program: &Path, gone: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    UNITS.iter().find_map(|directory| find(Path::new(directory), program, gone))
}

fn find(directory: &Path, program: &Path, gone: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let units = entries(directory);
    let dropped =
        units.iter().filter(|path| path.extension().is_some_and(|end| end == "d")).flat_map(|path| entries(path));
    let mut files = units.iter().cloned().chain(dropped).filter(|path| !gone.contains(path) && !path.is_dir());
    files.find(|file| names(file, program))
}

fn names(file: &Path, program: &Path) -> bool {
    // What cannot be read names nothing: nobody runs a unit that systemd cannot read either.
    let Ok(text) = read_regular(file, TEXT_BYTES_MAX) else { return false };
    let text = String::from_utf8_lossy(&text);
    let program = program.to_string_lossy();
    text.lines().any(|line| !line.trim_start().starts_with(['#', ';']) && line.contains(program.as_ref()))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(directory).into_iter().flatten().take(ENTRY_COUNT_MAX);
    let mut paths: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_or_a_drop_in_that_runs_the_program_is_found_unless_it_goes_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new("/usr/local/lib/cutover/shop-production/cutover");
        let runs = format!("[Service]\nExecStart={} agent exec -- ./serve\n", program.display());
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let found = |gone: &[&PathBuf]| find(folder.path(), program, &gone.iter().copied().cloned().collect());

        write("other.service", "[Service]\nExecStart=/usr/bin/other\n");
        write("said.service", &format!("# once: {}\n", program.display()));
        assert_eq!(found(&[]), None);
        let own = write("shop.service", &runs);
        assert_eq!(found(&[]).as_ref(), Some(&own));
        assert_eq!(found(&[&own]), None);
        let dropped = write("mine.service.d/start.conf", &runs);
        assert_eq!(found(&[&own]), Some(dropped));
    }
}
