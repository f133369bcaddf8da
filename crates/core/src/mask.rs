//! Hides secrets in whatever child processes say.
//!
//! A [`Masker`] knows each value and its usual encodings and writes `***` in their place. Matches
//! that overlap are hidden as one, so that no part of a second secret stands out behind the first.
//!
//! A scan looks at four bytes at a time and asks a small bit table whether any form begins like
//! this; only then are the forms themselves compared. That is several times faster than an
//! automaton over hundreds of forms, and costs next to nothing to build.

mod forms;

use crate::secret::Secret;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What stands where a secret stood.
pub const MASK: &str = "***";
/// Values with fewer characters are not masked: they would be found in every second word.
pub const MASKABLE_LENGTH_MIN: usize = 4;

/// How many first bytes of a form are looked up; the shortest form has as many.
const PREFIX_LENGTH: usize = MASKABLE_LENGTH_MIN;
/// The bit table has two to this power bits: 32 KiB, which stays in the first-level cache.
const FILTER_BITS_LOG: u32 = 18;
const FILTER_WORDS: usize = 1 << (FILTER_BITS_LOG - 6);

/// Replaces secrets by [`MASK`]. Cloning it is cheap.
#[derive(Clone)]
pub struct Masker {
    table: Arc<Table>,
    too_short: Arc<[String]>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} forms)", self.table.forms.len())
    }
}

impl Masker {
    /// Builds a masker from names and values. Empty values hold nothing to hide.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        Self::build(BTreeSet::new(), Vec::new(), secrets)
    }

    /// A masker that hides these as well.
    pub fn and<'a>(&self, secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        // Forms are made of whole characters.
        let forms = self.table.forms.iter().map(|form| String::from_utf8_lossy(form).into_owned());
        Self::build(forms.collect(), self.too_short.to_vec(), secrets)
    }

    fn build<'a>(
        mut forms: BTreeSet<String>,
        mut too_short: Vec<String>,
        secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>,
    ) -> Self {
        for (name, secret) in secrets {
            let length = secret.expose().trim().chars().count();
            match length {
                0 => {}
                1..MASKABLE_LENGTH_MIN => too_short.push(name.to_owned()),
                MASKABLE_LENGTH_MIN.. => forms::add(secret.expose(), &mut forms),
            }
        }
        Self { table: Arc::new(Table::new(forms)), too_short: too_short.into() }
    }

    /// Names of the secrets that are too short to be masked; people should be warned of them.
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// The text with every secret replaced.
    pub fn mask(&self, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        self.table.scan(text.as_bytes(), &mut 0, true, &mut out);
        // Forms are whole texts, so they begin and end where characters do.
        String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }

    /// A masker of output that comes in chunks.
    pub fn stream(&self) -> Stream {
        Stream { table: Arc::clone(&self.table), held: Vec::new(), covered: 0 }
    }
}

/// Masks output that comes in chunks, also where a secret lies across their borders.
///
/// It holds back only bytes that may be the beginning of a secret.
pub struct Stream {
    table: Arc<Table>,
    held: Vec<u8>,
    covered: usize,
}

impl Stream {
    /// Takes the next chunk and appends to `out` whatever is safe to show.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(chunk);
        let told = self.table.scan(&self.held, &mut self.covered, false, out);
        self.held.drain(..told);
    }

    /// Appends what was held back, and begins anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.table.scan(&self.held, &mut self.covered, true, out);
        self.held.clear();
        self.covered = 0;
    }
}

/// Every form of every secret, sorted, and a filter for how they begin.
struct Table {
    forms: Vec<Box<[u8]>>,
    groups: Vec<Group>,
    filter: Box<[u64; FILTER_WORDS]>,
}

/// The forms that begin with the same four bytes.
struct Group {
    prefix: u32,
    start: usize,
    end: usize,
}

/// What the forms say about one place of a text.
enum Finding {
    Nothing,
    /// So many bytes are secret.
    Secret(usize),
    /// The text ends where a form still goes on.
    NeedsMore,
}

impl Table {
    fn new(forms: BTreeSet<String>) -> Self {
        let forms: Vec<Box<[u8]>> = forms.into_iter().map(|form| form.into_bytes().into()).collect();
        let mut table = Self { forms, groups: Vec::new(), filter: Box::new([0; FILTER_WORDS]) };
        for (at, form) in table.forms.iter().enumerate() {
            let Some(prefix) = prefix(form) else { continue };
            match table.groups.last_mut() {
                Some(group) if group.prefix == prefix => group.end = at + 1,
                Some(_) | None => table.groups.push(Group { prefix, start: at, end: at + 1 }),
            }
            let (word, bit) = slot(prefix);
            table.filter[word] |= bit;
        }
        table.groups.sort_by_key(|group| group.prefix);
        table
    }

    /// Writes the masked text to `out` and returns how much of it is settled; all of it when it is the `last`.
    ///
    /// `covered` says how many of the first bytes belong to a secret whose mask is written already.
    fn scan(&self, text: &[u8], covered: &mut usize, last: bool, out: &mut Vec<u8>) -> usize {
        let (mut at, mut masked_to) = (0, *covered);
        let settled = loop {
            let Some(found) = self.candidate(text, at) else { break self.settled_end(text, at, last) };
            match self.look(&text[found..], last) {
                Finding::Nothing => {}
                Finding::NeedsMore => break found,
                Finding::Secret(length) => {
                    if let Some(plain) = text.get(masked_to..found) {
                        out.extend_from_slice(plain);
                        out.extend_from_slice(MASK.as_bytes());
                    }
                    masked_to = masked_to.max(found + length);
                }
            }
            at = found + 1;
        };
        out.extend_from_slice(text.get(masked_to..settled).unwrap_or_default());
        *covered = masked_to.saturating_sub(settled);
        settled
    }

    /// The next place where some form may begin.
    fn candidate(&self, text: &[u8], from: usize) -> Option<usize> {
        let passes = |window: &[u8]| {
            prefix(window).is_some_and(|prefix| {
                let (word, bit) = slot(prefix);
                self.filter[word] & bit != 0
            })
        };
        text.get(from..)?.windows(PREFIX_LENGTH).position(passes).map(|at| from + at)
    }

    fn look(&self, text: &[u8], last: bool) -> Finding {
        let group =
            prefix(text).and_then(|prefix| self.groups.binary_search_by_key(&prefix, |group| group.prefix).ok());
        let Some(group) = group.map(|at| &self.groups[at]) else { return Finding::Nothing };
        let mut finding = Finding::Nothing;
        // Sorted, so that the longest form that fits comes last.
        for form in &self.forms[group.start..group.end] {
            if text.starts_with(form) {
                finding = Finding::Secret(form.len());
            } else if !last && form.starts_with(text) {
                return Finding::NeedsMore;
            }
        }
        finding
    }

    /// Where the tail begins that is too short to be looked up but may become a secret.
    fn settled_end(&self, text: &[u8], at: usize, last: bool) -> usize {
        let tail = text.len().saturating_sub(PREFIX_LENGTH - 1).max(at);
        let begins = |at: &usize| {
            let tail = &text[*at..];
            let next = self.forms.partition_point(|form| form.as_ref() < tail);
            self.forms.get(next).is_some_and(|form| form.starts_with(tail))
        };
        if last { text.len() } else { (tail..text.len()).find(begins).unwrap_or(text.len()) }
    }
}

fn prefix(text: &[u8]) -> Option<u32> {
    text.first_chunk::<PREFIX_LENGTH>().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Multiplicative hashing: the product's upper bits depend on every byte.
fn slot(prefix: u32) -> (usize, u64) {
    let hash = prefix.wrapping_mul(0x9E37_79B1) >> (u32::BITS - FILTER_BITS_LOG);
    ((hash >> 6) as usize % FILTER_WORDS, 1 << (hash & 63))
}

#[cfg(test)]
mod tests;
