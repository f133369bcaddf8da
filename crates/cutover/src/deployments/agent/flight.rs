//! What a client asks for, as it arrives at once: order, variables, manifest.

use super::Asked;
use crate::deployments::letter::{Change, Letter, Look, unpack_variables};
use crate::deployments::order::Order;
use crate::deployments::variables::Variables;
use cutover_core::artifact::Manifest;
use cutover_core::config::{HostConfig, TARGET_COUNT_MAX};
use cutover_core::id::TargetName;
use cutover_targets::remote::bootstrap::read_preamble;
use cutover_targets::remote::content::{Ahead, unpack_ahead, unpack_manifest};
use cutover_targets::remote::frame::{Kind, receive};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// What a client asks for, arrived whole.
pub(super) struct Request {
    pub(super) order: Order,
    pub(super) variables: Variables,
    pub(super) manifest: Option<Manifest>,
    /// Contents of it that have arrived already.
    pub(super) ahead: Ahead,
}

/// What is to be looked at, arrived whole.
pub(super) enum Sight {
    /// What a deployment would do.
    Plan { order: Box<Order>, rehearse: bool, variables: Variables, manifest: Manifest },
    /// Where a rollback would find the host.
    Back { order: Box<Order> },
    /// Which variables would be different.
    Variables { targets: BTreeMap<TargetName, HostConfig>, variables: Variables },
}

/// What a client says first.
pub(super) enum Flight {
    /// That something is to be changed.
    Change(Box<Request>),
    /// That something is to be looked at.
    Look(Sight),
    /// Something that is not done here.
    Other(Asked),
}

/// Reads what is asked for; gives the reader back. A client that falls silent for so long is not awaited any longer.
///
/// Reading stands still in the kernel, so a thread of its own does it; that one is left behind with such a client.
pub(super) fn read<R>(reader: R, silence_max: Duration) -> io::Result<(Flight, R)>
where
    R: BufRead + Send + 'static,
{
    let heard = Arc::new(AtomicU64::new(0));
    let mut counted = Counted { reader, heard: Arc::clone(&heard) };
    let (tell, told) = sync_channel(1);
    std::thread::Builder::new().name("first flight".to_owned()).spawn(move || {
        let asked = read_asked(&mut counted);
        // Nobody waits any more when it took too long.
        let _late = tell.send((asked, counted.reader));
    })?;
    let mut heard_before = 0;
    loop {
        match told.recv_timeout(silence_max) {
            Ok((asked, reader)) => return Ok((asked?, reader)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("reading what is asked for was cut short"));
            }
            Err(RecvTimeoutError::Timeout) => {
                let heard = heard.load(Ordering::Relaxed);
                // Before its first word it packs what it brings, which a build may make long; nothing is held for it here.
                if heard == heard_before && heard > 0 {
                    let why = format!("the client said nothing for {} s", silence_max.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                heard_before = heard;
            }
        }
    }
}

fn read_asked(reader: &mut impl BufRead) -> io::Result<Flight> {
    read_preamble(reader)?;
    let letter: Letter = serde_json::from_slice(&expect(reader, Kind::Order)?)?;
    letter.targets().map_or(Ok(()), check)?;
    match letter {
        Letter::Change(change) => Ok(Flight::Change(Box::new(read_request(reader, *change)?))),
        Letter::Look(look) => Ok(Flight::Look(read_sight(reader, look)?)),
        Letter::Question(question) => Ok(Flight::Other(Asked::Question(question))),
        Letter::Setup(order) => Ok(Flight::Other(Asked::Setup(order))),
    }
}

/// Holds what came from another machine to what the text of a config is held to.
fn check(targets: &BTreeMap<TargetName, HostConfig>) -> io::Result<()> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if targets.len() > TARGET_COUNT_MAX {
        return refused(format!("the order has {} targets; the most is {TARGET_COUNT_MAX}", targets.len()));
    }
    for (at, (name, config)) in targets.iter().enumerate() {
        let before = targets.iter().take(at);
        if let Some((other, why)) = before.filter_map(|(other, at)| Some((other, at.collides_with(config)?))).next() {
            return refused(format!("targets {other} and {name} {why}"));
        }
        if let Some(why) = config.misplaced() {
            return refused(format!("target {name}: {why}"));
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl Read, change: Change) -> io::Result<Request> {
    let variables = change.has_variables.then(|| expect(reader, Kind::Variables)).transpose()?;
    let manifest = change.has_manifest.then(|| unpack_manifest(&expect(reader, Kind::Manifest)?)).transpose()?;
    let packed = change.has_ahead.then(|| expect(reader, Kind::Ahead)).transpose()?;
    let ahead = match (&manifest, packed) {
        (Some(manifest), Some(packed)) => unpack_ahead(manifest, &packed)?,
        _ => Ahead::new(),
    };
    let variables = unpack_variables(&change.order.secret_names, variables.as_deref())?;
    Ok(Request { order: change.order, variables, manifest, ahead })
}

fn read_sight(reader: &mut impl Read, look: Look) -> io::Result<Sight> {
    match look {
        Look::Back { order } => Ok(Sight::Back { order }),
        Look::Plan { order, rehearse } => {
            let variables = expect(reader, Kind::Variables)?;
            let variables = unpack_variables(&order.secret_names, Some(&variables))?;
            let manifest = unpack_manifest(&expect(reader, Kind::Manifest)?)?;
            Ok(Sight::Plan { order, rehearse, variables, manifest })
        }
        Look::Variables { targets, secret_names } => {
            let variables = expect(reader, Kind::Variables)?;
            Ok(Sight::Variables { targets, variables: unpack_variables(&secret_names, Some(&variables))? })
        }
    }
}

fn expect(reader: &mut impl Read, wanted: Kind) -> io::Result<Vec<u8>> {
    match receive(reader)? {
        Some((kind, payload)) if kind == wanted => Ok(payload),
        Some((kind, _)) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("the client sent {kind:?} instead of {wanted:?}")))
        }
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Counts the bytes that are read, so that slow can be told from silent.
struct Counted<R> {
    reader: R,
    heard: Arc<AtomicU64>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.heard.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.heard.fetch_add(count as u64, Ordering::Relaxed);
        self.reader.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write, pipe};

    #[test]
    fn a_client_that_does_not_finish_its_order_is_not_awaited_for_ever() {
        let (reads, mut writes) = pipe().unwrap();
        writes.write_all(b"100\n\x20\0\0\0\x02{").unwrap();

        let error = read(BufReader::new(reads), Duration::from_millis(50)).err().unwrap();

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(writes);
    }

    #[test]
    fn a_client_that_still_packs_is_awaited() {
        let (reads, mut writes) = pipe().unwrap();
        let silence_max = Duration::from_millis(50);
        let packs = std::thread::spawn(move || {
            std::thread::sleep(4 * silence_max);
            writes.write_all(b"1\n").unwrap();
        });

        let error = read(BufReader::new(reads), silence_max).err().unwrap();

        packs.join().unwrap();
        assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn a_client_that_is_slow_is_heard_out() {
        let (reads, mut writes) = pipe().unwrap();
        let silence_max = Duration::from_millis(400);
        let slow = std::thread::spawn(move || {
            for byte in b"100\n\x20\0\0\0\x02{" {
                std::thread::sleep(silence_max / 8);
                writes.write_all(&[*byte]).unwrap();
            }
        });

        let error = read(BufReader::new(reads), silence_max).err().unwrap();

        slow.join().unwrap();
        assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }
}
