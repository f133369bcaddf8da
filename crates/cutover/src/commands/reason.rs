//! Why somebody does something, in their words.

use clap::builder::{TypedValueParser, ValueParser};
use std::convert::Infallible;

/// The longest reason that is kept, in bytes: it stands in journals, locks and lists, and must be readable there.
const REASON_BYTES_MAX: usize = 4096;

/// Takes a reason of any length. A longer one is cut and not refused: it may be a CI's, on the way back from something.
pub(super) fn reason() -> ValueParser {
    ValueParser::new(clap::builder::StringValueParser::new().try_map(|text| Ok::<_, Infallible>(bounded(text))))
}

fn bounded(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_kept_as_it_is_and_a_long_one_is_cut() {
        assert_eq!(bounded("the café burns".to_owned()), "the café burns");
        let cut = bounded("é".repeat(50_000));
        assert!(cut.len() <= REASON_BYTES_MAX + '…'.len_utf8() && cut.ends_with("é…"), "{}", cut.len());
    }
}
