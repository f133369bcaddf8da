//! What a change touches, seen from the branch that it shall be merged into.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Bed, bed};
use cutover_artifacts::{ArtifactError, Changes, changes};
use std::collections::BTreeSet;

fn found(bed: &Bed, base: Option<&str>) -> Changes {
    changes(&bed.repository, base).unwrap().expect("there is nothing to compare with")
}

fn paths(found: &Changes) -> Vec<&str> {
    found.paths.iter().map(String::as_str).collect()
}

#[test]
fn a_branch_differs_by_commits_by_what_is_not_committed_and_by_new_files() {
    let bed = bed();
    bed.write(".gitignore", "*.log\n");
    bed.write("kept.py", "1\n2\n3\n");
    bed.write("gone.py", "x\n");
    bed.commit("begin");
    bed.git(&["branch", "-M", "main"]);
    bed.git(&["switch", "--quiet", "--create", "feature"]);
    bed.write("kept.py", "1\ntwo\n3\nfour\n");
    bed.git(&["rm", "--quiet", "gone.py"]);
    bed.commit("work");
    // What happens on the other branch meanwhile is no change of this one.
    bed.git(&["switch", "--quiet", "main"]);
    bed.write("other.py", "x\n");
    bed.commit("elsewhere");
    bed.git(&["switch", "--quiet", "feature"]);
    bed.write("kept.py", "1\ntwo\n3\nfour\nfive");
    bed.write("neu ä.py", "a\nb");
    bed.write("noise.log", "x\n");

    let found = found(&bed, None);

    assert_eq!((found.base.as_str(), found.is_merged), ("main", false));
    assert_eq!(paths(&found), ["gone.py", "kept.py", "neu ä.py"]);
    let lines = found.lines.unwrap();
    let lines: Vec<_> = lines.iter().map(|(path, lines)| (path.as_str(), lines.clone())).collect();
    assert_eq!(lines, [("kept.py", BTreeSet::from([2, 4, 5])), ("neu ä.py", BTreeSet::from([1, 2]))]);
}

#[test]
fn on_the_branch_itself_the_last_commit_is_compared_with_the_one_before() {
    let bed = bed();
    bed.write("a", "1\n");
    bed.commit("begin");
    bed.git(&["branch", "-M", "main"]);
    assert_eq!(paths(&found(&bed, None)), ["a"], "before the first one there is nothing");
    bed.write("b", "1\n");
    bed.commit("more");

    bed.write("c", "1\n");

    let last = found(&bed, None);
    assert!(last.is_merged);
    assert_eq!(paths(&last), ["b", "c"]);
    // Whoever names a base gets what differs from it.
    let named = found(&bed, Some("HEAD"));
    assert_eq!((paths(&named), named.is_merged), (vec!["c"], false));
}

#[test]
fn where_there_is_nothing_to_compare_with_it_is_said_so() {
    let bed = bed();
    bed.write("a", "1\n");
    bed.commit("begin");
    bed.git(&["branch", "-M", "trunk"]);
    assert_eq!(changes(&bed.repository, None).unwrap(), None);
    assert!(
        matches!(changes(&bed.repository, Some("main")), Err(ArtifactError::UnknownRevision(name)) if name == "main")
    );
    bed.git(&["switch", "--quiet", "--orphan", "apart"]);
    bed.commit("apart");
    assert!(
        matches!(changes(&bed.repository, Some("trunk")), Err(ArtifactError::NothingInCommon(name)) if name == "trunk")
    );
}

#[test]
fn what_a_user_configured_for_their_eyes_changes_nothing() {
    let bed = bed();
    bed.write("dir/a.py", "1\n");
    bed.write("far.py", "1\n2\n3\n4\n");
    bed.commit("begin");
    bed.git(&["branch", "-M", "main"]);
    bed.git(&["switch", "--quiet", "--create", "feature"]);
    bed.git(&["mv", "dir/a.py", "dir/b.py"]);
    bed.write("dir/b.py", "1\n2\n");
    bed.write("far.py", "one\n2\n3\nfour\n");
    bed.commit("move");
    for (key, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.renames", "copies"),
        ("diff.relative", "true"),
        ("color.diff", "always"),
        ("diff.external", "false"),
        ("diff.context", "3"),
        ("diff.interHunkContext", "9"),
    ] {
        bed.git(&["config", key, value]);
        let found = changes(&bed.repository, None).unwrap().unwrap();
        assert_eq!(paths(&found), ["dir/a.py", "dir/b.py", "far.py"], "{key}");
        let lines = found.lines.as_ref().unwrap();
        assert_eq!(lines["dir/b.py"], BTreeSet::from([1, 2]), "{key}");
        assert_eq!(lines["far.py"], BTreeSet::from([1, 4]), "{key}");
    }
}

#[test]
fn of_a_clone_without_its_past_it_is_not_known_what_changed() {
    let bed = bed();
    for version in ["1", "2"] {
        bed.write("a", version);
        bed.commit(version);
    }
    let (from, shallow) = (format!("file://{}", bed.repository.display()), bed.dir.path().join("shallow"));
    bed.git(&["clone", "--quiet", "--depth", "1", &from, shallow.to_str().unwrap()]);

    assert!(matches!(changes(&shallow, None), Err(ArtifactError::Shallow)));
}

#[test]
fn a_new_file_that_is_no_text_has_no_lines_and_an_endless_line_is_not_held() {
    let bed = bed();
    bed.write("a", "1\n");
    bed.commit("begin");
    bed.write("core", [&b"x\n\0"[..], &vec![b'\n'; 1000]].concat());
    // Sparse: it takes no room on the disk, and would take all of it in memory.
    let sparse = std::fs::File::create(bed.repository.join("sparse")).unwrap();
    sparse.set_len(64 << 30).unwrap();

    let found = found(&bed, Some("HEAD"));

    assert_eq!(paths(&found), ["core", "sparse"]);
    assert_eq!(found.lines.unwrap().len(), 0);
}
