//! One JSON object a line, for machines.

use crate::reporter::Reporter;
use cutover_core::event::Event;
use serde::Serialize;
use std::io::{self, Write};

/// The version of the lines' format.
const VERSION: u32 = 1;

/// Writes each event as one line: `{"v":1,"event":"recorded",…}`.
pub struct JsonLines<W> {
    out: W,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`, which is flushed after every line.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reporter for JsonLines<W> {
    fn tell(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { v: VERSION, event })?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}
