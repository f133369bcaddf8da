//! The machine's power is cut in the middle of a deployment.

use crate::host::Host;
use crate::shop::{HEALTHY, Shop};

/// Takes a moment to answer, so that there is a middle of its verification.
const SLOW: &str = "time.sleep(1)\nserve()";

#[test]
fn after_a_power_cut_exactly_one_release_is_live_and_healthy() {
    let Some(host) = Host::boot("after_a_power_cut_exactly_one_release_is_live_and_healthy") else { return };
    let shop = Shop::with_unit(host, "root", "system");
    // Stopping takes a moment as well: a restart has a middle.
    shop.write_unit("Restart=on-failure\nExecStop=/bin/sleep 1\n");
    shop.deploy(HEALTHY).expect(0);
    let mut live = 1;
    // Each line is told when the step before is done, so the power goes while the next one is at work.
    for told in ["✓ assemble", "✓ env", "✓ switch", "✓ restart"] {
        let version = shop.commit(SLOW);
        assert!(shop.deploy_until(told), "never told: {told}");

        shop.host.cut_power();
        shop.host.power_on();
        let ran = shop.cutover(&["resume", "production"]);

        let about = format!("cut after {told}\n{}", ran.told());
        live = match ran.code() {
            0 => version,
            1 | 3 => live,
            other => panic!("exit {other}, {about}"),
        };
        shop.assert_serves(live, &about);
    }
    // And it goes on as if nothing had been.
    let version = shop.commit(HEALTHY);
    shop.cutover(&["deploy", "production"]).expect(0);
    shop.assert_serves(version, "after all the cuts");
}
