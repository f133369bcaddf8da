//! Large files that the host has something like.

use super::*;
use std::os::unix::fs::MetadataExt;

const MIB: usize = 1 << 20;

/// Text that repeats nowhere.
fn noise(seed: &str, length: usize) -> String {
    (0..)
        .flat_map(|number: u32| Digest::of(format!("{seed} {number}").as_bytes()).to_string().into_bytes())
        .take(length)
        .map(char::from)
        .collect()
}

/// A large file with something small beside it.
fn files(path: &str, text: String) -> Files {
    Files(BTreeMap::from([(path.to_owned(), text), ("small".to_owned(), "small".to_owned())]))
}

/// A percent of it is other than it was.
fn changed(text: &str) -> String {
    let length = text.len() / 200;
    let mut text = text.to_owned();
    text.replace_range(MIB..MIB + length, &noise("one", length));
    text.replace_range(2 * MIB..2 * MIB + length, &noise("other", length + 3));
    text
}

/// How many bytes the contents are on their way.
fn travelling(files: &Files, lacking: Lacking) -> usize {
    let sender = Sender::new(Vec::new());
    content::send(&sender, &files.manifest(), files, lacking).unwrap();
    sender.into_inner().len()
}

/// A host on which these files are live.
fn with(files: &Files, cancel: &'static Cancel) -> TempDir {
    let mut bed = Bed::start(cancel);
    bed.provide(files);
    let (outcomes, dir) = bed.end();
    assert_eq!(outcomes, [DeploymentOutcome::Deployed]);
    dir
}

#[test]
fn a_large_file_travels_as_what_changed_also_under_another_name() {
    static CANCEL: Cancel = Cancel::new();
    for name in ["lib/shop-1.jar", "lib/shop-2.jar"] {
        let old = files("lib/shop-1.jar", noise("old", 4 * MIB));
        let new = files(name, changed(&old.0["lib/shop-1.jar"]));
        let mut bed = Bed::start_in(with(&old, &CANCEL), &CANCEL);

        let lacking = bed.provide(&new);
        let bytes = travelling(&new, lacking.clone());
        let (outcomes, dir) = bed.end();

        assert_eq!(outcomes, [DeploymentOutcome::Deployed]);
        assert_eq!(lacking.contents.len(), 1);
        assert!(bytes < 2 * 4 * MIB / 100, "{bytes} bytes");
        assert!(fs::read_to_string(dir.path().join("site/current").join(name)).unwrap() == new.0[name]);
    }
}

#[test]
fn a_large_file_that_is_rebuilt_wrongly_is_not_kept() {
    static CANCEL: Cancel = Cancel::new();
    let old = files("large", noise("old", 4 * MIB));
    let new = files("large", changed(&old.0["large"]));
    let mut bed = Bed::start_in(with(&old, &CANCEL), &CANCEL);

    bed.ask(&new);
    let mut lacking = bed.lacking();
    // The client is told of other chunks than the host has.
    lacking.contents[0].chunks.rotate_left(1);
    content::send(&bed.to_agent, &new.manifest(), &new, lacking).unwrap();
    let (outcomes, dir) = bed.end();

    assert_eq!(outcomes, [DeploymentOutcome::Failed]);
    let live = fs::read_to_string(dir.path().join("site/current/large")).unwrap();
    assert!(live == old.0["large"]);
    assert_eq!(blobs(&dir), 2, "the old release's, and nothing that was begun");
}

#[test]
fn what_the_host_has_is_linked_and_cannot_be_written_through_a_release() {
    static CANCEL: Cancel = Cancel::new();
    let old = files("large", noise("old", MIB));
    let dir = with(&old, &CANCEL);
    let mut new = files("large", noise("old", MIB));
    new.0.insert("small".to_owned(), "other".to_owned());
    let before = fs::metadata(dir.path().join("site/current/large")).unwrap();
    let mut bed = Bed::start_in(dir, &CANCEL);

    let lacking = bed.provide(&new);
    let (_, dir) = bed.end();

    let after = fs::metadata(dir.path().join("site/current/large")).unwrap();
    assert_eq!(lacking.contents.len(), 1);
    assert_eq!((after.ino(), after.mode() & 0o7777), (before.ino(), 0o444));
}

#[test]
fn what_was_written_into_a_release_all_the_same_is_not_taken_for_what_it_was() {
    static CANCEL: Cancel = Cancel::new();
    let old = files("large", noise("old", MIB));
    let dir = with(&old, &CANCEL);
    let path = dir.path().join("site/current/large");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&path, noise("vandal", MIB)).unwrap();
    let mut new = files("large", noise("old", MIB));
    new.0.insert("small".to_owned(), "other".to_owned());
    let mut bed = Bed::start_in(dir, &CANCEL);

    let lacking = bed.provide(&new);
    let (outcomes, dir) = bed.end();

    assert_eq!((lacking.contents.len(), outcomes), (2, vec![DeploymentOutcome::Deployed]));
    assert!(fs::read_to_string(dir.path().join("site/current/large")).unwrap() == new.0["large"]);
}

/// How many files the host's store has.
fn blobs(dir: &TempDir) -> usize {
    let count = |dir: &std::path::Path| fs::read_dir(dir).unwrap().count();
    let fan_out = fs::read_dir(dir.path().join("site/.cutover/blobs")).unwrap();
    fan_out.map(|entry| count(&entry.unwrap().path())).sum()
}
