//! A deployment that was killed, taken up again by `resume`.

use crate::sandbox::Sandbox;
use std::fs;

const TOKEN: (&str, &str) = ("APP_TOKEN", "made up for this test");

/// A sandbox with one release live, and a second deployment that was killed as soon as its journal was begun.
fn killed() -> Sandbox {
    let sandbox = Sandbox::new();
    let install = format!("run.install = \"test -e {}/go\"", sandbox.path().display());
    sandbox.host(&install, "secrets = [\"APP_TOKEN\"]");
    fs::write(sandbox.path().join("go"), "").unwrap();
    assert_eq!(sandbox.run_with(&["deploy", "production"], &[TOKEN]).code, 0);
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more things");
    // It fails and leaves nothing behind; its journal without its entries is what a kill at the beginning leaves.
    fs::remove_file(sandbox.path().join("go")).unwrap();
    assert_eq!(sandbox.run_with(&["deploy", "production"], &[TOKEN]).code, 1);
    fs::write(sandbox.path().join("go"), "").unwrap();
    sandbox.reopen_last_journal(1);
    sandbox
}

fn env_file(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("srv/shared/.env")).unwrap()
}

#[test]
fn a_resumption_without_the_secrets_takes_the_deployment_back() {
    let sandbox = killed();
    let before = env_file(&sandbox);

    let ran = sandbox.run(&["resume", "production"]);

    assert_eq!(ran.code, 1, "{}", ran.told());
    assert!(ran.stderr.contains("warning: 1 secret of environment production cannot be had: APP_TOKEN"), "{ran:?}");
    assert!(ran.told().contains("nobody offers its values any more"), "{ran:?}");
    assert_eq!(env_file(&sandbox), before);
    assert_eq!(fs::read_to_string(sandbox.path().join("srv/current/app.py")).unwrap(), "print('v1')\n");
}

#[test]
fn a_resumption_with_the_secrets_goes_on() {
    let sandbox = killed();

    let ran = sandbox.run_with(&["resume", "production"], &[TOKEN]);

    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(env_file(&sandbox).contains(TOKEN.1));
    assert_eq!(fs::read_to_string(sandbox.path().join("srv/current/app.py")).unwrap(), "print('v2')\n");
}
