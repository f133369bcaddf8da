//! JSON as reports use it: read piece by piece, with bounds.

use super::bounded::{Bounded, Bounds};
use super::{Fault, Format, Place};
use cutover_core::check::{NAME_BYTES_MAX, excerpt};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::marker::PhantomData;

/// The most items of one list, or of one object, that are held at once.
pub const ITEMS_MAX: usize = 1_000_000;

/// Reads one document by a seed. What is passed over may be of any depth: the JSON reader needs a byte for each level
/// there, and no recursion. Anything else is as deep as the seed's types, or 128.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    input: impl BufRead,
    format: Format,
    bounds: Bounds,
    seed: S,
) -> Result<S::Value, Fault> {
    let mut input = Strings { inner: Bounded::new(input, bounds), escaped: false };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::new(&mut input));
    let read = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    drop(reader);
    read.map_err(|error| {
        let place = Place::Line(error.line() as u64);
        match input.inner.passed() {
            Some(passed) => Fault::Refused { place, why: passed.to_owned() },
            None if error.is_io() => Fault::Read(error.into()),
            None => Fault::Malformed { format, place, why: excerpt(&error.to_string(), NAME_BYTES_MAX) },
        }
    })
}

/// Has each string be a piece of its own, and what stands between two.
struct Strings<R> {
    inner: Bounded<R>,
    /// Whether the last byte was a backslash that stands for nothing itself.
    escaped: bool,
}

impl<R: BufRead> Read for Strings<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        let mut quoted = false;
        for byte in &into[..length] {
            quoted |= *byte == b'"' && !self.escaped;
            self.escaped = *byte == b'\\' && !self.escaped;
        }
        if quoted {
            self.inner.begin_piece();
        }
        Ok(length)
    }
}

/// Gives each entry of an object to a function, one after the other.
pub(super) struct Entries<V, F> {
    take: F,
    value: PhantomData<V>,
}

impl<V, F> Entries<V, F> {
    pub(super) fn new(take: F) -> Self {
        Self { take, value: PhantomData }
    }
}

impl<'de, V: Deserialize<'de>, T: fmt::Display, F: FnMut(String, V) -> Result<(), T>> DeserializeSeed<'de>
    for Entries<V, F>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, V: Deserialize<'de>, T: fmt::Display, F: FnMut(String, V) -> Result<(), T>> Visitor<'de> for Entries<V, F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key()? {
            (self.take)(key, entries.next_value()?).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Reads one entry of an object by a seed, and passes over the others. None where it is not there.
pub(super) struct Only<S> {
    pub(super) key: &'static str,
    pub(super) seed: S,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Only<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Only<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an object with `{}`", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut seed, mut value) = (Some(self.seed), None);
        while let Some(key) = entries.next_key::<String>()? {
            match seed.take_if(|_| key == self.key) {
                Some(seed) => value = Some(entries.next_value_seed(seed)?),
                None => entries.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(value)
    }
}

/// Gives each item of a list to a seed that a function makes.
pub(super) struct Each<F>(pub(super) F);

impl<'de, S: DeserializeSeed<'de, Value = ()>, F: FnMut() -> S> DeserializeSeed<'de> for Each<F> {
    /// How many items there were.
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<usize, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>, F: FnMut() -> S> Visitor<'de> for Each<F> {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while items.next_element_seed((self.0)())?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// A list of at most [`ITEMS_MAX`] items. `null` is an empty one.
#[derive(Debug)]
pub(super) struct Items<T>(pub(super) Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(ItemsVisitor(PhantomData)).map(Self)
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a list of at most {ITEMS_MAX} items")
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            if all.len() == ITEMS_MAX {
                return Err(A::Error::invalid_length(ITEMS_MAX + 1, &self));
            }
            all.push(item);
        }
        Ok(all)
    }
}

/// The entries of an object, at most [`ITEMS_MAX`], in their order.
#[derive(Debug)]
pub(super) struct Pairs<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut pairs = Vec::new();
        Entries::new(|key, value| {
            if pairs.len() == ITEMS_MAX {
                return Err(format!("an object has more than {ITEMS_MAX} entries"));
            }
            pairs.push((key, value));
            Ok(())
        })
        .deserialize(input)?;
        Ok(Self(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_ignored(text: &str) -> Result<(), Fault> {
        let bounds = Bounds { report_bytes: 1 << 20, piece_bytes: 1 << 16 };
        read(text.as_bytes(), Format::Sarif, bounds, PhantomData::<IgnoredAny>).map(|_| ())
    }

    #[test]
    fn a_piece_is_bounded_and_the_number_of_pieces_is_not() {
        let strings = format!("[{}1]", r#""a \\\" b","#.repeat(20_000));
        assert!(strings.len() > 3 << 16);
        read_ignored(&strings).unwrap();
        for long in [format!(r#"["{}"]"#, r#"x\""#.repeat(1 << 16)), format!("[{}1]", "1,".repeat(3 << 15))] {
            assert!(matches!(read_ignored(&long), Err(Fault::Refused { .. })));
        }
        assert!(matches!(read_ignored(&strings.repeat(5)), Err(Fault::Malformed { .. })));
        let large = format!("[{}1]", r#""a","#.repeat(300_000));
        assert!(matches!(read_ignored(&large), Err(Fault::Refused { .. })));
    }

    #[test]
    fn depth_costs_no_recursion() {
        // A recursion for each level would end the program here.
        let deep = "[".repeat(1 << 15) + &"]".repeat(1 << 15);
        read_ignored(&deep[..]).unwrap_or_else(|fault| panic!("{fault}"));
        let value = read(deep.as_bytes(), Format::Sarif, Bounds::default(), PhantomData::<serde_json::Value>);
        assert!(value.unwrap_err().to_string().contains("recursion limit"));
    }
}
