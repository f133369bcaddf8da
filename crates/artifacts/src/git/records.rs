//! Commands whose output is NUL-separated records.

use super::{BUFFER_BYTES, failed, read_part};
use crate::error::ArtifactError;
use cutover_child::Git;
use cutover_core::artifact::{ENTRY_COUNT_MAX, PATH_LENGTH_MAX};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::Stdio;

/// Runs a command and reads each of its records.
pub(super) fn records<T>(
    git: &Git,
    args: &[&str],
    parse: fn(&[u8]) -> Result<T, ArtifactError>,
) -> Result<Vec<T>, ArtifactError> {
    let mut running = git.start(args, Stdio::null())?;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, running.stdout()?);
    let mut records = Vec::new();
    while let Some(record) = next_record(&mut reader, args[0])? {
        if records.len() == ENTRY_COUNT_MAX {
            return Err(failed(args[0], format!("more than {ENTRY_COUNT_MAX} paths")));
        }
        records.push(parse(&record)?);
    }
    running.succeed()?;
    Ok(records)
}

/// Runs a command and reads its records until one is enough; it is stopped there.
pub(super) fn until<T>(
    git: &Git,
    args: &[&str],
    mut all: T,
    read: fn(&mut T, &[u8]) -> Result<ControlFlow<()>, ArtifactError>,
) -> Result<T, ArtifactError> {
    let mut running = git.start(args, Stdio::null())?;
    let mut reader = BufReader::new(running.stdout()?);
    while let Some(record) = next_record(&mut reader, args[0])? {
        if read(&mut all, &record)?.is_break() {
            return Ok(all);
        }
    }
    running.succeed()?;
    Ok(all)
}

fn next_record(reader: &mut dyn BufRead, command: &str) -> Result<Option<Vec<u8>>, ArtifactError> {
    read_part(reader, 0, 4 * PATH_LENGTH_MAX as u64).map_err(|error| failed(command, error.to_string()))
}
