//! What systemd says of a unit, asked over its message bus: as `systemctl show` does it, without a process for each look.

#[cfg(test)]
mod tests;
mod wire;

use crate::tool::runtime_dir;
use cutover_core::config::SystemdScope;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wire::{Call, Message};

/// How long the bus may be silent while it is listened to.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest line of the handshake, in bytes.
const LINE_BYTES_MAX: u64 = 1024;
/// How many messages that answer nothing are passed over: a bus greets who comes, and systemd tells whoever is connected to
/// it directly of all its units.
const STRAY_COUNT_MAX: usize = 4096;
/// Only these have what is asked for here; others are left to `systemctl`.
const SUFFIX: &str = ".service";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// The call that introduces us, where that is needed, is the first.
const HELLO: u32 = 1;
/// How many calls one look is.
const CALL_COUNT: u32 = 14;
/// What is asked for (org.freedesktop.systemd1(5)), by the names that `systemctl show` has for it.
pub(super) const PROPERTIES: [(&str, &str); CALL_COUNT as usize] = [
    (UNIT, "LoadState"),
    (UNIT, "ActiveState"),
    (UNIT, "SubState"),
    (UNIT, "ActiveEnterTimestampMonotonic"),
    (UNIT, "InvocationID"),
    (UNIT, "StartLimitIntervalUSec"),
    (SERVICE, "Result"),
    (SERVICE, "MainPID"),
    (SERVICE, "ExecMainCode"),
    (SERVICE, "ExecMainStatus"),
    (SERVICE, "NRestarts"),
    (SERVICE, "MemoryCurrent"),
    (SERVICE, "CPUUsageNSec"),
    (SERVICE, "ControlGroup"),
];

/// A connection to systemd, made when it is needed: to be let in costs more than all that is asked then.
#[derive(Default)]
pub(super) struct Bus(Mutex<Option<Line>>);

impl Bus {
    /// The properties of a unit; what this systemd does not know of is left out. Any error means only that `systemctl` must
    /// be asked, which can also say what is wrong.
    pub(super) fn properties(&self, scope: SystemdScope, unit: &str) -> io::Result<BTreeMap<String, String>> {
        if !unit.ends_with(SUFFIX) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = match kept.take() {
            Some(line) => line,
            None => Line::open(scope)?,
        };
        let known = line.ask(unit)?;
        // What failed is not used again: an answer might still come.
        *kept = Some(line);
        if known.contains_key("LoadState") { Ok(known) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Lets go of the connection; the next look makes another one.
    pub(super) fn hang_up(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A connection, and how many calls were made on it.
struct Line {
    stream: BufReader<UnixStream>,
    call_count: u32,
}

impl Line {
    /// Connects and introduces itself, without waiting to be let in.
    fn open(scope: SystemdScope) -> io::Result<Self> {
        let (path, is_bus) = address(scope);
        let mut stream = dial(&path)?;
        let (greeting, call_count) = greeting(is_bus);
        stream.write_all(&greeting)?;
        let mut stream = BufReader::new(stream);
        welcome(&mut stream)?;
        Ok(Self { stream, call_count })
    }

    /// Makes all calls at once.
    fn ask(&mut self, unit: &str) -> io::Result<BTreeMap<String, String>> {
        let first = self.call_count.checked_add(1).ok_or(io::ErrorKind::Other)?;
        self.call_count = self.call_count.checked_add(CALL_COUNT).ok_or(io::ErrorKind::Other)?;
        self.stream.get_mut().write_all(&questions(unit, first))?;
        hear(&mut self.stream, first)
    }
}

/// Where the manager listens, and whether that is a bus, where one has to introduce oneself. It listens to its own user directly.
fn address(scope: SystemdScope) -> (PathBuf, bool) {
    match scope {
        SystemdScope::User => (runtime_dir().join("systemd/private"), false),
        SystemdScope::System if rustix::process::geteuid().is_root() => ("/run/systemd/private".into(), false),
        SystemdScope::System => ("/run/dbus/system_bus_socket".into(), true),
    }
}

/// Connects without waiting: a bus that takes nobody in is none.
fn dial(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// The handshake, and how many calls it makes.
fn greeting(is_bus: bool) -> (Vec<u8>, u32) {
    let user = rustix::process::geteuid().as_raw().to_string();
    let user: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut greeting = format!("\0AUTH EXTERNAL {user}\r\nBEGIN\r\n").into_bytes();
    if !is_bus {
        return (greeting, 0);
    }
    let hello = Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
        arguments: &[],
    };
    greeting.extend(hello.message(HELLO));
    (greeting, HELLO)
}

/// All calls. Their serial numbers are their properties' places in the list, from the first one on.
fn questions(unit: &str, first: u32) -> Vec<u8> {
    let path = object_path(unit);
    let calls = (first..).zip(PROPERTIES).flat_map(|(serial, (interface, name))| {
        let get = Call {
            destination: SYSTEMD,
            path: &path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            arguments: &[interface, name],
        };
        get.message(serial)
    });
    calls.collect()
}

/// Where a unit is found: its name, with all but letters and digits as `_` and two hexadecimal digits; a first digit, too
/// (`bus_label_escape` of systemd).
fn object_path(unit: &str) -> String {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for (at, byte) in unit.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
        let _always = if is_plain { write!(path, "{}", char::from(byte)) } else { write!(path, "_{byte:02x}") };
    }
    path
}

/// Waits until we are let in.
fn welcome(from: &mut impl BufRead) -> io::Result<()> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.starts_with(b"OK ") && line.ends_with(b"\r\n") {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Hears the answers to all calls from this one on, in whatever order they come.
fn hear(from: &mut impl Read, first: u32) -> io::Result<BTreeMap<String, String>> {
    let (mut known, mut open, mut strays) = (BTreeMap::new(), PROPERTIES.len(), STRAY_COUNT_MAX);
    while open > 0 {
        let message = Message::read(from)?;
        match message.answers.and_then(|serial| PROPERTIES.get(serial.checked_sub(first)? as usize)) {
            Some((_, name)) => {
                open -= 1;
                known.extend(message.value().filter(|_| !message.is_error).map(|value| ((*name).to_owned(), value)));
            }
            // A bus that does not answer the introduction answers nothing else.
            None if message.answers == Some(HELLO) && message.is_error => {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            None if strays == 0 => return Err(io::ErrorKind::InvalidData.into()),
            None => strays -= 1,
        }
    }
    Ok(known)
}
