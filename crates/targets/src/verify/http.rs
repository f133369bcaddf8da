//! Whether a URL answers as it should.

use super::observe::{Observation, timed_out};
use super::owner::is_local;
use super::trust::root_certs;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

/// How much of a body is read and searched, in bytes.
const SEARCHED_BYTES_MAX: u64 = 64 * 1024;
/// The longest header value or location that is told, in characters.
const VALUE_LENGTH_MAX: usize = 200;

/// What the answer must be like.
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) body: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) latency_max: Option<Duration>,
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    body_is_cut: bool,
}

/// Gets the URL once. Name lookup, connecting, redirects and the body all count against `limit`.
pub(super) fn observe(url: &str, expected: &Expected, redirects: u32, limit: Duration) -> Observation {
    let seen = Observation::at(url);
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(e) => return seen.fault(format!("not a URL: {e}")),
    };
    let began = Instant::now();
    let local = local_addresses(&uri);
    // What is asked here without TLS, and sends nobody on, needs none of them; a proxy may be asked with it.
    let needs_certs = uri.scheme_str() == Some("https") || redirects > 0 || local.is_empty();
    let certs = match if needs_certs { root_certs() } else { Ok(RootCerts::WebPki) } {
        Ok(certs) => certs,
        Err(why) => return seen.fault(why),
    };
    let agent = agent(redirects, limit.saturating_sub(began.elapsed()), local.is_empty(), certs);
    let answer = get(&agent, &uri);
    let mut seen = Observation { latency: Some(began.elapsed()), ..seen };
    match answer {
        Ok(answer) => {
            seen.fault = expected.fault(&answer, began.elapsed());
            seen.code = Some(i32::from(answer.status));
            (seen.body, seen.body_is_cut) = (answer.body, answer.body_is_cut);
            seen.answered_elsewhere = local.is_empty();
            seen.answered_at = local;
            seen
        }
        Err(ureq::Error::Timeout(_)) => {
            // Somebody may have taken the connection and said nothing: it matters who.
            seen.answered_at = local;
            seen.fault(timed_out(limit))
        }
        Err(e) => seen.fault(e.to_string()),
    }
}

fn get(agent: &Agent, uri: &Uri) -> Result<Answer, ureq::Error> {
    let mut response = agent.get(uri).call()?;
    let mut body = Vec::new();
    let read = response.body_mut().as_reader().take(SEARCHED_BYTES_MAX + 1).read_to_end(&mut body);
    read.map_err(ureq::Error::from)?;
    let body_is_cut = body.len() as u64 > SEARCHED_BYTES_MAX;
    body.truncate(usize::try_from(SEARCHED_BYTES_MAX).unwrap_or(usize::MAX));
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body, body_is_cut })
}

fn agent(redirects: u32, limit: Duration, may_use_proxy: bool, certs: RootCerts) -> Agent {
    let proxy = if may_use_proxy { Proxy::try_from_env() } else { None };
    Agent::config_builder()
        .timeout_global(Some(limit.max(Duration::from_millis(1))))
        .max_redirects(redirects)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(proxy)
        .user_agent("cutover")
        .tls_config(TlsConfig::builder().root_certs(certs).build())
        .build()
        .new_agent()
}

/// The addresses of the URL's host, when they are this machine's own.
fn local_addresses(uri: &Uri) -> Vec<SocketAddr> {
    let Some(host) = uri.host() else { return Vec::new() };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    if found.iter().all(|address| is_local(address.ip())) { found } else { Vec::new() }
}

impl Expected {
    fn fault(&self, answer: &Answer, latency: Duration) -> Option<String> {
        if answer.status != self.status {
            return Some(format!("status {} instead of {}{}", answer.status, self.status, redirected(answer)));
        }
        let header = self.headers.iter().find_map(|(name, text)| header_fault(&answer.headers, name, text));
        let body = || self.body.as_ref().and_then(|text| body_fault(answer, text));
        let late = || {
            let limit = self.latency_max.filter(|limit| latency > *limit)?;
            Some(format!("answered after {latency:.0?}, later than {limit:?}"))
        };
        header.or_else(body).or_else(late)
    }
}

fn redirected(answer: &Answer) -> String {
    let is_redirect = (300..400).contains(&answer.status);
    let location = answer.headers.get("location").filter(|_| is_redirect).and_then(|to| to.to_str().ok());
    location.map(|to| format!(" (redirects to {} and is not followed)", cut(to))).unwrap_or_default()
}

fn header_fault(headers: &HeaderMap, name: &str, text: &str) -> Option<String> {
    let values: Vec<String> =
        headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).collect();
    match values.first() {
        None => Some(format!("header {name} is missing")),
        Some(_) if values.iter().any(|value| value.contains(text)) => None,
        Some(first) => Some(format!("header {name} is {:?} and does not contain {text:?}", cut(first))),
    }
}

fn body_fault(answer: &Answer, text: &str) -> Option<String> {
    let is_there = String::from_utf8_lossy(&answer.body).contains(text);
    let part = if answer.body_is_cut { format!("first {SEARCHED_BYTES_MAX} bytes of the ") } else { String::new() };
    (!is_there).then(|| format!("the {part}body does not contain {text:?}"))
}

fn cut(text: &str) -> String {
    text.chars().take(VALUE_LENGTH_MAX).collect()
}
