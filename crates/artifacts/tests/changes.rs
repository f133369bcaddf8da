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
    let lines: Vec<_> = found.lines.iter().map(|(path, lines)| (path.as_str(), lines.clone())).collect();
    assert_eq!(lines, [("kept.py", BTreeSet::from([2, 4, 5])), ("neu ä.py", BTreeSet::from([1, 2]))]);
}

#[test]
fn on_the_branch_itself_the_last_commit_is_compared_with_the_one_before() {
    let bed = bed();
    bed.write("a", "1\n");
    bed.commit("begin");
    bed.git(&["branch", "-M", "main"]);
    assert_eq!(paths(&found(&bed, None)), Vec::<&str>::new(), "there is none before the first one");
    bed.write("b", "1\n");
    bed.commit("more");

    let found = found(&bed, Some("main"));

    assert!(found.is_merged);
    assert_eq!(paths(&found), ["b"]);
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
        let found = changes(&bed.repository.join("dir"), None).unwrap().unwrap();
        assert_eq!(paths(&found), ["dir/a.py", "dir/b.py", "far.py"], "{key}");
        assert_eq!(found.lines["dir/b.py"], BTreeSet::from([1, 2]), "{key}");
        assert_eq!(found.lines["far.py"], BTreeSet::from([1, 4]), "{key}");
    }
}
