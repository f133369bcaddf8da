//! A repository at GitHub, and who speaks to it: in a job of its Actions, and from anywhere else.

use super::job::{API, SERVER, is_plain, token, variable};
use crate::error::{CommandError, ErrorKind};
use crate::output::Output;
use crate::release::{REMOTE, Repository as Git};
use cutover_core::secret::{ARTIFACTS_TOKEN_VARIABLE, GITHUB_TOKEN_VARIABLE, Secret};
use cutover_reporters::github::{Access, Client, Pace, Patience, RealPace, Repository};
use cutover_reporters::one_line;
use cutover_targets::verify::root_certs;
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;

/// How often GitHub is asked for a person before anybody has answered.
const FIRST_ATTEMPT_COUNT: u32 = 3;

/// A repository at GitHub and a token for it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    api: String,
    server: String,
    token: Secret,
    pub(crate) repository: Repository,
}

impl Account {
    /// The one that the surroundings name, else the one that the remote of a work tree is at; or why there is none. The token goes
    /// to no server that is not known to be a GitHub: many have it set for all that they do.
    pub(crate) fn here(directory: &Path) -> Result<Result<Self, String>, CommandError> {
        match variable(GITHUB_TOKEN_VARIABLE).map(Secret::new) {
            Some(token) => Self::at(directory, token, None),
            None => Ok(Err("GITHUB_TOKEN is not set".to_owned())),
        }
    }

    /// The one whose release holds artifacts: this repository, or another one that is named.
    pub(crate) fn of_store(directory: &Path, named: Option<&str>) -> Result<Result<Self, String>, CommandError> {
        match store_token(named) {
            Ok(token) => Self::at(directory, token, named),
            Err(why) => Ok(Err(why)),
        }
    }

    fn at(directory: &Path, token: Secret, named: Option<&str>) -> Result<Result<Self, String>, CommandError> {
        let server = variable("GITHUB_SERVER_URL").filter(|url| is_plain(url));
        let (server, repository) = match variable("GITHUB_REPOSITORY") {
            Some(own) => (server.unwrap_or_else(|| SERVER.to_owned()), named.map_or(own, str::to_owned)),
            None => match (Git::at(directory).remote_url(REMOTE)?.as_deref().and_then(place), named) {
                (Some((host, own)), named) if is_github(&host, server.as_deref()) => {
                    (format!("https://{host}"), named.map_or(own, str::to_owned))
                }
                (_, Some(named)) => (server.unwrap_or_else(|| SERVER.to_owned()), named.to_owned()),
                (_, None) => {
                    return Ok(Err("origin is not at GitHub, and GITHUB_REPOSITORY is not set".to_owned()));
                }
            },
        };
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| api_of(&server));
        Ok(match repository.parse() {
            Ok(repository) => Ok(Self { api, server, token, repository }),
            Err(error) => Err(format!("GITHUB_REPOSITORY: {error}")),
        })
    }

    /// The same, where there must be one.
    pub(crate) fn required(directory: &Path) -> Result<Self, CommandError> {
        Self::here(directory)?.map_err(|why| {
            CommandError::new(ErrorKind::Usage, format!("no repository at GitHub can be spoken of: {why}"))
                .hint("GITHUB_TOKEN is a fine-grained token of your own for this repository")
                .hint("GITHUB_REPOSITORY=OWNER/NAME names it where the remote called origin does not")
        })
    }

    /// Its page.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.repository)
    }

    /// Speaks for it to a person who waits, and tells when that takes long. Where nobody answers at all it gives up soon.
    pub(crate) fn client_for(&self, output: &Output) -> Result<Client, CommandError> {
        let pace = ToldPace { output: output.clone(), api: self.api.clone() };
        Ok(self.client_at(Box::new(pace), Patience::default())?.impatient_at_first(FIRST_ATTEMPT_COUNT))
    }

    /// Speaks for it.
    pub(crate) fn client(&self) -> Result<Client, CommandError> {
        self.client_with(Patience::default())
    }

    /// The same, with so much patience.
    pub(crate) fn client_with(&self, patience: Patience) -> Result<Client, CommandError> {
        self.client_at(Box::new(RealPace), patience)
    }

    fn client_at(&self, pace: Box<dyn Pace>, patience: Patience) -> Result<Client, CommandError> {
        let cannot = |why: String| CommandError::new(ErrorKind::Failed, format!("cannot reach GitHub: {why}"));
        let access = Access {
            api: self.api.clone(),
            token: self.token.clone(),
            login: variable("CUTOVER_GITHUB_LOGIN"),
            repository: self.repository.clone(),
            certs: root_certs().map_err(cannot)?,
        };
        Client::new(access, pace, patience).map_err(cannot)
    }
}

/// Time that passes while a person waits, who is told what for.
struct ToldPace {
    output: Output,
    api: String,
}

impl Pace for ToldPace {
    fn now(&self) -> Timestamp {
        RealPace.now()
    }

    fn sleep(&self, pause: Duration) {
        let told = format!("waiting for {}; asking again in {} s\n", one_line(&self.api), pause.as_secs());
        // Whoever does not hear it waits all the same.
        let _told = self.output.error(&told);
        RealPace.sleep(pause);
    }
}

/// The token for the repository whose release holds artifacts, or why there is none. A job's own token is for its own repository.
pub(crate) fn store_token(named: Option<&str>) -> Result<Secret, String> {
    let of_job =
        token().is_some() && named.is_some_and(|named| variable("GITHUB_REPOSITORY").as_deref() != Some(named));
    let general = || variable(GITHUB_TOKEN_VARIABLE).filter(|_| !of_job);
    let why = match of_job {
        true => format!("{ARTIFACTS_TOKEN_VARIABLE} is not set, and a job's own token is for its own repository"),
        false => format!("neither {ARTIFACTS_TOKEN_VARIABLE} nor {GITHUB_TOKEN_VARIABLE} is set"),
    };
    variable(ARTIFACTS_TOKEN_VARIABLE).or_else(general).map(Secret::new).ok_or(why)
}

/// Where the API of a server is: GitHub Enterprise Server has it below its own address.
fn api_of(server: &str) -> String {
    match server.strip_prefix("https://") {
        Some("github.com") | None => API.to_owned(),
        Some(host) if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        Some(_) => format!("{server}/api/v3"),
    }
}

/// Whether a host is GitHub's own, or the one that the surroundings name.
fn is_github(host: &str, named: Option<&str>) -> bool {
    let named = named.and_then(|url| url.split_once("://")).map(|(_, rest)| rest.trim_end_matches('/'));
    host == "github.com" || host.ends_with(".ghe.com") || named == Some(host)
}

/// The host and the repository of a remote's address, as git knows it.
fn place(url: &str) -> Option<(String, String)> {
    site(url).filter(|(_, name)| name.split('/').count() == 2)
}

/// The host and the path of a remote's address, as git knows it, wherever that is.
pub(crate) fn site(url: &str) -> Option<(String, String)> {
    let (authority, path) = match url.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?,
        Some(_) => return None,
        // git@github.com:owner/name.git
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let name = path.trim_matches('/');
    let name = name.strip_suffix(".git").unwrap_or(name);
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    (is_host && name.contains('/')).then(|| (host.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_the_address_of_its_remote() {
        let told = |url: &str| place(url).map(|(host, name)| format!("{host} {name}")).unwrap_or_default();
        for url in [
            "git@github.com:shop/app.git",
            "https://github.com/shop/app",
            "https://github.com/shop/app.git/",
            "https://someone:secret@github.com/shop/app.git",
            "ssh://git@github.com:22/shop/app.git",
        ] {
            assert_eq!(told(url), "github.com shop/app", "{url}");
        }
        for url in [
            "",
            "/srv/git/app.git",
            "../app",
            "file:///srv/app.git",
            "https://github.com/app",
            "https://github.com/a/b/c",
        ] {
            assert_eq!(told(url), "", "{url}");
        }
    }

    #[test]
    fn a_token_goes_to_no_server_that_nobody_called_a_github() {
        assert!(is_github("github.com", None) && is_github("shop.ghe.com", None));
        assert!(is_github("git.example.org", Some("https://git.example.org")));
        for other in ["gitlab.com", "github.com.evil.example", "evilgithub.com", "ghe.com", ""] {
            assert!(!is_github(other, None) && !is_github(other, Some("https://github.com")), "{other}");
        }
    }

    #[test]
    fn each_server_has_its_api() {
        assert_eq!(api_of("https://github.com"), "https://api.github.com");
        assert_eq!(api_of("https://shop.ghe.com"), "https://api.shop.ghe.com");
        assert_eq!(api_of("https://git.example.org"), "https://git.example.org/api/v3");
    }
}
