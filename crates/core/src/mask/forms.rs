//! The forms in which a secret may turn up: as it is, and in its usual encodings.

use std::collections::BTreeSet;

/// Shorter pieces of Base64 are left alone: they stand in too many other texts.
const BASE64_PIECE_LENGTH_MIN: usize = 6;
/// Where the usual tools break lines of Base64: PEM and MIME.
const BASE64_LINE_LENGTHS: [usize; 2] = [64, 76];
const BASE64_STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Adds every form of a value that is long enough to be masked.
pub(super) fn add(value: &str, forms: &mut BTreeSet<String>) {
    for text in [value, value.trim()] {
        add_written(text, forms);
        add_base64(text, forms);
    }
    for line in value.lines().map(str::trim) {
        add_written(line, forms);
        // Base64 of something larger, broken into lines by a tool, may hold whole lines of this one.
        add_base64(line, forms);
    }
    forms.retain(|form| form.trim().chars().count() >= super::MASKABLE_LENGTH_MIN);
}

/// Adds what a text becomes when it is written into something else.
fn add_written(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.to_owned());
    forms.extend(json(text));
    forms.extend(traced(text));
    forms.extend(shell(text));
    forms.extend(percent(text));
}

/// Between quotes: as serde and JavaScript write it, as Python does (ASCII only), as Go and PHP do.
fn json(text: &str) -> [String; 4] {
    let plain = serde_json::Value::from(text).to_string();
    let plain = plain[1..plain.len() - 1].to_owned();
    let html = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    [ascii(&plain), html, plain.replace('/', "\\/"), plain]
}

fn ascii(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// As Python's `repr` and a shell's trace (`$'…'`) write it: between single quotes or, in Python, double ones.
fn traced(text: &str) -> [String; 2] {
    let plain = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
    [plain.replace('\'', "\\'"), plain]
}

/// Between single quotes in two manners, between double quotes, and without quotes.
fn shell(text: &str) -> [String; 4] {
    let behind_backslash = |special: &dyn Fn(char) -> bool| {
        let escape = |c: char| special(c).then_some('\\').into_iter().chain([c]);
        text.chars().flat_map(escape).collect::<String>()
    };
    [
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        behind_backslash(&|c| matches!(c, '"' | '\\' | '$' | '`')),
        behind_backslash(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c)),
    ]
}

/// Percent encoding, for each habit of what stays as it is, of the digits' case and of blanks.
fn percent(text: &str) -> impl Iterator<Item = String> {
    let kept = ["-_.~", "-_.!~*'()", "-_.~/", "-_.*", "-_.~!$&'()*+,;=:@/?"];
    kept.into_iter().flat_map(move |kept| {
        let upper = percent_once(text, kept, true);
        let lower = percent_once(text, kept, false);
        [upper.replace("%20", "+"), lower.replace("%20", "+"), upper, lower]
    })
}

fn percent_once(text: &str, kept: &str, upper: bool) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}

/// Base64 of the whole, of its lines when a tool broke them, and inside of something larger.
fn add_base64(text: &str, forms: &mut BTreeSet<String>) {
    for alphabet in [BASE64_STANDARD, BASE64_URL] {
        let bare = base64(text.as_bytes(), alphabet);
        let padding = "=".repeat((4 - bare.len() % 4) % 4);
        forms.insert(format!("{bare}{padding}"));
        for length in BASE64_LINE_LENGTHS {
            forms.extend(broken(&bare, length));
        }
        forms.insert(bare);
        forms.extend((0..3).map(|before| base64_inside(text, before, alphabet)).filter(|piece| is_telling(piece)));
    }
}

fn is_telling(piece: &str) -> bool {
    piece.len() >= BASE64_PIECE_LENGTH_MIN
}

fn broken(base64: &str, length: usize) -> impl Iterator<Item = String> {
    // All of it is ASCII.
    let lines = base64.as_bytes().chunks(length).map(|line| String::from_utf8_lossy(line).into_owned());
    lines.filter(|line| is_telling(line))
}

/// The characters that depend on nothing but the text when `before` bytes (modulo 3) stand before it.
fn base64_inside(text: &str, before: usize, alphabet: &[u8; 64]) -> String {
    let shifted: Vec<u8> = std::iter::repeat_n(0, before).chain(text.bytes()).collect();
    let first = (before * 8).div_ceil(6);
    let end = shifted.len() * 8 / 6;
    base64(&shifted, alphabet).get(first..end).unwrap_or_default().to_owned()
}

/// Base64 without padding.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|shift| char::from(alphabet[(bits >> shift & 63) as usize]));
        out.extend(&digits[..=group.len()]);
    }
    out
}
