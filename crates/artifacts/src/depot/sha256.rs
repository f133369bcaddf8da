//! SHA-256, which everybody can recompute.

use ring::digest::{Context, SHA256};
use std::io::{self, Write};

/// The digest of bytes, in hexadecimal characters.
pub(crate) fn of(bytes: &[u8]) -> String {
    let mut digest = Digesting::new(io::sink());
    digest.context.update(bytes);
    digest.finish().1
}

/// Whether a text is such a digest.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Bytes as hexadecimal characters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A string takes whatever is written to it.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Takes the digest of all that passes through it.
pub(crate) struct Digesting<W> {
    inner: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Digesting<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    /// How many bytes passed, and their digest.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.bytes, hex(self.context.finish().as_ref()))
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.context.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_fips_180_says() {
        assert_eq!(of(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(is_digest(&of(b"")) && !is_digest(&of(b"").to_uppercase()));
    }
}
