//! What can go wrong inside, before it is explained.

use cutover_core::store::StoreError;
use rusqlite::ErrorCode;
use std::path::Path;

/// A fault that does not know yet which file and operation it belongs to.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said no.
    Sql(rusqlite::Error),
    /// The file could not be made or moved.
    Io(std::io::Error),
    /// What stands in the file does not make sense.
    Unreadable(String),
    /// The schema is newer than this code.
    TooNew(i64),
    /// Explained already.
    Told(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

impl Fault {
    /// The error for people: what was tried, with which file.
    pub(crate) fn explain(self, operation: &'static str, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Self::Sql(error) if is_damage(&error) => StoreError::Damaged { path, why: error.to_string() },
            Self::Unreadable(why) => StoreError::Damaged { path, why },
            Self::TooNew(found) => StoreError::TooNew { path, found, supported: crate::schema::VERSION },
            Self::Told(error) => error,
            Self::Sql(error) => StoreError::Failed { operation, path, source: Box::new(error) },
            Self::Io(error) => StoreError::Failed { operation, path, source: Box::new(error) },
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
