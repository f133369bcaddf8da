//! As much of HTTP as a fake needs: one request for each connection.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// The largest request that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 16 << 20;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// `GET`, `POST`, `PATCH`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body; null where there is none, or a file.
    pub body: Value,
    /// The body as it came.
    pub raw: Vec<u8>,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
    /// What a file holds, instead of a body.
    pub(super) file: Option<Vec<u8>>,
}

impl Reply {
    pub(super) fn ok(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body, file: None }
    }

    /// A file.
    pub(super) fn file(content: Vec<u8>) -> Self {
        Self { file: Some(content), ..Self::ok(200, Value::Null) }
    }

    /// Where to look instead.
    pub(super) fn moved(url: String) -> Self {
        Self { status: 302, headers: vec![("location", url)], ..Self::file(Vec::new()) }
    }

    /// What GitHub says when it does not do what it is asked.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        let body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        });
        Self::ok(status, body)
    }

    /// What comes after the head.
    pub(super) fn content(&self) -> Vec<u8> {
        match &self.file {
            Some(content) => content.clone(),
            // 204 has no body.
            None if self.status == 204 => Vec::new(),
            None => self.body.to_string().into_bytes(),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let kind = if self.file.is_some() { "application/octet-stream" } else { "application/json; charset=utf-8" };
        let mut head = format!("HTTP/1.1 {} Told\r\ncontent-type: {kind}\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let content = self.content();
        head += &format!("content-length: {}\r\nconnection: close\r\n\r\n", content.len());
        [head.into_bytes(), content].concat()
    }
}

/// The request; None where nothing was asked.
pub(super) fn read_request(stream: &TcpStream) -> io::Result<Option<Received>> {
    let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut request = Received { method, path, headers, body: Value::Null, raw: Vec::new() };
    let body = read_body(&mut reader, &request)?;
    let is_file = request.header("content-type").is_some_and(|kind| kind.starts_with("application/octet-stream"));
    if !body.is_empty() && !is_file {
        request.body = serde_json::from_slice(&body).map_err(io::Error::other)?;
    }
    request.raw = body;
    Ok(Some(request))
}

fn read_body(reader: &mut impl BufRead, request: &Received) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return read_chunks(reader);
    }
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        reader.take(length).read_to_end(&mut body)?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

pub(super) fn write_reply(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    stream.write_all(&reply.bytes())
}
