//! Cutting a content into chunks where its own bytes say so (FastCDC), so that a change moves only the cuts around it.
//!
//! Both sides cut the same bytes in the same places, whatever stands before them.

use fastcdc::v2020::FastCDC;
use std::io::{self, Read};

/// The smallest average, in bytes. Smaller chunks would tell a change more exactly, and cost more to list than that saves.
const AVERAGE_MIN: u32 = 4 << 10;
/// The largest average, in bytes.
const AVERAGE_MAX: u32 = 256 << 10;
/// As many chunks as all the files of one delivery are cut into, about.
const CHUNK_COUNT: u64 = 1 << 18;
/// How much smaller and larger than the average a chunk can be.
const SPREAD: usize = 4;
/// How much is read at once at least.
const BUFFER_BYTES_MIN: usize = 1 << 20;

/// As many bytes are cut into chunks for one delivery at most: 64 GiB.
pub const CHUNKED_BYTES_MAX: u64 = AVERAGE_MAX as u64 * CHUNK_COUNT;

/// How large chunks are on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize(u32);

impl ChunkSize {
    /// The size with which this many bytes make a list of chunks that is small beside them.
    pub fn fitting(bytes: u64) -> Self {
        let wanted = bytes.div_ceil(CHUNK_COUNT).next_power_of_two();
        Self(u32::try_from(wanted).unwrap_or(AVERAGE_MAX).clamp(AVERAGE_MIN, AVERAGE_MAX))
    }

    /// A size that the other side chose; None for one that [`ChunkSize::fitting`] never gives.
    pub fn new(bytes: u32) -> Option<Self> {
        let is_sound = bytes.is_power_of_two() && (AVERAGE_MIN..=AVERAGE_MAX).contains(&bytes);
        is_sound.then_some(Self(bytes))
    }

    /// The average in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

/// What a chunk is recognised by: the beginning of its BLAKE3 digest.
///
/// Two chunks that are taken for each other make a content whose whole digest is wrong, and that is always looked at.
pub fn fingerprint(chunk: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(chunk).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The chunks of a content, one after the other; of the content little more than one is in memory.
pub struct Chunks<R> {
    content: R,
    average: usize,
    buffer: Vec<u8>,
    /// What of the buffer was read and not given out yet.
    start: usize,
    end: usize,
    is_at_end: bool,
}

impl<R: Read> Chunks<R> {
    /// Cuts this content.
    pub fn of(content: R, size: ChunkSize) -> Self {
        let average = size.0 as usize;
        let buffer = vec![0; BUFFER_BYTES_MIN.max(2 * average * SPREAD)];
        Self { content, average, buffer, start: 0, end: 0, is_at_end: false }
    }

    /// The next chunk; None at the end.
    pub fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        if self.end - self.start < self.average * SPREAD {
            self.fill()?;
        }
        let window = &self.buffer[self.start..self.end.min(self.start + self.average * SPREAD)];
        if window.is_empty() {
            return Ok(None);
        }
        let cutter = FastCDC::new(window, self.average / SPREAD, self.average, self.average * SPREAD);
        let (_, length) = cutter.cut(0, window.len());
        self.start += length;
        Ok(Some(&window[..length]))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while !self.is_at_end && self.end < self.buffer.len() {
            match self.content.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_chunks_is_small_beside_what_it_is_of() {
        for (bytes, average) in [(0, 4 << 10), (500 << 20, 4 << 10), (16 << 30, 64 << 10), (u64::MAX, 256 << 10)] {
            assert_eq!(ChunkSize::fitting(bytes).bytes(), average, "{bytes}");
        }
        assert!([0, 1, 4095, 4097, 2048, 512 << 10].into_iter().all(|bytes| ChunkSize::new(bytes).is_none()));
        assert_eq!(ChunkSize::new(8192), Some(ChunkSize(8192)));
    }

    #[test]
    fn chunks_are_the_content_in_pieces_of_bounded_size() {
        let content: Vec<u8> =
            (0..3_000_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let size = ChunkSize::fitting(0);
        let mut chunks = Chunks::of(content.as_slice(), size);
        let mut whole: Vec<u8> = Vec::new();
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            assert!(!chunk.is_empty() && chunk.len() <= size.0 as usize * SPREAD);
            whole.extend(chunk);
        }
        assert!(whole == content);
    }
}
