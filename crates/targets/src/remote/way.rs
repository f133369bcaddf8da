//! What `ssh` is told for one connection, in a directory of our own that goes with it.
//!
//! `ssh` hands the name of its configuration file, but none of its options, to the `ssh` that goes through a jump host. So
//! what must hold on the whole way stands in a file: it comes first, and then includes what the user has.

use super::destination::Destination;
use super::keyring::Keyring;
use super::ssh::{Identity, Options};
use cutover_core::target::Failure;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::getuid;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// What `ssh` reads when nobody names a file: the user's own, then the system's (ssh(1)).
const USUAL_FILES: [&str; 2] = ["~/.ssh/config", "/etc/ssh/ssh_config"];
/// Memory that looks like a directory, where a user has none of their own.
const MEMORY: &str = "/dev/shm";

/// Where `ssh` asks people.
const TERMINAL: &str = "/dev/tty";

/// How private directories begin, and the file in each that is locked while it is needed.
pub(super) const PREFIX: &str = "cutover-way-";
const LOCK: &str = "lock";
/// For how long one counts as new.
const NEW_FOR: Duration = Duration::from_secs(60);

/// Whether a directory's name is that of such a directory.
pub(super) fn is_way(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

/// The private directory of one connection, with `ssh`'s configuration, and the key where it is ours to keep.
#[derive(Debug)]
pub(super) struct Way {
    dir: TempDir,
    keyring: Option<Keyring>,
    /// Held for as long as the directory is needed.
    _lock: File,
}

impl Way {
    /// Writes down what `ssh` is told.
    pub(super) fn prepare(destination: &Destination, options: &Options) -> Result<Self, Failure> {
        let may_ask = may_ask(File::open(TERMINAL).is_ok(), &|name| std::env::var_os(name));
        Self::told(destination, options, may_ask)
    }

    /// The same; `may_ask` says whether somebody is there whom `ssh` can ask for something.
    fn told(destination: &Destination, options: &Options, may_ask: bool) -> Result<Self, Failure> {
        options.check()?;
        let (dir, lock) = private_dir().map_err(|error| unusable("make a private directory for ssh", &error))?;
        let keyring = match &options.identity {
            Some(Identity::Key(key)) => Some(Keyring::open(dir.path(), key)?),
            Some(Identity::File(_)) | None => None,
        };
        let mut text = String::from("StrictHostKeyChecking yes\n");
        if !may_ask {
            // Passwords that nobody types are attempts all the same, for which hosts shut people out.
            text += "BatchMode yes\n";
        }
        text += &key_lines(options, keyring.as_ref())?;
        let user_files = user_files(dir.path(), options)?;
        let way = Self { dir, keyring, _lock: lock };
        if !options.host_keys.is_empty() {
            way.write("config", &format!("{text}{user_files}"))?;
            text += &way.pin(destination, options)?;
        }
        way.write("config", &format!("{text}{user_files}"))?;
        Ok(way)
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// A file of the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The public half of the key that is ours to keep.
    pub(super) fn public_key(&self) -> Result<String, Failure> {
        let Some(Keyring::Agent(agent)) = &self.keyring else {
            return Err(
                Failure::new("find the public half of the key: that needs an ssh-agent").hint("say it: --key FILE")
            );
        };
        std::fs::read_to_string(agent.public())
            .map(|key| key.trim().to_owned())
            .map_err(|error| unusable("read the public half of the key", &error))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path(name);
        cutover_disk::write_unsynced(&path, text.as_bytes(), 0o600)
            .map_err(|error| Failure::new(format!("write what ssh is told: {error}")))
    }

    /// Writes the pinned keys of the hosts on the way, and gives the line that adds them to what the user knows.
    fn pin(&self, destination: &Destination, options: &Options) -> Result<String, Failure> {
        let own = destination.resolve(&self.config(), options)?;
        let mut known = lines(&own.known_as, pinned(destination, options));
        for hop in options.jump.iter().map(|jump| Destination::parse(jump)) {
            let keys = pinned(&hop, options);
            if !keys.is_empty() {
                known += &lines(&hop.resolve(&self.config(), options)?.known_as, keys);
            }
        }
        self.write("known_hosts", &known)?;
        let path = self.path("known_hosts");
        Ok(format!("UserKnownHostsFile {} {}\n", quoted(&path)?, own.known_hosts))
    }
}

/// Whether `ssh` can ask somebody for a password or a passphrase: at the terminal, else by a program with a window of its own
/// (ssh(1), `SSH_ASKPASS`).
fn may_ask(has_terminal: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let has_screen = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    match variable("SSH_ASKPASS_REQUIRE") {
        Some(required) if required == "force" => is_set("SSH_ASKPASS"),
        Some(_) | None => has_terminal || has_screen,
    }
}

/// The keys that are pinned for a host: by its name with the port, else by its name alone.
fn pinned<'o>(destination: &Destination, options: &'o Options) -> &'o [String] {
    let bare = Destination { port: None, ..destination.clone() };
    let keys = options.host_keys.get(&destination.place()).or_else(|| options.host_keys.get(&bare.place()));
    keys.map_or(&[], Vec::as_slice)
}

fn lines(known_as: &str, keys: &[String]) -> String {
    keys.iter().fold(String::new(), |mut lines, key| {
        let _infallible = writeln!(lines, "{known_as} {key}");
        lines
    })
}

/// Which key `ssh` uses, and that it tries no other.
fn key_lines(options: &Options, keyring: Option<&Keyring>) -> Result<String, Failure> {
    let only = "IdentitiesOnly yes\n";
    match (&options.identity, keyring) {
        (Some(Identity::File(path)), _) => Ok(format!("IdentityFile {}\n{only}", quoted(path.as_path())?)),
        (_, Some(Keyring::Agent(agent))) => {
            Ok(format!("IdentityAgent {}\nIdentityFile {}\n{only}", quoted(agent.socket())?, quoted(agent.public())?))
        }
        (_, Some(Keyring::File(file))) => Ok(format!("IdentityFile {}\n{only}", quoted(file)?)),
        (_, None) => Ok(String::new()),
    }
}

/// The user's own configuration, after ours: of two values `ssh` takes the first.
fn user_files(dir: &Path, options: &Options) -> Result<String, Failure> {
    let Some(file) = &options.config_file else {
        return Ok(USUAL_FILES.map(|file| format!("Include {file}\n")).concat());
    };
    // `Include` takes a pattern; a link has a name without meaning.
    let link = dir.join("user");
    symlink(file, &link).map_err(|error| unusable("link ssh's configuration", &error))?;
    Ok(format!("Include {}\n", quoted(&link)?))
}

/// A path as a word of `ssh`'s configuration, where `%` begins a placeholder.
fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.contains(['"', '\\']) && !text.contains(char::is_control));
    let text = text.ok_or_else(|| Failure::new(format!("{} cannot be named to ssh", path.display())))?;
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

/// A directory that only this user can enter: in memory where there is such a place, so that nothing of it reaches a disk. It
/// comes with a lock that says that it is in use.
fn private_dir() -> io::Result<(TempDir, File)> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let places = own.into_iter().chain([MEMORY.into(), std::env::temp_dir()]);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).permissions(Permissions::from_mode(0o700));
    let mut made = places.inspect(|place| sweep(place)).map(|place| builder.tempdir_in(place));
    let none = || Err(io::Error::other("none of $XDG_RUNTIME_DIR, /dev/shm and $TMPDIR can be written to"));
    let dir = made.find(Result::is_ok).unwrap_or_else(none)?;
    let lock = File::create(dir.path().join(LOCK))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok((dir, lock))
}

/// Removes what earlier processes left that were killed: the kernel took their locks away with them.
fn sweep(place: &Path) {
    let entries = std::fs::read_dir(place).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| is_way(&entry.file_name())) {
        let is_ours = |metadata: &Metadata| metadata.is_dir() && metadata.uid() == getuid().as_raw();
        let is_left = entry.metadata().is_ok_and(|metadata| is_ours(&metadata) && is_old(&metadata));
        let is_free = |lock: File| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_left && open_lock(&entry.path()).is_ok_and(is_free) {
            // What cannot be removed is found again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whatever lies there under the name of a lock must not keep us waiting, nor lead elsewhere.
fn open_lock(dir: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // The flags are bits, and none of these is the sign.
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(dir.join(LOCK))
}

/// One that is being made may not have its lock yet.
fn is_old(metadata: &Metadata) -> bool {
    metadata.modified().is_ok_and(|made| made.elapsed().is_ok_and(|age| age > NEW_FOR))
}

fn unusable(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMbRxnX1hVSFvHw+1YUMKk1WZQOWcF8XaY1EFuhLrzqm";

    /// The files of a way to `host`, when the user's own configuration says this.
    fn told(host: &str, user: &str, options: Options) -> (String, String) {
        told_by(host, user, options, true)
    }

    fn told_by(host: &str, user: &str, options: Options, may_ask: bool) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("[ssh] 100%");
        fs::write(&file, user).unwrap();
        let options = Options { config_file: Some(file), ..options };
        let way = Way::told(&Destination::of(host, &options), &options, may_ask).unwrap();
        let read = |name: &str| fs::read_to_string(way.dir.path().join(name)).unwrap_or_default();
        let mode = fs::metadata(way.dir.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        (read("config").replace(way.dir.path().to_str().unwrap(), "DIR"), read("known_hosts"))
    }

    fn pins(pins: &[(&str, &str)]) -> Options {
        let host_keys = pins.iter().map(|(host, key)| ((*host).to_owned(), vec![(*key).to_owned()])).collect();
        Options { host_keys, ..Options::default() }
    }

    #[test]
    fn without_options_only_strictness_stands_before_what_the_user_has() {
        assert_eq!(told("web", "", Options::default()).0, "StrictHostKeyChecking yes\nInclude \"DIR/user\"\n");
    }

    #[test]
    fn where_nobody_can_be_asked_no_password_is_tried() {
        let user = "BatchMode no\n";
        let (config, _) = told_by("web", user, pins(&[("web", KEY)]), false);
        assert!(config.starts_with("StrictHostKeyChecking yes\nBatchMode yes\n"), "{config}");
        let may_ask = |has_terminal: bool, set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
            super::may_ask(has_terminal, &value)
        };
        assert!(may_ask(true, &[]) && may_ask(false, &[("DISPLAY", ":0")]));
        assert!(may_ask(false, &[("SSH_ASKPASS_REQUIRE", "force"), ("SSH_ASKPASS", "/usr/bin/ask")]));
        for set in
            [&[][..], &[("DISPLAY", "")], &[("SSH_ASKPASS", "/usr/bin/ask")], &[("SSH_ASKPASS_REQUIRE", "never")]]
        {
            assert!(!may_ask(false, set), "{set:?}");
        }
        assert!(
            !may_ask(true, &[("SSH_ASKPASS_REQUIRE", "force")]),
            "what is asked instead of the terminal is not there"
        );
    }

    #[test]
    fn a_pinned_key_is_added_to_what_the_user_knows_under_the_name_that_ssh_looks_for() {
        let user = "Host web\n HostName web.example.org\n Port 2222\n UserKnownHostsFile /own /other\n";
        let (config, known) = told("ada@web", user, pins(&[("web", KEY), ("elsewhere", "ssh-rsa AAAA")]));
        assert!(config.contains("UserKnownHostsFile \"DIR/known_hosts\" /own /other\n"), "{config}");
        assert_eq!(known, format!("[web.example.org]:2222 {KEY}\n"));
    }

    #[test]
    fn a_key_that_is_pinned_for_a_port_is_for_no_other() {
        let (_, known) = told("web:2222", "", pins(&[("web:22", "ssh-rsa AAAA"), ("web:2222", KEY)]));
        assert_eq!(known, format!("[web]:2222 {KEY}\n"));
        assert_eq!(told("web:2200", "", pins(&[("web:2222", KEY)])).1, "");
    }

    #[test]
    fn hosts_on_the_way_have_their_pins_too() {
        let options = Options { jump: vec!["ada@bastion:2200".into()], ..pins(&[("bastion", KEY), ("web", KEY)]) };
        assert_eq!(told("web", "", options).1, format!("web {KEY}\n[bastion]:2200 {KEY}\n"));
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let dir = place.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&dir).unwrap();
            (File::create(dir.join(LOCK)).unwrap(), dir)
        };
        let ((_, left), (lock, used), (_, new)) = (make("left"), make("used"), make("new"));
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        for dir in [&left, &used] {
            let long_ago = std::time::SystemTime::now() - 2 * NEW_FOR;
            File::open(dir).unwrap().set_modified(long_ago).unwrap();
        }

        sweep(place.path());

        assert_eq!([left, used, new].map(|dir| dir.exists()), [false, true, true]);
    }

    #[test]
    fn what_lies_there_under_the_name_of_a_lock_keeps_nobody_waiting() {
        let place = tempfile::tempdir().unwrap();
        let (pipe, link) = (place.path().join(format!("{PREFIX}pipe")), place.path().join(format!("{PREFIX}link")));
        for dir in [&pipe, &link] {
            fs::create_dir(dir).unwrap();
        }
        // Given a pipe that nobody writes to, and a link to a file of ours.
        let made = std::process::Command::new("mkfifo").arg(pipe.join(LOCK)).status().unwrap();
        assert!(made.success());
        symlink("/etc/hostname", link.join(LOCK)).unwrap();
        for dir in [&pipe, &link] {
            let long_ago = std::time::SystemTime::now() - 2 * NEW_FOR;
            File::open(dir).unwrap().set_modified(long_ago).unwrap();
        }

        sweep(place.path());

        assert!(link.exists(), "what a link leads to says nothing about who uses it");
    }

    #[test]
    fn a_missing_file_is_named_before_anything_is_connected_to() {
        let missing = PathBuf::from("/nowhere/key");
        let identity = Options { identity: Some(Identity::File(missing.clone())), ..Options::default() };
        let config = Options { config_file: Some(missing), ..Options::default() };
        for (options, name) in [(identity, "ssh.identity"), (config, "ssh.config_file")] {
            let failure = Way::prepare(&Destination::of("web", &options), &options).unwrap_err();
            assert!(failure.message.contains(name) && failure.message.contains("/nowhere/key"), "{failure}");
        }
    }
}
