//! Whatever a report is, reading it ends, with numbers or with a fault, and never with a panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use cutover_checks::report::{Fault, Reports, Tree};
use cutover_core::check::{FAILURES_MAX, FINDINGS_MAX, MESSAGE_BYTES_MAX, Report};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// All samples that tools made.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let tools = fs::read_dir(samples).unwrap().map(|tool| tool.unwrap().path());
    let mut files: Vec<_> =
        tools.flat_map(|tool| fs::read_dir(tool).unwrap().map(|file| file.unwrap().path())).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
});

/// What is put into samples: what formats give a meaning to, and what breaks readers.
const PIECES: [&str; 26] = [
    "<",
    ">",
    "&",
    "&lt;",
    "&x;",
    "&#0;",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [",
    "<!--",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\u{0}",
    "\u{1b}[31m",
    "ä",
    "\n",
    "SF:x\n",
    "end_of_record\n",
    "</testcase>",
];

/// A change to bytes.
#[derive(Debug, Clone)]
enum Change {
    Put(Index, &'static str),
    Drop(Index, usize),
    Double(Index, usize),
    Flip(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Change::Put(at, piece)),
        (any::<Index>(), 1usize..200).prop_map(|(at, length)| Change::Drop(at, length)),
        (any::<Index>(), 1usize..500).prop_map(|(at, length)| Change::Double(at, length)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
    ]
}

fn changed(sample: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for change in changes {
        let place = |at: &Index| if bytes.is_empty() { 0 } else { at.index(bytes.len()) };
        match change {
            Change::Put(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.bytes());
            }
            Change::Drop(at, length) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Change::Double(at, length) => {
                let at = place(at);
                let piece = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Flip(at, bits) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
            }
        }
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Report, Fault> {
    let mut reports = Reports::new(Tree { top: "/src/project", is_file: &|_| false });
    reports.read("sample", bytes).map_err(|error| error.fault)?;
    Ok(reports.report(None))
}

/// What holds of any report that was read.
fn check(report: &Report) {
    if let Some(cases) = &report.cases {
        assert!(cases.counts.total() > 0 && cases.counts.flaky <= cases.counts.passed);
        assert!(cases.failures.items.len() <= FAILURES_MAX && cases.seconds >= 0.0);
        assert_eq!(cases.failures.total(), cases.counts.failed + cases.counts.errored);
        assert_eq!(cases.flaky.total(), cases.counts.flaky);
        assert!(cases.failures.items.iter().all(|case| case.message.len() <= MESSAGE_BYTES_MAX));
    }
    if let Some(coverage) = &report.coverage {
        assert!(coverage.lines.total > 0);
    }
    if let Some(findings) = &report.findings {
        assert_eq!(findings.list.total(), findings.counts.total());
        assert!(findings.list.items.len() <= FINDINGS_MAX);
    }
    serde_json::to_string(report).unwrap();
}

proptest! {
    #![proptest_config(cutover_testkit::at_least(512))]

    #[test]
    fn arbitrary_bytes_are_no_panic(bytes in vec(any::<u8>(), 0..2000)) {
        if let Ok(report) = read(&bytes) {
            check(&report);
        }
    }

    #[test]
    fn pieces_of_formats_in_any_order_are_no_panic(pieces in vec(select(&PIECES[..]), 0..60), head in select(&["<testsuite>", "<coverage>", "SF:a\n", "{\"runs\":[", "{\"files\":{", "{\"a\":{\"statementMap\":{"][..])) {
        if let Ok(report) = read((head.to_owned() + &pieces.concat()).as_bytes()) {
            check(&report);
        }
    }

    #[test]
    fn samples_that_were_changed_are_no_panic(sample in any::<Index>(), changes in vec(change(), 1..6)) {
        let sample: &Vec<u8> = sample.get(&SAMPLES);
        if let Ok(report) = read(&changed(sample, &changes)) {
            check(&report);
        }
    }

    #[test]
    fn a_sample_that_was_cut_off_is_never_read_as_whole(sample in any::<Index>(), at in any::<Index>()) {
        let sample: &Vec<u8> = sample.get(&SAMPLES);
        let whole = sample.trim_ascii_end().len();
        let cut = &sample[..at.index(whole)];
        // LCOV is a list of records: it may be cut between two of them.
        let records = str::from_utf8(cut).ok().and_then(|cut| cut.rsplit_once("end_of_record"));
        prop_assume!(records.is_none_or(|(_, behind)| !matches!(behind.trim(), "" | "TN:")));
        let read = read(cut);
        prop_assert!(read.is_err(), "{:?}", String::from_utf8_lossy(cut));
    }
}
