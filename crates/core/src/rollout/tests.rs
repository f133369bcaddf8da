use super::*;
use crate::config::{Config, OnLostCoordinator, Share};
use proptest::prelude::*;
use std::time::Duration;

const GO: Word = Word::Go(Gate::Switch);
const SETTLE: Word = Word::Go(Gate::Settle);

/// What a config says that says nothing.
fn usual() -> RolloutConfig {
    let config = Config::parse("name = \"shop\"\n[environments.test]").unwrap();
    config.environments.values().next().unwrap().rollout.clone()
}

/// What becomes of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sound,
    /// It never gets to the first gate, but stands like this.
    NotStaged(Standing),
    /// It switches, and never gets to the second gate, but stands like this.
    NotHealthy(Standing),
    /// Nothing is heard of it at the second gate; it speaks again, or it never does.
    Silent {
        returns: bool,
    },
    /// It is lost while it goes back.
    LostOnTheWayBack,
}

/// What is left of one that failed before it switched.
const UNCHANGED: Standing = Standing::Ended(DeploymentOutcome::Failed);
/// What is left of one that had switched.
const BACK: Standing = Standing::Ended(DeploymentOutcome::RolledBack);

/// Hosts that do what they are told, as far as their fates let them.
struct World {
    hosts: Vec<Standing>,
    fates: Vec<Fate>,
    paused: usize,
    /// The most that were switching at once.
    switching_max: usize,
    /// Who was told what, in order.
    told: Vec<(usize, Word)>,
}

impl World {
    fn new(fates: Vec<Fate>) -> Self {
        let hosts = vec![Standing::Preparing; fates.len()];
        Self { hosts, fates, paused: 0, switching_max: 0, told: Vec::new() }
    }

    /// One host that is under way gets somewhere; which one is chosen from outside. False: nobody is under way.
    fn advance(&mut self, choice: usize) -> bool {
        let waits = |host: &Standing| matches!(host, Standing::Staged | Standing::Healthy);
        let under_way: Vec<usize> =
            (0..self.hosts.len()).filter(|at| !self.hosts[*at].is_over() && !waits(&self.hosts[*at])).collect();
        let Some(at) = under_way.get(choice % under_way.len().max(1)).copied() else { return false };
        let has_switched = self.told.contains(&(at, GO));
        self.hosts[at] = match (self.hosts[at], self.fates[at]) {
            (Standing::Preparing, Fate::NotStaged(standing)) => standing,
            (Standing::Preparing, _) => Standing::Staged,
            (Standing::Switching, Fate::NotHealthy(standing)) => standing,
            (Standing::Switching, Fate::Silent { .. }) => Standing::Silent,
            (Standing::Switching, _) => Standing::Healthy,
            (Standing::Silent, Fate::Silent { returns: true }) => Standing::Healthy,
            (Standing::Silent, _) => Standing::Leaving,
            (Standing::Settling, _) => Standing::Ended(DeploymentOutcome::Deployed),
            (Standing::Stopping, Fate::LostOnTheWayBack) if has_switched => Standing::Leaving,
            (Standing::Leaving, Fate::LostOnTheWayBack) => Standing::Lost,
            (_, _) if has_switched => BACK,
            (_, _) => UNCHANGED,
        };
        true
    }

    fn hear(&mut self, rollout: &Rollout<'_>, words: Vec<(usize, Word)>) {
        for (at, word) in words {
            self.check(rollout, at, word);
            self.told.push((at, word));
            self.hosts[at] = match word {
                Word::Go(Gate::Switch) => Standing::Switching,
                Word::Go(Gate::Settle) => Standing::Settling,
                Word::Stop => Standing::Stopping,
            };
        }
        let switching = self.hosts.iter().filter(|host| **host == Standing::Switching).count();
        self.switching_max = self.switching_max.max(switching);
    }

    /// What must hold of every single word.
    fn check(&self, rollout: &Rollout<'_>, at: usize, word: Word) {
        match word {
            Word::Go(Gate::Switch) => {
                assert_eq!(self.hosts[at], Standing::Staged, "only who is staged may switch");
                assert!(!self.hosts.contains(&Standing::Preparing), "everybody is staged first");
                let migrates_first = rollout.migrating.is_none_or(|host| host == at || self.told.contains(&(host, GO)));
                assert!(migrates_first, "the migration comes before any other switch");
            }
            Word::Go(Gate::Settle) => {
                assert_eq!(self.hosts[at], Standing::Healthy, "only who is healthy may settle");
                let doubtful = |host: &Standing| matches!(host, Standing::Silent | Standing::Leaving);
                let keeps = rollout.config.on_failure == OnFailure::Keep;
                assert!(keeps || !self.hosts.iter().any(doubtful), "nobody settles who does not know of all");
            }
            Word::Stop if self.hosts[at] == Standing::Staged => {}
            Word::Stop if rollout.migrating == Some(at) => {
                let mut others =
                    (0..self.hosts.len()).filter(|other| *other != at && self.told.contains(&(*other, GO)));
                assert!(others.all(|other| self.hosts[other].is_over()), "the migration is taken back last");
            }
            Word::Stop => assert!(!self.hosts.contains(&Standing::Settling), "nobody goes back once somebody settles"),
        }
    }

    /// Lets the rollout run to its end.
    fn run(&mut self, rollout: &Rollout<'_>, choices: &[usize], cancel_at: Option<usize>) {
        for turn in 0..10_000 {
            match rollout.next(&self.hosts, self.paused, cancel_at.is_some_and(|at| turn >= at)) {
                Next::Tell(words) => self.hear(rollout, words),
                Next::Pause(wave) => self.paused = wave,
                Next::Wait => assert!(self.advance(choices[turn % choices.len()]), "stands still: {:?}", self.hosts),
                Next::Over => return,
            }
        }
        panic!("does not come to an end: {:?}", self.hosts);
    }
}

fn ended(outcome: DeploymentOutcome, count: usize) -> Vec<Standing> {
    vec![Standing::Ended(outcome); count]
}

#[test]
fn a_canary_goes_first_then_batches_and_all_settle_together() {
    let config = RolloutConfig { canary: Some(Share::Count(1)), batch: Share::Count(2), ..usual() };
    let rollout = Rollout { config: &config, migrating: None };
    let mut world = World::new(vec![Fate::Sound; 4]);
    world.run(&rollout, &[0], None);
    assert_eq!(world.hosts, ended(DeploymentOutcome::Deployed, 4));
    assert_eq!(world.told[..4], [(0, GO), (1, GO), (2, GO), (3, GO)]);
    assert_eq!(world.told[4..], [(0, SETTLE), (1, SETTLE), (2, SETTLE), (3, SETTLE)]);
}

#[test]
fn what_had_switched_goes_back_when_a_later_wave_fails() {
    let config = RolloutConfig { batch: Share::Count(1), ..usual() };
    let rollout = Rollout { config: &config, migrating: None };
    let mut world = World::new(vec![Fate::Sound, Fate::NotHealthy(BACK), Fate::Sound]);
    world.run(&rollout, &[0], None);
    assert_eq!(world.hosts, [BACK, BACK, UNCHANGED], "the third had not switched");
}

#[test]
fn what_is_healthy_stays_when_the_policy_says_so() {
    let config = RolloutConfig { batch: Share::Count(1), on_failure: OnFailure::Keep, ..usual() };
    let rollout = Rollout { config: &config, migrating: None };
    let mut world = World::new(vec![Fate::Sound, Fate::NotHealthy(BACK), Fate::Sound]);
    world.run(&rollout, &[0], None);
    assert_eq!(world.hosts, [Standing::Ended(DeploymentOutcome::Deployed), BACK, UNCHANGED]);
}

#[test]
fn the_host_that_migrates_goes_first_alone_and_back_last() {
    let config = usual();
    let rollout = Rollout { config: &config, migrating: Some(1) };
    let mut world = World::new(vec![Fate::Sound, Fate::Sound, Fate::NotHealthy(BACK)]);
    world.run(&rollout, &[0], None);
    assert_eq!(world.told[..3], [(1, GO), (0, GO), (2, GO)]);
    assert_eq!(world.told[3..], [(0, Word::Stop), (1, Word::Stop)]);
}

#[test]
fn nobody_settles_while_one_has_not_answered_for_a_while() {
    let config = RolloutConfig { batch: Share::Count(2), max_unavailable: Share::Count(1), ..usual() };
    let rollout = Rollout { config: &config, migrating: None };
    let next = |hosts: &[Standing]| rollout.next(hosts, 0, false);
    use Standing::{Healthy, Leaving, Silent, Staged};
    assert_eq!(next(&[Healthy, Silent]), Next::Wait);
    assert_eq!(next(&[Healthy, Healthy]), Next::Tell(vec![(0, SETTLE), (1, SETTLE)]));
    assert_eq!(next(&[Silent, Staged]), Next::Wait, "one that may be out of service is one that is unavailable");
    assert_eq!(next(&[Healthy, Leaving]), Next::Tell(vec![(0, Word::Stop)]));
}

#[test]
fn a_migration_is_not_taken_back_while_a_host_that_was_lost_may_still_run_what_needs_it() {
    let config = usual();
    let rollout = Rollout { config: &config, migrating: Some(0) };
    let next = |hosts: &[Standing]| rollout.next(hosts, 0, false);
    assert_eq!(next(&[Standing::Healthy, Standing::Leaving]), Next::Wait);
    assert_eq!(next(&[Standing::Healthy, Standing::Lost]), Next::Tell(vec![(0, Word::Stop)]));
    assert_eq!(next(&[Standing::Healthy, BACK]), Next::Tell(vec![(0, Word::Stop)]));
}

#[test]
fn hosts_that_cannot_be_reached_stop_everything_or_are_passed_over() {
    let hosts = [Standing::Unreachable, Standing::Staged];
    let config = usual();
    let next = Rollout { config: &config, migrating: None }.next(&hosts, 0, false);
    assert_eq!(next, Next::Tell(vec![(1, Word::Stop)]));
    let config = RolloutConfig { on_unreachable: OnUnreachable::Skip, ..usual() };
    let next = Rollout { config: &config, migrating: None }.next(&hosts, 0, false);
    assert_eq!(next, Next::Tell(vec![(1, GO)]));
    let next = Rollout { config: &config, migrating: Some(0) }.next(&hosts, 0, false);
    assert_eq!(next, Next::Tell(vec![(1, Word::Stop)]), "nobody goes on without the migration");
}

#[test]
fn a_pause_passes_between_waves_and_not_before_the_first() {
    let config = RolloutConfig { batch: Share::Count(1), pause: Duration::from_secs(9), ..usual() };
    let rollout = Rollout { config: &config, migrating: None };
    assert_eq!(rollout.next(&[Standing::Staged; 2], 0, false), Next::Tell(vec![(0, GO)]));
    let one_is_healthy = [Standing::Healthy, Standing::Staged];
    assert_eq!(rollout.next(&one_is_healthy, 0, false), Next::Pause(1));
    assert_eq!(rollout.next(&one_is_healthy, 1, false), Next::Tell(vec![(1, GO)]));
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(1..8_u32).prop_map(Share::Count), (1..=100_u32).prop_map(Share::Percent)]
}

prop_compose! {
    fn policy()(
        canary in prop::option::of(share()),
        batch in share(),
        max_unavailable in share(),
        pause in 0..2_u64,
        keep in any::<bool>(),
        skip in any::<bool>(),
    ) -> RolloutConfig {
        RolloutConfig {
            canary,
            batch,
            max_unavailable,
            pause: Duration::from_secs(pause),
            on_failure: if keep { OnFailure::Keep } else { OnFailure::RestoreAll },
            on_lost_coordinator: OnLostCoordinator::Restore,
            on_unreachable: if skip { OnUnreachable::Skip } else { OnUnreachable::Refuse },
            ..usual()
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let not_staged = prop::sample::select(vec![UNCHANGED, Standing::Refused, Standing::Unreachable, Standing::Lost]);
    let not_healthy = prop::sample::select(vec![BACK, Standing::Leaving]);
    prop_oneof![
        60 => Just(Fate::Sound),
        2 => not_staged.prop_map(Fate::NotStaged),
        2 => not_healthy.prop_map(Fate::NotHealthy),
        4 => prop::bool::weighted(0.7).prop_map(|returns| Fate::Silent { returns }),
        4 => Just(Fate::LostOnTheWayBack),
    ]
}

proptest! {
    /// Whatever the policy, whoever fails and whenever somebody asks to stop: it comes to an end, and that is one for all.
    #[test]
    fn every_rollout_ends_with_all_hosts_on_one_release_or_as_the_policy_says(
        config in policy(),
        fates in prop::collection::vec(fate(), 1..12),
        choices in prop::collection::vec(0..100_usize, 1..50),
        migrating in prop::option::of(0..12_usize),
        cancel_at in prop::option::of(0..200_usize),
    ) {
        let migrating = migrating.filter(|host| *host < fates.len());
        let rollout = Rollout { config: &config, migrating };
        let mut world = World::new(fates);
        world.run(&rollout, &choices, cancel_at);
        prop_assert!(world.switching_max <= config.max_unavailable.of(world.hosts.len()));
        let deployed = Standing::Ended(DeploymentOutcome::Deployed);
        let deployed_count = world.hosts.iter().filter(|host| **host == deployed).count();
        let kept = config.on_failure == OnFailure::Keep;
        let skips = config.on_unreachable == OnUnreachable::Skip;
        let is_skipped = |host: &Standing| skips && *host == Standing::Unreachable;
        let taking_part_count = world.hosts.iter().filter(|host| !is_skipped(host)).count();
        prop_assert!(deployed_count == 0 || deployed_count == taking_part_count || kept, "{:?}", world.hosts);
        let works = |fate: &Fate| {
            matches!(fate, Fate::Sound | Fate::LostOnTheWayBack | Fate::Silent { returns: true })
        };
        if world.fates.iter().all(works) && cancel_at.is_none() {
            prop_assert_eq!(deployed_count, world.hosts.len());
        }
    }
}
