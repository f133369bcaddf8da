//! The client: sends calls, is patient, and never lets the token out.

mod download;
mod upload;

pub use download::Sink;
pub use upload::Source;
pub(super) use upload::{Upload, time_to_send};

use super::fault::Fault;
use super::names::Repository;
use super::patience::{Course, Heed, Pace, Patience, course, trouble_pause};
use super::wire::{Answer, Call, Repeat, next_link, text};
use crate::one_line;
use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, Timeout};

/// The version of the API that is spoken.
const API_VERSION: &str = "2022-11-28";
/// The largest answer that is read, in bytes: a page of a hundred comments of the greatest length is smaller.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// How long a connection may take: three attempts of the kernel's fit in.
const CONNECT_MAX: Duration = Duration::from_secs(8);
/// How many pages of a list are read.
const PAGE_COUNT_MAX: usize = 30;
/// How often one call is sent on to another path, where a repository has a new name.
const REDIRECT_COUNT_MAX: usize = 3;
/// The most of GitHub's own words that is told, in characters.
const MESSAGE_LENGTH_MAX: usize = 300;

/// Where GitHub is, and who speaks to it of what.
pub struct Access {
    /// The API's address: `https://api.github.com`.
    pub api: String,
    /// Who speaks.
    pub token: Secret,
    /// Whom GitHub takes the token for, where that is known: an app's token cannot ask.
    pub login: Option<String>,
    /// The repository.
    pub repository: Repository,
    /// Whom GitHub's certificate may come from.
    pub certs: RootCerts,
}

/// What a client has lived through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survived {
    /// How many requests were sent.
    pub request_count: u64,
    /// How often GitHub asked for a pause.
    pub limit_count: u64,
    /// How often no answer came, or one that was none.
    pub trouble_count: u64,
    /// How long all pauses and all requests were together.
    pub spent: Duration,
}

/// Speaks to GitHub about one repository.
pub struct Client {
    agent: Agent,
    base: String,
    repository: Repository,
    login: Option<String>,
    authorization: Secret,
    masker: Masker,
    pace: Box<dyn Pace>,
    patience: Patience,
    /// How often a call is sent until anything was heard at all, where that is fewer.
    first_count: u32,
    has_heard: AtomicBool,
    survived: Mutex<Survived>,
}

/// What came of sending a call once.
enum Heard<T = Answer> {
    Done(Result<T, Fault>),
    /// Nothing of use; to be sent again after this pause.
    Again {
        pause: Duration,
        fault: Fault,
    },
}

/// An exchange that gave no answer.
struct NoAnswer {
    why: String,
    may_have_landed: bool,
}

/// An answer as it came.
struct Raw {
    status: u16,
    heed: Heed,
    link: Option<String>,
    location: Option<String>,
    body: Vec<u8>,
}

impl Client {
    /// A client; an error says why the API's address is none that a token may be sent to.
    pub fn new(access: Access, pace: Box<dyn Pace>, patience: Patience) -> Result<Self, String> {
        let base = access.api.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|error| format!("{base:?} is no URL: {error}"))?;
        let host = uri.host().ok_or_else(|| format!("{base:?} has no host"))?;
        let is_here = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_here => {}
            Some(_) | None => return Err(format!("{base} is not https: the token would be seen by others")),
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(patience.request))
            .timeout_connect(Some(patience.request.min(CONNECT_MAX)))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(if is_here { None } else { Proxy::try_from_env() })
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(access.certs).build())
            .build()
            .new_agent();
        let masker = Masker::new([("the token", &access.token)]);
        let authorization = Secret::new(format!("Bearer {}", access.token.expose()));
        let Access { repository, login, .. } = access;
        let (first_count, has_heard, survived) = (patience.attempt_count, AtomicBool::new(false), Mutex::default());
        Ok(Self {
            agent,
            base,
            repository,
            login,
            authorization,
            masker,
            pace,
            patience,
            first_count,
            has_heard,
            survived,
        })
    }

    /// The same client, which sends a call only so often while nobody has answered anything yet: for a person who waits, and who
    /// may have no network.
    #[must_use]
    pub fn impatient_at_first(mut self, attempt_count: u32) -> Self {
        self.first_count = attempt_count.min(self.first_count);
        self
    }

    /// What it has lived through so far.
    pub fn survived(&self) -> Survived {
        *self.survived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom GitHub takes it for, where that was said.
    pub(super) fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// The time now.
    pub(super) fn moment(&self) -> Timestamp {
        self.pace.now()
    }

    /// The time now, as GitHub writes times.
    pub(super) fn now(&self) -> String {
        self.moment().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Lets patience begin anew: what comes now is something else, of a command that does many things.
    pub fn begin_anew(&self) {
        self.count(|survived| survived.spent = Duration::ZERO);
    }

    /// A path of the repository.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }

    /// Sends a call until there is an answer, patience ends, or it may have been heard and must not be sent twice.
    pub(super) fn send(&self, call: &Call) -> Result<Answer, Fault> {
        self.send_or_pause(call).map_err(|(fault, _)| fault)
    }

    /// The same; a fault comes with the pause after which something may be sent again.
    fn send_or_pause(&self, call: &Call) -> Result<Answer, (Fault, Duration)> {
        self.patiently(call, |attempt| self.hear(call, attempt))
    }

    /// Does what a call is for, once for each attempt, until there is an answer or patience ends.
    fn patiently<T>(&self, call: &Call, mut hear: impl FnMut(u32) -> Heard<T>) -> Result<T, (Fault, Duration)> {
        let mut attempt = 0;
        loop {
            self.begin(call).map_err(|fault| (fault, Duration::ZERO))?;
            let began = self.pace.now();
            let heard = hear(attempt);
            self.spend(began, Duration::ZERO);
            let (pause, fault) = match heard {
                Heard::Done(result) => return result.map_err(|fault| (fault, Duration::ZERO)),
                Heard::Again { pause, fault } => (pause, fault),
            };
            if call.repeat == Repeat::Once && matches!(fault, Fault::Unheard { may_have_landed: true, .. }) {
                return Err((fault, pause));
            }
            attempt += 1;
            self.bear(attempt, pause, fault).map_err(|fault| (fault, pause))?;
        }
    }

    /// Counts what something took that began then, beyond what it may take without any patience.
    fn spend(&self, began: Timestamp, free: Duration) {
        let took = Duration::try_from(self.pace.now().duration_since(began)).unwrap_or_default();
        self.count(|survived| survived.spent = survived.spent.saturating_add(took.saturating_sub(free)));
    }

    /// Whether there is any patience left: answers that come, but slowly, have an end as well.
    fn begin(&self, call: &Call) -> Result<(), Fault> {
        if self.survived().spent < self.patience.total {
            return Ok(());
        }
        let why = format!("the {} s that it is given are over", self.patience.total.as_secs());
        Err(Fault::Unheard { doing: call.doing, why, may_have_landed: false })
    }

    /// Makes what there must be only one of: after an answer that did not come it is looked for first.
    pub(super) fn create(&self, call: &Call, find: impl Fn() -> Result<Option<Value>, Fault>) -> Result<Value, Fault> {
        let mut attempt = 0;
        loop {
            let (fault, pause) = match self.send_or_pause(call) {
                Ok(answer) => return Ok(answer.body),
                Err((fault @ Fault::Unheard { may_have_landed: true, .. }, pause)) => (fault, pause),
                Err((fault, _)) => return Err(fault),
            };
            self.bear(attempt + 1, pause.max(trouble_pause(attempt)), fault)?;
            attempt += 1;
            if let Some(found) = find()? {
                return Ok(found);
            }
        }
    }

    /// Looks through a list, page after page, until `pick` has found what it looks for. In a list that has more pages than are
    /// read nobody knows whether it is there.
    pub(super) fn seek<T>(&self, first: Call, mut pick: impl FnMut(&Value) -> Option<T>) -> Result<Option<T>, Fault> {
        let mut call = first;
        for _ in 0..PAGE_COUNT_MAX {
            let answer = self.send(&call)?;
            if let Some(found) = pick(&answer.body) {
                return Ok(Some(found));
            }
            let Some(next) = answer.next else { return Ok(None) };
            call.path = next;
        }
        let message = format!("the list has more than {PAGE_COUNT_MAX} pages");
        Err(Fault::Rejected { doing: call.doing, status: 200, message })
    }

    /// Pauses, unless that is more than there is patience for.
    pub(super) fn bear(&self, attempt: u32, pause: Duration, fault: Fault) -> Result<(), Fault> {
        let mut survived = self.survived.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = survived.spent.saturating_add(pause);
        let has_heard = self.has_heard.load(Ordering::Relaxed);
        let attempt_count = if has_heard { self.patience.attempt_count } else { self.first_count };
        if attempt >= attempt_count || spent > self.patience.total {
            return Err(fault);
        }
        survived.spent = spent;
        drop(survived);
        self.pace.sleep(pause);
        Ok(())
    }

    fn hear(&self, call: &Call, attempt: u32) -> Heard {
        self.judge(call, attempt, self.exchange(call))
    }

    fn judge(&self, call: &Call, attempt: u32, exchanged: Result<Raw, NoAnswer>) -> Heard {
        let raw = match exchanged {
            Ok(raw) => {
                self.has_heard.store(true, Ordering::Relaxed);
                raw
            }
            Err(NoAnswer { why, may_have_landed }) => return self.trouble(call, attempt, why, may_have_landed),
        };
        let body = if raw.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice::<Value>(&raw.body) };
        let message = body.as_ref().map_or_else(|_| String::new(), |body| self.message(body));
        let Call { doing, permission, .. } = *call;
        let status = raw.status;
        match (course(status, &raw.heed, &message, attempt, self.pace.now()), body) {
            (Course::Take, Ok(body)) => {
                Heard::Done(self.next(call, raw.link.as_deref()).map(|next| Answer { status, body, next }))
            }
            (Course::Take, Err(error)) => self.trouble(call, attempt, format!("its answer is no JSON: {error}"), true),
            (Course::Unknown, _) => Heard::Done(Err(Fault::Unknown { doing, message })),
            (Course::Refused, _) => Heard::Done(Err(Fault::Refused { doing, status, message, permission })),
            (Course::Rejected, _) => Heard::Done(Err(Fault::Rejected { doing, status, message })),
            (Course::Limited(pause), _) => {
                self.count(|survived| survived.limit_count += 1);
                Heard::Again { pause, fault: Fault::Limited { doing, status, wait: pause } }
            }
            (Course::Trouble(pause), _) => {
                self.count(|survived| survived.trouble_count += 1);
                let why = format!("it answered {status} {message}").trim_end().to_owned();
                Heard::Again { pause, fault: Fault::Unheard { doing, why, may_have_landed: true } }
            }
        }
    }

    fn trouble<T>(&self, call: &Call, attempt: u32, why: String, may_have_landed: bool) -> Heard<T> {
        self.count(|survived| survived.trouble_count += 1);
        let fault = Fault::Unheard { doing: call.doing, why, may_have_landed };
        Heard::Again { pause: trouble_pause(attempt), fault }
    }

    fn count(&self, add: impl FnOnce(&mut Survived)) {
        add(&mut self.survived.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The path of the next page. One that leads away from the API is not followed: the token would go with it.
    fn next(&self, call: &Call, link: Option<&str>) -> Result<Option<String>, Fault> {
        let Some(url) = link.and_then(next_link) else { return Ok(None) };
        self.below(url).map(Some).ok_or_else(|| {
            let message = format!("its next page is at {}", cut(url));
            Fault::Rejected { doing: call.doing, status: 200, message }
        })
    }

    fn below(&self, url: &str) -> Option<String> {
        url.strip_prefix(&self.base).filter(|path| path.starts_with('/')).map(str::to_owned)
    }

    /// What GitHub says is wrong: `message`, and the messages of `errors`, or of which field what is wrong.
    fn message(&self, body: &Value) -> String {
        let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let details = errors.map(|error| {
            let parts = ["field", "code"].map(|name| text(error, name)).into_iter().flatten();
            let said = text(error, "message").or(error.as_str());
            said.map_or_else(|| parts.collect::<Vec<_>>().join(" "), str::to_owned)
        });
        let all = text(body, "message").map(str::to_owned).into_iter().chain(details.filter(|one| !one.is_empty()));
        cut(&one_line(&self.masker.mask(&all.take(5).collect::<Vec<_>>().join("; "))))
    }

    /// Sends a call, and sends it on where the repository has a new name.
    fn exchange(&self, call: &Call) -> Result<Raw, NoAnswer> {
        let mut path = call.path.clone();
        for _ in 0..REDIRECT_COUNT_MAX {
            let raw = self.once(call, &path)?;
            let moved = raw.location.as_deref().filter(|_| matches!(raw.status, 301 | 302 | 307 | 308));
            match moved.and_then(|url| self.below(url)) {
                Some(other) => path = other,
                None => return Ok(raw),
            }
        }
        let why = format!("it is sent from place to place, in the end to {}", cut(&path));
        Err(NoAnswer { why, may_have_landed: false })
    }

    fn once(&self, call: &Call, path: &str) -> Result<Raw, NoAnswer> {
        let request = self.request(call.method, &format!("{}{path}", self.base));
        let sent = match &call.body {
            None => request.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request)),
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string());
                request.map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
            }
        };
        self.read(sent)
    }

    /// A request as all of ours are that are answered in JSON.
    fn request(&self, method: &str, url: &str) -> Builder {
        self.request_for(method, url, "application/vnd.github+json, application/json;q=0.9")
    }

    /// A request to GitHub itself, which has the token, for what is of this kind.
    fn request_for(&self, method: &str, url: &str, kind: &str) -> Builder {
        self.count(|survived| survived.request_count += 1);
        Request::builder()
            .method(method)
            .uri(url)
            .header("accept", kind)
            .header("x-github-api-version", API_VERSION)
            .header("authorization", self.authorization.expose())
    }

    /// The answer to what was sent.
    fn read(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Raw, NoAnswer> {
        let mut response = sent.map_err(|error| self.no_answer(&error))?;
        let mut body = Vec::new();
        let read = response.body_mut().as_reader().take(ANSWER_BYTES_MAX + 1).read_to_end(&mut body);
        read.map_err(|error| self.no_answer(&ureq::Error::from(error)))?;
        if body.len() as u64 > ANSWER_BYTES_MAX {
            let why = format!("its answer is larger than {} MiB", ANSWER_BYTES_MAX >> 20);
            return Err(NoAnswer { why, may_have_landed: true });
        }
        let headers = response.headers();
        let owned = |name| header(headers, name).map(str::to_owned);
        let (link, location) = (owned("link"), owned("location"));
        Ok(Raw { status: response.status().as_u16(), heed: heed(headers), link, location, body })
    }

    fn no_answer(&self, error: &ureq::Error) -> NoAnswer {
        let why = cut(&one_line(&self.masker.mask(&error.to_string())));
        NoAnswer { why, may_have_landed: may_have_landed(error) }
    }
}

/// Whether the other side may have heard it all the same.
fn may_have_landed(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) | ureq::Error::Tls(_) => {
            false
        }
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        _ => true,
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn heed(headers: &HeaderMap) -> Heed {
    let date = header(headers, "date").and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    Heed {
        retry_after: header(headers, "retry-after").and_then(|value| value.trim().parse().ok()),
        remaining: header(headers, "x-ratelimit-remaining").and_then(|value| value.trim().parse().ok()),
        reset: header(headers, "x-ratelimit-reset").and_then(|value| value.trim().parse().ok()),
        date,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_LENGTH_MAX).collect()
}
