//! What is known of releases, of the service that runs, of health checks and of deployments; and what of it is kept.

use crate::python_service::{break_health, webhook};
use serde_json::Value;

#[test]
fn a_release_tells_its_commit_state_size_and_place_and_the_newest_three_are_kept() {
    let Some(site) = webhook("a_release_tells_its_commit_state_size_and_place_and_the_newest_three_are_kept") else {
        return;
    };
    for version in ["1", "2", "3", "4"] {
        site.deploy(version).expect(0);
    }

    let releases = site.releases();

    assert_eq!(releases.len(), 3, "{releases:?}");
    let places: Vec<_> = releases.iter().map(|one| (one["current"] == true, one["previous"] == true)).collect();
    assert_eq!(places, [(true, false), (false, true), (false, false)]);
    for release in &releases {
        assert_eq!(release["commit"].as_str().unwrap().len(), 40, "{release}");
        assert!(release["size_bytes"].as_u64().unwrap() > 1 << 20, "its wheels are in it: {release}");
        assert!(release["state"] == "good" && release["created_at"].is_string(), "{release}");
    }
}

#[test]
fn the_service_tells_its_process_memory_processor_time_and_since_when_it_runs() {
    let Some(site) = webhook("the_service_tells_its_process_memory_processor_time_and_since_when_it_runs") else {
        return;
    };
    site.deploy("1").expect(0);

    let service = &site.status()["service"];

    assert_eq!(service["main"]["pid"].to_string(), site.host.property("webhook", "MainPID"));
    assert!(service["active"] == true && service["failed"] == false && service["restart_count"] == 0, "{service}");
    assert!(service["memory_bytes"].as_u64().unwrap() > 1 << 20, "{service}");
    assert!(service["cpu_ms"].as_u64().unwrap() > 0 && service["since"].is_string(), "{service}");
    site.client.run(&["app", "production", "logs", "-n", "5"]).expect(0).says(&["webhook 1 begins on port 8000"]);
}

#[test]
fn a_health_check_tells_where_it_asked_what_came_when_and_how_fast() {
    let Some(site) = webhook("a_health_check_tells_where_it_asked_what_came_when_and_how_fast") else { return };
    site.deploy("1").expect(0);
    break_health(&site);
    site.deploy("2").expect(3);

    let [failed, passed] = [0, 1].map(|at| site.history()[at]["deployment"].as_str().unwrap().to_owned());

    let probe = last_probe(&site.client.run(&["logs", &passed, "--json"]).expect(0).json());
    assert_eq!((&probe["endpoint"], &probe["code"]), (&"http://127.0.0.1:8000/health".into(), &200.into()), "{probe}");
    assert!(probe["healthy"] == true && probe["latency_ms"].as_u64().unwrap() < 2000, "{probe}");
    assert!(probe["at"].is_string(), "{probe}");
    let probes = site.client.run(&["logs", &failed, "--json"]).expect(0).json()["deployment"]["probes"].clone();
    let unwell = probes.as_array().unwrap().iter().find(|one| one["healthy"] == false).unwrap();
    assert!(unwell["body"].as_str().unwrap().contains("on fire"), "{unwell}");
    assert!(unwell["error"].as_str().unwrap().contains("does not contain"), "{unwell}");
}

fn last_probe(story: &Value) -> Value {
    story["deployment"]["probes"].as_array().unwrap().last().unwrap().clone()
}

#[test]
fn what_failed_and_what_was_taken_back_is_told_apart() {
    let Some(site) = webhook("what_failed_and_what_was_taken_back_is_told_apart") else { return };
    site.deploy("1").expect(0);
    break_health(&site);
    site.deploy("2").expect(3);
    site.client.write("requirements.txt", "fastapi==0.0.0.1\n");
    site.client.edit("cutover.toml", "build = ", "# build = ");

    site.deploy("3").expect(1);

    let states: Vec<_> = site.releases().iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
    assert!(states.contains(&"good".to_owned()) && states.contains(&"bad".to_owned()), "{states:?}");
    let outcomes: Vec<_> = site.history().iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["failed", "rolled_back", "deployed"]);
    site.assert_serves("1");
}
