//! What reporters are told: journal entries, and progress that may be dropped.

use crate::journal::Record;
use crate::next::DeploymentOutcome;
use crate::plan::{Plan, StepId};
use crate::probe::ProbeResult;
use crate::rollout::{Standing, Whole};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A deployment begins, or goes on where another process left it.
    Began {
        /// What will be done.
        plan: Box<Plan>,
        /// Whether it was begun before.
        resumed: bool,
        /// When.
        at: Timestamp,
    },
    /// An entry was journaled.
    Recorded {
        /// The entry.
        #[serde(flatten)]
        record: Record,
    },
    /// Part of a step is done.
    Progressed {
        /// The step.
        step: StepId,
        /// How much.
        done: u64,
        /// Of how much; 0 when unknown.
        total: u64,
        /// Of what.
        unit: Cow<'static, str>,
    },
    /// A child process said something, masked already.
    Output {
        /// The step.
        step: StepId,
        /// The line.
        line: String,
    },
    /// A probe was made.
    Probed {
        /// The step.
        step: StepId,
        /// What it saw.
        result: ProbeResult,
    },
    /// Someone else's deployment or lock is in the way, and this one waits.
    Waiting {
        /// Who holds the lock and why.
        holder: String,
        /// How many wait before this one.
        ahead_count: u32,
    },
    /// A host at work has said nothing for a while, or speaks again.
    Silent {
        /// For how many seconds; 0 once it speaks again.
        seconds: u64,
    },
    /// A change of several hosts begins.
    Fleet {
        /// The hosts, in the config's order.
        hosts: Vec<String>,
        /// When.
        at: Timestamp,
    },
    /// Something happened on one of several hosts.
    OnHost {
        /// The host.
        host: String,
        /// What.
        happened: Box<Event>,
    },
    /// A host got somewhere, or was lost.
    Stands {
        /// The host.
        host: String,
        /// How it stands now.
        standing: Standing,
        /// Why, where that is no matter of course.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// Some hosts are switched.
    Wave {
        /// Its number, from 1.
        number: u32,
        /// How many there are.
        count: u32,
        /// Its hosts.
        hosts: Vec<String>,
    },
    /// The change of several hosts ended.
    FleetEnded {
        /// As the worst of them; None when no host's end is known.
        outcome: Option<DeploymentOutcome>,
        /// How it ended as a whole.
        whole: Whole,
        /// When.
        at: Timestamp,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
    /// The deployment ended.
    Ended {
        /// How.
        outcome: DeploymentOutcome,
        /// When.
        at: Timestamp,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
    },
}

/// Nobody: whatever happens is told to no one.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Observer for Nobody {
    fn event(&self, _event: &Event) {}
}

/// Someone who is told. Being told cannot fail: a broken reporter never fails a deployment.
pub trait Observer: Sync {
    /// Takes one event.
    fn event(&self, event: &Event);
}
