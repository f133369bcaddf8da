//! Durations and sizes.

use super::kind::TextKind;
use super::sink::Fault;
use std::time::Duration;

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest duration in milliseconds: ten years.
const DURATION_MAX: u64 = 3_650 * DAY;
/// The longest time limit in milliseconds: a week.
const LIMIT_MAX: u64 = 7 * DAY;

const DURATION_UNITS: [(&str, u64); 5] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// A duration: `0s`, `500ms`, `1h30m`.
pub(super) struct Time;

impl TextKind for Time {
    type Out = Duration;
    const WHAT: &'static str = "a duration";
    const EXAMPLE: &'static str = "30s";

    fn parse(text: &str) -> Result<Duration, Fault> {
        let milliseconds = milliseconds(text).ok_or_else(|| {
            Fault::hinted("is not a duration", "write it like \"30s\", \"5m\", \"1h30m\" or \"500ms\"")
        })?;
        if milliseconds > DURATION_MAX {
            return Err(Fault::new("must be at most \"3650d\""));
        }
        Ok(Duration::from_millis(milliseconds))
    }

    fn text_schema() -> serde_json::Value {
        duration_schema()
    }
}

/// A time limit or pause: a duration that is more than nothing and at most a week.
pub(super) struct Limit;

impl TextKind for Limit {
    type Out = Duration;
    const WHAT: &'static str = "a duration above zero";
    const EXAMPLE: &'static str = "30s";

    fn parse(text: &str) -> Result<Duration, Fault> {
        let time = Time::parse(text)?;
        if time.is_zero() || time > Duration::from_millis(LIMIT_MAX) {
            return Err(Fault::new("must be from \"1ms\" to \"7d\""));
        }
        Ok(time)
    }

    fn text_schema() -> serde_json::Value {
        duration_schema()
    }
}

fn duration_schema() -> serde_json::Value {
    let pattern = "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m(?!s))?([0-9]+s)?([0-9]+ms)?$";
    serde_json::json!({ "type": "string", "pattern": pattern, "examples": ["30s", "1h30m"] })
}

/// Reads `1h30m`: every unit at most once, the largest first.
fn milliseconds(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut units = DURATION_UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (_, factor) = units.find(|(unit, _)| *unit == &after[..end])?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = &after[end..];
    }
    Some(total)
}

/// Splits off the digits at the start.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A number of bytes: `100 MiB`.
pub(super) struct Size<const MIN: u64>;

impl<const MIN: u64> TextKind for Size<MIN> {
    type Out = u64;
    const WHAT: &'static str = "a size";
    const EXAMPLE: &'static str = "100 MiB";

    fn parse(text: &str) -> Result<u64, Fault> {
        let bytes = bytes(text)
            .ok_or_else(|| Fault::hinted("is not a size", "write it like \"100 MiB\", \"2 GB\" or \"4096 B\""))?;
        if bytes < MIN {
            return Err(Fault::new(format!("must be at least {MIN} bytes")));
        }
        Ok(bytes)
    }

    fn text_schema() -> serde_json::Value {
        let pattern = "^[0-9]+ ?(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)$";
        serde_json::json!({ "type": "string", "pattern": pattern, "examples": [Self::EXAMPLE] })
    }
}

fn bytes(text: &str) -> Option<u64> {
    let (number, after) = leading_number(text)?;
    let unit = after.strip_prefix(' ').unwrap_or(after);
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        let ms = |text| Time::parse(text).ok().map(|d| d.as_millis());
        assert_eq!(ms("0s"), Some(0));
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1m5s20ms"), Some(65_020));
        assert_eq!(ms("30d"), Some(2_592_000_000));
        for text in
            ["", "30", "s", "-1s", "1 s", "30m1h", "1s1s", "1.5s", "٣s", "99999999999999999999s", "9999d", "0s x"]
        {
            assert_eq!(ms(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_limit_is_more_than_nothing() {
        assert!(Limit::parse("0s").is_err());
        assert!(Limit::parse("8d").is_err());
        assert!(Limit::parse("1ms").is_ok());
    }

    #[test]
    fn sizes_are_read_and_nonsense_is_refused() {
        let bytes = |text| Size::<0>::parse(text).ok();
        assert_eq!(bytes("100 MiB"), Some(104_857_600));
        assert_eq!(bytes("2GB"), Some(2_000_000_000));
        assert_eq!(bytes("0 B"), Some(0));
        for text in ["", "100", "MiB", "1  MiB", "1 mib", "-1 B", "1.5 GB", "99999999999 TiB"] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }
}
