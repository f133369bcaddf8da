//! Texts as parts of addresses.

use std::fmt::Write as _;

/// A text as a value of a query, or as one segment of a path: every byte but the unreserved characters of RFC 3986 (section 2.3) as
/// `%XX`, the slash as well.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut safe, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            // A string takes whatever is written to it.
            let _ = write!(safe, "%{byte:02X}");
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        assert_eq!(encoded("aZ09-._~"), "aZ09-._~");
        assert_eq!(encoded("a/b c+ä:&=#%"), "a%2Fb%20c%2B%C3%A4%3A%26%3D%23%25");
    }
}
