//! Keeping what another machine says, but never more than it can have to say.

use std::io::{self, Write};

/// The largest message in bytes.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Bounded {
    pub(crate) bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("the host says too much"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
