//! How long to wait, and for what: pure, so that it is tested without any waiting.
//!
//! The source is "Best practices for using the REST API" and "Rate limits for the REST API" of GitHub's documentation.

pub(super) use cutover_core::patience::trouble_pause;
pub use cutover_core::patience::{Pace, Patience};
use cutover_core::patience::{TROUBLE_PAUSE, doubled};
use jiff::Timestamp;
use std::time::Duration;

/// The least pause after a secondary limit that says nothing of its length.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that anything asks for: more is cut to it, and is more than there is patience for anyway.
const PAUSE_MAX: Duration = cutover_core::patience::PAUSE_MAX;

/// The time that all live in.
#[derive(Debug, Clone, Copy)]
pub struct RealPace;

impl Pace for RealPace {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// What an answer's headers say of waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heed {
    /// `retry-after`, in seconds.
    pub(super) retry_after: Option<u64>,
    /// `x-ratelimit-remaining`.
    pub(super) remaining: Option<u64>,
    /// `x-ratelimit-reset`, in seconds since 1970.
    pub(super) reset: Option<i64>,
    /// `date`: what GitHub's own clock says, to which `reset` belongs.
    pub(super) date: Option<Timestamp>,
}

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It is one.
    Take,
    /// The token is unknown.
    Unknown,
    /// The token may not.
    Refused,
    /// Sending the same again would not help.
    Rejected,
    /// Too many requests; this one was not heard. To be sent again after this pause.
    Limited(Duration),
    /// GitHub has trouble of its own, and may have done it. To be sent again after this pause.
    Trouble(Duration),
}

/// What to do about an answer with this status, these headers and this message, at the attempt of this number, from 0.
pub(super) fn course(status: u16, heed: &Heed, message: &str, attempt: u32, now: Timestamp) -> Course {
    match status {
        200..300 => Course::Take,
        401 => Course::Unknown,
        429 => Course::Limited(limit_pause(heed, attempt, now)),
        403 if is_limit(heed, message) => Course::Limited(limit_pause(heed, attempt, now)),
        403 | 404 => Course::Refused,
        408 | 500.. => Course::Trouble(asked(heed).unwrap_or_else(|| trouble_pause(attempt))),
        _ => Course::Rejected,
    }
}

/// 403 is the answer both to those who may not and to those who ask too often.
fn is_limit(heed: &Heed, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let says_so = ["rate limit", "abuse detection"].iter().any(|words| message.contains(words));
    heed.retry_after.is_some() || heed.remaining == Some(0) || says_so
}

fn limit_pause(heed: &Heed, attempt: u32, now: Timestamp) -> Duration {
    asked(heed).or_else(|| until_reset(heed, now)).unwrap_or_else(|| doubled(LIMIT_PAUSE, attempt))
}

/// What `retry-after` asks for; never nothing.
fn asked(heed: &Heed) -> Option<Duration> {
    heed.retry_after.map(|seconds| Duration::from_secs(seconds).clamp(TROUBLE_PAUSE, PAUSE_MAX))
}

/// Until the hour's requests are counted anew. A time that is over says nothing: it is no leave to ask at once.
fn until_reset(heed: &Heed, now: Timestamp) -> Option<Duration> {
    let reset = heed.reset.filter(|_| heed.remaining == Some(0))?;
    let ahead = reset.saturating_sub(heed.date.unwrap_or(now).as_second());
    // One more, since the answer's second had begun.
    let seconds = u64::try_from(ahead).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds.saturating_add(1)).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn seconds(course: Course) -> u64 {
        match course {
            Course::Limited(pause) | Course::Trouble(pause) => pause.as_secs(),
            Course::Take | Course::Unknown | Course::Refused | Course::Rejected => 0,
        }
    }

    #[test]
    fn who_may_not_is_told_from_who_asks_too_often() {
        let plain = Heed::default();
        assert_eq!(course(403, &plain, "Resource not accessible by integration", 0, now()), Course::Refused);
        assert_eq!(course(404, &plain, "Not Found", 0, now()), Course::Refused);
        assert_eq!(course(401, &plain, "Bad credentials", 0, now()), Course::Unknown);
        assert_eq!(course(422, &plain, "Validation Failed", 0, now()), Course::Rejected);
        let told = course(403, &plain, "You have exceeded a secondary rate limit", 0, now());
        assert_eq!(told, Course::Limited(Duration::from_secs(60)));
        let counted = Heed { remaining: Some(0), ..Heed::default() };
        assert!(matches!(course(403, &counted, "", 0, now()), Course::Limited(_)));
    }

    #[test]
    fn github_is_given_the_time_that_it_asks_for() {
        let asked = |seconds| Heed { retry_after: Some(seconds), remaining: Some(0), ..Heed::default() };
        assert_eq!(seconds(course(429, &asked(37), "", 0, now())), 37);
        assert_eq!(seconds(course(429, &asked(0), "", 0, now())), 1, "no pause at all is none");
        assert_eq!(seconds(course(429, &asked(u64::MAX), "", 0, now())), 86_400);
        assert_eq!(seconds(course(503, &asked(5), "", 0, now())), 5);

        let reset = |ahead: i64| Heed {
            remaining: Some(0),
            reset: Some(now().as_second() + ahead),
            date: Some(now()),
            ..Heed::default()
        };
        // Our own clock is two hours ahead of GitHub's: its own counts.
        let wrong = now() + Duration::from_hours(2);
        assert_eq!(seconds(course(403, &reset(90), "", 0, wrong)), 91);
        for over in [0, -1, -3_600, i64::MIN / 2] {
            assert_eq!(seconds(course(403, &reset(over), "", 0, now())), 60, "{over}");
            assert_eq!(seconds(course(403, &reset(over), "", 2, now())), 240, "{over}");
        }
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        let plain = Heed::default();
        let pauses: Vec<u64> = (0..5).map(|attempt| seconds(course(502, &plain, "", attempt, now()))).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
        assert_eq!(seconds(course(429, &plain, "", u32::MAX, now())), 61_440);
    }
}
