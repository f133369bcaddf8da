//! The env file that is live, as whoever looks at it may read it.

use cutover_core::config::HostConfig;
use cutover_core::secret::Secret;
use cutover_core::target::Failure;
use cutover_targets::host::Layout;
use cutover_targets::supervisor::parse_env;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// The variables of a target's live env file; none when there is no such file. One that cannot be read is a failure:
/// nobody may take it for an empty one.
pub(crate) fn live_variables(config: &HostConfig) -> Result<BTreeMap<String, Secret>, Failure> {
    let Some(file) = &config.env_file else { return Ok(BTreeMap::new()) };
    let path = Layout::new(&config.deploy_to).shared().join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            let failure = Failure::new(format!("read env file {}: {error}", path.display()));
            return Err(failure.hint("it belongs to the user who deploys: run this as that user"));
        }
    };
    parse_env(&text).map_err(|error| Failure::new(format!("read env file {}: {error}", path.display())))
}
