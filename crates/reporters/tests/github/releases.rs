//! Tags and releases: made once, whole before anybody sees them, and never moved.

use crate::support::{World, commit};
use cutover_reporters::github::release::{self, Attached, Attachment, Wish};
use cutover_reporters::github::tag::{self, Tagged};
use cutover_reporters::github::{Client, Fault};
use cutover_testkit::github::Mishap;
use std::fs;
use std::path::PathBuf;

const NAME: &str = "shop-1.3.0.cutover";
const WISH: Wish<'_> =
    Wish { tag: "shop/v1.3.0", project: "shop", title: "shop 1.3.0", body: "Tea is sold.", is_prerelease: false };

/// A file for a release.
struct Packed(PathBuf, &'static str);

impl Packed {
    fn new() -> Self {
        let name = format!("cutover-release-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let content = "what is packed";
        fs::write(&path, content).unwrap();
        Self(path, content)
    }

    fn attachment(&self) -> Attachment<'_> {
        Attachment { name: NAME, file: &self.0, bytes: self.1.len() as u64 }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        let _removed = fs::remove_file(&self.0);
    }
}

/// All that a release is, in the order in which it is made.
fn release_all(client: &Client, packed: &Packed) -> Result<(Tagged, Attached), Fault> {
    let tagged = tag::make(client, WISH.tag, &commit("a"), "shop 1.3.0")?;
    let found = match release::find(client, &WISH)? {
        Some(found) => found,
        None => release::draft(client, &WISH)?,
    };
    let attached = release::attach(client, &found, &packed.attachment())?;
    if found.is_draft {
        release::publish(client, &WISH, &found)?;
    }
    Ok((tagged, attached))
}

fn assert_released_once(world: &World, packed: &Packed, mishap: &str) {
    let github = &world.github;
    let tags = github.tags();
    assert_eq!(tags, [(WISH.tag.to_owned(), "a".repeat(40), Some("shop 1.3.0".to_owned()))], "{mishap}");
    let releases = github.releases();
    assert_eq!(releases.len(), 1, "{mishap}: {releases:?}");
    assert_eq!(releases[0]["draft"], false, "{mishap}");
    let assets = releases[0]["assets"].as_array().unwrap();
    assert!(assets.len() == 1 && assets[0]["state"] == "uploaded" && assets[0]["name"] == NAME, "{mishap}: {assets:?}");
    let content = github.file(assets[0]["id"].as_u64().unwrap()).unwrap();
    assert_eq!(content, packed.1.as_bytes(), "{mishap}");
}

#[test]
fn a_release_is_a_draft_until_its_file_is_there() {
    let (world, packed) = (World::new(), Packed::new());

    let made = release_all(&world.client, &packed).unwrap();

    assert_eq!(made, (Tagged::Made, Attached::New));
    assert_released_once(&world, &packed, "nothing");
    let asked = world.github.received();
    let kinds: Vec<String> = asked
        .iter()
        .filter(|one| one.method != "GET")
        .map(|one| one.method.clone() + " " + one.path.split('?').next().unwrap())
        .collect();
    insta::assert_snapshot!(kinds.join("\n"), @r"
    POST /repos/shop/app/git/tags
    POST /repos/shop/app/git/refs
    POST /repos/shop/app/releases
    POST /repos/shop/app/releases/1002/assets
    PATCH /repos/shop/app/releases/1002
    ");
    let body =
        asked.iter().find(|one| one.path.ends_with("/releases")).unwrap().body["body"].as_str().unwrap().to_owned();
    assert!(body.ends_with("Tea is sold."), "{body}");
}

#[test]
fn what_is_there_is_not_made_again_and_half_a_file_is_made_anew() {
    let (world, packed) = (World::new(), Packed::new());
    release_all(&world.client, &packed).unwrap();
    let count = || world.github.received().iter().filter(|one| one.method != "GET").count();
    let before = count();

    assert_eq!(release_all(&world.client, &packed).unwrap(), (Tagged::WasThere, Attached::WasThere));

    assert_eq!(count(), before, "nothing is changed by looking");

    // An upload that broke off long ago.
    let world = World::new();
    tag::make(&world.client, WISH.tag, &commit("a"), "shop 1.3.0").unwrap();
    let draft = release::draft(&world.client, &WISH).unwrap();
    (0..4).for_each(|_| world.github.order("POST", "/assets", Mishap::HalfDone));
    release::attach(&world.client, &draft, &packed.attachment()).unwrap_err();
    assert_eq!(release::whole(&world.client, &draft, NAME).unwrap(), None);

    assert_eq!(release_all(&world.client, &packed).unwrap(), (Tagged::WasThere, Attached::New));

    assert_released_once(&world, &packed, "half a file");
}

#[test]
fn a_tag_at_another_commit_stays_there() {
    let world = World::new();
    world.github.tag_as_somebody(WISH.tag, &"b".repeat(40));

    let tagged = tag::make(&world.client, WISH.tag, &commit("a"), "shop 1.3.0").unwrap();

    assert_eq!(tagged, Tagged::Elsewhere(commit("b")));
    assert_eq!(world.github.tags(), [(WISH.tag.to_owned(), "b".repeat(40), None)]);
}

#[test]
fn drafts_of_people_are_left_to_them() {
    let (world, packed) = (World::new(), Packed::new());
    let theirs = Wish { project: "another", ..WISH };
    release::draft(&world.client, &theirs).unwrap();

    release_all(&world.client, &packed).unwrap();

    let releases = world.github.releases();
    assert_eq!((releases[0]["draft"].as_bool(), releases[1]["draft"].as_bool()), (Some(true), Some(false)));
    assert_eq!(releases[0]["assets"].as_array().unwrap().len(), 0);
}

#[test]
fn a_release_that_nobody_may_change_is_whole_before_it_is_one() {
    let (world, packed) = (World::new(), Packed::new());
    world.github.make_releases_immutable();
    release_all(&world.client, &packed).unwrap();
    assert_released_once(&world, &packed, "immutable");
}

#[test]
fn a_file_is_not_sent_where_the_token_does_not_belong() {
    let (world, packed) = (World::new(), Packed::new());
    let stranger = World::new();
    world.github.send_files_to(&stranger.github.url());

    let told = release_all(&world.client, &packed).unwrap_err().to_string();

    assert!(told.contains("where the token does not belong"), "{told}");
    assert_eq!(stranger.github.received().len(), 0);
    assert_eq!(world.github.releases()[0]["draft"], true, "nobody sees a release without its file");
}

#[test]
fn a_token_that_may_not_write_is_told_which_right_it_lacks() {
    let world = World::new();
    world.github.refuse("contents");
    let told = tag::make(&world.client, WISH.tag, &commit("a"), "x").unwrap_err().to_string();
    assert!(told.ends_with("that needs the permission `contents: write`"), "{told}");
}

#[test]
fn trouble_is_survived_and_everything_is_there_once() {
    let answer = |status| Mishap::Answer(status, Vec::new(), "Server Error");
    let limit = Mishap::Answer(403, vec![("retry-after", "7".to_owned())], "You have exceeded a secondary rate limit");
    let mishaps =
        [answer(500), answer(502), answer(503), Mishap::DoneAndBroken, Mishap::DoneAndCut, Mishap::HungUp, limit];
    let kinds = [
        ("GET", "git/ref/"),
        ("GET", "git/tags/"),
        ("POST", "git/tags"),
        ("POST", "git/refs"),
        ("GET", "releases/tags/"),
        ("GET", "releases?"),
        ("POST", "/releases"),
        ("GET", "/assets?"),
        ("POST", "/assets?"),
        ("PATCH", "releases/"),
    ];
    let packed = Packed::new();
    let mut befallen = 0;
    for (method, part) in kinds {
        let half = (part == "/assets?" && method == "POST").then_some(Mishap::HalfDone);
        for mishap in mishaps.iter().chain(half.as_ref()) {
            for count in 1..=2 {
                let world = World::new();
                (0..count).for_each(|_| world.github.order(method, part, mishap.clone()));
                let what = format!("{count} times {mishap:?} of {method} {part}");
                release_all(&world.client, &packed).unwrap_or_else(|fault| panic!("{what}: {fault}"));
                assert_released_once(&world, &packed, &what);
                let spared = world.github.outstanding_count();
                assert!(spared < count, "{what} befell nobody");
                befallen += count - spared;
            }
        }
    }
    println!("survived {befallen} mishaps");
    assert!(befallen >= 180, "{befallen}");
}

#[test]
fn where_another_run_was_faster_its_release_is_the_tag_s_and_no_draft_is_left() {
    let (world, packed) = (World::new(), Packed::new());
    // Given two runs that saw no release, of which the other one has published its own,
    let ours = release::draft(&world.client, &WISH).unwrap();
    let theirs = Wish { project: "another", ..WISH };
    let other = release::draft(&world.client, &theirs).unwrap();
    release::attach(&world.client, &other, &packed.attachment()).unwrap();
    release::publish(&world.client, &theirs, &other).unwrap();
    world.github.order("PATCH", "/releases/", Mishap::Answer(422, Vec::new(), "tag_name already_exists"));

    let shown = release::publish(&world.client, &WISH, &ours).unwrap();

    let release::Published::Theirs(shown) = shown else { panic!("it is not ours: {shown:?}") };
    assert!(!shown.is_draft);
    let releases = world.github.releases();
    assert_eq!((releases.len(), releases[0]["draft"].as_bool()), (1, Some(false)), "{releases:?}");
    assert_eq!(releases[0]["assets"].as_array().unwrap().len(), 1);
}
