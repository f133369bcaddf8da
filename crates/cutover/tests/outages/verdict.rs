//! What must hold once everything has come to rest.

use crate::agent;
use crate::prober::Seen;
use crate::ran::Ran;
use crate::shop::{Shop, wait_for};
use serde_json::{Value, json};

/// Resumes, and says what is wrong afterwards.
pub(crate) fn faults(shop: &Shop, [old, new]: [u32; 2], told: &Ran) -> Vec<String> {
    let mut faults = Vec::new();
    let resumed = shop.client.run(&["resume", "production"]);
    if !matches!(resumed.code(), 0 | 1 | 3) {
        faults.push(format!("resume: {}", resumed.told()));
    }
    let current = shop.current();
    if current != old && current != new {
        faults.push(format!("current is {current}, neither {old} nor {new}"));
    }
    if told.code() == 0 && current != new || matches!(told.code(), 1 | 3) && current != old {
        faults.push(format!("current is {current}, but the client said: {}", told.told()));
    }
    // It may have been started again by systemd at this very moment.
    let address = format!("{}:8000", shop.host.address()).parse().unwrap();
    let answer = wait_for("the service answers", || crate::prober::ask(address));
    if answer != current.to_string() {
        faults.push(format!("{answer} answers, {current} is current"));
    }
    faults.extend(env_fault(shop, current));
    faults.extend(status_faults(shop, current));
    faults.extend(left_behind(shop));
    faults
}

/// Deployments that did not come to an end by themselves.
pub(crate) fn unfinished(shop: &Shop) -> Vec<String> {
    let open = shop.host.shell("root", "find /opt/shop/.cutover/journal/open -type f");
    open.lines().map(|path| format!("the host did not end it by itself: {path}")).collect()
}

fn env_fault(shop: &Shop, current: u32) -> Option<String> {
    let env = shop.host.shell("root", "cat /opt/shop/shared/.env");
    (!env.contains(&format!("SINCE=\"{current}\"")) && !env.contains(&format!("SINCE={current}")))
        .then(|| format!("{current} is current with the env file {env}"))
}

/// Where `status` does not tell the truth.
fn status_faults(shop: &Shop, current: u32) -> Vec<String> {
    let ran = shop.client.run(&["status", "production", "--json"]);
    let Ok(status) = serde_json::from_str::<Value>(&ran.stdout) else { return vec![ran.told()] };
    let told = &status["environments"][0]["targets"][0];
    let live = shop.host.shell("root", "basename \"$(readlink /opt/shop/current)\"");
    let expected = [
        (&told["release"]["id"], json!(live)),
        (&told["release"]["state"], json!("good")),
        (&told["service"]["active"], json!(true)),
        (&told["unfinished"], json!([])),
        (&told["lock"], Value::Null),
    ];
    let wrong = expected.iter().filter(|(is, should)| *is != should);
    wrong.map(|(is, should)| format!("{current} is current; status says {is} instead of {should}: {told}")).collect()
}

/// Processes, journals and files that nothing needs any more.
fn left_behind(shop: &Shop) -> Vec<String> {
    wait_for("the agent ends", || agent::find(&shop.host).is_none().then_some(()));
    let left = shop.host.shell(
        "root",
        "cd /opt/shop; find .cutover/journal/open -type f; find . -name '*.partial'; find . -maxdepth 1 -name '.*' -type l",
    );
    left.lines().map(|path| format!("left behind: {path}")).collect()
}

/// Answers that came from neither release.
pub(crate) fn strange_answers(seen: &Seen, [old, new]: [u32; 2]) -> Vec<String> {
    let known = [old.to_string(), new.to_string()];
    seen.answers
        .iter()
        .filter(|answer| !known.contains(answer))
        .map(|answer| format!("{answer:?} was answered"))
        .collect()
}
