//! XML as reports use it, and nothing beyond that.
//!
//! A document type that only names a DTD (gcovr and cargo-llvm-cov write one) is passed over and never fetched; one
//! that declares anything itself is refused, and so is every reference to an entity that XML itself does not know.
//! Nothing can therefore become longer than it is in the file.

use super::bounded::{Bounded, Bounds};
use super::{Fault, Format, Place};
use cutover_core::check::{NAME_BYTES_MAX, excerpt};
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader};
use std::borrow::Cow;
use std::io::{self, BufRead};

/// How deep elements may lie in each other. Suites of tests are nested by hand, five deep at most.
pub const DEPTH_MAX: usize = 64;

/// The longest tag, its attributes with it, in bytes. pytest writes a failure's message into one.
pub const TAG_BYTES_MAX: usize = 1 << 20;

/// The most attributes of an element.
pub const ATTRIBUTES_MAX: usize = 256;

/// What comes next in a document.
pub(super) enum Node<'a> {
    /// An element begins.
    Open(Tag<'a>),
    /// The innermost element ends.
    Close,
    /// A piece of text; one text may come in several.
    Text(Cow<'a, str>),
    /// The document has ended, with all its elements.
    End,
}

/// The beginning of an element.
pub(super) struct Tag<'a> {
    start: BytesStart<'a>,
    format: Format,
    place: Place,
}

/// Reads a document node by node.
pub(super) struct Xml<R> {
    reader: Reader<Bounded<R>>,
    buffer: Vec<u8>,
    format: Format,
    depth: usize,
    rooted: bool,
}

impl<R: BufRead> Xml<R> {
    pub(super) fn new(input: R, format: Format, bounds: Bounds) -> Self {
        let mut reader = Reader::from_reader(Bounded::new(input, bounds));
        // An empty element is one that opens and closes.
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), format, depth: 0, rooted: false }
    }

    /// The next node. Comments and instructions count as empty texts.
    pub(super) fn next(&mut self) -> Result<Node<'_>, Fault> {
        self.buffer.clear();
        self.reader.get_mut().begin_piece();
        let (format, place) = (self.format, Place::Byte(self.reader.get_ref().read_bytes()));
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => return Err(fault_of(self.reader.get_ref(), format, error)),
        };
        let text = match event {
            Event::Start(start) => {
                self.depth = depth_of_child(self.depth, &mut self.rooted, format, place)?;
                return Tag { start, format, place }.checked().map(Node::Open);
            }
            Event::End(_) => {
                // The reader has seen that it closes an element that is open.
                self.depth -= 1;
                return Ok(Node::Close);
            }
            Event::Eof if self.depth > 0 => return Err(malformed(format, place, "it ends before its elements do")),
            Event::Eof => return Ok(Node::End),
            Event::Text(text) => text.into_inner(),
            Event::CData(text) => text.into_inner(),
            Event::GeneralRef(entity) => resolve(&entity, place)?,
            Event::DocType(declared) if declared.contains('[') => {
                return Err(refused(place, "its document type declares things, as no report does"));
            }
            Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => "".into(),
        };
        Ok(Node::Text(text))
    }

    /// The bound that is passed here.
    pub(super) fn refused(&self, why: &str) -> Fault {
        refused(Place::Byte(self.reader.get_ref().read_bytes()), why)
    }
}

impl Tag<'_> {
    /// The element's name, without a namespace's prefix.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Gives each attribute's name and value to a function, in their order.
    pub(super) fn attributes(&self, mut take: impl FnMut(&str, &str)) -> Result<(), Fault> {
        let mut attributes = self.start.attributes();
        // Looking for attributes that stand twice takes time with the square of their number.
        attributes.with_checks(false);
        for (index, attribute) in attributes.enumerate() {
            let attribute = attribute.map_err(|error| malformed(self.format, self.place, &error.to_string()))?;
            if index == ATTRIBUTES_MAX {
                return Err(refused(self.place, &format!("an element has more than {ATTRIBUTES_MAX} attributes")));
            }
            if attribute.value.contains('&') {
                let value = unescape(&attribute.value).map_err(|error| refused(self.place, &error.to_string()))?;
                take(attribute.key.local_name().into_inner(), &value);
            } else {
                take(attribute.key.local_name().into_inner(), &attribute.value);
            }
        }
        Ok(())
    }

    /// The mistake that the element is here.
    pub(super) fn malformed(&self, why: &str) -> Fault {
        malformed(self.format, self.place, why)
    }

    /// The bound that the element passes.
    pub(super) fn refused(&self, why: &str) -> Fault {
        refused(self.place, why)
    }

    /// Refuses what may stand in no tag, whoever looks at its attributes.
    fn checked(self) -> Result<Self, Fault> {
        if self.start.len() > TAG_BYTES_MAX {
            return Err(refused(self.place, &format!("a tag is longer than {TAG_BYTES_MAX} bytes")));
        }
        if self.start.contains('&') {
            self.attributes(|_, _| ())?;
        }
        Ok(self)
    }
}

fn depth_of_child(depth: usize, rooted: &mut bool, format: Format, place: Place) -> Result<usize, Fault> {
    if depth == DEPTH_MAX {
        return Err(refused(place, &format!("elements lie more than {DEPTH_MAX} deep in each other")));
    }
    if depth == 0 && std::mem::replace(rooted, true) {
        return Err(malformed(format, place, "a second document begins"));
    }
    Ok(depth + 1)
}

/// The character that a reference in a text stands for.
fn resolve(entity: &BytesRef<'_>, place: Place) -> Result<Cow<'static, str>, Fault> {
    match entity.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string().into()),
        Ok(None) => resolve_xml_entity(entity).map(Cow::Borrowed).ok_or_else(|| {
            let name = excerpt(entity, NAME_BYTES_MAX);
            refused(place, &format!("it refers to an entity `{name}`, which XML itself does not know"))
        }),
        Err(error) => Err(refused(place, &error.to_string())),
    }
}

/// What a mistake is: of the input, of a bound, or of the document.
fn fault_of<R>(input: &Bounded<R>, format: Format, error: Error) -> Fault {
    let place = Place::Byte(input.read_bytes());
    if let Some(passed) = input.passed() {
        return refused(place, passed);
    }
    match error {
        Error::Io(error) => Fault::Read(io::Error::new(error.kind(), error)),
        other => malformed(format, place, &excerpt(&other.to_string(), NAME_BYTES_MAX)),
    }
}

fn malformed(format: Format, place: Place, why: &str) -> Fault {
    Fault::Malformed { format, place, why: why.to_owned() }
}

fn refused(place: Place, why: &str) -> Fault {
    Fault::Refused { place, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Read};

    fn read_all(input: impl BufRead, bounds: Bounds) -> Result<String, Fault> {
        let mut xml = Xml::new(input, Format::Junit, bounds);
        let mut all = String::new();
        loop {
            match xml.next()? {
                Node::Open(tag) => {
                    all.push_str(&format!("<{}", tag.name()));
                    tag.attributes(|key, value| all.push_str(&format!(" {key}={value}")))?;
                    all.push('>');
                }
                Node::Close => all.push_str("</>"),
                Node::Text(text) => all.push_str(&text),
                Node::End => return Ok(all),
            }
        }
    }

    fn read(text: &str) -> Result<String, Fault> {
        read_all(text.as_bytes(), Bounds::default())
    }

    fn why(read: Result<String, Fault>) -> String {
        match read {
            Err(Fault::Refused { why, .. }) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn what_reports_have_is_read() {
        let text = "<?xml version='1.0'?><!DOCTYPE a SYSTEM 'http://x/a.dtd'><!-- c --><n:a n:k='&lt;&#65;'>&amp;<b/><![CDATA[<]]></n:a>\n";
        assert_eq!(read(text).unwrap().trim(), "<a k=<A>&<b></><</>");
    }

    #[test]
    fn entities_and_what_declares_them_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>";
        assert!(why(read(bomb)).contains("document type"));
        assert!(
            why(read("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>")).contains("document type")
        );
        assert!(why(read("<a>&c;</a>")).contains("`c`"));
        // Also where nobody asks for the attribute.
        let mut xml = Xml::new("<a k='&c;'/>".as_bytes(), Format::Junit, Bounds::default());
        assert!(matches!(xml.next(), Err(Fault::Refused { .. })));
        assert!(why(read("<a>&#x110000;</a>")).contains("character"));
    }

    #[test]
    fn depth_tags_and_attributes_are_bounded() {
        assert!(read(&("<a>".repeat(DEPTH_MAX) + &"</a>".repeat(DEPTH_MAX))).is_ok());
        assert!(why(read(&"<a>".repeat(DEPTH_MAX + 1))).contains("deep"));
        assert!(why(read(&format!("<a k='{}'/>", "v".repeat(TAG_BYTES_MAX)))).contains("tag"));
        let attributes: String = (0..=ATTRIBUTES_MAX).map(|number| format!(" k{number}='v'")).collect();
        assert!(why(read(&format!("<a{attributes}/>"))).contains("attributes"));
    }

    #[test]
    fn a_text_a_tag_and_a_document_without_end_are_refused() {
        let bounds = Bounds { report_bytes: 1 << 20, piece_bytes: 1 << 16 };
        for beginning in ["<a>", "<a k='", "<a><![CDATA[", "<!--", "<a><?b ", "&"] {
            let endless = beginning.as_bytes().chain(std::io::repeat(b'x'));
            assert!(why(read_all(BufReader::new(endless), bounds)).contains("longer than 65536"), "{beginning}");
        }
        let many = "<a>".to_owned() + &"<b/>".repeat(1 << 18);
        assert!(why(read_all(BufReader::new(many.as_bytes()), bounds)).contains("larger than 1048576"));
    }

    #[test]
    fn what_is_no_utf8_is_malformed() {
        let read = read_all(&b"<a>\xff</a>"[..], Bounds::default());
        assert!(matches!(read, Err(Fault::Malformed { .. })), "{read:?}");
    }
}
