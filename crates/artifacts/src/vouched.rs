//! What a builder says of an artifact and its signature as one file, so that no statement is ever beside the signature of another.

use crate::depot::Provenance;
use cutover_core::provenance::STATEMENT_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// The largest such file in bytes: a statement and a signature, as text in JSON.
pub(crate) const VOUCHED_BYTES_MAX: u64 = 4 * STATEMENT_BYTES_MAX as u64;

#[derive(Serialize, Deserialize)]
struct Vouched {
    statement: String,
    signature: Option<String>,
}

/// Both as one text.
pub(crate) fn to_json(provenance: &Provenance) -> serde_json::Result<Vec<u8>> {
    // What is no text is neither a statement nor a signature, and stays none.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let signature = provenance.signature.as_deref().map(text);
    serde_json::to_vec(&Vouched { statement: text(&provenance.statement), signature })
}

/// Both apart; None of what is no such text.
pub(crate) fn from_json(json: &[u8]) -> Option<Provenance> {
    let Vouched { statement, signature } = serde_json::from_slice(json).ok()?;
    Some(Provenance { statement: statement.into_bytes(), signature: signature.map(String::into_bytes) })
}
