//! What the repository at GitHub lacks, and the ruleset of the branch of production.

use crate::sandbox::{Ran, Sandbox};
use cutover_testkit::github::{FakeGitHub, Mishap};
use insta::assert_snapshot;
use serde_json::json;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};

const CONFIG: &str = r#"name = "shop"

[checks.tests]
run = "true"

[targets.api.host]
deploy_to = "/opt/shop"

[ssh.host_keys]
"web-1.example.org" = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm"

[environments.production]
branch = "main"
secrets = ["APP_TOKEN"]
hosts.api = "deploy@web-1.example.org"

[environments.staging]
branch = "main"
hosts.api = "localhost"

[workflows]
approval = ["production"]

[protection]
approvals = 1
"#;

/// A repository, and what GitHub has of it.
struct Shop {
    sandbox: Sandbox,
    github: FakeGitHub,
    token: String,
}

impl Shop {
    fn new() -> Self {
        let token = format!("ghp_{:016x}", RandomState::new().build_hasher().finish());
        let shop = Self { sandbox: Sandbox::new(), github: FakeGitHub::start(&token).unwrap(), token };
        shop.sandbox.write("cutover.toml", CONFIG);
        shop
    }

    /// One in which nothing is missing.
    fn sound() -> Self {
        let shop = Self::new();
        let written = shop.sandbox.run(&["workflows"]);
        assert_eq!(written.code, 0, "{}", written.told());
        let folders = [".github/workflows", ".github/actions/cutover"];
        for entry in folders.iter().flat_map(|folder| fs::read_dir(shop.sandbox.repo().join(folder)).unwrap()) {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(shop.sandbox.repo()).unwrap().to_str().unwrap().to_owned();
            shop.github.put_file(&name, &fs::read_to_string(&path).unwrap());
        }
        shop.github.add_environment("production", 2, Some(&["main"]));
        shop.github.add_environment("staging", 0, Some(&["main"]));
        for name in ["app_token", "CUTOVER_SSH_KEY"] {
            shop.github.add_secret("production", name);
        }
        assert_eq!(shop.run(&["protect"]).code, 0);
        shop
    }

    fn run(&self, args: &[&str]) -> Ran {
        let api = self.github.url();
        let variables = [("GITHUB_TOKEN", &*self.token), ("GITHUB_API_URL", &*api), ("GITHUB_REPOSITORY", "shop/app")];
        let ran = self.sandbox.run_with(&[&["github"], args].concat(), &variables);
        assert!(!ran.told().contains(&self.token), "the token is told: {}", ran.told());
        ran
    }
}

#[test]
fn where_nothing_is_set_up_all_that_is_missing_is_named_with_what_to_do() {
    let shop = Shop::new();
    shop.github.let_jobs_write();

    let told = shop.run(&["doctor"]);

    assert_eq!(told.code, 1, "{}", told.told());
    assert_snapshot!(told.stdout, @r#"
    shop/app
      ! actions    a job that says nothing of its rights may write; Cutover's all say what they may, others may not
                   -> Settings, Actions, General, Workflow permissions: read repository contents
      ✗ workflows  .github/actions/cutover/action.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ✗ workflows  .github/workflows/cutover-checks.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ✗ workflows  .github/workflows/cutover-deploy.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ✗ workflows  .github/workflows/cutover-manual.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ✗ workflows  .github/workflows/cutover-report.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ✗ workflows  .github/workflows/cutover-rollback.yml is not on the default branch
                   -> `cutover workflows`, commit, push to the default branch
      ! branch     main, which production is deployed from, is not protected by: changes by pull request alone, no force push, no deletion, the check "checks"
                   -> `cutover github protect production`
      ✓ 2 as it should be
    production
      ✗ settings   is not there at GitHub, or the token may not see it
                   -> Settings, Environments, New environment: production
      ✗ secrets    APP_TOKEN is missing
                   -> Settings, Environments, production, Add environment secret: APP_TOKEN
      ✗ secrets    CUTOVER_SSH_KEY is missing
                   -> Settings, Environments, production, Add environment secret: CUTOVER_SSH_KEY
    staging
      ! settings   is not there at GitHub, or the token may not see it
                   -> Settings, Environments, New environment: staging
    9 in the way of workflows, 3 more not well
    "#);
}

#[test]
fn where_nothing_is_missing_everything_is_well() {
    let shop = Shop::sound();

    let told = shop.run(&["doctor", "-v"]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert_snapshot!(told.stdout, @r"
    shop/app
      ✓ repository is there
      ✓ actions    all may run
      ✓ actions    a job that says nothing of its rights may only read
      ✓ workflows  6 files on the default branch are what cutover.toml says
      ✓ branch     main is protected
    production
      ✓ settings   2 people or teams are asked
      ✓ branches   those that deploy may
      ✓ secrets    APP_TOKEN is there
      ✓ secrets    CUTOVER_SSH_KEY is there
    staging
      ✓ settings   is there
      ✓ branches   those that deploy may
    everything is well
    ");
    let asked = shop.github.received();
    let last = asked.iter().rposition(|one| one.method != "GET").unwrap();
    assert!(asked[last].path.ends_with("/rulesets"), "a look changes nothing: {}", asked[last].path);
}

#[test]
fn what_differs_from_what_is_needed_is_told_apart() {
    let shop = Shop::sound();
    shop.github.put_file(".github/workflows/cutover-deploy.yml", "# of last year\n");
    let nothing = json!({ "github_owned_allowed": false, "patterns_allowed": ["actions/checkout@*"] });
    shop.github.allow_actions(&json!({ "enabled": true, "allowed_actions": "selected" }), &nothing);
    shop.github.add_environment("production", 0, Some(&["release"]));
    shop.github.add_environment("staging", 0, None);
    shop.sandbox.write("cutover.toml", &CONFIG.replace("[\"APP_TOKEN\"]", "[\"APP_TOKEN\", \"SHARED\", \"OTHER\"]"));
    shop.github.add_secret("(organization)", "SHARED");

    let told = shop.run(&["doctor"]);

    assert_eq!(told.code, 1, "{}", told.told());
    assert_snapshot!(told.stdout, @r"
    shop/app
      ✗ actions    may not run, and the workflows use them: actions/download-artifact, actions/upload-artifact
                   -> Settings, Actions, General: allow actions created by GitHub
      ! workflows  .github/workflows/cutover-deploy.yml is on the default branch, and is not what cutover.toml here says
                   -> `cutover workflows`, commit, push to the default branch
      ! workflows  .github/workflows/cutover-manual.yml is on the default branch, and is not what cutover.toml here says
                   -> `cutover workflows`, commit, push to the default branch
      ✓ 3 as it should be
    production
      ✗ settings   cutover.toml wants an approval, and GitHub asks nobody
                   -> Settings, Environments, production: required reviewers
      ✗ branches   may not deploy here: main
                   -> Settings, Environments, production, Deployment branches: main
      ✗ secrets    OTHER is missing
                   -> Settings, Environments, production, Add environment secret: OTHER
      ! secrets    SHARED is a secret of the repository or its organization: workflows of any branch have it
                   -> Settings, Environments, production, Add environment secret: SHARED
      ✓ 2 as it should be
    staging
      ! branches   whoever can push any branch can have a workflow there that has the environment's secrets
                   -> Settings, Environments, staging, Deployment branches: main
      ✓ 1 as it should be
    4 in the way of workflows, 4 more not well
    ");
    let json = shop.run(&["doctor", "--json"]).json();
    assert_eq!(
        (json["v"].as_u64(), json["places"][1]["environment"].as_str()),
        (Some(1), Some("production")),
        "{json}"
    );
}

#[test]
fn secrets_of_the_repository_for_the_job_that_packs_are_looked_for() {
    let shop = Shop::sound();
    let artifact = "\n[artifact]\nsigners = \"allowed_signers\"\n[artifact.store.s3]\nbucket = \"shop\"\n";
    shop.sandbox.write("cutover.toml", &format!("{CONFIG}{artifact}"));

    let told = shop.run(&["doctor"]);

    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CUTOVER_SIGNING_KEY"] {
        assert!(told.stdout.contains(&format!("{name} is missing")), "{}", told.told());
        assert!(told.stdout.contains(&format!("New repository secret: {name}")), "{}", told.told());
        assert!(!told.stdout.contains(&format!("Add environment secret: {name}")), "{}", told.told());
    }
}

#[test]
fn a_token_that_may_see_little_is_told_what_it_did_not_see() {
    let shop = Shop::sound();
    for right in ["administration", "environments", "secrets"] {
        shop.github.refuse(right);
    }

    let told = shop.run(&["doctor"]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert_snapshot!(told.stdout, @r"
    shop/app
      ! actions    could not be looked at: GitHub does not let the token look at the settings of Actions (403: Resource not accessible by integration); that needs the permission `administration: read`
                   -> give the token that right, or look yourself
      ! secrets    could not be looked at: GitHub does not let the token list the names of secrets (403: Resource not accessible by integration); that needs the permission `secrets: read`
                   -> give the token that right, or look yourself
      ✓ 3 as it should be
    production
      ! secrets    could not be looked at: GitHub does not let the token list the names of the environment's secrets (403: Resource not accessible by integration); that needs the permission `environments: read`
                   -> give the token that right, or look yourself
      ! secrets    whether APP_TOKEN is there could not be seen
                   -> Settings, Environments, production, Add environment secret: APP_TOKEN
      ! secrets    whether CUTOVER_SSH_KEY is there could not be seen
                   -> Settings, Environments, production, Add environment secret: CUTOVER_SSH_KEY
      ✓ 2 as it should be
    staging
      ✓ 2 as it should be
    workflows can run; 5 not well
    ");
}

#[test]
fn a_github_that_is_not_reached_and_a_token_that_is_missing_are_told_apart() {
    let shop = Shop::new();
    for _ in 0..3 {
        let long = vec![("retry-after", "3600".to_owned())];
        shop.github.order("GET", "/repos/shop/app", Mishap::Answer(429, long, "Too many requests"));
    }
    let unreached = shop.run(&["doctor"]);
    assert_eq!(unreached.code, 7, "{}", unreached.told());

    let nobody = shop.sandbox.run(&["github", "doctor"]);

    assert_eq!(nobody.code, 2, "{}", nobody.told());
    assert_snapshot!(nobody.stderr, @r"
    error: no repository at GitHub can be spoken of: GITHUB_TOKEN is not set
      hint: GITHUB_TOKEN is a fine-grained token of your own for this repository
      hint: GITHUB_REPOSITORY=OWNER/NAME names it where the remote called origin does not
    ");
}

#[test]
fn where_nobody_answers_that_is_told_soon_with_what_to_look_at() {
    let shop = Shop::new();
    // Nobody may listen at the first port without being root.
    let api = "http://127.0.0.1:1";
    for what in [&["github", "doctor"][..], &["github", "protect", "--dry-run"]] {
        let variables = [("GITHUB_TOKEN", &*shop.token), ("GITHUB_API_URL", api), ("GITHUB_REPOSITORY", "shop/app")];
        let ran = shop.sandbox.run_with(what, &variables);

        assert_eq!(ran.code, 7, "{}", ran.told());
        let told: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("waiting for ")).collect();
        assert_eq!(told.len(), 2, "{}", ran.told());
        assert!(ran.stderr.contains("GITHUB_API_URL says where GitHub is"), "{}", ran.told());
    }
}

#[test]
fn a_branch_is_protected_once_and_what_people_changed_is_mended() {
    let shop = Shop::new();
    let theirs = json!({ "name": "theirs", "target": "branch", "enforcement": "active", "rules": [{ "type": "deletion" }],
        "conditions": { "ref_name": { "include": ["~ALL"], "exclude": [] } } });
    shop.github.add_ruleset(&theirs);

    let shown = shop.run(&["protect", "--dry-run"]);

    assert_eq!(shown.code, 0, "{}", shown.told());
    assert_snapshot!(shown.stdout, @r#"
    "cutover: shop, main", for main: would change
      + target: branch
      + enforcement: active
      + include: refs/heads/main
      + deletion
      + non_fast_forward
      + pull_request
      + pull_request: dismiss_stale_reviews_on_push = true
      + pull_request: require_code_owner_review = false
      + pull_request: require_last_push_approval = false
      + pull_request: required_approving_review_count = 1
      + pull_request: required_review_thread_resolution = false
      + required_status_checks
      + required_status_checks: do_not_enforce_on_create = true
      + required_status_checks: checks
      + required_status_checks: strict_required_status_checks_policy = false
    "#);
    assert_eq!(shop.github.rulesets().len(), 1, "a look changes nothing");

    let made = shop.run(&["protect", "production"]);
    assert!(made.code == 0 && made.stdout.contains("changed"), "{}", made.told());
    let changes = |shop: &Shop| shop.github.received().iter().filter(|one| one.method != "GET").count();
    assert_eq!(changes(&shop), 1);
    let again = shop.run(&["protect"]);
    assert_eq!(again.stdout, "✓ main is protected by \"cutover: shop, main\"\n", "{}", again.told());
    assert_eq!(changes(&shop), 1, "what is there is not sent again");

    // With another config, and with somebody who was let through since.
    shop.sandbox.write("cutover.toml", &CONFIG.replace("approvals = 1", "up_to_date = true"));
    let mended = shop.run(&["protect"]);
    assert_eq!(mended.code, 0, "{}", mended.told());
    assert_snapshot!(mended.stdout, @r#"
    "cutover: shop, main", for main: changed
      - pull_request: dismiss_stale_reviews_on_push = true
      - pull_request: required_approving_review_count = 1
      - required_status_checks: strict_required_status_checks_policy = false
      + pull_request: dismiss_stale_reviews_on_push = false
      + pull_request: required_approving_review_count = 0
      + required_status_checks: strict_required_status_checks_policy = true
    "#);
    let rulesets = shop.github.rulesets();
    assert_eq!((rulesets.len(), rulesets[0]["rules"].as_array().unwrap().len()), (2, 1), "theirs is as it was");
}

#[test]
fn what_people_added_to_our_ruleset_stays_in_it() {
    let shop = Shop::new();
    let actors = json!([{ "actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always" }]);
    let ours = json!({ "name": "cutover: shop, main", "target": "branch", "enforcement": "active", "rules": [],
        "conditions": { "ref_name": { "include": ["refs/heads/main", "refs/heads/old"], "exclude": [] } },
        "bypass_actors": actors });
    shop.github.add_ruleset(&ours);

    let changed = shop.run(&["protect"]);

    assert!(changed.code == 0 && changed.stdout.contains("changed"), "{}", changed.told());
    let ruleset = shop.github.rulesets().remove(0);
    assert_eq!(ruleset["bypass_actors"], actors);
    assert_eq!(ruleset["conditions"]["ref_name"]["include"], json!(["refs/heads/main", "refs/heads/old"]));
    assert_eq!(ruleset["rules"].as_array().unwrap().len(), 4);
    assert!(shop.run(&["protect"]).stdout.starts_with("✓ main is protected"), "nothing is otherwise any more");
}

#[test]
fn one_branch_s_protection_is_not_taken_by_another_s() {
    let shop = Shop::new();
    let tests =
        CONFIG.replace("[environments.staging]\nbranch = \"main\"", "[environments.staging]\nbranch = \"next\"");
    shop.sandbox.write("cutover.toml", &tests);

    for environment in ["production", "staging"] {
        let made = shop.run(&["protect", environment]);
        assert_eq!(made.code, 0, "{}", made.told());
    }

    let includes: Vec<_> =
        shop.github.rulesets().iter().map(|ruleset| ruleset["conditions"]["ref_name"]["include"].clone()).collect();
    assert_eq!(includes, [json!(["refs/heads/main"]), json!(["refs/heads/next"])]);
}

#[test]
fn the_environment_of_pull_requests_must_let_them_in() {
    let shop = Shop::new();
    let pulls = CONFIG.replace("approval =", "pull_requests = \"staging\"\napproval =");
    shop.sandbox.write("cutover.toml", &pulls);
    let told = |patterns: Option<&[&str]>| {
        shop.github.add_environment("staging", 0, patterns);
        let told = shop.run(&["doctor", "-v"]).stdout;
        let (_, staging) = told.split_once("\nstaging\n").unwrap();
        staging.lines().find(|line| line.contains(" branches ")).unwrap_or_default().to_owned()
    };

    let refused = told(Some(&["main", "*"]));
    let (named, any) = (told(Some(&["main", "refs/pull/*/merge"])), told(None));

    assert_snapshot!([refused, named, any].join("\n"), @r"
    ✗ branches   may not deploy here: refs/pull/*/merge
    ✓ branches   those that deploy may
    ✓ branches   pull requests may deploy here, and so may any branch
    ");
}

#[test]
fn an_odd_answer_hides_nothing_else() {
    let shop = Shop::sound();
    shop.github.allow_actions(&json!({ "enabled": true, "allowed_actions": "selected" }), &json!({}));
    shop.github.order("GET", "selected-actions", Mishap::Answer(409, Vec::new(), "Conflict"));

    let told = shop.run(&["doctor"]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert!(
        told.stdout.contains("! actions    could not be looked at: ") && told.stdout.contains("Conflict"),
        "{}",
        told.told()
    );
    assert!(told.stdout.contains("\nproduction\n"), "{}", told.told());
}

#[test]
fn rules_of_others_that_contradict_are_told_and_left() {
    let shop = Shop::sound();
    let rules = json!([{ "type": "update" }, { "type": "required_status_checks", "parameters": {
        "strict_required_status_checks_policy": false,
        "required_status_checks": [{ "context": "checks / checks" }, { "context": "lint" }] } }]);
    let theirs = json!({ "name": "old", "target": "branch", "enforcement": "active", "rules": rules,
        "conditions": { "ref_name": { "include": ["refs/heads/main"], "exclude": [] } } });
    shop.github.add_ruleset(&theirs);

    let told = shop.run(&["protect"]);

    assert_eq!(told.code, 0, "{}", told.told());
    assert_snapshot!(told.stderr, @r#"
    warning: the ruleset "old" lets nobody change main who may not bypass it
    warning: the ruleset "old" requires "checks / checks", which the workflows do not report on every pull request
    "#);
}

#[test]
fn a_token_that_may_not_protect_is_told_so_and_nothing_is_half_done() {
    let shop = Shop::new();
    shop.github.refuse("administration");

    let refused = shop.run(&["protect"]);

    assert_eq!(refused.code, 1, "{}", refused.told());
    assert_snapshot!(refused.stderr, @r"
    error: the token may not do that
      because: GitHub does not let the token make a ruleset (403: Resource not accessible by integration); that needs the permission `administration: write`
      state: nothing was changed at GitHub
      hint: it takes a token of somebody who administers the repository: a job's own may not
    ");
    shop.sandbox.write("cutover.toml", &CONFIG.replace("branch = \"main\"\n", ""));
    let nowhere = shop.run(&["protect"]);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("no branch is known"), "{}", nowhere.told());
}

#[test]
fn trouble_of_github_s_own_makes_no_second_ruleset() {
    for mishap in [Mishap::DoneAndBroken, Mishap::DoneAndCut, Mishap::HungUp] {
        let shop = Shop::new();
        shop.github.order("POST", "/rulesets", mishap);
        let made = shop.run(&["protect"]);
        assert_eq!(made.code, 0, "{}", made.told());
        assert_eq!(shop.github.rulesets().len(), 1);
        assert_eq!(shop.github.outstanding_count(), 0);
    }
}

#[test]
fn what_could_not_be_looked_at_is_said_and_not_called_done() {
    let odd = || Mishap::Answer(409, Vec::new(), "Conflict");
    let shop = Shop::new();
    shop.github.order("GET", "/rules/branches/main", odd());

    let sent = shop.run(&["protect"]);

    assert_eq!(sent.code, 0, "{}", sent.told());
    assert!(
        sent.stdout.starts_with("\"cutover: shop, main\", for main: sent, and not seen to be in force\n"),
        "{}",
        sent.told()
    );
    assert_snapshot!(sent.stderr, @"warning: whether the ruleset is in force, and whether rules of others contradict it, is not known: GitHub did not look at the rules of the branch (409: Conflict)");

    shop.github.order("GET", "/rules/branches/main", Mishap::Answer(404, Vec::new(), "Not Found"));
    shop.github.order("GET", "/branches/main", odd());
    let again = shop.run(&["protect"]);
    assert_snapshot!(again.told(), @r#"
    exit 0
    ! main has "cutover: shop, main" as it shall be
    --- stderr
    warning: whether the ruleset is in force, and whether rules of others contradict it, is not known: it is not there, or this token may not even know of it (404)
    warning: what the older protection of main requires is not known: GitHub did not look at the branch (409: Conflict)
    "#);
    shop.github.order("GET", "/rules/branches/main", odd());
    let json = shop.run(&["protect", "--json"]).json();
    assert_eq!(
        (&json["protection"]["is_in_force"], json["protection"]["unseen"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
    assert_eq!(shop.run(&["protect"]).stderr, "", "nothing is unseen");
}
