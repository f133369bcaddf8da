//! Asking a host again and again whether it is there: it would else say nothing for as long as it works.

use super::{Errand, Voice};
use crate::deployments::order::Order;
use cutover_core::event::{Event, Observer};
use cutover_targets::remote::frame::{Kind, Sender};
use cutover_targets::remote::patience::Patience;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a host is told that its coordinator is there, and asked whether it is; more often where a lease is short.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often a host is asked that is not one of several.
const LIFE: Duration = Duration::from_secs(3);
/// From when on people are told that a host says nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// How a host is asked whether it is there. Questions are told apart by the milliseconds since the first words.
pub(in crate::deployments) struct Pulse<'a> {
    began: Instant,
    interval: Duration,
    patience: Patience,
    /// Who is told when the host has said nothing for so long.
    silence: (&'a dyn Observer, Duration),
    /// Whether it was told that the host says nothing.
    is_silent: AtomicBool,
}

impl<'a> Pulse<'a> {
    /// As often as the errand needs it.
    pub(in crate::deployments) fn of(errand: &Errand<'a>, patience: Patience) -> Self {
        let interval = match errand.voice {
            Voice::Cancel(_) => LIFE,
            Voice::Coordinator { .. } => heartbeat(errand.order),
        };
        Self::new(interval, patience, (errand.observer, SILENCE))
    }

    /// So often.
    pub(super) fn new(interval: Duration, patience: Patience, silence: (&'a dyn Observer, Duration)) -> Self {
        Self { began: Instant::now(), interval, patience, silence, is_silent: AtomicBool::new(false) }
    }

    /// Asks, when that was not done for a while, and tells when there is no answer for long.
    pub(super) fn ask<W: Write>(&self, sender: &Sender<W>, asked_at: &mut Instant) {
        self.notice(self.patience.silence());
        if asked_at.elapsed() >= self.interval {
            *asked_at = Instant::now();
            let question = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.patience.ask(question);
            // A connection that broke is noticed by whoever reads from it.
            let _sent = sender.send_json(Kind::Alive, &question);
        }
    }

    /// Tells when a silence becomes long, and when it is over.
    pub(super) fn notice(&self, silence: Duration) {
        let (observer, long) = self.silence;
        let is_silent = silence >= long;
        if self.is_silent.swap(is_silent, Ordering::Relaxed) != is_silent {
            let seconds = if is_silent { silence.as_secs() } else { 0 };
            observer.event(&Event::Silent { seconds });
        }
    }

    /// Takes an answer; gives when its question was put, or None when that cannot be.
    pub(super) fn answered(&self, question: u64) -> Option<Instant> {
        let asked_at = self.began.checked_add(Duration::from_millis(question)).filter(|at| *at <= Instant::now())?;
        self.patience.answered(question);
        Some(asked_at)
    }
}

fn heartbeat(order: &Order) -> Duration {
    order.part.as_ref().map_or(HEARTBEAT, |part| HEARTBEAT.min(part.lease / 4))
}
