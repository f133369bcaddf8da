//! Opening the file, and making it anew when it is damaged.

use crate::fault::Fault;
use crate::{SqliteStore, schema};
use cutover_core::store::StoreError;
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one process waits for another's transaction.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// How many set-aside files may lie beside the history.
const ASIDE_COUNT_MAX: u32 = 1_000;

/// The largest file that is copied, in bytes: ten times what the history of ten thousand deployments takes.
const COPIED_BYTES_MAX: u64 = 512 << 20;
/// How many pages of a copy are made in one piece.
const COPIED_PAGE_COUNT: i32 = 1_024;

/// Opens the file, makes it where it is missing, and brings an older one up to date.
pub(crate) fn connect(path: &Path) -> Result<Connection, Fault> {
    keep_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL;")?;
    match schema::version(&connection)? {
        schema::VERSION => {}
        newer if newer > schema::VERSION => return Err(Fault::TooNew(newer)),
        _ => {
            use_wal(&connection)?;
            schema::migrate(&connection)?;
        }
    }
    Ok(connection)
}

/// What the file holds, in memory and up to date.
pub(crate) fn copy(path: &Path) -> Result<Connection, Fault> {
    let bytes = fs::metadata(path)?.len();
    if bytes > COPIED_BYTES_MAX {
        let why = format!("it has {bytes} bytes, and at most {COPIED_BYTES_MAX} are copied");
        return Err(std::io::Error::other(why).into());
    }
    // To read what its last writer left in the log beside it SQLite wants to write there. Where it can't, the file as it is.
    let copied = copied(path, "mode=ro").or_else(|_| copied(path, "mode=ro&immutable=1"))?;
    match schema::version(&copied)? {
        newer if newer > schema::VERSION => return Err(Fault::TooNew(newer)),
        _ => schema::migrate(&copied)?,
    }
    Ok(copied)
}

/// An empty history in memory.
pub(crate) fn in_memory() -> Result<Connection, Fault> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch("PRAGMA foreign_keys = ON;")?;
    schema::migrate(&connection)?;
    Ok(connection)
}

fn copied(path: &Path, how: &str) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let from = Connection::open_with_flags(format!("file:{}?{how}", escaped(path)), flags)?;
    from.busy_timeout(BUSY_LIMIT)?;
    let mut to = Connection::open_in_memory()?;
    Backup::new(&from, &mut to)?.run_to_completion(COPIED_PAGE_COUNT, Duration::ZERO, None)?;
    to.execute_batch("PRAGMA foreign_keys = ON;")?;
    Ok(to)
}

/// A path as it stands in a URI.
fn escaped(path: &Path) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|&byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Makes the file, or an existing one's mode, such that only its owner reads it; SQLite gives its companions the same mode.
fn keep_private(path: &Path) -> Result<(), Fault> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => tighten(path),
        Err(error) => Err(error.into()),
    }
}

fn tighten(path: &Path) -> Result<(), Fault> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Switches the file to WAL, which it stays in. SQLite does not wait for this by itself when two processes do it at once.
fn use_wal(connection: &Connection) -> Result<(), Fault> {
    let until = Instant::now() + BUSY_LIMIT;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens the history after something was found damaged in it: a file that is not sound is set aside, untouched, and an
/// empty one made in its place. Gives where the old one lies now; None when the file is sound, as when another process
/// was quicker, or when it is a single row that cannot be understood.
///
/// # Errors
/// When the old file cannot be moved or the new one not be made.
pub fn renew(path: &Path) -> Result<(SqliteStore, Option<PathBuf>), StoreError> {
    match SqliteStore::open(path) {
        Ok(store) if is_sound(&store) => return Ok((store, None)),
        Ok(_) | Err(StoreError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    let aside = set_aside(path).map_err(|fault| fault.explain("set aside", path))?;
    Ok((SqliteStore::open(path)?, aside))
}

fn is_sound(store: &SqliteStore) -> bool {
    let said = store.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    said.is_ok_and(|said| said == "ok")
}

fn set_aside(path: &Path) -> Result<Option<PathBuf>, Fault> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let beside = |number: u32| with_suffix(path, &format!(".damaged-{number}"));
    let aside = (1..=ASIDE_COUNT_MAX).map(beside).find(|aside| !aside.exists());
    let aside = aside.ok_or_else(|| std::io::Error::other("too many set-aside files lie beside it"))?;
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(Some(aside))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
