//! A shared store in a release at GitHub: named bytes as its files.
//!
//! A file's name is the object's, in the characters that GitHub leaves as they are, and ends with a digest of its content:
//! ```text
//! shop/artifacts/3f…/record.json      shop_-artifacts_-3f…_-record.json_v6b86b273ff34fce1
//! ```
//! A name that is taken is refused, so another content of one object is another file, and of those the newest counts. So what is
//! replaced is there at every moment, as one or as the other. docs/design/0021 says why.

use cutover_artifacts::depot::{Content, Listed, ObjectError, Objects, checked, is_sound};
use cutover_reporters::github::assets::{self, ASSET_COUNT_MAX, Asset, NAME_BYTES_MAX, Stock};
use cutover_reporters::github::release::{FILE_BYTES_MAX, Release};
use cutover_reporters::github::{Client, Fault, Repository, Sink, Source};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long it is believed that a file that was there still is. That one is not there, is never believed.
const BELIEVED_FOR: Duration = Duration::from_secs(60);
/// How often an object is looked for anew that was replaced just when it was to be read or removed.
const LOOK_COUNT_MAX: usize = 5;
/// How many characters of the content's SHA-256 are in a file's name.
const DIGEST_LENGTH: usize = 16;
/// What stands before them.
const VERSION: &str = "_v";
/// How old half a file is before it is taken for what a cut upload left.
const HALF_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// What the release is called.
const TITLE: &str = "Artifacts";
/// What it says to people.
const TEXT: &str = "What `cutover build` has packed, for machines: `cutover artifact list` reads it, and `cutover artifact prune` removes \
                    what is old.\n\nThis is no version of anything. Its files are the store of `[artifact.store.github]` in `cutover.toml`.\n";
const TOKEN_HINT: &str = "correct the token: GITHUB_TOKEN, or CUTOVER_ARTIFACTS_TOKEN where that is set";
const RIGHTS_HINT: &str = "a job says `permissions: contents: write` to put artifacts there and `contents: read` to take them; a token of \
                           your own needs the same for Contents of that repository, and is CUTOVER_ARTIFACTS_TOKEN where that is \
                           another one than the job's";
/// How many of a release's files are kept back for marks: whoever removes something has to put one before.
const MARK_COUNT: usize = 10;
/// How many more are kept back for notes of what is live: what has none is removed when it is old.
const NOTE_COUNT: usize = 30;
const FULL_HINT: &str = "`cutover artifact prune` removes what is old, and a shorter `keep_for` more of it: an artifact is three to five \
                         files of a thousand";
/// Nothing of ours can be removed then in a way that others see.
const NO_MARK_HINT: &str = "`cutover artifact prune` itself needs a file there: remove any one by hand that the store can do without, \
                            and give that command again";
const IMMUTABLE_HINT: &str = "the repository's releases are immutable, and take no file once they are there: name another repository \
                              with `repository` of [artifact.store.github], or share by a bucket or a directory";

/// Named bytes as files of a release.
pub(super) struct Shelf {
    client: Client,
    tag: String,
    place: String,
    is_brief: bool,
    known: Mutex<Option<Known>>,
}

/// What was there when it was looked at.
#[derive(Clone)]
struct Known {
    looked_at: Instant,
    release: Option<Release>,
    assets: Vec<Asset>,
}

impl Shelf {
    /// The store in the release of a tag, of the repository that a client speaks of.
    pub(super) fn new(client: Client, repository: &Repository, tag: &str) -> Self {
        let place = format!("the release {tag} of {repository}");
        Self { client, tag: tag.to_owned(), place, is_brief: false, known: Mutex::default() }
    }

    /// The same, with the client's patience for all that is done together instead of for each thing.
    pub(super) fn briefly(self) -> Self {
        Self { is_brief: true, ..self }
    }

    /// Lets patience begin anew, as far as there is more of it.
    fn begin(&self) {
        if !self.is_brief {
            self.client.begin_anew();
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was there a short while ago, where that is known.
    fn believed(&self) -> Option<Known> {
        self.held().clone().filter(|known| known.looked_at.elapsed() < BELIEVED_FOR)
    }

    /// What is there now.
    fn look(&self, doing: &str) -> Result<Known, ObjectError> {
        let looked_at = Instant::now();
        let stock = assets::look(&self.client, &self.tag).map_err(|fault| self.told(doing, fault))?;
        let (release, assets) = stock.map_or((None, Vec::new()), |Stock { release, assets }| (Some(release), assets));
        let known = Known { looked_at, release, assets };
        *self.held() = Some(known.clone());
        Ok(known)
    }

    /// Removes a file, and knows that it is gone; false where it was.
    fn take_away(&self, asset: &Asset) -> Result<bool, Fault> {
        let was_there = assets::remove(&self.client, asset)?;
        if let Some(known) = &mut *self.held() {
            known.assets.retain(|other| other.id != asset.id);
        }
        Ok(was_there)
    }

    /// What is wrong with something that no release takes.
    fn unfit(&self, doing: &str, name: &str, bytes: u64) -> Option<ObjectError> {
        let (why, hint) = match (bytes, name.len()) {
            (0, _) => ("it is empty, and GitHub takes no such file".to_owned(), "look what has made it"),
            (bytes, _) if bytes > FILE_BYTES_MAX => (
                format!("it has {bytes} bytes, and a file of a release less than 2 GiB"),
                "leave out what no host needs, with `exclude` of [artifact]",
            ),
            (_, length) if length > NAME_BYTES_MAX => (
                format!("its name there would have {length} bytes"),
                "give the project or the environment a shorter name",
            ),
            (..) => return None,
        };
        Some(ObjectError::Refused { doing: doing.to_owned(), place: self.place.clone(), why, hint })
    }

    fn full(&self, doing: &str, room: Room) -> ObjectError {
        let all = format!("{ASSET_COUNT_MAX} is all that a release takes");
        let kept_back = |what: &str| {
            let count_max = room.count_max();
            format!(
                "it has {count_max} files or more: {all}, and the last {} are for {what}",
                ASSET_COUNT_MAX - count_max
            )
        };
        let (why, hint) = match room {
            Room::ForAnything => (kept_back("noting what is live and removing what is old"), FULL_HINT),
            Room::ForNotes => (kept_back("removing others"), FULL_HINT),
            Room::All => (format!("it is full: {all}"), NO_MARK_HINT),
        };
        ObjectError::Refused { doing: doing.to_owned(), place: self.place.clone(), why, hint }
    }

    /// Puts an object, as far as there is room for it.
    fn put_within(&self, name: &str, content: &mut dyn Content, room: Room) -> Result<(), ObjectError> {
        let (doing, object) = (format!("write {name}"), checked(name)?);
        let name = file_name(object, &content.sha256());
        self.unfit(&doing, &name, content.bytes()).map_or(Ok(()), Err)?;
        self.begin();
        let believed = self.believed();
        // What was there may be gone by now, and only what is there needs not be put.
        let sure = believed.filter(|known| known.named(&name).is_none() && known.assets.len() < room.count_max());
        let known = sure.map_or_else(|| self.look(&doing), Ok)?;
        let newest = known.newest(object).filter(|newest| newest.name == name);
        let newest = match newest {
            Some(newest) => newest.clone(),
            None if known.assets.len() >= room.count_max() => return Err(self.full(&doing, room)),
            None => self.send(&known, &name, content).map_err(|fault| self.told(&doing, fault))?,
        };
        self.outdate(&known, object, &newest);
        Ok(())
    }

    fn told(&self, doing: &str, fault: Fault) -> ObjectError {
        let (doing, place, why) = (doing.to_owned(), self.place.clone(), fault.to_string());
        let refused = |doing, place, hint| ObjectError::Refused { doing, place, why: why.clone(), hint };
        match fault {
            Fault::Unknown { .. } => refused(doing, place, TOKEN_HINT),
            Fault::Refused { .. } => refused(doing, place, RIGHTS_HINT),
            Fault::Rejected { message, .. } if message.contains("limited to") => self.full(&doing, Room::All),
            Fault::Rejected { message, .. } if message.contains("immutable") => refused(doing, place, IMMUTABLE_HINT),
            Fault::Rejected { .. } => ObjectError::Failed { doing, place, why },
            Fault::Limited { .. } | Fault::Unheard { .. } => ObjectError::Unheard { doing, place, why },
            Fault::Here { why, kind, .. } => ObjectError::Here { doing, place, source: io::Error::new(kind, why) },
        }
    }

    /// Sends a file that is not there, and makes the release where there is none yet.
    fn send(&self, known: &Known, name: &str, content: &mut dyn Content) -> Result<Asset, Fault> {
        let there = known.named(name).cloned();
        // It was there before something else was: what comes now has to be the newest.
        let old = there.as_ref().filter(|asset| asset.is_whole);
        old.map(|old| self.take_away(old)).transpose()?;
        let release = match &known.release {
            Some(release) => release.clone(),
            None => assets::make(&self.client, &self.tag, TITLE, TEXT)?,
        };
        let there = there.filter(|asset| !asset.is_whole);
        let asset = assets::add(&self.client, &self.tag, &release, name, &mut Sent(content), there)?;
        if let Some(known) = &mut *self.held() {
            known.release = Some(release);
            known.assets.retain(|other| other.name != asset.name);
            known.assets.push(asset.clone());
        }
        Ok(asset)
    }

    /// Removes the versions of an object that are older than this one.
    fn outdate(&self, known: &Known, name: &str, newest: &Asset) {
        for older in known.of(name).filter(|asset| asset.is_whole && asset.id < newest.id) {
            // It counts for nothing any more, and `tidy` comes by.
            let _removed = self.take_away(older);
        }
    }

    /// Reads an object, from its beginning at each attempt.
    fn get(&self, name: &str, bytes_max: u64, into: &mut dyn Sink) -> Result<bool, ObjectError> {
        let (doing, name) = (format!("read {name}"), checked(name)?);
        self.begin();
        for _ in 0..LOOK_COUNT_MAX {
            let known = match self.believed().filter(|known| known.newest(name).is_some()) {
                Some(known) => known,
                None => self.look(&doing)?,
            };
            let Some(asset) = known.newest(name) else { return Ok(false) };
            if asset.bytes > bytes_max {
                let what_max = format!("{bytes_max} bytes");
                return Err(ObjectError::TooMuch { doing, place: self.place.clone(), what_max });
            }
            if assets::fetch(&self.client, asset, into).map_err(|fault| self.told(&doing, fault))? {
                return Ok(true);
            }
            // Somebody has replaced or removed it since.
            *self.held() = None;
        }
        let why = "it changes faster than it can be read".to_owned();
        Err(ObjectError::Failed { doing, place: self.place.clone(), why })
    }
}

/// How much of a release something may fill.
#[derive(Debug, Clone, Copy)]
enum Room {
    /// All but what is kept back.
    ForAnything,
    /// All but what is kept back for marks.
    ForNotes,
    /// All of it.
    All,
}

impl Room {
    fn count_max(self) -> usize {
        match self {
            Self::ForAnything => ASSET_COUNT_MAX - MARK_COUNT - NOTE_COUNT,
            Self::ForNotes => ASSET_COUNT_MAX - MARK_COUNT,
            Self::All => ASSET_COUNT_MAX,
        }
    }
}

impl Known {
    fn named(&self, name: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.name == name)
    }

    /// The files of an object, whole or not.
    fn of<'k>(&'k self, object: &str) -> impl Iterator<Item = &'k Asset> {
        self.assets.iter().filter(move |asset| object_of(&asset.name).is_some_and(|of| of == object))
    }

    /// The file that counts of an object.
    fn newest(&self, object: &str) -> Option<&Asset> {
        self.of(object).filter(|asset| asset.is_whole).max_by_key(|asset| asset.id)
    }

    /// The file that counts of each object whose name begins like this.
    fn objects(&self, prefix: &str) -> BTreeMap<String, &Asset> {
        let mut objects = BTreeMap::new();
        for asset in self.assets.iter().filter(|asset| asset.is_whole) {
            let Some(object) = object_of(&asset.name).filter(|object| object.starts_with(prefix)) else { continue };
            let counts = objects.entry(object).or_insert(asset);
            if counts.id < asset.id {
                *counts = asset;
            }
        }
        objects
    }
}

impl Objects for Shelf {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        self.put_within(name, content, Room::ForAnything)
    }

    fn note(&self, name: &str, content: &mut dyn Content) -> Result<(), ObjectError> {
        self.put_within(name, content, Room::ForNotes)
    }

    fn mark(&self, name: &str) -> Result<(), ObjectError> {
        self.put_within(name, &mut name.as_bytes(), Room::All)
    }

    fn fetch(&self, name: &str, bytes_max: u64, into: &mut File) -> Result<bool, ObjectError> {
        self.get(name, bytes_max, into)
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ObjectError> {
        let mut bytes = Vec::new();
        Ok(self.get(name, bytes_max, &mut bytes)?.then_some(bytes))
    }

    fn list(&self, prefix: &str, count_max: usize) -> Result<Vec<Listed>, ObjectError> {
        let doing = format!("list {prefix}");
        self.begin();
        let known = self.look(&doing)?;
        let objects = known.objects(prefix);
        if objects.len() > count_max {
            return Err(ObjectError::too_many_names(doing, &self.place, count_max));
        }
        let listed =
            |(name, asset): (String, &Asset)| Listed { name, put_at: asset.begun_at.unwrap_or(Timestamp::MAX) };
        Ok(objects.into_iter().map(listed).collect())
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let (doing, object) = (format!("remove {name}"), checked(name)?);
        self.begin();
        let mut known = match self.believed().filter(|known| known.newest(object).is_some()) {
            Some(known) => known,
            None => self.look(&doing)?,
        };
        for _ in 0..LOOK_COUNT_MAX {
            let mut is_all = true;
            for asset in known.of(object).filter(|asset| asset.is_whole) {
                is_all &= self.take_away(asset).map_err(|fault| self.told(&doing, fault))?;
            }
            if is_all {
                return Ok(());
            }
            // One that was gone may have been replaced by another one.
            known = self.look(&doing)?;
        }
        Ok(())
    }

    fn tidy(&self, prefix: &str, now: Timestamp) {
        self.begin();
        let Ok(known) = self.look("look for what is left") else { return };
        let counting = known.objects(prefix);
        for asset in &known.assets {
            let Some(object) = object_of(&asset.name).filter(|object| object.starts_with(prefix)) else { continue };
            let is_old = asset.begun_at.is_some_and(|at| now.duration_since(at) > HALF_AGE_MAX);
            let is_outdated = counting.get(&object).is_some_and(|newest| newest.id > asset.id);
            if asset.is_whole && is_outdated || !asset.is_whole && is_old {
                // What cannot be removed costs room only.
                let _removed = self.take_away(asset);
            }
        }
    }
}

/// What is put, as what is sent.
struct Sent<'a>(&'a mut dyn Content);

impl Source for Sent<'_> {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        self.0.reader()
    }
}

/// What the file of an object with this content is called.
fn file_name(object: &str, sha256: &str) -> String {
    let digest: String = sha256.chars().take(DIGEST_LENGTH).collect();
    format!("{}{VERSION}{digest}", written(object))
}

/// The object that a file is of; None where it is none of ours.
fn object_of(file: &str) -> Option<String> {
    let (name, digest) = file.rsplit_once(VERSION)?;
    let is_digest = digest.len() == DIGEST_LENGTH && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_digest.then(|| read(name)).flatten()
}

/// An object's name in letters, digits, `-`, `_`, and periods that stand alone, which is what GitHub leaves as it is.
fn written(object: &str) -> String {
    let mut name = String::with_capacity(object.len() + 8);
    let mut rest = object.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' => name.push_str("_-"),
            '_' => name.push_str("__"),
            '.' if !rest.peek().is_some_and(char::is_ascii_alphanumeric) => name.push_str("_d"),
            c => name.push(c),
        }
    }
    name
}

/// The other way round; None where no object is written so.
fn read(name: &str) -> Option<String> {
    let mut object = String::with_capacity(name.len());
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        object.push(match c {
            '_' => match rest.next()? {
                '-' => '/',
                '_' => '_',
                'd' => '.',
                _ => return None,
            },
            c => c,
        });
    }
    (is_sound(&object) && written(&object) == name).then_some(object)
}

#[cfg(test)]
mod tests;
