//! Property tests that can be made longer.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::time::{Duration, Instant};

/// How many seconds a property is tried at least, beyond its least number of cases.
const SECONDS_VARIABLE: &str = "CUTOVER_FUZZ_SECONDS";

/// Tries a property on at least `case_count` random values, for longer where `CUTOVER_FUZZ_SECONDS` says so.
///
/// # Panics
/// With the smallest value found for which the property does not hold.
pub fn fuzz<S: Strategy>(case_count: u32, values: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let until = Instant::now() + wanted();
    loop {
        let config = Config { cases: case_count, failure_persistence: None, ..Config::default() };
        if let Err(error) = TestRunner::new(config).run(values, &holds) {
            panic!("{error}");
        }
        if Instant::now() >= until {
            return;
        }
    }
}

fn wanted() -> Duration {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
