//! Releases: a draft first, then its file, then what everybody sees. So nobody is told of a release without its file, and
//! one that GitHub lets nobody change afterwards is whole.

use super::check_run::without_id;
use super::client::{Client, Upload};
use super::fault::Fault;
use super::tag::found;
use super::wire::{Call, number, query, text};
use crate::markdown::within;
use serde_json::{Value, json};
use std::path::Path;

/// The longest text of a release, in bytes; GitHub takes 125,000 characters.
pub const BODY_BYTES_MAX: usize = 120_000;
/// The largest file that GitHub takes, in bytes.
pub const FILE_BYTES_MAX: u64 = (2 << 30) - 1;
/// How often a file is sent.
const UPLOAD_COUNT_MAX: u32 = 4;
const WRITE: &str = "contents: write";
const READ: &str = "contents: read";

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

/// A whole file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    bytes: Option<u64>,
    /// In hexadecimal characters, where GitHub says it.
    sha256: Option<String>,
}

impl Whole {
    /// Whether it may be this file: its SHA-256 is, or its size where GitHub says no more.
    pub fn may_be(&self, sha256: &str, bytes: u64) -> bool {
        match &self.sha256 {
            Some(theirs) => theirs.eq_ignore_ascii_case(sha256),
            None => self.bytes == Some(bytes),
        }
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
    if let Some(seen) = published(client, wish)? {
        return Ok(Some(seen));
    }
    draft_of(client, wish)?.map(|draft| release(&draft, "look for the release")).transpose()
}

fn published(client: &Client, wish: &Wish<'_>) -> Result<Option<Release>, Fault> {
    let (path, doing) = (client.path(&format!("releases/tags/{}", query(wish.tag))), "look for the release");
    found(client, &Call::get(path, doing, READ))?.map(|seen| release(&seen, doing)).transpose()
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
            let Some(theirs) = published(client, wish)?.filter(|theirs| theirs.id != draft.id) else {
                return Err(fault);
            };
            found(client, &Call::delete(path, "remove our draft", WRITE))?;
            Ok(Published::Theirs(theirs))
        }
        Err(fault) => Err(fault),
    }
}

/// The file of this name that a release has, if it is whole.
pub fn whole(client: &Client, release: &Release, name: &str) -> Result<Option<Whole>, Fault> {
    let found = asset(client, release, name)?.filter(is_whole);
    Ok(found.map(|found| Whole {
        bytes: number(&found, "size"),
        // "Release assets" of the REST API: `sha256:` and the digest, or null for those of before it was kept.
        sha256: text(&found, "digest").and_then(|digest| digest.strip_prefix("sha256:")).map(str::to_owned),
    }))
}

/// Takes a file out of a release, if it is there.
pub fn detach(client: &Client, release: &Release, name: &str) -> Result<(), Fault> {
    asset(client, release, name)?.map_or(Ok(()), |found| remove(client, &found))
}

/// Attaches a file, unless a whole one of that name is there. Half a file, which an upload left that broke off, is removed.
pub fn attach(client: &Client, release: &Release, attachment: &Attachment<'_>) -> Result<Attached, Fault> {
    let doing = "attach a file to the release";
    let url = format!("{}?name={}", release.upload_url, query(attachment.name));
    let upload = Upload { url: &url, file: attachment.file, bytes: attachment.bytes, doing, permission: WRITE };
    let mut attempt = 0;
    loop {
        match asset(client, release, attachment.name)? {
            Some(whole) if is_whole(&whole) => {
                return Ok(if attempt == 0 { Attached::WasThere } else { Attached::New });
            }
            Some(half) => remove(client, &half)?,
            None => {}
        }
        let (fault, pause) = match client.upload(&upload, attempt) {
            Ok(made) if is_whole(&made) && number(&made, "size") == Some(attachment.bytes) => return Ok(Attached::New),
            Ok(_) => {
                let why = "what arrived is not the whole file".to_owned();
                (Fault::Unheard { doing, why, may_have_landed: true }, Some(std::time::Duration::from_secs(1)))
            }
            Err(failed) => failed,
        };
        attempt += 1;
        match pause {
            Some(pause) if attempt < UPLOAD_COUNT_MAX => client.bear(attempt, pause, fault)?,
            // Another run may have been faster: then it is there now.
            None if attempt == 1 && matches!(fault, Fault::Rejected { status: 422, .. }) => {}
            Some(_) | None => return Err(fault),
        }
    }
}

fn asset(client: &Client, release: &Release, name: &str) -> Result<Option<Value>, Fault> {
    let path = client.path(&format!("releases/{}/assets?per_page=100", release.id));
    client.seek(Call::get(path, "list the release's files", READ), |page| {
        page.as_array()?.iter().find(|asset| text(asset, "name") == Some(name)).cloned()
    })
}

/// A file whose upload broke off stays in the state `starter`.
fn is_whole(asset: &Value) -> bool {
    text(asset, "state") == Some("uploaded")
}

fn remove(client: &Client, asset: &Value) -> Result<(), Fault> {
    let doing = "remove a file of the release";
    let id = number(asset, "id").ok_or_else(|| without_id(doing))?;
    let path = client.path(&format!("releases/assets/{id}"));
    // One that is gone already is what is wanted.
    found(client, &Call::delete(path, doing, WRITE)).map(drop)
}

fn release(value: &Value, doing: &'static str) -> Result<Release, Fault> {
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
