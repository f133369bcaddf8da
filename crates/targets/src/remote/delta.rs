//! A content told by what the other side has of it already: as instructions to copy chunks, and the bytes between them.
//!
//! An instruction is two numbers (four bytes each, little-endian): how many, and the first chunk to copy; in place of the
//! chunk `LITERAL` says that as many bytes follow.

use super::chunk::{ChunkSize, Chunks, fingerprint};
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Stands for bytes that follow.
const LITERAL: u32 = u32::MAX;
/// The most chunks that are copied by one instruction: something is said of a long content again and again.
const RUN_COUNT_MAX: u32 = 1024;

/// The chunks that the other side has, by their fingerprints.
#[derive(Debug)]
pub struct Known {
    chunks: Vec<u64>,
    /// Their places, sorted by fingerprint.
    order: Vec<u32>,
}

impl Known {
    /// These chunks, in the order in which they stand there.
    pub fn new(chunks: Vec<u64>) -> Self {
        let count = u32::try_from(chunks.len()).unwrap_or(LITERAL);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by_key(|place| (chunks[*place as usize], *place));
        Self { chunks, order }
    }

    /// Where such a chunk stands: at `hoped_for`, if one stands there, else anywhere.
    fn find(&self, fingerprint: u64, hoped_for: u32) -> Option<u32> {
        if self.chunks.get(hoped_for as usize) == Some(&fingerprint) {
            return Some(hoped_for);
        }
        let at = self.order.partition_point(|place| self.chunks[*place as usize] < fingerprint);
        self.order.get(at).copied().filter(|place| self.chunks[*place as usize] == fingerprint)
    }
}

/// Tells a content by what the other side has of it; gives its size.
pub fn describe(content: impl Read, known: &Known, size: ChunkSize, to: &mut impl Write) -> io::Result<u64> {
    let mut chunks = Chunks::of(content, size);
    let (mut first, mut count, mut bytes) = (0, 0, 0);
    while let Some(chunk) = chunks.next_chunk()? {
        bytes += chunk.len() as u64;
        let found = known.find(fingerprint(chunk), first + count);
        if found == Some(first + count) && count < RUN_COUNT_MAX {
            count += 1;
            continue;
        }
        copy(first, count, to)?;
        (first, count) = found.map_or((0, 0), |found| (found, 1));
        if found.is_none() {
            instruct(chunk.len() as u32, LITERAL, to)?;
            to.write_all(chunk)?;
        }
    }
    copy(first, count, to)?;
    Ok(bytes)
}

fn copy(first: u32, count: u32, to: &mut impl Write) -> io::Result<()> {
    if count == 0 { Ok(()) } else { instruct(count, first, to) }
}

fn instruct(count: u32, first: u32, to: &mut impl Write) -> io::Result<()> {
    to.write_all(&count.to_le_bytes())?;
    to.write_all(&first.to_le_bytes())
}

/// A file of this side, cut into chunks.
#[derive(Debug)]
pub struct Base<F> {
    file: F,
    /// Where each chunk begins, and where the last one ends.
    starts: Vec<u64>,
}

impl<F: Read + Seek> Base<F> {
    /// Cuts a file; gives its chunks' fingerprints with it.
    pub fn cut(mut file: F, size: ChunkSize) -> io::Result<(Self, Vec<u64>)> {
        let (mut starts, mut fingerprints, mut at) = (vec![0], Vec::new(), 0);
        let mut chunks = Chunks::of(&mut file, size);
        while let Some(chunk) = chunks.next_chunk()? {
            at += chunk.len() as u64;
            starts.push(at);
            fingerprints.push(fingerprint(chunk));
        }
        Ok((Self { file, starts }, fingerprints))
    }

    /// Where a run of chunks lies: its first byte, and its size.
    fn find(&self, first: u32, count: u32) -> Option<(u64, u64)> {
        let (first, count) = (first as usize, count as usize);
        let (start, end) = (self.starts.get(first)?, self.starts.get(first.checked_add(count)?)?);
        Some((*start, end - start))
    }
}

/// Puts a content together from a base and instructions.
#[derive(Debug)]
pub struct Rebuild<F> {
    base: Base<F>,
    is_copying: bool,
    /// Bytes that the instruction at work still stands for.
    left: u64,
}

impl<F: Read + Seek> Rebuild<F> {
    /// Copies from this base.
    pub fn from(base: Base<F>) -> Self {
        Self { base, is_copying: false, left: 0 }
    }

    /// Reads the next bytes of the content, of which `content_left` are still to come; 0 where the instructions end.
    ///
    /// Fails with an instruction that would make more of it, or names a chunk that the base does not have.
    pub fn read(&mut self, from: &mut impl Read, buffer: &mut [u8], content_left: u64) -> io::Result<usize> {
        if self.left == 0 {
            self.begin(from, content_left)?;
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let part = &mut buffer[..wanted];
        let count = if self.is_copying { self.base.file.read(part) } else { from.read(part) }?;
        self.left -= count as u64;
        Ok(count)
    }

    fn begin(&mut self, from: &mut impl Read, content_left: u64) -> io::Result<()> {
        let (count, first) = (number(from)?, number(from)?);
        self.is_copying = first != LITERAL;
        let found = if self.is_copying { self.base.find(first, count) } else { Some((0, u64::from(count))) };
        let Some((start, bytes)) = found.filter(|(_, bytes)| *bytes > 0 && *bytes <= content_left) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an instruction that cannot be followed"));
        };
        if self.is_copying {
            self.base.file.seek(SeekFrom::Start(start))?;
        }
        self.left = bytes;
        Ok(())
    }
}

fn number(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_testkit::fuzz::at_least;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Bytes that repeat nowhere.
    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
        noise
    }

    /// The content as it is told to a side that has the base.
    fn told(base: &[u8], content: &[u8]) -> Vec<u8> {
        let size = ChunkSize::fitting(base.len() as u64);
        let (_, fingerprints) = Base::cut(Cursor::new(base), size).unwrap();
        let mut instructions = Vec::new();
        let bytes = describe(content, &Known::new(fingerprints), size, &mut instructions).unwrap();
        assert_eq!(bytes, content.len() as u64);
        instructions
    }

    /// What comes of instructions, as far as they can be followed.
    fn rebuilt(base: &[u8], instructions: &[u8], bytes: u64) -> io::Result<Vec<u8>> {
        let (base, _) = Base::cut(Cursor::new(base), ChunkSize::fitting(base.len() as u64))?;
        let (mut rebuild, mut from, mut content) = (Rebuild::from(base), instructions, Vec::new());
        let mut buffer = [0; 10_000];
        while (content.len() as u64) < bytes {
            let count = rebuild.read(&mut from, &mut buffer, bytes - content.len() as u64)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            content.extend(&buffer[..count]);
        }
        Ok(content)
    }

    #[test]
    fn a_content_with_one_percent_changed_here_and_there_costs_less_than_two() {
        let base = noise(1, 20 << 20);
        let mut content = base.clone();
        // Twenty changes, a percent of it together, and one that moves all the rest.
        for change in 0..20 {
            content[change << 20..][..10_000].copy_from_slice(&noise(change as u64 + 2, 10_000));
        }
        content.splice(5_000_000..5_000_010, noise(99, 1000));

        let instructions = told(&base, &content);

        assert!(instructions.len() * 50 < content.len(), "{} bytes", instructions.len());
        assert!(rebuilt(&base, &instructions, content.len() as u64).unwrap() == content);
    }

    #[test]
    fn a_content_that_repeats_itself_is_told_in_a_few_words() {
        let base = vec![7; 10 << 20];
        assert!(told(&base, &base).len() < 100);
    }

    #[test]
    fn an_instruction_that_cannot_be_followed_is_refused() {
        let base = noise(1, 100_000);
        let chunk_count = Base::cut(Cursor::new(&base), ChunkSize::fitting(0)).unwrap().1.len() as u32;
        let literal = [&5u32.to_le_bytes()[..], &LITERAL.to_le_bytes(), b"hello"].concat();
        for (count, first) in
            [(0, 0), (0, LITERAL), (11, LITERAL), (1, chunk_count), (chunk_count, 1), (u32::MAX, 1), (1, 0)]
        {
            let bytes = [&count.to_le_bytes()[..], &first.to_le_bytes()].concat();
            let error = rebuilt(&base, &bytes, 10).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{count} {first}");
        }
        assert_eq!(rebuilt(&base, &literal, 5).unwrap(), b"hello");
        assert_eq!(rebuilt(&base, &literal, 6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// A change of a content: where, how much is taken out, and what is put there instead.
    fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
        vec((any::<usize>(), 0..20_000usize, vec(any::<u8>(), 0..3000)), 0..6)
    }

    proptest! {
        #![proptest_config(at_least(64))]

        #[test]
        fn whatever_was_changed_arrives(seed: u64, bytes in 0..300_000usize, edits in edits(), swap: bool) {
            let base = noise(seed, bytes);
            let mut content = base.clone();
            for (at, taken, put) in edits {
                let at = at % (content.len() + 1);
                let end = content.len().min(at + taken);
                content.splice(at..end, put);
            }
            if swap {
                let by = content.len() / 2;
                content.rotate_left(by);
            }
            let instructions = told(&base, &content);
            prop_assert!(rebuilt(&base, &instructions, content.len() as u64).unwrap() == content);
        }

        #[test]
        fn arbitrary_instructions_do_no_harm(instructions in vec(any::<u8>(), 0..100), small in vec(0..40u32, 0..20)) {
            let base = noise(1, 100_000);
            let likely: Vec<u8> = small.iter().flat_map(|number| number.to_le_bytes()).collect();
            for instructions in [instructions, likely] {
                if let Ok(content) = rebuilt(&base, &instructions, 200_000) {
                    prop_assert_eq!(content.len(), 200_000);
                }
            }
        }
    }
}
