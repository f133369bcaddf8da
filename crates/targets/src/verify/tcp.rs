//! Whether a connection is accepted.

use super::observe::{Observation, timed_out};
use super::owner::is_local;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Connects to `host:port` and hangs up.
pub(super) fn observe(address: &str, limit: Duration) -> Observation {
    let began = Instant::now();
    let mut seen = Observation::at(address);
    let connected = resolve(address).and_then(|all| connect(&all, began + limit));
    seen.latency = Some(began.elapsed());
    match connected {
        Ok(peer) if is_local(peer.ip()) => seen.answered_at = vec![peer],
        Ok(_) => seen.answered_elsewhere = true,
        Err(e) if e.kind() == io::ErrorKind::TimedOut => return seen.fault(timed_out(limit)),
        Err(e) => return seen.fault(e.to_string()),
    }
    seen
}

fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(address.to_socket_addrs()?.collect())
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<SocketAddr> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, left) {
            Ok(stream) if is_own_echo(&stream) => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(_) => return Ok(*address),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// A connection to an unused local port can meet itself (TCP's simultaneous open).
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}
