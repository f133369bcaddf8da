//! Sizes as people read them: one kind of unit everywhere.

/// A size in decimal units, as disks and `df -H` have them: `512 B`, `4.1 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    // A figure for people: what f64 loses does not show.
    let (mut figure, mut unit) = (bytes as f64 / 1e3, 0);
    while figure >= 999.95 && unit + 1 < UNITS.len() {
        (figure, unit) = (figure / 1e3, unit + 1);
    }
    format!("{figure:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_units() {
        assert_eq!([bytes(999), bytes(1_000), bytes(4_100_000)], ["999 B", "1.0 kB", "4.1 MB"]);
        assert_eq!([bytes(999_999), bytes(u64::MAX)], ["1.0 MB", "18446.7 PB"]);
    }
}
