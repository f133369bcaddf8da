//! A place for named bytes: what a shared store has to be able to do.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// The longest name in bytes: a project, an environment, an id and a digest are shorter.
const NAME_LENGTH_MAX: usize = 400;
/// How much is copied at once, in bytes.
const COPY_BYTES: usize = 64 << 10;

/// A place for named bytes that several machines use at once.
///
/// A name is parts of plain characters between slashes. What is put is there as a whole or not at all, and from then on
/// everybody sees it. Nobody is kept from reading what another one removes.
pub trait Objects: Send + Sync {
    /// Where it is, for people: "the directory /srv/artifacts".
    fn place(&self) -> &str;

    /// Puts bytes under a name, replacing what was there.
    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError>;

    /// Puts a mark under a name that nobody has, in the least room that it can have, which a place may keep back for that. A place
    /// is full at some time, and nothing is removed from it without a mark.
    fn mark(&self, name: &str) -> Result<(), ObjectError> {
        // Not every place takes what is empty.
        self.put(name, &mut name.as_bytes())
    }

    /// Puts what keeps an artifact there that is live: it has room for a while where all else has none any more.
    fn note(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        self.put(name, content)
    }

    /// Reads what has a name into a file, which is begun anew; false where there is nothing. More than `bytes_max` bytes are
    /// an error.
    fn fetch(&self, name: &str, bytes_max: u64, into: &mut File) -> Result<bool, ObjectError>;

    /// Reads what has a name; None where there is nothing. More than `bytes_max` bytes are an error.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError>;

    /// The names that begin with this, in any order; more than `count_max` are an error. What has no sound name is left out.
    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError>;

    /// Removes what has a name; nothing is wrong where nothing has it.
    fn remove(&self, name: &str) -> Result<(), ObjectError>;

    /// Takes away what cut uploads of names that begin like this have left, where the place does not do that by itself.
    fn tidy(&self, _prefix: &str, _now: jiff::Timestamp) {}
}

/// Something to be put, which may have to be read several times.
pub trait Content {
    /// How many bytes it has.
    fn bytes(&self) -> u64;
    /// Its SHA-256, in hexadecimal characters.
    fn sha256(&self) -> String;
    /// Its bytes, from the first on.
    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>>;
}

impl Content for &[u8] {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn sha256(&self) -> String {
        super::sha256::of(self)
    }

    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(&self[..]))
    }
}

/// A file whose size and digest are known.
#[derive(Debug)]
pub struct FileContent {
    /// The file.
    pub file: File,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal characters.
    pub sha256: String,
}

impl Content for FileContent {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sha256(&self) -> String {
        self.sha256.clone()
    }

    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        self.file.rewind()?;
        Ok(Box::new((&self.file).take(self.bytes)))
    }
}

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// When it was put, as the place's own clock says; the end of all time where it does not, so that it counts as new.
    pub put_at: jiff::Timestamp,
}

impl ObjectError {
    /// The error of more names than are read.
    pub fn too_many_names(doing: String, place: &str, count_max: usize) -> Self {
        Self::TooMuch { doing, place: place.to_owned(), what_max: format!("{count_max} names") }
    }
}

/// A place that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Something of it cannot be read or written.
    #[error("cannot {doing} in {place}: {why}")]
    Failed {
        /// What was asked for: "read artifacts/…".
        doing: String,
        /// Where.
        place: String,
        /// Why it was not done.
        why: String,
    },
    /// It is not there, or does not let us in.
    #[error("cannot {doing} in {place}: {why}")]
    Refused {
        /// What was asked for.
        doing: String,
        /// Where.
        place: String,
        /// What it said.
        why: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// It gave no answer of use, however often it was asked.
    #[error("cannot {doing} in {place}: {why}")]
    Unheard {
        /// What was asked for.
        doing: String,
        /// Where.
        place: String,
        /// What came instead of an answer.
        why: String,
    },
    /// There is more than is read.
    #[error("cannot {doing} in {place}: there is more than {what_max}")]
    TooMuch {
        /// What was asked for.
        doing: String,
        /// Where.
        place: String,
        /// The bound: "1000 names".
        what_max: String,
    },
    /// It is this machine that failed, and not the place.
    #[error("cannot {doing} in {place}: it is this machine that failed: {source}")]
    Here {
        /// What was asked for.
        doing: String,
        /// Where.
        place: String,
        /// What this machine's disk said.
        source: io::Error,
    },
    /// Nothing may have this name.
    #[error("{0:?} is no name that an artifact store takes")]
    Name(String),
    /// Something has this name that no store puts there.
    #[error("cannot {doing} in {place}: {why}")]
    Odd {
        /// What was asked for.
        doing: String,
        /// Where.
        place: String,
        /// What it is.
        why: String,
    },
}

/// Copies no more than so many bytes and one into a file, which is begun anew.
pub(super) fn copy(from: &mut dyn Read, bytes_max: u64, into: &mut File) -> Result<u64, Side> {
    into.rewind().and_then(|()| into.set_len(0)).map_err(Side::Here)?;
    let mut from = from.take(bytes_max.saturating_add(1));
    let (mut chunk, mut count) = (vec![0; COPY_BYTES], 0);
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(count),
            Ok(read) => {
                into.write_all(&chunk[..read]).map_err(Side::Here)?;
                count += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Side::There(error)),
        }
    }
}

/// On which side copying failed.
#[derive(Debug)]
pub(super) enum Side {
    /// Where it came from.
    There(io::Error),
    /// On this machine.
    Here(io::Error),
}

/// Refuses what could lead out of the place, or be taken for something else on the way there.
pub fn checked(name: &str) -> Result<&str, ObjectError> {
    if is_sound(name) { Ok(name) } else { Err(ObjectError::Name(name.chars().take(100).collect())) }
}

/// Whether it is parts of plain characters between slashes.
pub fn is_sound(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    name.len() <= NAME_LENGTH_MAX && name.split('/').all(plain)
}
