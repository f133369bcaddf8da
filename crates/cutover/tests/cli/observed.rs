//! `cutover status` tells what it observes now: whether probes pass, and whether a service that runs at this moment lasts.

use crate::sandbox::{Sandbox, await_that};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Answers with what the file `word` beside the releases says, as long as there is one; ends when there is none.
const SERVICE: &str = r#"import http.server, pathlib, sys
word = pathlib.Path(sys.argv[2])
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if word.read_text() == "open" else 503)
        self.end_headers()
    def log_message(self, *_): pass
if not word.exists(): sys.exit(3)
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

/// The service, live, with a probe of each kind; and the URL that one of them asks.
fn live() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let (port, word) = (free_port(), sandbox.path().join("word").display().to_string());
    let url = format!("http://127.0.0.1:{port}/health");
    fs::write(&word, "open").unwrap();
    sandbox.write("serve.py", SERVICE);
    let kinds = [
        format!("{{ http = {{ url = \"{url}\" }} }}"),
        format!("{{ tcp = {{ address = \"127.0.0.1:{port}\" }} }}"),
        "{ command = { run = 'test \"$CUTOVER_TARGET $LEVEL\" = \"api info\"' } }".to_owned(),
        "{ unit = { stable = \"0s\" } }".to_owned(),
    ];
    let service = format!(
        "[targets.api.host.service.process]\ncommand = [\"python3\", \"-B\", \"serve.py\", \"{port}\", \"{word}\"]\nbackoff = \"10ms\""
    );
    let verify = format!("verify = {{ within = \"60s\", probes = [{}] }}", kinds.join(", "));
    sandbox.host(&format!("{verify}\n{service}"), "env = { LEVEL = \"info\" }");
    let deployed = sandbox.run(&["deploy", "production"]);
    assert_eq!(deployed.code, 0, "{}", deployed.told());
    (sandbox, url)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn target(sandbox: &Sandbox) -> Value {
    sandbox.run(&["status", "--json"]).json()["environments"][0]["targets"][0].clone()
}

#[test]
fn what_the_probes_of_the_live_release_see_now_is_told() {
    let (sandbox, url) = live();

    let (well, seen) = (sandbox.run(&["status"]), target(&sandbox));
    fs::write(sandbox.path().join("word"), "closed").unwrap();
    let (ill, seen_ill) = (sandbox.run(&["status"]), target(&sandbox));
    sandbox.stop_service();
    let stopped = sandbox.run(&["status"]);

    assert!(well.stdout.contains(&format!("    healthy: GET {url} 200 in ")), "{well:?}");
    assert!(well.stdout.contains(" ms; tcp 127.0.0.1:") && well.stdout.contains("; command test "), "{well:?}");
    assert!(seen["health"]["healthy"] == true && seen["health"]["probes"].as_array().unwrap().len() == 4, "{seen}");
    assert_eq!(seen["health"]["probes"][0]["pid"], seen["service"]["main"]["pid"], "{seen}");
    let why = format!("    NOT healthy: GET {url}: status 503 instead of 200\n");
    assert!(ill.code == 0 && ill.stdout.contains(&why) && !ill.stdout.contains(" healthy: tcp"), "{ill:?}");
    assert!(ill.stdout.contains("service: active (running)"), "{ill:?}");
    assert!(seen_ill["health"]["healthy"] == false && seen_ill["health"]["probes"][1]["healthy"] == true, "{seen_ill}");
    assert!(!stopped.stdout.contains("healthy"), "nobody asks what somebody stopped: {stopped:?}");
}

#[test]
fn probes_that_get_no_answer_keep_nobody_waiting_for_long_however_many_there_are() {
    let (sandbox, url) = live();
    // Given a release whose probes ask where connections are taken and nothing is said, and wait longer for that than a look does.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = deaf.local_addr().unwrap();
    let release = fs::read_link(sandbox.path().join("srv/current")).unwrap();
    let file = sandbox.path().join("srv").join(release).join("release.json");
    let mut described: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let probe = described["verify"]["probes"][0].to_string().replace(&url, &format!("http://{at}/health"));
    let probe: Value = serde_json::from_str(&probe).unwrap();
    described["verify"]["probes"] = vec![probe.clone(); 20].into();
    fs::write(&file, described.to_string()).unwrap();

    let began = Instant::now();
    let told = sandbox.run(&["status"]);
    let took = began.elapsed();
    let seen = target(&sandbox);
    // And one that would not wait longer in a deployment either.
    let mut hasty = probe;
    hasty["kind"]["http"]["timeout"] = json!({ "secs": 1, "nanos": 0 });
    described["verify"]["probes"][0] = hasty;
    fs::write(&file, described.to_string()).unwrap();
    let (ill, seen_ill) = (sandbox.run(&["status"]), target(&sandbox));
    sandbox.stop_service();

    let unknown = format!("    not known: GET http://{at}/health: not done within 2 s\n");
    assert_eq!(told.stdout.matches(&unknown).count(), 20, "{told:?}");
    assert!(!told.stdout.contains(" healthy: "), "{told:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let health = &seen["health"];
    assert!(health["healthy"].is_null() && health["probes"][0]["healthy"].is_null(), "{seen}");
    assert_eq!(ill.stdout.matches("NOT healthy: GET http://").count(), 1, "{ill:?}");
    assert_eq!(ill.stdout.matches(&unknown).count(), 19, "{ill:?}");
    assert!(
        seen_ill["health"]["healthy"] == false && seen_ill["health"]["probes"][0]["healthy"] == false,
        "{seen_ill}"
    );
}

#[test]
fn a_service_that_keeps_ending_is_in_a_crash_loop_also_when_it_runs_at_the_moment() {
    let (sandbox, _) = live();
    let before = target(&sandbox);
    fs::remove_file(sandbox.path().join("word")).unwrap();
    let pid = before["service"]["main"]["pid"].to_string();

    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    await_that("it is a crash loop", || target(&sandbox)["service"]["crash_looping"] == true);
    let (told, seen) = (sandbox.run(&["status"]), target(&sandbox));
    sandbox.stop_service();

    assert_eq!(before["service"]["crash_looping"], false, "{before}");
    assert!(told.code == 0 && told.stdout.contains("    service: crash loop, now "), "{told:?}");
    assert!(told.stdout.contains(" · started again ") && told.stdout.contains("    NOT healthy: GET "), "{told:?}");
    assert!(seen["service"]["restart_count"].as_u64().unwrap() >= 3, "{seen}");
    assert_eq!(seen["service"]["last_end"], "exit code 3", "{seen}");
}
