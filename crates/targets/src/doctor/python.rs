//! Whether Python is there as the config wants it.

use super::Finding;
use super::ask::ask;
use crate::host::find_program;
use cutover_core::config::PythonConfig;

/// The program that builds environments where it is installed.
const UV: &str = "uv";

pub(super) fn examine(python: &PythonConfig) -> Vec<Finding> {
    let interpreter = python.interpreter.as_str();
    let Some(version) = ask(&[interpreter, "--version"]) else {
        let fix = "install it (apt-get install python3), or name another one in `python.interpreter`";
        return vec![Finding::failed("python", format!("{interpreter} does not start"), fix)];
    };
    let version = Finding::fine("python", format!("{interpreter} is {}", version.trim()));
    let needs_venv = python.requirements.is_some() && find_program(UV).is_none();
    if needs_venv && ask(&[interpreter, "-c", "import venv, ensurepip"]).is_none() {
        let what = format!("{interpreter} cannot make virtual environments, and there is no uv");
        return vec![version, Finding::failed("python", what, "apt-get install python3-venv, or install uv")];
    }
    vec![version]
}
