//! `cutover agent exec`: what a unit that setup writes runs. It becomes the service.

use crate::context::Context;
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use clap::Args;
use cutover_core::secret::Secret;
use cutover_targets::supervisor::{EnvFileError, read_env_file};
use nix::errno::Errno;
use nix::unistd::execve;
use std::collections::BTreeMap;
use std::ffi::{CString, NulError, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// How a shell ends when there is no such program, and when there is one that cannot be run.
pub(super) const NOT_FOUND: i32 = 127;
pub(super) const NOT_EXECUTABLE: i32 = 126;

/// Become a command that has the variables of an env file
///
/// The file is read by the user who runs this, in place of systemd, which would read it as root. It need not be there.
#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// The env file
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
    /// The program's path, and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl ExecArgs {
    /// Does not come back where all is well: the process, its pid and its files are the command's then.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let variables = match read_env_file(&self.env_file) {
            Err(error) if error.is_not_found() => BTreeMap::new(),
            read => read.map_err(|error| self.no_variables(&error))?,
        };
        let failed = |why: &dyn std::error::Error| {
            CommandError::new(ErrorKind::Failed, format!("cannot start {}", self.command[0].to_string_lossy()))
                .because(why)
                .state("the service does not run")
        };
        let Image { argv, environment } = self.image(variables).map_err(|error| failed(&error))?;
        let Err(errno) = execve(&argv[0], &argv, &environment);
        failed(&errno).hint("see what `service.start` names in the live release").tell(&context.output);
        std::process::exit(if errno == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE })
    }

    fn no_variables(&self, error: &EnvFileError) -> CommandError {
        CommandError::new(ErrorKind::Failed, format!("cannot start {}", self.command[0].to_string_lossy()))
            .because(error)
            .state("the service does not run")
            .hint("who runs the service must be able to read it; the next deployment writes it anew")
    }

    /// What the process becomes. As with systemd, the file's variables count more than others.
    fn image(&self, variables: BTreeMap<String, Secret>) -> Result<Image, NulError> {
        let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        all.extend(variables.into_iter().map(|(name, value)| (name.into(), value.expose().into())));
        let argv = self.command.iter().map(|word| CString::new(word.clone().into_vec()));
        let environment = all.into_iter().map(|(name, value)| {
            let pair = [name.into_vec(), value.into_vec()];
            CString::new(pair.join(&b'='))
        });
        Ok(Image { argv: argv.collect::<Result<_, _>>()?, environment: environment.collect::<Result<_, _>>()? })
    }
}

/// A program's arguments and environment, as the kernel takes them.
struct Image {
    argv: Vec<CString>,
    environment: Vec<CString>,
}
