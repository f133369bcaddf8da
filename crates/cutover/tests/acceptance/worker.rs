//! A worker without a port on a remote host: deployed, healthy by what it says and does, rolled back, and patched by hand.

use crate::site::{STREAMER, Site, directory};
use std::process::Command;

/// The channel: takes whoever has a key, and hears what is sent.
const CHANNEL: &str = r#"import socketserver
class Viewer(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"welcome\n")
        while self.rfile.readline():
            pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 1935), Viewer).serve_forever()
"#;

/// The worker's machine, with a channel for it to stream to.
fn streamer(test: &str) -> Option<Site> {
    let site = Site::prepared(&STREAMER, test)?;
    site.host.write("root", "/srv/channel.py", CHANNEL);
    site.host.shell("root", "systemd-run --quiet --unit=channel --property=Restart=always python3 -B /srv/channel.py");
    Some(site)
}

#[test]
fn when_the_pipeline_deploys_the_host_has_a_new_release_directory_and_current_points_to_it() {
    let Some(site) =
        streamer("when_the_pipeline_deploys_the_host_has_a_new_release_directory_and_current_points_to_it")
    else {
        return;
    };
    // Given a green build that was deployed, when the next one is,
    site.deploy("1").expect(0);
    let before = site.there("ls releases");
    let commit = site.commit("2");
    site.client.run(&["deploy", "production"]).expect(0);

    // Then there is a release directory more, with the artifact in it, and `current` points to it,
    let current = site.there("readlink current");
    let id = current.strip_prefix("releases/").unwrap();
    assert!(!before.contains(id) && site.there("ls releases").contains(id), "{before} {id}");
    assert!(id.ends_with(&commit[..7]), "{id} tells the commit");
    assert_eq!(site.there("cat current/streamer/worker.py"), site.client.here("cat", &["streamer/worker.py"]));
    // and `previous` to the one before.
    assert!(site.there("readlink previous").ends_with(before.trim()), "{before}");
}

#[test]
fn when_deploy_succeeded_the_service_is_active_and_its_log_has_no_fatal_error() {
    let Some(site) = streamer("when_deploy_succeeded_the_service_is_active_and_its_log_has_no_fatal_error") else {
        return;
    };

    site.deploy("1").expect(0).says(&["3 probes passed"]);

    site.assert_serves("1");
    let log = site.client.run(&["app", "production", "logs"]).expect(0);
    assert!(log.stdout.contains("streamer: connected"), "{}", log.told());
    assert!(!log.stdout.contains("Traceback"), "{}", log.told());
}

#[test]
fn when_a_release_logs_a_fatal_error_the_one_before_streams_on() {
    let Some(site) = streamer("when_a_release_logs_a_fatal_error_the_one_before_streams_on") else { return };
    site.deploy("1").expect(0);
    site.client.write("playlist.m3u8", "#EXTM3U\n");

    let failed = site.deploy("2").expect(3);

    failed.says(&["the service logged a fatal line: streamer: cannot begin: playlist.m3u8 has no segments"]);
    site.assert_serves("1");
    site.there("cd current; bin/healthy");
}

#[test]
fn when_two_releases_exist_a_rollback_points_current_to_the_previous_one_and_restarts() {
    let Some(site) = streamer("when_two_releases_exist_a_rollback_points_current_to_the_previous_one_and_restarts")
    else {
        return;
    };
    site.deploy("1").expect(0);
    let first = site.there("readlink current");
    site.deploy("2").expect(0);
    let process = site.host.property("streamer", "MainPID");

    site.client.run(&["rollback", "production"]).expect(0).says(&["✓ restart", "3 probes passed"]);

    assert_eq!(site.there("readlink current"), first);
    assert_ne!(site.host.property("streamer", "MainPID"), process, "it was restarted");
    site.assert_serves("1");
}

#[test]
fn when_an_operator_names_an_artifact_that_very_artifact_is_deployed() {
    let Some(site) = streamer("when_an_operator_names_an_artifact_that_very_artifact_is_deployed") else { return };
    // Given an artifact that was built,
    site.commit("hotfix");
    let built = site.client.run(&["build", "--json"]).expect(0).json();
    let artifact = built["artifact"]["id"].as_str().unwrap_or_else(|| panic!("{built}")).to_owned();
    // while work went on,
    site.deploy("next").expect(0);

    site.client.run(&["deploy", "production", "--artifact", &artifact]).expect(0);

    site.assert_serves("hotfix");
    let live = site.releases().into_iter().find(|release| release["current"] == true).unwrap();
    assert_eq!(live["artifact"], artifact, "{live}");
    let asked = &site.history()[0];
    assert!(asked["by"] == "ada" && asked["artifact"] == artifact, "it can be audited: {asked}");
}

#[test]
fn when_ssh_fails_before_all_has_arrived_current_is_not_updated() {
    let Some(site) = streamer("when_ssh_fails_before_all_has_arrived_current_is_not_updated") else { return };
    site.deploy("1").expect(0);
    // Given so much to send that the connection ends before it is all there,
    site.client.here("sh", &["-c", "head -c 64M /dev/urandom >film.ts"]);
    site.commit("2");
    let mut client = site.client.start(&["deploy", "production"]);
    client.await_words("✓ preflight");

    // when it does,
    site.host.shell("root", "pkill -KILL -u tgstream -x sshd");
    client.end().expect(7).says(&["lost the connection", "the host goes on by itself", "cutover resume"]);

    // then nothing was changed, and nothing is in the way of the next attempt.
    site.client.run(&["resume", "production"]);
    site.assert_serves("1");
    site.client.run(&["deploy", "production"]).expect(0);
    site.assert_serves("2");
}

#[test]
fn when_dependencies_cannot_be_installed_the_previous_release_is_untouched_and_the_log_is_collected() {
    let Some(site) =
        streamer("when_dependencies_cannot_be_installed_the_previous_release_is_untouched_and_the_log_is_collected")
    else {
        return;
    };
    site.deploy("1").expect(0);
    let process = site.host.property("streamer", "MainPID");
    site.client.write("requirements.txt", "m3u8==99.0\n");

    let failed = site.deploy("2").expect(1).says(&["✗ dependencies", "m3u8==99.0"]);

    let log = failed.stdout.lines().find_map(|line| line.split_once("log: ")).unwrap().1.trim().to_owned();
    assert!(site.there(&format!("cat {log}")).contains("m3u8==99.0"), "{log}");
    assert_eq!(site.host.property("streamer", "MainPID"), process, "the old one was not so much as restarted");
    site.assert_serves("1");
}

#[test]
fn when_disk_space_is_low_it_is_detected_before_unpacking() {
    let Some(site) = streamer("when_disk_space_is_low_it_is_detected_before_unpacking") else { return };
    site.deploy("1").expect(0);
    let releases = site.there("ls releases");
    site.host.shell("root", "fallocate -l $(($(stat -f -c '%a*%S' /opt/streamer) - (50<<20))) /opt/ballast");

    site.deploy("2").expect(1).says(&["✗ preflight", "too little room", "hint: "]);

    assert_eq!(site.there("ls releases"), releases);
    site.host.shell("root", "rm /opt/ballast");
    site.assert_serves("1");
}

#[test]
fn each_release_has_its_environment_and_the_env_file_before_is_backed_up() {
    let Some(site) = streamer("each_release_has_its_environment_and_the_env_file_before_is_backed_up") else { return };
    let told = site.deploy("1").expect(0).told();
    let first = site.there("cat shared/.env");
    site.client.edit("cutover.toml", "env = { INGEST", "env = { QUALITY = \"high\", INGEST");

    let told = told + &site.deploy("2").expect(0).told();

    assert!(site.there("cat shared/.env").contains("QUALITY"));
    let backups = site.there("ls shared/.env.bak.*");
    assert_eq!(site.there(&format!("cat {backups}")), first, "one backup, of what was before");
    assert_eq!(site.there("stat -c %a shared/.env shared/.env.bak.*"), "600\n600");
    for release in site.there("ls -d releases/*").lines() {
        assert_eq!(site.there(&format!("{release}/.venv/bin/python -c 'import m3u8; print(m3u8.__name__)'")), "m3u8");
    }
    site.assert_secret_is_kept(&told);
}

#[test]
fn the_user_who_deploys_may_do_nothing_more_than_that() {
    let Some(site) = streamer("the_user_who_deploys_may_do_nothing_more_than_that") else { return };
    site.deploy("1").expect(0);

    for command in ["systemctl restart channel.service", "systemctl stop ssh.service", "cat /etc/shadow", "sh -c id"] {
        let words: Vec<&str> = ["sudo", "-n"].into_iter().chain(command.split(' ')).collect();
        let tried = site.host.command("tgstream", &words).output().unwrap();
        assert!(!tried.status.success(), "{command}");
    }
    assert_eq!(site.there("stat -c %U current/ .cutover releases"), "tgstream\ntgstream\ntgstream");
    assert_eq!(site.host.property("streamer", "User"), "tgstream");
}

#[test]
fn the_tests_of_streamer_pass() {
    let mut tests = Command::new("python3");
    tests.args(["-B", "-m", "unittest", "discover", "tests"]).current_dir(directory(&STREAMER));

    crate::ran::Ran::from(tests.output().unwrap()).expect(0);
}
