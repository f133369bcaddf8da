//! Words that come from outside, as Markdown that means nothing but them.
//!
//! GitHub looks for mentions, for numbers of issues and for addresses in the text that its Markdown has become, where a
//! character that was written as `&#64;` is an `@` again. So an invisible character stands behind each that could begin one:
//! nobody is called, and nothing is a link that we did not write.

use crate::one_line;
use std::fmt::Write;

/// Ends a word where a mention or an address would begin, and shows nothing.
pub(crate) const NOTHING: &str = "&#8203;";

/// A text in one line that means nothing but itself in Markdown and in a table.
pub(crate) fn markup(text: &str) -> String {
    neutral(&one_line(text), |c, safe| match c {
        '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '$' => {
            // Writing to a string cannot fail.
            let _ = write!(safe, "&#{};", u32::from(c));
        }
        c => safe.push(c),
    })
}

/// A text as HTML shows it. Without a blank line: one would end the block of HTML, and what follows would be Markdown.
pub(crate) fn escaped(text: &str) -> String {
    // Markdown knows three ends of a line, and one that is not seen here could make a blank line there.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = neutral(&text, |c, safe| safe.push(c));
    let lines = text.lines().map(|line| if line.trim().is_empty() { NOTHING } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The beginning of a text, at most so many bytes, up to the end of a character.
pub(crate) fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The beginning of a text that may have so many bytes, with a last line that says how much is missing.
pub(crate) fn within(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let told = |kept: usize| format!("\n\n… and {} bytes more, which do not fit in here", text.len() - kept);
    // As many digits as there can be at most.
    let kept = beginning(text, bytes_max.saturating_sub(told(0).len()));
    let whole = format!("{kept}{}", told(kept.len()));
    beginning(&whole, bytes_max).to_owned()
}

/// Escapes HTML, and whatever begins a mention, a reference or an address; `other` does the rest.
fn neutral(text: &str, other: impl Fn(char, &mut String)) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut word = String::new();
    for (at, c) in text.char_indices() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '@' | '#' => {
                let _ = write!(safe, "&#{};{NOTHING}", u32::from(c));
            }
            ':' if text[at..].starts_with("://")
                || ["mailto", "xmpp"].iter().any(|name| word.eq_ignore_ascii_case(name)) =>
            {
                safe.push(c);
                safe += NOTHING;
            }
            '.' if word.eq_ignore_ascii_case("www") => {
                safe += NOTHING;
                safe.push(c);
            }
            '-' if word.eq_ignore_ascii_case("gh") => {
                safe.push(c);
                safe += NOTHING;
            }
            c => other(c, &mut safe),
        }
        if c.is_alphanumeric() { word.push(c) } else { word.clear() }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    /// What a browser would show, with the invisible.
    fn shown(markdown: &str) -> String {
        let mut text = markdown.replace(NOTHING, "\u{200b}");
        for c in "\\`*_{}[]|~!$@#".chars() {
            text = text.replace(&format!("&#{};", u32::from(c)), &c.to_string());
        }
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn no_word_calls_anybody_or_leads_anywhere() {
        let hostile = "@team me@example.org see #12, org/repo#3 and GH-7: https://evil.example/x www.evil.example \
                       mailto:a@b.c <b>x</b> <!-- cutover --> ![x](https://y) | `code` &amp;";
        for safe in [markup(hostile), escaped(hostile)] {
            let shown = shown(&safe);
            assert_eq!(shown.replace('\u{200b}', ""), hostile, "nothing is lost: {safe}");
            for call in ["@team", "@example", "#12", "#3", "GH-7", "://", "www.", "mailto:a"] {
                assert!(!shown.contains(call), "{call} in {safe}");
            }
            assert!(!safe.contains(['<', '>']), "{safe}");
        }
        assert!(!markup(hostile).contains(['[', ']', '|', '`', '!']), "{}", markup(hostile));
    }

    #[test]
    fn no_end_of_a_line_makes_a_blank_one() {
        for hostile in ["a\r\r# b", "a\n\r# b", "a\r\n\r\n# b", "a\r \t\r# b", "\r\r", "a\r\n\r# b"] {
            let safe = escaped(hostile);
            assert!(!safe.contains('\r') && !safe.split('\n').any(|line| line.trim().is_empty()), "{safe:?}");
        }
    }

    #[test]
    fn whatever_is_said_is_shown_and_begins_nothing() {
        let text =
            "(@|#|gh-|GH-|www\\.|WWW\\.|http|://|mailto:|xmpp:|<|>|&|&#64;|`|!\\[|\\]\\(|[a-zA-Z0-9ä.]| |\\n\\n){0,40}";
        proptest!(|(said in text)| {
            for safe in [markup(&said), escaped(&said)] {
                let shown = shown(&safe);
                prop_assert!(!safe.contains(['<', '>']), "{}", safe);
                let lower = shown.to_ascii_lowercase();
                prop_assert!(!lower.contains("://"), "{}", shown);
                for begin in ["www.", "mailto:", "xmpp:"] {
                    // What a word ends with is not how one begins.
                    let is_alone = |at: usize| !shown[..at].ends_with(char::is_alphanumeric);
                    let goes_on = |at: usize| !shown[at + begin.len()..].starts_with('\u{200b}');
                    let begins = |(at, _): (usize, &str)| is_alone(at) && goes_on(at);
                    prop_assert!(!lower.match_indices(begin).any(begins), "{}", shown);
                }
                for sign in ['@', '#'] {
                    prop_assert!(!shown.split(sign).skip(1).any(|rest| !rest.starts_with('\u{200b}')), "{}", shown);
                }
            }
            let kept = shown(&markup(&said)).replace('\u{200b}', "");
            prop_assert_eq!(kept, one_line(&said));
        });
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_how_much_is_missing() {
        assert_eq!(within("short", 5), "short");
        let long = "ä".repeat(5_000);
        for bytes_max in [0, 1, 7, 60, 61, 62, 9_998, 9_999] {
            let cut = within(&long, bytes_max);
            assert!(cut.len() <= bytes_max, "{bytes_max}: {}", cut.len());
        }
        let cut = within(&long, 100);
        let kept = cut.chars().filter(|c| *c == 'ä').count() * 2;
        assert!(cut.ends_with(&format!("… and {} bytes more, which do not fit in here", 10_000 - kept)), "{cut}");
    }
}
