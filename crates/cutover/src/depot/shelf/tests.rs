//! The store in a release: what every kind does, and what only GitHub does to one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../../../../artifacts/tests/common/mod.rs"]
mod common;
#[path = "../../../../artifacts/tests/suite/mod.rs"]
mod suite;

use super::*;
use common::head;
use cutover_artifacts::depot::DepotError;
use cutover_core::id::EnvironmentName;
use cutover_core::patience::{Pace, Patience};
use cutover_core::secret::Secret;
use cutover_reporters::github::{Access, RealPace};
use cutover_targets::verify::root_certs;
use cutover_testkit::github::{FakeGitHub, Mishap, Received};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use suite::{DAY, LIMIT, Shared, every_kind_of_place, packed, prune_old, put};

const TAG: &str = "cutover-artifacts";

/// Time that passes only when somebody sleeps.
struct Asleep(Mutex<Timestamp>);

/// The same for several clients.
struct Their(Arc<Asleep>);

impl Pace for Their {
    fn now(&self) -> Timestamp {
        *self.0.0.lock().unwrap()
    }

    fn sleep(&self, pause: Duration) {
        *self.0.0.lock().unwrap() += pause;
    }
}

/// A GitHub, and the time that all live in who speak to it.
struct World {
    github: FakeGitHub,
    token: String,
    began: Timestamp,
    time: Arc<Asleep>,
    patience: Patience,
}

impl World {
    fn new() -> Self {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        let github = FakeGitHub::start(&token).unwrap();
        let began = Timestamp::now();
        Self { github, token, began, time: Arc::new(Asleep(Mutex::new(began))), patience: Patience::default() }
    }

    /// One more machine.
    fn shelf(&self) -> Shelf {
        self.shelf_in(Box::new(Their(Arc::clone(&self.time))))
    }

    /// The same, in another time.
    fn shelf_in(&self, pace: Box<dyn Pace>) -> Shelf {
        let access = Access {
            api: self.github.url(),
            token: Secret::new(&self.token),
            login: None,
            repository: "shop/app".parse().unwrap(),
            certs: root_certs().unwrap(),
        };
        let client = Client::new(access, pace, self.patience).unwrap();
        Shelf::new(client, &"shop/app".parse().unwrap(), TAG)
    }

    /// How many seconds somebody has slept.
    fn slept(&self) -> i64 {
        self.time.0.lock().unwrap().duration_since(self.began).as_secs()
    }

    /// The files of the release, and whether they are whole.
    fn files(&self) -> Vec<(String, bool)> {
        let releases = self.github.releases();
        let files = releases.iter().flat_map(|one| one["assets"].as_array().unwrap());
        files.map(|file| (file["name"].as_str().unwrap().to_owned(), file["state"] == "uploaded")).collect()
    }

    fn count(&self, method: &str, part: &str) -> usize {
        let fits = |one: &&Received| one.method == method && one.path.contains(part);
        self.github.received().iter().filter(fits).count()
    }
}

impl Shared for World {
    fn objects(&self) -> Box<dyn Objects> {
        Box::new(self.shelf())
    }
}

every_kind_of_place!(World::new());

fn hint(error: ObjectError) -> String {
    DepotError::from(error).hint().unwrap_or_default().to_owned()
}

#[test]
fn the_release_is_made_with_the_first_file_as_one_that_is_never_the_latest() {
    let world = World::new();
    assert!(world.shelf().list("", 10).unwrap().is_empty());
    assert_eq!(world.shelf().read("sample/a", 1).unwrap(), None);
    world.shelf().remove("sample/a").unwrap();
    assert!(world.github.releases().is_empty(), "nothing is made by looking");

    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    world.shelf().put("sample/b", &mut &b"2"[..]).unwrap();

    let releases = world.github.releases();
    assert_eq!(releases.len(), 1);
    assert_eq!((&releases[0]["draft"], &releases[0]["prerelease"]), (&false.into(), &true.into()));
    let made = world.github.received().into_iter().find(|one| one.path.ends_with("/releases")).unwrap();
    assert_eq!((&made.body["make_latest"], &made.body["tag_name"]), (&"false".into(), &TAG.into()));
}

#[test]
fn github_leaves_every_name_as_it_is_and_each_is_read_back() {
    let (world, long) = (World::new(), format!("sample/{}", "a".repeat(200)));
    let names = [
        "sample/a_b.c",
        "a.",
        "a./b",
        "a..b",
        "a_-b",
        "a__/-",
        "-",
        "_",
        "_d",
        "a.-b",
        "sample/A/_v0123456789abcdef",
        &long,
    ];
    for name in names {
        assert_eq!(object_of(&file_name(name, &"0a".repeat(32))).as_deref(), Some(name));
        world.shelf().put(name, &mut name.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(world.shelf().read(name, 1000).unwrap().unwrap(), name.as_bytes());
    }
    let mut listed: Vec<String> = world.shelf().list("", 100).unwrap().into_iter().map(|one| one.name).collect();
    listed.sort();
    let mut expected = names.map(str::to_owned);
    expected.sort();
    assert_eq!(listed, expected);
    for foreign in [
        "shop-1.0.0.cutover",
        "a_v0123456789abcdeg",
        "a_x_v0123456789abcdef",
        "a_v01",
        "_-a_v0123456789abcdef",
        "a_d_vb",
    ] {
        assert_eq!(object_of(foreign), None, "{foreign}");
    }
}

#[test]
fn trouble_is_survived_whatever_it_befalls_and_everything_is_there_once() {
    let answer = |status| Mishap::Answer(status, Vec::new(), "Server Error");
    let limit = Mishap::Answer(403, vec![("retry-after", "7".to_owned())], "You have exceeded a secondary rate limit");
    let mishaps =
        [answer(500), answer(503), Mishap::DoneAndBroken, Mishap::DoneAndCut, Mishap::HungUp, Mishap::HalfDone, limit];
    let kinds = [
        ("GET", "releases/tags/"),
        ("POST", "/releases"),
        ("POST", "/assets?"),
        ("GET", "releases/assets/"),
        ("GET", "/file/"),
        ("DELETE", "releases/assets/"),
    ];
    let (bed, artifact) = packed();
    for (method, part) in kinds {
        for mishap in mishaps.iter().filter(|one| !matches!(one, Mishap::HalfDone) || part == "/assets?") {
            for count in 1..=2 {
                let world = World::new();
                let what = format!("{count} times {mishap:?} of {method} {part}");
                (0..count).for_each(|_| world.github.order(method, part, mishap.clone()));
                put(&world.depot(), &bed.store, &artifact).unwrap_or_else(|error| panic!("{what}: {error}"));
                let (depot, other) = (world.depot(), bed.other_store("other"));
                let kept = depot.kept(&artifact.id).unwrap().unwrap();
                assert_eq!(depot.pull(&kept, &other, LIMIT, bed.now).unwrap().id, artifact.id, "{what}");
                // And what is replaced.
                depot.renew(kept, bed.now + 2 * DAY).unwrap_or_else(|error| panic!("{what}: {error}"));
                world.objects().tidy("sample/", Timestamp::now());
                let files = world.files();
                assert!(files.len() == 3 && files.iter().all(|(_, is_whole)| *is_whole), "{what}: {files:?}");
                assert!(world.github.outstanding_count() < count, "{what} befell nobody");
            }
        }
    }
}

#[test]
fn the_token_does_not_go_where_files_are_read_and_nothing_of_their_address_is_told() {
    let world = World::new();
    let large = vec![7; 3 << 20];
    world.shelf().put("sample/a", &mut &large[..]).unwrap();
    assert!(world.read("sample/a") == large);
    let fetched = world.github.fetched();
    assert_eq!(fetched.len(), 1);
    for asked in &fetched {
        assert_eq!(asked.header("authorization"), None);
        assert!(!format!("{asked:?}").contains(&world.token));
    }
    assert!(world.github.received().iter().all(|asked| asked.header("authorization").is_some()));

    (0..6).for_each(|_| world.github.order("GET", "/file/", Mishap::Answer(403, Vec::new(), "Request has expired")));
    let error = world.shelf().read("sample/a", LIMIT).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1 answered 403") && !error.contains("signature"), "{error}");
    assert_eq!(world.count("GET", "releases/assets/"), 1 + 6, "each attempt asks for an address of its own");
}

#[test]
fn what_is_there_is_not_sent_again_and_what_is_replaced_is_there_at_every_moment() {
    let world = World::new();
    let sent = || world.count("POST", "/assets?");
    let (one, other) = (world.shelf(), world.shelf());
    one.put("sample/a", &mut &b"1"[..]).unwrap();
    one.put("sample/a", &mut &b"1"[..]).unwrap();
    other.put("sample/a", &mut &b"1"[..]).unwrap();
    assert_eq!(sent(), 1);

    // Given a machine that has read it, and another one that replaces it, in between and back again.
    assert_eq!(other.read("sample/a", 9).unwrap().unwrap(), b"1");
    for content in [b"2", b"1", b"3"] {
        one.put("sample/a", &mut &content[..]).unwrap();
        assert_eq!(other.read("sample/a", 9).unwrap().unwrap(), content);
        assert_eq!(world.files().len(), 1);
    }
    other.put("sample/a", &mut &b"1"[..]).unwrap();
    assert_eq!(one.read("sample/a", 9).unwrap().unwrap(), b"1", "what it was once it can be again");

    // Given one that dies before it has removed what it replaces.
    (0..9).for_each(|_| world.github.order("DELETE", "assets/", Mishap::Answer(500, Vec::new(), "Server Error")));
    one.put("sample/a", &mut &b"4"[..]).unwrap();
    assert_eq!(world.files().len(), 2);
    assert_eq!(world.shelf().read("sample/a", 9).unwrap().unwrap(), b"4", "the newest counts");
    assert_eq!(world.shelf().list("sample/", 1).unwrap().len(), 1);
    (world.github.outstanding_count() > 0).then(|| world.shelf().tidy("sample/", Timestamp::now()));
    world.shelf().tidy("sample/", Timestamp::now());
    assert_eq!(world.files().len(), 1);
    other.remove("sample/a").unwrap();
    assert_eq!(one.read("sample/a", 9).unwrap(), None, "it is looked for, not believed to be there");
}

#[test]
fn half_a_file_of_ours_is_sent_anew_and_that_of_somebody_else_is_waited_for_first() {
    let world = World::new();
    (0..2).for_each(|_| world.github.order("POST", "/assets?", Mishap::HalfDone));
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    assert_eq!(world.read("sample/a"), b"1");
    assert_eq!(world.files().len(), 1);
    assert!(world.slept() < 10, "nobody else sends it: {}", world.slept());

    // Given somebody who began a moment ago, and one who began an hour ago.
    let name = |object: &str| file_name(object, &sha256(b"1"));
    world.github.begin_file(TAG, &name("sample/b"), &world.began.to_string());
    world.github.begin_file(TAG, &name("sample/c"), "2026-01-01T00:00:00Z");
    let before = world.slept();
    world.shelf().put("sample/c", &mut &b"1"[..]).unwrap();
    assert_eq!(world.slept(), before, "nobody sends it any more");
    world.shelf().put("sample/b", &mut &b"1"[..]).unwrap();
    assert!(world.slept() >= 60, "as long as sending so much may take: {}", world.slept());
    assert_eq!((world.read("sample/b"), world.read("sample/c")), (b"1".to_vec(), b"1".to_vec()));

    // Given halves of which nothing more is known: nobody takes them for objects, and they go after a day.
    world.github.begin_file(TAG, &name("sample/d"), &Timestamp::now().to_string());
    world.github.begin_file(TAG, "notes.txt", "2026-01-01T00:00:00Z");
    assert_eq!(world.shelf().read("sample/d", 9).unwrap(), None);
    world.shelf().tidy("sample/", Timestamp::now());
    assert_eq!(world.files().len(), 5);
    world.shelf().tidy("sample/", Timestamp::now() + 2 * DAY);
    let left: Vec<String> =
        world.files().into_iter().map(|(name, _)| name).filter(|name| name == "notes.txt").collect();
    assert_eq!((world.files().len(), left.len()), (4, 1), "what is not ours stays");
}

/// The SHA-256 of something, as what is put says it.
fn sha256(mut bytes: &[u8]) -> String {
    (&mut bytes as &mut dyn Content).sha256()
}

#[test]
fn a_release_that_is_full_is_told_before_anything_is_sent() {
    let world = World::new();
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    (1..1_000).for_each(|number| world.github.begin_file(TAG, &format!("file{number}"), "2026-01-01T00:00:00Z"));
    let before = world.count("POST", "");

    let error = world.shelf().put("sample/b", &mut &b"2"[..]).unwrap_err();

    assert!(
        error
            .to_string()
            .contains("it has 960 files or more: 1000 is all that a release takes, and the last 40 are for"),
        "{error}"
    );
    assert!(hint(error).contains("artifact prune"));
    assert_eq!(world.count("POST", ""), before);
    assert_eq!(world.read("sample/a"), b"1");

    // And where GitHub says it first.
    let world = World::new();
    let refusal = Mishap::Answer(422, Vec::new(), "Validation Failed; file_count limited to 1000 assets per release");
    world.github.order("POST", "/assets?", refusal);
    let error = world.shelf().put("sample/b", &mut &b"2"[..]).unwrap_err();
    assert!(error.to_string().contains("all that a release takes"), "{error}");
    assert_eq!(world.count("POST", "/assets?"), 1);
}

#[test]
fn a_release_that_was_filled_is_pruned_and_takes_the_next_artifact() {
    let (world, (mut bed, old)) = (World::new(), packed());
    put(&world.depot(), &bed.store, &old).unwrap();
    (3..960).for_each(|number| world.github.begin_file(TAG, &format!("file{number}"), "2026-01-01T00:00:00Z"));
    bed.write("main.py", "print(2)\n");
    bed.commit("Second");
    bed.now += 20 * DAY;
    let new = bed.pack(&head()).unwrap();
    let error = put(&world.depot(), &bed.store, &new).unwrap_err();
    assert!(error.hint().unwrap().contains("artifact prune"), "{error}");

    assert_eq!(prune_old(&world.depot(), bed.now).removed.len(), 1);
    put(&world.depot(), &bed.store, &new).unwrap();
    assert_eq!(world.files().len(), 960, "the mark has gone as well");

    // Given one that somebody else has filled: what can be done is told, and it is not to prune.
    (960..1_000).for_each(|number| world.github.begin_file(TAG, &format!("file{number}"), "2026-01-01T00:00:00Z"));
    let error = world.shelf().mark("sample/a").unwrap_err();
    assert!(hint(error).contains("by hand"));
    assert!(hint(world.shelf().put("sample/a", &mut &b"1"[..]).unwrap_err()).contains("artifact prune"));
}

#[test]
fn what_is_live_is_noted_where_no_artifact_has_room_any_more_and_leaves_that_of_marks() {
    let (world, (bed, artifact)) = (World::new(), packed());
    put(&world.depot(), &bed.store, &artifact).unwrap();
    let fill = |numbers: std::ops::Range<u32>| {
        numbers.for_each(|number| world.github.begin_file(TAG, &format!("file{number}"), "2026-01-01T00:00:00Z"));
    };
    let production = EnvironmentName::new("production").unwrap();
    let note = |days: u32| world.depot().note_deployed(&production, &artifact.id, bed.now + days * DAY);
    fill(3..960);
    assert!(world.shelf().put("sample/a", &mut &b"1"[..]).is_err());

    assert!(note(0).unwrap());
    fill(961..990);
    let error = note(1).unwrap_err().to_string();

    assert!(
        error.contains("it has 990 files or more") && error.contains("the last 10 are for removing others"),
        "{error}"
    );
    world.shelf().mark("sample/b").unwrap();
}

#[test]
fn a_list_that_may_have_been_cut_is_read_page_by_page() {
    let world = World::new();
    let names: Vec<String> = (0..140).map(|number| format!("sample/{number:03}")).collect();
    let shelf = world.shelf();
    names.iter().for_each(|name| shelf.put(name, &mut name.as_bytes()).unwrap());
    // The page that the last of those told is on, what comes after it, and, where that is more, all from the first.
    for (told, page_count) in [(30, 2), (100, 2), (110, 3), (140, 1)] {
        world.github.cut_files_told_with_releases(told);
        let before = world.count("GET", "/assets?per_page");
        let listed: Vec<String> = world.shelf().list("sample/", 200).unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(listed, names, "{told}");
        assert_eq!(world.count("GET", "/assets?per_page") - before, page_count, "{told}");
    }
    let lists = world.count("GET", "/assets?per_page");
    shelf.remove("sample/139").unwrap();
    assert_eq!(world.shelf().list("sample/", 200).unwrap().len(), 139);
    assert_eq!(world.count("GET", "/assets?per_page"), lists, "no list is cut to 139");

    // A page that does not come is no end.
    shelf.remove("sample/138").unwrap();
    (0..9).for_each(|_| world.github.order("GET", "/assets?", Mishap::Answer(500, Vec::new(), "Server Error")));
    shelf.put("sample/138", &mut &b"1"[..]).unwrap();
    shelf.put("sample/139", &mut &b"1"[..]).unwrap();
    assert!(world.shelf().list("sample/", 200).is_err());
}

#[test]
fn who_may_not_is_told_what_is_lacking() {
    let world = World::new();
    world.github.refuse("contents");
    let error = world.shelf().put("sample/a", &mut &b"1"[..]).unwrap_err();
    assert!(
        error.to_string().contains("cannot write sample/a in the release cutover-artifacts of shop/app"),
        "{error}"
    );
    assert!(hint(error).contains("contents: write"));

    let world = World::new();
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    world.github.make_releases_immutable();
    let error = world.shelf().put("sample/b", &mut &b"1"[..]).unwrap_err();
    assert!(hint(error).contains("immutable"));
    let stranger = World { token: "ghs_of_somebody_else".to_owned(), ..World::new() };
    assert!(hint(stranger.shelf().read("sample/a", 1).unwrap_err()).contains("GITHUB_TOKEN"));
    assert!(hint(world.shelf().put("sample/c", &mut &b""[..]).unwrap_err()).contains("what has made it"));
}

#[test]
fn a_github_that_is_silent_is_given_up() {
    let patience = Patience { request: Duration::from_millis(300), ..Patience::default() };
    let world = World { patience, ..World::new() };
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    (0..6).for_each(|_| world.github.order("GET", "/file/", Mishap::Silent));
    let error = world.shelf().read("sample/a", 9).unwrap_err();
    assert!(matches!(error, ObjectError::Unheard { .. }), "{error}");
    assert_eq!(world.github.fetched().len(), 6);
    assert_eq!(world.shelf().read("sample/a", 9).unwrap().unwrap(), b"1");
}

#[test]
fn a_github_that_takes_no_file_does_not_hold_up_what_can_do_without() {
    let (request, total) = (Duration::from_millis(300), Duration::from_millis(500));
    let world = World { patience: Patience { request, total, attempt_count: 1 }, ..World::new() };
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    let before = world.count("POST", "/assets?");
    (0..9).for_each(|_| world.github.order("POST", "/assets?", Mishap::Silent));
    let (shelf, began) = (world.shelf_in(Box::new(RealPace)).briefly(), Instant::now());

    let errors: Vec<_> = (0..4).map(|_| shelf.put("sample/b", &mut &b"2"[..]).unwrap_err().to_string()).collect();

    assert!(began.elapsed() < Duration::from_secs(20), "each is no longer than a request: {:?}", began.elapsed());
    let sent = world.count("POST", "/assets?") - before;
    assert!((1..=2).contains(&sent), "what uploads take is counted together: {sent} {errors:?}");
    assert!(errors[3].contains("are over"), "{errors:?}");
}

#[test]
fn half_a_large_file_is_told_with_when_it_counts_as_abandoned() {
    let (world, large) = (World::new(), vec![7; 64 << 20]);
    world.shelf().put("sample/a", &mut &b"1"[..]).unwrap();
    let began: Timestamp = world.began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().parse().unwrap();
    world.github.begin_file(TAG, &file_name("sample/b", &sha256(&large)), &began.to_string());

    let error = world.shelf().put("sample/b", &mut &large[..]).unwrap_err();

    // A minute, and 64 MiB at 128 KiB a second.
    let until = began + Duration::from_secs(60 + 512);
    let told = error.to_string();
    assert!(told.contains(&format!("after {}", until.strftime("%Y-%m-%d %H:%M:%S UTC"))), "{told}");
    assert!(told.contains("or an earlier run has left"), "{told}");
    assert!(!hint(error).contains("half-done"), "it is just that");
}
