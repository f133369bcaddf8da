//! Every way a change of several hosts can end, as people are told.
#![allow(clippy::unwrap_used, reason = "a story that cannot be told is a broken test")]

use cutover_core::event::Event;
use cutover_core::next::DeploymentOutcome;
use cutover_core::plan::PlanKind;
use cutover_core::rollout::{Standing, Whole};
use cutover_reporters::{Manner, Plain, Reporter};
use cutover_testkit::{Story, Told, minute, name};
use insta::assert_snapshot;

/// How a host stands in the end, after what it told.
type End = (Standing, Option<Told>);

/// What is said of the hosts and of the whole, without the details of steps.
fn said(whole: Whole, ends: Vec<End>) -> String {
    let hosts: Vec<String> = (1..=ends.len()).map(|number| format!("web-{number}")).collect();
    let mut events = vec![Event::Fleet { hosts: hosts.clone(), at: minute(1) }];
    let on = |host: &String, event: Event| Event::OnHost { host: host.clone(), happened: Box::new(event) };
    for (host, (standing, told)) in hosts.iter().zip(ends) {
        if let Some((plan, records)) = told {
            events.push(on(host, Event::Began { plan: Box::new(plan), resumed: false, at: minute(1) }));
            events.extend(records.into_iter().map(|record| on(host, Event::Recorded { record })));
        }
        events.push(Event::Stands { host: host.clone(), standing, why: String::new(), at: minute(2) });
    }
    events.push(Event::FleetEnded { outcome: None, whole, at: minute(2), elapsed_ms: 12_200 });
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, Manner::default());
    events.iter().for_each(|event| plain.tell(event).unwrap());
    drop(plain);
    let is_detail = |line: &str| line.trim_start().contains("    ");
    String::from_utf8(out)
        .unwrap()
        .lines()
        .skip(2)
        .filter(|line| !is_detail(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Number 4 on a host.
fn story(number: u32) -> Story {
    Story::new(4).host(&format!("web-{number}"))
}

const DONE: Standing = Standing::Ended(DeploymentOutcome::Deployed);
const BACK: Standing = Standing::Ended(DeploymentOutcome::RolledBack);
const FAILED: Standing = Standing::Ended(DeploymentOutcome::Failed);

#[test]
fn where_a_broken_wave_keeps_the_others_it_is_said_which_release_is_where() {
    let ends = vec![(DONE, Some(story(1).deployed())), (BACK, Some(story(2).rolled_back()))];
    assert_snapshot!(said(Whole::Divided, ends), @"
      web-2  ✗ switch 1.00s — probe /health: status 500
      web-2  ↩ back on r3, healthy
    ✗ Divided after 12.2s: release r4 stays on web-1, and is not on web-2; 2 hosts: 1 done, 1 rolled back
      make all hosts alike: deploy again, or what was live before (r3): cutover deploy production --commit COMMIT
      read more: cutover logs d-00004
    ");
}

#[test]
fn a_way_back_names_the_release_that_is_live_again() {
    let ends = vec![(BACK, Some(story(1).rolled_back())), (BACK, Some(story(2).rolled_back()))];
    assert_snapshot!(said(Whole::RolledBack, ends), @"
      web-1  ✗ switch 1.00s — probe /health: status 500
      web-1  ↩ back on r3, healthy
      web-2  ✗ switch 1.00s — probe /health: status 500
      web-2  ↩ back on r3, healthy
    ↩ Rolled back in 12.2s: release r3 is live and healthy again, r4 is not; 2 hosts: 2 rolled back
      read more: cutover logs d-00004
    ");

    // Where hosts had different ones, each says its own.
    let (mut plan, records) = story(2).rolled_back();
    plan.original = Some(name("r2"));
    let ends = vec![(BACK, Some(story(1).rolled_back())), (BACK, Some((plan, records)))];
    assert_snapshot!(said(Whole::RolledBack, ends), @"
      web-1  ✗ switch 1.00s — probe /health: status 500
      web-1  ↩ back on r3, healthy
      web-2  ✗ switch 1.00s — probe /health: status 500
      web-2  ↩ back on r2, healthy
    ↩ Rolled back in 12.2s: hosts are back on the releases that they had, r4 is live on none; 2 hosts: 2 rolled back
      read more: cutover logs d-00004
    ");
}

#[test]
fn a_host_that_was_lost_stands_in_the_headline() {
    let ends = vec![(DONE, Some(story(1).deployed())), (Standing::Lost, Some(story(2).unfinished()))];
    assert_snapshot!(said(Whole::InDoubt, ends), @"
      web-2  ✗ lost
    ✗ In doubt after 12.2s: how it ends on web-2 is not known; 2 hosts: 1 done, 1 lost
      read more: cutover logs d-00004
    ");
}

#[test]
fn a_host_that_was_left_out_is_named_with_what_is_left_to_do() {
    let ends = vec![(DONE, Some(story(1).deployed())), (Standing::Unreachable, None)];
    assert_snapshot!(said(Whole::Skipped, ends), @"
      web-2  ✗ not reached
    ✓ Deployed in 12.2s: shop in production is release r4; 2 hosts: 1 done, 1 not reached
      ! left out, and as before: web-2; deploy again once it can be reached
    ");
}

#[test]
fn what_changed_on_one_host_is_no_less_changed_because_another_one_had_it() {
    let ends = vec![(Standing::Unchanged, Some(story(1).nothing_to_do())), (DONE, Some(story(2).deployed()))];
    assert_snapshot!(said(Whole::Done, ends), @"
    ✓ Deployed in 12.2s: shop in production is release r4; 2 hosts: 1 unchanged, 1 done
    ");
}

#[test]
fn what_went_back_beside_a_host_that_had_the_release_is_not_said_to_be_live_nowhere() {
    let ends = vec![(Standing::Unchanged, Some(story(1).nothing_to_do())), (BACK, Some(story(2).rolled_back()))];
    assert_snapshot!(said(Whole::RolledBack, ends), @"
      web-2  ✗ switch 1.00s — probe /health: status 500
      web-2  ↩ back on r3, healthy
    ↩ Rolled back in 12.2s: hosts that were switched are back on the releases that they had; 2 hosts: 1 unchanged, 1 rolled back
      read more: cutover logs d-00004
    ");
}

#[test]
fn what_is_said_of_the_whole_is_said_of_those_who_switch() {
    let (mut plan, records) = story(1).kind(PlanKind::Restart).deployed();
    plan.steps.iter_mut().for_each(|step| step.switches = false);
    let ends = vec![(DONE, Some((plan, records))), (DONE, Some(story(2).deployed()))];
    let told = said(Whole::Done, ends);
    assert!(told.contains("✓ Deployed in 12.2s"), "{told}");
}

#[test]
fn a_host_that_says_nothing_is_told_of_once_and_so_is_that_it_answers_again() {
    let host = "web-1".to_owned();
    let on = |event: Event| Event::OnHost { host: host.clone(), happened: Box::new(event) };
    let stands = |standing| Event::Stands { host: host.clone(), standing, why: String::new(), at: minute(2) };
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, Manner::default());
    for event in [
        Event::Fleet { hosts: vec![host.clone(), "web-2".to_owned()], at: minute(1) },
        on(Event::Silent { seconds: 10 }),
        stands(Standing::Silent),
        stands(Standing::Healthy),
        on(Event::Silent { seconds: 0 }),
    ] {
        plain.tell(&event).unwrap();
    }
    drop(plain);
    assert_eq!(String::from_utf8(out).unwrap(), "  web-1  has been silent for 10 s\n  web-1  answers again\n");
}

#[test]
fn a_host_alone_that_says_nothing_is_told_of_by_name() {
    let (plan, _) = story(1).unfinished();
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, Manner::default());
    plain.tell(&Event::Began { plan: Box::new(plan), resumed: false, at: minute(1) }).unwrap();
    [10, 0].into_iter().for_each(|seconds| plain.tell(&Event::Silent { seconds }).unwrap());
    drop(plain);
    let said = String::from_utf8(out).unwrap();
    assert!(said.ends_with("… web-1 has been silent for 10 s\n… web-1 answers again\n"), "{said}");
}

#[test]
fn what_is_started_or_restarted_is_not_called_switched() {
    let healthy = |story: Story| said(Whole::Done, vec![(Standing::Healthy, Some(story.unfinished()))]);
    assert_snapshot!(healthy(story(1).starting()), @"
      web-1  ✓ started and healthy in 1m 00s
    ✓ Started in 12.2s: shop in production is release r4; 1 hosts: 1 healthy
    ");
    assert_snapshot!(healthy(story(1).kind(PlanKind::Restart)), @"
      web-1  ✓ restarted and healthy in 1m 00s
    ✓ Restarted in 12.2s: shop in production is release r4; 1 hosts: 1 healthy
    ");
}

#[test]
fn a_host_that_was_restarted_and_restarted_back_is_not_called_unchanged() {
    let restart = |number: u32, is_done: bool| {
        let story = story(number).kind(PlanKind::Restart);
        let (mut plan, records) = if is_done { story.cancelled_after_the_second() } else { story.rolled_back() };
        plan.steps[1].name = "restart".to_owned();
        plan.release = name("r3");
        (FAILED, Some((plan, records)))
    };
    assert_snapshot!(said(Whole::Failed, vec![restart(1, true), restart(2, false)]), @"
      web-1  restarted more than once, and healthy again on release r3
      web-2  ✗ restart 1.00s — probe /health: status 500
      web-2  release r3 runs as before
    ✗ Failed after 12.2s; 2 hosts: 1 restarted, 1 as before
      read more: cutover logs d-00004
    ");
}

#[test]
fn what_was_not_begun_somewhere_is_not_done() {
    let (plan, mut records) = story(1).cancelled();
    records.retain(|record| record.seq == 1);
    let ends = vec![(FAILED, Some((plan, records))), (Standing::Refused, None)];
    assert_snapshot!(said(Whole::NotDone, ends), @"
      web-1  nothing that runs was changed
      web-2  ✗ refused
    ✗ Not done after 12.2s; 2 hosts: 1 unchanged, 1 refused
      read more: cutover logs d-00004
    ");
}
