use super::*;
use crate::setup::look::{Found, Old};
use crate::setup::place::Owner;
use crate::setup::plan::{Change, Made, afterwards, plan, removal};
use cutover_core::config::{Config, TargetConfig};

const HOST: &str = "deploy_to = \"/opt/shop\"\nlinked_dirs = [\"data\", \"my files\"]\nenv_file = \".env\"\n";

/// A wish for one target with this service.
fn wish(service: &str) -> Wish {
    let text = format!("name = \"my.shop\"\n[targets.app.host]\n{HOST}service = {{ {service} }}\n");
    let config = Config::parse(&text).unwrap_or_else(|found| panic!("{found:?}"));
    let targets = config.targets.into_iter().map(|(name, TargetConfig::Host(host))| (name, host)).collect();
    let key = Some("ssh-ed25519 AAAAC3Nz ada@laptop".to_owned());
    let (project, environment) = (config.name, EnvironmentName::new("production").unwrap());
    Wish { project, environment, user: "deploy".to_owned(), key, targets }
}

fn parts(service: &str) -> Vec<Part> {
    wish(service).parts(Path::new("/home/deploy"))
}

fn names(parts: &[Part]) -> Vec<String> {
    parts.iter().map(Part::name).collect()
}

fn text<'p>(parts: &'p [Part], end: &str) -> &'p str {
    let file = parts.iter().find_map(|part| match part {
        Part::File { path, text, .. } if path.to_string_lossy().ends_with(end) => Some(text.as_str()),
        _ => None,
    });
    file.unwrap_or_else(|| panic!("no file {end}"))
}

const SYSTEM: &str = "unit = \"shop.service\", start = [\".venv/bin/python\", \"-m\", \"shop\"], timeout = \"2m\"";

#[test]
fn a_host_for_a_system_unit_has_all_this_in_this_order() {
    assert_eq!(
        names(&parts(SYSTEM)),
        [
            "user deploy",
            "deploy in group systemd-journal",
            "directory /home/deploy/.ssh",
            "line \"ssh-ed25519 …AAAAC3Nz ada@laptop\" in /home/deploy/.ssh/authorized_keys",
            "directory /opt/shop",
            "file /etc/sudoers.d/cutover-my_shop-production",
            "file /etc/systemd/system/shop.service",
            "directory /etc/systemd/system/multi-user.target.wants",
            "link /etc/systemd/system/multi-user.target.wants/shop.service",
            "directory /usr/local/lib/cutover",
            "directory /usr/local/lib/cutover/my_shop-production",
            "program /usr/local/lib/cutover/my_shop-production/cutover",
            "file /etc/systemd/system/cutover-my_shop-production.service",
            "directory /etc/systemd/system/multi-user.target.wants",
            "link /etc/systemd/system/multi-user.target.wants/cutover-my_shop-production.service",
            "directory /etc/systemd/journald.conf.d",
            "file /etc/systemd/journald.conf.d/cutover-my_shop-production.conf",
        ]
    );
}

#[test]
fn the_sudo_rule_is_for_the_units_verbs_and_nothing_else() {
    let rule = "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop.service, /usr/bin/systemctl stop shop.service, \
                /usr/bin/systemctl reset-failed shop.service";
    assert_eq!(text(&parts(SYSTEM), "cutover-my_shop-production").lines().last(), Some(rule));
    for other in ["unit = \"shop.service\", scope = \"user\"", "process = { command = \"./serve\" }"] {
        assert!(!names(&parts(other)).iter().any(|name| name.contains("sudoers")), "{other}");
    }
}

#[test]
fn a_system_unit_runs_what_the_config_says_as_who_deploys_and_writes_only_what_is_shared() {
    let parts = parts(SYSTEM);
    let unit = text(&parts, "/shop.service");
    for line in [
        "User=deploy",
        "WorkingDirectory=/opt/shop/current",
        "EnvironmentFile=-/opt/shop/current/.env",
        "ExecStart=/opt/shop/current/.venv/bin/python -m shop",
        "TimeoutStopSec=120s",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ReadWritePaths=-/opt/shop/shared/data",
        "ReadWritePaths=-\"/opt/shop/shared/my files\"",
        "WantedBy=multi-user.target",
    ] {
        assert!(unit.lines().any(|there| there == line), "{line} is not in\n{unit}");
    }
}

#[test]
fn a_users_unit_lies_with_the_user_and_asks_for_nothing_that_only_root_can_do() {
    let parts = parts("unit = \"shop.service\", scope = \"user\", start = \"exec ./serve\"");
    let unit = text(&parts, "/home/deploy/.config/systemd/user/shop.service");
    assert!(unit.contains("NoNewPrivileges=yes") && unit.contains("WantedBy=default.target"), "{unit}");
    assert!(!unit.contains("ProtectSystem") && !unit.contains("User="), "{unit}");
    assert_eq!(parts.last(), Some(&Part::Linger { user: "deploy".to_owned() }));
    assert!(
        names(&parts).contains(&"file /home/deploy/.config/systemd/user/cutover-my_shop-production.service".to_owned())
    );
}

#[test]
fn root_needs_no_account_and_no_rule() {
    let parts = Wish { user: "root".to_owned(), key: None, ..wish(SYSTEM) }.parts(Path::new("/root"));
    assert_eq!(names(&parts)[..2], ["directory /opt/shop", "file /etc/systemd/system/shop.service"]);
}

#[test]
fn a_unit_of_the_users_own_is_left_alone() {
    assert!(!names(&parts("unit = \"shop.service\"")).iter().any(|name| name.ends_with("/shop.service")));
}

#[test]
fn only_what_is_missing_or_different_is_made_and_what_is_not_wanted_any_more_is_taken_back() {
    let linger = |user: &str| Part::Linger { user: user.to_owned() };
    let old = Old { owner: Owner { uid: 0, gid: 0 }, mode: 0o644, text: None, to: None };
    let made = |user: &str, before: Option<&Old>| Made { part: linger(user), before: before.cloned() };
    let looked = vec![
        (linger("right"), Found::Right),
        (linger("absent"), Found::Absent),
        (linger("other"), Found::Other(old.clone())),
    ];
    let receipt = [made("first", None), made("right", None), made("second", Some(&old))];

    assert_eq!(
        plan(looked, &receipt),
        [
            Change::Make(made("absent", None)),
            Change::Make(made("other", Some(&old))),
            Change::TakeBack(made("second", Some(&old))),
            Change::TakeBack(made("first", None)),
        ]
    );
    let last_first: Vec<Change> = receipt.iter().rev().cloned().map(Change::TakeBack).collect();
    assert_eq!(removal(&receipt), last_first);
}

#[test]
fn the_keys_of_others_stay_when_one_sets_up_again() {
    let line = |key: &str| Part::Line {
        path: "/keys".into(),
        owner: "deploy".to_owned(),
        line: format!("ssh-ed25519 {key} ada@laptop"),
    };
    let receipt = [Made { part: line("AAAAone"), before: None }];

    assert_eq!(plan(vec![(line("AAAAtwo"), Found::Right)], &receipt), []);
    assert_ne!(line("AAAAone").name(), line("AAAAtwo").name());
}

#[test]
fn whoever_must_hear_of_changes_hears_once_and_only_then() {
    let made = |part: &Part| Change::Make(Made { part: part.clone(), before: None });
    let changes: Vec<Change> = parts(SYSTEM).iter().map(made).collect();
    let said: Vec<String> = afterwards(&changes).iter().map(|argv| argv.join(" ")).collect();
    assert_eq!(said, ["systemctl daemon-reload", "systemctl restart systemd-journald.service"]);
    assert_eq!(afterwards(&changes[..6]), Vec::<Vec<String>>::new());
}
