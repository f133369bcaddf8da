//! Artifacts that machines share: `[artifact.store]`.

use crate::sandbox::{CONFIG, Ran, Sandbox};
use cutover_testkit::github::{FakeGitHub, Mishap};
use cutover_testkit::s3::FakeS3;
use insta::assert_snapshot;
use serde_json::json;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::process::Command;

/// A machine whose project shares artifacts in a directory beside it, `shared/`.
fn sharing() -> Sandbox {
    let sandbox = Sandbox::deployable("");
    fs::create_dir(sandbox.path().join("shared")).unwrap();
    share(&sandbox, &sandbox.path().join("shared"));
    sandbox
}

/// Has a machine share what lies in a directory.
fn share(sandbox: &Sandbox, shared: &Path) {
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let store = format!("\n[artifact]\nexclude = [\"cutover.toml\"]\nstore.directory = \"{}\"\n", shared.display());
    sandbox.write("cutover.toml", &(config + &store));
    sandbox.commit("Share artifacts");
}

/// A GitHub whose release machines share artifacts in, and a token for it.
struct AtGitHub {
    github: FakeGitHub,
    token: String,
}

impl AtGitHub {
    fn start() -> Self {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        Self { github: FakeGitHub::start(&token).unwrap(), token }
    }

    /// A machine whose project shares artifacts there.
    fn machine(&self, more: &str) -> Sandbox {
        let sandbox = Sandbox::deployable("");
        let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
        let store = "\n[artifact]\nexclude = [\"cutover.toml\"]\n[artifact.store.github]\n";
        sandbox.write("cutover.toml", &(config + store + more));
        sandbox.commit("Share artifacts");
        sandbox
    }

    fn variables(&self) -> [(&str, String); 3] {
        let of = |name, text: &str| (name, text.to_owned());
        [of("GITHUB_TOKEN", &self.token), of("GITHUB_API_URL", &self.github.url()), of("GITHUB_REPOSITORY", "shop/app")]
    }

    fn run(&self, sandbox: &Sandbox, args: &[&str]) -> Ran {
        self.run_with(sandbox, args, &[])
    }

    fn run_with(&self, sandbox: &Sandbox, args: &[&str], more: &[(&str, &str)]) -> Ran {
        let own = self.variables();
        let all: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (*name, &**value)).chain(more.iter().copied()).collect();
        let ran = sandbox.run_with(args, &all);
        assert!(!ran.told().contains(&self.token), "the token is told: {}", ran.told());
        ran
    }

    /// The names of all files of the release.
    fn files(&self) -> Vec<String> {
        let releases = self.github.releases();
        let files = releases.iter().flat_map(|one| one["assets"].as_array().unwrap());
        files.map(|file| file["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Another machine with a clone of the repository, that shares the same.
fn another(of: &Sandbox) -> Sandbox {
    let other = Sandbox::deployable("");
    fs::remove_dir_all(other.repo()).unwrap();
    let clone = ["clone", "--quiet"].iter().map(Into::into).chain([of.repo(), other.repo()].map(Into::into));
    let cloned =
        other.command("git").current_dir(other.path()).args(clone.collect::<Vec<std::ffi::OsString>>()).status();
    assert!(cloned.unwrap().success());
    let config = fs::read_to_string(other.repo().join("cutover.toml")).unwrap();
    let [here, there] = [of, &other].map(|sandbox| sandbox.path().join("srv").display().to_string());
    other.write("cutover.toml", &config.replace(&here, &there));
    other
}

/// The artifact that is live.
fn live(sandbox: &Sandbox) -> String {
    let text = fs::read(sandbox.path().join("srv/current/release.json")).unwrap();
    let release: serde_json::Value = serde_json::from_slice(&text).unwrap();
    release["artifact"].as_str().unwrap().to_owned()
}

fn head(sandbox: &Sandbox) -> String {
    let output = sandbox.command("git").args(["rev-parse", "HEAD"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The files of the projects in the shared directory, without ids.
fn kinds(sandbox: &Sandbox) -> Vec<String> {
    let found = Command::new("find")
        .arg(sandbox.path().join("shared"))
        .args(["-mindepth", "2", "-type", "f", "-printf", "%P\n"])
        .output();
    let text = String::from_utf8(found.unwrap().stdout).unwrap();
    let kind = |name: &str| {
        let parts: Vec<&str> = name.split('/').collect();
        let ending = parts[parts.len() - 1].split_once('.').map_or("", |(_, ending)| ending);
        format!("{}/{}.{ending}", parts[0], parts[1])
    };
    let mut kinds: Vec<String> = text.lines().map(kind).collect();
    kinds.sort();
    kinds
}

#[test]
fn what_is_built_is_shared_once_and_said_so() {
    let sandbox = sharing();
    let first = sandbox.run(&["build"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stderr.contains("put into the directory ") && first.stderr.contains(", sha256 "), "{first:?}");
    let again = sandbox.run(&["build"]);
    assert_eq!(first.stdout, again.stdout);
    assert!(again.stderr.contains(" has it already"), "{again:?}");
    let told = sandbox.run(&["build", "--json"]).json();
    assert_eq!(told["shared"]["was_there"], true);
    let sha256 = told["shared"]["sha256"].as_str().unwrap();
    let path = format!("shared/shop/artifacts/{}/{sha256}.cutover", first.stdout.trim());
    let summed = Command::new("sha256sum").arg(sandbox.path().join(path)).output().unwrap();
    assert!(String::from_utf8(summed.stdout).unwrap().starts_with(sha256), "anybody can recompute it");

    sandbox.write("app.py", "print('not committed')\n");
    let dirty = sandbox.run(&["build", "--dirty", "--json"]).json();
    assert_eq!(dirty["shared"], json!(null), "what is not committed is not shared");
}

#[test]
fn a_commit_that_was_built_elsewhere_is_not_built_again() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    // Given a build that never gives the same twice.
    let config = config.replace("[artifact]", "[artifact]\nbuild = \"date +%s%N > built\"");
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Build");
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    sandbox.git(&["tag", "-a", "-m", "First", "v1.0.0"]);
    let hash = head(&sandbox);
    for what in [["--commit", "HEAD"], ["--tag", "v1.0.0"], ["--artifact", &id[..8]], ["--commit", &hash]] {
        let other = another(&sandbox);

        let deployed = other.run(&["deploy", "production", what[0], what[1]]);

        assert_eq!(deployed.code, 0, "{what:?}: {deployed:?}");
        assert!(deployed.stderr.contains(&format!("took artifact {} of ", &id[..12])), "{deployed:?}");
        assert_eq!(live(&other), id);
        let again = other.run(&["deploy", "production", what[0], what[1]]);
        assert!(again.code == 0 && !again.stderr.contains("took artifact"), "it is here now: {again:?}");
        assert_eq!(live(&other), id, "and it is not built again");
    }
}

#[test]
fn a_clone_without_the_tag_and_without_its_commit_deploys_it_all_the_same() {
    let sandbox = sharing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    sandbox.git(&["tag", "v1"]);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    let other = another(&sandbox);
    // As a CI fetches it: the newest commit only, and no tags.
    other.git(&["tag", "-d", "v1"]);

    let deployed = other.run(&["deploy", "production", "--tag", "v1"]);
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.stderr.contains(&id[..12]), "{deployed:?}");
    let again = other.run(&["deploy", "production", "--tag", "v1", "--restart"]);
    assert_eq!((again.code, live(&other)), (0, id), "{again:?}");

    let unknown = other.run(&["deploy", "production", "--tag", "v9"]);
    assert_snapshot!(unknown.told(), @"
    exit 2
    --- stderr
    error: there is no tag v9, neither here nor at the remote repository
      state: nothing was deployed
    ");
    let wrong = other.run(&["deploy", "production", "--tag", "v1^"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn what_is_nowhere_is_looked_for_in_both_places() {
    let sandbox = sharing();
    let ran = sandbox.run(&["deploy", "production", "--artifact", "0123456789ab"]);
    let told = ran.told().replace(&sandbox.path().display().to_string(), "DIR");
    assert_snapshot!(told, @"
    exit 2
    --- stderr
    error: artifact 0123456789ab is neither on this machine nor in the directory DIR/shared
      state: nothing was deployed
      hint: `cutover artifact list` shows what is there; `cutover build` packs and shares one
    ");
    let unshared = Sandbox::new();
    assert_snapshot!(unshared.run(&["artifact", "pull", "0123456789ab"]).told(), @"
    exit 2
    --- stderr
    error: no store of artifacts is shared: cutover.toml has no [artifact.store]
      hint: docs/artifacts.md says which there are
    ");
}

#[test]
fn artifacts_are_listed_pushed_and_pulled() {
    let sandbox = sharing();
    let built = sandbox.run(&["build"]);
    let id = built.stdout.trim();
    fs::remove_dir_all(sandbox.path().join("shared/shop")).unwrap();
    assert!(sandbox.run(&["artifact", "list"]).stdout.ends_with(" has no artifacts of this project yet\n"));

    let pushed = sandbox.run(&["artifact", "push", &id[..8]]);
    assert_eq!((pushed.code, pushed.stdout.trim()), (0, id), "{pushed:?}");
    let other = another(&sandbox);
    let listed = other.run(&["artifact", "list"]);
    assert!(listed.stdout.contains(&id[..12]) && listed.stdout.contains(" no "), "{listed:?}");
    let pulled = other.run(&["artifact", "pull", &id[..8]]);
    assert_eq!((pulled.code, pulled.stdout.trim()), (0, id), "{pulled:?}");
    let listed = other.run(&["artifact", "list", "--json"]).json();
    assert_eq!((&listed["count"], &listed["artifacts"][0]["here"]), (&json!(1), &json!(true)));
    assert_eq!(other.run(&["artifact", "list", "--here", "--json"]).json()["artifacts"][0]["record"]["id"], id);
}

#[test]
fn what_was_packed_long_ago_and_is_pushed_now_is_not_removed_as_old() {
    let sandbox = sharing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    fs::remove_dir_all(sandbox.path().join("shared/shop")).unwrap();
    let found = Command::new("find").arg(sandbox.data_dir()).args(["-path", "*/records/*.json"]).output().unwrap();
    let record = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    told["packed_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&record, told.to_string()).unwrap();

    assert_eq!(sandbox.run(&["artifact", "push", &id]).code, 0);

    // Another machine needs it for nothing.
    let pruned = another(&sandbox).run(&["artifact", "prune"]);
    assert!(pruned.code == 0 && pruned.stdout.contains("removed 0 artifacts"), "{pruned:?}");
    assert!(pruned.stdout.ends_with("; 1 stay\n"), "{pruned:?}");
}

#[test]
fn what_checks_said_on_one_machine_counts_on_all_and_the_later_word_wins() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let config = config.replace(
        "[environments.production]",
        "[checks.tests]\nrun = \"test ! -e ../broken\"\n\n[environments.production]\nrequired_checks = \"tests\"",
    );
    sandbox.write("cutover.toml", &config);
    sandbox.commit("Require tests");
    sandbox.run(&["build"]);
    let deploy = || another(&sandbox).run(&["deploy", "production", "--commit", "HEAD"]).code;
    assert_eq!(deploy(), 5, "nobody has run them");

    assert_eq!(sandbox.run(&["check"]).code, 0);
    assert_eq!(deploy(), 0);
    fs::write(sandbox.path().join("broken"), "").unwrap();
    assert_eq!(sandbox.run(&["check"]).code, 5);
    assert_eq!(deploy(), 5);
}

#[test]
fn what_is_promoted_comes_from_the_shared_store_when_it_is_not_here() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let next = sandbox.path().join("next");
    let more = format!(
        "\n[environments.next]\nhosts.api = \"localhost\"\ntargets.api.host.deploy_to = \"{}\"\n",
        next.display()
    );
    sandbox.write("cutover.toml", &(config + &more));
    sandbox.commit("Another environment");
    sandbox.run(&["build"]);
    assert_eq!(sandbox.run(&["deploy", "production", "--commit", "HEAD"]).code, 0);
    // Given a machine that has never seen the artifact.
    fs::remove_dir_all(sandbox.data_dir().join("artifacts")).unwrap();

    let promoted = sandbox.run(&["promote", "production", "next"]);

    assert_eq!(promoted.code, 0, "{promoted:?}");
    assert!(promoted.stderr.contains("took artifact "), "{promoted:?}");
    assert!(next.join("current").exists());
}

#[test]
fn old_artifacts_go_and_what_is_deployed_or_tagged_stays() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &config.replace("store.directory", "store.keep_for = \"0s\"\nstore.directory"));
    let build = |text: &str| {
        sandbox.write("app.py", text);
        sandbox.commit(text);
        sandbox.run(&["build"]).stdout.trim().to_owned()
    };
    let (_old, tagged) = (build("1"), build("2"));
    sandbox.git(&["tag", "v2"]);
    let live = build("3");
    // On another machine: this one's history does not know of it.
    assert_eq!(another(&sandbox).run(&["deploy", "production", "--artifact", &live]).code, 0);

    let would = sandbox.run(&["artifact", "prune", "--dry-run"]);
    assert!(
        would.stdout.contains("would remove 1 artifacts") && would.stdout.contains("2 stay, 2 of them old and needed"),
        "{would:?}"
    );
    let pruned = sandbox.run(&["artifact", "prune", "--json"]).json();
    assert_eq!((&pruned["needed_count"], pruned["removed"].as_array().unwrap().len()), (&json!(2), 1));
    let listed = sandbox.run(&["artifact", "list", "--json"]).json();
    let mut left: Vec<&str> =
        listed["artifacts"].as_array().unwrap().iter().map(|a| a["record"]["id"].as_str().unwrap()).collect();
    left.sort_unstable();
    let mut expected = [tagged.as_str(), &live];
    expected.sort_unstable();
    assert_eq!(left, expected);
}

#[test]
fn nothing_is_removed_when_nobody_knows_which_tags_there_are() {
    let sandbox = sharing();
    sandbox.run(&["build"]);
    sandbox.git(&["remote", "add", "origin", "/nowhere"]);
    let before = kinds(&sandbox);
    let pruned = sandbox.run(&["artifact", "prune"]);
    assert_eq!((pruned.code, kinds(&sandbox)), (1, before), "{pruned:?}");
    assert!(pruned.stderr.contains("state: nothing was removed"), "{pruned:?}");
}

#[test]
fn a_shared_directory_that_is_not_mounted_stops_a_build_before_it_begins() {
    let sandbox = sharing();
    fs::remove_dir(sandbox.path().join("shared")).unwrap();
    let ran = sandbox.run(&["build"]);
    assert_snapshot!(ran.told().replace(&sandbox.path().display().to_string(), "DIR"), @"
    exit 1
    --- stderr
    error: cannot look for artifacts in the directory DIR/shared: there is no such directory
      hint: mount it, or make it once, for all who share it: a store that is made by itself where a mount is missing would be one that nobody shares
    ");
}

#[test]
fn a_bucket_needs_credentials_which_are_seen_nowhere() {
    let fake = FakeS3::start("shop", "made-up-id").unwrap();
    let sandbox = Sandbox::new();
    let store = format!("[artifact.store.s3]\nbucket = \"shop\"\nendpoint = \"{}\"\n", fake.endpoint());
    sandbox.write("cutover.toml", &format!("{CONFIG}\n{store}"));
    sandbox.commit("Share artifacts");
    assert_snapshot!(sandbox.run(&["build"]).told(), @"
    exit 2
    --- stderr
    error: the artifact store needs credentials: AWS_ACCESS_KEY_ID is not set
      hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where they are for a while
    ");

    let run = |key: &str| {
        let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
        command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", "made-up-secret").args(["build", "-v"]);
        command.output().unwrap()
    };
    let built = run("made-up-id");
    assert!(built.status.success(), "{built:?}");
    assert_eq!(fake.keys().len(), 4, "{:?}", fake.keys());
    let refused = run("another");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("InvalidAccessKeyId") && told.contains("on this machine only"), "{told}");
    assert!(!told.contains("made-up-secret") && !told.contains("Signature="), "{told}");
}

#[test]
fn checks_do_not_see_the_credentials_of_the_store_and_a_job_without_any_runs_them_quietly() {
    let fake = FakeS3::start("shop", "made-up-id").unwrap();
    let sandbox = Sandbox::new();
    let store = format!("[artifact.store.s3]\nbucket = \"shop\"\nendpoint = \"{}\"\n", fake.endpoint());
    let checks = "[checks.seen]\nrun = \"env | grep -c -e AWS_ -e CUTOVER_SIGNING_KEY; test -z \\\"$AWS_SECRET_ACCESS_KEY$CUTOVER_SIGNING_KEY\\\"\"\n";
    sandbox.write("cutover.toml", &format!("{CONFIG}\n{store}\n{checks}"));
    sandbox.commit("Share artifacts");

    let quiet = sandbox.run(&["check"]);
    assert!(quiet.code == 0 && !quiet.stderr.contains("warning"), "{quiet:?}");
    assert!(fake.received().is_empty());
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_cutover"));
    command.env("AWS_ACCESS_KEY_ID", "made-up-id").env("AWS_SECRET_ACCESS_KEY", "made-up-secret");
    let ran = command.env("CUTOVER_SIGNING_KEY", "made-up-key").arg("check").output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(fake.keys().iter().any(|key| key.contains("/checks/")), "{:?}", fake.keys());
}

#[test]
fn a_record_that_is_damaged_is_said_to_be_and_is_put_there_anew() {
    let sandbox = sharing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    let record = sandbox.path().join("shared/shop/artifacts").join(&id).join("record.json");
    fs::write(&record, "half a rec").unwrap();

    let listed = sandbox.run(&["artifact", "list"]);
    assert!(listed.code == 0 && listed.stderr.contains("record.json in the directory"), "{listed:?}");
    let built = sandbox.run(&["build"]);
    assert!(built.code == 1 && built.stderr.contains("is damaged"), "{built:?}");
    assert!(built.stderr.contains("`cutover artifact push --again ID`"), "{built:?}");
    assert_eq!(sandbox.run(&["artifact", "push", "--again", &id]).code, 0);
    assert!(sandbox.run(&["build"]).stderr.contains("has it already"));
}

#[test]
fn what_is_here_is_deployed_without_the_store_and_without_credentials() {
    let sandbox = Sandbox::deployable("");
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let fake = FakeS3::start("shop", "made-up-id").unwrap();
    let store = format!("[artifact.store.s3]\nbucket = \"shop\"\nendpoint = \"{}\"\n", fake.endpoint());
    sandbox.write("cutover.toml", &format!("{config}\n{store}"));
    sandbox.commit("Share artifacts");
    let keys = [("AWS_ACCESS_KEY_ID", "made-up-id"), ("AWS_SECRET_ACCESS_KEY", "made-up-secret")];
    assert_eq!(sandbox.run_with(&["build"], &keys).code, 0);

    let deployed = sandbox.run(&["deploy", "production", "--commit", "HEAD"]);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(sandbox.path().join("srv/current").exists());
}

#[test]
fn what_is_not_taken_is_not_called_not_deployed() {
    let sandbox = sharing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    let found = Command::new("find").arg(sandbox.path().join("shared")).args(["-name", "*.cutover"]).output().unwrap();
    fs::write(String::from_utf8(found.stdout).unwrap().trim(), "another").unwrap();
    let refused = sandbox.run(&["artifact", "pull", &id]);
    assert!(refused.code == 1 && refused.stderr.contains("state: nothing was taken"), "{refused:?}");
}

/// The artifacts that are noted as about to be brought live, and as brought live; forgets the notes.
fn noted(sandbox: &Sandbox) -> [Vec<String>; 2] {
    ["deploying", "deployed"].map(|kind| {
        let dir = sandbox.path().join("shared/shop").join(kind).join("production");
        let Ok(entries) = fs::read_dir(&dir) else { return Vec::new() };
        let ids = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        fs::remove_dir_all(dir).unwrap();
        ids
    })
}

#[test]
fn what_is_live_is_noted_however_it_came_to_be_and_what_was_only_meant_to_be_as_that() {
    let sandbox = sharing();
    let first = sandbox.run(&["build"]).stdout.trim().to_owned();
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    assert_eq!(noted(&sandbox), [[first.as_str()], [first.as_str()]]);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    let second = sandbox.run(&["build"]).stdout.trim().to_owned();
    // Given a deployment that cannot end: what it may have brought live is noted all the same, and ousts nothing that is live.
    fs::rename(sandbox.path().join("srv/.cutover"), sandbox.path().join("aside")).unwrap();
    fs::write(sandbox.path().join("srv/.cutover"), "in the way").unwrap();
    assert_ne!(sandbox.run(&["deploy", "production"]).code, 0);
    assert_eq!(noted(&sandbox), [vec![second.clone()], Vec::new()]);
    fs::remove_file(sandbox.path().join("srv/.cutover")).unwrap();
    fs::rename(sandbox.path().join("aside"), sandbox.path().join("srv/.cutover")).unwrap();
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    assert_eq!(noted(&sandbox)[1], [second]);

    let rolled_back = sandbox.run(&["rollback", "production"]);
    assert_eq!(rolled_back.code, 0, "{rolled_back:?}");
    assert_eq!(noted(&sandbox)[1], [first.as_str()]);

    sandbox.reopen_last_journal(1000);
    let resumed = sandbox.run(&["resume", "production"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(noted(&sandbox)[1], [first], "{resumed:?}");
}

/// Has an artifact of the shared directory be packed long ago.
pub(crate) fn age(of_it: &Path) {
    let record = of_it.join("record.json");
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    told["record"]["packed_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&record, told.to_string()).unwrap();
}

/// Builds while a mark says that somebody removes the artifact: waits for its record to be another one, and removes these files of it.
pub(crate) fn build_while_it_leaves(sandbox: &Sandbox, of_it: &Path, removed: &[&str]) {
    let mark = of_it.join(format!("{}.leaving", "0a".repeat(16)));
    fs::write(&mark, "").unwrap();
    let record = of_it.join("record.json");
    let before = fs::read(&record).ok();

    let mut building = sandbox.command(env!("CARGO_BIN_EXE_cutover")).arg("build").spawn().unwrap();
    while fs::read(&record).ok() == before {
        assert_eq!(building.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    assert_eq!(building.try_wait().unwrap(), None, "it does not say that the artifact is there");
    for entry in fs::read_dir(of_it).unwrap() {
        let path = entry.unwrap().path();
        if removed.iter().any(|ending| path.to_str().unwrap().ends_with(ending)) {
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_file(&mark).unwrap();
    assert!(building.wait().unwrap().success());
}

#[test]
fn a_build_waits_for_whoever_removes_the_same_artifact_and_puts_there_what_was_removed() {
    let sandbox = sharing();
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    let of_it = sandbox.path().join("shared/shop/artifacts").join(&id);
    let is_there = || kinds(&sandbox).iter().filter(|kind| kind.ends_with(".cutover")).count() == 1;
    // Given that it is not there, and that it is there and old.
    fs::remove_dir_all(&of_it).unwrap();
    fs::create_dir(&of_it).unwrap();
    build_while_it_leaves(&sandbox, &of_it, &[]);
    assert!(is_there());
    age(&of_it);
    build_while_it_leaves(&sandbox, &of_it, &["record.json", ".cutover", ".provenance.json"]);
    assert!(is_there());
    assert_eq!(sandbox.run(&["artifact", "list", "--json"]).json()["artifacts"][0]["record"]["id"], json!(id));
}

#[test]
fn a_prune_that_fails_says_what_it_has_removed_before() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    let short = config.replace("store.directory", "store.keep_for = \"0s\"\nstore.directory");
    sandbox.write("cutover.toml", &short);
    sandbox.commit("Keep nothing");
    let id = sandbox.run(&["build"]).stdout.trim().to_owned();
    // Given that the artifact is not needed here, and something that stops it once that is gone.
    fs::remove_dir_all(sandbox.data_dir()).unwrap();
    std::os::unix::fs::symlink("/etc", sandbox.path().join("shared/shop/checks")).unwrap();

    let pruned = sandbox.run(&["artifact", "prune"]);

    assert_eq!(pruned.code, 1, "{pruned:?}");
    assert!(pruned.stdout.contains(&format!("removed {} of ", &id[..12])), "{pruned:?}");
    assert!(pruned.stdout.ends_with(", and then failed\n"), "{pruned:?}");
    assert!(pruned.stderr.contains("state: what is listed above was removed"), "{pruned:?}");
    let again = sandbox.run(&["artifact", "prune"]);
    assert!(again.code == 1 && again.stderr.contains("state: nothing was removed, but for parts"), "{again:?}");
}

#[test]
fn an_artifact_that_is_shared_is_not_said_to_be_here_only_when_what_checks_said_is_lost() {
    let sandbox = sharing();
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write("cutover.toml", &(config + "\n[checks.tests]\nrun = \"true\"\n"));
    sandbox.commit("Check");
    fs::create_dir(sandbox.path().join("shared/shop")).unwrap();
    fs::write(sandbox.path().join("shared/shop/checks"), "in the way").unwrap();
    assert_eq!(sandbox.run(&["check"]).code, 0);

    let built = sandbox.run(&["build"]);

    assert_eq!(built.code, 0, "{built:?}");
    assert!(built.stderr.contains("has the artifact, but not what checks said of its commit"), "{built:?}");
    assert!(built.stderr.contains("put into ") && !built.stderr.contains("on this machine only"), "{built:?}");
}

#[test]
fn what_one_job_builds_another_one_deploys_with_nothing_but_a_release_at_github_between_them() {
    let there = AtGitHub::start();
    let sandbox = there.machine("");
    let built = there.run(&sandbox, &["build"]);
    assert_eq!(built.code, 0, "{built:?}");
    assert!(built.stderr.contains("put into the release cutover-artifacts of shop/app: "), "{built:?}");
    let id = built.stdout.trim();
    assert!(
        there.run(&sandbox, &["build"]).stderr.contains("the release cutover-artifacts of shop/app has it already")
    );
    let listed = there.run(&sandbox, &["artifact", "list"]);
    assert!(listed.stdout.contains(&id[..12]), "{listed:?}");

    for what in [["--commit", "HEAD"], ["--artifact", &id[..8]]] {
        let (other, before) = (another(&sandbox), there.github.received().len());
        let deployed = there.run(&other, &["deploy", "production", what[0], what[1]]);
        assert_eq!(deployed.code, 0, "{what:?}: {deployed:?}");
        assert!(deployed.stderr.contains(&format!("took artifact {} of ", &id[..12])), "{deployed:?}");
        assert_eq!(live(&other), id);
        let asked = there.github.received().len() - before;
        assert!(asked <= 16, "{what:?}: {asked}");
    }
    assert!(there.files().iter().any(|name| name.starts_with("shop_-deployed_-production_-")), "{:?}", there.files());
    assert!(!there.github.fetched().is_empty());
    assert!(there.github.fetched().iter().all(|asked| asked.header("authorization").is_none()));

    // The store's own tag is no version that would keep what it is at.
    let pruned = there.run(&sandbox, &["artifact", "prune"]);
    assert!(pruned.code == 0 && pruned.stdout.contains("removed 0 artifacts"), "{pruned:?}");
}

#[test]
fn old_artifacts_go_from_a_release_as_well_and_what_is_live_stays() {
    let there = AtGitHub::start();
    let sandbox = there.machine("[artifact.store]\nkeep_for = \"0s\"\n");
    let build = |text: &str| {
        sandbox.write("app.py", text);
        sandbox.commit(text);
        there.run(&sandbox, &["build"]).stdout.trim().to_owned()
    };
    let (old, live) = (build("1"), build("2"));
    let other = another(&sandbox);
    assert_eq!(there.run(&other, &["deploy", "production", "--artifact", &live]).code, 0);
    // The repository here has a tag of the store's name, as one that is fetched after the first push.
    sandbox.git(&["tag", "cutover-artifacts", "HEAD~1"]);
    let before = there.github.received().len();

    let pruned = there.run(&sandbox, &["artifact", "prune"]);

    assert!(pruned.stdout.contains("removed 1 artifacts") && pruned.stdout.contains("1 stay, 1 of them"), "{pruned:?}");
    assert!(there.files().iter().all(|name| !name.contains(&old)), "{:?}", there.files());
    assert!(there.files().iter().any(|name| name.contains(&live)), "{:?}", there.files());
    let asked = there.github.received().len() - before;
    assert!(asked <= 22, "to remove one: {asked}");
}

#[test]
fn a_release_needs_a_token_which_checks_do_not_see_and_which_a_job_that_may_only_read_is_quiet_about() {
    let there = AtGitHub::start();
    let checks = "[checks.seen]\nrun = \"test -z \\\"$GITHUB_TOKEN$CUTOVER_ARTIFACTS_TOKEN\\\"\"\n";
    let sandbox = there.machine(checks);
    assert_snapshot!(sandbox.run(&["build"]).told(), @"
    exit 2
    --- stderr
    error: the artifact store at GitHub cannot be spoken to: neither CUTOVER_ARTIFACTS_TOKEN nor GITHUB_TOKEN is set
      hint: GITHUB_TOKEN is a job's own token, or one of your own that may read and write contents of the repository
      hint: `repository` of [artifact.store.github] names another repository, and CUTOVER_ARTIFACTS_TOKEN is for that one
    ");
    let quiet = sandbox.run(&["check"]);
    assert!(quiet.code == 0 && !quiet.stderr.contains("warning"), "{quiet:?}");

    let said = there.run_with(&sandbox, &["check"], &[("CUTOVER_ARTIFACTS_TOKEN", &there.token)]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(there.files().iter().any(|name| name.starts_with("shop_-checks_-")), "{:?}", there.files());

    // Given a job whose token may read, as those are that run what a change brings.
    let there = AtGitHub::start();
    there.github.refuse("contents");
    let job = [("GITHUB_ACTIONS", "true")];
    let ran = there.run_with(&sandbox, &["check"], &job);
    assert!(ran.code == 0 && !ran.stderr.contains("known on this machine only"), "{ran:?}");
    let built = there.run_with(&sandbox, &["build"], &job);
    assert!(built.code == 1 && built.stderr.contains("`permissions: contents: write`"), "{built:?}");
    let pull_request = [job[0], ("GITHUB_EVENT_NAME", "pull_request")];
    let built = there.run_with(&sandbox, &["build"], &pull_request);
    assert!(built.code == 0 && built.stderr.contains("warning: not shared: "), "{built:?}");
    // And one of another repository's, for which a job's token is not.
    let config = fs::read_to_string(sandbox.repo().join("cutover.toml")).unwrap();
    sandbox.write(
        "cutover.toml",
        &config.replace("[artifact.store.github]", "[artifact.store.github]\nrepository = \"shop/other\""),
    );
    sandbox.commit("Share elsewhere");
    let before = there.github.received().len();
    let built = there.run_with(&sandbox, &["build"], &job);
    assert!(built.code == 2 && built.stderr.contains("CUTOVER_ARTIFACTS_TOKEN is not set"), "{built:?}");
    assert_eq!(there.github.received().len(), before);
}

#[test]
fn a_github_that_is_down_hinders_no_deployment_of_what_is_here() {
    let there = AtGitHub::start();
    let sandbox = there.machine("");
    assert_eq!(there.run(&sandbox, &["build"]).code, 0);
    (0..20).for_each(|_| there.github.order("GET", "releases/tags/", Mishap::Answer(503, Vec::new(), "down")));

    let deployed = there.run(&sandbox, &["deploy", "production", "--commit", "HEAD"]);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.stderr.contains("may remove it when it is old"), "{deployed:?}");
}

#[test]
fn what_is_noted_is_not_called_unknown_when_github_falls_silent_after_it() {
    let there = AtGitHub::start();
    let sandbox = there.machine("");
    assert_eq!(there.run(&sandbox, &["build"]).code, 0);
    // Given one look before the note, and none after it.
    there.github.order("GET", "releases/tags/", Mishap::Spared);
    (0..20).for_each(|_| there.github.order("GET", "releases/tags/", Mishap::Answer(503, Vec::new(), "down")));

    let deployed = there.run(&sandbox, &["deploy", "production", "--commit", "HEAD"]);

    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(
        deployed.stderr.contains("is about to be live is noted in the artifact store, but it was not seen"),
        "{deployed:?}"
    );
    assert!(there.files().iter().any(|name| name.starts_with("shop_-deploying_-")), "{:?}", there.files());
}
