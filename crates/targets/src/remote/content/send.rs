//! The side that has the contents.

use super::LEVEL;
use crate::remote::delta::{Known, describe};
use crate::remote::frame::{Kind, PIECE_BYTES_MAX, Sender};
use crate::remote::lacking::{Lack, Lacking};
use cutover_core::artifact::{BlobSource, Digest, Manifest, ManifestEntry};
use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// How long what was said of a content waits for more: the host takes long silence for the end.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Sends the contents that were asked for, each of them once; says so when one cannot be had.
pub fn send<W: Write>(
    sender: &Sender<W>,
    manifest: &Manifest,
    source: &dyn BlobSource,
    lacking: Lacking,
) -> io::Result<()> {
    let mut flow = Flow::to(sender)?;
    let entries: Vec<&ManifestEntry> = manifest.entries.values().collect();
    let Lacking { size, contents } = lacking;
    let mut asked = HashSet::new();
    for Lack { entry, chunks } in contents {
        let Some(ManifestEntry::File { digest, bytes, .. }) = entries.get(entry as usize) else {
            return sender.send(Kind::Unavailable, b"a content is none of this artifact's");
        };
        if !asked.insert(*digest) {
            return sender.send(Kind::Unavailable, b"a content was asked for twice");
        }
        let sent = if chunks.is_empty() {
            copy(source, digest, *bytes, &mut flow)
        } else {
            let content = source.open(digest).map(|content| content.take(*bytes));
            content.and_then(|content| whole(describe(content, &Known::new(chunks), size, &mut flow)?, *bytes))
        };
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
            Err(error) => {
                let why = format!("content {}: {error}", digest.short());
                return sender.send(Kind::Unavailable, why.as_bytes());
            }
        }
    }
    flow.finish()
}

/// Copies exactly as many bytes as announced.
fn copy(source: &dyn BlobSource, digest: &Digest, bytes: u64, to: &mut impl Write) -> io::Result<()> {
    whole(io::copy(&mut source.open(digest)?.take(bytes), to)?, bytes)
}

fn whole(sent: u64, bytes: u64) -> io::Result<()> {
    if sent < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A compressed stream that is never silent for long while something is written to it.
struct Flow<'a, W: Write> {
    encoder: zstd::Encoder<'static, Pieces<'a, W>>,
}

impl<'a, W: Write> Flow<'a, W> {
    fn to(sender: &'a Sender<W>) -> io::Result<Self> {
        let pieces = Pieces { sender, piece: Vec::with_capacity(PIECE_BYTES_MAX), sent_at: Instant::now() };
        Ok(Self { encoder: zstd::Encoder::new(pieces, LEVEL)? })
    }

    fn finish(self) -> io::Result<()> {
        self.encoder.finish()?.finish()
    }
}

impl<W: Write> Write for Flow<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.encoder.get_ref().sent_at.elapsed() > QUIET_MAX {
            self.encoder.flush()?;
        }
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

/// Cuts a stream into frames.
struct Pieces<'a, W> {
    sender: &'a Sender<W>,
    piece: Vec<u8>,
    sent_at: Instant,
}

impl<W: Write> Pieces<'_, W> {
    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.sender.send(Kind::Content, &[])
    }
}

impl<W: Write> Write for Pieces<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES_MAX - self.piece.len());
        self.piece.extend(&bytes[..count]);
        if self.piece.len() == PIECE_BYTES_MAX {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.sender.send(Kind::Content, &self.piece)?;
        self.piece.clear();
        self.sent_at = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::chunk::ChunkSize;
    use crate::remote::frame::receive;
    use cutover_core::artifact::RelativePath;
    use std::path::PathBuf;

    /// The same content whatever is asked for.
    struct Always(&'static str);

    impl BlobSource for Always {
        fn open(&self, _: &Digest) -> io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(self.0.as_bytes()))
        }

        fn path(&self, _: &Digest) -> Option<PathBuf> {
            None
        }
    }

    /// The kinds of what is sent for these entries of a manifest of two files with one content.
    fn sent(entries: &[u32]) -> Vec<Kind> {
        let source = Always("content");
        let file = || ManifestEntry::File { digest: Digest::of(source.0.as_bytes()), bytes: 7, executable: false };
        let both = ["a", "b"].map(|path| (RelativePath::new(path).unwrap(), file()));
        let manifest =
            Manifest { version: 1, project: "shop".into(), commit: String::new(), dirty: false, entries: both.into() };
        let contents = entries.iter().map(|entry| Lack { entry: *entry, chunks: Vec::new() }).collect();
        let sender = Sender::new(Vec::new());
        send(&sender, &manifest, &source, Lacking { size: ChunkSize::fitting(0), contents }).unwrap();
        let bytes = sender.into_inner();
        let mut reader = bytes.as_slice();
        std::iter::from_fn(|| receive(&mut reader).unwrap()).map(|(kind, _)| kind).collect()
    }

    #[test]
    fn a_content_is_sent_once_however_often_it_is_asked_for() {
        assert_eq!(sent(&[1]), [Kind::Content, Kind::Content]);
        assert_eq!(sent(&[0, 0]), [Kind::Unavailable]);
        assert_eq!(sent(&[0, 1]), [Kind::Unavailable], "two entries with the same content");
        assert_eq!(sent(&[2]), [Kind::Unavailable]);
    }
}
