//! `--since`: how far back to look.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// The longest time that can be looked back, in days: 100 years.
const DAYS_MAX: u64 = 36_500;

/// A span before now, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Ago(SignedDuration),
    At(Timestamp),
}

impl Since {
    /// The moment that is meant, seen from `now`.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = || text.parse::<Timestamp>().ok().or_else(|| midnight(text));
        let since = ago(text).map(Self::Ago).or_else(|| moment().map(Self::At));
        since.ok_or_else(|| "use a span like 90m, 12h, 30d or 8w, or a date like 2026-11-21".to_owned())
    }
}

/// A span alone, for times ahead: `90s`, `30m`, `2h`, `3d`.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    ago(text).ok_or_else(|| format!("use a span like 90s, 30m, 2h, 3d or 1w, of {DAYS_MAX} days at most"))
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let total = count.checked_mul(seconds).filter(|total| *total <= DAYS_MAX * 86_400)?;
    i64::try_from(total).ok().map(SignedDuration::from_secs)
}

fn midnight(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_dates_and_times_are_understood() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let before = |text: &str| text.parse::<Since>().unwrap().before(now).to_string();
        assert_eq!(before("90m"), "2026-11-21T08:30:00Z");
        assert_eq!(before("2w"), "2026-11-07T10:00:00Z");
        assert_eq!(before("2026-11-01"), "2026-11-01T00:00:00Z");
        assert_eq!(before("2026-11-01T12:00:00+02:00"), "2026-11-01T10:00:00Z");
    }

    #[test]
    fn a_span_may_have_seconds_and_says_its_bound() {
        assert_eq!(span("2s").unwrap(), SignedDuration::from_secs(2));
        assert_eq!(span("1w").unwrap(), SignedDuration::from_hours(7 * 24));
        assert_eq!(span("40000d").unwrap_err(), "use a span like 90s, 30m, 2h, 3d or 1w, of 36500 days at most");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "d", "-3d", "3", "3y", "99999999999999999999d", "40000d", "yesterday", "3ü"] {
            assert!(text.parse::<Since>().is_err(), "{text:?}");
        }
    }
}
