//! Constant load: somebody who asks all the time, and remembers what was answered.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What was answered.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answers: BTreeSet<String>,
    request_count: u32,
    failure_count: u32,
    longest_gap: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request_count, failure_count, longest_gap, .. } = self;
        write!(
            f,
            "{request_count} requests, {failure_count} without an answer, longest gap {} ms",
            longest_gap.as_millis()
        )
    }
}

/// Asks until it is dropped.
pub(crate) struct Prober {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    pub(crate) fn start(address: &str) -> Self {
        let address: SocketAddr = format!("{address}:8000").parse().unwrap();
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (is_over, told) = (Arc::clone(&over), Arc::clone(&seen));
        let thread = std::thread::spawn(move || ask_all_the_time(address, &is_over, &told));
        Self { over, seen, thread: Some(thread) }
    }

    /// What was answered since it was last asked for.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}

fn ask_all_the_time(address: SocketAddr, over: &AtomicBool, seen: &Mutex<Seen>) {
    let mut last = Instant::now();
    while !over.load(Ordering::SeqCst) {
        let answer = ask(address);
        let mut seen = seen.lock().unwrap();
        seen.request_count += 1;
        if let Some(answer) = answer {
            seen.longest_gap = seen.longest_gap.max(last.elapsed());
            seen.answers.insert(answer);
            last = Instant::now();
        } else {
            seen.failure_count += 1;
        }
        drop(seen);
        std::thread::sleep(PAUSE);
    }
}

/// One question; None when nobody answers it whole.
pub(crate) fn ask(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    (answer.contains(" 200 ") && !body.is_empty()).then(|| body.to_owned())
}
