//! Files, which GitHub has elsewhere: it names a place that whoever knows its address may read from, and the token stays behind.

use super::upload::time_to_send;
use super::{Client, Heard, NoAnswer, REDIRECT_COUNT_MAX, Raw, header};
use crate::github::fault::Fault;
use crate::github::wire::Call;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use ureq::http::{Request, Response, Uri};
use ureq::{Body, Error};

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Where a file goes that is read.
pub trait Sink: Write {
    /// Forgets what came, since all of it comes again.
    fn restart(&mut self) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
}

impl Sink for File {
    fn restart(&mut self) -> io::Result<()> {
        self.rewind()?;
        self.set_len(0)
    }
}

/// What is left of a file to be had after a request.
enum Found {
    File(Response<Body>),
    /// GitHub's own answer, which is no file.
    Answer(Raw),
    /// The place that GitHub names did not give it.
    Withheld(String),
}

impl Client {
    /// Reads a file of so many bytes, from its beginning at each attempt.
    ///
    /// "Get a release asset" of GitHub's documentation: it is in the answer, or where the answer leads. The token goes to the API
    /// alone, wherever that leads.
    pub(in crate::github) fn download(&self, call: &Call, bytes: u64, into: &mut dyn Sink) -> Result<(), Fault> {
        let taken = self.patiently(call, |attempt| match self.found(call, bytes) {
            Ok(Found::File(response)) => self.copied(call, attempt, response, bytes, into),
            Ok(Found::Withheld(why)) => self.trouble(call, attempt, why, false),
            Ok(Found::Answer(raw)) => without_file(call, self.judge(call, attempt, Ok(raw))),
            Err(no_answer) => without_file(call, self.judge(call, attempt, Err(no_answer))),
        });
        taken.map_err(|(fault, _)| fault)
    }

    /// Asks for the file, and goes where the answer leads.
    fn found(&self, call: &Call, bytes: u64) -> Result<Found, NoAnswer> {
        let mut path = call.path.clone();
        for _ in 0..REDIRECT_COUNT_MAX {
            let request = self.request_for("GET", &format!("{}{path}", self.base), "application/octet-stream");
            let response = self.run(request.body(()).map_err(Error::from), bytes)?;
            if response.status().is_success() {
                return Ok(Found::File(response));
            }
            match moved(&response) {
                None => return self.read(Ok(response)).map(Found::Answer),
                Some(url) => match self.below(&url) {
                    // The repository has another name.
                    Some(other) => path = other,
                    None => return self.elsewhere(url, bytes),
                },
            }
        }
        Err(NoAnswer { why: "it is sent from place to place".to_owned(), may_have_landed: false })
    }

    /// Asks another place for the file, which gets nothing but its own address.
    fn elsewhere(&self, mut url: String, bytes: u64) -> Result<Found, NoAnswer> {
        for _ in 0..REDIRECT_COUNT_MAX {
            let at = match self.safe(&url) {
                Ok(at) => at,
                Err(why) => return Ok(Found::Withheld(why)),
            };
            self.count(|survived| survived.request_count += 1);
            let request = Request::builder().method("GET").uri(&url).body(()).map_err(Error::from);
            // Its address is a key of its own for a while, and stands in no message.
            let response = self.run(request, bytes).map_err(|error| NoAnswer {
                why: format!("{at}: {}", error.why.replace(&url, "its address")),
                ..error
            })?;
            if response.status().is_success() {
                return Ok(Found::File(response));
            }
            match moved(&response) {
                Some(next) => url = next,
                None => return Ok(Found::Withheld(format!("{at} answered {}", response.status().as_u16()))),
            }
        }
        Ok(Found::Withheld("the file is sent from place to place".to_owned()))
    }

    /// The host of an address that a file may be read from: none that others could read along, where the API is none either.
    fn safe(&self, url: &str) -> Result<String, String> {
        let uri: Option<Uri> = url.parse().ok();
        let place = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?)));
        let Some((scheme, host)) = place else { return Err("the file is at an address that is none".to_owned()) };
        let is_here = self.base.starts_with("http://") && matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        match scheme {
            "https" => Ok(host.to_owned()),
            "http" if is_here => Ok(host.to_owned()),
            _ => Err(format!("the file is at {host}, which is not https: others could read along")),
        }
    }

    fn run(&self, request: Result<Request<()>, Error>, bytes: u64) -> Result<Response<Body>, NoAnswer> {
        let sent = request.and_then(|request| {
            // However much comes, what comes first must not be long in coming.
            let first = self.patience.request;
            let all = first + (time_to_send(bytes) - time_to_send(0));
            let configured = self.agent.configure_request(request).timeout_global(Some(all));
            self.agent.run(configured.timeout_connect(Some(first)).timeout_recv_response(Some(first)).build())
        });
        sent.map_err(|error| self.no_answer(&error))
    }

    /// Takes what comes. A place that fails is asked again; this machine is not.
    fn copied(
        &self,
        call: &Call,
        attempt: u32,
        mut response: Response<Body>,
        bytes: u64,
        into: &mut dyn Sink,
    ) -> Heard<()> {
        let here = |error: &io::Error| Heard::Done(Err(Fault::here(call.doing, error)));
        if let Err(error) = into.restart() {
            return here(&error);
        }
        // One more would show that there is more.
        let mut reader = response.body_mut().as_reader().take(bytes.saturating_add(1));
        let (mut chunk, mut count) = (vec![0; CHUNK_BYTES], 0);
        loop {
            let read = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    return self.trouble(call, attempt, self.no_answer(&Error::from(error)).why, false);
                }
            };
            if let Err(error) = into.write_all(&chunk[..read]) {
                return here(&error);
            }
            count += read as u64;
        }
        if count == bytes {
            return Heard::Done(Ok(()));
        }
        let more = if count > bytes { "more than " } else { "" };
        let why = format!("{more}{} of {bytes} bytes came", count.min(bytes));
        self.trouble(call, attempt, why, false)
    }
}

/// Where an answer leads that has nothing itself.
fn moved(response: &Response<Body>) -> Option<String> {
    let location = header(response.headers(), "location").map(str::to_owned);
    location.filter(|_| matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308))
}

/// What a judged answer means for a file that was wanted: it has none.
fn without_file(call: &Call, heard: Heard) -> Heard<()> {
    match heard {
        Heard::Done(Ok(answer)) => {
            let message = "its answer is no file".to_owned();
            Heard::Done(Err(Fault::Rejected { doing: call.doing, status: answer.status, message }))
        }
        Heard::Done(Err(fault)) => Heard::Done(Err(fault)),
        Heard::Again { pause, fault } => Heard::Again { pause, fault },
    }
}

#[cfg(test)]
mod tests {
    use crate::github::{Access, Client, Patience, RealPace};
    use cutover_core::secret::Secret;
    use ureq::tls::RootCerts;

    #[test]
    fn a_file_is_read_where_nobody_reads_along() {
        let client = |api: &str| {
            let (token, repository) = (Secret::new("ghs_of_nobody"), "shop/app".parse().unwrap());
            let access = Access { api: api.to_owned(), token, login: None, repository, certs: RootCerts::WebPki };
            Client::new(access, Box::new(RealPace), Patience::default()).unwrap()
        };
        let github = client("https://api.github.com");
        let told = github.safe("https://objects.example.org/x?signature=1").unwrap();
        assert_eq!(told, "objects.example.org", "nothing of the address that is a key");
        for url in ["http://objects.example.org/x", "http://127.0.0.1/x", "ftp://a/x", "//a/x", "/x", ""] {
            assert!(github.safe(url).is_err(), "{url}");
        }
        assert!(client("http://127.0.0.1:1").safe("http://127.0.0.1:2/x").is_ok());
        assert!(client("http://127.0.0.1:1").safe("http://example.org/x").is_err());
    }
}
