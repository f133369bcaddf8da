//! What is in the way of a deployment, told before there is one.

use crate::sandbox::Sandbox;

#[test]
fn a_plan_and_the_doctor_tell_what_is_in_the_way_of_the_next_deployment() {
    let sandbox = Sandbox::deployable("");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    let plan = || sandbox.run(&["plan", "production"]).stdout;
    assert!(!plan().contains('!'), "{}", plan());
    sandbox.write("app.py", "print('v2')\n");
    sandbox.commit("Sell more");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 0);
    sandbox.reopen_last_journal(6);

    let unfinished = plan();

    assert!(
        unfinished.contains("! deployment ") && unfinished.contains(" is unfinished (it stopped at "),
        "{unfinished}"
    );
    assert!(unfinished.contains("it would be taken back first"), "{unfinished}");
    let lock = ["lock", "production", "acquire", "--reason", "database move", "--for", "2h"];
    assert_eq!(sandbox.run(&lock).code, 0);
    let locked = plan();
    assert!(locked.contains("! maintenance lock by ") && locked.contains(": database move; until it ends"), "{locked}");
    assert_eq!(sandbox.run(&["deploy", "production"]).code, 6);
    let doctor = sandbox.run(&["doctor", "production"]);
    assert!(doctor.stdout.contains("holds the maintenance lock until "), "{doctor:?}");
    assert!(doctor.stdout.contains("`cutover lock production release`") && doctor.code == 1, "{doctor:?}");
}
