//! Packing what a build command makes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Bed, bed, files_beneath, head, paths, project};
use cutover_artifacts::{Artifact, ArtifactError, BuildError, PackObserver, PackRequest, PackSource};
use cutover_child::ChildError;
use cutover_core::artifact::{Digest, InvalidManifest};
use cutover_core::config::CommandLine;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    cancel_at: Option<&'static str>,
}

impl PackObserver for Seen {
    fn build_output(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        self.cancel_at.is_some_and(|line| self.lines.iter().any(|seen| seen == line))
    }
}

fn build(bed: &Bed, source: &PackSource, again: bool) -> (Result<Artifact, ArtifactError>, Vec<String>) {
    build_seen_by(bed, source, again, Seen::default())
}

fn build_seen_by(
    bed: &Bed,
    source: &PackSource,
    again: bool,
    mut seen: Seen,
) -> (Result<Artifact, ArtifactError>, Vec<String>) {
    let request = PackRequest {
        repository: &bed.repository,
        project: &project(),
        source,
        config: &bed.config,
        builder: &bed.builder,
        now: bed.now,
        again,
    };
    let result = bed.store.pack(&request, &mut seen);
    (result, seen.lines)
}

fn build_error(result: Result<Artifact, ArtifactError>) -> BuildError {
    match result {
        Err(ArtifactError::Build(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Waits until a process has ended: killing is not instant.
fn wait_until_gone(pid: &str) {
    let proc = Path::new("/proc").join(pid);
    let is_alive = || fs::read_to_string(proc.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive() {
        assert!(Instant::now() < deadline, "process {pid} still runs");
        std::thread::yield_now();
    }
}

#[test]
fn the_build_runs_in_a_clean_checkout_and_its_result_is_packed() {
    let mut bed = bed();
    bed.write("src/main.c", "int main;");
    bed.write("tool", "#!/bin/sh\necho built > out/app\n");
    bed.make_executable("tool");
    symlink("src", bed.repository.join("source")).unwrap();
    let hash = bed.commit("First");
    bed.write("untracked", "must not be there");
    bed.shell(
        "mkdir out && ./tool && ls && cat source/main.c && echo && echo to stderr >&2 && echo $CUTOVER_COMMIT > out/commit",
    );
    bed.config.exclude = vec!["tool".into()];

    let (result, lines) = build(&bed, &head(), false);

    let artifact = result.unwrap();
    assert_eq!(paths(&artifact), ["out/app", "out/commit", "source", "src/main.c"]);
    for line in ["int main;", "to stderr"] {
        assert!(lines.iter().any(|seen| seen == line), "{lines:?}");
    }
    assert!(!lines.contains(&"untracked".to_owned()));
    let commit_file = bed.store.blobs().unwrap();
    let path = cutover_core::artifact::BlobSource::path(&commit_file, &Digest::of(format!("{hash}\n").as_bytes()));
    assert!(path.is_some(), "CUTOVER_COMMIT is the commit");
    assert!(files_beneath(&bed.dir.path().join("artifacts/builds")).is_empty(), "the checkout is removed");
    assert_eq!(fs::read_dir(bed.dir.path().join("artifacts/builds")).unwrap().count(), 0);
}

#[test]
fn one_commit_is_built_once_unless_asked_again() {
    let mut bed = bed();
    bed.write("a", "a");
    bed.commit("First");
    bed.shell("echo built; date +%N > stamp");
    let (first, lines) = build(&bed, &head(), false);
    assert_eq!(lines, ["built"]);

    let (second, lines) = build(&bed, &head(), false);
    assert_eq!((second.unwrap().id, lines.len()), (first.unwrap().id, 0));

    let (_, lines) = build(&bed, &head(), true);
    assert_eq!(lines, ["built"]);
    bed.config.exclude = vec!["a".into()];
    let (_, lines) = build(&bed, &head(), false);
    assert_eq!(lines, ["built"], "another recipe is another artifact");
}

#[test]
fn a_build_of_the_work_tree_has_its_changes() {
    let mut bed = bed();
    bed.write("a", "committed");
    bed.write("gone", "x");
    bed.commit("First");
    bed.write("a", "changed");
    bed.write("new", "new");
    fs::remove_file(bed.repository.join("gone")).unwrap();
    bed.config.build = Some(CommandLine::Argv(["cp", "a", "copy"].map(String::from).to_vec()));

    let artifact = build(&bed, &PackSource::WorkTree, false).0.unwrap();

    assert_eq!(paths(&artifact), ["a", "copy", "new"]);
    assert!(artifact.manifest.dirty);
    assert_eq!(artifact.manifest.unpacked_bytes(), 7 + 7 + 3);
    assert!(!bed.repository.join("copy").exists(), "the work tree itself is left alone");
}

#[test]
fn a_build_that_does_not_end_with_0_is_a_failure() {
    for (line, expected) in [("exit 3", "exit code 3"), ("kill -9 $$", "killed by SIGKILL")] {
        let mut bed = bed();
        bed.commit("First");
        bed.shell(line);
        assert_eq!(build_error(build(&bed, &head(), false).0).to_string(), expected);
        assert!(bed.store.list().unwrap().is_empty());
    }
    let mut bed = bed();
    bed.commit("First");
    bed.config.build = Some(CommandLine::Argv(vec!["no-such-program-here".into()]));
    assert!(matches!(build_error(build(&bed, &head(), false).0), BuildError::Child(ChildError::Start { .. })));
}

#[test]
fn a_build_that_takes_too_long_is_killed_with_all_that_it_started() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("sleep 1000 & echo $!; wait");
    bed.config.build_timeout = Duration::from_millis(300);

    let (result, lines) = build(&bed, &head(), false);

    assert!(matches!(build_error(result), BuildError::Child(ChildError::TimedOut { .. })));
    wait_until_gone(&lines[0]);
}

#[test]
fn a_build_that_is_cancelled_is_killed_with_all_that_it_started() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("sleep 1000 & echo $!; echo ready; wait");
    let seen = Seen { cancel_at: Some("ready"), ..Seen::default() };

    let (result, lines) = build_seen_by(&bed, &head(), false, seen);

    assert!(matches!(build_error(result), BuildError::Child(ChildError::Cancelled)));
    wait_until_gone(&lines[0]);
}

#[test]
fn what_a_build_leaves_running_in_its_group_is_killed() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("sleep 1000 & echo $!");

    let (result, lines) = build(&bed, &head(), false);

    result.unwrap();
    wait_until_gone(&lines[0]);
}

#[test]
fn all_output_arrives_and_endless_lines_come_in_pieces() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("head -c 100000 /dev/zero | tr '\\0' x; echo; seq 1 5000; printf 'no newline'");

    let (result, lines) = build(&bed, &head(), false);

    result.unwrap();
    assert_eq!(lines.iter().filter(|line| line.starts_with('x')).map(String::len).sum::<usize>(), 100_000);
    assert!(lines.iter().all(|line| line.len() <= 16 << 10));
    assert_eq!(lines.last().unwrap(), "no newline");
    assert!(lines.contains(&"5000".to_owned()));
}

#[test]
fn a_build_sees_no_variables_but_the_few_it_needs() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("env; cat; pwd");
    // Cargo sets variables of its own for tests; none of them may arrive.
    assert!(std::env::vars_os().any(|(name, _)| name == "CARGO_MANIFEST_DIR"));

    let (result, lines) = build(&bed, &head(), false);

    result.unwrap();
    assert!(!lines.iter().any(|line| line.starts_with("CARGO_MANIFEST_DIR=")));
    for name in ["PATH=", "CUTOVER_COMMIT=", "SOURCE_DATE_EPOCH=1790000000"] {
        assert!(lines.iter().any(|line| line.starts_with(name)), "{name}");
    }
}

#[test]
fn what_a_build_makes_is_checked_like_a_commit() {
    type Expect = fn(&ArtifactError) -> bool;
    let links: Expect = |error| matches!(error, ArtifactError::Manifest(InvalidManifest::LinkEscapes { .. }));
    let cases: [(&str, Expect); 4] = [
        ("ln -s /bin/sh python", links),
        ("mkdir a && ln -s ../../x a/up", links),
        ("mkfifo pipe", |error| matches!(error, ArtifactError::SpecialFile(path) if path == "pipe")),
        ("echo > release.json", |error| matches!(error, ArtifactError::Manifest(InvalidManifest::Reserved(_)))),
    ];
    for (line, is_expected) in cases {
        let mut bed = bed();
        bed.commit("First");
        bed.shell(line);
        let error = build(&bed, &head(), false).0.unwrap_err();
        assert!(is_expected(&error), "{line}: {error:?}");
    }
}

#[test]
fn a_tree_that_hides_a_file_behind_a_link_writes_nothing_outside() {
    let mut bed = bed();
    let outside = bed.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    bed.write("dir/file", "evil");
    bed.commit("Before");
    let subtree = bed.git(&["rev-parse", "HEAD:dir"]);
    let target = bed.dir.path().join("target");
    fs::write(&target, outside.to_str().unwrap()).unwrap();
    let link = bed.git(&["hash-object", "-w", target.to_str().unwrap()]);
    let raw =
        |hex: &str| (0..20).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect::<Vec<_>>();
    let tree = [b"120000 dir\0".to_vec(), raw(&link), b"40000 dir\0".to_vec(), raw(&subtree)].concat();
    fs::write(&target, tree).unwrap();
    let tree = bed.git(&["hash-object", "-w", "-t", "tree", "--literally", target.to_str().unwrap()]);
    let commit = bed.git(&["commit-tree", &tree, "-m", "Evil"]);
    bed.shell("true");

    let result = build(&bed, &PackSource::Commit(commit), false).0;

    assert!(result.is_err(), "{result:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn how_an_artifact_was_packed_is_noted_when_it_is_and_not_by_whoever_finds_it_packed() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("echo run; echo 1 > built");
    bed.builder.run = Some("https://example.org/runs/1".into());
    let packed_at = bed.now;
    let artifact = build(&bed, &head(), false).0.unwrap();
    let first = bed.store.packing(&artifact.id).unwrap();
    assert_eq!((&first.build, &first.include, first.packed_at), (&bed.config.build, &bed.config.include, packed_at));
    assert_eq!(first.builder, bed.builder);

    // Given another run, later, which finds it packed.
    bed.builder.run = Some("https://example.org/runs/2".into());
    bed.now += jiff::SignedDuration::from_hours(2);
    let (found, lines) = build(&bed, &head(), false);
    assert_eq!((found.unwrap().id, lines.len()), (artifact.id, 0));
    assert_eq!(bed.store.packing(&artifact.id).unwrap(), first);

    // When it runs the build again, it is the one that packed.
    build(&bed, &head(), true).0.unwrap();
    let second = bed.store.packing(&artifact.id).unwrap();
    assert_eq!((second.builder.run, second.packed_at), (bed.builder.run, bed.now));
}

#[test]
fn what_was_packed_nobody_knows_how_is_packed_again() {
    let mut bed = bed();
    bed.commit("First");
    bed.shell("echo run; echo 1 > built");
    let artifact = build(&bed, &head(), false).0.unwrap();
    // What a crash leaves, and what earlier versions noted.
    let note = bed.dir.path().join("artifacts/packed").join(artifact.id.to_string());
    fs::write(&note, "").unwrap();
    assert_eq!(bed.store.packing(&artifact.id), None);

    let (again, lines) = build(&bed, &head(), false);

    assert_eq!((again.unwrap().id, lines), (artifact.id, vec!["run".to_owned()]));
    assert_eq!(bed.store.packing(&artifact.id).unwrap().build, bed.config.build);
}
