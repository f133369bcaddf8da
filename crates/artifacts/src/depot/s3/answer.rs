//! What an S3-compatible service answers in XML.

use jiff::Timestamp;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

/// How deep an answer is read.
const DEPTH_MAX: usize = 16;
/// The longest name of an element that is read, in bytes: all that are asked about are shorter.
const NAME_LENGTH_MAX: usize = 100;

/// One page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Keys, and when they were put; the end of all time where that cannot be read, so that they count as new.
    pub(super) keys: Vec<(String, Timestamp)>,
    /// How to ask for the next page.
    pub(super) next: Option<String>,
}

/// Calls with the path of each text of an answer: `ListBucketResult/Contents/Key`.
fn texts(xml: &[u8], mut each: impl FnMut(&str, String)) -> Result<(), String> {
    let xml = std::str::from_utf8(xml).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                text.clear();
                let name = start.local_name();
                // Each element is told with the names of all that are around it.
                if name.as_ref().len() > NAME_LENGTH_MAX {
                    return Err("an element has too long a name".to_owned());
                }
                path.push(name.as_ref().to_owned());
                if path.len() > DEPTH_MAX {
                    return Err("it is nested too deeply".to_owned());
                }
            }
            Event::Text(part) => text += &part.xml_content(XmlVersion::Implicit1_0),
            Event::CData(part) => text += &part.xml_content(XmlVersion::Implicit1_0),
            Event::GeneralRef(part) => {
                let name = part.xml_content(XmlVersion::Implicit1_0);
                match quick_xml::escape::resolve_xml_entity(&name) {
                    Some(known) => text += known,
                    None => text.extend(part.resolve_char_ref().map_err(|error| error.to_string())?),
                }
            }
            Event::End(_) => {
                each(&path.join("/"), std::mem::take(&mut text));
                path.pop();
            }
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err("it ends in the middle".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Reads an answer of `ListObjectsV2`.
pub(super) fn page(xml: &[u8]) -> Result<Page, String> {
    let (mut page, mut is_list, mut is_cut, mut is_whole) = (Page::default(), false, false, true);
    let (mut key, mut put_at) = (None, None);
    texts(xml, |path, text| match path {
        "ListBucketResult/Contents/Key" => key = Some(text),
        "ListBucketResult/Contents/LastModified" => put_at = text.parse().ok(),
        "ListBucketResult/Contents" => {
            let put_at = put_at.take().unwrap_or(Timestamp::MAX);
            is_whole &= key.is_some();
            page.keys.extend(key.take().map(|key| (key, put_at)));
        }
        "ListBucketResult/NextContinuationToken" => page.next = Some(text),
        "ListBucketResult/IsTruncated" => is_cut = text == "true",
        "ListBucketResult" => is_list = true,
        _ => {}
    })?;
    match (is_list, is_cut, &page.next) {
        (false, _, _) => Err("it is no list".to_owned()),
        (true, _, _) if !is_whole => Err("it lists something without a key".to_owned()),
        (true, true, None) => Err("it is cut, and does not say how it goes on".to_owned()),
        (true, false, _) => Ok(Page { next: None, ..page }),
        (true, true, Some(_)) => Ok(page),
    }
}

/// The code and the message of an error; both empty where an answer says nothing of it.
pub(super) fn complaint(xml: &[u8]) -> (String, String) {
    let (mut code, mut message) = (String::new(), String::new());
    // What cannot be read to its end has said enough.
    let _read = texts(xml, |path, text| match path {
        "Error/Code" => code = text,
        "Error/Message" => message = text,
        _ => {}
    });
    (code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_its_keys_and_the_way_to_the_next() {
        let entry =
            "<Contents><Key>a&amp;b&#47;c</Key><LastModified>2026-11-21T10:15:00.000Z</LastModified></Contents>";
        let head = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
        let first = format!(
            "{head}<IsTruncated>true</IsTruncated>{entry}<NextContinuationToken>t=</NextContinuationToken></ListBucketResult>"
        );
        let found = page(first.as_bytes()).unwrap();
        assert_eq!(found.keys, [("a&b/c".to_owned(), "2026-11-21T10:15:00Z".parse().unwrap())]);
        assert_eq!(found.next.as_deref(), Some("t="));
        let last = format!("{head}<IsTruncated>false</IsTruncated></ListBucketResult>");
        assert_eq!(page(last.as_bytes()), Ok(Page::default()));
    }

    #[test]
    fn what_is_said_of_a_key_may_come_in_any_order_and_what_has_no_time_counts_as_new() {
        let at = "<LastModified>2026-11-21T10:15:00.000Z</LastModified>";
        let odd = "<LastModified>yesterday</LastModified>";
        let xml = format!(
            "<ListBucketResult><Contents>{at}<Key>a</Key></Contents><Contents>{odd}<Key>b</Key></Contents>\
             <Contents><Key>c</Key></Contents></ListBucketResult>"
        );
        let at = "2026-11-21T10:15:00Z".parse().unwrap();
        let expected = [("a", at), ("b", Timestamp::MAX), ("c", Timestamp::MAX)];
        assert_eq!(page(xml.as_bytes()).unwrap().keys, expected.map(|(key, at)| (key.to_owned(), at)));
    }

    #[test]
    fn an_answer_that_is_none_is_no_empty_list() {
        let cut = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        let keyless = "<ListBucketResult><Contents></Contents></ListBucketResult>";
        let long = format!("<ListBucketResult><{0}></{0}></ListBucketResult>", "a".repeat(1000));
        for wrong in ["", "<html></html>", "<ListBucketResult>", cut, keyless, &long, &"<a>".repeat(100)] {
            assert!(page(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_says_its_code_and_its_message() {
        let xml = "<Error><Code>NoSuchBucket</Code><Message>It is not there</Message></Error>";
        assert_eq!(complaint(xml.as_bytes()), ("NoSuchBucket".to_owned(), "It is not there".to_owned()));
        assert_eq!(complaint(b"<html>"), (String::new(), String::new()));
    }
}
