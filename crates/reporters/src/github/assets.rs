//! The files of one release as named bytes for machines: put under a name that nobody has, read, listed and removed.
//!
//! The release is a prerelease that is never the latest, made when the first file comes. What names mean is up to whoever puts
//! them; they have to be of the characters that GitHub leaves as they are.

use super::check_run::without_id;
use super::client::{Client, Sink, Source};
use super::fault::Fault;
pub use super::release::Asset;
use super::release::{self, PAGE_LENGTH, READ, Release, Sending, WRITE, files_from, of_tag, release, send};
use super::wire::Call;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many files a release may have ("Storage and bandwidth quotas" of GitHub's documentation of releases).
pub const ASSET_COUNT_MAX: usize = 1_000;
/// The longest name of a file, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// A list that GitHub has cut has a round number of entries.
const ROUND: usize = 10;
/// The least that any list is cut to: a page, unless another length is asked for.
const CUT_MIN: usize = 30;

/// The release and all of its files, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// The release.
    pub release: Release,
    /// The files, those that are not whole among them.
    pub assets: Vec<Asset>,
}

/// The release of a tag with all that it has; None where there is none.
///
/// A release comes with its files, all of one moment, as GitHub does it and nowhere promises: where their number could be that of a
/// list that was cut, the last page of it is asked for as well. Where that knows of more, all pages are read. Between two pages others may
/// remove files, and what moves up is in none of them; so what came at once counts in any case.
pub fn look(client: &Client, tag: &str) -> Result<Option<Stock>, Fault> {
    let doing = "look for the release";
    let Some(found) = of_tag(client, tag)? else { return Ok(None) };
    let (release, mut assets) = (release(&found, doing)?, BTreeMap::new());
    collect(found.get("assets"), &mut assets, doing)?;
    if assets.len() >= CUT_MIN && assets.len().is_multiple_of(ROUND) {
        complete(client, &release, &mut assets, doing)?;
    }
    Ok(Some(Stock { release, assets: assets.into_values().collect() }))
}

/// Adds what a list lacks that may have been cut.
fn complete(
    client: &Client,
    release: &Release,
    assets: &mut BTreeMap<u64, Asset>,
    doing: &'static str,
) -> Result<(), Fault> {
    let told = assets.len();
    let last = told.div_ceil(PAGE_LENGTH);
    let count = collect_from(client, release, last, assets, doing)?;
    // In whichever order the pages come, and whatever has moved up: what is new, or one too many, is of a list that was cut.
    let is_whole = assets.len() == told && (last - 1) * PAGE_LENGTH + count <= told;
    if !is_whole && last > 1 {
        collect_from(client, release, 1, assets, doing)?;
    }
    Ok(())
}

/// Adds what is on the pages from this one on; says how many files these have.
fn collect_from(
    client: &Client,
    release: &Release,
    page: usize,
    assets: &mut BTreeMap<u64, Asset>,
    doing: &'static str,
) -> Result<usize, Fault> {
    let (mut wrong, mut count) = (None, 0);
    client.seek(files_from(client, release, page), |page| match collect(Some(page), assets, doing) {
        Ok(more) => {
            count += more;
            None
        }
        Err(fault) => {
            wrong = Some(fault);
            Some(())
        }
    })?;
    wrong.map_or(Ok(count), Err)
}

/// Adds the files of a list; says how many these are.
fn collect(list: Option<&Value>, assets: &mut BTreeMap<u64, Asset>, doing: &'static str) -> Result<usize, Fault> {
    // What is no list must not be taken for an empty one.
    let list = list.and_then(Value::as_array).ok_or_else(|| without_id(doing))?;
    for value in list {
        let asset = Asset::read(value).ok_or_else(|| without_id(doing))?;
        assets.insert(asset.id, asset);
    }
    Ok(list.len())
}

/// Makes the release, and the tag where there is none, at the newest commit of the default branch. Where another one was faster,
/// its release is the one.
pub fn make(client: &Client, tag: &str, title: &str, text: &str) -> Result<Release, Fault> {
    let doing = "make the release for artifacts";
    let body = json!({
        "tag_name": tag,
        "name": title,
        "body": text,
        "draft": false,
        "prerelease": true,
        "make_latest": "false",
    });
    let post = Call::post(client.path("releases"), body, doing, WRITE);
    match client.create(&post, || of_tag(client, tag)) {
        Ok(made) => release(&made, doing),
        Err(fault @ Fault::Rejected { status: 422, .. }) => {
            of_tag(client, tag)?.map_or(Err(fault), |theirs| release(&theirs, doing))
        }
        Err(fault) => Err(fault),
    }
}

/// Adds a file under a name, given what is known to have it; where a whole one has, that is the file.
///
/// Half a file of that name is somebody else's who is sending it, or what an upload has left that was cut: it is waited for as long as
/// sending it may take, and then replaced.
pub fn add(
    client: &Client,
    tag: &str,
    to: &Release,
    name: &str,
    source: &mut dyn Source,
    there: Option<Asset>,
) -> Result<Asset, Fault> {
    let named = |asset: &Asset| asset.name == name;
    let find = || Ok(look(client, tag)?.into_iter().flat_map(|stock| stock.assets).find(named));
    let sending = Sending { release: to, name, doing: "attach a file to the release", is_ours: false };
    Ok(send(client, &sending, source, there, &find)?.0)
}

/// Reads a file, from its beginning at each attempt; false where it is gone.
pub fn fetch(client: &Client, asset: &Asset, into: &mut dyn Sink) -> Result<bool, Fault> {
    let path = client.path(&format!("releases/assets/{}", asset.id));
    match client.download(&Call::get(path, "read a file of the release", READ), asset.bytes, into) {
        Ok(()) => Ok(true),
        Err(Fault::Refused { status: 404, .. }) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Removes a file; false where it was gone.
pub fn remove(client: &Client, asset: &Asset) -> Result<bool, Fault> {
    release::remove(client, asset.id, "remove a file of the release")
}
