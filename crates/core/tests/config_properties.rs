//! Whatever the text: no panic, and every diagnostic points into it.

use cutover_core::config::{Config, Position};
use cutover_testkit::at_least;
use proptest::prelude::*;

const TEXTS: [&str; 4] = [
    include_str!("data/host.toml"),
    include_str!("data/everything.toml"),
    include_str!("data/mistakes.toml"),
    include_str!("data/broken.toml"),
];

/// What gets spliced into a text: what TOML is made of, and what it is not.
const PIECES: [&str; 24] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\\u{0}",
    "\u{0}",
    "ä",
    "\u{1F680}",
    "\r",
    "99999999999999999999",
    "-1",
    "[environments.staging.targets.app.host]",
    "targets.app.host = 1\n",
    "app",
];

fn assert_sound(text: &str) {
    let checked = Config::check(text);
    assert_eq!(checked.config.is_none(), Config::parse(text).is_err());
    assert!(checked.config.is_some() || !checked.diagnostics.is_empty(), "refused without a word");
    for found in &checked.diagnostics {
        let meant = text.get(found.span.clone());
        assert!(meant.is_some(), "{found:?} is outside of the text or inside of a character");
        assert!(Position::of(text, found.span.start) <= Position::of(text, found.span.end));
        assert!(!found.message.is_empty() && !found.message.contains('\n'), "{found:?}");
    }
    assert!(checked.diagnostics.is_sorted_by_key(|found| found.span.start));
}

/// One change of a text: some bytes are cut, doubled or replaced.
#[derive(Debug, Clone)]
enum Change {
    Cut(f64, usize),
    Double(f64, usize),
    Splice(f64, usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || (0.0..1.0_f64, 0_usize..120);
    prop_oneof![
        place().prop_map(|(at, count)| Change::Cut(at, count)),
        place().prop_map(|(at, count)| Change::Double(at, count)),
        (place(), prop::sample::select(&PIECES[..])).prop_map(|((at, count), piece)| Change::Splice(
            at,
            count / 20,
            piece
        )),
    ]
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "test texts are short"
)]
fn apply(text: &str, change: &Change) -> String {
    let range = |at: f64, count: usize| {
        let start = (at * text.len() as f64) as usize;
        start..(start + count).min(text.len())
    };
    let mut bytes = text.as_bytes().to_vec();
    match *change {
        Change::Cut(at, count) => drop(bytes.drain(range(at, count))),
        Change::Double(at, count) => {
            let range = range(at, count);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        Change::Splice(at, count, piece) => drop(bytes.splice(range(at, count), piece.bytes())),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(at_least(1_500))]

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>()) {
        assert_sound(&text);
    }

    #[test]
    fn any_sequence_of_pieces_is_read_without_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        assert_sound(&pieces.concat());
    }

    #[test]
    fn a_changed_file_is_read_without_panic(
        text in prop::sample::select(&TEXTS[..]),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        assert_sound(&changes.iter().fold(text.to_owned(), |text, change| apply(&text, change)));
    }
}
