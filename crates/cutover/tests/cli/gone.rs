//! A target that is taken out of the config while its service runs.

use crate::sandbox::Sandbox;

const GONE: &str = "is in cutover.toml no more: its service may still run";

/// A sandbox whose config has lost a target that is live.
fn without_the_worker() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.targets(&["api", "worker"]);
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    sandbox.targets(&["api"]);
    sandbox
}

/// Ends what runs.
fn end(sandbox: &Sandbox) {
    sandbox.targets(&["api", "worker"]);
    assert_eq!(sandbox.run(&["app", "production", "stop"]).code, 0);
}

#[test]
fn a_target_that_the_config_has_no_more_is_told_of_until_something_was_deployed_without_it() {
    let sandbox = without_the_worker();
    let told = |args: &[&str]| {
        let ran = sandbox.run(args);
        assert_eq!(ran.code, 0, "{}", ran.told());
        ran.told()
    };
    // What brings nothing new live changes nothing about it.
    for args in [&["plan"][..], &["deploy"], &["status"], &["doctor"], &["app", "restart"]] {
        let verb = [&args[..1], &["production"], &args[1..]].concat();
        let said = told(&verb);
        assert_eq!(said.contains(GONE), args[0] != "app", "{said}");
    }
    let status = told(&["status", "production"]);
    let advice = "to stop it, put it back, `cutover app production stop --target worker --host localhost`, and take it out again";
    assert!(status.contains("warning: worker in DIR/srv/worker on localhost was deployed by 2"), "{status}");
    assert!(status.contains(advice), "{status}");

    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more things");
    assert!(
        told(&["deploy", "production"]).contains(GONE),
        "it is said at the end of the deployment that leaves it behind"
    );
    for verb in ["plan", "deploy", "status"] {
        assert!(!told(&[verb, "production"]).contains(GONE), "{verb}");
    }

    // The advice works.
    sandbox.targets(&["api", "worker"]);
    let stop = ["app", "production", "stop", "--target", "worker", "--host", "localhost"];
    assert_eq!(told(&stop), "exit 0\nworker: stopped\n");
    end(&sandbox);
}

#[test]
fn a_target_that_has_another_name_or_comes_and_goes_with_pull_requests_is_not_gone() {
    let sandbox = without_the_worker();
    let is_said = |config: &str| {
        sandbox.write("cutover.toml", config);
        let ran = sandbox.run(&["status", "production"]);
        assert_eq!(ran.code, 0, "{}", ran.told());
        ran.stderr.contains(GONE)
    };
    let config = sandbox.config();
    assert!(is_said(&config));
    assert!(!is_said(&format!("{config}[workflows]\npull_requests = \"production\"\n")));
    sandbox.targets(&["api", "worker"]);
    let whole = sandbox.config();
    let renamed = whole.replace("targets.worker", "targets.jobs").replace("\nworker = ", "\njobs = ");
    assert!(!is_said(&renamed));
    // In another place nothing takes over from it.
    assert!(is_said(&whole.replace("srv/worker", "srv/jobs")));
    end(&sandbox);
}
