//! Property tests that can be made longer.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::time::{Duration, Instant};

/// How many seconds a property is tried at least, beyond its least number of cases.
const SECONDS_VARIABLE: &str = "CUTOVER_FUZZ_SECONDS";

/// A property is tried on at least `case_count` random values, on more where `PROPTEST_CASES` asks for more.
///
/// Proptest's own `with_cases` would not listen to that variable.
#[must_use]
pub fn at_least(case_count: u32) -> Config {
    let asked = Config::default();
    Config { cases: asked.cases.max(case_count), failure_persistence: None, ..asked }
}

/// Tries a property on at least `case_count` random values: on more where `PROPTEST_CASES` asks for more, and for longer
/// where `CUTOVER_FUZZ_SECONDS` does. Prints on how many.
///
/// # Panics
/// With the smallest value found for which the property does not hold.
pub fn fuzz<S: Strategy>(case_count: u32, values: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let until = Instant::now() + wanted();
    let config = at_least(case_count);
    let mut tried: u64 = 0;
    loop {
        if let Err(error) = TestRunner::new(config.clone()).run(values, &holds) {
            panic!("{error}");
        }
        tried += u64::from(config.cases);
        if Instant::now() >= until {
            return println!("tried on {tried} values");
        }
    }
}

fn wanted() -> Duration {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
