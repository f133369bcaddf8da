use super::*;
use crate::setup::plan::{Change, Made, afterwards};
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
            "file /etc/sudoers.d/cutover-my_dshop-production",
            "directory /usr/local/lib/cutover",
            "directory /usr/local/lib/cutover/my_dshop-production",
            "program /usr/local/lib/cutover/my_dshop-production/cutover",
            "file /etc/systemd/system/shop.service",
            "directory /etc/systemd/system/multi-user.target.wants",
            "link /etc/systemd/system/multi-user.target.wants/shop.service",
            "file /etc/systemd/system/cutover-my_dshop-production.service",
            "directory /etc/systemd/system/multi-user.target.wants",
            "link /etc/systemd/system/multi-user.target.wants/cutover-my_dshop-production.service",
            "directory /etc/systemd/journald.conf.d",
            "file /etc/systemd/journald.conf.d/cutover-my_dshop-production.conf",
        ]
    );
}

#[test]
fn the_sudo_rule_is_for_the_units_verbs_and_nothing_else() {
    let rule = "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop.service, /usr/bin/systemctl stop shop.service, \
                /usr/bin/systemctl reset-failed shop.service";
    assert_eq!(text(&parts(SYSTEM), "cutover-my_dshop-production").lines().last(), Some(rule));
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
        "ConditionPathIsSymbolicLink=/opt/shop/current",
        "WorkingDirectory=/opt/shop/current",
        "ExecStart=/usr/local/lib/cutover/my_dshop-production/cutover agent exec --env-file /opt/shop/current/.env \
         -- /opt/shop/current/.venv/bin/python -m shop",
        "SyslogIdentifier=python",
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
fn no_unit_has_systemd_read_a_file_that_who_deploys_puts_there() {
    for scope in ["system", "user"] {
        let parts = parts(&format!("unit = \"shop.service\", scope = \"{scope}\", start = [\"./serve\"]"));
        let unit = text(&parts, "/shop.service");
        assert!(!unit.contains("EnvironmentFile") && unit.contains("--env-file /opt/shop/current/.env"), "{unit}");
    }
}

#[test]
fn no_unit_has_systemd_follow_a_link_of_who_deploys_to_tell_whether_something_is_there() {
    for scope in ["system", "user"] {
        let parts = parts(&format!("unit = \"shop.service\", scope = \"{scope}\", start = [\"./serve\"]"));
        let conditions = text(&parts, "/shop.service").lines().filter(|line| line.starts_with("Condition"));
        assert_eq!(conditions.collect::<Vec<_>>(), ["ConditionPathIsSymbolicLink=/opt/shop/current"], "{scope}");
    }
}

#[test]
fn a_service_without_an_env_file_is_started_by_systemd_itself() {
    let mut wish = wish(SYSTEM);
    wish.targets.values_mut().for_each(|config| config.env_file = None);
    let parts = wish.parts(Path::new("/home/deploy"));
    let unit = text(&parts, "/shop.service");
    assert!(unit.contains("\nExecStart=/opt/shop/current/.venv/bin/python -m shop\n"), "{unit}");
}

#[test]
fn a_users_unit_lies_with_the_user_and_asks_for_nothing_that_only_root_can_do() {
    let parts = parts("unit = \"shop.service\", scope = \"user\", start = \"exec ./serve\"");
    let unit = text(&parts, "/home/deploy/.config/systemd/user/shop.service");
    assert!(unit.contains("NoNewPrivileges=yes") && unit.contains("WantedBy=default.target"), "{unit}");
    assert!(!unit.contains("ProtectSystem") && !unit.contains("User="), "{unit}");
    assert_eq!(parts.last(), Some(&Part::Linger { user: "deploy".to_owned() }));
    assert!(
        names(&parts)
            .contains(&"file /home/deploy/.config/systemd/user/cutover-my_dshop-production.service".to_owned())
    );
}

#[test]
fn root_needs_no_account_and_no_rule() {
    let parts = Wish { user: "root".to_owned(), key: None, ..wish(SYSTEM) }.parts(Path::new("/root"));
    assert_eq!(names(&parts)[..2], ["directory /opt/shop", "directory /usr/local/lib/cutover"]);
}

#[test]
fn a_unit_of_the_users_own_is_left_alone() {
    assert!(!names(&parts("unit = \"shop.service\"")).iter().any(|name| name.ends_with("/shop.service")));
}

#[test]
fn no_two_environments_have_files_of_the_same_name_and_each_name_is_one_that_sudo_and_systemd_take() {
    let names =
        ["shop", "shop-eu", "eu", "eu-prod", "prod", "shop-", "my.shop", "my_shop", "my_dshop", "my-_.shop", "-x"];
    let longest = ["x".repeat(100), "_".repeat(100), ".".repeat(100).replacen('.', "a", 1)];
    let names: Vec<String> =
        names.map(str::to_owned).into_iter().chain(longest).filter(|name| !name.starts_with('-')).collect();
    let mut all = std::collections::BTreeMap::new();
    for (project, environment) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other))) {
        let slug =
            slug(&ProjectName::new(project.as_str()).unwrap(), &EnvironmentName::new(environment.as_str()).unwrap());
        assert!(slug.len() <= SLUG_LENGTH_MAX, "{slug}");
        assert!(slug.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{slug}");
        let other = all.insert(slug.clone(), (project, environment));
        assert_eq!(other, None, "{project} {environment}: {slug}");
    }
}

#[test]
fn a_name_that_means_more_than_a_user_is_refused() {
    let check = |user: &str| Wish { user: user.to_owned(), ..wish(SYSTEM) }.check_user().is_ok();
    assert!(["deploy", "_ci", "ada.l-2", "root"].into_iter().all(check));
    let long = "x".repeat(33);
    for user in ["ALL", "ADMINS", "%sudo", "#0", "+net", "-x", "", "a b", "a\nb", "a:b", "a/../b", "a=b", long.as_str()]
    {
        assert!(!check(user), "{user:?}");
    }
}

#[test]
fn whoever_must_hear_of_changes_hears_once_and_only_then() {
    let made = |part: &Part| Change::Make(Made { part: part.clone(), before: None });
    let changes: Vec<Change> = parts(SYSTEM).iter().map(made).collect();
    let said: Vec<String> = afterwards(&changes, &[]).iter().map(|owed| owed.argv().join(" ")).collect();
    assert_eq!(said, ["systemctl daemon-reload", "systemctl restart systemd-journald.service"]);
    assert_eq!(afterwards(&changes[..6], &[]), []);
}
