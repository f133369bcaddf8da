//! The env file that is live, as whoever looks at it may read it.

use cutover_core::config::HostConfig;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_disk::read_regular;
use cutover_targets::host::Layout;
use cutover_targets::supervisor::{ENV_BYTES_MAX, parse_env};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::ErrorKind;

/// The variables of a target's live env file; none when there is no such file. One that cannot be read is a failure:
/// nobody may take it for an empty one.
pub(crate) fn live_variables(config: &HostConfig) -> Result<BTreeMap<String, Secret>, Failure> {
    let Some(file) = &config.env_file else { return Ok(BTreeMap::new()) };
    let path = Layout::new(&config.deploy_to).shared().join(file);
    let failed = |why: &dyn Display| Failure::new(format!("read env file {}: {why}", path.display()));
    let bytes = match read_regular(&path, ENV_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(&error.source).hint(advice(error.source.kind()))),
    };
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is no text").hint(NOT_OURS))?;
    parse_env(&text).map_err(|error| failed(&error))
}

/// What to do about an env file that Cutover cannot have written.
const NOT_OURS: &str = "Cutover did not write it: move it away, and the next deployment writes one";

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        // Too much, or no file at all.
        ErrorKind::FileTooLarge | ErrorKind::InvalidInput => NOT_OURS,
        _ => "it belongs to the user who deploys: run this as that user",
    }
}
