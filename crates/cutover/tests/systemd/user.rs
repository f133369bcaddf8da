//! `scope = "user"`: a unit of a user who need not be logged in.

use crate::host::Host;
use crate::shop::{BROKEN, HEALTHY, HTTP_PROBE, Shop, wait_for};

#[test]
fn a_unit_of_a_lingering_user_is_deployed_taken_back_and_rolled_back() {
    let Some(host) = Host::boot("a_unit_of_a_lingering_user_is_deployed_taken_back_and_rolled_back") else { return };
    let mut shop = Shop::new(host, "ada", "user");
    shop.deploy(HEALTHY).expect(1).says(&["✗ preflight", "loginctl enable-linger"]);
    shop.assert_untouched();
    shop.host.shell("root", "loginctl enable-linger ada");
    wait_for("the user's systemd runs", || {
        shop.host.command("root", &["test", "-S", "/run/user/1000/systemd/private"]).status().unwrap().success()
    });
    shop.deploy(HEALTHY).expect(1).says(&["there is no unit shop.service", "~/.config/systemd/user"]);
    shop.write_unit("Restart=on-failure\nRestartSec=200ms\n");
    shop.verify = format!("within = \"15s\"\nprobes = [{HTTP_PROBE}, {{ log = {{ contains = \"open\" }} }}]\n");

    shop.deploy(HEALTHY).expect(0).says(&["2 probes passed"]);
    shop.deploy(HEALTHY).expect(0);
    shop.assert_serves(4, "after two deployments");
    shop.assert_looks_by_itself();
    let service = &shop.status()["service"];
    assert!(service["memory_bytes"].as_u64().unwrap() > 1 << 20, "{service}");
    let group = shop.host.shell("root", &format!("cat /proc/{}/cgroup", service["main"]["pid"]));
    assert!(group.contains("user@1000.service") && group.contains("/shop.service"), "{group}");

    let broken = shop.deploy(BROKEN).expect(3);
    let kept = broken.kept_log(&shop.host);
    broken.says(&["the service keeps crashing", "| the till 5 is jammed"]);
    assert!(kept.contains("the till 5 is jammed") && !kept.contains("open 4"), "{kept}");
    shop.assert_serves(4, "after the broken one");

    shop.cutover(&["rollback", "production"]).expect(0);
    shop.assert_serves(3, "after the rollback");
}
