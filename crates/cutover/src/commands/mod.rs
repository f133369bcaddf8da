//! One file per command. To add one: a file with its arguments, whose doc comment is its help, and
//! a line here.

mod agent;
mod alike;
mod app;
mod artifact;
mod build;
mod catch_up;
mod check;
mod deploy;
mod env;
mod exec;
mod follow;
mod github;
mod health;
mod history;
mod init;
mod live;
mod lock;
mod logs;
mod masked;
mod metrics;
pub(crate) mod packing;
mod plan;
mod previews;
mod promote;
mod reason;
mod release;
mod releases;
mod required;
mod resume;
mod rollback;
mod schema;
mod seen;
mod since;
mod status;
mod stop;
mod supervise;
mod table;
pub(crate) mod words;
mod work_tree;
mod workflows;

use crate::context::Context;
use crate::demo::DemoArgs;
use crate::deployments::there::{self, Inquiry};
use crate::doctor::DoctorArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::setup::SetupArgs;
use clap::Subcommand;
use cutover_core::mask::Masker;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::InitArgs),
    Demo(DemoArgs),
    Setup(SetupArgs),
    Doctor(DoctorArgs),
    Check(check::CheckArgs),
    #[command(name = "github")]
    GitHub(github::GitHubArgs),
    Plan(plan::PlanArgs),
    Deploy(deploy::DeployArgs),
    Promote(promote::PromoteArgs),
    Rollback(rollback::RollbackArgs),
    Resume(resume::ResumeArgs),
    Status(status::StatusArgs),
    Release(release::ReleaseArgs),
    Releases(releases::ReleasesArgs),
    Lock(lock::LockArgs),
    App(app::AppArgs),
    Env(env::EnvArgs),
    #[command(hide = true)]
    Agent(agent::AgentArgs),
    #[command(hide = true)]
    Supervise(supervise::SuperviseArgs),
    Build(build::BuildArgs),
    Artifact(artifact::ArtifactArgs),
    History(history::HistoryArgs),
    Logs(logs::LogsArgs),
    Metrics(metrics::MetricsArgs),
    Schema(schema::SchemaArgs),
    Workflows(workflows::WorkflowsArgs),
}

impl Command {
    /// Does what was asked for.
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        self.perform(context).map_err(|error| match self.environment() {
            Some(environment) => error.in_environment(environment),
            None => error,
        })
    }

    /// Whether this process becomes another program.
    pub(crate) fn becomes_another(&self) -> bool {
        matches!(self, Self::Agent(args) if args.becomes_another())
    }

    /// The environment that it is about, when it is about one.
    fn environment(&self) -> Option<&str> {
        match self {
            Self::Setup(args) => Some(&args.environment),
            Self::Plan(args) => Some(&args.environment),
            Self::Deploy(args) => Some(&args.environment),
            Self::Promote(args) => Some(&args.to),
            Self::Rollback(args) => Some(&args.environment),
            Self::Resume(args) => Some(&args.environment),
            Self::Release(args) => Some(&args.environment),
            Self::Releases(args) => Some(&args.environment),
            Self::Lock(args) => Some(&args.environment),
            Self::App(args) => Some(&args.environment),
            Self::Env(args) => Some(&args.environment),
            Self::Init(_)
            | Self::Demo(_)
            | Self::Doctor(_)
            | Self::Check(_)
            | Self::GitHub(_)
            | Self::Status(_)
            | Self::Agent(_)
            | Self::Supervise(_)
            | Self::Build(_)
            | Self::Artifact(_)
            | Self::History(_)
            | Self::Logs(_)
            | Self::Metrics(_)
            | Self::Schema(_)
            | Self::Workflows(_) => None,
        }
    }

    /// The environment whose own machines answer this command, and which of them.
    fn asks(&self) -> Option<(&str, &HostArgs)> {
        match self {
            Self::Status(args) => Some((args.environment.as_deref()?, &args.only)),
            Self::Releases(args) => Some((&args.environment, &args.only)),
            Self::Lock(args) => Some((&args.environment, &args.only)),
            Self::App(args) => args.asks(),
            Self::Init(_)
            | Self::Demo(_)
            | Self::Setup(_)
            | Self::Doctor(_)
            | Self::Check(_)
            | Self::GitHub(_)
            | Self::Plan(_)
            | Self::Deploy(_)
            | Self::Promote(_)
            | Self::Rollback(_)
            | Self::Resume(_)
            | Self::Release(_)
            | Self::Env(_)
            | Self::Agent(_)
            | Self::Supervise(_)
            | Self::Build(_)
            | Self::Artifact(_)
            | Self::History(_)
            | Self::Logs(_)
            | Self::Metrics(_)
            | Self::Schema(_)
            | Self::Workflows(_) => None,
        }
    }

    /// Has it answered on other machines, when the environment is there; this process then ends as those commands did.
    fn ask(&self, context: &Context) -> Result<(), CommandError> {
        let Some((environment, only)) = self.asks() else { return Ok(()) };
        let mut args: Vec<String> = std::env::args().skip(1).collect();
        if matches!(self, Self::Lock(_)) {
            reason::mask_arguments(&packing::known_secrets(context.project()?), &mut args);
        }
        let streams = matches!(self, Self::App(_));
        let follows = matches!(self, Self::App(args) if args.follows());
        if follows {
            follow::end_with_reader()?;
        }
        let unheard = |host: &str, error: &CommandError| context.output.warn(&format!("{host}: {}", error.reason()));
        let leaves = || {
            if let Self::App(args) = self {
                args.warn_of_no_terminal(context);
            }
        };
        let hosts = if let Self::App(args) = self { args.hosts(context)? } else { only.host.clone() };
        let command = if let Self::App(args) = self { args.command() } else { None };
        if let Some(command) = command {
            there::set_apart(&mut args, command);
        }
        let tells_codes = command.is_some();
        let (hosts, leaves, unheard) = (&hosts, &leaves, &unheard);
        let inquiry = Inquiry { environment, hosts, args: &args, streams, follows, tells_codes, leaves, unheard };
        // What is answered here is masked here already.
        let goes_elsewhere = there::goes_elsewhere(context, environment)?;
        let masker = if let Self::App(args) = self
            && goes_elsewhere
        {
            args.masker(context)?
        } else {
            Masker::new([])
        };
        let code = masked::through(std::io::stdout(), &masker, |masked| there::ask(context, &inquiry, masked))?;
        code.map_or(Ok(()), |code| std::process::exit(code))
    }

    fn perform(&self, context: &Context) -> Result<Exit, CommandError> {
        self.ask(context)?;
        match self {
            Self::Init(args) => args.run(context),
            Self::Demo(args) => args.run(context),
            Self::Setup(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Check(args) => args.run(context),
            Self::GitHub(args) => args.run(context),
            Self::Plan(args) => args.run(context),
            Self::Deploy(args) => args.run(context),
            Self::Promote(args) => args.run(context),
            Self::Rollback(args) => args.run(context),
            Self::Resume(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::Release(args) => args.run(context),
            Self::Releases(args) => args.run(context),
            Self::Lock(args) => args.run(context),
            Self::App(args) => args.run(context),
            Self::Env(args) => args.run(context),
            Self::Agent(args) => args.run(context),
            Self::Supervise(args) => args.run(),
            Self::Build(args) => args.run(context),
            Self::Artifact(args) => args.run(context),
            Self::History(args) => args.run(context),
            Self::Logs(args) => args.run(context),
            Self::Metrics(args) => args.run(context),
            Self::Schema(args) => args.run(context),
            Self::Workflows(args) => args.run(context),
        }
    }
}

/// Which of an environment's hosts are asked.
#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// Only this host of the environment; may be given several times
    #[arg(long, value_name = "HOST", global = true)]
    host: Vec<String>,
}
