//! What is told of one host or of several.

use super::Manner;
use super::fleet::FleetStory;
use super::line::Line;
use super::story::{Running, Story};
use cutover_core::event::Event;

/// Puts events into lines, whether they come from one host or from several.
pub(super) enum Tale {
    One(Box<Story>),
    Several(FleetStory),
}

impl Tale {
    pub(super) fn new(manner: &Manner) -> Self {
        Self::One(Box::new(Story::new(manner)))
    }

    /// The lines that an event adds.
    pub(super) fn tell(&mut self, event: &Event, manner: &Manner) -> Vec<Line> {
        if let Event::Fleet { hosts, at } = event {
            *self = Self::Several(FleetStory::new(manner, hosts, *at));
        }
        match self {
            Self::One(story) => story.tell(event),
            Self::Several(fleet) => fleet.tell(event),
        }
    }

    /// What is being done now, by host; the name is empty where there is one alone.
    pub(super) fn running(&self) -> Vec<(String, Running)> {
        match self {
            Self::One(story) => story.running().map(|running| (String::new(), running.clone())).into_iter().collect(),
            Self::Several(fleet) => fleet.running(),
        }
    }

    /// How many hosts stand where, when there are several.
    pub(super) fn overview(&self) -> Option<String> {
        match self {
            Self::One(_) => None,
            Self::Several(fleet) => Some(fleet.overview()),
        }
    }
}
