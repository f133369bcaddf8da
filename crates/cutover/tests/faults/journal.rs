//! A journal that cannot be written: then nothing is done.

use crate::bed::Bed;
use crate::root::{Immutable, ReadOnly, is_root};
use std::fs;

/// Tries to deploy, and asserts that nothing was changed and that it is said why, what stands and what to do.
fn assert_nothing_done(bed: &Bed, words: &[&str]) {
    let before = bed.world();
    bed.commit();

    let ran = bed.deploy().concludes("error:").tells_of("journal cannot be begun");

    let told = ran.told();
    ran.says(words);
    assert_eq!(before.differences(&bed.world()), [""; 0], "{told}");
    assert_eq!((bed.current(), bed.serving()), (Some(1), Some(1)), "{told}");
}

/// Afterwards a deployment works.
fn assert_deploys(bed: &Bed) {
    let ran = bed.deploy().expect(0).concludes("✓ Deployed");
    assert_eq!(bed.current(), bed.serving(), "{}", ran.told());
    bed.assert_at_rest(&ran.told());
}

#[test]
fn a_file_in_the_place_of_the_journals_directory() {
    let bed = Bed::live();
    let open = bed.app().join(".cutover/journal/open");
    fs::remove_dir(&open).unwrap();
    fs::write(&open, "").unwrap();

    assert_nothing_done(&bed, &["journal/open"]);

    fs::remove_file(&open).unwrap();
    assert_deploys(&bed);
}

#[test]
fn an_immutable_directory_of_journals() {
    if !is_root("an_immutable_directory_of_journals") {
        return;
    }
    let bed = Bed::live();
    let Some(immutable) = Immutable::new(&bed.app().join(".cutover/journal/open")) else {
        eprintln!("skipped: this file system has no immutable files");
        return;
    };

    assert_nothing_done(&bed, &["journal/open", "not permitted", "must exist, be writable"]);

    drop(immutable);
    assert_deploys(&bed);
}

#[test]
fn a_directory_of_journals_that_can_only_be_read() {
    if !is_root("a_directory_of_journals_that_can_only_be_read") {
        return;
    }
    for place in [".cutover/journal", ".cutover", ""] {
        let bed = Bed::live();
        let read_only = ReadOnly::over(&bed.app().join(place));

        assert_nothing_done(&bed, &["Read-only file system", "writable"]);

        drop(read_only);
        assert_deploys(&bed);
    }
}

#[test]
fn a_deploy_to_that_cannot_be_made_is_told() {
    let mut bed = Bed::new();
    bed.commit();
    fs::remove_dir(bed.app()).unwrap();
    fs::write(bed.app(), "in the way").unwrap();
    let ran = bed.deploy().concludes("error:").tells_of("journal cannot be begun");
    ran.says(&["error: create "]);
    assert_eq!(fs::read_to_string(bed.app()).unwrap(), "in the way");
    bed.config.host.clear();
}
