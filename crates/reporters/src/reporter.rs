//! What every reporter can do.

use cutover_core::event::Event;
use std::io;

/// Tells events to someone. Events come in order; what may be dropped is progress and output.
pub trait Reporter: Send {
    /// Tells one event. After an error the reporter is not asked again.
    fn tell(&mut self, event: &Event) -> io::Result<()>;
}
