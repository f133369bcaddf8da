//! `cutover demo`, as a newcomer runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A place for one test; whatever the demo left running there is ended with it.
struct Bed {
    dir: TempDir,
    path: String,
}

impl Bed {
    fn new() -> Self {
        let path = std::env::var("PATH").unwrap();
        Self { dir: tempfile::tempdir().unwrap(), path }
    }

    fn demo(&self) -> PathBuf {
        self.dir.path().join("demo")
    }

    fn cutover(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).env("CUTOVER_HOME", self.dir.path().join("home")).env("PATH", &self.path);
        command.env_remove("CI").current_dir(self.dir.path()).output().unwrap()
    }

    fn play(&self) -> Output {
        self.cutover(&["demo", "--dir", self.demo().to_str().unwrap()])
    }

    /// Processes that carry this bed's directory in their environment.
    fn processes(&self) -> Vec<PathBuf> {
        let wanted = self.demo();
        let wanted = wanted.to_str().unwrap();
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let marked = |path: &PathBuf| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| {
                let text = String::from_utf8_lossy(variable);
                text.starts_with("CUTOVER_S") && text.contains(wanted)
            })
        };
        all.filter(marked).collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.cutover(&["demo", "--clean"]);
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn get(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn three_versions_are_deployed_the_broken_one_goes_back_and_clean_leaves_nothing() {
    let bed = Bed::new();

    let played = bed.play();

    let told = text(&played);
    assert_eq!(played.status.code(), Some(0), "{told}");
    assert!(told.lines().count() < 40, "{told}");
    let url = told.lines().rev().find_map(|line| line.trim().strip_prefix("GET ")?.split(' ').next()).unwrap();
    assert!(get(url).contains("Good day, world!"), "{told}");
    assert!(get(&format!("{url}health")).contains("\"version\": \"2\""), "{told}");
    assert!(told.contains(bed.demo().to_str().unwrap()), "{told}");
    assert!(!bed.processes().is_empty());

    let cleaned = bed.cutover(&["demo", "--clean"]);

    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned));
    assert!(text(&cleaned).contains("no process of a demo is left running"), "{}", text(&cleaned));
    assert!(bed.processes().is_empty());
    assert!(!bed.demo().exists());
    let left = fs::read_dir(bed.dir.path().join("home/projects")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "its history is gone too");
}

#[test]
fn a_service_whose_folder_was_removed_by_hand_is_ended_too() {
    let bed = Bed::new();
    assert_eq!(bed.play().status.code(), Some(0));
    fs::remove_dir_all(bed.demo()).unwrap();
    assert!(!bed.processes().is_empty());

    let cleaned = bed.cutover(&["demo", "--clean"]);

    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned));
    assert!(bed.processes().is_empty());
}

#[test]
fn without_the_venv_module_it_says_so_and_works_all_the_same() {
    let mut bed = Bed::new();
    bed.path = tools(bed.dir.path(), Some("case \"$*\" in *ensurepip*|*venv*) exit 1;; esac\n"));

    let played = bed.play();

    assert_eq!(played.status.code(), Some(0), "{}", text(&played));
    assert!(text(&played).contains("no virtual environment is built"), "{}", text(&played));
}

#[test]
fn without_python_it_says_what_to_install_and_makes_nothing() {
    let mut bed = Bed::new();
    bed.path = tools(bed.dir.path(), None);

    let played = bed.play();

    assert_eq!(played.status.code(), Some(1), "{}", text(&played));
    assert!(text(&played).contains("apt-get install python3"), "{}", text(&played));
    assert!(!bed.demo().exists());
}

/// A directory as PATH with only the basic tools, and python3 only with these lines before it.
fn tools(dir: &Path, python: Option<&str>) -> String {
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["git", "sh", "env"] {
        std::os::unix::fs::symlink(which(tool), bin.join(tool)).unwrap();
    }
    if let Some(lines) = python {
        let script = bin.join("python3");
        fs::write(&script, format!("#!/bin/sh\n{lines}exec {} \"$@\"\n", which("python3").display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.to_str().unwrap().to_owned()
}

/// Where a program really lies; of Python the interpreter itself, not something that looks for it.
fn which(program: &str) -> PathBuf {
    if program == "python3" {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        return PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    }
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file()).unwrap()
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let bed = Bed::new();
    fs::create_dir(bed.demo()).unwrap();
    fs::write(bed.demo().join("thesis.txt"), "years of work").unwrap();

    let played = bed.play();

    assert_eq!(played.status.code(), Some(2), "{}", text(&played));
    bed.cutover(&["demo", "--clean"]);
    assert_eq!(fs::read_to_string(bed.demo().join("thesis.txt")).unwrap(), "years of work");
}
