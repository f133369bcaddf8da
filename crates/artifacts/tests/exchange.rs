//! Exporting and importing, also of what nobody should have exported.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use common::{Bed, bed, files_beneath, head, project};
use cutover_artifacts::{Artifact, ArtifactError, ArtifactStore, ImportError};
use cutover_core::artifact::{Digest, FILE_BYTES_MAX, MANIFEST_BYTES_MAX, Manifest, ManifestEntry, RelativePath};
use cutover_disk::BlobError;
use jiff::Timestamp;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const LIMIT: u64 = 1 << 30;

fn exported() -> (Bed, Artifact, Vec<u8>) {
    let bed = bed();
    bed.write("main.py", "print(1)\n".repeat(100));
    bed.write("lib/empty", "");
    bed.write("run", "print(1)\n".repeat(100));
    bed.make_executable("run");
    symlink("lib/empty", bed.repository.join("link")).unwrap();
    bed.commit("First");
    let artifact = bed.pack(&head()).unwrap();
    let mut file = Vec::new();
    bed.store.export(&artifact.id, &mut file).unwrap();
    (bed, artifact, file)
}

fn later() -> Timestamp {
    Timestamp::from_second(1_900_000_000).unwrap()
}

/// A file in the export format with these parts, which need not fit together.
fn forge(manifest: &[u8], record: &[u8], contents: &[(u64, &[u8])]) -> Vec<u8> {
    write_parts(zstd::Encoder::new(preamble(1), 3).unwrap(), manifest, record, contents)
}

fn write_parts(
    mut frame: zstd::Encoder<'_, Vec<u8>>,
    manifest: &[u8],
    record: &[u8],
    contents: &[(u64, &[u8])],
) -> Vec<u8> {
    for part in [manifest, record] {
        frame.write_all(&(part.len() as u64).to_le_bytes()).unwrap();
        frame.write_all(part).unwrap();
    }
    for (length, content) in contents {
        frame.write_all(&length.to_le_bytes()).unwrap();
        frame.write_all(content).unwrap();
    }
    frame.finish().unwrap()
}

fn preamble(version: u32) -> Vec<u8> {
    [&b"cutover-artifact"[..], &version.to_le_bytes()].concat()
}

fn record(artifact: &Artifact) -> Vec<u8> {
    serde_json::to_vec(&artifact.record).unwrap()
}

fn manifest(entries: &[(&str, ManifestEntry)]) -> Manifest {
    let entries: BTreeMap<_, _> =
        entries.iter().map(|(path, entry)| (RelativePath::new(*path).unwrap(), entry.clone())).collect();
    Manifest { version: 1, project: project().to_string(), commit: "c".repeat(40), dirty: false, entries }
}

fn file(content: &[u8]) -> ManifestEntry {
    ManifestEntry::File { digest: Digest::of(content), bytes: content.len() as u64, executable: false }
}

fn import(store: &ArtifactStore, bytes: &[u8]) -> Result<Artifact, ArtifactError> {
    store.import(&mut &bytes[..], LIMIT, later())
}

/// A directory in memory where there is one: thousands of imports sync thousands of times.
fn fuzz_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Tries something on random values; it panics where it is not as it should be.
fn fuzz<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    cutover_testkit::fuzz(256, strategy, |value| {
        check(value);
        Ok(())
    });
}

#[test]
fn an_exported_artifact_is_the_same_in_another_store() {
    let (bed, artifact, file) = exported();
    let other = bed.other_store("other");

    let imported = import(&other, &file).unwrap();

    assert_eq!((imported.id, &imported.manifest), (artifact.id, &artifact.manifest));
    let mut record = artifact.record.clone();
    record.packed_at = later();
    assert_eq!(imported.record, record);
    assert_eq!(other.get(&artifact.id.to_string()).unwrap(), imported);
    let mut again = Vec::new();
    other.export(&artifact.id, &mut again).unwrap();
    assert_eq!(import(&bed.other_store("third"), &again).unwrap().id, artifact.id);
    assert_eq!(files_beneath(&bed.dir.path().join("other/blobs")).len(), bed.blob_count());
    assert_eq!(import(&other, &file).unwrap().id, artifact.id, "importing twice is fine");
}

#[test]
fn a_damaged_blob_is_not_exported() {
    let (bed, artifact, _) = exported();
    let blobs = bed.store.blobs().unwrap();
    let path = cutover_core::artifact::BlobSource::path(&blobs, &Digest::of("print(1)\n".repeat(100).as_bytes()));
    let path = path.unwrap();
    let mut content = fs::read(&path).unwrap();
    content[5] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, content).unwrap();

    let result = bed.store.export(&artifact.id, &mut io::sink());

    assert!(matches!(result, Err(ArtifactError::Export { .. })), "{result:?}");
}

#[test]
fn what_is_not_an_export_of_this_version_is_named() {
    let (bed, _, file) = exported();
    let error = |bytes: &[u8]| match import(&bed.other_store("other"), bytes) {
        Err(ArtifactError::Import(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error(b""), ImportError::NotAnArtifact));
    assert!(matches!(error(b"PK\x03\x04 something else entirely"), ImportError::NotAnArtifact));
    assert!(matches!(error(&preamble(2)), ImportError::Version(2)));
    assert!(matches!(error(&preamble(1)), ImportError::Read(_)));
    for cut in [21, 40, file.len() / 2, file.len() - 1] {
        assert!(matches!(error(&file[..cut]), ImportError::Read(_)), "cut at {cut}");
    }
    assert!(matches!(error(&[&file[..], b"x"].concat()), ImportError::TrailingBytes));
    assert!(matches!(error(&[&file[..], &file[20..]].concat()), ImportError::TrailingBytes));
}

#[test]
fn a_manifest_that_no_tool_would_write_is_refused() {
    let (bed, artifact, _) = exported();
    let text = |path: &str, entry: &str| {
        format!(r#"{{"version":1,"project":"p","commit":"","dirty":false,"entries":{{"{path}":{entry}}}}}"#)
    };
    let link = |target: &str| format!(r#"{{"symlink":{{"target":"{target}"}}}}"#);
    let sized =
        |bytes: &str| format!(r#"{{"file":{{"digest":"{}","bytes":{bytes},"executable":false}}}}"#, "0".repeat(64));
    let twice = text("a", &format!(r#"{0},"a":{0}"#, link("b")));
    let beneath = text("a", &format!(r#"{},"a/passwd":{}"#, link("b"), link("b")));
    let cases = [
        text("/etc/passwd", &link("b")),
        text("release.json", &link("b")),
        text("../up", &link("b")),
        text("a/../../b", &link("b")),
        text("a\\u0000b", &link("b")),
        text("", &link("b")),
        text(&"d/".repeat(200), &link("b")),
        text("a", &link("/etc/passwd")),
        text("a", &link("../x")),
        text("d/a", &link("../../x")),
        text("a", &link("b/../../x")),
        text("a", &link("")),
        text("a", &sized("-1")),
        text("a", &sized("99999999999999999999")),
        text("a", &sized(&(FILE_BYTES_MAX + 1).to_string())),
        text("a", r#"{"device":{"major":1,"minor":5}}"#),
        text("a", r#"{"directory":{}}"#),
        text("a", &link("b")).replace("\"version\":1", "\"version\":2"),
        text("a", &link("b")).replace("\"dirty\"", " \"dirty\""),
        text("a", &link("b")).replace("\"dirty\":false", "\"dirty\":false,\"more\":1"),
        twice,
        beneath,
        String::new(),
        "[".repeat(10_000),
    ];
    for case in cases {
        let result = import(&bed.other_store("other"), &forge(case.as_bytes(), &record(&artifact), &[]));
        let refused = matches!(
            result,
            Err(ArtifactError::Import(ImportError::Malformed("manifest", _)) | ArtifactError::Manifest(_))
        );
        assert!(refused, "{case:.200}: {result:?}");
    }
    let good = text("a", &link("b"));
    assert!(import(&bed.other_store("other"), &forge(good.as_bytes(), &record(&artifact), &[])).is_ok());
}

#[test]
fn contents_that_do_not_match_the_manifest_are_refused_and_leave_nothing_visible() {
    let (bed, artifact, _) = exported();
    let manifest = manifest(&[("a", file(b"content")), ("b", file(b"other"))]).canonical();
    let good: [(u64, &[u8]); 2] = [(7, b"content"), (5, b"other")];
    let cases: [&[(u64, &[u8])]; 7] = [
        &[],
        &good[..1],
        &[good[1], good[0]],
        &[(7, b"c0ntent"), good[1]],
        &[(8, b"content!"), good[1]],
        &[(u64::MAX, b"content"), good[1]],
        &[good[0], good[1], (3, b"one more")],
    ];
    for contents in cases {
        let other = bed.other_store("other");
        let result = import(&other, &forge(&manifest, &record(&artifact), contents));
        assert!(
            matches!(
                result,
                Err(ArtifactError::Blob(BlobError::Mismatch(_) | BlobError::Read(_)) | ArtifactError::Import(_))
            ),
            "{contents:?}: {result:?}"
        );
        assert!(other.list().unwrap().is_empty());
    }
    assert!(import(&bed.other_store("other"), &forge(&manifest, &record(&artifact), &good)).is_ok());
}

#[test]
fn a_record_cannot_contradict_the_manifest_or_drive_a_terminal() {
    let (bed, mut artifact, _) = exported();
    artifact.record.subject = "clear\x1b[2Jed".into();
    artifact.record.dirty = true;
    artifact.record.bytes = 1;
    artifact.record.id = Digest::of(b"another");
    let bytes = forge(&manifest(&[("a", file(b"x"))]).canonical(), &record(&artifact), &[(1, b"x")]);

    let imported = import(&bed.other_store("other"), &bytes).unwrap();

    assert_eq!(imported.record.id, imported.manifest.id());
    assert_eq!((imported.record.dirty, imported.record.bytes, imported.record.file_count), (false, 1, 1));
    assert_eq!(imported.record.subject, "clear [2Jed");
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let (bed, artifact, _) = exported();
    let zeros = vec![0; 300 << 20];
    let announced = zeros.len() as u64;
    let bombs = [
        // More than the limit allows, as the manifest itself says.
        forge(&manifest(&[("zeros", file(&zeros))]).canonical(), &record(&artifact), &[(announced, &zeros)]),
        // More than announced.
        forge(&manifest(&[("zeros", file(b"0"))]).canonical(), &record(&artifact), &[(1, &zeros)]),
        // A manifest, a record of nothing but zeros.
        forge(&zeros, b"{}", &[]),
        forge(&manifest(&[]).canonical(), &zeros, &[]),
    ];
    for bytes in bombs {
        let other = bed.other_store("other");
        assert!(other.import(&mut &bytes[..], 1 << 20, later()).is_err());
        let written: u64 =
            files_beneath(&bed.dir.path().join("other")).iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(written < 1 << 20, "{written} bytes were written");
        assert!(other.list().unwrap().is_empty());
    }
}

#[test]
fn a_frame_that_ends_a_byte_too_early_or_too_late_is_refused() {
    // Given a record that is the last part, for a link has no content.
    let (bed, artifact, _) = exported();
    let manifest = manifest(&[("link", ManifestEntry::Symlink { target: "a".to_owned() })]).canonical();
    let record = record(&artifact);
    let framed = |announced: usize, rest: &[u8]| {
        let mut frame = zstd::Encoder::new(preamble(1), 3).unwrap();
        let lengths = [manifest.len() as u64, announced as u64].map(u64::to_le_bytes);
        for part in [&lengths[0], &manifest[..], &lengths[1], &record, rest] {
            frame.write_all(part).unwrap();
        }
        import(&bed.other_store("other"), &frame.finish().unwrap())
    };
    assert!(framed(record.len(), b"").is_ok());

    let (early, late) = (framed(record.len() + 1, b""), framed(record.len(), b"x"));

    assert!(matches!(early, Err(ArtifactError::Import(ImportError::Read(_)))), "{early:?}");
    assert!(matches!(late, Err(ArtifactError::Import(ImportError::TrailingBytes))), "{late:?}");
}

#[test]
fn a_manifest_that_is_announced_as_larger_than_any_is_not_read() {
    let (bed, ..) = exported();
    let mut frame = zstd::Encoder::new(preamble(1), 3).unwrap();
    frame.write_all(&(MANIFEST_BYTES_MAX + 1).to_le_bytes()).unwrap();

    let result = import(&bed.other_store("other"), &frame.finish().unwrap());

    let Err(ArtifactError::Import(ImportError::Malformed("manifest", why))) = result else { panic!("{result:?}") };
    assert_eq!(why, format!("{} bytes; the most is {MANIFEST_BYTES_MAX}", MANIFEST_BYTES_MAX + 1));
}

/// A frame says how far back it looks, and whoever unpacks it needs that much memory.
#[test]
fn a_frame_that_asks_for_much_memory_is_refused() {
    let (bed, artifact, _) = exported();
    let content = vec![7; 40 << 20];
    let manifest = manifest(&[("sevens", file(&content))]).canonical();
    let with_window = |log: u32| {
        let mut frame = zstd::Encoder::new(preamble(1), 3).unwrap();
        frame.window_log(log).unwrap();
        write_parts(frame, &manifest, &record(&artifact), &[(content.len() as u64, &content)])
    };
    assert!(import(&bed.other_store("usual"), &with_window(23)).is_ok());

    let result = import(&bed.other_store("greedy"), &with_window(24));

    assert!(matches!(result, Err(ArtifactError::Import(ImportError::Read(_)))), "{result:?}");
}

#[test]
fn the_limit_counts_all_that_is_unpacked() {
    let (bed, artifact, file) = exported();
    let needed = artifact.manifest.canonical().len() as u64 + record(&artifact).len() as u64 + 900;
    let exact = bed.other_store("exact");
    assert!(exact.import(&mut &file[..], needed, later()).is_ok());
    let result = bed.other_store("less").import(&mut &file[..], needed - 1, later());
    assert!(matches!(result, Err(ArtifactError::Import(ImportError::TooLarge(_)))), "{result:?}");
}

/// Checks that an import was refused or gave exactly what it should, and touched nothing else.
fn check_import(dir: &Path, expected: Option<&Artifact>, bytes: &[u8]) {
    let root = dir.join("store");
    let store = ArtifactStore::open(&root).unwrap();
    match (import(&store, bytes), expected) {
        (Ok(imported), Some(expected)) => assert_eq!(imported.manifest, expected.manifest),
        (Ok(imported), None) => imported.manifest.check().unwrap(),
        (Err(_), _) => assert!(store.list().unwrap().is_empty()),
    }
    for path in files_beneath(dir) {
        assert!(path.starts_with(&root) && fs::symlink_metadata(&path).unwrap().is_file(), "{}", path.display());
    }
    fs::remove_dir_all(&root).unwrap();
}

#[test]
fn a_mutated_export_is_refused_or_harmless() {
    let (_bed, artifact, file) = exported();
    let dir = fuzz_dir();
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    let changed = Cell::new(0);
    fuzz(&prop::collection::vec(change, 1..6), |changes| {
        let mut bytes = file.clone();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, byte),
            }
        }
        changed.set(changed.get() + u32::from(bytes != file));
        check_import(dir.path(), Some(&artifact), &bytes);
    });
    assert!(changed.get() > 200);
}

#[test]
fn a_mutated_manifest_in_a_sound_frame_is_refused_or_harmless() {
    let (_bed, artifact, _) = exported();
    let dir = fuzz_dir();
    let canonical = artifact.manifest.canonical();
    let texts =
        ["..", "/", "\\u0000", "\"", "{", "}", "a/b", "-1", "1e99", ",", "symlink", "file", "link/x", "\\ud800"];
    let change = (any::<prop::sample::Index>(), prop::sample::select(texts.to_vec()), 0..12usize);
    fuzz(&prop::collection::vec(change, 1..4), |changes| {
        let mut text = canonical.clone();
        for (at, replacement, length) in changes {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, replacement.bytes());
        }
        let contents: [(u64, &[u8]); 2] = [(0, b""), (900, &b"print(1)\n".repeat(100))];
        check_import(dir.path(), None, &forge(&text, &record(&artifact), &contents));
    });
}

#[test]
fn random_bytes_in_every_part_are_refused_or_harmless() {
    let (_bed, artifact, _) = exported();
    let dir = fuzz_dir();
    let good = manifest(&[("a", file(b"content"))]).canonical();
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    fuzz(&(bytes(), bytes(), any::<u64>(), 0..4u8), |(part, content, length, kind)| {
        let file = match kind {
            0 => [preamble(1), part].concat(),
            1 => forge(&part, &record(&artifact), &[(length, &content)]),
            2 => forge(&good, &part, &[(7, b"content")]),
            _ => forge(&good, &record(&artifact), &[(length % 16, &content)]),
        };
        check_import(dir.path(), None, &file);
    });
}

/// Paths and links that a hand would choose who wants to get out.
fn evil_entries() -> impl Strategy<Value = BTreeMap<String, ManifestEntry>> {
    let part = prop::sample::select(vec!["a", "b", "link", "..", ".", "", "etc", "release.json"]);
    let path = prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"));
    let target = path.clone().prop_map(|target| ManifestEntry::Symlink { target });
    let entry = prop_oneof![target, Just(file(b"content"))];
    prop::collection::btree_map(path, entry, 1..6)
}

#[test]
fn whatever_is_imported_stays_inside_when_it_is_laid_out() {
    let (_bed, artifact, _) = exported();
    let dir = fuzz_dir();
    let accepted = Cell::new(0);
    fuzz(&evil_entries(), |entries| {
        let entries = serde_json::to_string(&entries).unwrap();
        let text = format!(r#"{{"version":1,"project":"p","commit":"","dirty":false,"entries":{entries}}}"#);
        let store = ArtifactStore::open(&dir.path().join("store")).unwrap();
        let contents: &[(u64, &[u8])] = if text.contains("\"file\"") { &[(7, b"content")] } else { &[] };
        if let Ok(imported) = import(&store, &forge(text.as_bytes(), &record(&artifact), contents)) {
            accepted.set(accepted.get() + 1);
            lay_out_and_check(&imported.manifest);
        }
        fs::remove_dir_all(dir.path().join("store")).unwrap();
    });
    assert!(accepted.get() > 0, "the test tries something");
}

/// Lays a manifest out without any check of its own and demands that every path really lies inside.
fn lay_out_and_check(manifest: &Manifest) {
    let dir = fuzz_dir();
    let root = dir.path().join("outer/root");
    fs::create_dir_all(&root).unwrap();
    let root = root.canonicalize().unwrap();
    for (path, entry) in &manifest.entries {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            ManifestEntry::File { .. } => fs::write(&path, "content").unwrap(),
            ManifestEntry::Symlink { target } => symlink(target, &path).unwrap(),
        }
    }
    for path in manifest.entries.keys() {
        if let Ok(real) = root.join(path).canonicalize() {
            assert!(real.starts_with(&root), "{path} is {}", real.display());
        }
    }
}

#[test]
fn a_reader_that_fails_half_way_leaves_nothing_visible() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::ErrorKind::ConnectionReset.into()) } else { self.0.read(buffer) }
        }
    }
    let (bed, _, file) = exported();
    for cut in [0, 10, 30, file.len() - 5] {
        let other = bed.other_store("other");
        assert!(other.import(&mut Failing(&file[..cut]), LIMIT, later()).is_err());
        assert!(other.list().unwrap().is_empty());
    }
}
