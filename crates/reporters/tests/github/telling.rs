//! A deployment's events, as GitHub is told of them.

use crate::support::{World, commit};
use cutover_core::event::Event;
use cutover_core::journal::{Entry, Record};
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::{Plan, PlanKind, StepId};
use cutover_core::rollout::Whole;
use cutover_core::target::Failure;
use cutover_reporters::Reporter;
use cutover_reporters::github::comment::{self, Place, Section};
use cutover_reporters::github::{DeploymentTeller, JudgedPull, Stage};
use cutover_testkit::github::Mishap;
use cutover_testkit::{minute, plan};
use std::sync::mpsc::{self, Receiver};

fn the_plan(id: &str, kind: PlanKind) -> Plan {
    Plan {
        deployment: id.parse().unwrap(),
        commit: "a".repeat(40),
        kind,
        subject: "Sell @more #1".to_owned(),
        ..plan(Vec::new())
    }
}

/// Instead of commits: a push to a repository that anybody can read.
const PUBLIC: [&str; 1] = ["public"];

/// A teller for a run of pull request 7, with this head and this merge of it; for a push without them.
fn teller(world: &World, commits: &[&str]) -> (DeploymentTeller, Receiver<String>) {
    let (send, warnings) = mpsc::channel();
    let pull = match commits {
        [head, merge] => Some(JudgedPull { number: 7, head: commit(head), merge: commit(merge) }),
        _ => None,
    };
    let stage = Stage {
        log_url: "https://run".to_owned(),
        environment_url: Some("https://shop.example".to_owned()),
        shows_log: commits != PUBLIC,
        pull,
    };
    (DeploymentTeller::new(world.another(), stage, send), warnings)
}

fn began(id: &str, kind: PlanKind) -> Event {
    Event::Began { plan: Box::new(the_plan(id, kind)), resumed: false, at: minute(0) }
}

fn resumed(id: &str) -> Event {
    Event::Began { plan: Box::new(the_plan(id, PlanKind::Deploy)), resumed: true, at: minute(0) }
}

fn on(host: &str, event: Event) -> Event {
    Event::OnHost { host: host.to_owned(), happened: Box::new(event) }
}

fn ended(outcome: DeploymentOutcome) -> Event {
    Event::Ended { outcome, at: minute(1), elapsed_ms: 3_200 }
}

fn states(world: &World) -> Vec<Vec<String>> {
    world.github.deployments().into_iter().map(|(_, _, states)| states).collect()
}

const ID: &str = "20261121T101500-0001";
const UNFINISHED: &str = "20261120T101500-0001";

#[test]
fn each_outcome_has_its_state_and_a_link_to_the_log() {
    for (outcome, state) in [
        (DeploymentOutcome::Deployed, "success"),
        (DeploymentOutcome::RolledBack, "failure"),
        (DeploymentOutcome::Failed, "failure"),
        (DeploymentOutcome::Stuck, "error"),
    ] {
        let world = World::new();
        let (mut teller, warnings) = teller(&world, &["c", "d"]);
        teller.tell(&began(ID, PlanKind::Deploy)).unwrap();
        assert_eq!(states(&world), [["in_progress"]], "it is told while it goes on");
        teller.tell(&ended(outcome)).unwrap();

        assert_eq!(states(&world), [["in_progress", state]]);
        let last = world.github.deployment_statuses().pop().unwrap();
        assert_eq!(
            (&last["log_url"], &last["environment_url"]),
            (&"https://run".into(), &"https://shop.example".into())
        );
        assert!(world.github.comments(7).is_empty(), "the commit is not the pull request's");
        assert_eq!(warnings.try_iter().count(), 0);
    }
}

#[test]
fn what_no_commit_has_is_said_of_the_deployment() {
    let world = World::new();
    let (mut teller, _warnings) = teller(&world, &[]);
    let plan = Plan { dirty: true, ..the_plan(ID, PlanKind::Deploy) };
    teller.tell(&Event::Began { plan: Box::new(plan), resumed: false, at: minute(0) }).unwrap();
    let made = world.github.received().into_iter().find(|asked| asked.method == "POST").unwrap();
    assert!(made.body["description"].as_str().unwrap().ends_with(", with uncommitted changes"), "{}", made.body);
}

#[test]
fn a_pull_request_s_own_commit_is_told_in_its_comment_beside_the_checks() {
    let world = World::new();
    let project = the_plan(ID, PlanKind::Deploy).project;
    let place = Place { pull: 7, project: project.as_str(), login: "github-actions[bot]" };
    comment::keep(&world.client, place, &Section::new("checks", "all checks")).unwrap();
    let (mut teller, _warnings) = teller(&world, &["b", "a"]);
    teller.tell(&began(ID, PlanKind::Deploy)).unwrap();
    teller.tell(&ended(DeploymentOutcome::Deployed)).unwrap();

    let comments = world.github.comments(7);
    assert_eq!(comments.len(), 1);
    let body = &comments[0].1;
    for words in ["all checks", "went live in 3.20s", "[Logs](https://run)", "[Open](https://shop.example)"] {
        assert!(body.contains(words), "{words} in {body}");
    }
    assert!(!body.contains("@more") && !body.contains("#1"), "{body}");
    // What ran is the merge; people know the head, and not what GitHub calls the merge.
    assert!(body.contains("`bbbbbbb`") && !body.contains("Sell"), "{body}");
    assert_eq!(world.github.deployments()[0].1, "b".repeat(40));
}

#[test]
fn what_was_merged_is_told_where_it_was_asked_for() {
    for (outcome, words) in
        [(DeploymentOutcome::Deployed, "✓ r2 went live"), (DeploymentOutcome::RolledBack, "✗ rolled back after 3.20s")]
    {
        let world = World::new();
        world.github.open_pull(7, "shop", "topic", &"b".repeat(40));
        world.github.merge_pull(7, &"a".repeat(40));
        let (mut teller, warnings) = teller(&world, &[]);
        teller.tell(&began(ID, PlanKind::Deploy)).unwrap();
        teller.tell(&ended(outcome)).unwrap();

        let comments = world.github.comments(7);
        assert!(comments.len() == 1 && comments[0].1.contains(words), "{comments:?}");
        assert_eq!((world.github.deployments()[0].1.clone(), warnings.try_iter().count()), ("a".repeat(40), 0));
    }
}

#[test]
fn who_reads_a_comment_is_told_why_and_what_was_said_last() {
    let failed = |message: &str| {
        let error = Failure { excerpt: "lost @server <b>\n".to_owned(), ..Failure::new(message) };
        let entry = Entry::Failed { step: StepId(3), error };
        Event::Recorded { record: Record { seq: 7, at: minute(1), host: None, entry } }
    };
    let world = World::new();
    world.github.open_pull(7, "shop", "topic", &"b".repeat(40));
    world.github.merge_pull(7, &"a".repeat(40));
    let (mut teller, _warnings) = teller(&world, &[]);
    // Given something that failed before, and was taken back first,
    teller.tell(&on("web-1", resumed(UNFINISHED))).unwrap();
    teller.tell(&on("web-1", failed("a matter of yesterday"))).unwrap();
    // when this fails on one host after the other,
    for host in ["web-1", "web-2"] {
        teller.tell(&on(host, began(ID, PlanKind::Deploy))).unwrap();
    }
    teller.tell(&on("web-2", failed("not healthy within 6s: *no* answer"))).unwrap();
    teller.tell(&on("web-1", failed("told to stop"))).unwrap();
    let (outcome, whole) = (Some(DeploymentOutcome::RolledBack), Whole::RolledBack);
    teller.tell(&Event::FleetEnded { outcome, whole, at: minute(1), elapsed_ms: 3_200 }).unwrap();

    let comment = &world.github.comments(7)[0].1;
    let why = "web-2: not healthy within 6s: &#42;no&#42; answer\n<details><summary>What was said last</summary>\n\
               <pre>lost &#64;&#8203;server &lt;b&gt;</pre></details>\n\n`aaaaaaa`";
    assert!(comment.contains(why), "{comment}");
    assert!(!comment.contains("yesterday") && !comment.contains("told to stop"), "{comment}");

    // Where anybody reads the comment, the reason alone is told.
    let world = World::new();
    world.github.open_pull(7, "shop", "topic", &"b".repeat(40));
    world.github.merge_pull(7, &"a".repeat(40));
    let (mut public, _warnings) = self::teller(&world, &PUBLIC);
    public.tell(&began(ID, PlanKind::Deploy)).unwrap();
    public.tell(&failed("not healthy within 6s")).unwrap();
    public.tell(&ended(DeploymentOutcome::RolledBack)).unwrap();
    let comment = &world.github.comments(7)[0].1;
    assert!(comment.contains("not healthy within 6s") && !comment.contains("lost"), "{comment}");
}

#[test]
fn a_commit_of_no_merged_pull_request_and_a_way_back_are_told_in_no_comment() {
    let world = World::new();
    world.github.open_pull(7, "shop", "topic", &"a".repeat(40));
    let (mut push, _warnings) = teller(&world, &[]);
    push.tell(&began(ID, PlanKind::Deploy)).unwrap();
    push.tell(&ended(DeploymentOutcome::Deployed)).unwrap();
    world.github.merge_pull(7, &"a".repeat(40));
    let (mut back, _warnings) = teller(&world, &[]);
    back.tell(&began(UNFINISHED, PlanKind::Rollback)).unwrap();
    back.tell(&ended(DeploymentOutcome::Deployed)).unwrap();

    assert_eq!(states(&world).last().unwrap()[..], ["in_progress", "success"]);
    assert!(world.github.comments(7).is_empty());
}

#[test]
fn a_token_that_may_not_look_for_the_pull_request_is_no_warning() {
    let world = World::new();
    world.github.order("GET", "/pulls", Mishap::Answer(403, Vec::new(), "Resource not accessible by integration"));
    let (mut teller, warnings) = teller(&world, &[]);
    teller.tell(&began(ID, PlanKind::Deploy)).unwrap();
    teller.tell(&ended(DeploymentOutcome::Deployed)).unwrap();
    assert_eq!(
        (states(&world), warnings.try_iter().count()),
        (vec![vec!["in_progress".to_owned(), "success".to_owned()]], 0)
    );
    assert_eq!(world.github.outstanding_count(), 0);
}

#[test]
fn a_change_of_several_hosts_is_one_deployment() {
    let world = World::new();
    let (mut teller, _warnings) = teller(&world, &[]);
    let hosts = vec!["web-1".to_owned(), "web-2".to_owned()];
    teller.tell(&Event::Fleet { hosts, at: minute(0) }).unwrap();
    for host in ["web-1", "web-2"] {
        teller.tell(&on(host, began(ID, PlanKind::Deploy))).unwrap();
    }
    teller.tell(&on("web-1", ended(DeploymentOutcome::Deployed))).unwrap();
    assert_eq!(states(&world), [["in_progress"]], "others go on");
    let (outcome, whole) = (Some(DeploymentOutcome::RolledBack), Whole::RolledBack);
    teller.tell(&Event::FleetEnded { outcome, whole, at: minute(1), elapsed_ms: 3_200 }).unwrap();
    assert_eq!(states(&world), [["in_progress", "failure"]]);
}

#[test]
fn what_a_host_takes_back_first_is_not_the_change_whenever_that_begins() {
    for order in [
        [began(ID, PlanKind::Deploy), resumed(UNFINISHED), began(ID, PlanKind::Deploy)],
        [resumed(UNFINISHED), began(ID, PlanKind::Deploy), resumed(ID)],
        [resumed(ID), resumed(UNFINISHED), began(ID, PlanKind::Deploy)],
    ] {
        let world = World::new();
        let (mut teller, _warnings) = teller(&world, &[]);
        for (host, event) in ["web-1", "web-2", "web-2"].into_iter().zip(order.clone()) {
            teller.tell(&on(host, event)).unwrap();
        }
        let (outcome, whole) = (Some(DeploymentOutcome::Deployed), Whole::Done);
        teller.tell(&Event::FleetEnded { outcome, whole, at: minute(1), elapsed_ms: 3_200 }).unwrap();

        let asked = world.github.received();
        let made: Vec<_> =
            asked.iter().filter(|asked| asked.method == "POST" && asked.path.ends_with("/deployments")).collect();
        let state = |id: &str| {
            let at = made.iter().position(|asked| asked.body["payload"]["cutover"]["deployment"] == id).unwrap();
            states(&world)[at].last().cloned().unwrap()
        };
        assert_eq!((&*state(ID), &*state(UNFINISHED)), ("success", "error"), "{order:?}");
    }
}

#[test]
fn when_nothing_more_is_heard_it_does_not_stay_in_progress() {
    let world = World::new();
    let (mut teller, warnings) = teller(&world, &["a"]);
    teller.tell(&on("web-1", began(ID, PlanKind::Deploy))).unwrap();
    drop(teller);
    assert_eq!(states(&world), [["in_progress", "error"]]);
    let last = world.github.deployment_statuses().pop().unwrap();
    assert!(last["description"].as_str().unwrap().contains("cutover resume"), "{last}");
    assert_eq!(warnings.try_iter().count(), 0);
}

#[test]
fn a_restart_and_what_has_no_commit_is_no_deployment() {
    let world = World::new();
    let (mut teller, warnings) = teller(&world, &["a"]);
    teller.tell(&began(ID, PlanKind::Restart)).unwrap();
    teller.tell(&ended(DeploymentOutcome::Deployed)).unwrap();
    let nameless = Plan { commit: String::new(), ..the_plan(ID, PlanKind::Deploy) };
    teller.tell(&Event::Began { plan: Box::new(nameless), resumed: false, at: minute(0) }).unwrap();
    teller.tell(&ended(DeploymentOutcome::Deployed)).unwrap();
    assert!(world.github.received().is_empty());
    assert_eq!(warnings.try_iter().count(), 0);
}

#[test]
fn a_token_that_may_not_costs_one_warning_for_each_right_that_it_lacks() {
    let world = World::new();
    world.github.refuse("deployments");
    world.github.refuse("pull-requests");
    let (mut teller, warnings) = teller(&world, &["b", "a"]);
    teller.tell(&began(ID, PlanKind::Deploy)).unwrap();
    teller.tell(&ended(DeploymentOutcome::Deployed)).unwrap();
    let warnings: Vec<String> = warnings.try_iter().collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("`deployments: write`") && warnings[1].contains("`pull-requests: write`"));
}
