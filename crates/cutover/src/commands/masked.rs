//! Output of other machines on its way to whoever reads it, with the secrets hidden that only this one knows.

use crate::error::{CommandError, output_failed};
use cutover_core::mask::{Masker, Stream};
use std::io::{self, Write};

/// Has something written through a [`Masked`], and writes what that held back however the writing ended.
pub(super) fn through<W: Write, T>(
    inner: W,
    masker: &Masker,
    write: impl FnOnce(&mut Masked<W>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut masked = Masked::new(inner, masker);
    let written = write(&mut masked);
    let finished = masked.finish().map_err(|error| output_failed(&error));
    // Why the writing failed says more than that its end could not be told either.
    written.and_then(|written| finished.map(|()| written))
}

/// Hides secrets in what is written through it.
pub(super) struct Masked<W> {
    inner: W,
    stream: Stream,
}

impl<W: Write> Masked<W> {
    /// What is written to it goes on to `inner`.
    fn new(inner: W, masker: &Masker) -> Self {
        Self { inner, stream: masker.stream() }
    }

    /// Writes what was held back.
    fn finish(&mut self) -> io::Result<()> {
        let mut told = Vec::new();
        self.stream.finish(&mut told);
        self.inner.write_all(&told)?;
        self.inner.flush()
    }
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut told = Vec::new();
        self.stream.push(bytes, &mut told);
        if bytes.ends_with(b"\n") {
            // Nothing more of this line comes: what might have been the beginning of a secret is none.
            self.stream.finish(&mut told);
        }
        self.inner.write_all(&told)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use cutover_core::secret::Secret;

    #[test]
    fn a_secret_is_hidden_wherever_the_pieces_end_and_lines_are_not_kept_waiting() {
        let secret = Secret::new("made-up");
        let mut masked = Masked::new(Vec::new(), &Masker::new([("TOKEN", &secret)]));

        masked.write_all(b"one ma").unwrap();
        masked.write_all(b"de-up two made\n").unwrap();
        assert_eq!(masked.inner, b"one *** two made\n");
        masked.write_all(b"three mad").unwrap();
        masked.finish().unwrap();
        assert_eq!(masked.inner, b"one *** two made\nthree mad");
    }

    #[test]
    fn what_was_held_back_is_written_also_when_asking_fails() {
        let (secret, mut told) = (Secret::new("made-up"), Vec::new());
        let masker = Masker::new([("TOKEN", &secret)]);

        let asked: Result<(), CommandError> = through(&mut told, &masker, |masked| {
            masked.write_all(b"one mad").unwrap();
            Err(CommandError::new(ErrorKind::Unreachable, "lost the connection"))
        });

        assert_eq!(asked.unwrap_err().message(), "lost the connection");
        assert_eq!(told, b"one mad");
    }
}
