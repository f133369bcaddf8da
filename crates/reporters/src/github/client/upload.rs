//! Files, which go to a host of GitHub's own for them, and may take longer than other requests.

use super::{Client, Heard};
use crate::github::fault::Fault;
use crate::github::wire::{Call, Repeat};
use serde_json::Value;
use std::io::{self, Read};
use std::time::Duration;
use ureq::SendBody;
use ureq::http::Uri;

/// How fast a file goes at least, in bytes per second: what is slower has stopped.
const BYTES_PER_SECOND_MIN: u64 = 128 << 10;
/// How long it takes before a byte has gone.
const BEGIN: Duration = Duration::from_secs(60);

/// Bytes that are sent, perhaps several times.
pub trait Source {
    /// How many there are.
    fn bytes(&self) -> u64;
    /// All of them, from the first on.
    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>>;
}

/// A file's way to GitHub.
#[derive(Debug, Clone, Copy)]
pub(in crate::github) struct Upload<'a> {
    /// Where it goes, with its name in the query.
    pub(in crate::github) url: &'a str,
    pub(in crate::github) doing: &'static str,
    pub(in crate::github) permission: &'static str,
}

/// How long it may take to send so many bytes.
pub(in crate::github) fn time_to_send(bytes: u64) -> Duration {
    BEGIN + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN)
}

impl Client {
    /// Sends a file once. A fault with a pause is one after which it may be sent again, when it is not there.
    pub(in crate::github) fn upload(
        &self,
        upload: &Upload<'_>,
        source: &mut dyn Source,
        attempt: u32,
    ) -> Result<Value, (Fault, Option<Duration>)> {
        let Upload { url, doing, permission } = *upload;
        if !self.is_for_uploads(url) {
            let message = format!("it wants the file at {}, where the token does not belong", super::cut(url));
            return Err((Fault::Rejected { doing, status: 201, message }, None));
        }
        let call = Call { method: "POST", path: url.to_owned(), body: None, doing, permission, repeat: Repeat::Once };
        self.begin(&call).map_err(|fault| (fault, None))?;
        let (bytes, began) = (source.bytes(), self.pace.now());
        // What a file takes for its size is no patience; all else is, as of any request.
        let sending = time_to_send(bytes) - time_to_send(0);
        let mut reader = source.reader().map_err(|error| (Fault::here(doing, &error), None))?;
        let request = self.request("POST", url).header("content-type", "application/octet-stream");
        let request = request.header("content-length", bytes.to_string()).body(SendBody::from_reader(&mut reader));
        let sent = request.map_err(ureq::Error::from).and_then(|request| {
            let limit = Some(self.patience.request + sending);
            self.agent.run(self.agent.configure_request(request).timeout_global(limit).build())
        });
        let heard = self.read(sent);
        self.spend(began, sending);
        match self.judge(&call, attempt, heard) {
            Heard::Done(Ok(answer)) => Ok(answer.body),
            Heard::Done(Err(fault)) => Err((fault, None)),
            Heard::Again { pause, fault } => Err((fault, Some(pause))),
        }
    }

    /// Whether an address is GitHub's for files: at the API's own host, or at `uploads.` where the API is at `api.`.
    fn is_for_uploads(&self, url: &str) -> bool {
        let parsed = |text: &str| text.parse::<Uri>().ok();
        let (Some(api), Some(url)) = (parsed(&self.base), parsed(url)) else { return false };
        let place = |uri: &Uri| Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_owned()));
        let (Some((api_scheme, api_host)), Some((scheme, host))) = (place(&api), place(&url)) else { return false };
        let beside = api_host.strip_prefix("api.").map(|rest| format!("uploads.{rest}"));
        api_scheme == scheme && (host == api_host || beside.is_some_and(|beside| host == beside))
    }
}

#[cfg(test)]
mod tests {
    use crate::github::{Access, Client, Patience, RealPace};
    use cutover_core::secret::Secret;
    use ureq::tls::RootCerts;

    fn client(api: &str) -> Client {
        let access = Access {
            api: api.to_owned(),
            token: Secret::new("ghs_of_nobody"),
            login: None,
            repository: "shop/app".parse().unwrap(),
            certs: RootCerts::WebPki,
        };
        Client::new(access, Box::new(RealPace), Patience::default()).unwrap()
    }

    #[test]
    fn the_token_goes_with_a_file_to_github_s_own_hosts_only() {
        let github = client("https://api.github.com");
        assert!(github.is_for_uploads("https://uploads.github.com/repos/shop/app/releases/1/assets?name=x"));
        for elsewhere in [
            "http://uploads.github.com/x",
            "https://uploads.github.com.evil.example/x",
            "https://uploads.github.com@evil.example/x",
            "https://uploads.github.com:444/x",
            "https://evil.example/uploads.github.com",
            "//uploads.github.com/x",
            "",
        ] {
            assert!(!github.is_for_uploads(elsewhere), "{elsewhere}");
        }
        let own = client("https://git.example.org/api/v3");
        assert!(own.is_for_uploads("https://git.example.org/api/uploads/repos/shop/app/releases/1/assets?name=x"));
        assert!(!own.is_for_uploads("https://uploads.github.com/x"));
        assert!(client("https://api.shop.ghe.com").is_for_uploads("https://uploads.shop.ghe.com/x"));
    }
}
