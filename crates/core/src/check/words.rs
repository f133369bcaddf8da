//! Words that come from outside, cut to what a record can hold and a terminal may show.

/// The most of a failure's or a finding's message that is kept, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 2048;

/// The most of a name, a path or a rule that is kept, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// Stands where words were cut.
const CUT: &str = "…";

/// Words of a report as they may be kept and shown: without control characters (newlines and tabs stay), without the
/// escape sequences that colour a terminal, trimmed, and at most `bytes_max` bytes.
pub fn excerpt(words: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    let mut rest = words.trim().chars();
    while let Some(next) = rest.next() {
        if next == '\u{1b}' {
            skip_sequence(&mut rest);
        } else if !next.is_control() || matches!(next, '\n' | '\t') {
            if kept.len() + next.len_utf8() > bytes_max {
                return cut(kept, bytes_max);
            }
            kept.push(next);
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Skips the rest of an escape sequence. ECMA-48: `[`, then parameters, then one character from `@` to `~`.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    if ahead.next() != Some('[') {
        return;
    }
    // A sequence that does not end is none: what follows it is kept.
    if ahead.by_ref().take(32).any(|next| ('@'..='~').contains(&next)) {
        *rest = ahead;
    }
}

fn cut(mut kept: String, bytes_max: usize) -> String {
    let mut end = bytes_max.saturating_sub(CUT.len()).min(kept.len());
    while !kept.is_char_boundary(end) {
        end -= 1;
    }
    kept.truncate(end);
    kept.push_str(CUT);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_colours_and_control_characters_but_no_lines() {
        assert_eq!(excerpt("  \u{1b}[31mred\u{1b}[0m\r\nnext\u{7}\tcell \n", 100), "red\nnext\tcell");
        assert_eq!(excerpt("a\u{1b}b \u{9b}c", 100), "ab c");
    }

    #[test]
    fn words_are_cut_between_characters_and_show_it() {
        let cut = excerpt(&"ä".repeat(100), 20);
        assert!(cut.len() <= 20 && cut.ends_with('…') && cut.starts_with("ää"), "{cut:?}");
        assert_eq!(excerpt(&"a".repeat(20), 20), "a".repeat(20));
    }
}
