//! What several hosts come to together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;
use cutover_core::record::Part;
use cutover_testkit::{RecordingObserver, Story};
use serde_json::json;
use std::sync::PoisonError;

const TERMS: Terms = Terms { on_unreachable: OnUnreachable::Refuse, brings_release: true };

/// How these hosts, of which nobody waits for another, stand once each has ended as its name says.
fn standings(hosts: &[&str]) -> Vec<Standing> {
    ended(hosts, &Earlier::default()).standings
}

/// A host, which is this machine, and what it is asked for.
fn member(host: &&str) -> Member {
    let order = json!({
        "project": "shop", "environment": "production", "host": host, "targets": {}, "secret_names": [],
        "deployment": "20261121T101500-7f3a5c09", "made_at": "2026-11-21T10:15:00Z", "by": "ada", "reason": "",
        "purpose": "resume", "wait": null, "supersede": false, "task": "resume", "part": null
    });
    Member { connection: None, order: serde_json::from_value(order).unwrap() }
}

/// How a resumption on these hosts ends.
fn ended(hosts: &[&str], earlier: &Earlier) -> FleetEnd {
    let perform = |member: Member, _: Voice<'_>, observer: &dyn Observer| {
        if member.order.host != "idle" {
            let mut plan = Box::new(Story::new(1).host(&member.order.host).deployed().0);
            if member.order.host == "restarted" {
                plan.steps.retain(|step| !step.switches);
            }
            observer.event(&Event::Began { plan, resumed: true, at: Timestamp::now() });
        }
        Ok(match member.order.host.as_str() {
            "idle" => None,
            "back" => Some(DeploymentOutcome::RolledBack),
            _ => Some(DeploymentOutcome::Deployed),
        })
    };
    let cancel = Cancel::new();
    let told = Mutex::new(Vec::new());
    let fleet = Fleet {
        rollout: None,
        observer: &Heard(&told),
        cancel: &cancel,
        perform: &perform,
        brings_one_artifact: true,
        terms: TERMS,
        earlier,
    };
    let end = fleet.run(hosts.iter().map(member).collect());
    assert_eq!(told.into_inner().unwrap(), [end.whole()], "who watches is told the same");
    end
}

/// Hears how the whole ended.
struct Heard<'a>(&'a Mutex<Vec<Whole>>);

impl Observer for Heard<'_> {
    fn event(&self, event: &Event) {
        if let Event::FleetEnded { whole, .. } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*whole);
        }
    }
}

#[test]
fn a_host_that_had_nothing_to_do_is_not_called_done() {
    let (deployed, back) = (DeploymentOutcome::Deployed, DeploymentOutcome::RolledBack);
    assert_eq!(standings(&["back", "idle"]), [Standing::Ended(back), Standing::Unchanged]);
    assert_eq!(standings(&["done", "idle"]), [Standing::Ended(deployed), Standing::Unchanged]);
}

#[test]
fn a_resumption_is_divided_where_a_host_had_ended_otherwise_before() {
    let (deployed, back) = (DeploymentOutcome::Deployed, DeploymentOutcome::RolledBack);
    let resumed = |host: &str, told: fn(Story) -> cutover_testkit::Told| {
        let (plan, records) = told(Story::new(1).host("idle"));
        let (deployment, mut earlier) = (plan.deployment.clone(), Earlier::default());
        earlier.note(deployment, &[Part { plan, records }]);
        // Whoever has nothing unfinished says so first, and last.
        let ends = [ended(&["idle", host], &earlier), ended(&[host, "idle"], &earlier)];
        assert_eq!(ends[0].whole(), ends[1].whole());
        (ends[0].standings.clone(), ends[0].whole())
    };

    let went_on = resumed("done", Story::rolled_back);
    assert_eq!(went_on, (vec![Standing::Ended(back), Standing::Ended(deployed)], Whole::Divided));
    let taken_back = resumed("back", Story::deployed);
    assert_eq!(taken_back, (vec![Standing::Ended(deployed), Standing::Ended(back)], Whole::Divided));
    let alike = resumed("done", Story::deployed);
    assert_eq!(alike, (vec![Standing::Ended(deployed), Standing::Ended(deployed)], Whole::Done));
}

#[test]
fn a_host_that_has_only_restarted_what_it_had_divides_nothing() {
    let whole = |hosts: &[&str]| ended(hosts, &Earlier::default()).whole();
    assert_eq!(whole(&["done", "back"]), Whole::Divided);
    assert_eq!(whole(&["restarted", "back"]), Whole::RolledBack);
    assert_eq!(whole(&["restarted", "done", "back"]), Whole::Divided);
    assert_eq!(whole(&["restarted", "done"]), Whole::Done);
}

#[test]
fn hosts_that_go_back_to_something_else_than_one_that_stays_has_are_told_to_stop() {
    let stays = Story::new(1).host("stays").nothing_to_do().0;
    let rolled_back_to = |artifact: &str| {
        let perform = |member: Member, voice: Voice<'_>, observer: &dyn Observer| {
            let Voice::Coordinator { tell, .. } = voice else { unreachable!() };
            if member.order.host == "stays" {
                observer.event(&Event::Began { plan: Box::new(stays.clone()), resumed: false, at: Timestamp::now() });
                return Ok(Some(DeploymentOutcome::Deployed));
            }
            tell(Says::AtGate(Gate::Switch, artifact.to_owned()));
            Ok(Some(DeploymentOutcome::Failed))
        };
        let (cancel, earlier, told) = (Cancel::new(), Earlier::default(), Mutex::new(Vec::new()));
        let fleet = Fleet {
            rollout: None,
            observer: &Heard(&told),
            cancel: &cancel,
            perform: &perform,
            brings_one_artifact: false,
            terms: TERMS,
            earlier: &earlier,
        };
        fleet.run([&"stays", &"goes"].map(member).into()).conclude().map_err(|error| error.message().to_owned())
    };

    let apart = Err("stays and goes would go back to different artifacts".to_owned());
    assert_eq!(rolled_back_to("another"), apart);
    assert_eq!(rolled_back_to(&stays.artifact), Ok(Exit::Failed));
}

/// How a command ends whose hosts stand so: each that was not begun says why.
fn conclude(standings: &[Standing], on_unreachable: OnUnreachable) -> Result<Exit, CommandError> {
    let why = |standing: &Standing| match standing {
        Standing::Unreachable => Some(CommandError::new(ErrorKind::Unreachable, "cannot reach web-1")),
        Standing::Refused => Some(CommandError::new(ErrorKind::Locked, "locked by ada")),
        _ => None,
    };
    let hosts = (0..standings.len()).map(|at| format!("web-{at}")).collect();
    let errors = standings.iter().filter_map(why).collect();
    let terms = Terms { on_unreachable, ..TERMS };
    FleetEnd { hosts, standings: standings.to_vec(), errors, terms, disagreement: None }.conclude()
}

#[test]
fn each_end_of_the_whole_has_its_exit_code() {
    use DeploymentOutcome::{Deployed, Failed, RolledBack, Stuck};
    use OnUnreachable::{Refuse, Skip};
    use Standing::{Ended, Lost, Refused, Unchanged, Unreachable};
    let table: &[(&[Standing], OnUnreachable, Exit)] = &[
        (&[Ended(Deployed), Unchanged], Refuse, Exit::Done),
        (&[Unchanged, Unchanged], Refuse, Exit::Done),
        (&[Ended(Deployed), Unreachable], Skip, Exit::Done),
        (&[Ended(Failed), Unreachable], Skip, Exit::Failed),
        (&[Unreachable, Refused], Skip, Exit::Locked),
        (&[Unreachable, Unreachable], Skip, Exit::Unreachable),
        (&[Ended(Failed), Unreachable], Refuse, Exit::Unreachable),
        (&[Ended(Failed), Refused], Refuse, Exit::Locked),
        (&[Ended(Failed), Ended(Failed)], Refuse, Exit::Failed),
        (&[Ended(RolledBack), Ended(Failed)], Refuse, Exit::RolledBack),
        // The previous release is not what runs everywhere, nor is the new one.
        (&[Ended(Deployed), Ended(RolledBack)], Refuse, Exit::Stuck),
        (&[Ended(Deployed), Ended(Failed)], Refuse, Exit::Stuck),
        (&[Ended(Stuck), Ended(Deployed), Lost], Refuse, Exit::Stuck),
        (&[Ended(Deployed), Lost], Refuse, Exit::Unreachable),
        (&[Ended(RolledBack), Lost], Refuse, Exit::Unreachable),
    ];
    for (standings, on_unreachable, exit) in table {
        let ended = conclude(standings, *on_unreachable).unwrap_or_else(|error| error.exit());
        assert_eq!(ended, *exit, "{standings:?}");
    }
}

#[test]
fn who_cannot_go_on_for_a_dead_host_is_told_the_way_round_it() {
    let advice = |standings: &[Standing]| conclude(standings, OnUnreachable::Refuse).unwrap_err().advice();
    assert!(advice(&[Standing::Unreachable, Standing::Unchanged]).contains("on_unreachable = \"skip\""));
    assert!(!advice(&[Standing::Refused, Standing::Unchanged]).contains("on_unreachable"));
}

#[test]
fn what_a_host_is_told_is_told_so_that_its_time_does_not_include_that_of_the_wave_before() {
    let text = "name = \"shop\"\n[environments.production]\nrollout = { canary = 1 }\n";
    let config = cutover_core::config::Config::parse(text).unwrap();
    let rollout = Rollout { config: &config.environments.values().next().unwrap().rollout, migrating: None };
    let perform = |_: Member, voice: Voice<'_>, _: &dyn Observer| {
        let Voice::Coordinator { words, tell } = voice else { unreachable!("it is one of several") };
        for gate in [Gate::Switch, Gate::Settle] {
            tell(Says::AtGate(gate, "a1".to_owned()));
            assert!(matches!(words.lock().unwrap().recv().unwrap(), Told::Go(to) if to == gate));
        }
        Ok(Some(DeploymentOutcome::Deployed))
    };
    let told = RecordingObserver::default();
    let (cancel, earlier) = (Cancel::new(), Earlier::default());
    let fleet = Fleet {
        rollout: Some(rollout),
        observer: &told,
        cancel: &cancel,
        perform: &perform,
        brings_one_artifact: true,
        terms: TERMS,
        earlier: &earlier,
    };

    fleet.run(["web-1", "web-2"].iter().map(member).collect());

    let events = told.events();
    let stands: Vec<(&str, Standing)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Stands { host, standing, .. } => Some((host.as_str(), *standing)),
            _ => None,
        })
        .collect();
    let of = |name: &str| stands.iter().filter(|(host, _)| *host == name).map(|(_, it)| *it).collect::<Vec<_>>();
    let (switching, done) = (Standing::Switching, Standing::Ended(DeploymentOutcome::Deployed));
    for host in ["web-1", "web-2"] {
        assert_eq!(of(host), [Standing::Staged, switching, Standing::Healthy, Standing::Settling, done], "{host}");
    }
    let at = |host, standing| stands.iter().position(|told| *told == (host, standing));
    assert!(at("web-1", Standing::Healthy) < at("web-2", switching), "{stands:?}");
}
