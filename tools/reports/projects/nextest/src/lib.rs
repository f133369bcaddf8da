//! Each way in which a test can end.

#[cfg(test)]
mod tests {
    #[test]
    fn passes() {
        assert_eq!(2 + 2, 4);
    }

    #[test]
    fn fails() {
        assert_eq!(2 + 2, 5, "sums & <more>");
    }

    #[test]
    #[ignore]
    fn is_left_out() {}

    #[test]
    fn passes_at_its_second_attempt() {
        let mark = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("attempted");
        let attempted = mark.exists();
        std::fs::write(mark, "").unwrap();
        assert!(attempted, "first attempt");
    }

    #[test]
    fn aborts() {
        std::process::abort();
    }
}
