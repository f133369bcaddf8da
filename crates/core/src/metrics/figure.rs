//! Numbers that say how much they rest on.

use serde::{Deserialize, Serialize};

/// The fewest samples that a figure is made from; with fewer there is "not enough data".
pub const SAMPLE_COUNT_MIN: usize = 5;

/// A number, and from how many samples it was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// How many samples.
    pub n: usize,
    /// The number; None when there are fewer than [`SAMPLE_COUNT_MIN`] samples.
    pub value: Option<f64>,
}

impl Figure {
    /// A number that rests on `n` samples.
    pub fn new(n: usize, value: f64) -> Self {
        Self { n, value: (n >= SAMPLE_COUNT_MIN).then_some(value) }
    }

    /// The share, from 0 to 1, of `part` in `n`.
    pub fn share(part: usize, n: usize) -> Self {
        Self::new(n, part as f64 / n.max(1) as f64)
    }
}

/// How samples are spread: the middle, and what nine of ten stay within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle sample, or the mean of the two in the middle.
    pub median: Figure,
    /// The smallest sample that at least nine tenths do not exceed.
    pub p90: Figure,
}

impl Spread {
    /// The spread of these samples.
    pub fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let n = samples.len();
        let figure =
            |sample: Option<u64>| sample.map_or(Figure { n, value: None }, |sample| Figure::new(n, sample as f64));
        Self { median: figure(middle(&samples)), p90: figure(p90(&samples)) }
    }
}

/// The middle sample, or the mean of the two in the middle; None without samples.
pub fn median(mut samples: Vec<u64>) -> Option<u64> {
    samples.sort_unstable();
    middle(&samples)
}

fn middle(sorted: &[u64]) -> Option<u64> {
    let half = sorted.len() / 2;
    let upper = sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { *upper } else { sorted[half - 1].midpoint(*upper) })
}

fn p90(sorted: &[u64]) -> Option<u64> {
    let rank = (sorted.len() * 9).div_ceil(10);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_five_samples_there_is_not_enough_data() {
        let four = Spread::of(vec![1, 2, 3, 4]);
        assert_eq!((four.median.n, four.median.value, four.p90.value), (4, None, None));
        assert_eq!(Spread::of(Vec::new()).median, Figure { n: 0, value: None });
        assert_eq!(Figure::share(0, 0), Figure { n: 0, value: None });
    }

    #[test]
    fn the_median_is_the_middle_and_nine_of_ten_stay_within_p90() {
        let odd = Spread::of(vec![50, 10, 30, 20, 40]);
        assert_eq!((odd.median.value, odd.p90.value), (Some(30.0), Some(50.0)));
        let even = Spread::of((1..=10).collect());
        assert_eq!((even.median.value, even.p90.value), (Some(5.0), Some(9.0)));
    }
}
