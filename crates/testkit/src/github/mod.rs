//! A GitHub that is none: the part of its REST API that Cutover speaks, in memory, on this machine.
//!
//! It answers with all that GitHub's own description of the API demands and refuses what that refuses. What goes wrong out
//! there can be ordered: [`Mishap`]s befall the next requests that fit, in the order in which they were ordered. Nothing here
//! waits for time to pass.

mod http;
mod objects;
mod releases;
mod routes;
mod settings;
mod state;

pub use http::Received;
pub use releases::newest_commit;
pub use state::{LOGIN, Limits, TOKEN_BYTES_MIN};

use http::{Reply, read_request, write_reply};
use serde_json::Value;
use state::State;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What befalls a request.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// None: this request is let through, and the next mishap befalls one after it.
    Spared,
    /// This status with these headers and this message, and nothing is done.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// It is done, and the answer says 502.
    DoneAndBroken,
    /// It is done, and the answer is cut in the middle.
    DoneAndCut,
    /// Nothing is done, and the connection ends without an answer.
    HungUp,
    /// Nothing is done, and no answer comes for as long as the other side waits for one.
    Silent,
    /// It is done, and no answer comes.
    DoneAndSilent,
    /// A file arrives in part and stays so, and the answer says 502.
    HalfDone,
}

/// A mishap, and which requests it befalls.
struct Ordered {
    method: &'static str,
    part: String,
    mishap: Mishap,
}

/// A running fake. It ends when it is dropped.
pub struct FakeGitHub {
    shared: Arc<Shared>,
    api: Listener,
    /// Where files are read: another host than the API's, as far as a client can see.
    storage: Listener,
}

struct Shared {
    state: Mutex<State>,
    mishaps: Mutex<VecDeque<Ordered>>,
    received: Mutex<Vec<Received>>,
    /// What was asked of the storage.
    fetched: Mutex<Vec<Received>>,
}

/// A thread that answers at an address, until it is dropped.
struct Listener {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn at(
        address: SocketAddr,
        serve: impl Fn(&TcpStream) -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                // A client that went away is no concern of a server.
                thread::spawn(move || serve(&stream).ok());
            }
        });
        Ok(Self { address, ended, thread: Some(thread) })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Whoever connects once more wakes the listener, which then sees that it is over.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl FakeGitHub {
    /// Begins to answer on a port of the system's choice, for the repository `shop/app` and whoever has this token.
    pub fn start(token: &str) -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), token)
    }

    /// The same at this address.
    pub fn listen(address: SocketAddr, token: &str) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(token)),
            mishaps: Mutex::default(),
            received: Mutex::default(),
            fetched: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let api = Listener::at(address, move |stream| theirs.serve(stream))?;
        let theirs = Arc::clone(&shared);
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let storage = Listener::at(anywhere, move |stream| theirs.serve_file(stream))?;
        held(&shared.state).releases.storage = storage.url();
        Ok(Self { shared, api, storage })
    }

    /// Has this repository instead.
    pub fn rename(&self, repository: &str) {
        repository.clone_into(&mut held(&self.shared.state).repository);
    }

    /// The API's address.
    pub fn url(&self) -> String {
        self.api.url()
    }

    /// Where it has what files hold.
    pub fn storage_url(&self) -> String {
        self.storage.url()
    }

    /// Lets this befall the next request of this method whose path contains `part`.
    pub fn order(&self, method: &'static str, part: &str, mishap: Mishap) {
        held(&self.shared.mishaps).push_back(Ordered { method, part: part.to_owned(), mishap });
    }

    /// How many ordered mishaps have not befallen anybody yet.
    pub fn outstanding_count(&self) -> usize {
        held(&self.shared.mishaps).len()
    }

    /// Takes a permission from the token: `checks`, `statuses`, `deployments`, `pull-requests`, `contents`,
    /// `administration`, `environments`, `secrets`.
    pub fn refuse(&self, permission: &'static str) {
        held(&self.shared.state).refused.insert(permission);
    }

    /// Knows a further token: a job's, which may what these permissions say (`checks`, and whether that is to write), and nothing else.
    pub fn grant(&self, token: &str, rights: impl IntoIterator<Item = (String, bool)>) {
        held(&self.shared.state).granted.insert(token.to_owned(), rights.into_iter().collect());
    }

    /// Does not know a job's token any more.
    pub fn revoke(&self, token: &str) {
        held(&self.shared.state).granted.remove(token);
    }

    /// Refuses each annotation at this line, with the whole request that it stands in.
    pub fn refuse_annotation_at(&self, line: u64) {
        held(&self.shared.state).refused_line = Some(line);
    }

    /// Shows no comments to the next so many requests that list them.
    pub fn overlook_comments(&self, count: u32) {
        held(&self.shared.state).overlooked_count = count;
    }

    /// What was asked so far.
    pub fn received(&self) -> Vec<Received> {
        held(&self.shared.received).clone()
    }

    /// What was asked so far of the storage that files are read from.
    pub fn fetched(&self) -> Vec<Received> {
        held(&self.shared.fetched).clone()
    }

    /// The comments on a pull request: author and text.
    pub fn comments(&self, pull: u64) -> Vec<(String, String)> {
        held(&self.shared.state).comments_on(pull)
    }

    /// Lets somebody else comment.
    pub fn comment_as(&self, login: &str, pull: u64, body: &str) {
        held(&self.shared.state).add_comment(login, pull, body);
    }

    /// Opens a pull request.
    pub fn open_pull(&self, number: u64, owner: &str, branch: &str, sha: &str) {
        held(&self.shared.state).open_pull(number, owner, branch, sha);
    }

    /// Pushes to the branch of an open pull request.
    pub fn push_pull(&self, number: u64, sha: &str) {
        held(&self.shared.state).push_pull(number, sha);
    }

    /// Merges a pull request, as this commit.
    pub fn merge_pull(&self, number: u64, sha: &str) {
        held(&self.shared.state).merge_pull(number, sha);
    }

    /// The check runs, as GitHub shows them, each with all its annotations under `annotations`.
    pub fn check_runs(&self) -> Vec<Value> {
        held(&self.shared.state).check_runs.clone()
    }

    /// The commit statuses, the oldest first.
    pub fn statuses(&self) -> Vec<Value> {
        held(&self.shared.state).statuses.clone()
    }

    /// The deployments, the oldest first: environment, commit and the states that they had.
    pub fn deployments(&self) -> Vec<(String, String, Vec<String>)> {
        held(&self.shared.state).deployments_told()
    }

    /// Lets somebody else make a tag, which is not annotated.
    pub fn tag_as_somebody(&self, name: &str, sha: &str) {
        held(&self.shared.state).add_reference(&format!("refs/tags/{name}"), sha, "commit");
    }

    /// The tags: name, commit, and the message where it is annotated.
    pub fn tags(&self) -> Vec<(String, String, Option<String>)> {
        held(&self.shared.state).tags_told()
    }

    /// Takes no more files into releases that everybody sees.
    pub fn make_releases_immutable(&self) {
        held(&self.shared.state).releases.are_immutable = true;
    }

    /// Says of releases from now on that their files go to another address.
    pub fn send_files_to(&self, url: &str) {
        held(&self.shared.state).releases.elsewhere = Some(url.to_owned());
    }

    /// Tells of a release's files no more than so many with the release itself.
    pub fn cut_files_told_with_releases(&self, count: usize) {
        held(&self.shared.state).releases.told_count = Some(count);
    }

    /// Lets somebody have begun, at this moment, to send a file into a release, of which nothing more comes.
    pub fn begin_file(&self, tag: &str, name: &str, at: &str) {
        held(&self.shared.state).begin_file(tag, name, at);
    }

    /// The releases, drafts too, the oldest first, as GitHub shows them, each with its files under `assets`.
    pub fn releases(&self) -> Vec<Value> {
        held(&self.shared.state).releases.all.clone()
    }

    /// What a file of a release holds, by its number.
    pub fn file(&self, id: u64) -> Option<Vec<u8>> {
        let state = held(&self.shared.state);
        state.releases.contents.iter().find(|(known, _)| *known == id).map(|(_, content)| content.clone())
    }

    /// Sets which actions may run, as GitHub tells it, and what `selected` means.
    pub fn allow_actions(&self, actions: &Value, selected: &Value) {
        let settings = &mut held(&self.shared.state).settings;
        settings.actions = actions.clone();
        settings.selected = selected.clone();
    }

    /// Lets jobs that say nothing of their rights write.
    pub fn let_jobs_write(&self) {
        held(&self.shared.state).settings.jobs_may_write = true;
    }

    /// Makes an environment that asks so many people, and is for branches with these patterns.
    pub fn add_environment(&self, name: &str, reviewer_count: usize, branches: Option<&[&str]>) {
        let branches = branches.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        held(&self.shared.state).settings.environments.insert(name.to_owned(), (reviewer_count, branches));
    }

    /// Adds a secret to an environment; to the repository where it is empty, to its organization where it is `(organization)`.
    pub fn add_secret(&self, environment: &str, name: &str) {
        held(&self.shared.state).settings.secrets.push((environment.to_owned(), name.to_owned()));
    }

    /// Puts a file on the default branch.
    pub fn put_file(&self, path: &str, text: &str) {
        held(&self.shared.state).settings.files.insert(path.to_owned(), text.to_owned());
    }

    /// Adds a ruleset of somebody's.
    pub fn add_ruleset(&self, ruleset: &Value) {
        held(&self.shared.state).add_ruleset(ruleset);
    }

    /// The rulesets, the oldest first.
    pub fn rulesets(&self) -> Vec<Value> {
        held(&self.shared.state).settings.rulesets.clone()
    }

    /// The statuses of all deployments, the oldest first.
    pub fn deployment_statuses(&self) -> Vec<Value> {
        held(&self.shared.state).all_deployment_statuses()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(request) = read_request(stream)? else { return Ok(()) };
        held(&self.received).push(request.clone());
        self.reply(stream, &request, &|| self.answer(&request))
    }

    /// The storage: it takes no token, and says so as S3 does.
    fn serve_file(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(request) = read_request(stream)? else { return Ok(()) };
        held(&self.fetched).push(request.clone());
        self.reply(stream, &request, &|| match request.header("authorization") {
            Some(_) => Reply::refusal(400, "Only one auth mechanism allowed"),
            None => releases::stored(&held(&self.state), &request.path),
        })
    }

    /// Answers, unless something befalls the request.
    fn reply(&self, stream: &TcpStream, request: &Received, answer: &dyn Fn() -> Reply) -> io::Result<()> {
        match self.befalling(request) {
            None | Some(Mishap::Spared) => write_reply(stream, &answer()),
            Some(Mishap::Answer(status, headers, message)) => {
                let mut reply = Reply::refusal(status, message);
                reply.headers.extend(headers);
                write_reply(stream, &reply)
            }
            Some(Mishap::DoneAndBroken) => {
                answer();
                write_reply(stream, &Reply::refusal(502, "Server Error"))
            }
            Some(Mishap::HalfDone) => {
                answer();
                held(&self.state).halve_newest_file();
                write_reply(stream, &Reply::refusal(502, "Server Error"))
            }
            Some(Mishap::DoneAndCut) => cut(stream, &answer()),
            Some(Mishap::HungUp) => Ok(()),
            Some(Mishap::Silent) => until_gone(stream),
            Some(Mishap::DoneAndSilent) => {
                answer();
                until_gone(stream)
            }
        }
    }

    fn answer(&self, request: &Received) -> Reply {
        routes::answer(&mut held(&self.state), request)
    }

    fn befalling(&self, request: &Received) -> Option<Mishap> {
        let mut mishaps = held(&self.mishaps);
        let fits = |one: &Ordered| one.method == request.method && request.path.contains(&one.part);
        let at = mishaps.iter().position(fits)?;
        mishaps.remove(at).map(|one| one.mishap)
    }
}

/// The head of an answer and half of its body.
fn cut(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    let whole = reply.bytes();
    stream.write_all(&whole[..whole.len() - reply.content().len() / 2 - 1])
}

/// Waits until the other side has had enough.
fn until_gone(mut stream: &TcpStream) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

fn held<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
