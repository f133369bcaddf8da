//! Asks the kernel for listening sockets alone.
//!
//! `/proc/net/tcp` walks the table of every connection that the machine could have, some milliseconds on any of
//! today's, whether there are any or not. `sock_diag(7)` walks those that listen.

use super::socket::Listener;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY` (`linux/sock_diag.h`).
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP` (`linux/netlink.h`).
const REQUEST_ALL: u16 = 0x301;
/// `NLMSG_DONE`: nothing more comes.
const DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`: what is told may be neither what was nor what is.
const INTERRUPTED: u16 = 0x10;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The bit of `TCP_LISTEN` in `idiag_states`.
const LISTENING: u32 = 1 << 10;
/// `struct nlmsghdr` in bytes.
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_req_v2` in bytes.
const REQUEST_BYTES: usize = 56;
/// `struct inet_diag_msg` in bytes; what follows it are attributes.
const SOCKET_BYTES: usize = 72;
/// The kernel sends at most 32 KiB at once (`netlink_dump`).
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How many answers are heard: far more sockets than a machine has ports.
const ANSWER_COUNT_MAX: usize = 4096;
/// The kernel answers while it is asked.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// All sockets of this network namespace that listen for TCP. An error where the kernel does not tell: it may have
/// been built without, or a sandbox may forbid to ask.
pub(super) fn listeners() -> io::Result<Vec<Listener>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(WAIT_MAX))?;
    let mut found = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        sendto(&socket, &request(family), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        hear(&socket, &mut found)?;
    }
    Ok(found)
}

fn request(family: AddressFamily) -> [u8; HEADER_BYTES + REQUEST_BYTES] {
    let mut request = [0; HEADER_BYTES + REQUEST_BYTES];
    request[0..4].copy_from_slice(&(HEADER_BYTES as u32 + REQUEST_BYTES as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    request[16] = family.as_raw() as u8;
    request[17] = TCP;
    request[20..24].copy_from_slice(&LISTENING.to_ne_bytes());
    request
}

fn hear(socket: &OwnedFd, found: &mut Vec<Listener>) -> io::Result<()> {
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    for _ in 0..ANSWER_COUNT_MAX {
        let (_, bytes) = recv(socket, &mut buffer[..], RecvFlags::TRUNC)?;
        let answer = buffer.get(..bytes).ok_or_else(|| not_understood("an answer is too long"))?;
        if take_in(answer, found)? {
            return Ok(());
        }
    }
    Err(not_understood("there is no end to the sockets"))
}

/// Reads the messages of one answer; true when nothing more comes.
fn take_in(mut answer: &[u8], found: &mut Vec<Listener>) -> io::Result<bool> {
    while !answer.is_empty() {
        let bytes = word(answer, 0).ok_or_else(|| not_understood("a message has no length"))? as usize;
        if answer.get(6..8).is_some_and(|flags| u16::from_ne_bytes([flags[0], flags[1]]) & INTERRUPTED != 0) {
            return Err(not_understood("the sockets changed meanwhile"));
        }
        let kind = answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
        let content = answer.get(HEADER_BYTES..bytes);
        match (kind, content) {
            // A dump that failed ends in the same way, with an error's number (`netlink_dump`, Linux).
            (Some(DONE), Some([0, 0, 0, 0, ..])) => return Ok(true),
            (Some(BY_FAMILY), Some(content)) => {
                found.push(listener(content).ok_or_else(|| not_understood("a socket is cut short"))?);
            }
            // Mostly an error's number; why does not matter, as there is another way to ask.
            (Some(_) | None, Some(_) | None) => return Err(not_understood("a message is no socket")),
        }
        // Each begins at a multiple of four.
        answer = answer.get(bytes.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads `struct inet_diag_msg`: port and address as on the wire, the rest as this machine has it.
fn listener(message: &[u8]) -> Option<Listener> {
    let message: &[u8; SOCKET_BYTES] = message.first_chunk()?;
    let port = u16::from_be_bytes([message[4], message[5]]);
    let address: [u8; 16] = *message[8..].first_chunk()?;
    let ip = if i32::from(message[0]) == i32::from(AddressFamily::INET.as_raw()) {
        IpAddr::V4(Ipv4Addr::from(*address.first_chunk::<4>()?))
    } else {
        IpAddr::V6(Ipv6Addr::from(address))
    };
    Some(Listener {
        address: SocketAddr::new(ip.to_canonical(), port),
        uid: word(message, 64)?,
        inode: word(message, 68)?.into(),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn not_understood(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Where there is no such thing, `/proc/net/tcp` is read instead.
    fn ask() -> Option<Vec<Listener>> {
        listeners().inspect_err(|error| eprintln!("skipped: the kernel does not tell: {error}")).ok()
    }

    #[test]
    fn the_kernel_tells_the_same_as_its_table() {
        // Given sockets of both kinds, one on an address and one everywhere
        let bound: Vec<_> = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"].map(TcpListener::bind).into();
        let ports: Vec<u16> = bound.iter().flatten().map(|socket| socket.local_addr().unwrap().port()).collect();
        let ours = |mut all: Vec<Listener>| {
            all.retain(|listener| ports.contains(&listener.address.port()));
            all.sort_by_key(|listener| listener.inode);
            all
        };
        // When the kernel is asked
        let Some(told) = ask() else { return };
        // Then it tells address, user and number as the table has them
        let told = ours(told);
        assert_eq!(told.len(), ports.len());
        assert_eq!(told, ours(super::super::socket::listeners_in_tables()));
    }

    #[test]
    fn a_connection_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        let Some(told) = ask() else { return };
        assert!(told.iter().all(|listener| listener.address.port() != port));
    }

    #[test]
    fn what_is_cut_short_or_no_socket_is_an_error_and_no_answer() {
        let message = |kind: u16, content: &[u8]| {
            let mut message = ((HEADER_BYTES + content.len()) as u32).to_ne_bytes().to_vec();
            message.extend(kind.to_ne_bytes());
            message.resize(HEADER_BYTES, 0);
            message.extend(content);
            message
        };
        let mut found = Vec::new();
        let whole = [message(BY_FAMILY, &[0; SOCKET_BYTES]), message(DONE, &[0; 4])].concat();
        assert!(take_in(&whole, &mut found).unwrap());
        assert_eq!(found.len(), 1);

        for bytes in 1..whole.len() {
            let told = take_in(&whole[..bytes], &mut Vec::new());
            let is_first_alone = bytes == HEADER_BYTES + SOCKET_BYTES;
            assert_eq!(told.is_ok(), is_first_alone, "{bytes} bytes: {told:?}");
        }
        let error = 2;
        let endless = [0; HEADER_BYTES].to_vec();
        let failed = message(DONE, &(-2_i32).to_ne_bytes());
        let mut interrupted = whole.clone();
        interrupted[6] = INTERRUPTED.to_ne_bytes()[0];
        interrupted[7] = INTERRUPTED.to_ne_bytes()[1];
        let short = message(BY_FAMILY, &[0; SOCKET_BYTES - 1]);
        for wrong in [message(error, &[0; 20]), short, endless, failed, message(DONE, &[]), interrupted] {
            assert!(take_in(&wrong, &mut Vec::new()).is_err(), "{wrong:?}");
        }
    }
}
