//! What is killed: a deployment with something live or nothing, one that is not healthy, a rollback; and how one
//! goes on afterwards.

use crate::picture::Picture;
use crate::world::{ENVIRONMENT, Service, World};
use std::path::Path;

/// A change of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// The first deployment ever.
    First,
    /// The next version; the oldest release is pruned, the env file changes.
    Update,
    /// A version that is not healthy, and its way back.
    Unhealthy,
    /// A version whose migration fails half-way, and its way back.
    HalfWay,
    /// Back to the release before.
    Rollback,
}

/// What is done about a deployment that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// `cutover resume`.
    Resume,
    /// The next deployment.
    Deploy,
}

impl Scenario {
    /// Brings a new world to where the change begins.
    fn prepare(self, world: &World) {
        let versions: &[&str] = match self {
            Self::First => &[],
            Self::Update | Self::Unhealthy | Self::HalfWay | Self::Rollback => &["v0", "v1"],
        };
        versions.iter().for_each(|version| drop(world.deploy(version).expect(0)));
        world.configure(self.version());
    }

    /// The version whose variables are configured.
    fn version(self) -> &'static str {
        match self {
            Self::First | Self::Rollback => "v1",
            Self::Update => "v2",
            Self::Unhealthy => "broken",
            Self::HalfWay => "half",
        }
    }

    /// The command that makes the change.
    pub(crate) fn command(self) -> Vec<&'static str> {
        match self {
            Self::First | Self::Update | Self::Unhealthy | Self::HalfWay => {
                vec!["deploy", ENVIRONMENT, "--commit", self.version()]
            }
            Self::Rollback => vec!["rollback", ENVIRONMENT],
        }
    }

    /// How it ends when nobody kills it.
    pub(crate) fn exit_code(self) -> i32 {
        match self {
            Self::First | Self::Update | Self::Rollback => 0,
            Self::HalfWay => 1,
            Self::Unhealthy => 3,
        }
    }

    /// The version that the next deployment brings after it was killed.
    fn next_version(self) -> &'static str {
        match self {
            Self::First => "v1",
            Self::Update => "v2",
            Self::Unhealthy | Self::HalfWay | Self::Rollback => "v3",
        }
    }
}

impl Recovery {
    /// The command that recovers.
    pub(crate) fn command(self, scenario: Scenario, world: &World) -> Vec<&'static str> {
        match self {
            Self::Resume => vec!["resume", ENVIRONMENT],
            Self::Deploy => {
                world.configure(scenario.next_version());
                vec!["deploy", ENVIRONMENT, "--commit", scenario.next_version()]
            }
        }
    }
}

/// What a world may look like after a recovery.
pub(crate) struct Allowed {
    /// Before the change, or after it.
    pub(crate) which: &'static str,
    /// Recovered.
    pub(crate) recovered: Picture,
    /// After one more deployment, of the last version.
    pub(crate) followed: Picture,
}

/// A world that can be brought to where the change begins again and again.
pub(crate) struct Stage {
    pub(crate) scenario: Scenario,
    pub(crate) world: World,
    resumed: [Allowed; 2],
    deployed: [Allowed; 2],
    /// Before the change, and after it.
    pub(crate) ends: [Picture; 2],
}

/// The kept world where the change begins.
const ORIGINAL: &str = "original";
/// The kept world after the change.
const TARGET: &str = "target";

impl Stage {
    /// Prepares a world in an empty directory, and makes the change once to see how it looks afterwards.
    pub(crate) fn new(slot: &Path, scenario: Scenario, service: Service) -> Self {
        let world = World::new(slot, service);
        scenario.prepare(&world);
        crate::processes::end_all(&world.root());
        world.keep(ORIGINAL);
        let original = Picture::of(&world.srv());
        crate::service::revive(&world);
        world.run(&scenario.command()).expect(scenario.exit_code());
        crate::processes::end_all(&world.root());
        world.keep(TARGET);
        let target = Picture::of(&world.srv());
        if scenario.exit_code() != 0 {
            let difference = target.without_bad_releases().difference(&original).concat();
            assert!(difference.is_empty(), "{scenario:?} was not taken back:\n{difference}");
        }
        let both = |recovery| {
            [("original", ORIGINAL), ("target", TARGET)]
                .map(|(which, kept)| Allowed::after(which, &world, kept, scenario, recovery))
        };
        let (resumed, deployed) = (both(Recovery::Resume), both(Recovery::Deploy));
        Self { scenario, world, resumed, deployed, ends: [original, target] }
    }

    /// Back to where the change begins.
    pub(crate) fn reset(&self) {
        self.put_back(ORIGINAL);
    }

    /// Back to a kept world, and whatever ran in it runs again.
    pub(crate) fn put_back(&self, name: &str) {
        put_back(&self.world, name);
    }

    /// What the world may look like after a recovery.
    pub(crate) fn allowed(&self, recovery: Recovery) -> &[Allowed; 2] {
        match recovery {
            Recovery::Resume => &self.resumed,
            Recovery::Deploy => &self.deployed,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A test that fails must leave nothing running either.
        crate::processes::end_all(&self.world.root());
    }
}

impl Allowed {
    /// What a recovery makes of a world in which nothing was killed.
    fn after(which: &'static str, world: &World, kept: &str, scenario: Scenario, recovery: Recovery) -> Self {
        put_back(world, kept);
        world.run(&recovery.command(scenario, world)).expect(0);
        let recovered = Picture::of(&world.srv());
        world.deploy("v3").expect(0);
        Self { which, recovered, followed: Picture::of(&world.srv()) }
    }
}

fn put_back(world: &World, name: &str) {
    crate::processes::end_all(&world.root());
    world.put_back(name);
    crate::service::revive(world);
}
