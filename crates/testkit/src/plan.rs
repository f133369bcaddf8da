//! Plans for tests.

use crate::clock::start;
use cutover_core::plan::{Phase, Plan, PlanKind, Reversal, Step, StepId};

/// A plan of these steps that goes from release `r1` to `r2` in `production`.
pub fn plan<A>(steps: Vec<Step<A>>) -> Plan<A> {
    Plan {
        deployment: name("20261121T100000-0001"),
        kind: PlanKind::Deploy,
        project: name("shop"),
        environment: name("production"),
        artifact: "a".repeat(64),
        commit: "c".repeat(40),
        subject: "Change something".to_owned(),
        committed_at: Some(start()),
        dirty: false,
        release: name("r2"),
        original: Some(name("r1")),
        by: "tester".to_owned(),
        reason: String::new(),
        made_at: start(),
        fleet: Vec::new(),
        forward: false,
        starts: false,
        promoted_from: None,
        steps,
    }
}

/// A restorable step on `localhost` that does not switch.
pub fn step<A>(id: u32, phase: Phase, action: A) -> Step<A> {
    Step {
        id: StepId(id),
        target: name("api"),
        host: "localhost".to_owned(),
        name: format!("step-{id}"),
        phase,
        switches: false,
        reversal: Reversal::Restorable,
        action,
    }
}

/// A name that the test knows to be valid.
///
/// # Panics
/// When it is not.
pub fn name<N: std::str::FromStr<Err = cutover_core::id::InvalidId>>(text: &str) -> N {
    text.parse().expect("a valid name")
}
