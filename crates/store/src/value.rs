//! How our types stand in columns: enums and names as their serialized word, times as nanoseconds since 1970.

use crate::fault::Fault;
use jiff::Timestamp;
use rusqlite::Row;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

/// The word that stands for a unit variant or a name.
pub(crate) fn word(value: &impl Serialize) -> Result<String, Fault> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(Fault::Unreadable(format!("{other} is not a word"))),
    }
}

/// The variant or name that this word stands for.
pub(crate) fn parse<'a, T: Deserialize<'a>>(word: &'a str) -> Result<T, Fault> {
    let word: StrDeserializer<'a, WordError> = word.into_deserializer();
    T::deserialize(word).map_err(|error| Fault::Unreadable(error.to_string()))
}

/// A time as a column; times outside of 1677 to 2262 are moved to the nearest that fits.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let nanoseconds = at.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// The time in a column.
pub(crate) fn timestamp(nanoseconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|error| Fault::Unreadable(error.to_string()))
}

/// A count as a column, which has a sign.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The count in a column.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Reads one row's columns in order.
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    at: usize,
}

impl<'a> Columns<'a> {
    /// Begins with the first column.
    pub(crate) fn of(row: &'a Row<'a>) -> Self {
        Self { row, at: 0 }
    }

    /// The next column as it stands.
    pub(crate) fn plain<T: rusqlite::types::FromSql>(&mut self) -> Result<T, Fault> {
        let value = self.row.get(self.at)?;
        self.at += 1;
        Ok(value)
    }

    /// The next column's word.
    pub(crate) fn word<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        self.maybe_word()?.ok_or_else(|| Fault::Unreadable(format!("column {} is empty", self.at)))
    }

    /// The next column's word, if it has one.
    pub(crate) fn maybe_word<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        let word = self.row.get_ref(self.at)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        self.at += 1;
        word.map(parse).transpose()
    }

    /// The next column's time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, Fault> {
        timestamp(self.plain()?)
    }

    /// The next column's time, if it has one.
    pub(crate) fn maybe_time(&mut self) -> Result<Option<Timestamp>, Fault> {
        self.plain::<Option<i64>>()?.map(timestamp).transpose()
    }

    /// The next column's count.
    pub(crate) fn count(&mut self) -> Result<u64, Fault> {
        Ok(unsigned(self.plain()?))
    }
}
