//! Figures and texts as people read them.

pub use cutover_core::size::bytes;
use std::time::Duration;

/// A duration in at most two units: `0.12s`, `12.3s`, `2m 05s`, `1h 02m`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400.. => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Advice with the environment's name for each word `ENV`.
pub fn in_environment(advice: &str, environment: &str) -> String {
    let is_place = |word: &&str| word.trim_matches(['`', ',', ';', '.', ':']) == "ENV";
    let name = |word: &str| if is_place(&word) { word.replace("ENV", environment) } else { word.to_owned() };
    advice.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

/// Progress: `412/1000 files`, `4.1 MB of 12.0 MB`, `412 files` when the total is unknown.
pub(super) fn progress(done: u64, total: u64, unit: &str) -> String {
    match (unit, total) {
        ("bytes", 0) => bytes(done),
        ("bytes", total) => format!("{} of {}", bytes(done), bytes(total)),
        (unit, 0) => format!("{done} {unit}"),
        (unit, total) => format!("{done}/{total} {unit}"),
    }
}

/// The text in one line without control characters and terminal escapes, which could rewrite what
/// was told before. Of a line that a program overwrote with carriage returns, the last state.
pub fn one_line(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let last_state = text.rsplit_once('\r').map_or(text, |(_, last)| last);
    harmless(last_state, |c, out| {
        if matches!(c, '\t' | '\n') {
            out.push(' ');
        }
    })
}

/// A log's text as it stands, lines and tabs included, without terminal escapes; other control
/// characters are spelled out: `\u{7}`.
pub fn log_text(text: &str) -> String {
    harmless(text, |c, out| match c {
        '\n' | '\t' => out.push(c),
        c => out.extend(c.escape_default()),
    })
}

/// Leaves escape sequences out; `control` says what becomes of other characters that steer.
fn harmless(text: &str, control: impl Fn(char, &mut String)) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut rest),
            c if is_steering(c) => control(c, &mut out),
            c => out.push(c),
        }
    }
    out
}

/// Skips the rest of an escape sequence as ECMA-48 delimits it: CSI, OSC and its kin, or one letter.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_control_sequence(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_control_string(rest),
        Some(_) | None => {}
    }
}

fn skip_control_sequence(rest: &mut std::str::Chars<'_>) {
    rest.find(|c| ('@'..='~').contains(c));
}

fn skip_control_string(rest: &mut std::str::Chars<'_>) {
    rest.find(|c| matches!(c, '\x07' | '\x1b' | '\u{9c}'));
}

/// Characters that steer a terminal instead of standing on it.
pub(crate) fn is_steering(c: char) -> bool {
    c.is_control() || is_direction(c)
}

/// Characters that turn the order of what follows around.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The text, cut to `width` characters with an ellipsis.
pub(super) fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            let kept: String = text.chars().take(width.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!([shown(0), shown(124), shown(12_345), shown(125_000)], ["0.00s", "0.12s", "12.3s", "2m 05s"]);
        assert_eq!([shown(3_725_000), shown(200_000_000)], ["1h 02m", "2d 07h"]);
    }

    #[test]
    fn what_a_program_says_cannot_steer_the_terminal() {
        assert_eq!(one_line("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end\x08\u{202e}\n"), "red end");
        assert_eq!(one_line("10%\r50%\r100%\r\n"), "100%");
        assert_eq!(one_line("a\tb\nc\x1b"), "a b c");
        assert_eq!(one_line("\u{9b}31mred\u{9d}0;title\u{9c} end"), "red end");
    }

    #[test]
    fn a_log_keeps_its_lines_and_tabs_and_nothing_that_steers() {
        assert_eq!(log_text("a\tb\n\x1b[31mred\x1b[0m\r\n\u{9b}1mbell\x07\n"), "a\tb\nred\\r\nbell\\u{7}\n");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("größer als das", Some(7)), "größer…");
        assert_eq!(cut("kurz", Some(4)), "kurz");
        assert_eq!(cut("kurz", Some(0)), "…");
    }
}
