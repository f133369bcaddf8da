//! Packing real repositories.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Bed, bed, head, paths};
use cutover_artifacts::{ArtifactError, ArtifactStore, PackRequest, PackSource};
use cutover_core::artifact::{BlobSource, Digest, InvalidManifest, ManifestEntry, RelativePath};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

fn entry(digest_of: &[u8], executable: bool) -> ManifestEntry {
    ManifestEntry::File { digest: Digest::of(digest_of), bytes: digest_of.len() as u64, executable }
}

fn at(path: &str) -> RelativePath {
    RelativePath::new(path).unwrap()
}

#[test]
fn a_commit_is_packed_with_content_modes_and_links() {
    let bed = bed();
    bed.write("main.py", "print(1)\n");
    bed.write("bin/run", "#!/bin/sh\n");
    bed.make_executable("bin/run");
    bed.write("empty", "");
    bed.write("large", vec![7; 3 << 20]);
    symlink("../main.py", bed.repository.join("bin/main")).unwrap();
    let hash = bed.commit("First\n\nMore about it.");

    let artifact = bed.pack(&head()).unwrap();

    let entries = &artifact.manifest.entries;
    assert_eq!(paths(&artifact), ["bin/main", "bin/run", "empty", "large", "main.py"]);
    assert_eq!(entries[&at("main.py")], entry(b"print(1)\n", false));
    assert_eq!(entries[&at("bin/run")], entry(b"#!/bin/sh\n", true));
    assert_eq!(entries[&at("large")], entry(&vec![7; 3 << 20], false));
    assert_eq!(entries[&at("bin/main")], ManifestEntry::Symlink { target: "../main.py".into() });
    assert_eq!((&artifact.manifest.commit, artifact.manifest.dirty), (&hash, false));
    assert_eq!(artifact.id, artifact.manifest.id());
    let record = &artifact.record;
    assert_eq!((record.subject.as_str(), record.author.as_str()), ("First", "Ada <mail@example.org>"));
    assert_eq!((record.committed_at.as_second(), record.packed_at), (1_790_000_000, bed.now));
    assert_eq!((record.branch.as_deref(), record.file_count), (Some("main"), 5));
    assert_eq!(record.bytes, (3 << 20) + 9 + 10);
}

#[test]
fn the_content_of_every_file_can_be_read_back() {
    let bed = bed();
    for number in 0..300 {
        bed.write(&format!("d{}/f{number}", number % 7), format!("content {number}").repeat(number));
    }
    bed.commit("Many");
    let artifact = bed.pack(&head()).unwrap();
    let blobs = bed.store.blobs().unwrap();

    for (path, entry) in &artifact.manifest.entries {
        let ManifestEntry::File { digest, .. } = entry else { panic!("{path} is a file") };
        let mut content = Vec::new();
        blobs.open(digest).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content, fs::read(bed.repository.join(path)).unwrap(), "{path}");
        assert_eq!(fs::read(blobs.path(digest).unwrap()).unwrap(), content);
    }
    assert!(blobs.path(&Digest::of(b"never stored")).is_none());
}

#[test]
fn the_same_commit_has_the_same_id_from_any_store_clone_and_revision() {
    let bed = bed();
    bed.write("a", "a");
    bed.write("b/c", "c");
    let hash = bed.commit("First");
    bed.git(&["tag", "--annotate", "--message=release", "v1"]);
    let id = bed.pack(&head()).unwrap().id;

    let other = bed.other_store("other");
    for revision in ["main", "v1", &hash[..8], "HEAD^{commit}"] {
        let artifact = bed.pack_into(&other, &PackSource::Commit(revision.into())).unwrap();
        assert_eq!(artifact.id, id, "{revision}");
    }
    bed.git(&["gc", "--quiet"]);
    assert_eq!(bed.pack_into(&bed.other_store("packed"), &head()).unwrap().id, id);
}

#[test]
fn packing_again_costs_nothing_and_finds_damage() {
    let bed = bed();
    bed.write("a", "content of a");
    bed.commit("First");
    let first = bed.pack(&head()).unwrap();
    assert_eq!(bed.pack(&head()).unwrap(), first);

    let blob = bed.store.blobs().unwrap().path(&Digest::of(b"content of a")).unwrap();
    fs::remove_file(&blob).unwrap();
    assert_eq!(bed.pack(&head()).unwrap(), first);
    assert_eq!(fs::read(&blob).unwrap(), b"content of a", "a lost blob is packed anew");

    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "damaged!!!!!").unwrap();
    assert_eq!(bed.pack(&head()).unwrap(), first);
    assert_eq!(fs::read(&blob).unwrap(), b"content of a", "a damaged blob is packed anew");
}

#[test]
fn one_content_with_two_modes_is_packed_as_both() {
    let bed = bed();
    for path in ["plain", "run", "plain-too"] {
        bed.write(path, "same");
    }
    bed.make_executable("run");
    bed.commit("First");

    let artifact = bed.pack(&head()).unwrap();

    assert_eq!(artifact.manifest.entries[&at("plain")], entry(b"same", false));
    assert_eq!(artifact.manifest.entries[&at("run")], entry(b"same", true));
    assert_eq!(bed.blob_count(), 2);
}

#[test]
fn only_changed_files_become_new_blobs() {
    let bed = bed();
    for number in 0..200 {
        bed.write(&format!("f{number}"), format!("{number}"));
    }
    bed.commit("First");
    bed.pack(&head()).unwrap();
    let before = bed.blob_count();
    bed.write("f7", "changed");
    bed.commit("Second");

    let second = bed.pack(&head()).unwrap();

    assert_eq!(bed.blob_count(), before + 1);
    assert_eq!(bed.pack_into(&bed.other_store("cold"), &head()).unwrap().id, second.id);
}

#[test]
fn include_and_exclude_choose_the_paths() {
    let mut bed = bed();
    for path in ["README.md", "docs/a.md", "src/a.py", "src/a.pyc", "tests/t.py", ".github/ci.yml"] {
        bed.write(path, path);
    }
    bed.commit("First");
    bed.config.exclude = ["tests/**", "*.md", "**/*.pyc", ".github"].map(String::from).to_vec();
    assert_eq!(paths(&bed.pack(&head()).unwrap()), ["docs/a.md", "src/a.py"]);

    bed.config.include = vec!["src".into()];
    assert_eq!(paths(&bed.pack(&head()).unwrap()), ["src/a.py"]);
}

#[test]
fn uncommitted_changes_are_left_out_unless_asked_for() {
    let bed = bed();
    bed.write("kept", "committed");
    bed.write("deleted", "x");
    bed.write(".gitignore", "*.log\n");
    bed.commit("First");
    let committed = bed.pack(&head()).unwrap();
    assert_eq!(bed.pack(&PackSource::WorkTree).unwrap(), committed, "a clean work tree is its commit");

    bed.write("kept", "changed");
    bed.write("new/file", "new");
    bed.make_executable("new/file");
    bed.write("debug.log", "ignored");
    fs::remove_file(bed.repository.join("deleted")).unwrap();

    assert_eq!(bed.pack(&head()).unwrap().id, committed.id);
    let dirty = bed.pack(&PackSource::WorkTree).unwrap();
    assert!(dirty.manifest.dirty && dirty.record.dirty);
    assert_eq!(paths(&dirty), [".gitignore", "kept", "new/file"]);
    assert_eq!(dirty.manifest.entries[&at("kept")], entry(b"changed", false));
    assert_eq!(dirty.manifest.entries[&at("new/file")], entry(b"new", true));
    assert_eq!(dirty.manifest.commit, committed.manifest.commit);
}

#[test]
fn a_directory_that_became_a_link_is_not_followed_out_of_the_work_tree() {
    let bed = bed();
    bed.write("conf/secret", "harmless");
    bed.commit("First");
    let outside = bed.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "not ours").unwrap();
    fs::remove_dir_all(bed.repository.join("conf")).unwrap();
    symlink(&outside, bed.repository.join("conf")).unwrap();

    let result = bed.pack(&PackSource::WorkTree);

    assert!(matches!(result, Err(ArtifactError::Manifest(InvalidManifest::LinkEscapes { .. }))), "{result:?}");
    assert_eq!(bed.blob_count(), 0);
}

#[test]
fn what_an_artifact_cannot_hold_is_refused_with_its_path_and_a_hint_unless_excluded() {
    type Prepare = fn(&Bed);
    let cases: [(&str, Prepare); 6] = [
        ("release.json", |bed| bed.write("release.json", "{}")),
        ("lib/vendored", |bed| {
            let hash = bed.git(&["hash-object", "-w", "-t", "commit", "--literally", "/dev/null"]);
            bed.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{hash},lib/vendored")]);
        }),
        ("model.bin", |bed| {
            bed.write(
                "model.bin",
                format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "0".repeat(64)),
            );
        }),
        ("out", |bed| symlink("../../etc/passwd", bed.repository.join("out")).unwrap()),
        ("absolute", |bed| symlink("/etc/passwd", bed.repository.join("absolute")).unwrap()),
        ("caf\u{fffd}", |bed| {
            let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
            fs::write(bed.repository.join(name), "x").unwrap();
        }),
    ];
    for (path, prepare) in cases {
        let mut bed = bed();
        bed.write("good", "good");
        prepare(&bed);
        // A submodule is only in the index; adding all would take it out again.
        bed.git(&["add", if path == "lib/vendored" { "good" } else { "." }]);
        bed.git(&["commit", "--quiet", "--message=First"]);

        let error = bed.pack(&head()).unwrap_err();

        assert!(error.to_string().contains(path), "{path}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("exclude")), "{path}: {error:?}");
        bed.config.exclude = vec![if path.starts_with("caf") { "caf*".into() } else { path.into() }];
        assert_eq!(paths(&bed.pack(&head()).unwrap()), ["good"], "{path}");
    }
}

#[test]
fn special_files_in_a_work_tree_are_refused_without_waiting_for_them() {
    let bed = bed();
    bed.write("good", "good");
    bed.commit("First");
    // git itself does not list pipes, but replaces none that it tracks.
    fs::remove_file(bed.repository.join("good")).unwrap();
    assert!(Command::new("mkfifo").arg(bed.repository.join("good")).status().unwrap().success());

    let error = bed.pack(&PackSource::WorkTree).unwrap_err();

    assert!(matches!(&error, ArtifactError::SpecialFile(path) if path == "good"), "{error:?}");
}

#[test]
fn a_revision_cannot_be_an_option_or_anything_but_a_commit() {
    let bed = bed();
    bed.write("a", "a");
    bed.commit("First");
    let tree = bed.git(&["rev-parse", "HEAD^{tree}"]);
    let target = bed.dir.path().join("written");
    let option = format!("--output={}", target.display());
    for revision in ["", "missing", "-h", "--all", &option, &tree, "HEAD..main", "HEAD main", "a\0b", &"x".repeat(1000)]
    {
        let result = bed.pack(&PackSource::Commit(revision.into()));
        assert!(matches!(result, Err(ArtifactError::UnknownRevision(_))), "{revision}: {result:?}");
    }
    assert!(!target.exists());
}

#[test]
fn a_directory_that_is_no_repository_says_so() {
    let bed = bed();
    let request = PackRequest {
        repository: bed.dir.path(),
        project: &common::project(),
        source: &head(),
        config: &bed.config,
        builder: &bed.builder,
        now: bed.now,
        again: false,
    };
    let error = bed.store.pack(&request, &mut ()).unwrap_err();
    assert!(error.to_string().contains("not a git repository"), "{error}");
}

#[test]
fn a_tree_that_names_one_path_twice_is_refused() {
    let bed = bed();
    let blob = bed.git(&["hash-object", "-w", "--stdin"]);
    let mut tree = Vec::new();
    for _ in 0..2 {
        tree.extend(b"100644 twice\0");
        tree.extend((0..20).map(|at| u8::from_str_radix(&blob[at * 2..at * 2 + 2], 16).unwrap()));
    }
    let file = bed.dir.path().join("tree");
    fs::write(&file, tree).unwrap();
    let tree = bed.git(&["hash-object", "-w", "-t", "tree", "--literally", file.to_str().unwrap()]);
    let commit = bed.git(&["commit-tree", &tree, "-m", "Broken"]);

    let result = bed.pack(&PackSource::Commit(commit));

    assert!(matches!(&result, Err(ArtifactError::PathTwice(path)) if path == "twice"), "{result:?}");
}

#[test]
fn a_missing_object_is_an_error_and_leaves_no_artifact() {
    let bed = bed();
    bed.write("a", "content of a");
    let hash = bed.commit("First");
    let blob = bed.git(&["rev-parse", "HEAD:a"]);
    fs::remove_file(bed.repository.join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();

    let error = bed.pack(&PackSource::Commit(hash)).unwrap_err();

    assert!(error.to_string().contains(&blob), "{error}");
    assert!(bed.store.list().unwrap().is_empty());
}

#[test]
fn variables_that_git_sets_for_hooks_do_not_lead_elsewhere() {
    const ELSEWHERE: &str = "CUTOVER_TEST_ELSEWHERE";
    if std::env::var_os(ELSEWHERE).is_none() {
        // They must be set from the start, so this test runs once more in a process of its own.
        let other = bed();
        other.git(&["commit", "--quiet", "--allow-empty", "--message=Elsewhere"]);
        let git_dir = other.repository.join(".git");
        let name = "variables_that_git_sets_for_hooks_do_not_lead_elsewhere";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name]).env(ELSEWHERE, "1").env("GIT_DIR", &git_dir);
        command.env("GIT_INDEX_FILE", git_dir.join("index")).env("GIT_OBJECT_DIRECTORY", git_dir.join("objects"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let bed = bed();
    bed.write("a", "a");
    bed.commit("Here");
    assert_eq!(bed.pack(&head()).unwrap().record.subject, "Here");
    bed.write("b", "b");
    assert_eq!(paths(&bed.pack(&PackSource::WorkTree).unwrap()), ["a", "b"]);
}

#[test]
fn two_packers_and_a_damaged_cache_agree_on_the_id() {
    let bed = bed();
    for number in 0..300 {
        bed.write(&format!("f{number}"), format!("{number}"));
    }
    bed.commit("First");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let packers: Vec<_> = (0..4).map(|_| scope.spawn(|| bed.pack(&head()).unwrap().id)).collect();
        packers.into_iter().map(|packer| packer.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));

    let cache = bed.dir.path().join("artifacts/objects/sample");
    OpenOptions::new().append(true).open(&cache).unwrap().write_all(b"x").unwrap();
    bed.write("f0", "changed");
    bed.commit("Second");
    let id = bed.pack(&head()).unwrap().id;
    assert_eq!(bed.pack_into(&bed.other_store("cold"), &head()).unwrap().id, id);
}

#[test]
fn it_makes_no_difference_whether_git_has_packed_the_objects() {
    let bed = bed();
    for number in 0..200 {
        bed.write(&format!("f{number}"), format!("content {number}"));
    }
    bed.write("large", vec![7; 3 << 20]);
    symlink("f1", bed.repository.join("link")).unwrap();
    bed.commit("Loose");
    let loose = bed.pack(&head()).unwrap();

    bed.git(&["repack", "-a", "-d", "--quiet"]);
    let objects = |pattern: &str| bed.git(&["count-objects", "-v"]).contains(pattern);
    assert!(objects("count: 0\n"), "all are packed");
    let store = ArtifactStore::open(&bed.dir.path().join("another")).unwrap();
    let packed = common::Bed { store, ..bed }.pack(&head()).unwrap();

    assert_eq!(packed.manifest, loose.manifest);
}

#[test]
fn a_damaged_loose_object_is_told_in_the_words_of_git() {
    let bed = bed();
    bed.write("main.py", "print(1)\n");
    bed.commit("First");
    let oid = bed.git(&["rev-parse", "HEAD:main.py"]);
    let object = bed.repository.join(".git/objects").join(&oid[..2]).join(&oid[2..]);
    fs::remove_file(&object).unwrap();
    fs::write(&object, "no object").unwrap();

    let error = bed.pack(&head()).unwrap_err().to_string();

    assert!(error.contains("cat-file") && error.contains(&oid), "{error}");
}
