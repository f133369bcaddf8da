//! Contents on their way: the host says which it lacks, and gets them as one compressed stream, in that order.

use super::frame::{Kind, Sender};
use cutover_core::artifact::{BlobSource, Digest, MANIFEST_BYTES_MAX, Manifest, ManifestEntry};
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Zstandard's fastest ordinary level: a network is rarely faster than it.
const LEVEL: i32 = 1;
/// The largest window that is unpacked, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;
/// What goes into one frame: small enough that a cancellation does not wait long behind it.
const PIECE_BYTES: usize = 128 << 10;
/// How many pieces wait at most until they are unpacked.
const PIECE_COUNT_MAX: usize = 16;
/// How long the other side may be silent while contents are awaited.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A manifest, compressed.
pub fn pack_manifest(manifest: &Manifest) -> io::Result<Vec<u8>> {
    zstd::encode_all(manifest.canonical().as_slice(), LEVEL)
}

/// The opposite of [`pack_manifest`]: checked, and never larger than a manifest may be.
pub fn unpack_manifest(bytes: &[u8]) -> io::Result<Manifest> {
    let mut decoder = zstd::Decoder::new(bytes)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut json = Vec::new();
    decoder.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut json)?;
    if json.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the manifest is too large"));
    }
    let manifest: Manifest = serde_json::from_slice(&json)?;
    manifest.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(manifest)
}

/// The size of each content of a manifest.
fn sizes(manifest: &Manifest) -> HashMap<Digest, u64> {
    let size = |entry: &ManifestEntry| match entry {
        ManifestEntry::File { digest, bytes, .. } => Some((*digest, *bytes)),
        ManifestEntry::Symlink { .. } => None,
    };
    manifest.entries.values().filter_map(size).collect()
}

/// Sends the contents that were asked for; says so when one cannot be had.
pub fn send<W: Write>(
    sender: &Sender<W>,
    manifest: &Manifest,
    source: &dyn BlobSource,
    wanted: &[Digest],
) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(Pieces { sender, piece: Vec::with_capacity(PIECE_BYTES) }, LEVEL)?;
    let sizes = sizes(manifest);
    for digest in wanted {
        let copied = sizes.get(digest).map(|bytes| copy(source, digest, *bytes, &mut encoder));
        let why = match copied {
            Some(Ok(())) => continue,
            Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error),
            Some(Err(error)) => format!("content {}: {error}", digest.short()),
            None => format!("content {} is none of this artifact's", digest.short()),
        };
        return sender.send(Kind::Unavailable, why.as_bytes());
    }
    encoder.finish()?.finish()
}

/// Copies exactly as many bytes as announced.
fn copy(source: &dyn BlobSource, digest: &Digest, bytes: u64, to: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut source.open(digest)?.take(bytes), to)?;
    if copied < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Cuts a stream into frames.
struct Pieces<'a, W> {
    sender: &'a Sender<W>,
    piece: Vec<u8>,
}

impl<W: Write> Pieces<'_, W> {
    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.sender.send(Kind::Content, &[])
    }
}

impl<W: Write> Write for Pieces<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend(&bytes[..count]);
        if self.piece.len() == PIECE_BYTES {
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
        Ok(())
    }
}

/// What whoever reads the connection passes on: a piece, or why there will be none.
type Piece = Result<Vec<u8>, String>;

/// The reading side's end of a [`Remote`].
#[derive(Debug)]
pub struct Inlet(SyncSender<Piece>);

impl Inlet {
    /// Passes a piece on; waits while too many are on their way. Pieces that nobody wants are dropped.
    pub fn piece(&self, piece: Vec<u8>) {
        let _ = self.0.send(Ok(piece));
    }

    /// Says why the rest will not come.
    pub fn fail(&self, why: &str) {
        let _ = self.0.send(Err(why.to_owned()));
    }
}

/// The contents of an artifact that lie on the other side of a connection.
pub struct Remote<W> {
    sender: Arc<Sender<W>>,
    sizes: HashMap<Digest, u64>,
    stream: Mutex<Stream>,
}

struct Stream {
    pieces: Option<Receiver<Piece>>,
    decoder: Option<zstd::Decoder<'static, BufReader<Arrivals>>>,
    expected: VecDeque<Digest>,
    /// Bytes of the content that is being read.
    left: u64,
}

impl<W: Write> Remote<W> {
    /// The contents of this manifest, and where to put what arrives of them.
    pub fn new(sender: Arc<Sender<W>>, manifest: Option<&Manifest>) -> (Self, Inlet) {
        let (inlet, pieces) = sync_channel(PIECE_COUNT_MAX);
        let stream = Stream { pieces: Some(pieces), decoder: None, expected: VecDeque::new(), left: 0 };
        (Self { sender, sizes: manifest.map(sizes).unwrap_or_default(), stream: Mutex::new(stream) }, Inlet(inlet))
    }
}

impl<W: Write + Send> BlobSource for Remote<W> {
    fn announce(&self, wanted: &[Digest]) -> io::Result<()> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = stream.pieces.take().ok_or_else(|| io::Error::other("contents can be asked for once only"))?;
        let mut decoder = zstd::Decoder::new(Arrivals { pieces, piece: io::Cursor::default() })?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        stream.decoder = Some(decoder);
        stream.expected = wanted.iter().copied().collect();
        self.sender.send_json(Kind::Lacking, &wanted)
    }

    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.sizes.get(digest).copied();
        match (stream.expected.pop_front(), bytes) {
            (Some(next), Some(bytes)) if next == *digest && stream.left == 0 => {
                stream.left = bytes;
                Ok(Box::new(One(&self.stream)))
            }
            _ => Err(io::Error::other("it was not asked for, or not in this order")),
        }
    }

    fn path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// The content that stands next in the stream.
struct One<'a>(&'a Mutex<Stream>);

impl Read for One<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = buffer.len().min(usize::try_from(stream.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let decoder = stream.decoder.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        let count = decoder.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.left -= count as u64;
        Ok(count)
    }
}

/// Pieces as they arrive, as one stream.
struct Arrivals {
    pieces: Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Arrivals {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match self.pieces.recv_timeout(SILENCE_MAX) {
            Ok(Ok(piece)) => {
                self.piece = io::Cursor::new(piece);
                // An empty piece is the end.
                self.piece.read(buffer)
            }
            Ok(Err(why)) => Err(io::Error::other(why)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended"))
            }
            Err(RecvTimeoutError::Timeout) => {
                let why = format!("nothing arrived for {} s", SILENCE_MAX.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }
}
