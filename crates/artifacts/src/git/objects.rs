//! Reading many objects through one `git cat-file --batch`.

use super::{BUFFER_BYTES, Oid, Repository, failed, read_part};
use crate::error::ArtifactError;
use cutover_child::GitRunning;
use cutover_core::artifact::FILE_BYTES_MAX;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::{ChildStdin, Stdio};

/// The longest header line: an id, a type, a size.
const HEADER_BYTES_MAX: u64 = 200;

/// One object: what it is called, and its content, which must be read to its end.
pub(crate) struct Object<'a> {
    pub(crate) oid: Oid,
    pub(crate) bytes: u64,
    pub(crate) content: &'a mut dyn Read,
}

impl Object<'_> {
    /// Reads the whole content; for objects that are known to be small.
    pub(crate) fn read(&mut self) -> Result<Vec<u8>, ArtifactError> {
        let mut content = vec![0; self.bytes as usize];
        self.content.read_exact(&mut content).map_err(|error| failed("cat-file", error.to_string()))?;
        Ok(content)
    }
}

/// Reads the blobs with these ids, in their order, and hands each to `take`.
pub(crate) fn read_objects(
    repository: &Repository,
    oids: &[Oid],
    mut take: impl FnMut(Object<'_>) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    if oids.is_empty() {
        return Ok(());
    }
    // --buffer: git may hold back its answers until its buffer is full.
    let args = ["cat-file", "--batch", "--buffer"];
    let mut running = repository.git.start(&args, Stdio::piped())?;
    std::thread::scope(|scope| {
        let asking = running.stdin().map(|stdin| scope.spawn(|| ask(stdin, oids)));
        // On an early return the process is dropped, and so killed, before the scope waits for `asking`.
        let result = read_answers(running, oids, &mut take);
        let asked = asking.map(|asking| asking.join());
        match asked {
            Some(Ok(Err(error))) if result.is_ok() => Err(failed("cat-file", error.to_string())),
            Some(_) | None => result,
        }
    })
}

fn ask(stdin: ChildStdin, oids: &[Oid]) -> std::io::Result<()> {
    let mut stdin = BufWriter::new(stdin);
    oids.iter().try_for_each(|oid| writeln!(stdin, "{oid}"))?;
    stdin.flush()
}

fn read_answers(
    mut running: GitRunning,
    oids: &[Oid],
    take: &mut impl FnMut(Object<'_>) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, running.stdout()?);
    for oid in oids {
        let bytes = read_header(&mut reader, *oid)?;
        let mut content = (&mut reader).take(bytes);
        take(Object { oid: *oid, bytes, content: &mut content })?;
        if content.limit() != 0 || read_part(&mut reader, b'\n', 0).ok().flatten().is_none() {
            return Err(failed("cat-file", format!("object {oid} was cut off")));
        }
    }
    drop(reader);
    Ok(running.succeed()?)
}

/// Reads `<oid> blob <size>\n`.
fn read_header(reader: &mut dyn BufRead, oid: Oid) -> Result<u64, ArtifactError> {
    let line = read_part(reader, b'\n', HEADER_BYTES_MAX).map_err(|error| failed("cat-file", error.to_string()))?;
    let line = String::from_utf8(line.unwrap_or_default()).unwrap_or_default();
    let size = line.strip_prefix(&format!("{oid} blob ")).and_then(|size| size.parse().ok());
    match size {
        Some(bytes) if bytes <= FILE_BYTES_MAX => Ok(bytes),
        Some(bytes) => Err(failed("cat-file", format!("object {oid} has {bytes} bytes; the most is {FILE_BYTES_MAX}"))),
        None => Err(failed("cat-file", format!("object {oid} cannot be read: {line:?}"))),
    }
}
