//! An S3-compatible service that is none: the four operations that Cutover asks for, in memory, on this machine.
//!
//! What goes wrong out there can be ordered: [`Mishap`]s befall the next requests that fit, in the order in which they were
//! ordered. It demands that requests are signed by the key that it knows, and does not verify signatures: `tools/artifacts/check`
//! asks a service that does.

use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The largest request that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// What befalls a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// None: it is done and answered.
    None,
    /// Nothing is done, and this is the answer, as if it were.
    Say(String),
    /// Nothing is done, and this status and code are the answer.
    Answer(u16, &'static str),
    /// Nothing is done, and this status and code are the answer, before anything of a body is read.
    Refuse(u16, &'static str),
    /// Nothing is done, and the connection ends without an answer.
    HungUp,
    /// Nothing is done, and no answer comes for as long as the other side waits for one.
    Silent,
    /// It is done, and the connection ends without an answer.
    DoneAndHungUp,
    /// It is done, and the answer is cut in the middle.
    DoneAndCut,
}

/// A running fake with one bucket. It ends when it is dropped.
pub struct FakeS3 {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    bucket: String,
    key_id: String,
    ended: AtomicBool,
    objects: Mutex<BTreeMap<String, (Vec<u8>, Timestamp)>>,
    mishaps: Mutex<VecDeque<(&'static str, Mishap)>>,
    received: Mutex<Vec<String>>,
}

struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl FakeS3 {
    /// How many names one page of a list has.
    pub const PAGE: usize = 3;

    /// Begins to answer on a port of the system's choice, for whoever has this access key.
    pub fn start(bucket: &str, key_id: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Shared { bucket: bucket.to_owned(), key_id: key_id.to_owned(), ..Shared::default() };
        let shared = Arc::new(shared);
        let theirs = Arc::clone(&shared);
        let listener = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if theirs.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                // A client that went away is no concern of a server.
                thread::spawn(move || shared.serve(&stream).ok());
            }
        });
        Ok(Self { address, shared, listener: Some(listener) })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has a mishap befall the next request with this method that none has befallen.
    pub fn order(&self, method: &'static str, mishap: Mishap) {
        locked(&self.shared.mishaps).push_back((method, mishap));
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        locked(&self.shared.objects).keys().cloned().collect()
    }

    /// Changes an object, or removes it.
    pub fn tamper(&self, key: &str, content: Option<&[u8]>) {
        let mut objects = locked(&self.shared.objects);
        match content {
            Some(content) => drop(objects.insert(key.to_owned(), (content.to_vec(), Timestamp::UNIX_EPOCH))),
            None => drop(objects.remove(key)),
        }
    }

    /// Method and path of each request, in order.
    pub fn received(&self) -> Vec<String> {
        locked(&self.shared.received).clone()
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes it.
        let _woken = TcpStream::connect(self.address);
        let _ended = self.listener.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
        let Some(mut asked) = read_head(&mut reader)? else { return Ok(()) };
        let mut stream = stream;
        let mishap = self.mishap(&asked.method);
        if let Some(Mishap::Refuse(status, code)) = &mishap {
            locked(&self.received).push(format!("{} {}", asked.method, asked.path));
            return stream.write_all(&answer_bytes(&refusal(*status, code)));
        }
        if asked.headers.contains_key("expect") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if !asked.read_body(reader)? {
            // What was cut on the way was not asked for.
            return Ok(());
        }
        locked(&self.received).push(format!("{} {}", asked.method, asked.path));
        let answer = match &mishap {
            Some(Mishap::HungUp) => return Ok(()),
            Some(Mishap::Silent) => return until_gone(stream),
            Some(Mishap::Answer(status, code) | Mishap::Refuse(status, code)) => refusal(*status, code),
            Some(Mishap::Say(text)) => (200, text.clone().into_bytes()),
            Some(Mishap::None | Mishap::DoneAndHungUp | Mishap::DoneAndCut) | None => self.answer(&asked),
        };
        let bytes = answer_bytes(&answer);
        match mishap {
            Some(Mishap::DoneAndHungUp) => Ok(()),
            Some(Mishap::DoneAndCut) => stream.write_all(&bytes[..bytes.len() - answer.1.len().div_ceil(2).max(1)]),
            Some(
                Mishap::None
                | Mishap::Say(_)
                | Mishap::HungUp
                | Mishap::Silent
                | Mishap::Answer(..)
                | Mishap::Refuse(..),
            )
            | None => stream.write_all(&bytes),
        }
    }

    /// What befalls a request with this method.
    fn mishap(&self, method: &str) -> Option<Mishap> {
        let mut mishaps = locked(&self.mishaps);
        let at = mishaps.iter().position(|(of, _)| *of == method)?;
        mishaps.remove(at).map(|(_, mishap)| mishap)
    }

    fn answer(&self, asked: &Asked) -> (u16, Vec<u8>) {
        let signed = asked.headers.get("authorization").map_or("", String::as_str);
        if !signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={}/", self.key_id)) {
            return refusal(403, "InvalidAccessKeyId");
        }
        if asked.headers.get("x-amz-content-sha256").is_none_or(|digest| digest.len() != 64) {
            return refusal(400, "XAmzContentSHA256Mismatch");
        }
        let Some(key) = asked.path.strip_prefix(&format!("/{}/", self.bucket)) else {
            return refusal(404, "NoSuchBucket");
        };
        let mut objects = locked(&self.objects);
        match asked.method.as_str() {
            "GET" if key.is_empty() => (200, page(&objects, &asked.query).into_bytes()),
            "GET" => objects.get(key).map_or_else(|| refusal(404, "NoSuchKey"), |(bytes, _)| (200, bytes.clone())),
            "PUT" => {
                objects.insert(key.to_owned(), (asked.body.clone(), Timestamp::now()));
                (200, Vec::new())
            }
            "DELETE" => {
                objects.remove(key);
                (204, Vec::new())
            }
            _ => refusal(405, "MethodNotAllowed"),
        }
    }
}

fn page(objects: &BTreeMap<String, (Vec<u8>, Timestamp)>, query: &BTreeMap<String, String>) -> String {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query.get("continuation-token").map_or("", String::as_str);
    let mut found = objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
    let listed: Vec<_> = found.by_ref().take(FakeS3::PAGE).collect();
    let is_cut = found.next().is_some();
    let entries: String = listed
        .iter()
        .map(|(key, (_, at))| format!("<Contents><Key>{key}</Key><LastModified>{at}</LastModified></Contents>"))
        .collect();
    let last = listed.last().map_or("", |(key, _)| key.as_str());
    let next = if is_cut { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
    format!("<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{entries}{next}</ListBucketResult>")
}

/// Waits until the other side has had enough.
fn until_gone(mut stream: &TcpStream) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

fn refusal(status: u16, code: &str) -> (u16, Vec<u8>) {
    (status, format!("<Error><Code>{code}</Code><Message>That is so.</Message></Error>").into_bytes())
}

fn answer_bytes((status, body): &(u16, Vec<u8>)) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

impl Asked {
    /// Reads what a request carries; says whether that is there as a whole.
    fn read_body(&mut self, reader: impl Read) -> io::Result<bool> {
        let length = self.headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut self.body)?;
        Ok(self.body.len() as u64 == length)
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), value.replace("%2F", "/"))).collect();
    Ok(Some(Asked { method: method.to_owned(), path: path.to_owned(), query, headers, body: Vec::new() }))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
