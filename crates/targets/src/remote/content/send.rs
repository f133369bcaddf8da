//! The side that has the contents.

use super::LEVEL;
use crate::remote::delta::{Known, describe};
use crate::remote::frame::{Kind, PIECE_BYTES_MAX, Sender};
use crate::remote::lacking::{Lack, Lacking};
use cutover_core::artifact::{BlobSource, Digest, Manifest, ManifestEntry};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// How long what was said of a content waits for more: the host takes long silence for the end.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Sends the contents that were asked for; says so when one cannot be had.
pub fn send<W: Write>(
    sender: &Sender<W>,
    manifest: &Manifest,
    source: &dyn BlobSource,
    lacking: Lacking,
) -> io::Result<()> {
    let mut flow = Flow::to(sender)?;
    let entries: Vec<&ManifestEntry> = manifest.entries.values().collect();
    let Lacking { size, contents } = lacking;
    for Lack { entry, chunks } in contents {
        let Some(ManifestEntry::File { digest, bytes, .. }) = entries.get(entry as usize) else {
            return sender.send(Kind::Unavailable, b"a content is none of this artifact's");
        };
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
