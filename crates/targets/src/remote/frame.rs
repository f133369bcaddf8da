//! Messages cut into frames: a length (four bytes, little-endian), a kind (one byte), a payload.
//!
//! A message that is longer than a frame may be is sent in several; the highest bit of the kind says that more follows.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

/// The largest payload of a frame in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The largest piece of the contents in bytes: small enough that a cancellation does not wait long behind it.
pub const PIECE_BYTES_MAX: usize = 128 << 10;
/// The most bytes of a deployment that came to its end. As JSON it takes some ten times as much memory once it is read.
pub const ENDED_BYTES_MAX: usize = 4 << 20;
/// The most bytes of all such deployments that are told of over one connection.
pub const ENDED_SUM_BYTES_MAX: usize = 16 << 20;
/// The longest reason for stopping, in bytes: it stands in the host's journal.
pub const REASON_BYTES_MAX: usize = 1 << 10;
/// The bit of the kind that says that the message goes on in the next frame.
const MORE: u8 = 0x80;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What is asked for.
    Order,
    /// The environment's variables with the secrets among them.
    Variables,
    /// What the artifact holds, compressed.
    Manifest,
    /// Contents that the host probably lacks, compressed.
    Ahead,
    /// A piece of the contents that were asked for, compressed; an empty one is the last.
    Content,
    /// Why contents that were asked for cannot be given.
    Unavailable,
    /// Stop, and take back what was begun: why, in words, as far as that is known.
    Cancel,
    /// Go on behind this gate.
    Go,
    /// The client is still there, and asks whether the host is.
    Alive,
    /// Something happened.
    Event,
    /// Which contents the host lacks.
    Lacking,
    /// A deployment came to its end, with its plan and journal.
    Ended,
    /// A deployment came to its end whose plan and journal are too large to be told.
    Untold,
    /// The host waits at this gate.
    Gate,
    /// The host is still there: the answer to [`Self::Alive`].
    Present,
    /// What a deployment would do or change, as it was asked; the last message.
    View,
    /// The order was not carried out, and why.
    Refused,
    /// The order was carried out; the last message.
    Done,
}

impl Kind {
    /// Each kind with its number and the most bytes that a message of it may have.
    const ALL: [(Self, u8, usize); 18] = [
        (Self::Order, 2, 4 * MIB),
        (Self::Variables, 3, 16 * MIB),
        (Self::Manifest, 4, 32 * MIB),
        (Self::Content, 5, PIECE_BYTES_MAX),
        (Self::Unavailable, 6, 4 * KIB),
        (Self::Cancel, 7, REASON_BYTES_MAX),
        (Self::Go, 8, KIB),
        (Self::Alive, 9, 32),
        (Self::Ahead, 10, MIB),
        (Self::Event, 65, 4 * MIB),
        (Self::Lacking, 66, 32 * MIB),
        (Self::Ended, 67, ENDED_BYTES_MAX),
        (Self::Refused, 68, 4 * MIB),
        (Self::Done, 69, 4 * KIB),
        (Self::Gate, 70, 4 * KIB),
        (Self::Present, 71, KIB),
        (Self::View, 72, 64 * MIB),
        (Self::Untold, 73, KIB),
    ];

    fn row(self) -> (Self, u8, usize) {
        // Every kind has a row; the test below sees to that.
        Self::ALL.into_iter().find(|(kind, _, _)| *kind == self).unwrap_or((self, 0, 0))
    }

    fn numbered(number: u8) -> Option<(Self, usize)> {
        Self::ALL.into_iter().find(|(_, own, _)| *own == number).map(|(kind, _, bytes_max)| (kind, bytes_max))
    }
}

/// Writes messages; several threads may, and none comes into another's.
#[derive(Debug)]
pub struct Sender<W>(Mutex<W>);

impl<W: Write> Sender<W> {
    /// Writes to this.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message whole.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, number, bytes_max) = kind.row();
        if payload.len() > bytes_max {
            let why = format!("{kind:?} of {} bytes is too large; the most is {bytes_max}", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut rest = payload;
        loop {
            let (part, more) = rest.split_at(rest.len().min(FRAME_BYTES_MAX));
            let flag = if more.is_empty() { 0 } else { MORE };
            let [a, b, c, d] = (part.len() as u32).to_le_bytes();
            writer.write_all(&[a, b, c, d, number | flag])?;
            writer.write_all(part)?;
            rest = more;
            if rest.is_empty() {
                return writer.flush();
            }
        }
    }

    /// Sends something as JSON.
    pub fn send_json(&self, kind: Kind, value: &impl serde::Serialize) -> io::Result<()> {
        self.send(kind, &serde_json::to_vec(value)?)
    }
}

/// Reads the next message; None at the end. Never allocates more than what has arrived, and a frame.
pub fn receive(reader: &mut impl Read) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let mut payload = Vec::new();
    let mut begun: Option<Kind> = None;
    loop {
        let Some((length, number)) = header(reader, begun.is_some())? else { return Ok(None) };
        let (kind, bytes_max) =
            Kind::numbered(number & !MORE).ok_or_else(|| invalid("a message of an unknown kind"))?;
        if begun.is_some_and(|begun| begun != kind) {
            return Err(invalid("a message that another one interrupts"));
        }
        if length > FRAME_BYTES_MAX || length > bytes_max - payload.len() {
            return Err(invalid("a message that is too large"));
        }
        let read = reader.by_ref().take(length as u64).read_to_end(&mut payload)?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if number & MORE == 0 {
            return Ok(Some((kind, payload)));
        }
        if length == 0 {
            // Endless empty frames would keep the reader here for ever.
            return Err(invalid("an empty frame that is not the last"));
        }
        begun = Some(kind);
    }
}

/// A frame's length and kind; None where the stream ends between messages.
fn header(reader: &mut impl Read, inside: bool) -> io::Result<Option<(usize, u8)>> {
    let mut header = [0; 5];
    let mut filled = 0;
    while filled < header.len() {
        match reader.read(&mut header[filled..]) {
            Ok(0) if filled == 0 && !inside => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let [a, b, c, d, number] = header;
    Ok(Some((u32::from_le_bytes([a, b, c, d]) as usize, number)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the other side sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(messages: &[(Kind, Vec<u8>)]) -> Vec<u8> {
        let sender = Sender::new(Vec::new());
        messages.iter().for_each(|(kind, payload)| sender.send(*kind, payload).unwrap());
        sender.into_inner()
    }

    #[test]
    fn messages_arrive_as_they_were_sent_the_long_ones_in_several_frames() {
        let messages =
            [(Kind::Order, b"hi".to_vec()), (Kind::Ended, vec![7; 3 << 20]), (Kind::Cancel, b"web-1 failed".to_vec())];
        let bytes = sent(&messages);
        let mut reader = bytes.as_slice();
        for message in messages {
            assert_eq!(receive(&mut reader).unwrap().unwrap(), message);
        }
        assert!(receive(&mut reader).unwrap().is_none());
    }

    #[test]
    fn what_is_too_large_is_neither_sent_nor_read() {
        assert!(Sender::new(Vec::new()).send(Kind::Unavailable, &[0; 4097]).is_err());
        let header = |length: u32, number: u8| [&length.to_le_bytes()[..], &[number]].concat();
        for bytes in [header(u32::MAX, 5), header(4097, 6), header(1025, 7), header(0, 5 | MORE), header(0, 99)] {
            assert_eq!(receive(&mut bytes.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        // Within each frame's bound, and beyond the message's.
        let long = [header(4000, 6 | MORE), vec![0; 4000], header(100, 6), vec![0; 100]].concat();
        assert_eq!(receive(&mut long.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_message_that_is_cut_off_is_no_message() {
        let bytes = sent(&[(Kind::Order, b"deploy".to_vec())]);
        for end in 1..bytes.len() {
            assert_eq!(receive(&mut &bytes[..end]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }

    #[test]
    fn every_number_stands_for_one_kind() {
        for (kind, number, _) in Kind::ALL {
            assert_eq!(Kind::numbered(number).unwrap().0, kind);
            assert_eq!(kind.row().1, number);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = bytes.as_slice();
            while let Ok(Some((_, payload))) = receive(&mut reader) {
                prop_assert!(payload.len() <= bytes.len());
            }
        }
    }
}
