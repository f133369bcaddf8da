//! `cutover.toml` as users write it: what is accepted, and what is told when it is wrong.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use cutover_core::config::{
    ArtifactStoreKind, Checked, Config, Diagnostic, GitHubStoreConfig, HostConfig, Position, Severity, TargetConfig,
};
use std::fmt::Write as _;

const SAMPLE: &str = include_str!("data/host.toml");
const EVERYTHING: &str = include_str!("data/everything.toml");
const MISTAKES: &str = include_str!("data/mistakes.toml");
const BROKEN: &str = include_str!("data/broken.toml");

/// The diagnostics as a reader would check them: place, what is meant, words.
fn told(text: &str) -> String {
    let mut out = String::new();
    for Diagnostic { severity, message, span, label, hint } in Config::check(text).diagnostics {
        let Position { line, column } = Position::of(text, span.start);
        let meant = text[span].lines().next().unwrap_or_default();
        writeln!(out, "{line}:{column} {severity:?}: {message}\n    {meant}  <- {label}").unwrap();
        if let Some(hint) = hint {
            writeln!(out, "    hint: {hint}").unwrap();
        }
    }
    out
}

/// The only diagnostic of a text, with the text that it points to.
fn only(text: &str) -> (String, &str) {
    let mut found = Config::check(text).diagnostics;
    assert_eq!(found.len(), 1, "{found:#?}");
    let found = found.remove(0);
    (found.message, &text[found.span])
}

/// The only diagnostic of a text, with its hint.
fn hinted(text: &str) -> (String, String) {
    let found = Config::check(text).diagnostics;
    let [Diagnostic { severity: Severity::Error, message, hint: Some(hint), .. }] = found.as_slice() else {
        panic!("{found:#?}")
    };
    (message.clone(), hint.clone())
}

fn host(keys: &str) -> String {
    format!("name = \"x\"\n[targets.app.host]\ndeploy_to = \"/opt/x\"\n{keys}\n")
}

#[test]
fn the_sample_is_accepted_as_it_stands() {
    insta::assert_debug_snapshot!(Config::parse(SAMPLE).unwrap());
    assert_eq!(Config::check(SAMPLE).diagnostics, []);
}

#[test]
fn every_form_of_every_key_is_accepted() {
    insta::assert_debug_snapshot!(Config::parse(EVERYTHING).unwrap());
    assert_eq!(Config::check(EVERYTHING).diagnostics, []);
}

#[test]
fn all_mistakes_are_told_at_once() {
    insta::assert_snapshot!(told(MISTAKES));
}

#[test]
fn syntax_errors_are_told_together_with_what_they_did_not_cause() {
    insta::assert_snapshot!(told(BROKEN));
}

#[test]
fn an_environment_has_only_the_targets_that_it_has_hosts_for() {
    let config = Config::parse(EVERYTHING).unwrap();
    let targets = |name: &str| {
        let environment = &config.environments[&name.parse().unwrap()];
        environment.targets.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(targets("production"), ["api", "worker"]);
    assert_eq!(targets("staging"), ["api"]);
    assert_eq!(targets("test"), ["api"]);
    assert_eq!(targets("nowhere"), Vec::<String>::new());
}

#[test]
fn a_mistake_in_an_override_is_told_at_the_override_and_once() {
    let text = SAMPLE.replace("keep_releases = 2", "keep_releases = 1");
    assert_eq!(only(&text), ("`targets.app.host.keep_releases` must be from 2 to 1000".to_owned(), "1"));
    let text = SAMPLE.replace("keep_releases = 2", "keep_release = 2");
    assert_eq!(only(&text), ("unknown key `keep_release` in `targets.app.host`".to_owned(), "keep_release"));
}

#[test]
fn a_mistake_in_a_target_is_told_once_however_many_environments_use_it() {
    let text = SAMPLE.replace("\"100 MiB\"", "\"100 MB/s\"");
    assert_eq!(only(&text), ("`targets.app.host.disk_free_min` is not a size".to_owned(), "\"100 MB/s\""));
}

#[test]
fn an_override_that_brings_a_collision_is_told_at_the_override() {
    let text = format!("{SAMPLE}linked_files = [\"data/x\"]\n");
    let (message, meant) = only(&text);
    assert_eq!(message, "`targets.app.host` uses the path \"data/x\", which lies beneath \"data\"");
    assert_eq!(meant, "\"data/x\"");
}

#[test]
fn a_release_is_not_kept_where_its_migration_may_be_taken_back() {
    let config = |policy: &str, migrate: &str| {
        let rollout =
            format!("[environments.live]\nhosts.app = [\"a\", \"b\"]\nrollout.on_lost_coordinator = \"{policy}\"");
        format!("{}\n[targets.app.host.run]\nmigrate = {migrate}\n{rollout}\n", host(""))
    };
    let text = config("keep", "{ up = \"up\", down = \"down\" }");
    let (message, meant) = only(&text);
    assert_eq!(meant, "\"keep\"");
    assert!(message.contains("takes the schema away"), "{message}");
    for (policy, migrate) in [("restore", "{ up = \"up\", down = \"down\" }"), ("keep", "\"up\"")] {
        assert_eq!(told(&config(policy, migrate)), "", "{policy} {migrate}");
    }
}

#[test]
fn an_override_without_hosts_is_a_warning_and_its_mistakes_are_errors() {
    let text = SAMPLE.replace("app = [\"deploy@10.213.7.12\"]", "");
    let found = Config::check(&text);
    assert!(found.config.is_some());
    assert_eq!(found.diagnostics[0].severity, Severity::Warning);
    assert_eq!(found.diagnostics[0].message, "`environments.staging.targets.app` has no effect");
    assert!(Config::parse(&text.replace("keep_releases = 2", "keep_releases = 0")).is_err());
}

#[test]
fn a_missing_key_points_to_the_header_of_its_table() {
    let text = "name = \"x\"\n[targets.app.host]\nkeep_releases = 3\n";
    assert_eq!(only(text), ("`targets.app.host` lacks the key `deploy_to`".to_owned(), "[targets.app.host]"));
    assert_eq!(only("").0, "the file lacks the key `name`");
}

#[test]
fn a_service_is_exactly_one_thing() {
    let none = host("[targets.app.host.service]\ntimeout = \"5s\"");
    assert_eq!(only(&none).0, "`targets.app.host.service` lacks one of `unit`, `command`, `process`");
    let two = host("[targets.app.host.service]\nunit = \"x.service\"\nprocess = { command = \"x\" }");
    assert_eq!(only(&two), ("`targets.app.host.service` has both `unit` and `process`".to_owned(), "process"));
    let mixed = host("[targets.app.host.service]\nscope = \"user\"\nprocess = { command = \"x\" }");
    let why = "`targets.app.host.service` has `scope`, which goes with `unit` only";
    assert_eq!(only(&mixed), (why.to_owned(), "scope"));
}

#[test]
fn paths_that_cutover_makes_itself_are_reserved() {
    for path in [".venv", ".venv/lib", "release.json"] {
        let text = host(&format!("linked_files = [\"{path}\"]"));
        assert_eq!(only(&text).1, format!("\"{path}\""));
    }
    for keys in ["linked_dirs = [\"a\"]\nenv_file = \"a/.env\"", "config_links = { a = \"b\" }\nlinked_files = [\"a\"]"]
    {
        assert_eq!(Config::check(&host(keys)).diagnostics.len(), 1, "{keys}");
    }
    assert!(Config::parse(&host("linked_dirs = [\"a\", \"a-b\", \"ab\"]\nenv_file = \".env\"")).is_ok());
    let merged = "[environments.production]\nhosts.app = [\"web1\"]\ntargets.app.host = { linked_files = [\".env\"] }";
    assert_eq!(Config::check(&host(&format!("env_file = \".env\"\n{merged}"))).diagnostics.len(), 1);
}

#[test]
fn a_config_that_arrives_is_held_to_the_same_places() {
    let misplaced = |change: &dyn Fn(&mut HostConfig)| {
        let text = host("linked_dirs = [\"a\", \"a-b\", \"ab\"]\nenv_file = \".env\"");
        let TargetConfig::Host(mut config) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        change(&mut config);
        config.misplaced()
    };
    assert_eq!(misplaced(&|_| {}), None);
    for path in [".venv", "release.json/x", ".env", ".env/x", "a/b", "ab"] {
        let why = misplaced(&|config| config.linked_files = vec![path.into()]);
        assert!(why.is_some_and(|why| why.contains(path)), "{path}");
    }
    assert!(misplaced(&|config| config.env_file = Some("a-b/.env".into())).is_some());
    assert!(misplaced(&|config| drop(config.config_links.insert("a".into(), "c".into()))).is_some());
}

#[test]
fn two_targets_of_one_host_need_directories_that_do_not_lie_in_each_other() {
    let of = |deploy_to: &str| {
        let text = format!("name = \"shop\"\n[targets.app.host]\ndeploy_to = {deploy_to:?}\n");
        let TargetConfig::Host(host) = Config::parse(&text).unwrap().targets.into_values().next().unwrap();
        host
    };
    let why = |one: &str, other: &str| [of(one).collides_with(&of(other)), of(other).collides_with(&of(one))];
    assert_eq!(why("/opt/shop", "/opt/shop-two"), [None, None]);
    assert!(why("/opt/shop/", "/opt/shop").iter().flatten().all(|why| why == "have the same deploy_to /opt/shop"));
    for (one, other) in [("/opt/shop", "/opt/shop/"), ("/opt/shop", "/opt/shop/releases/x"), ("/opt", "/opt/shop")] {
        assert!(why(one, other).iter().all(Option::is_some), "{one} and {other}");
    }
}

/// Two environments: production on `web-1`, and another one with these hosts and this more.
fn beside_production(hosts: &str, more: &str) -> String {
    format!(
        "name = \"shop\"\n[targets.app.host]\ndeploy_to = \"/opt/shop\"\nservice = {{ unit = \"shop.service\" }}\n\
         [environments.production.hosts]\napp = [\"deploy@web-1\"]\n[environments.qa.hosts]\napp = {hosts}\n{more}"
    )
}

#[test]
fn an_environment_on_another_ones_host_has_a_place_of_its_own_or_is_a_mistake() {
    let place = |keys: &str| format!("[environments.qa.targets.app.host]\n{keys}\n");
    let unit = "service.unit = \"shop-qa.service\"";
    let (message, hint) = hinted(&beside_production("[\"web-2\", \"deploy@web-1\"]", &place(unit)));
    assert_eq!(
        message,
        "`targets.app` of `environments.qa` is deployed to /opt/shop on deploy@web-1, as `targets.app` of `environments.production` is"
    );
    assert_eq!(
        hint,
        "each deployment would replace the other's release; give it a directory of its own: \
         deploy_to = \"/opt/shop-qa\" in [environments.qa.targets.app.host]"
    );
    // Whoever logs in, it is the same machine.
    assert!(hinted(&beside_production("[\"root@WEB-1:22\"]", &place(unit))).0.contains("is deployed to /opt/shop on"));
    assert!(hinted(&beside_production("\"web-1\"", &place(unit))).0.contains("on web-1"), "without a list");
    let nested = format!("{unit}\ndeploy_to = \"/opt/shop/qa\"");
    assert!(hinted(&beside_production("[\"web-1\"]", &place(&nested))).0.contains("one lies in the other"));

    let apart = format!("{unit}\ndeploy_to = \"/opt/shop-qa\"");
    assert!(Config::parse(&beside_production("[\"web-1\"]", &place(&apart))).is_ok());
    assert!(Config::parse(&beside_production("[\"web-1:2222\"]", "")).is_ok(), "another port is another machine");
    assert!(Config::parse(&beside_production("[\"web-2\"]", "")).is_ok());
}

#[test]
fn two_places_of_one_host_do_not_run_the_same_unit() {
    let place = "[environments.qa.targets.app.host]\ndeploy_to = \"/opt/shop-qa\"\n";
    let (message, hint) = hinted(&beside_production("[\"root@web-1\"]", place));
    assert!(message.contains("`environments.qa` is run by shop.service on root@web-1"), "{message}");
    assert!(hint.contains("`service.unit` in [environments.qa.targets.app.host]"), "{hint}");

    // A user's unit is another user's other unit.
    let mine = |user: &str| {
        beside_production(&format!("[\"{user}@web-1\"]"), place)
            .replace("shop.service\"", "shop.service\", scope = \"user\"")
    };
    assert!(Config::parse(&mine("tester")).is_ok());
    assert!(hinted(&mine("deploy")).0.contains("is run by shop.service"));

    // Two targets of one environment are one deployment.
    let web = "\n[targets.web.host]\ndeploy_to = \"/opt/web\"\nservice = { unit = \"shop.service\" }\n";
    let both =
        beside_production("[\"web-2\"]", "").replace("hosts.app =", "hosts.web = [\"deploy@web-1\"]\nhosts.app =");
    let both = both.replacen("[environments.", &format!("{web}[environments."), 1);
    assert!(Config::parse(&both).is_ok(), "{:?}", Config::check(&both).diagnostics);
}

#[test]
fn two_places_of_one_host_whose_probes_ask_at_one_port_are_warned_of() {
    let beside = |verify: &str, more: &str| {
        let place = "[environments.qa.targets.app.host]\ndeploy_to = \"/opt/shop-qa\"\nservice.unit = \"qa.service\"\n";
        let own = format!("[targets.app.host.verify]\nprobes = [{verify}]\n");
        beside_production("[\"deploy@web-1\"]", &format!("{place}{more}\n{own}"))
    };
    let warned = |text: &str| {
        let Checked { config, diagnostics } = Config::check(text);
        assert!(
            config.is_some() && diagnostics.iter().all(|found| found.severity == Severity::Warning),
            "{diagnostics:?}"
        );
        diagnostics.into_iter().map(|found| (found.message, found.hint.unwrap())).collect::<Vec<_>>()
    };
    let http = "{ http = { url = \"http://127.0.0.1:8000/health\" } }";

    let [(message, hint)] = warned(&beside(http, "")).try_into().unwrap();

    assert_eq!(
        message,
        "`targets.app` of `environments.qa` is probed at 127.0.0.1:8000 on deploy@web-1, as `targets.app` of `environments.production` is"
    );
    assert_eq!(
        hint,
        "one of the two services answers there, and deployments of the other one fail; give it a port of its own, and let its probes \
         ask there: `verify.probes` in [environments.qa.targets.app.host]; `owner = \"any\"` where a proxy answers for both"
    );
    // By whatever name and kind of probe the port is asked.
    let tcp = |at: &str| format!("verify.probes = [{{ tcp = {{ address = \"{at}\" }} }}]");
    assert_eq!(warned(&beside(http, &tcp("LOCALHOST:8000"))).len(), 1);
    assert_eq!(warned(&beside("{ http = { url = \"http://[::1]/\" } }", &tcp("127.0.0.1:80"))).len(), 1);
    // Two ports, two addresses, a proxy that is meant, and what is elsewhere.
    assert_eq!(warned(&beside(http, &tcp("127.0.0.1:8001"))), []);
    assert_eq!(warned(&beside(http, &tcp("127.0.0.2:8000"))), []);
    assert_eq!(warned(&beside(&http.replace("} }", "}, owner = \"any\" }"), "")), []);
    assert_eq!(warned(&beside(&http.replace("127.0.0.1", "shop.example.org"), "")), []);
    let elsewhere = beside(http, "")
        .replace("[environments.qa.hosts]\napp = [\"deploy@web-1\"]", "[environments.qa.hosts]\napp = [\"web-2\"]");
    assert_eq!(warned(&elsewhere), []);
    // Two targets of one environment that are run by one unit mean the same service.
    let two = |unit: &str| {
        let target = |name: &str, unit: &str| {
            format!(
                "[targets.{name}.host]\ndeploy_to = \"/opt/{name}\"\nservice.unit = \"{unit}\"\nverify.probes = [{http}]\n"
            )
        };
        let hosts = "[environments.qa.hosts]\na = \"web-1\"\nb = \"web-1\"\n";
        format!("name = \"shop\"\n{}{}{hosts}", target("a", "shop.service"), target("b", unit))
    };
    assert_eq!(warned(&two("shop.service")), []);
    assert_eq!(warned(&two("other.service")).len(), 1);
    // Who is in one place altogether hears of that only.
    let (message, _) = hinted(&beside(http, "").replace("/opt/shop-qa", "/opt/shop"));
    assert!(message.contains("is deployed to /opt/shop on"), "{message}");
}

#[test]
fn two_targets_of_an_environment_and_two_names_of_a_host_are_no_places_of_their_own_either() {
    let text = "name = \"shop\"\n[targets.api.host]\ndeploy_to = \"/opt/shop\"\n[targets.web.host]\ndeploy_to = \"/opt/shop\"\n\
        [environments.production.hosts]\napi = [\"a\", \"b\"]\nweb = [\"b\", \"a\"]\n";
    let (message, hint) = hinted(text);
    assert!(message.starts_with("`targets.web` of `environments.production` is deployed to /opt/shop on"), "{message}");
    assert!(hint.ends_with("deploy_to = \"/opt/shop-web\" in [targets.web.host]"), "{hint}");

    let text = text
        .replace("/opt/shop\"\n[environments", "/opt/web\"\n[environments")
        .replace("\"b\", \"a\"", "\"a\", \"x@a\"");
    assert!(hinted(&text).1.ends_with("name the host once"));
}

#[test]
fn hostile_sizes_are_refused_quickly() {
    let large = format!("name = \"x\"\n#{}", "x".repeat(1 << 20));
    assert!(only(&large).0.contains("the most is 1048576"));
    let nested = format!("name = {}", "[".repeat(100_000));
    assert!(Config::parse(&nested).is_err());
    let unknown: String = (0..50_000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(Config::check(&unknown).diagnostics.len(), 101);
    let targets: String = (0..101).map(|n| format!("t{n} = 1\n")).collect();
    assert!(told(&format!("name = \"x\"\n[targets]\n{targets}")).contains("`targets` has 101 entries"));
}

#[test]
fn a_value_is_never_repeated_in_a_message() {
    let text = "name = \"x\"\n[environments.production]\nenv = { \"A B\" = \"hush-7\", C = \"hu\\u0000sh-8\" }\nsecrets = [\"hush 9\"]\n";
    let found = Config::parse(text).unwrap_err();
    assert_eq!(found.len(), 3);
    assert!(
        !format!("{:?}", found.iter().map(|d| (&d.message, &d.hint, &d.label)).collect::<Vec<_>>()).contains("sh-")
    );
}

#[test]
fn variables_that_reach_no_service_are_warned_of_and_what_to_do_depends_on_the_service() {
    let host = |name: &str, keys: &str| format!("[targets.{name}.host]\ndeploy_to = \"/opt/{name}\"\n{keys}\n");
    let text = [
        "name = \"x\"\n".to_owned(),
        host("own", "service.unit = \"own.service\""),
        host("process", "service.process.command = \"./serve\""),
        host("proxy", "service.command = { restart = \"r\", stop = \"s\", status = \"t\" }"),
        host("setup", "service = { unit = \"setup.service\", start = \"./serve\" }"),
        host("static", ""),
        host("right", "env_file = \".env\"\nservice.unit = \"right.service\""),
        "[environments.all]\nenv = { A = \"1\" }\nsecrets = [\"B\"]\n".to_owned(),
        "hosts = { own = \"a\", process = \"a\", proxy = \"a\", setup = \"a\", static = \"a\", right = \"a\" }\n"
            .to_owned(),
        "[environments.proxies]\nsecrets = [\"B\"]\nhosts.proxy = \"b\"\n".to_owned(),
        "[environments.overridden]\nenv.A = \"1\"\nhosts.own = \"c\"\n".to_owned(),
        "targets.own.host.env_file = \".env\"\n".to_owned(),
        "[environments.nothing]\nenv = {}\nsecrets = []\nhosts.own = \"d\"\n".to_owned(),
    ];
    insta::assert_snapshot!(told(&text.concat()));
}

/// A config with these checks, and how it is judged.
fn checks(text: &str) -> String {
    told(&format!("name = \"shop\"\n{text}"))
}

#[test]
fn a_check_says_what_it_needs_and_what_its_reports_must_say() {
    let config = Config::parse(EVERYTHING).unwrap();
    let check = |name: &str| config.checks.iter().find(|(key, _)| key.as_str() == name).unwrap().1;

    let tests = check("tests");
    assert_eq!(tests.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>(), ["lint"]);
    assert_eq!(tests.reports.junit, ["backend/junit.xml"]);
    assert_eq!(tests.limits.coverage_min.unwrap().to_string(), "66.5 %");
    assert_eq!((tests.limits.tests_min, tests.limits.severity_max), (Some(600), None));
    let lint = check("lint");
    assert!(lint.needs.is_empty() && lint.directory.is_none() && lint.reports.junit.is_empty());
    assert_eq!((lint.retries, lint.timeout), (0, std::time::Duration::from_secs(15 * 60)));
}

#[test]
fn a_gate_without_its_report_and_a_need_that_leads_nowhere_or_round_are_mistakes() {
    insta::assert_snapshot!(checks(
        "[checks.a]\nrun = \"true\"\nneeds = [\"b\", \"lnt\"]\ntests_min = 1\n\
         [checks.b]\nrun = \"true\"\nneeds = \"c\"\ncoverage_min = 101\nreports = { junit = \"j.xml\", coverage = [] }\n\
         [checks.c]\nrun = []\nneeds = [\"a\"]\nseverity_max = \"hight\"\ncache = { key = \"lock\", paths = \"/etc\" }\n\
         [checks.lint]\nrun = \"true\"\nreports.sarif = \"../out.sarif\"\n\
         [checks.alone]\nrun = \"true\"\nneeds = \"alone\"\n"
    ));
}

#[test]
fn needs_that_lead_to_a_cycle_and_from_one_are_no_cycle() {
    let check = |name: &str, needs: &str| format!("[checks.{name}]\nrun = \"true\"\nneeds = [{needs}]\n");
    let diamond = [("a", "'b', 'c'"), ("b", "'d'"), ("c", "'d'")].map(|(name, needs)| check(name, needs)).concat();
    assert_eq!(checks(&format!("{diamond}[checks.d]\nrun = \"true\"\n")), "");

    let around = [("before", "'one'"), ("one", "'two'"), ("two", "'one', 'after'")];
    let around = around.map(|(name, needs)| check(name, needs)).concat();
    let told = checks(&format!("{around}[checks.after]\nrun = \"true\"\n"));
    assert_eq!(told.matches("in turn").count(), 1, "{told}");
    assert!(told.contains("`checks.two` needs `one`, which needs it in turn"), "{told}");
}

#[test]
fn a_binary_for_runners_is_named_with_its_digest_or_not_at_all() {
    let text = |keys: &str| format!("name = \"x\"\n[workflows]\n{keys}\n");
    let url = text("url = \"https://example.org/cutover\"");
    assert_eq!(only(&url), ("`workflows` has `url` but no `sha256`".to_owned(), "url"));
    let sha256 = text(&format!("sha256 = \"{}\"", "0".repeat(64)));
    assert_eq!(only(&sha256), ("`workflows` has `sha256` but no `url`".to_owned(), "sha256"));
}

#[test]
fn a_release_that_holds_artifacts_is_this_repositorys_unless_another_one_is_named() {
    let text = |keys: &str| format!("name = \"x\"\n[artifact.store.github]\n{keys}\n");
    let kind = |keys: &str| Config::parse(&text(keys)).unwrap().artifact.store.unwrap().kind;
    let release = |repository: Option<&str>, tag: &str| {
        let (repository, tag) = (repository.map(str::to_owned), tag.to_owned());
        ArtifactStoreKind::GitHub(GitHubStoreConfig { repository, tag })
    };
    assert_eq!(kind(""), release(None, "cutover-artifacts"));
    let another = "repository = \"shop/artifacts\"\ntag = \"of_shop-1.0\"";
    assert_eq!(kind(another), release(Some("shop/artifacts"), "of_shop-1.0"));
    for wrong in ["shop", "shop/", "/a", "shop/a/b", "shop/..", "shop/a b", "shop/a?b"] {
        let text = text(&format!("repository = \"{wrong}\""));
        let told = only(&text);
        assert!(told.0.contains("is not a repository at GitHub"), "{wrong}: {told:?}");
    }
    for wrong in ["", "-a", ".a", "a.", "a..b", "a/b", "a b", "a.lock", "v*"] {
        let text = text(&format!("tag = \"{wrong}\""));
        let told = only(&text);
        assert!(told.0.contains("is not a tag"), "{wrong}: {told:?}");
    }
    let two =
        text("").replace("[artifact.store.github]", "[artifact.store]\ndirectory = \"/srv\"\n[artifact.store.github]");
    assert!(Config::parse(&two).is_err(), "one of them only");
}

#[test]
fn an_environment_waits_for_one_of_its_own_branch_only_and_never_for_itself() {
    let text = |after: &str| {
        format!(
            "name = \"x\"\n[environments.a]\nbranch = \"main\"\nhosts.w = \"localhost\"\n[environments.b]\n\
             branch = \"main\"\nhosts.w = \"web-1\"\n[environments.c]\nbranch = \"next\"\n[environments.d]\n\
             branch = \"main\"\n[targets.w.host]\ndeploy_to = \"/opt/w\"\n[workflows]\nafter = {after}\n"
        )
    };
    assert!(Config::parse(&text("{ a = \"b\" }")).is_ok());
    assert_eq!(
        only(&text("{ a = \"c\" }")),
        ("`workflows.after` puts `a` after `c`, which has another branch".to_owned(), "\"c\"")
    );
    // Nothing is deployed to `d`, so `a` would wait for nothing.
    assert_eq!(
        only(&text("{ a = \"d\" }")),
        ("`workflows.after` puts `a` after `d`, and `d` has no hosts".to_owned(), "\"d\"")
    );
    assert_eq!(
        only(&text("{ a = \"a\" }")),
        ("`workflows.after` puts `a` after itself in the end".to_owned(), "\"a\"")
    );
    assert_eq!(Config::check(&text("{ a = \"b\", b = \"a\" }")).diagnostics.len(), 2);
}
