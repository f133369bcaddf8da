//! Releases: a draft first, then its file, then what everybody sees. So nobody is told of a release without its file, and
//! one that GitHub lets nobody change afterwards is whole.

use super::check_run::without_id;
use super::client::{Client, Source, Upload, time_to_send};
use super::fault::Fault;
use super::tag::found;
use super::wire::{Call, number, text};
use crate::markdown::within;
use cutover_core::percent::encoded;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// The longest text of a release, in bytes; GitHub takes 125,000 characters.
pub const BODY_BYTES_MAX: usize = 120_000;
/// The largest file that GitHub takes, in bytes.
pub const FILE_BYTES_MAX: u64 = (2 << 30) - 1;
/// How often a file is sent.
const UPLOAD_COUNT_MAX: u32 = 4;
/// The pause before somebody else's upload of the same file is looked at again.
const RIVAL_PAUSE: Duration = Duration::from_secs(15);
/// How many files are on a page of a list: the most that GitHub takes.
pub(super) const PAGE_LENGTH: usize = 100;
pub(super) const WRITE: &str = "contents: write";
pub(super) const READ: &str = "contents: read";

/// What a release shall say.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The tag, which is there already.
    pub tag: &'a str,
    /// The project: several may be in one repository.
    pub project: &'a str,
    /// The title.
    pub title: &'a str,
    /// The text, in Markdown.
    pub body: &'a str,
    /// Whether it comes before a release itself.
    pub is_prerelease: bool,
}

/// A release at GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    id: u64,
    /// Its page.
    pub url: String,
    /// Whether only those see it who may write.
    pub is_draft: bool,
    upload_url: String,
}

/// A file that a release has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its number: later ones have higher numbers.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Whether all of it has come: a file whose upload broke off stays in the state `starter`.
    pub is_whole: bool,
    /// When it began to come, where GitHub says so.
    pub begun_at: Option<Timestamp>,
    /// Its SHA-256 in hexadecimal characters, where GitHub says it.
    pub sha256: Option<String>,
}

impl Asset {
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: number(value, "id")?,
            name: text(value, "name")?.to_owned(),
            bytes: number(value, "size")?,
            is_whole: text(value, "state") == Some("uploaded"),
            begun_at: text(value, "created_at").and_then(|at| at.parse().ok()),
            // "Release assets" of the REST API: `sha256:` and the digest, or null for those of before it was kept.
            sha256: text(value, "digest").and_then(|digest| digest.strip_prefix("sha256:")).map(str::to_owned),
        })
    }

    /// Whether it may be this file: its SHA-256 is, or its size where GitHub says no more.
    pub fn may_be(&self, sha256: &str, bytes: u64) -> bool {
        match &self.sha256 {
            Some(theirs) => theirs.eq_ignore_ascii_case(sha256),
            None => self.bytes == bytes,
        }
    }

    /// From when on it counts as abandoned: sending so many bytes takes no longer.
    fn abandoned_at(&self, bytes: u64) -> Timestamp {
        let at = self.begun_at.map(|begun| begun.saturating_add(time_to_send(bytes)).unwrap_or(Timestamp::MAX));
        at.unwrap_or(Timestamp::MIN)
    }
}

/// A file for a release.
#[derive(Debug, Clone, Copy)]
pub struct Attachment<'a> {
    /// What it is called there: letters, digits, `.`, `-` and `_`; GitHub changes anything else.
    pub name: &'a str,
    /// Where it is here.
    pub file: &'a Path,
    /// How large it is.
    pub bytes: u64,
}

impl Source for Attachment<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self.file)?))
    }
}

/// What came of attaching a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// It is new.
    New,
    /// It was there already.
    WasThere,
}

/// Whose release a tag has in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Our draft, which everybody sees now.
    Ours(Release),
    /// That of another run, which was faster. Our draft is gone, and the files with it that were attached to it.
    Theirs(Release),
}

/// The first line of a draft of ours, which nobody sees: other drafts are people's own.
fn mark(wish: &Wish<'_>) -> String {
    format!("<!-- cutover:release {} {} -->\n", wish.project, wish.tag)
}

/// The release of a tag: what everybody sees, else our own draft of it.
pub fn find(client: &Client, wish: &Wish<'_>) -> Result<Option<Release>, Fault> {
    if let Some(seen) = published(client, wish.tag)? {
        return Ok(Some(seen));
    }
    draft_of(client, wish)?.map(|draft| release(&draft, "look for the release")).transpose()
}

fn published(client: &Client, tag: &str) -> Result<Option<Release>, Fault> {
    of_tag(client, tag)?.map(|seen| release(&seen, "look for the release")).transpose()
}

/// The release of a tag that everybody sees.
pub(super) fn of_tag(client: &Client, tag: &str) -> Result<Option<Value>, Fault> {
    let path = client.path(&format!("releases/tags/{}", encoded(tag)));
    found(client, &Call::get(path, "look for the release", READ))
}

/// Our draft. It is among the newest: a run before this one left it.
fn draft_of(client: &Client, wish: &Wish<'_>) -> Result<Option<Value>, Fault> {
    let path = client.path("releases?per_page=100");
    let listed = client.send(&Call::get(path, "list releases", READ))?.body;
    let mark = mark(wish);
    let is_ours = |one: &&Value| {
        one.get("draft") == Some(&Value::Bool(true))
            && text(one, "tag_name") == Some(wish.tag)
            && text(one, "body").is_some_and(|body| body.replace("\r\n", "\n").starts_with(&mark))
    };
    Ok(listed.as_array().into_iter().flatten().find(is_ours).cloned())
}

/// Makes a draft.
pub fn draft(client: &Client, wish: &Wish<'_>) -> Result<Release, Fault> {
    let body = json!({
        "tag_name": wish.tag,
        "name": wish.title,
        "body": within(&format!("{}{}", mark(wish), wish.body), BODY_BYTES_MAX),
        "draft": true,
        "prerelease": wish.is_prerelease,
    });
    let post = Call::post(client.path("releases"), body, "make a release", WRITE);
    release(&client.create(&post, || draft_of(client, wish))?, "make a release")
}

/// Shows a draft to everybody. Which release is the latest, GitHub sees from dates and versions.
///
/// Where another run was faster, its release is the tag's, and our draft is removed: nobody would ever find it.
pub fn publish(client: &Client, wish: &Wish<'_>, draft: &Release) -> Result<Published, Fault> {
    let doing = "publish the release";
    let path = client.path(&format!("releases/{}", draft.id));
    let body = json!({ "draft": false, "make_latest": "legacy" });
    match client.send(&Call::patch(path.clone(), body, doing, WRITE)) {
        Ok(answer) => release(&answer.body, doing).map(Published::Ours),
        Err(fault @ Fault::Rejected { status: 422, .. }) => {
            let Some(theirs) = published(client, wish.tag)?.filter(|theirs| theirs.id != draft.id) else {
                return Err(fault);
            };
            found(client, &Call::delete(path, "remove our draft", WRITE))?;
            Ok(Published::Theirs(theirs))
        }
        Err(fault) => Err(fault),
    }
}

/// The file of this name that a release has, if it is whole.
pub fn whole(client: &Client, release: &Release, name: &str) -> Result<Option<Asset>, Fault> {
    Ok(asset(client, release, name)?.filter(|asset| asset.is_whole))
}

/// Takes a file out of a release, if it is there.
pub fn detach(client: &Client, release: &Release, name: &str) -> Result<(), Fault> {
    let Some(found) = asset(client, release, name)? else { return Ok(()) };
    remove(client, found.id, "remove a file of the release").map(drop)
}

/// Attaches a file, unless a whole one of that name is there. Half a file, which an upload left that broke off, is removed.
pub fn attach(client: &Client, release: &Release, attachment: &Attachment<'_>) -> Result<Attached, Fault> {
    let find = || asset(client, release, attachment.name);
    // There is one such job at a time: what is half there was left by one before.
    let sending = Sending { release, name: attachment.name, doing: "attach a file to the release", is_ours: true };
    send(client, &sending, &mut { *attachment }, find()?, &find).map(|(_, attached)| attached)
}

/// A file on its way into a release.
pub(super) struct Sending<'a> {
    pub(super) release: &'a Release,
    pub(super) name: &'a str,
    pub(super) doing: &'static str,
    /// Whether half a file of its name can only be what we left; else somebody may be sending the rest of it.
    pub(super) is_ours: bool,
}

/// Sends a file, given what has its name already; `find` looks that up again.
///
/// "Upload a release asset" of GitHub's documentation: a name that is taken is refused, and an upload that was cut may leave a
/// file in the state `starter`, which keeps the name until it is removed.
pub(super) fn send(
    client: &Client,
    sending: &Sending<'_>,
    source: &mut dyn Source,
    mut there: Option<Asset>,
    find: &dyn Fn() -> Result<Option<Asset>, Fault>,
) -> Result<(Asset, Attached), Fault> {
    let Sending { doing, mut is_ours, .. } = *sending;
    let (mut attempt, mut waited) = (0, 0);
    loop {
        match there.take() {
            Some(whole) if whole.is_whole => {
                return Ok((whole, if attempt == 0 { Attached::WasThere } else { Attached::New }));
            }
            Some(half) if is_ours || client.moment() > half.abandoned_at(source.bytes()) => {
                remove(client, half.id, "remove half a file")?;
            }
            Some(half) => {
                waited += 1;
                client.bear(waited, RIVAL_PAUSE, rival(doing, half.abandoned_at(source.bytes())))?;
                there = find()?;
                continue;
            }
            None => {}
        }
        let (fault, pause) = match send_once(client, sending, source, attempt) {
            Ok(asset) => return Ok((asset, Attached::New)),
            Err(failed) => failed,
        };
        attempt += 1;
        match pause {
            Some(pause) if attempt < UPLOAD_COUNT_MAX => client.bear(attempt, pause, fault)?,
            // Somebody may have been faster: then it is there now, or on its way.
            None if attempt == 1 && is_taken(&fault) => {}
            Some(_) | None => return Err(fault),
        }
        is_ours |= pause.is_some();
        there = find()?;
    }
}

/// Sends a file once. A fault with a pause is one after which it may be sent again, when it is not there.
fn send_once(
    client: &Client,
    sending: &Sending<'_>,
    source: &mut dyn Source,
    attempt: u32,
) -> Result<Asset, (Fault, Option<Duration>)> {
    let url = format!("{}?name={}", sending.release.upload_url, encoded(sending.name));
    let upload = Upload { url: &url, doing: sending.doing, permission: WRITE };
    let made = client.upload(&upload, source, attempt)?;
    accepted(client, &made, sending, source.bytes()).map_err(|fault| {
        let pause = (!matches!(fault, Fault::Rejected { .. })).then_some(Duration::from_secs(1));
        (fault, pause)
    })
}

/// What was made, when it is what was sent.
fn accepted(client: &Client, made: &Value, sending: &Sending<'_>, bytes: u64) -> Result<Asset, Fault> {
    let doing = sending.doing;
    let asset = Asset::read(made).ok_or_else(|| without_id(doing))?;
    if asset.name != sending.name {
        // Under that name nobody would look for it.
        remove(client, asset.id, "remove a file that has another name")?;
        let message = format!("it calls {} {}", sending.name, asset.name);
        return Err(Fault::Rejected { doing, status: 201, message });
    }
    if asset.is_whole && asset.bytes == bytes {
        return Ok(asset);
    }
    let why = "what arrived is not the whole file".to_owned();
    Err(Fault::Unheard { doing, why, may_have_landed: true })
}

fn is_taken(fault: &Fault) -> bool {
    matches!(fault, Fault::Rejected { status: 422, message, .. } if !message.contains("limited to"))
}

/// Nobody can tell somebody else who is sending the same file from a run of our own that has died of it.
fn rival(doing: &'static str, until: Timestamp) -> Fault {
    let why = format!(
        "half of the same file is there, which somebody else is sending or an earlier run has left: \
         after {} it counts as abandoned, and is sent anew",
        until.strftime("%Y-%m-%d %H:%M:%S UTC")
    );
    Fault::Unheard { doing, why, may_have_landed: false }
}

fn asset(client: &Client, release: &Release, name: &str) -> Result<Option<Asset>, Fault> {
    client.seek(files(client, release), |page| {
        Asset::read(page.as_array()?.iter().find(|asset| text(asset, "name") == Some(name))?)
    })
}

/// The call that lists a release's files, page by page.
pub(super) fn files(client: &Client, release: &Release) -> Call {
    files_from(client, release, 1)
}

/// The same, from the page of this number on; the first has the number 1.
pub(super) fn files_from(client: &Client, release: &Release, page: usize) -> Call {
    let path = client.path(&format!("releases/{}/assets?per_page={PAGE_LENGTH}&page={page}", release.id));
    Call::get(path, "list the release's files", READ)
}

/// Removes a file; says whether it was there.
pub(super) fn remove(client: &Client, id: u64, doing: &'static str) -> Result<bool, Fault> {
    let path = client.path(&format!("releases/assets/{id}"));
    // One that is gone already is what is wanted.
    found(client, &Call::delete(path, doing, WRITE)).map(|found| found.is_some())
}

pub(super) fn release(value: &Value, doing: &'static str) -> Result<Release, Fault> {
    let read = || {
        // RFC 6570: `…/assets{?name,label}`.
        let upload_url = text(value, "upload_url")?;
        Some(Release {
            id: number(value, "id")?,
            url: text(value, "html_url")?.to_owned(),
            is_draft: value.get("draft")?.as_bool()?,
            upload_url: upload_url.split_once('{').map_or(upload_url, |(url, _)| url).to_owned(),
        })
    };
    read().ok_or_else(|| without_id(doing))
}
