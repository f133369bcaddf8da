//! Actions of others, played.

use super::git;
use super::job::{Machine, files};
use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// How many digits a commit's hash has.
const COMMIT_LENGTH: usize = 40;

impl Machine<'_> {
    /// Does what an action is known to do; whether it ended well.
    pub(super) fn play(&mut self, action: &str, step: &Value) -> bool {
        let (name, commit) = action.split_once('@').unwrap_or_else(|| panic!("{action} is not pinned"));
        let is_commit = commit.len() == COMMIT_LENGTH && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(is_commit, "{action} is pinned to a commit");
        let given = self.given(step);
        let text = |key: &str| given[key].as_str().unwrap_or_default();
        match name {
            "actions/checkout" => self.check_out(text("ref"), given["fetch-depth"] == 0, &given),
            "actions/cache" => self.bring_back(text("key"), text("restore-keys"), text("path")),
            "actions/upload-artifact" => self.upload(text("name"), text("path"), &given),
            "actions/download-artifact" => {
                let run = if text("run-id").is_empty() {
                    self.execution.number.to_string()
                } else {
                    text("run-id").to_owned()
                };
                self.download(&run, text("name"), text("path"))
            }
            unknown => panic!("the runner does not know {unknown}"),
        }
    }

    fn check_out(&mut self, reference: &str, whole: bool, given: &Value) -> bool {
        assert_eq!(given["persist-credentials"], false, "no token lies in the workspace");
        self.execution.runner.take_tags();
        let origin = format!("file://{}", self.execution.runner.origin().display());
        let event = &self.execution.event;
        let wanted = if reference.is_empty() { event.commit.as_str() } else { reference };
        let work = self.work();
        let mut steps: Vec<Vec<&str>> = vec![vec!["init", "--quiet"], vec!["remote", "add", "origin", &origin]];
        match whole {
            true => {
                let all = ["fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"];
                // The merge of a pull request is on no branch.
                let is_commit = wanted.len() == COMMIT_LENGTH;
                steps.push(all.into_iter().chain(is_commit.then_some(wanted)).collect());
            }
            false => steps.push(vec!["fetch", "--quiet", "--depth=1", "origin", wanted]),
        }
        let branch = format!("origin/{wanted}");
        let ended = steps.iter().all(|args| self.git_says(&work, args));
        let target = if whole { wanted } else { "FETCH_HEAD" };
        let checkout = ["checkout", "--quiet", "--detach", target];
        ended
            && (self.git_says(&work, &checkout) || self.git_says(&work, &["checkout", "--quiet", "--detach", &branch]))
    }

    fn git_says(&mut self, dir: &Path, args: &[&str]) -> bool {
        let output = git(dir).args(args).output().expect("git runs");
        self.say(&String::from_utf8_lossy(&output.stderr));
        output.status.success()
    }

    /// A digest of what the files of these patterns hold.
    pub(super) fn hash_files(&self, patterns: &[String]) -> String {
        let mut hasher = DefaultHasher::new();
        for pattern in patterns {
            assert!(!pattern.contains(['{', '}']), "`hashFiles` knows no braces: {pattern}");
            fs::read(self.work().join(pattern)).ok().hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    fn bring_back(&mut self, key: &str, prefix: &str, paths: &str) -> bool {
        let caches = self.execution.runner.dir.join("caches");
        let names =
            || fs::read_dir(&caches).into_iter().flatten().flatten().map(|entry| entry.file_name().into_string());
        let found = names().flatten().find(|name| name == key);
        let found = found.or_else(|| names().flatten().find(|name| !prefix.is_empty() && name.starts_with(prefix)));
        let places: Vec<PathBuf> = paths.lines().map(|path| self.place(path)).collect();
        for (number, place) in places.iter().enumerate() {
            let kept = found.as_ref().map(|name| caches.join(name).join(number.to_string()));
            kept.filter(|kept| kept.exists()).iter().for_each(|kept| copy(kept, place));
        }
        self.say(&format!("cache: {}\n", found.as_deref().unwrap_or("nothing")));
        if found.as_deref() != Some(key) {
            self.to_cache.push((key.to_owned(), places));
        }
        true
    }

    pub(super) fn keep_caches(&mut self) {
        for (key, places) in std::mem::take(&mut self.to_cache) {
            for (number, place) in places.iter().enumerate().filter(|(_, place)| place.exists()) {
                copy(place, &self.execution.runner.dir.join("caches").join(&key).join(number.to_string()));
            }
        }
    }

    fn artifact(&self, run: &str, name: &str) -> PathBuf {
        self.execution.runner.dir.join("artifacts").join(run).join(name)
    }

    fn upload(&mut self, name: &str, paths: &str, given: &Value) -> bool {
        assert!(given["retention-days"].is_u64(), "what is kept is kept for a time");
        let target = self.artifact(&self.execution.number.to_string(), name);
        let found: Vec<PathBuf> = paths.lines().flat_map(|path| matching(&self.place(path))).collect();
        // A single file lies at the top; of several paths the part that all have is left out.
        let top = match &found[..] {
            [] => return given["if-no-files-found"] != "error",
            [single] if single.is_file() => single.parent().unwrap_or(single).to_owned(),
            _ => common(&paths.lines().map(|path| self.place(path)).collect::<Vec<_>>()),
        };
        for path in found {
            let below = path.strip_prefix(&top).expect("all lies below");
            copy(&path, &target.join(below));
        }
        true
    }

    fn download(&mut self, run: &str, name: &str, path: &str) -> bool {
        let kept = self.artifact(run, name);
        if !kept.exists() {
            self.say(&format!("no artifact {name} of run {run}\n"));
            return false;
        }
        copy(&kept, &self.place(path));
        true
    }
}

/// The directory that all these paths lie beneath.
fn common(paths: &[PathBuf]) -> PathBuf {
    let mut above = paths.first().and_then(|first| first.parent()).map(Path::to_owned).unwrap_or_default();
    while !paths.iter().all(|path| path.starts_with(&above)) && above.pop() {}
    above
}

/// The paths that a path with at most one `*` for a whole name leads to.
fn matching(path: &Path) -> Vec<PathBuf> {
    let text = path.display().to_string();
    let Some((before, after)) = text.split_once("/*/") else {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    };
    let names = fs::read_dir(before).into_iter().flatten().flatten();
    names.map(|entry| entry.path().join(after)).filter(|path| path.exists()).collect()
}

/// Copies a file, or all below a directory.
fn copy(from: &Path, to: &Path) {
    let all = if from.is_dir() { files(from) } else { vec![from.to_owned()] };
    for file in all {
        let below = file.strip_prefix(from).expect("it was found there");
        let target = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
        fs::create_dir_all(target.parent().unwrap_or(to)).expect("a directory is made");
        fs::copy(&file, &target).expect("a file is copied");
    }
}
