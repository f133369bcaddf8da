//! The side that lacks contents.

use super::{Ahead, WINDOW_LOG_MAX, files};
use crate::remote::chunk::{CHUNKED_BYTES_MAX, ChunkSize};
use crate::remote::delta::{Base, Rebuild};
use crate::remote::frame::{Kind, Sender};
use crate::remote::lacking::{Lack, Lacking};
use cutover_core::artifact::{BlobSource, Digest, Manifest, Wanted};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many pieces wait at most until they are unpacked.
const PIECE_COUNT_MAX: usize = 16;
/// How long the other side may be silent while contents are awaited.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How many bytes of contents must arrive in a second, on the whole. The slowest of lines has some more than that.
const BYTES_PER_SECOND_MIN: u64 = 4 << 10;

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
    places: HashMap<Digest, Place>,
    ahead: Ahead,
    stream: Mutex<Stream>,
}

/// Where a manifest has a content.
#[derive(Clone, Copy)]
struct Place {
    entry: u32,
    bytes: u64,
}

struct Stream {
    unpacked: Unpacked,
    expected: VecDeque<(Digest, Option<Rebuild<File>>)>,
    /// How the content that is being read is put together; None: it comes whole.
    rebuild: Option<Rebuild<File>>,
    /// Bytes of that content.
    left: u64,
}

/// The connection's pieces, unpacked once they are asked for.
enum Unpacked {
    NotYet(Arrivals),
    Flowing(Box<zstd::Decoder<'static, BufReader<Arrivals>>>),
    Broken,
}

impl<W: Write> Remote<W> {
    /// The contents of this manifest, some of which are here already, and where to put what arrives of the others.
    pub fn new(sender: Arc<Sender<W>>, manifest: Option<&Manifest>, ahead: Ahead) -> (Self, Inlet) {
        let (inlet, pieces) = sync_channel(PIECE_COUNT_MAX);
        let unpacked = Unpacked::NotYet(Arrivals { pieces, piece: io::Cursor::default(), patience: SILENCE_MAX });
        let stream = Stream { unpacked, expected: VecDeque::new(), rebuild: None, left: 0 };
        let places = manifest.map(places).unwrap_or_default();
        (Self { sender, places, ahead, stream: Mutex::new(stream) }, Inlet(inlet))
    }
}

/// Where each content of a manifest is.
fn places(manifest: &Manifest) -> HashMap<Digest, Place> {
    files(manifest).map(|(entry, digest, bytes)| (digest, Place { entry, bytes })).collect()
}

impl<W: Write + Send> BlobSource for Remote<W> {
    fn announce(&self, wanted: &[Wanted]) -> io::Result<()> {
        let wanted: Vec<&Wanted> = wanted.iter().filter(|wanted| !self.ahead.contains_key(&wanted.digest)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |wanted: &&Wanted| self.places.get(&wanted.digest);
        stream.begin(wanted.iter().filter_map(place).fold(0, |sum, place| place.bytes.saturating_add(sum)))?;
        let bases = bases(&wanted);
        let size = ChunkSize::fitting(bases.iter().flatten().map(|(_, bytes)| bytes).sum());
        let mut contents = Vec::with_capacity(wanted.len());
        for (wanted, base) in wanted.into_iter().zip(bases) {
            let place = self.places.get(&wanted.digest).ok_or_else(|| io::Error::other("nobody offers it"))?;
            // One that cannot be read is no help, and no harm.
            let cut = base.and_then(|(file, _)| Base::cut(file, size).ok());
            let (base, chunks) = cut.map_or((None, Vec::new()), |(base, chunks)| (Some(base), chunks));
            let rebuild = base.filter(|_| !chunks.is_empty()).map(Rebuild::from);
            stream.expected.push_back((wanted.digest, rebuild));
            contents.push(Lack { entry: place.entry, chunks });
        }
        self.sender.send(Kind::Lacking, &Lacking { size, contents }.pack())
    }

    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        if let Some(content) = self.ahead.get(digest) {
            return Ok(Box::new(content.as_slice()));
        }
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.places.get(digest).map(|place| place.bytes);
        match (stream.expected.pop_front(), bytes) {
            (Some((next, rebuild)), Some(bytes)) if next == *digest && stream.left == 0 => {
                (stream.left, stream.rebuild) = (bytes, rebuild);
                Ok(Box::new(One(&self.stream)))
            }
            _ => Err(io::Error::other("it was not asked for, or not in this order")),
        }
    }

    fn path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// The files to copy from, with their sizes: as many as a list of chunks can be made of.
fn bases(wanted: &[&Wanted]) -> Vec<Option<(File, u64)>> {
    let mut left = CHUNKED_BYTES_MAX;
    let mut open = |path: &PathBuf| {
        let file = File::open(path).ok()?;
        let bytes = file.metadata().ok()?.len();
        left = left.checked_sub(bytes)?;
        Some((file, bytes))
    };
    wanted.iter().map(|wanted| wanted.base.as_ref().and_then(&mut open)).collect()
}

impl Stream {
    /// Makes ready for so many bytes of contents that are about to be asked for.
    fn begin(&mut self, bytes: u64) -> io::Result<()> {
        if self.left > 0 || !self.expected.is_empty() {
            return Err(io::Error::other("others that were asked for have not arrived"));
        }
        let mut arrivals = match std::mem::replace(&mut self.unpacked, Unpacked::Broken) {
            Unpacked::NotYet(arrivals) => arrivals,
            Unpacked::Flowing(decoder) => end(*decoder)?,
            Unpacked::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        arrivals.patience = patience(bytes);
        let mut decoder = zstd::Decoder::new(arrivals)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        self.unpacked = Unpacked::Flowing(Box::new(decoder));
        Ok(())
    }

    /// Reads on in the content that is being read.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Unpacked::Flowing(decoder) = &mut self.unpacked else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        if wanted == 0 {
            return Ok(0);
        }
        let count = match &mut self.rebuild {
            Some(rebuild) => rebuild.read(decoder, &mut buffer[..wanted], self.left)?,
            None => decoder.read(&mut buffer[..wanted])?,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Sees that a stream has been read to its end; another one may follow.
fn end(mut decoder: zstd::Decoder<'static, BufReader<Arrivals>>) -> io::Result<Arrivals> {
    match decoder.read(&mut [0])? {
        0 => Ok(decoder.finish().into_inner()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more arrived than was asked for")),
    }
}

/// The content that stands next in the stream.
struct One<'a>(&'a Mutex<Stream>);

impl Read for One<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)
    }
}

/// How long so many bytes are awaited in all: whoever sends a little now and then would else keep the lock for ever.
fn patience(bytes: u64) -> Duration {
    SILENCE_MAX.saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND_MIN))
}

/// Pieces as they arrive, as one stream.
struct Arrivals {
    pieces: Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
    /// How long they may still be awaited in all.
    patience: Duration,
}

impl Arrivals {
    /// The next piece; counts the time for which it was awaited.
    fn next(&mut self) -> Result<Piece, RecvTimeoutError> {
        let began = Instant::now();
        let next = self.pieces.recv_timeout(SILENCE_MAX.min(self.patience));
        self.patience = self.patience.saturating_sub(began.elapsed());
        next
    }
}

impl Read for Arrivals {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        match self.next() {
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
                let why = if self.patience.is_zero() {
                    format!("less than {BYTES_PER_SECOND_MIN} bytes in a second arrived, on the whole")
                } else {
                    format!("nothing arrived for {} s", SILENCE_MAX.as_secs())
                };
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gibibyte_is_awaited_for_days_and_next_to_nothing_for_a_minute() {
        assert_eq!(patience(100), SILENCE_MAX);
        assert_eq!(patience(1 << 30), SILENCE_MAX + Duration::from_secs(1 << 18));
        assert!(patience(u64::MAX) > patience(1 << 60));
    }

    #[test]
    fn a_client_that_sends_a_little_now_and_then_is_not_awaited_for_ever() {
        let (inlet, pieces) = sync_channel(PIECE_COUNT_MAX);
        let patience = Duration::from_millis(100);
        let mut arrivals = Arrivals { pieces, piece: io::Cursor::default(), patience };
        // Until nobody listens.
        let drips = std::thread::spawn(move || {
            while inlet.send(Ok(vec![7])).is_ok() {
                std::thread::sleep(patience / 20);
            }
        });

        let error = io::copy(&mut arrivals, &mut io::sink()).unwrap_err();

        drop(arrivals);
        drips.join().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("less than 4096 bytes in a second"), "{error}");
    }
}
