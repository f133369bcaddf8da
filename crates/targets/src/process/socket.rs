//! Which socket answers at an address, and whose it is.

use super::{pids, sock_diag};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseport;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `st` of a listening socket in `/proc/net/tcp` (Linux, `TCP_LISTEN`).
const LISTEN: &str = "0A";
/// How much of `/proc/net/tcp` is read, in bytes: 400,000 sockets.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// A socket that accepts connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; unspecified (`0.0.0.0`, `::`) means everywhere.
    pub address: SocketAddr,
    /// The user who made it.
    pub uid: u32,
    /// Its number, by which holders are found.
    pub inode: u64,
}

/// Reads the listening sockets out of `/proc/net/tcp` or `tcp6`.
pub fn parse_listeners(table: impl BufRead) -> Vec<Listener> {
    table.lines().map_while(Result::ok).filter_map(|line| parse_line(&line)).collect()
}

fn parse_line(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?;
    let inode = fields.nth(1)?;
    if state != LISTEN {
        return None;
    }
    Some(Listener { address: parse_address(local)?, uid: uid.parse().ok()?, inode: inode.parse().ok()? })
}

/// Reads `0100007F:1F90`: each 32-bit word of the address in the machine's own byte order.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() || !matches!(address.len(), 8 | 32) {
        return None;
    }
    let word = |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = if address.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for at in 0..4 {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
        }
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// The sockets of this network namespace that would answer a connection to `address`.
///
/// One that listens on exactly this address wins over one that listens everywhere (Linux,
/// `inet_lookup_listener`). Several are possible with `SO_REUSEPORT`.
pub fn listeners_at(address: SocketAddr) -> Vec<Listener> {
    let all = sock_diag::listeners().unwrap_or_else(|_| listeners_in_tables());
    answering(&all, address)
}

/// Whether what listens there shares its address with nobody: a socket of ours that would share it (`SO_REUSEPORT`, socket(7)) may
/// not even be bound to it. It does not listen, and is gone at once.
pub fn is_exclusive(address: SocketAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let tried = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .and_then(|socket| set_socket_reuseport(&socket, true).and_then(|()| bind(&socket, &address)));
    tried == Err(Errno::ADDRINUSE)
}

/// The listening sockets as `/proc` has them.
pub(super) fn listeners_in_tables() -> Vec<Listener> {
    let read = |name: &str| {
        let table = File::open(format!("/proc/self/net/{name}")).map(|file| file.take(TABLE_BYTES_MAX));
        table.map(|table| parse_listeners(BufReader::new(table))).unwrap_or_default()
    };
    read("tcp").into_iter().chain(read("tcp6")).collect()
}

fn answering(all: &[Listener], address: SocketAddr) -> Vec<Listener> {
    let ip = match address.ip().to_canonical() {
        // Connecting to "everywhere" reaches this machine's loopback.
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let ranks = if ip.is_ipv4() { vec![ip, everywhere[0], everywhere[1]] } else { vec![ip, everywhere[1]] };
    let at = |ip: &IpAddr| -> Vec<Listener> {
        all.iter().filter(|l| l.address.port() == address.port() && l.address.ip() == *ip).cloned().collect()
    };
    ranks.iter().map(at).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Which of these processes hold the socket; None stands for every process that can be seen.
///
/// The second value says whether the sockets of any process could not be read.
pub fn holders(inode: u64, among: Option<&BTreeSet<u32>>) -> (BTreeSet<u32>, bool) {
    let all: BTreeSet<u32> = match among {
        Some(some) => some.clone(),
        None => pids().collect(),
    };
    let wanted = format!("socket:[{inode}]");
    let (mut found, mut unreadable) = (BTreeSet::new(), false);
    for pid in all {
        match holds(pid, &wanted) {
            Some(true) => drop(found.insert(pid)),
            Some(false) => {}
            None => unreadable = true,
        }
    }
    (found, unreadable)
}

/// None when this user may not know. A process that is gone holds nothing.
fn holds(pid: u32, wanted: &str) -> Option<bool> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return None,
        Err(_) => return Some(false),
    };
    let is_wanted = |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted);
    Some(entries.flatten().any(is_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const TABLE: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 31338 1 0000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22222 1 0000 100 0 0 10 0
   3: nonsense
";
    const TABLE6: &str = "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7 1 0000
   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  33        0 8 1 0000
";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_listening_sockets_are_read() {
        let found = parse_listeners(TABLE.as_bytes());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Listener { address: address("127.0.0.1:8080"), uid: 1000, inode: 31337 });
        let found = parse_listeners(TABLE6.as_bytes());
        assert_eq!(found[0], Listener { address: address("[::1]:8080"), uid: 1000, inode: 7 });
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_nearest_socket_answers() {
        let all: Vec<_> = [TABLE, TABLE6].iter().flat_map(|t| parse_listeners(t.as_bytes())).collect();
        let inodes = |text: &str| answering(&all, address(text)).iter().map(|l| l.inode).collect::<Vec<_>>();
        assert_eq!(inodes("127.0.0.1:8080"), [31337]);
        assert_eq!(inodes("0.0.0.0:8080"), [31337]);
        assert_eq!(inodes("[::1]:8080"), [7]);
        assert_eq!(inodes("127.0.0.1:22"), [22222]);
        assert_eq!(inodes("127.0.0.1:80"), [8], "a socket on :: takes IPv4 too");
        assert_eq!(inodes("[::1]:22"), Vec::<u64>::new());
    }

    #[test]
    fn a_socket_that_shares_its_address_is_not_exclusive() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_exclusive(alone.local_addr().unwrap()));

        let shared = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_reuseport(&shared, true).unwrap();
        bind(&shared, &address("127.0.0.1:0")).unwrap();
        let shared = TcpListener::from(shared);
        rustix::net::listen(&shared, 1).unwrap();
        assert!(!is_exclusive(shared.local_addr().unwrap()));
    }

    #[test]
    fn the_process_that_holds_a_socket_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listeners_at(listener.local_addr().unwrap());
        assert_eq!(found.len(), 1);
        assert!(holders(found[0].inode, None).0.contains(&std::process::id()));
        assert!(holders(found[0].inode, Some(&BTreeSet::new())).0.is_empty());
    }
}
