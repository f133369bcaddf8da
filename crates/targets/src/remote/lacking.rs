//! What a host lacks of an artifact, and what it has that is like it, as one message.
//!
//! Numbers of four bytes, little-endian: the chunks' average size; how many contents; for each of them the place of an
//! entry in the manifest that has it, and how many chunks follow for it; then all chunks' fingerprints, of eight bytes.

use super::chunk::ChunkSize;
use cutover_core::artifact::ENTRY_COUNT_MAX;
use std::io;

/// What a host lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// How the chunks were cut.
    pub size: ChunkSize,
    /// The contents, in the order in which they are awaited.
    pub contents: Vec<Lack>,
}

/// One content that a host lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The place in the manifest of an entry that has this content.
    pub entry: u32,
    /// The fingerprints of the chunks of something like it that the host has; none: it is to be sent whole.
    pub chunks: Vec<u64>,
}

impl Lacking {
    /// As bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut numbers = vec![self.size.bytes(), self.contents.len() as u32];
        numbers.extend(self.contents.iter().flat_map(|lack| [lack.entry, lack.chunks.len() as u32]));
        let chunks = self.contents.iter().flat_map(|lack| &lack.chunks);
        numbers.into_iter().flat_map(u32::to_le_bytes).chain(chunks.flat_map(|chunk| chunk.to_le_bytes())).collect()
    }

    /// The opposite of [`Lacking::pack`]: never more contents than a manifest can have.
    pub fn unpack(bytes: &[u8]) -> io::Result<Self> {
        let (average, rest) = number(bytes)?;
        let (count, rest) = number(rest)?;
        if count as usize > ENTRY_COUNT_MAX {
            return Err(invalid("more contents than an artifact can have"));
        }
        let size = ChunkSize::new(average).ok_or_else(|| invalid("chunks of an unknown size"))?;
        let rows_length = (count as usize).checked_mul(8).filter(|length| *length <= rest.len());
        let (mut rows, mut chunks) =
            rest.split_at(rows_length.ok_or_else(|| invalid("fewer contents than announced"))?);
        let mut contents = Vec::with_capacity(count as usize);
        while !rows.is_empty() {
            let (entry, more) = number(rows)?;
            let (chunk_count, more) = number(more)?;
            rows = more;
            let length = (chunk_count as usize).checked_mul(8).filter(|length| *length <= chunks.len());
            let (own, others) = chunks.split_at(length.ok_or_else(|| invalid("fewer chunks than announced"))?);
            chunks = others;
            contents.push(Lack { entry, chunks: fingerprints(own) });
        }
        if chunks.is_empty() { Ok(Self { size, contents }) } else { Err(invalid("more chunks than announced")) }
    }
}

fn number(bytes: &[u8]) -> io::Result<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(|| invalid("half of a list of contents"))?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn fingerprints(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the other side sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_arrives_as_it_was_sent_and_no_other_does(
            rows in vec((any::<u32>(), vec(any::<u64>(), 0..5)), 0..10),
            cut in any::<prop::sample::Index>(),
        ) {
            let contents = rows.into_iter().map(|(entry, chunks)| Lack { entry, chunks }).collect();
            let lacking = Lacking { size: ChunkSize::fitting(0), contents };
            let bytes = lacking.pack();

            prop_assert_eq!(Lacking::unpack(&bytes).unwrap(), lacking);
            prop_assert!(Lacking::unpack(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(Lacking::unpack(&[bytes, vec![0]].concat()).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..100), small in vec(0..9u32, 0..20)) {
            let likely = [4096].into_iter().chain(small).flat_map(u32::to_le_bytes).collect();
            for bytes in [bytes, likely] {
                if let Ok(lacking) = Lacking::unpack(&bytes) {
                    prop_assert_eq!(lacking.pack(), bytes);
                }
            }
        }
    }
}
