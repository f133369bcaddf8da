//! `cutover setup`: from a bare host to one that can be deployed to, and back.

mod host;
mod key;
mod pin;
mod tell;
mod there;

pub(crate) use there::{answer, answer_input};

use crate::context::Context;
use crate::deployments::{Place, not_begun, ssh_options};
use crate::error::{CommandError, ErrorKind};
use crate::exit::Exit;
use crate::side_by_side::side_by_side;
use clap::Args;
use cutover_targets::remote::ssh::Options;
use cutover_targets::setup::{Order, Task, Wish};
use host::{Login, Machine};
use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use tell::{Done, Teller, Told};

/// What has been done when a host refuses after its key was confirmed.
const PINNED: &str = "its key is pinned in cutover.toml";

/// Prepare the hosts of an environment for deployments
///
/// Sees to it that each host has: a user who deploys, with your public key;
/// `deploy_to`, which is theirs; a sudo rule for just what deployments do with
/// their units; the units whose `start` the config has, with few rights; limits
/// for the journal; and a unit that finishes or takes back, at boot, what a
/// power cut left. The host's key is shown, and pinned in cutover.toml once you
/// have said that it is right.
///
/// What is there already is left alone, so that a second run has nothing to do.
/// What was made, and what it replaced, is written down on the host: `--remove`
/// takes it back, and asks first where somebody is at the terminal.
///
/// Examples:
///   cutover setup production --dry-run         # every file and every command; changes nothing
///   cutover setup production                   # as root; asks whether the host's key is right
///   cutover setup production --as ada          # as ada, with her sudo
///   cutover setup production --key ci.pub      # lets another key in
///   cutover setup production --remove          # takes back what setup made; releases stay
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SetupArgs {
    /// The environment
    pub(crate) environment: String,

    /// Tell what would be done, with each file and each command; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Log in as this user for the setup: root, or one who may use sudo without a password
    #[arg(long = "as", value_name = "USER", default_value = "root")]
    admin: String,

    /// The public key that lets deployments in, when it is not clear which one is used
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// A host key that you know to be right, where nobody can be asked; may be given for each host
    #[arg(long, value_name = "FINGERPRINT")]
    accept_host_key: Vec<String>,

    /// Take back what setup made
    #[arg(long, conflicts_with_all = ["key"])]
    remove: bool,

    /// With --remove: also releases, shared files and whatever else lies in directories that setup made
    #[arg(long, requires = "remove")]
    data: bool,
}

impl SetupArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let (name, environment) = context.environment(&self.environment)?;
        let mut options = ssh_options(context.project()?);
        let places = Place::all(name, environment)?;
        if self.remove && !self.dry_run {
            self.confirm_removal(context, places.len())?;
        }
        // Whoever is to be asked for something is asked first, for all hosts.
        let jobs: Vec<_> = places.iter().map(|place| (place.host, self.job(context, place, &mut options))).collect();
        let is_alone = places.len() == 1;
        let perform = |(host, job): (&str, Result<Job, CommandError>)| {
            let label = if is_alone { String::new() } else { format!("{host} | ") };
            let done = job.and_then(|job| Job { label, ..job }.perform(&options));
            Told { host: host.to_owned(), done: done.map_err(|error| error.in_environment(&self.environment)) }
        };
        let mut teller = Teller::new(context, self, env_files(&places));
        side_by_side(jobs, perform, |told| teller.tell(told));
        teller.conclude()
    }

    /// What is to be done on a host, once its key is known to be right. That is asked last: what is wrong here is told before
    /// anything is pinned.
    fn job(&self, context: &Context, place: &Place<'_>, options: &mut Options) -> Result<Job, CommandError> {
        let job = self.job_there(context, place, options)?;
        let pinned = match &job.machine {
            Machine::Here => None,
            Machine::There(host) => pin::ensure(context, self, host, options)?,
        };
        let has_pinned = pinned.is_some() && !self.dry_run && !self.remove;
        Ok(Job { pinned, has_pinned, ..job })
    }

    /// The same, before anything is asked about its key.
    fn job_there(&self, context: &Context, place: &Place<'_>, options: &Options) -> Result<Job, CommandError> {
        let machine = Machine::of(place);
        if let Machine::There(host) = &machine {
            options.check().map_err(|failure| not_begun(host, failure))?;
        }
        let login = Login::find(&machine, &self.admin, options)?;
        let key = if self.remove { None } else { key::find(self.key.as_deref(), &machine, options)? };
        let wish = Wish {
            project: context.project()?.config.name.clone(),
            environment: place.name.clone(),
            user: login.user.clone(),
            key,
            targets: place.targets.iter().map(|(name, config)| (name.clone(), (*config).clone())).collect(),
        };
        let order = Order { wish, task: self.task(), dry_run: self.dry_run };
        Ok(Job { machine, pinned: None, has_pinned: false, login, order, label: String::new() })
    }

    /// Asks whoever is at a terminal before what serves is stopped. Scripts mean what they say.
    fn confirm_removal(&self, context: &Context, host_count: usize) -> Result<(), CommandError> {
        if !io::stdin().is_terminal() || context.output.json {
            return Ok(());
        }
        let hosts = if host_count == 1 { "its host".to_owned() } else { format!("{host_count} hosts") };
        let data = if self.data { ", with releases, shared files and all else in its directories" } else { "" };
        context.output.error(&format!(
            "This stops the services of {} on {hosts} at once and takes back what setup made{data}.\nShall it? yes or no: ",
            self.environment
        ))?;
        let mut answer = String::new();
        // No answer is not yes.
        let _ = io::stdin().lock().read_line(&mut answer);
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(CommandError::new(ErrorKind::Failed, "it was not confirmed that setup is to be taken back")
            .state("nothing was changed")
            .hint("--remove --dry-run shows all that would be taken back"))
    }

    fn task(&self) -> Task {
        if self.remove { Task::Remove { with_data: self.data } } else { Task::Prepare }
    }
}

/// Where variables and secrets stay as long as the directories of these places do.
fn env_files(places: &[Place<'_>]) -> Vec<PathBuf> {
    let targets = places.iter().flat_map(|place| place.targets.values());
    let files = targets.filter_map(|config| {
        let env_file = config.env_file.as_ref()?;
        Some([config.deploy_to.join("shared").join(env_file), config.deploy_to.join(".cutover/env")])
    });
    files.flatten().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What is to be done on one host.
struct Job {
    machine: Machine,
    /// The key that was pinned for it.
    pinned: Option<String>,
    /// Whether that stands in the config now.
    has_pinned: bool,
    login: Login,
    order: Order,
    /// What stands before each line that is said there, where there are several hosts.
    label: String,
}

impl Job {
    fn perform(self, options: &Options) -> Result<Done, CommandError> {
        let report = there::perform(&self.machine, &self.login, options, (self.order, &self.label))
            .map_err(|error| if self.has_pinned { error.besides(PINNED) } else { error })?;
        Ok(Done { user: self.login.user, pinned: self.pinned, report })
    }
}
