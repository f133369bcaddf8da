//! A shared store in a bucket of an S3-compatible service.
//!
//! Four operations of the Amazon S3 API Reference: `PutObject`, `GetObject`, `ListObjectsV2`, `DeleteObject`.

mod answer;
mod sign;

pub use sign::Credentials;

use super::objects::{Content, Listed, ObjectError, Objects, Side, checked, copy, is_sound};
use super::sha256::of;
use answer::{Page, complaint, page};
use cutover_core::config::S3Config;
use cutover_core::mask::Masker;
use cutover_core::patience::{Pace, Patience, trouble_pause};
use cutover_core::percent::encoded;
use cutover_core::secret::Secret;
use sign::{Signed, authorization, moment};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use ureq::http::{Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy, SendBody};

/// The largest object that one request may put, in bytes: 5 GiB.
const PUT_BYTES_MAX: u64 = 5 << 30;
/// How large a body is before the service is asked whether it takes it (`Expect: 100-continue`, RFC 9110, 10.1.1): one that
/// refuses before it has read all would be heard as a broken pipe. A service that knows nothing of it gets it after a second.
const EXPECT_BYTES_MIN: u64 = 64 << 10;
/// The largest answer that is no object, in bytes: a page of a thousand names of 1024 characters is smaller.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// The slowest that bytes may come or go, in bytes a second, beside what each request is given.
const SLOWEST: u64 = 256 << 10;
/// The most pages of one list. A page has a thousand names as a rule, and some services give fewer.
const PAGE_COUNT_MAX: usize = 10_000;
/// The most pages without any key one after the other: what was removed may leave some.
const EMPTY_PAGE_COUNT_MAX: usize = 100;
/// The most of a service's own words that is told, in characters.
const MESSAGE_LENGTH_MAX: usize = 300;

/// Whom a service is spoken to as, and how.
pub struct S3Access {
    /// Who asks; None where a bucket is open to all.
    pub credentials: Option<Credentials>,
    /// Whom the service's certificate may come from.
    pub certs: RootCerts,
    /// Time as it passes.
    pub pace: Box<dyn Pace>,
    /// How much is borne.
    pub patience: Patience,
}

/// Named bytes as objects of a bucket.
pub struct S3 {
    agent: Agent,
    /// `https://host` or `https://host/bucket`.
    base: Uri,
    /// What names begin with, with a `/` at the end where there is anything.
    prefix: String,
    place: String,
    region: String,
    access: S3Access,
    masker: Masker,
}

/// One request.
struct Call<'a> {
    doing: String,
    method: &'static str,
    /// Name without the prefix; empty for the bucket.
    name: &'a str,
    query: String,
}

/// What came of a request.
enum Heard {
    Done,
    Absent,
}

/// Why there is no answer of use.
struct Trouble {
    why: String,
    /// What it asks for.
    pause: Option<Duration>,
}

/// What a request ends with when it ends without being done.
enum Fault {
    /// Sending the same again may help.
    Trouble(Trouble),
    /// It would not.
    Final(ObjectError),
}

impl S3 {
    /// The store in a bucket; an error says why it cannot be spoken to.
    pub fn new(config: &S3Config, mut access: S3Access) -> Result<Self, ObjectError> {
        access.credentials = access.credentials.as_ref().map(Credentials::trimmed);
        let (base, is_here) = address(config).map_err(|(why, hint)| ObjectError::Refused {
            doing: "look for artifacts".to_owned(),
            place: format!("bucket {}", config.bucket),
            why,
            hint,
        })?;
        let agent = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(if is_here { None } else { Proxy::try_from_env() })
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(access.certs.clone()).build())
            .build()
            .new_agent();
        let secrets = access.credentials.iter().flat_map(|who| [Some(&who.secret), who.token.as_ref()]).flatten();
        let masker = Masker::new(secrets.map(|secret| ("the key", secret)));
        let prefix = if config.prefix.is_empty() { String::new() } else { format!("{}/", config.prefix) };
        let at = base.authority().map_or_else(String::new, ToString::to_string);
        let place = format!("bucket {} at {at}", config.bucket);
        Ok(Self { agent, base, prefix, place, region: config.region.clone(), access, masker })
    }

    /// Does a request until it is done, or patience ends.
    fn patiently(&self, call: &Call<'_>, once: &mut dyn FnMut() -> Result<Heard, Fault>) -> Result<Heard, ObjectError> {
        let (mut attempt, mut spent) = (0, Duration::ZERO);
        loop {
            let began = self.access.pace.now();
            let trouble = match once() {
                Ok(heard) => return Ok(heard),
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Trouble(trouble)) => trouble,
            };
            spent += Duration::try_from(self.access.pace.now().duration_since(began)).unwrap_or_default();
            let pause = trouble.pause.unwrap_or_else(|| trouble_pause(attempt));
            attempt += 1;
            spent = spent.saturating_add(pause);
            let Patience { total, attempt_count, .. } = self.access.patience;
            if attempt >= attempt_count || spent > total {
                let why = format!("{} (asked {attempt} times)", trouble.why);
                return Err(ObjectError::Unheard { doing: call.doing.clone(), place: self.place.clone(), why });
            }
            self.access.pace.sleep(pause);
        }
    }

    /// Sends a request once; `take` reads the answer to one that is done.
    fn once(
        &self,
        call: &Call<'_>,
        content: Option<&mut dyn Content>,
        take: &mut dyn FnMut(&mut dyn Read) -> Result<(), Fault>,
        bytes_max: u64,
    ) -> Result<Heard, Fault> {
        let trouble = |error: &dyn std::error::Error| Fault::Trouble(self.trouble(error));
        let limit = |bytes: u64| self.access.patience.request + Duration::from_secs(bytes / SLOWEST);
        let sent = match content {
            None => {
                let request = self.request(call, None).body(()).map_err(|error| self.unsendable(call, &error))?;
                let configured = self.agent.configure_request(request).timeout_global(Some(limit(bytes_max)));
                // However much comes, what comes first must not be long in coming.
                let first = Some(self.access.patience.request);
                self.agent.run(configured.timeout_connect(first).timeout_recv_response(first).build())
            }
            Some(content) => {
                let (bytes, sha256) = (content.bytes(), content.sha256());
                let mut reader = content.reader().map_err(|error| trouble(&error))?;
                let mut request = self.request(call, Some(&sha256)).header("content-length", bytes.to_string());
                if bytes > EXPECT_BYTES_MIN {
                    request = request.header("expect", "100-continue");
                }
                let request = request.body(SendBody::from_reader(&mut reader));
                let request = request.map_err(|error| self.unsendable(call, &error))?;
                let configured = self.agent.configure_request(request).timeout_global(Some(limit(bytes))).build();
                self.agent.run(configured)
            }
        };
        let mut response = sent.map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let pause = asked.map(|seconds: u64| Duration::from_secs(seconds.clamp(1, 3600)));
        let mut reader = response.body_mut().as_reader();
        if (200..300).contains(&status) {
            return take(&mut reader).map(|()| Heard::Done);
        }
        let mut body = Vec::new();
        // An error whose words are cut is still that error.
        let _read = reader.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        self.judge(call, status, pause, &body)
    }

    /// What an answer means that is no success.
    fn judge(&self, call: &Call<'_>, status: u16, pause: Option<Duration>, body: &[u8]) -> Result<Heard, Fault> {
        let (code, message) = complaint(body);
        let words = if code.is_empty() { message } else { format!("{code}: {message}") };
        let words: String =
            self.masker.mask(&words).chars().filter(|c| !c.is_control()).take(MESSAGE_LENGTH_MAX).collect();
        let why = format!("it answered {status} {words}").trim_end().to_owned();
        let (doing, place) = (call.doing.clone(), self.place.clone());
        let hint = match (status, code.as_str()) {
            (404, "NoSuchBucket") => {
                "make the bucket, or correct `bucket`, `endpoint` and `region` of [artifact.store.s3]"
            }
            (404, _) => return Ok(Heard::Absent),
            // S3 says this with 400: its "List of error codes".
            (408 | 429 | 500.., _) | (_, "RequestTimeout") => return Err(Fault::Trouble(Trouble { why, pause })),
            (_, "RequestTimeTooSkewed") => "set the clock of this machine",
            (301 | 302 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                "correct `region` and `endpoint` of [artifact.store.s3]: the bucket is somewhere else"
            }
            // What has expired is told with 400 as well.
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken") => {
                "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for credentials that are for a while, AWS_SESSION_TOKEN"
            }
            (401 | 403, _) => {
                "these credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and, to prune, \
                 s3:DeleteObject on what is in it"
            }
            _ => return Err(Fault::Final(ObjectError::Failed { doing, place, why })),
        };
        Err(Fault::Final(ObjectError::Refused { doing, place, why, hint }))
    }

    /// Why a request cannot be made, which will be so again.
    fn unsendable(&self, call: &Call<'_>, error: &dyn std::error::Error) -> Fault {
        let (doing, place) = (call.doing.clone(), self.place.clone());
        let why = format!("the request cannot be made: {}", self.trouble(error).why);
        let hint = "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN: something stands in them that no \
                    key has, such as the end of a line";
        Fault::Final(ObjectError::Refused { doing, place, why, hint })
    }

    fn trouble(&self, error: &dyn std::error::Error) -> Trouble {
        let why: String = self.masker.mask(&error.to_string()).chars().take(MESSAGE_LENGTH_MAX).collect();
        Trouble { why, pause: None }
    }

    /// The request with its signature; `payload` is the digest of what it carries.
    fn request(&self, call: &Call<'_>, payload: Option<&str>) -> ureq::http::request::Builder {
        let key = if call.name.is_empty() { String::new() } else { format!("{}{}", self.prefix, call.name) };
        let path = format!("{}/{key}", self.base.path().trim_end_matches('/'));
        let scheme = self.base.scheme_str().unwrap_or("https");
        let host = self.base.authority().map_or_else(String::new, ToString::to_string);
        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        let request = Request::builder().method(call.method).uri(format!("{scheme}://{host}{path}{query}"));
        let Some(credentials) = &self.access.credentials else { return request };
        let moment = moment(self.access.pace.now());
        let nothing = of(b"");
        let payload = payload.unwrap_or(&nothing);
        let mut headers = vec![("host", host.as_str()), ("x-amz-content-sha256", payload), ("x-amz-date", &moment)];
        headers.extend(credentials.token.as_ref().map(|token| ("x-amz-security-token", token.expose())));
        let signed = Signed { method: call.method, path: &path, query: &call.query, headers: &headers, payload };
        let authorization: Secret = authorization(&signed, credentials, &self.region, &moment);
        let request = headers[1..].iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.header("authorization", authorization.expose())
    }

    fn too_much(&self, doing: &str, what_max: String) -> ObjectError {
        ObjectError::TooMuch { doing: doing.to_owned(), place: self.place.clone(), what_max }
    }

    /// Asks for one page of a list.
    fn page(&self, doing: &str, query: String) -> Result<Page, ObjectError> {
        let call = Call { doing: doing.to_owned(), method: "GET", name: "", query };
        let mut answer = None;
        let heard = self.patiently(&call, &mut || {
            let mut take = |reader: &mut dyn Read| {
                let mut body = Vec::new();
                let read = reader.take(ANSWER_BYTES_MAX).read_to_end(&mut body);
                read.map_err(|error| Fault::Trouble(self.trouble(&error)))?;
                let why = |why| Trouble { why: format!("its answer cannot be read: {why}"), pause: None };
                answer = Some(page(&body).map_err(|error| Fault::Trouble(why(error)))?);
                Ok(())
            };
            self.once(&call, None, &mut take, ANSWER_BYTES_MAX)
        });
        match (heard?, answer) {
            (Heard::Done, Some(page)) => Ok(page),
            // A list that lacks a page must not be taken for whole: what is not in it may be removed.
            (Heard::Done | Heard::Absent, _) => {
                let why = "it answered 404 instead of a list".to_owned();
                Err(ObjectError::Failed { doing: doing.to_owned(), place: self.place.clone(), why })
            }
        }
    }

    /// Reads what has a name, from its beginning at each attempt.
    fn get(&self, name: &str, bytes_max: u64, into: &mut dyn Sink) -> Result<bool, ObjectError> {
        let call = Call { doing: format!("read {name}"), method: "GET", name: checked(name)?, query: String::new() };
        let heard = self.patiently(&call, &mut || {
            let mut take = |reader: &mut dyn Read| {
                let taken = into.take(reader, bytes_max).map_err(|side| match side {
                    Side::There(error) => Fault::Trouble(self.trouble(&error)),
                    Side::Here(source) => {
                        let (doing, place) = (call.doing.clone(), self.place.clone());
                        Fault::Final(ObjectError::Here { doing, place, source })
                    }
                });
                match taken? {
                    count if count > bytes_max => {
                        Err(Fault::Final(self.too_much(&call.doing, format!("{bytes_max} bytes"))))
                    }
                    _ => Ok(()),
                }
            };
            self.once(&call, None, &mut take, bytes_max)
        });
        Ok(matches!(heard?, Heard::Done))
    }
}

/// Takes an answer, whatever was taken before is gone: no more than so many bytes and one.
trait Sink {
    fn take(&mut self, reader: &mut dyn Read, bytes_max: u64) -> Result<u64, Side>;
}

impl Sink for Vec<u8> {
    fn take(&mut self, reader: &mut dyn Read, bytes_max: u64) -> Result<u64, Side> {
        self.clear();
        let read = reader.take(bytes_max.saturating_add(1)).read_to_end(self);
        read.map(|count| count as u64).map_err(Side::There)
    }
}

impl Sink for File {
    fn take(&mut self, reader: &mut dyn Read, bytes_max: u64) -> Result<u64, Side> {
        copy(reader, bytes_max, self)
    }
}

impl Objects for S3 {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        let call = Call { doing: format!("write {name}"), method: "PUT", name: checked(name)?, query: String::new() };
        if content.bytes() > PUT_BYTES_MAX {
            let (doing, place) = (call.doing, self.place.clone());
            let why = format!("it has {} bytes, and one upload may have 5 GiB", content.bytes());
            let hint = "leave out what no host needs, with `exclude` of [artifact]";
            return Err(ObjectError::Refused { doing, place, why, hint });
        }
        let put = self.patiently(&call, &mut || self.once(&call, Some(content), &mut |_| Ok(()), 0))?;
        match put {
            Heard::Done => Ok(()),
            Heard::Absent => {
                let why = "it answered 404".to_owned();
                Err(ObjectError::Failed { doing: call.doing, place: self.place.clone(), why })
            }
        }
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut File) -> Result<bool, ObjectError> {
        self.get(name, bytes_max, into)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        let mut bytes = Vec::new();
        Ok(self.get(name, bytes_max, &mut bytes)?.then_some(bytes))
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        let whole = encoded(&format!("{}{prefix}", self.prefix));
        let (doing, mut found, mut token) = (format!("list {prefix}"), Vec::new(), None::<String>);
        let (mut tokens, mut empty_count) = (HashSet::new(), 0);
        loop {
            let from = token.map(|token| format!("continuation-token={}&", encoded(&token))).unwrap_or_default();
            let page = self.page(&doing, format!("{from}list-type=2&prefix={whole}"))?;
            empty_count = if page.keys.is_empty() { empty_count + 1 } else { 0 };
            let names = page.keys.into_iter().filter_map(|(key, put_at)| {
                let name = key.strip_prefix(&self.prefix).filter(|name| is_sound(name) && name.starts_with(prefix))?;
                Some(Listed { name: name.to_owned(), put_at })
            });
            found.extend(names);
            if found.len() > count_max {
                return Err(ObjectError::too_many_names(doing, &self.place, count_max));
            }
            let Some(next) = page.next else { return Ok(found) };
            if tokens.len() == PAGE_COUNT_MAX
                || empty_count == EMPTY_PAGE_COUNT_MAX
                || !tokens.insert(of(next.as_bytes()))
            {
                let why = "its list does not come to an end".to_owned();
                return Err(ObjectError::Failed { doing, place: self.place.clone(), why });
            }
            token = Some(next);
        }
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let call =
            Call { doing: format!("remove {name}"), method: "DELETE", name: checked(name)?, query: String::new() };
        self.patiently(&call, &mut || self.once(&call, None, &mut |_| Ok(()), 0)).map(|_| ())
    }
}

/// Where a bucket is, and whether that is this machine. An error says why it cannot be spoken to, and what to do.
fn address(config: &S3Config) -> Result<(Uri, bool), (String, &'static str)> {
    let endpoint = config.endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", config.region));
    let hint = "write `endpoint` of [artifact.store.s3] like \"https://s3.example.org\"";
    let uri: Uri = endpoint.trim_end_matches('/').parse().map_err(|error| (format!("{endpoint:?}: {error}"), hint))?;
    let host = uri.host().ok_or_else(|| (format!("{endpoint:?} has no host"), hint))?;
    let is_here = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    let scheme = match uri.scheme_str() {
        Some("https") => "https",
        Some("http") if is_here => "http",
        Some(_) | None => {
            return Err((format!("{endpoint} is not https: others could change what is deployed"), hint));
        }
    };
    let usual = if scheme == "https" { 443 } else { 80 };
    // The usual port is not sent, so it must not be signed either.
    let port = uri.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    let path = uri.path().trim_end_matches('/');
    let bucket = &config.bucket;
    let base = if config.path_style.unwrap_or(config.endpoint.is_some()) {
        format!("{scheme}://{host}{port}{path}/{bucket}")
    } else {
        format!("{scheme}://{bucket}.{host}{port}{path}")
    };
    Ok((base.parse().map_err(|error| (format!("{base:?}: {error}"), hint))?, is_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: Option<&str>, path_style: Option<bool>) -> Result<String, String> {
        let (bucket, region, prefix) = ("shop".to_owned(), "eu-central-1".to_owned(), String::new());
        let config = S3Config { bucket, endpoint: endpoint.map(str::to_owned), region, prefix, path_style };
        address(&config).map(|(uri, _)| uri.to_string()).map_err(|(why, _)| why)
    }

    #[test]
    fn a_bucket_is_part_of_the_path_where_there_is_an_endpoint_and_of_the_host_at_aws() {
        assert_eq!(at(None, None).unwrap(), "https://shop.s3.eu-central-1.amazonaws.com/");
        assert_eq!(at(None, Some(true)).unwrap(), "https://s3.eu-central-1.amazonaws.com/shop");
        assert_eq!(at(Some("https://s3.example.org:443/"), None).unwrap(), "https://s3.example.org/shop");
        assert_eq!(at(Some("https://s3.example.org:9000"), Some(false)).unwrap(), "https://shop.s3.example.org:9000/");
    }

    #[test]
    fn what_others_could_read_along_is_for_this_machine_only() {
        assert_eq!(at(Some("http://127.0.0.1:9000"), None).unwrap(), "http://127.0.0.1:9000/shop");
        assert!(at(Some("http://s3.example.org"), None).unwrap_err().contains("is not https"));
    }
}
