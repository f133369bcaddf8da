//! `scope = "system"`, as a user who may only do what sudoers says.

use crate::host::Host;
use crate::shop::{BROKEN, HEALTHY, HTTP_PROBE, Shop};

/// Allows just what Cutover asks for.
fn allow(host: &Host, user: &str) {
    allow_unit(host, user, "shop");
}

/// The same for this unit, and for no other.
fn allow_unit(host: &Host, user: &str, unit: &str) {
    let commands = ["restart", "stop", "reset-failed"].map(|verb| format!("/usr/bin/systemctl {verb} {unit}.service"));
    let rule = format!("{user} ALL=(root) NOPASSWD: {}\n", commands.join(", "));
    host.write("root", "/etc/sudoers.d/shop", &rule);
    host.shell("root", "chmod 440 /etc/sudoers.d/shop; visudo --check --quiet --file=/etc/sudoers.d/shop");
}

#[test]
fn a_user_with_a_narrow_sudo_rule_deploys_and_goes_back() {
    let Some(host) = Host::boot("a_user_with_a_narrow_sudo_rule_deploys_and_goes_back") else { return };
    let shop = Shop::with_unit(host, "ada", "system");
    allow(&shop.host, "ada");
    shop.host.shell("root", "gpasswd --add ada systemd-journal");
    let other = shop.host.command("ada", &["sudo", "-n", "systemctl", "restart", "dbus.service"]).output().unwrap();
    assert!(!other.status.success(), "the rule allows more than it should");

    shop.deploy(HEALTHY).expect(0);
    shop.deploy(HEALTHY).expect(0);
    shop.assert_serves(2, "after two deployments");
    shop.assert_looks_by_itself();
    let broken = shop.deploy(BROKEN).expect(3);
    let kept = broken.kept_log(&shop.host);
    broken.says(&["| the till 3 is jammed"]);
    assert!(kept.contains("the till 3 is jammed") && kept.contains("Started shop.service"), "{kept}");
    shop.assert_serves(2, "after the broken one");
    shop.cutover(&["rollback", "production"]).expect(0);
    shop.assert_serves(1, "after the rollback");
    assert_eq!(shop.host.property("shop", "User"), "ada");
}

#[test]
fn a_user_whom_sudo_does_not_let_is_told_the_rule_before_anything_is_touched() {
    let Some(host) = Host::boot("a_user_whom_sudo_does_not_let_is_told_the_rule_before_anything_is_touched") else {
        return;
    };
    let shop = Shop::with_unit(host, "ada", "system");

    let ran = shop.deploy(HEALTHY).expect(1);

    let rule = "NOPASSWD: /usr/bin/systemctl restart shop.service, /usr/bin/systemctl stop shop.service, \
                /usr/bin/systemctl reset-failed shop.service";
    ran.says(&["this user may not run `sudo -n systemctl restart shop.service`", rule]);
    shop.assert_untouched();
}

#[test]
fn a_journal_that_may_not_be_read_is_said_and_fails_no_healthy_release() {
    let Some(host) = Host::boot("a_journal_that_may_not_be_read_is_said_and_fails_no_healthy_release") else { return };
    // What a system's own user says lies in the system's journal, which it may not read.
    host.shell("root", "useradd --system --create-home --shell /bin/bash till");
    let mut shop = Shop::with_unit(host, "till", "system");
    allow(&shop.host, "till");
    let unread = "the journal of shop.service cannot be read by this user";
    let with_log = "within = \"5s\"\nprobes = [{ log = { contains = \"open\" } }]\n";

    shop.verify = with_log.to_owned();
    shop.deploy(HEALTHY).expect(1).says(&["✗ preflight", unread, "systemd-journal"]);
    shop.assert_untouched();

    shop.verify = format!("within = \"15s\"\nfatal = [\"cannot\", \"exit code\"]\nprobes = [{HTTP_PROBE}]\n");
    shop.deploy(HEALTHY).expect(0).says(&["fatal lines will not be seen", unread]);
    shop.assert_serves(2, "with a journal that may not be read");
    let broken = shop.deploy(BROKEN).expect(3);
    let kept = broken.kept_log(&shop.host);
    assert!(kept.contains(unread), "{kept}");
    broken.says(&[unread]);
    shop.assert_serves(2, "after the broken one");
    shop.cutover(&["app", "production", "logs"]).expect(1).says(&[unread, "systemd-journal"]);

    shop.host.shell("root", "gpasswd --add till systemd-journal");
    shop.verify = with_log.to_owned();
    shop.deploy(HEALTHY).expect(0);
    shop.assert_serves(4, "once the journal may be read");
}

#[test]
fn a_unit_that_a_release_has_no_more_is_stopped_where_sudo_lets_it_and_named_where_not() {
    let Some(host) = Host::boot("a_unit_that_a_release_has_no_more_is_stopped_where_sudo_lets_it_and_named_where_not")
    else {
        return;
    };
    let shop = Shop::with_unit(host, "ada", "system");
    allow(&shop.host, "ada");
    shop.deploy(HEALTHY).expect(0);
    let config = shop.host.shell("ada", "cat /srv/shop/cutover.toml");
    let active = || shop.host.property("shop", "ActiveState");

    // A rule that does not name the unit any more.
    allow_unit(&shop.host, "ada", "till");
    shop.host.write("ada", "/srv/shop/cutover.toml", &without_service(&config));
    shop.cutover(&["plan", "production"])
        .expect(0)
        .says(&["! app: stops shop.service, which this release has no more"]);
    let refused = "shop.service, which this release has no more, still runs: this user may not stop it; \
                   `sudo systemctl disable --now shop.service` does, for good";
    shop.cutover(&["deploy", "production"]).expect(0).says(&[refused]);
    assert_eq!(active(), "active");

    // One that does.
    allow(&shop.host, "ada");
    shop.cutover(&["rollback", "production"]).expect(0);
    assert_eq!((active().as_str(), shop.answer().as_str()), ("active", "shop 1"));
    let at_boot = "shop.service is enabled, so that it starts with the machine: `sudo systemctl disable shop.service`";
    shop.cutover(&["deploy", "production"]).expect(0).says(&[at_boot]);
    assert_eq!(active(), "inactive");
}

fn without_service(config: &str) -> String {
    let (before, rest) = config.split_once("[targets.app.host.service]").unwrap();
    let (_, after) = rest.split_once("[environments.").unwrap();
    format!("{before}[environments.{after}")
}

#[test]
fn a_unit_that_another_takes_over_from_and_nobody_may_stop_is_named_until_it_is_stopped_by_hand() {
    let Some(host) =
        Host::boot("a_unit_that_another_takes_over_from_and_nobody_may_stop_is_named_until_it_is_stopped_by_hand")
    else {
        return;
    };
    let shop = Shop::with_unit(host, "ada", "system");
    allow(&shop.host, "ada");
    shop.deploy(HEALTHY).expect(0);
    let config = shop.host.shell("ada", "cat /srv/shop/cutover.toml");
    shop.host.shell("root", "cd /etc/systemd/system; cp shop.service till.service; systemctl daemon-reload");
    allow_unit(&shop.host, "ada", "till");
    shop.host.write("ada", "/srv/shop/cutover.toml", &config.replace("shop.service", "till.service"));

    let refused = shop.cutover(&["deploy", "production"]).expect(3);

    refused.says(&["`sudo systemctl disable --now shop.service` does, for good"]);
    assert_eq!(shop.host.property("shop", "ActiveState"), "active");
    shop.host.shell("root", "systemctl disable --quiet --now shop.service");
    shop.cutover(&["deploy", "production"]).expect(0);
    shop.assert_serves(1, "in the new unit");
}
