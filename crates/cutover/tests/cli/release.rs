//! Versions, tags and releases of what is live.

use crate::provenance::key;
use crate::sandbox::{Ran, Sandbox};
use cutover_testkit::github::{FakeGitHub, Mishap};
use insta::assert_snapshot;
use serde_json::Value;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::process::Command;

/// A project with a remote, and its first version live in production.
struct Shop {
    sandbox: Sandbox,
    github: FakeGitHub,
    token: String,
}

impl Shop {
    fn live(release: &str) -> Self {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        let shop = Self { sandbox: Sandbox::new(), github: FakeGitHub::start(&token).unwrap(), token };
        shop.sandbox.host("", "");
        let config = format!("{}\n{release}", shop.sandbox.config());
        shop.sandbox.write("cutover.toml", &config);
        let origin = shop.sandbox.path().join("origin.git").display().to_string();
        shop.git(&["init", "--quiet", "--bare", &origin]);
        shop.git(&["remote", "add", "origin", &origin]);
        shop.deploy("feat: sell tea");
        shop
    }

    /// Commits something new with this message, and brings it to production.
    fn deploy(&self, message: &str) {
        self.commit(message);
        let deployed = self.sandbox.run(&["deploy", "production"]);
        assert_eq!(deployed.code, 0, "{}", deployed.told());
    }

    fn commit(&self, message: &str) {
        self.sandbox.write("app.py", &format!("print({message:?})\n"));
        self.sandbox.commit(message);
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.sandbox.repo()).args(args);
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Releases with a token for GitHub.
    fn release(&self, args: &[&str]) -> Ran {
        self.release_with(args, "")
    }

    /// The same with a key to sign with.
    fn release_with(&self, args: &[&str], key: &str) -> Ran {
        let (api, all) = (self.github.url(), [&["release", "production"], args].concat());
        let variables = [
            ("GITHUB_TOKEN", &*self.token),
            ("GITHUB_API_URL", &*api),
            ("GITHUB_REPOSITORY", "shop/app"),
            ("CUTOVER_SIGNING_KEY", key),
        ];
        let ran = self.sandbox.run_with(&all, &variables);
        assert!(!ran.told().contains(&self.token), "the token is told: {}", ran.told());
        ran
    }

    /// The files of the first release, by name.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let release = self.github.releases().remove(0);
        let assets = release["assets"].as_array().unwrap();
        let file = |asset: &Value| self.github.file(asset["id"].as_u64().unwrap()).unwrap();
        assets.iter().map(|asset| (asset["name"].as_str().unwrap().to_owned(), file(asset))).collect()
    }

    fn has_made_nothing(&self) {
        assert_eq!((self.git(&["tag"]), self.git(&["ls-remote", "--tags", "origin"])), (String::new(), String::new()));
        assert_eq!((self.github.tags().len(), self.github.releases().len()), (0, 0));
    }

    /// What was said, without what is another in each run.
    fn told(&self, ran: &Ran) -> String {
        let status = self.sandbox.run(&["status", "production", "--json"]).json();
        let artifact = status["environments"][0]["targets"][0]["release"]["artifact"].as_str().unwrap().to_owned();
        let mut told = ran.told().replace(&artifact, "ARTIFACT").replace(&artifact[..12], "ARTIFACT");
        for (at, hash) in self.git(&["log", "--reverse", "--format=%H"]).lines().enumerate() {
            told = told.replace(hash, &format!("COMMIT-{at}")).replace(&hash[..7], &format!("COMMIT-{at}"));
        }
        told
    }
}

#[test]
fn what_is_live_gets_a_version_a_tag_and_a_release_with_its_artifact() {
    let shop = Shop::live("[release]\nenvironment = \"production\"\n");

    let first = shop.release(&[]);

    assert_eq!(first.code, 0, "{}", first.told());
    shop.git(&["tag", "v1.0.0"]);
    shop.deploy("fix(till): count @all once (#7)");
    let second = shop.release(&[]);
    assert_eq!(second.code, 0, "{}", second.told());
    assert_snapshot!(shop.told(&second), @r"
    exit 0
    ✓ made tag v1.0.1 at commit COMMIT-3, after v1.0.0
    ✓ made release https://github.com/shop/app/releases/tag/v1.0.1
    ✓ made artifact ARTIFACT
    ✓ made provenance
    ");
    let tags = shop.github.tags();
    let [(_, _, _), (name, commit, Some(message))] = &tags[..] else { panic!("{tags:?}") };
    assert!(
        name == "v1.0.1" && *commit == shop.head() && message.starts_with("shop 1.0.1\n\nLive in production"),
        "{tags:?}"
    );
    let releases = shop.github.releases();
    assert_eq!(releases.len(), 2);
    let body = releases[1]["body"].as_str().unwrap();
    assert!(body.contains("[#7](https://github.com/shop/app/pull/7)") && !body.contains("@all"), "{body}");
    assert!(!body.contains("sell tea"), "what is in the release before is not new: {body}");
    // What is attached is what was deployed: another machine takes it as it is.
    let asset = &releases[1]["assets"][0];
    assert_eq!(asset["name"], "shop-1.0.1.cutover");
    let file = shop.sandbox.path().join("fetched.cutover");
    fs::write(&file, shop.github.file(asset["id"].as_u64().unwrap()).unwrap()).unwrap();
    let again = shop.sandbox.run(&["deploy", "production", "--artifact", file.to_str().unwrap()]);
    assert!(again.code == 0 && again.stdout.contains("Nothing changed"), "{}", again.told());
}

#[test]
fn what_broke_off_is_completed_and_what_is_there_is_kept() {
    let shop = Shop::live("");
    for (method, part) in [("POST", "git/refs"), ("POST", "/releases"), ("POST", "/assets"), ("PATCH", "/releases/")] {
        shop.github.order(method, part, Mishap::Answer(422, Vec::new(), "Validation Failed"));
        if method == "POST" && part == "/assets" {
            // The second try looks whether another run was faster.
            shop.github.order(method, part, Mishap::Answer(422, Vec::new(), "Validation Failed"));
        }
        let broken = shop.release(&[]);
        assert_eq!(broken.code, 1, "{part}: {}", broken.told());
        assert!(
            broken.stderr.contains("Validation Failed") && broken.stderr.contains("  state: "),
            "{}",
            broken.told()
        );
    }

    let whole = shop.release(&[]);
    let again = shop.release(&[]);

    assert_eq!((whole.code, again.code), (0, 0), "{}", again.told());
    assert_snapshot!(shop.told(&whole), @r"
    exit 0
    was there tag v1.0.0 at commit COMMIT-2
    ✓ made release https://github.com/shop/app/releases/tag/v1.0.0
    was there artifact ARTIFACT
    was there provenance
    ");
    assert_snapshot!(shop.told(&again), @r"
    exit 0
    was there tag v1.0.0 at commit COMMIT-2
    was there release https://github.com/shop/app/releases/tag/v1.0.0
    was there artifact ARTIFACT
    was there provenance
    ");
    let releases = shop.github.releases();
    assert!(releases.len() == 1 && releases[0]["draft"] == false, "{releases:?}");
}

#[test]
fn a_tag_on_another_commit_is_never_moved() {
    let shop = Shop::live("");
    shop.github.tag_as_somebody("v1.0.0", &"b".repeat(40));

    let refused = shop.release(&[]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert_snapshot!(shop.told(&refused), @r"
    exit 1
    --- stderr
    error: the tag v1.0.0 is on commit bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb at GitHub, and COMMIT-2 is live
      state: nothing was tagged or released, and the tag stays where it is
      hint: `git fetch --tags` shows tags that this repository does not know yet: then the next version is another one
      hint: where it is known here: a commit with a line `Release-As: VERSION` asks for a version that is free
    ");
    assert_eq!(shop.github.tags()[0].1, "b".repeat(40));
    assert_eq!(shop.github.releases().len(), 0);
}

#[test]
fn without_a_token_the_tag_is_pushed_and_a_second_run_finds_it() {
    let shop = Shop::live("");

    let tagged = shop.sandbox.run(&["release", "production"]);
    let again = shop.sandbox.run(&["release", "production"]);

    assert_eq!(tagged.code, 0, "{}", tagged.told());
    assert_snapshot!(shop.told(&tagged), @r"
    exit 0
    ✓ made tag v1.0.0 at commit COMMIT-2
    left out release
    left out artifact ARTIFACT
    --- stderr
    warning: there is no release at GitHub: GITHUB_TOKEN is not set
    ");
    let remote = shop.git(&["ls-remote", "--tags", "origin"]);
    assert!(remote.contains(&format!("{}\trefs/tags/v1.0.0^{{}}", shop.head())), "annotated: {remote}");
    assert!(again.code == 0 && again.stdout.starts_with("was there tag v1.0.0"), "{}", again.told());

    // A token that is set for other things goes nowhere where origin is not.
    let variables = [("GITHUB_TOKEN", &*shop.token), ("GITHUB_API_URL", &*shop.github.url())];
    let other = shop.sandbox.run_with(&["release", "production"], &variables);
    assert!(other.code == 0 && other.stderr.contains("origin is not at GitHub"), "{}", other.told());
    assert_eq!(shop.github.received().len(), 0);

    // Somebody else's tag, which this repository does not know.
    shop.deploy("feat: sell coffee");
    shop.git(&["push", "--quiet", "origin", "HEAD~1:refs/tags/v1.1.0"]);
    let refused = shop.sandbox.run(&["release", "production"]);
    assert!(refused.code == 1 && refused.stderr.contains("the tag v1.1.0 is on commit "), "{}", refused.told());
    assert_eq!(shop.git(&["tag"]), "v1.0.0");
}

#[test]
fn commits_that_lead_nowhere_are_told_and_are_no_error() {
    let shop = Shop::live("");
    shop.git(&["tag", "v1.0.0"]);
    shop.deploy("docs: write the manual");

    let told = shop.release(&[]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert_snapshot!(told.told(), @r"
    exit 0
    Nothing to release in production: no commit since v1.0.0 is a feat, fix, perf or revert, or says that something breaks (1 read)
    ");
    assert_eq!(shop.github.received().len(), 0, "nobody is asked");
    let json = shop.release(&["--json"]).json();
    assert!(json["v"] == 1 && json["release"].is_null() && json["why"].is_string(), "{json}");
}

#[test]
fn a_dry_run_shows_the_version_and_the_notes_and_makes_nothing() {
    let shop = Shop::live("");

    let shown = shop.release(&["--dry-run"]);

    assert_eq!(shown.code, 0, "{}", shown.told());
    assert_snapshot!(shop.told(&shown), @r"
    exit 0
    v1.0.0 at commit COMMIT-2; nothing was made

    ### New
    - sell tea ([COMMIT-2](https://github.com/shop/app/commit/COMMIT-2))

    ### Other changes
    - Say where it goes ([COMMIT-1](https://github.com/shop/app/commit/COMMIT-1))
    - Sell things ([COMMIT-0](https://github.com/shop/app/commit/COMMIT-0))

    ---
    Live in production: commit [COMMIT-2](https://github.com/shop/app/commit/COMMIT-2), artifact `ARTIFACT`. It is the first release.
    ");
    assert_eq!(shop.github.received().len(), 0);
    let json = shop.release(&["--dry-run", "--json"]).json();
    assert_eq!((json["release"]["version"].as_str(), json["made"].is_null()), (Some("1.0.0"), true), "{json}");
}

#[test]
fn a_file_says_the_version_and_one_that_still_says_the_last_one_releases_nothing() {
    let shop =
        Shop::live("[release]\nenvironment = \"production\"\nversion_file = \"VERSION\"\ntag_prefix = \"shop/v\"\n");
    let missing = shop.release(&[]);
    assert!(missing.code == 1 && missing.stderr.contains("VERSION of commit"), "{}", missing.told());
    shop.sandbox.write("VERSION", "2.1.0\n");
    shop.deploy("Sell coffee");

    let released = shop.release(&[]);

    assert_eq!(released.code, 0, "{}", released.told());
    assert_eq!(shop.github.tags()[0].0, "shop/v2.1.0");
    shop.git(&["tag", "shop/v2.1.0"]);
    shop.deploy("feat: sell cake");
    let same = shop.release(&[]);
    assert_eq!(same.code, 0, "{}", same.told());
    assert_snapshot!(shop.told(&same), @r"
    exit 0
    Nothing to release in production: shop/v2.1.0 is at COMMIT-3, and VERSION still says 2.1.0
    ");
}

#[test]
fn what_is_live_may_come_from_another_job_s_record_and_from_no_other_environment() {
    let shop = Shop::live("");
    let file = shop.sandbox.path().join("seen.json");
    let written = shop.sandbox.run(&["release", "production", "--see", file.to_str().unwrap()]);
    assert_eq!((written.code, &*written.stderr), (0, ""), "{}", written.told());
    let record = fs::read_to_string(&file).unwrap();
    assert!(!record.contains(shop.sandbox.path().to_str().unwrap()), "{record}");
    // Meanwhile there is nobody to ask.
    fs::rename(shop.sandbox.path().join("srv"), shop.sandbox.path().join("gone")).unwrap();
    let seen = ["--seen", file.to_str().unwrap()];

    let released = shop.release(&seen);

    assert_eq!(released.code, 0, "{}", released.told());
    fs::write(&file, record.replace("\"production\"", "\"staging\"")).unwrap();
    let other = shop.release(&seen);
    assert!(other.code == 1 && other.stderr.contains("the host says nothing of it"), "{}", other.told());
    fs::write(&file, "{\"v\":2}").unwrap();
    assert_eq!(shop.release(&seen).code, 2);
}

#[test]
fn what_a_rollback_brought_back_is_released_already_and_a_shallow_repository_is_refused() {
    let shop = Shop::live("");
    assert_eq!(shop.release(&[]).code, 0);
    shop.git(&["tag", "v1.0.0"]);
    shop.deploy("feat: sell coffee");
    let back = shop.sandbox.run(&["rollback", "production"]);
    assert_eq!(back.code, 0, "{}", back.told());

    let again = shop.release(&[]);

    assert!(again.code == 0 && again.stdout.starts_with("was there tag v1.0.0"), "{}", again.told());
    let shallow = shop.git(&["rev-parse", "HEAD~1"]);
    shop.sandbox.write(".git/shallow", &format!("{shallow}\n"));
    let refused = shop.release(&[]);
    assert!(refused.code == 1 && refused.stderr.contains("is shallow"), "{}", refused.told());
}

#[test]
fn of_a_project_in_a_part_of_the_repository_only_its_own_commits_count() {
    let shop = Shop::live("");
    let part = format!("{}\n[release]\nenvironment = \"production\"\ntag_prefix = \"part/v\"\n", shop.sandbox.config());
    shop.sandbox.write("part/cutover.toml", &part.replace("\"shop\"", "\"part\"").replace("/srv", "/part"));
    shop.sandbox.commit("feat: begin another project");
    shop.git(&["tag", "part/v1.0.0"]);
    let deploy = |message: &str| {
        shop.sandbox.commit(message);
        let deployed = shop.sandbox.run(&["-C", "part", "deploy", "production"]);
        assert_eq!(deployed.code, 0, "{}", deployed.told());
        shop.sandbox.run(&["-C", "part", "release", "production"])
    };

    shop.sandbox.write("app.py", "print('of the other project')\n");
    let others = deploy("feat: sell coffee");
    shop.sandbox.write("part/app.py", "print('of this one')\n");
    let own = deploy("fix: count once");

    assert!(others.code == 0 && others.stdout.starts_with("Nothing to release"), "{}", others.told());
    assert!(own.code == 0 && own.stdout.starts_with("✓ made tag part/v1.0.1 "), "{}", own.told());
}

#[test]
fn what_holds_changes_of_no_commit_is_never_released() {
    let shop = Shop::live("");
    shop.sandbox.write("app.py", "print('changed, and not committed')\n");
    let deployed = shop.sandbox.run(&["deploy", "production", "--dirty"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());

    let (by_git, at_github) = (shop.sandbox.run(&["release", "production"]), shop.release(&[]));
    let shown = shop.release(&["--dry-run"]);

    for refused in [&by_git, &at_github, &shown] {
        assert_eq!(refused.code, 1, "{}", refused.told());
    }
    assert_snapshot!(shop.told(&at_github), @r"
    exit 1
    --- stderr
    error: artifact ARTIFACT holds changes that are in no commit
      state: nothing was tagged or released
      hint: deploy a commit, then release it
    ");
    shop.has_made_nothing();
}

#[test]
fn what_is_not_to_be_had_is_released_only_without_it_and_from_the_branch_that_is_deployed() {
    let shop = Shop::live("");
    let artifacts = shop.sandbox.data_dir().join("artifacts");
    fs::rename(&artifacts, shop.sandbox.path().join("gone")).unwrap();

    for args in [&[][..], &["--dry-run"]] {
        let refused = shop.release(args);
        assert!(
            refused.code == 1 && refused.stderr.contains("which is live, is not on this machine"),
            "{}",
            refused.told()
        );
        assert!(refused.stderr.contains("state: nothing was tagged or released"), "{}", refused.told());
    }
    shop.has_made_nothing();
    let config = format!("{}\n[release]\nenvironment = \"production\"\nattach = false\n", shop.sandbox.config());
    shop.sandbox.write("cutover.toml", &config);
    let live = shop.head();
    // A commit that is here, and not in the history of what is checked out.
    shop.git(&["reset", "--quiet", "--soft", "HEAD~1"]);
    let elsewhere = shop.release(&[]);
    assert!(elsewhere.code == 1 && elsewhere.stderr.contains("is not in the history of"), "{}", elsewhere.told());
    shop.has_made_nothing();

    shop.git(&["reset", "--quiet", "--soft", &live]);
    let released = shop.release(&[]);

    assert_eq!(released.code, 0, "{}", released.told());
    assert_eq!(shop.github.tags()[0].1, live);
}

#[test]
fn a_host_that_names_another_commit_than_the_artifact_s_is_not_believed() {
    let shop = Shop::live("");
    let file = shop.sandbox.path().join("seen.json");
    let seen = shop.sandbox.run(&["status", "production", "--json"]).stdout;
    fs::write(&file, seen.replace(&shop.head(), &shop.git(&["rev-parse", "HEAD~1"]))).unwrap();

    let refused = shop.release(&["--seen", file.to_str().unwrap()]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert_snapshot!(shop.told(&refused), @r"
    exit 1
    --- stderr
    error: artifact ARTIFACT is of commit COMMIT-2, and the hosts say commit COMMIT-1
      state: nothing was tagged or released
      hint: somebody wrote into `release.json` there: deploy again, then release
    ");
    shop.has_made_nothing();
}

#[test]
fn where_another_artifact_is_live_by_now_the_one_that_was_packed_is_not_released() {
    let shop = Shop::live("");
    let file = shop.sandbox.path().join("packed.cutover");
    let packed = shop.sandbox.run(&["build", "--output", file.to_str().unwrap()]);
    assert_eq!(packed.code, 0, "{}", packed.told());
    shop.deploy("feat: sell coffee");

    let told = shop.release(&["--artifact", file.to_str().unwrap()]);

    assert!(told.code == 0 && told.stdout.contains("another artifact is live now"), "{}", told.told());
    shop.has_made_nothing();
}

#[test]
fn a_merge_that_was_taken_back_is_not_announced() {
    let shop = Shop::live("");
    shop.git(&["tag", "v1.0.0"]);
    let main = shop.git(&["branch", "--show-current"]);
    shop.git(&["checkout", "--quiet", "-b", "coffee"]);
    shop.sandbox.write("coffee.txt", "beans");
    shop.sandbox.commit("feat: sell coffee");
    shop.git(&["checkout", "--quiet", &main]);
    shop.git(&["merge", "--quiet", "--no-ff", "coffee", "--message", "Merge pull request #7 from shop/coffee"]);
    shop.git(&["revert", "--no-edit", "-m", "1", "HEAD"]);
    shop.deploy("docs: write the manual");

    let shown = shop.release(&["--dry-run"]);

    assert_eq!(shown.code, 0, "{}", shown.told());
    assert!(shown.stdout.starts_with("v1.0.1 at commit "), "{}", shown.told());
    let is_told = |text: &str| shown.stdout.contains(text);
    assert!(is_told("- Revert") && is_told("Merge pull request") && !is_told("sell coffee"), "{}", shown.told());
}

#[test]
fn a_version_that_was_asked_for_is_made_once_and_one_before_a_release_gives_way_to_the_release() {
    let shop = Shop::live("");
    shop.git(&["tag", "v1.0.0"]);
    shop.deploy("chore: try it out\n\nRelease-As: 2.0.0-rc.1");
    let candidate = shop.release(&[]);
    assert!(candidate.code == 0 && candidate.stdout.starts_with("✓ made tag v2.0.0-rc.1 "), "{}", candidate.told());
    shop.git(&["tag", "v2.0.0-rc.1"]);
    shop.deploy("fix: count once");

    let next = shop.release(&[]);

    assert!(next.code == 0 && next.stdout.starts_with("✓ made tag v1.0.1 "), "{}", next.told());
    shop.git(&["tag", "v1.0.1"]);
    shop.git(&["tag", "v2.0.0-rc.2"]);
    let again = shop.release(&[]);
    assert!(again.code == 0 && again.stdout.starts_with("was there tag v1.0.1 "), "{}", again.told());
}

#[test]
fn what_was_rolled_back_to_has_no_version_of_its_own_where_a_later_commit_has_it() {
    let shop = Shop::live("");
    shop.git(&["tag", "v1.0.0"]);
    shop.deploy("fix: count once");
    shop.deploy("fix: count twice");
    assert_eq!(shop.release(&[]).code, 0);
    shop.git(&["tag", "v1.0.1"]);
    let back = shop.sandbox.run(&["rollback", "production"]);
    assert_eq!(back.code, 0, "{}", back.told());

    let told = shop.release(&[]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert_snapshot!(shop.told(&told), @r"
    exit 0
    Nothing to release in production: v1.0.1 is at COMMIT-4, which came after COMMIT-3, and COMMIT-3 is live
    ");
}

#[test]
fn a_version_in_a_file_never_goes_back() {
    let shop = Shop::live("[release]\nenvironment = \"production\"\nversion_file = \"VERSION\"\n");
    shop.git(&["tag", "v2.1.0"]);
    shop.sandbox.write("VERSION", "2.0.9\n");
    shop.deploy("fix: count once");

    let refused = shop.release(&[]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert_snapshot!(shop.told(&refused), @r"
    exit 1
    --- stderr
    error: VERSION of commit COMMIT-3 says 2.0.9, and v2.1.0 came before it
      state: nothing was tagged or released
      hint: let the file say a version after 2.1.0
    ");
    assert_eq!(shop.github.tags().len(), 0);
}

#[test]
fn no_tag_but_the_new_one_is_pushed() {
    let shop = Shop::live("");
    shop.git(&["config", "push.followTags", "true"]);
    shop.git(&["tag", "--annotate", "--message", "of Ada's own", "mine"]);

    let tagged = shop.sandbox.run(&["release", "production"]);

    assert_eq!(tagged.code, 0, "{}", tagged.told());
    let remote = shop.git(&["ls-remote", "--tags", "origin"]);
    assert!(remote.contains("refs/tags/v1.0.0") && !remote.contains("refs/tags/mine"), "{remote}");
}

#[test]
fn where_the_answer_to_a_tag_is_lost_nobody_says_that_there_is_none() {
    let shop = Shop::live("");
    // The tag is made, and what is asked afterwards is not answered.
    shop.github.order("POST", "git/refs", Mishap::DoneAndBroken);
    for _ in 0..6 {
        let long = vec![("retry-after", "3600".to_owned())];
        shop.github.order("GET", "git/ref/tags%2Fv1.0.0", Mishap::Answer(429, long, "Too many requests"));
    }

    let broken = shop.release(&[]);

    assert_ne!(broken.code, 0, "{}", broken.told());
    assert!(broken.stderr.contains("whether the tag v1.0.0 was made is not known"), "{}", broken.told());
}

#[test]
fn where_another_run_was_faster_its_release_gets_what_it_lacks_and_is_not_called_made() {
    let attach = |is: bool| format!("[release]\nenvironment = \"production\"\nattach = {is}\n");
    let shop = Shop::live(&attach(false));
    assert_eq!(shop.release(&[]).code, 0);
    let config = fs::read_to_string(shop.sandbox.repo().join("cutover.toml")).unwrap();
    shop.sandbox.write("cutover.toml", &config.replace("attach = false", "attach = true"));
    for done in ["✓ made", "was there"] {
        // Given that we looked before the other run had published.
        shop.github.order("GET", "/releases/tags/", Mishap::Answer(404, Vec::new(), "Not Found"));

        let slower = shop.release(&[]);

        assert_eq!(slower.code, 0, "{}", slower.told());
        assert_eq!(shop.github.outstanding_count(), 0);
        let told = format!(
            "exit 0\nwas there tag v1.0.0 at commit COMMIT-2\n\
             was there release https://github.com/shop/app/releases/tag/v1.0.0\n{done} artifact ARTIFACT\n{done} provenance\n"
        );
        assert_eq!(shop.told(&slower).trim(), told.trim());
        let releases = shop.github.releases();
        assert_eq!((releases.len(), shop.files().len()), (1, 2), "{releases:?}");
    }
}

#[test]
fn what_is_said_of_the_artifact_is_attached_with_the_signature_that_is_of_it() {
    let shop = Shop::live("");
    let [first, second] = ["first", "second"].map(|name| fs::read_to_string(key(&shop.sandbox, name)).unwrap());
    // Given a run that broke off between the signature and the statement,
    let refused = || Mishap::Answer(422, Vec::new(), "Validation Failed");
    for mishap in [Mishap::Spared, Mishap::Spared, refused(), refused()] {
        shop.github.order("POST", "/assets", mishap);
    }
    let broken = shop.release_with(&[], &first);
    assert!(broken.code == 1 && broken.stderr.contains("the release is not complete"), "{}", broken.told());
    let [file, signature] = &shop.files()[..] else { panic!("{:?}", shop.github.releases()) };
    assert_eq!([&*file.0, &*signature.0], ["shop-1.0.0.cutover", "shop-1.0.0.cutover.intoto.json.sig"]);
    // and another one, where somebody else has packed the same, and signs with another key.
    let artifacts = shop.sandbox.data_dir().join("artifacts");
    fs::remove_dir_all(artifacts.join("provenance")).unwrap();
    let note = fs::read_dir(artifacts.join("packed")).unwrap().last().unwrap().unwrap().path();
    let packing = fs::read_to_string(&note).unwrap();
    assert!(packing.contains("\"by\":\"ada"), "{packing}");
    fs::write(&note, packing.replace("\"by\":\"ada", "\"by\":\"grace")).unwrap();

    let whole = shop.release_with(&[], &second);
    let again = shop.release_with(&[], &first);

    assert!(whole.code == 0 && whole.stdout.contains("✓ made provenance"), "{}", whole.told());
    assert!(again.code == 0 && again.stdout.contains("was there provenance"), "{}", again.told());
    let dir = shop.sandbox.path().join("fetched");
    fs::create_dir(&dir).unwrap();
    let files = shop.files();
    files.iter().for_each(|(name, content)| fs::write(dir.join(name), content).unwrap());
    let names: Vec<&str> = files.iter().map(|(name, _)| &**name).collect();
    let file = "shop-1.0.0.cutover";
    assert_eq!(names, [file, "shop-1.0.0.cutover.intoto.json.sig", "shop-1.0.0.cutover.intoto.json"]);
    let shell = |line: &str| Command::new("sh").arg("-c").arg(line).current_dir(&dir).output().unwrap();
    let check =
        format!("ssh-keygen -Y check-novalidate -n cutover-provenance -s {file}.intoto.json.sig < {file}.intoto.json");
    assert!(shell(&check).status.success(), "the signature is of the statement");
    let said: Value = serde_json::from_slice(&files[2].1).unwrap();
    let sha256 = String::from_utf8(shell(&format!("sha256sum {file}")).stdout).unwrap()[..64].to_owned();
    assert_eq!(said["subject"][0]["digest"]["sha256"], sha256, "the statement is of the file");
}

#[test]
fn what_is_said_of_other_bytes_of_the_artifact_is_left_out() {
    let shop = Shop::live("");
    let artifacts = shop.sandbox.data_dir().join("artifacts");
    let only = |of: &str| fs::read_dir(artifacts.join(of)).unwrap().last().unwrap().unwrap().path();
    // Given a release whose file was attached by a machine that knew nothing more,
    let (note, packing) = (only("packed"), fs::read(only("packed")).unwrap());
    fs::remove_file(&note).unwrap();
    let first = shop.release(&[]);
    assert!(first.code == 0 && !first.stdout.contains("provenance"), "{}", first.told());
    assert_eq!(shop.files().len(), 1);
    // and one that would have written another file.
    fs::write(&note, packing).unwrap();
    let record = fs::read_to_string(only("records")).unwrap();
    fs::write(only("records"), record.replace("sell tea", "sell tea and much more than that")).unwrap();

    let second = shop.release(&[]);

    assert_eq!(second.code, 0, "{}", second.told());
    assert!(second.stderr.contains("is not about the file of the release, byte for byte"), "{}", second.told());
    assert_eq!(shop.files().len(), 1);
}

#[test]
fn a_release_that_takes_no_more_files_stays_without_provenance_and_is_whole() {
    let shop = Shop::live("");
    let packed = shop.sandbox.data_dir().join("artifacts/packed");
    fs::rename(&packed, packed.with_extension("aside")).unwrap();
    assert_eq!(shop.release(&[]).code, 0);
    shop.github.make_releases_immutable();
    fs::remove_dir(&packed).unwrap();
    fs::rename(packed.with_extension("aside"), &packed).unwrap();

    let again = shop.release(&[]);

    assert_eq!(again.code, 0, "{}", again.told());
    assert!(again.stderr.contains("the release takes no provenance any more"), "{}", again.told());
    assert_eq!(shop.files().len(), 1);
}

#[test]
fn what_another_machine_built_is_attached_as_it_wrote_it() {
    let store = tempfile::tempdir().unwrap();
    let shop = Shop::live(&format!("[artifact]\nstore.directory = \"{}\"\n", store.path().display()));
    let built = shop.sandbox.run(&["build"]);
    assert_eq!(built.code, 0, "{}", built.told());
    let dir = store.path().join("shop/artifacts").join(built.stdout.trim());
    let wrote = |ending: &str| {
        let is_it = |path: &PathBuf| path.to_str().unwrap().ends_with(ending);
        fs::read(fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).find(is_it).unwrap()).unwrap()
    };
    // Given a machine that has nothing of it.
    fs::remove_dir_all(shop.sandbox.data_dir().join("artifacts")).unwrap();

    let released = shop.release(&[]);

    assert_eq!(released.code, 0, "{}", released.told());
    let [file, statement] = &shop.files()[..] else { panic!("{}", released.told()) };
    assert_eq!(file.1, wrote(".cutover"));
    let provenance: Value = serde_json::from_slice(&wrote(".provenance.json")).unwrap();
    assert_eq!(statement.1, provenance["statement"].as_str().unwrap().as_bytes());
}
