//! Requirements files, read as pip reads them (`pip/_internal/req/req_file.py`): whatever an environment is made from
//! must be in its key, or a changed file would go live with the packages of the old one.

use crate::host::release::disk;
use cutover_core::target::Failure;
use cutover_disk::read_bounded;
use std::path::{Path, PathBuf};

/// The most files that one requirements file may pull in.
const FILE_COUNT_MAX: usize = 100;
/// How large a requirements file may be with all that it pulls in, in bytes.
const BYTES_MAX: usize = 4 << 20;

/// Options whose value is another requirements file.
const FILE_OPTIONS: [(&str, &str); 2] = [("-r", "--requirement"), ("-c", "--constraint")];
/// Options whose value is something to install, or a place to install from.
const PLACE_OPTIONS: [(&str, &str); 2] = [("-e", "--editable"), ("-f", "--find-links")];
/// How the names of packed packages end (`pip/_internal/utils/filetypes.py`).
const ARCHIVES: [&str; 5] = [".whl", ".zip", ".tar", ".tgz", ".tbz"];

/// Everything that a requirements file says, with the files that it names.
///
/// What installs files of the release itself, or names something that only pip could find, has the release's own path
/// in it: such a release gets an environment of its own.
pub(super) fn everything(release: &Path, requirements: &Path) -> Result<Vec<u8>, Failure> {
    let mut files = Files { release, seen: Vec::new(), text: Vec::new() };
    files.read(requirements)?;
    Ok(files.text)
}

struct Files<'a> {
    release: &'a Path,
    seen: Vec<PathBuf>,
    text: Vec<u8>,
}

impl Files<'_> {
    fn read(&mut self, file: &Path) -> Result<(), Failure> {
        let path = self.release.join(file);
        // Two files may include each other by ever longer ways.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.seen.contains(&real) {
            return Ok(());
        }
        if self.seen.len() >= FILE_COUNT_MAX {
            return Err(Failure::new(format!("read requirements: more than {FILE_COUNT_MAX} files")));
        }
        self.seen.push(real);
        let room = BYTES_MAX.saturating_sub(self.text.len());
        let content = read_bounded(&path, room as u64).map_err(disk)?;
        self.text.extend(&content);
        self.text.push(0);
        if content.contains(&0) {
            // UTF-16, which pip reads too.
            self.text.extend(self.release.as_os_str().as_encoded_bytes());
        }
        let content = String::from_utf8_lossy(&content);
        let directory = file.parent().unwrap_or(Path::new(""));
        lines(&content).iter().try_for_each(|line| self.follow(line, directory))
    }

    fn follow(&mut self, line: &str, directory: &Path) -> Result<(), Failure> {
        for need in needs(line) {
            match need {
                Need::File(name) => self.read(&directory.join(name))?,
                Need::OwnEnvironment => self.text.extend(self.release.as_os_str().as_encoded_bytes()),
            }
        }
        Ok(())
    }
}

/// What a line needs beyond what it says.
#[derive(Debug, PartialEq)]
enum Need<'a> {
    /// Another requirements file, relative to the one that names it.
    File(&'a str),
    /// Files of the release itself.
    OwnEnvironment,
}

/// The lines that count: joined where one ends in `\`, without comments.
fn lines(content: &str) -> Vec<String> {
    let content = content.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in content.split(['\n', '\r']) {
        // A comment ends what was to be continued, also when it ends in `\` itself.
        match line.strip_suffix('\\').filter(|_| !line.trim_start().starts_with('#')) {
            Some(part) => joined.push_str(part),
            None => {
                let separator = if line.starts_with('#') { " " } else { "" };
                lines.push(format!("{}{separator}{line}", std::mem::take(&mut joined)));
            }
        }
    }
    lines.push(joined);
    lines.iter().map(|line| without_comment(line).trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// A `#` begins a comment at the line's beginning or behind a blank; elsewhere it is part of a URL.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(begins).map_or(line, |(at, _)| &line[..at])
}

fn needs(line: &str) -> Vec<Need<'_>> {
    if !line.starts_with('-') {
        let requirement = line.find(" -").map_or(line, |at| &line[..at]);
        return if is_local(requirement) { vec![Need::OwnEnvironment] } else { Vec::new() };
    }
    let files = values(line, &FILE_OPTIONS).into_iter().filter_map(file_need);
    let places = values(line, &PLACE_OPTIONS).into_iter().filter(|place| !is_remote(place));
    files.chain(places.map(|_| Need::OwnEnvironment)).collect()
}

/// A file elsewhere is known by its address alone; one whose name pip makes up by itself not even by that.
fn file_need(name: &str) -> Option<Need<'_>> {
    let is_plain = !name.contains(['"', '\'']) && !name.contains("${") && !name.starts_with("file:");
    match (is_remote(name), is_plain) {
        (true, _) => None,
        (false, true) => Some(Need::File(name)),
        (false, false) => Some(Need::OwnEnvironment),
    }
}

/// The values of these options in a line: `-r name`, `-rname`, `--requirement name`, `--requirement=name`.
fn values<'l>(line: &'l str, options: &[(&str, &str)]) -> Vec<&'l str> {
    let mut words = line.split_whitespace();
    let mut values = Vec::new();
    while let Some(word) = words.next() {
        let attached = options.iter().find_map(|(short, long)| {
            let long = word.strip_prefix(long).filter(|rest| rest.is_empty() || rest.starts_with('='));
            long.or_else(|| word.strip_prefix(short))
        });
        match attached {
            Some("") => values.extend(words.next()),
            Some(value) => values.push(value.trim_start_matches('=')),
            None => {}
        }
    }
    values
}

/// Whether a requirement is a path, also without `./` before it: pip takes whatever has a `/` in it and is there.
fn is_local(requirement: &str) -> bool {
    let name = requirement.split([';', '[']).next().unwrap_or_default().trim();
    let is_archive = ARCHIVES.iter().any(|end| name.ends_with(end)) || name.contains(".tar.");
    !is_remote(requirement) && (name.starts_with('.') || name.contains(['/', '$']) || is_archive)
        || requirement.contains("file:")
}

fn is_remote(place: &str) -> bool {
    place.contains("://") && !place.contains("file:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the key is made from, for a release with these files.
    fn key(files: &[(&str, &str)]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let text = everything(folder.path(), Path::new(files[0].0)).map_err(|failure| failure.message)?;
        Ok(String::from_utf8_lossy(&text).replace(folder.path().to_str().unwrap(), "<release>"))
    }

    #[test]
    fn a_file_is_followed_however_pip_lets_it_be_named() {
        for line in [
            "-r base.txt",
            "-rbase.txt",
            "-r base.txt  # what everything needs",
            "--requirement base.txt",
            "--requirement=base.txt",
            "-c base.txt",
            "-cbase.txt",
            "--constraint=base.txt",
            "--no-index -r base.txt",
            "-r \\\n  base.txt",
            "flask\r\n-r base.txt\r\n",
            "\u{feff}-r base.txt",
            "# all of it:\\\n-r base.txt",
            "-r \\\r\n  base.txt",
            "-r base.txt\\\n# a comment of its own",
        ] {
            let text = key(&[("req/all.txt", line), ("req/base.txt", "flask==3.0")]);
            assert!(text.as_ref().is_ok_and(|text| text.contains("flask==3.0")), "{line:?}: {text:?}");
            assert!(!text.unwrap().contains("<release>"), "{line:?}");
        }
    }

    #[test]
    fn what_is_installed_from_the_release_itself_needs_an_environment_of_its_own() {
        for line in [
            ".",
            "./libs/foo",
            "libs/foo",
            "libs/foo[fast]",
            "/srv/wheels/foo.whl",
            "foo-1.0-py3-none-any.whl",
            "foo-1.0-py3-none-any.whl[fast]",
            "foo-1.0.whl; python_version < '3.12'",
            "foo @ file:libs",
            "${WHEEL}",
            "-r file:base.txt",
            "foo-1.0.tar.gz --hash=sha256:00",
            "foo @ file:///srv/foo",
            "-e libs/foo",
            "-elibs/foo",
            "--editable=.",
            "-f wheels",
            "--find-links=wheels/",
            "-r ${WHICH}.txt",
            "-r 'base file.txt'",
        ] {
            assert!(key(&[("all.txt", line)]).unwrap().contains("<release>"), "{line}");
        }
        let wide: String = "-r base.txt".chars().flat_map(|c| [c, '\0']).collect();
        assert!(key(&[("all.txt", &wide)]).unwrap().contains("<release>"), "UTF-16");
    }

    #[test]
    fn what_is_the_same_in_every_release_shares_its_environment() {
        for line in [
            "flask==3.0  # see ./docs/why.txt",
            "# -r gone.txt",
            "# ./gone",
            "flask>=3; python_version < '3.12'",
            "flask; platform_version == 'a/b'",
            "flask --hash=sha256:0a/b",
            "foo @ https://example.org/foo.whl",
            "git+https://${TOKEN}@example.org/foo.git#egg=foo",
            "-e git+https://example.org/foo.git#egg=foo",
            "-f https://example.org/wheels/",
            "-i https://${TOKEN}@example.org/simple",
            "-c https://example.org/constraints.txt",
            "--pre",
        ] {
            let text = key(&[("all.txt", line)]).unwrap();
            assert!(!text.contains("<release>"), "{line}: {text}");
            assert!(text.contains(line), "the line itself counts: {line}");
        }
    }

    #[test]
    fn a_file_may_have_a_hash_in_its_name() {
        let text = key(&[("all.txt", "-r base#1.txt"), ("base#1.txt", "flask==3.0")]);
        assert!(text.as_ref().is_ok_and(|text| text.contains("flask==3.0")), "{text:?}");
    }

    #[test]
    fn where_one_file_ends_and_the_next_begins_counts() {
        let of =
            |all: &str, base: &str| key(&[("all.txt", &format!("-r base.txt\n{all}")), ("base.txt", base)]).unwrap();
        assert_ne!(of("flask", "-login"), of("flask-login", ""));
    }

    #[test]
    fn more_files_than_anyone_has_are_refused() {
        let files: Vec<(String, String)> =
            (0..=FILE_COUNT_MAX).map(|n| (format!("{n}.txt"), format!("-r {}.txt", n + 1))).collect();
        let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let error = key(&files).unwrap_err();
        assert_eq!(error, format!("read requirements: more than {FILE_COUNT_MAX} files"));
        // Just as many are read.
        files.truncate(FILE_COUNT_MAX);
        files[FILE_COUNT_MAX - 1].1 = "flask==3.0";
        assert!(key(&files).unwrap().contains("flask==3.0"));
    }

    #[test]
    fn files_that_name_each_other_end() {
        let text = key(&[("a/one.txt", "-r ../b/two.txt"), ("b/two.txt", "-r ../a/one.txt\nflask")]).unwrap();
        assert!(text.contains("flask"), "{text}");
    }

    #[test]
    fn a_file_that_is_missing_or_too_large_is_named() {
        let error = key(&[("all.txt", "-r gone.txt")]).unwrap_err();
        assert!(error.contains("gone.txt"), "{error}");
        let large = "#".repeat(BYTES_MAX);
        let error = key(&[("all.txt", "-r large.txt"), ("large.txt", &large)]).unwrap_err();
        assert!(error.contains("large.txt: it has more than"), "{error}");
    }
}
