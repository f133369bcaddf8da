//! The journal's bytes: what was written is read, and what was not written is noticed.

#![allow(clippy::unwrap_used)]

use cutover_core::journal::{Chain, Entry, Header, JournalError, Record, Recorded, VERSION, decode, header};
use cutover_core::plan::{Phase, Plan, StepId};
use cutover_core::target::{Before, Failure, FailureKind, Outcome};
use cutover_testkit::{Slots, Story, fuzz, minute, plan, step};
use proptest::prelude::*;

/// A journal as version 1 wrote it. It is kept for ever: every later version must read it.
const VERSION_1: &[u8] = include_bytes!("data/journal-v1.txt");

fn encode(plan: &Plan, records: &[Record]) -> Vec<u8> {
    let mut chain = Chain::default();
    let mut bytes = chain.encode(&header(plan)).unwrap();
    for record in records {
        bytes.extend(chain.encode(record).unwrap());
    }
    bytes
}

fn example() -> (Plan, Vec<Record>, Vec<u8>) {
    let (plan, records) = Story::new(7).rolled_back();
    let bytes = encode(&plan, &records);
    (plan, records, bytes)
}

fn read(bytes: &[u8]) -> Result<Option<Recorded>, JournalError> {
    decode(bytes)
}

/// The lines of a journal, each with its newline.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_journal_of_version_1_is_read() {
    let recorded = read(VERSION_1).unwrap().unwrap();
    assert_eq!(recorded.sound_bytes, VERSION_1.len());
    let kinds: Vec<&str> = recorded.records.iter().map(|record| kind(&record.entry)).collect();
    let expected = ["started", "applied", "started", "failed", "resumed", "restored", "restore_failed", "cancelled"];
    assert_eq!(kinds, expected, "every kind of entry stands in it");
    assert_eq!(recorded.plan.deployment.as_str(), "20261121T100000-0001");
    let Entry::Failed { error, .. } = &recorded.records[3].entry else { panic!("it failed") };
    assert_eq!((error.kind, error.hint.as_deref()), (FailureKind::Unhealthy, Some("look at the log")));
    // What this version writes is what version 1 wrote.
    assert_eq!(encode(&recorded.plan, &recorded.records), VERSION_1);
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Started { .. } => "started",
        Entry::Applied { .. } => "applied",
        Entry::Failed { .. } => "failed",
        Entry::Cancelled { .. } => "cancelled",
        Entry::Restored { .. } => "restored",
        Entry::RestoreFailed { .. } => "restore_failed",
        Entry::Resumed { .. } => "resumed",
    }
}

#[test]
fn a_newer_journal_is_refused_by_its_number() {
    let (plan, ..) = example();
    let newer = Header { version: VERSION + 1, ..header(&plan) };
    let bytes = Chain::default().encode(&newer).unwrap();
    assert!(matches!(read(&bytes), Err(JournalError::TooNew(2))));
    let altogether_new = serde_json::json!({ "format": "cutover-journal", "version": 7, "plans": [] });
    let bytes = Chain::default().encode(&altogether_new).unwrap();
    assert!(matches!(read(&bytes), Err(JournalError::TooNew(7))));
}

#[test]
fn an_unknown_kind_of_entry_was_written_by_a_newer_version() {
    let (plan, ..) = example();
    for entry in [serde_json::json!({ "paused": { "step": 0 } }), serde_json::json!("paused")] {
        let mut chain = Chain::default();
        let mut bytes = chain.encode(&header(&plan)).unwrap();
        bytes.extend(chain.encode(&serde_json::json!({ "seq": 1, "at": minute(0), "entry": entry })).unwrap());
        let error = read(&bytes).unwrap_err();
        assert!(matches!(error, JournalError::UnknownEntry { line: 2, .. }), "{error}");
        assert!(error.to_string().contains("\"paused\" at line 2"), "{error}");
        assert!(error.to_string().contains("written by a newer version"), "{error}");
    }
}

#[test]
fn a_known_entry_that_cannot_be_read_is_damage() {
    let (plan, ..) = example();
    let mut chain = Chain::default();
    let mut bytes = chain.encode(&header(&plan)).unwrap();
    let entry = serde_json::json!({ "seq": 1, "at": minute(0), "entry": { "started": { "step": "one" } } });
    bytes.extend(chain.encode(&entry).unwrap());
    assert!(matches!(read(&bytes), Err(JournalError::Damaged { line: 2, .. })));
}

#[test]
fn every_truncation_gives_the_records_whose_lines_are_whole() {
    let (_, records, bytes) = example();
    for end in 0..=bytes.len() {
        let whole_lines = bytes[..end].iter().filter(|byte| **byte == b'\n').count();
        for zeros in [0, 1, 4_096] {
            let mut torn = bytes[..end].to_vec();
            torn.resize(end + zeros, 0);
            let recorded = read(&torn).unwrap_or_else(|error| panic!("cut at {end}: {error}"));
            let Some(recorded) = recorded else {
                assert_eq!(whole_lines, 0);
                continue;
            };
            assert_eq!(recorded.records, records[..whole_lines - 1], "cut at {end}");
            assert!(recorded.sound_bytes <= end && torn[recorded.sound_bytes - 1] == b'\n');
        }
    }
}

#[test]
fn what_is_appended_after_a_torn_line_was_cut_off_goes_on_in_the_chain() {
    let (_, records, bytes) = example();
    let torn = &bytes[..bytes.len() - 9];
    let mut recorded = read(torn).unwrap().unwrap();
    let mut mended = torn[..recorded.sound_bytes].to_vec();
    mended.extend(recorded.chain.encode(records.last().unwrap()).unwrap());
    assert_eq!(mended, bytes);
}

/// A line that was written into zeros and lost a part of itself before it was durable.
#[test]
fn a_last_line_with_a_hole_is_a_torn_one() {
    let (_, records, bytes) = example();
    let last = bytes.len() - lines(&bytes).last().unwrap().len();
    for hole in [last..last + 1, last..last + 20, last + 5..bytes.len() - 1, last..bytes.len()] {
        let mut torn = bytes.clone();
        torn[hole].fill(0);
        let recorded = read(&torn).unwrap().unwrap();
        assert_eq!(recorded.records, records[..records.len() - 1]);
    }
}

#[test]
fn a_changed_byte_is_noticed_or_takes_the_last_record_with_it() {
    let (_, records, bytes) = example();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xFF, bytes[at], bytes[at] ^ b'\n'] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            if changed == bytes {
                continue;
            }
            if let Ok(recorded) = read(&changed) {
                let recorded = recorded.unwrap_or_else(|| panic!("the header is gone with byte {at}"));
                assert_eq!(recorded.records, records[..records.len() - 1], "byte {at} ^ {flip:#x}");
            }
        }
    }
}

#[test]
fn a_changed_byte_in_a_whole_line_is_noticed_even_in_the_last() {
    let (.., bytes) = example();
    let mut changed = bytes.clone();
    let at = bytes.len() - 10;
    changed[at] ^= 1;
    assert!(matches!(read(&changed), Err(JournalError::Damaged { .. })));
}

#[test]
fn lines_out_of_order_or_twice_or_lost_are_noticed() {
    let (_, records, bytes) = example();
    let sound = lines(&bytes);
    for first in 0..sound.len() {
        for second in first + 1..sound.len() {
            let mut swapped = sound.clone();
            swapped.swap(first, second);
            assert!(read(&swapped.concat()).is_err(), "{first} and {second} swapped");
        }
        let mut twice = sound.clone();
        twice.insert(first, sound[first].clone());
        assert!(read(&twice.concat()).is_err(), "{first} twice");
        let mut lost = sound.clone();
        lost.remove(first);
        match read(&lost.concat()) {
            Err(JournalError::Damaged { .. }) => {}
            // Nobody can tell that a last line was ever there.
            Ok(Some(recorded)) => assert_eq!((first, recorded.records.len()), (sound.len() - 1, records.len() - 1)),
            other => panic!("{first} lost: {other:?}"),
        }
    }
}

#[test]
fn sequence_numbers_and_plans_are_checked_behind_sound_checksums() {
    let (plan, records, _) = example();
    let gap: Vec<Record> = records.iter().skip(1).cloned().collect();
    assert!(matches!(read(&encode(&plan, &gap)), Err(JournalError::Damaged { line: 2, .. })));
    let mut misplaced = plan;
    misplaced.steps.swap(0, 1);
    assert!(matches!(read(&encode(&misplaced, &[])), Err(JournalError::Damaged { line: 1, .. })));
    let other = Header { format: "shopping-list".to_owned(), ..header(&misplaced) };
    assert!(matches!(read(&Chain::default().encode(&other).unwrap()), Err(JournalError::Damaged { line: 1, .. })));
}

#[test]
fn nothing_and_zeros_are_a_journal_that_was_never_begun() {
    assert_eq!(read(b"").unwrap(), None);
    assert_eq!(read(&[0; 4_096]).unwrap(), None);
}

#[test]
fn arbitrary_bytes_never_panic() {
    fuzz(4_000, &prop::collection::vec(any::<u8>(), 0..400), |bytes| {
        let _ = read(&bytes);
        Ok(())
    });
}

/// What a stranger could write who knows the checksum.
#[test]
fn arbitrary_json_behind_sound_checksums_never_panics() {
    let leaf = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        "[a-z_]{0,12}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    let key =
        prop_oneof![Just("seq"), Just("at"), Just("entry"), Just("started"), Just("step"), Just("plan"), Just("x")];
    let json = leaf.prop_recursive(4, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    let (plan, ..) = example();
    fuzz(2_000, &(any::<bool>(), prop::collection::vec(json, 1..4)), |(with_header, values)| {
        let mut chain = Chain::default();
        let mut bytes = if with_header { chain.encode(&header(&plan)).unwrap() } else { Vec::new() };
        for value in &values {
            bytes.extend(chain.encode(value).unwrap());
        }
        prop_assert!(read(&bytes).is_err());
        Ok(())
    });
}

#[test]
fn arbitrary_changes_of_a_sound_journal_give_a_prefix_or_an_error() {
    let (_, records, bytes) = example();
    let length = bytes.len();
    let change = (0..length, prop::collection::vec(any::<u8>(), 0..40), 0..60_usize);
    fuzz(4_000, &prop::collection::vec(change, 1..4), |changes| {
        let mut changed = bytes.clone();
        for (at, inserted, removed) in changes {
            let at = at.min(changed.len());
            let end = (at + removed).min(changed.len());
            changed.splice(at..end, inserted);
        }
        if let Ok(Some(recorded)) = read(&changed) {
            prop_assert!(records.starts_with(&recorded.records));
        }
        Ok(())
    });
}

#[test]
fn whatever_is_written_is_read() {
    let text = "\\PC*|[\\x00-\\x1f\"\\\\\u{2028}]*";
    fuzz(1_000, &prop::collection::vec((0..7_u8, 0..3_u32, text), 0..12), |drawn| {
        let plan = plan(vec![step(0, Phase::Prepare, Slots(Vec::new())), step(1, Phase::Live, Slots(Vec::new()))]);
        let plan = plan.erased().unwrap();
        let entries = drawn.into_iter().map(|(kind, id, text)| entry(kind, StepId(id), text));
        let records: Vec<Record> =
            entries.zip(1..).map(|(entry, seq)| Record { seq, at: minute(seq as i64), host: None, entry }).collect();
        let bytes = encode(&plan, &records);
        let recorded = read(&bytes).unwrap().unwrap();
        prop_assert_eq!((recorded.plan, recorded.records, recorded.sound_bytes), (plan, records, bytes.len()));
        Ok(())
    });
}

fn entry(kind: u8, step: StepId, text: String) -> Entry {
    match kind {
        0 => Entry::Started { step, before: Before(serde_json::json!({ "was": text })) },
        1 => Entry::Applied { step, outcome: Outcome::changed(text) },
        2 => Entry::Failed { step, error: Failure::new(text).excerpt("line\n") },
        3 => Entry::Cancelled { reason: text },
        4 => Entry::Restored { step, note: text, down: step.0 % 2 == 1 },
        5 => Entry::RestoreFailed { step, error: Failure::new(text) },
        _ => Entry::Resumed { by: text },
    }
}
