//! The engine is killed: it says nothing any more, and whoever looks next does.

use crate::bed::{Bed, UNWELL};
use crate::signals::{INSTALL, STUBBORN, deploy_to_hook, hooked};
use rustix::process::Signal;

#[test]
fn an_engine_killed_before_the_switch_is_told_of_and_the_next_deployment_takes_it_back() {
    // Given a deployment whose engine is killed while its install goes on.
    let (bed, before) = hooked(STUBBORN, INSTALL);
    let running = deploy_to_hook(&bed);
    running.signal(Signal::KILL);
    running.end();

    bed.run(&["status", "production"]).tells_of("engine killed before the switch");
    assert_eq!((bed.current(), bed.serving()), (Some(1), Some(1)));

    // When the next one is refused for another reason, then the first one was taken back all the same.
    bed.write("hook", "#!/bin/sh\nexit 7\n");
    bed.commit();
    let ran = bed.deploy().expect(1);
    assert_eq!(before.differences(&bed.world()), [""; 0], "{}", ran.told());
    bed.assert_settled_at(1, &ran.told());
}

#[test]
fn an_engine_killed_after_the_switch_is_resumed_to_what_its_release_deserves() {
    // Given a release that is live, and not well; nobody is left to notice.
    let mut bed = Bed::live();
    bed.config.verify = "within = \"5s\"\ninterval = \"50ms\"\n".to_owned();
    bed.commit_behaving(UNWELL);
    let running = bed.begin_deploy();
    assert!(running.hears("✓ restart"));
    running.signal(Signal::KILL);
    running.end();

    let ran = bed.run(&["resume", "production"]).concludes("↩ Rolled back");

    let told = ran.tells_of("engine killed after the switch").told();
    bed.assert_settled_at(1, &told);
}
