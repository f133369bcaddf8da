//! Messages of D-Bus as bytes: calls that take strings, and answers that hold one value
//! (D-Bus Specification 0.42, "Message Protocol" and "Type System").

use std::io::{self, Read};

/// The most bytes of a message's header fields, and of its body: what is asked for is a name or a number.
const FIELDS_BYTES_MAX: u32 = 16 << 10;
const BODY_BYTES_MAX: u32 = 64 << 10;
/// Numbers of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;
/// Little-endian, as this side writes and expects it.
const ENDIAN: u8 = b'l';
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const VERSION: u8 = 1;

/// A method that is called, with strings as its arguments.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [&'a str],
}

impl Call<'_> {
    /// The whole message; `serial` is what its answer refers to.
    pub(super) fn message(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.arguments.iter().for_each(|argument| body.text(argument));
        let mut fields = Writer::default();
        for (number, kind, text) in [
            (PATH, "o", self.path),
            (INTERFACE, "s", self.interface),
            (MEMBER, "s", self.member),
            (DESTINATION, "s", self.destination),
        ] {
            fields.field(number, kind);
            fields.text(text);
        }
        if !self.arguments.is_empty() {
            fields.field(SIGNATURE, "g");
            fields.signature(&"s".repeat(self.arguments.len()));
        }
        let mut message = Writer(vec![ENDIAN, METHOD_CALL, 0, VERSION]);
        [body.0.len(), serial as usize, fields.0.len()].into_iter().for_each(|number| message.number(number));
        message.0.append(&mut fields.0);
        message.align(8);
        message.0.append(&mut body.0);
        message.0
    }
}

/// Bytes to be sent, each value at its alignment.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// Lengths and serial numbers, all of which are made here and far below what four bytes hold.
    fn number(&mut self, number: usize) {
        self.align(4);
        self.0.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    fn field(&mut self, number: u8, kind: &str) {
        self.align(8);
        self.0.push(number);
        self.signature(kind);
    }
}

/// What came: an answer to a call, or something else that nobody asked for.
pub(super) struct Message {
    /// The call that it answers; None for what answers none.
    pub(super) answers: Option<u32>,
    /// Whether it says that the call failed.
    pub(super) is_error: bool,
    body: Vec<u8>,
}

impl Message {
    /// Reads the next one.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        let [endian, kind, _flags, version, rest @ ..] = head;
        let mut numbers = Reader::new(&rest);
        let (Some(body_bytes), Some(_serial), Some(fields_bytes)) =
            (numbers.number(), numbers.number(), numbers.number())
        else {
            return Err(garbled());
        };
        if endian != ENDIAN || version != VERSION || body_bytes > BODY_BYTES_MAX || fields_bytes > FIELDS_BYTES_MAX {
            return Err(garbled());
        }
        let mut fields = vec![0; (fields_bytes as usize).next_multiple_of(8)];
        from.read_exact(&mut fields)?;
        let mut body = vec![0; body_bytes as usize];
        from.read_exact(&mut body)?;
        let is_answer = matches!(kind, METHOD_RETURN | ERROR);
        let answers = if is_answer { answered(&fields[..fields_bytes as usize])? } else { None };
        Ok(Self { answers, is_error: kind == ERROR, body })
    }

    /// The variant that is its body, as text: bytes as hexadecimal digits, numbers as decimal ones. None for what is neither.
    pub(super) fn value(&self) -> Option<String> {
        let mut body = Reader::new(&self.body);
        match body.signature()? {
            "s" | "o" => body.text().map(str::to_owned),
            "u" => body.number().map(|number| number.to_string()),
            "i" => body.number().map(|number| number.cast_signed().to_string()),
            "t" => body.long().map(|number| number.to_string()),
            "ay" => body.bytes().map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            _ => None,
        }
    }
}

/// The serial number of the call that a message with these header fields answers.
fn answered(fields: &[u8]) -> io::Result<Option<u32>> {
    let mut fields = Reader::new(fields);
    // What is left may be nothing but what would align a next field.
    while fields.align(8).is_some() && !fields.is_empty() {
        let number = fields.byte().ok_or_else(garbled)?;
        match fields.signature().ok_or_else(garbled)? {
            "u" if number == REPLY_SERIAL => return fields.number().map(Some).ok_or_else(garbled),
            "u" => fields.number().map(drop),
            "s" | "o" => fields.text().map(drop),
            "g" => fields.signature().map(drop),
            _ => None,
        }
        .ok_or_else(garbled)?;
    }
    Ok(None)
}

fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the message bus sent what is no message")
}

/// Bytes that came, and how far they were read. Each value is read at its alignment.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, to: usize) -> Option<()> {
        self.take(self.at.next_multiple_of(to) - self.at).map(drop)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        self.align(8)?;
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(count as usize)
    }

    fn text(&mut self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.bytes()?).ok()?;
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let count = self.byte()?;
        let text = std::str::from_utf8(self.take(count.into())?).ok()?;
        self.take(1)?;
        Some(text)
    }
}
