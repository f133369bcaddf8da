//! Line by line: for pipes, files and CI. No carriage returns; no escapes unless colours are asked for.

use super::Manner;
use super::tale::Tale;
use crate::reporter::Reporter;
use cutover_core::event::Event;
use std::io::{self, Write};

/// Writes one line per finished step.
pub struct Plain<W> {
    out: W,
    tale: Tale,
    manner: Manner,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`, which is flushed after every event that has something to say.
    pub fn new(out: W, manner: Manner) -> Self {
        Self { out, tale: Tale::new(&manner), manner }
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        let lines = self.tale.tell(event, &self.manner);
        if lines.is_empty() {
            return Ok(());
        }
        let text: String = lines.iter().map(|line| line.render(self.manner.color, self.manner.width) + "\n").collect();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
