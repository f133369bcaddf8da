use super::*;
use crate::setup::plan::{plan, removal};
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A host that is a directory, with environments on it, and programs that are not run.
struct Bed {
    dir: TempDir,
    ran: RefCell<Vec<String>>,
    /// The program that fails.
    broken: RefCell<Option<&'static str>>,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, ran: RefCell::default(), broken: RefCell::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn receipt(&self, environment: &str) -> Receipt {
        Receipt::read(&self.path("lib/setup"), environment, environment).unwrap()
    }

    fn work(
        &self,
        environment: &str,
        with_data: bool,
        changes: impl Fn(&Receipt) -> Vec<Change>,
    ) -> Result<Report, SetupError> {
        let run = |argv: &Argv| {
            let said = argv.join(" ");
            if self.broken.borrow().is_some_and(|broken| said.contains(broken)) {
                return Err(Failure::new("broken"));
            }
            self.ran.borrow_mut().push(said);
            Ok(if argv.iter().any(|word| word == "show") { "active\n".to_owned() } else { String::new() })
        };
        let receipt = self.receipt(environment);
        let changes = changes(&receipt);
        Work { receipt, program: &self.path("cutover"), with_data, run: &run }.perform(changes)
    }

    fn prepare(&self, environment: &str, parts: &[Part]) -> Result<Report, SetupError> {
        let look = |part: &Part| (part.clone(), look(part, &self.path("cutover")).unwrap());
        self.work(environment, false, |receipt| plan(parts.iter().map(look).collect(), receipt).unwrap())
    }

    /// What a removal would do.
    fn foresee(&self, environment: &str, with_data: bool) -> Report {
        let (receipt, run) = (self.receipt(environment), |_: &Argv| panic!("nothing is run"));
        let changes = removal(&receipt);
        Work { receipt, program: &self.path("cutover"), with_data, run: &run }.foretold(changes)
    }

    fn remove(&self, environment: &str, with_data: bool) -> Report {
        self.work(environment, with_data, removal).unwrap()
    }

    fn ran(&self) -> Vec<String> {
        self.ran.take()
    }

    fn directory(&self, name: &str) -> Part {
        Part::Directory { path: self.path(name), owner: me(), mode: 0o755 }
    }

    fn file(&self, name: &str, kind: FileKind) -> Part {
        Part::File { path: self.path(name), owner: me(), mode: 0o644, text: format!("{name}\n"), kind }
    }

    fn line(&self, name: &str, key: &str) -> Part {
        Part::Line { path: self.path(name), owner: me(), line: format!("ssh-ed25519 {key}") }
    }
}

/// Who runs the tests.
fn me() -> String {
    let said = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

const RELOAD: &str = "systemctl daemon-reload";

#[test]
fn whichever_of_two_environments_goes_first_the_last_one_takes_back_what_both_had() {
    for (first, last) in [("one", "two"), ("two", "one")] {
        let bed = Bed::new();
        fs::write(bed.path("keys"), "ssh-ed25519 AAAAhers ada\n").unwrap();
        let parts = |own: &str| vec![bed.directory("home"), bed.line("keys", "AAAAci"), bed.directory(own)];
        bed.prepare("one", &parts("shop")).unwrap();
        bed.prepare("two", &parts("staging")).unwrap();
        assert!(bed.prepare("two", &parts("staging")).unwrap().changes.is_empty());

        let report = bed.remove(first, true);

        assert_eq!(report.left.len(), 2, "{report:?}");
        assert!(report.left.iter().all(|left| left.contains(&format!("{last} needs it"))), "{report:?}");
        assert!(bed.path("home").exists() && text(&bed.path("keys")).unwrap().contains("AAAAci"));
        assert_eq!([bed.path("shop").exists(), bed.path("staging").exists()], [last == "one", last == "two"]);
        assert!(bed.remove(first, true).changes.is_empty());

        assert_eq!(bed.remove(last, true).left, Vec::<String>::new());
        assert!(!bed.path("home").exists() && !bed.path("lib").exists());
        assert_eq!(text(&bed.path("keys")).unwrap(), "ssh-ed25519 AAAAhers ada\n");
    }
}

#[test]
fn a_removal_that_is_only_told_says_what_would_stay_and_just_that_stays() {
    let bed = Bed::new();
    let parts = [
        bed.directory("ssh"),
        bed.line("ssh/keys", "AAAAci"),
        bed.directory("shop"),
        bed.directory("shop/empty"),
        bed.directory("etc"),
        bed.file("etc/unit", FileKind::Journald),
    ];
    bed.prepare("one", &parts).unwrap();
    fs::write(bed.path("shop/release"), "").unwrap();
    fs::write(bed.path("ssh/keys"), "ssh-ed25519 AAAAhers ada\n").unwrap();

    let all = bed.foresee("one", true);
    let told = bed.foresee("one", false);

    let named = |name: &str| bed.path(name).display().to_string();
    assert_eq!(
        told.left,
        [
            format!("directory {} stays, because it is not empty: it has release", named("shop")),
            format!("directory {} stays, because it is not empty: it has keys", named("ssh")),
        ]
    );
    assert!(told.keeps_data && told.changes.iter().all(|change| !named("shop").ends_with(&change.made().part.name())));
    assert!(me() == "root" || all.left.is_empty(), "with their data they go: {all:?}");
    let done = bed.remove("one", false);
    assert_eq!((done.left.len(), bed.path("shop").exists(), bed.path("ssh").exists()), (2, true, true), "{done:?}");
    assert!(!bed.path("etc").exists() && !bed.path("shop/empty").exists());
    let names = |report: &Report| report.changes.iter().map(|change| change.made().part.name()).collect::<Vec<_>>();
    assert_eq!(names(&done), names(&told), "what stays is not told of as taken back");
}

#[test]
fn what_was_there_before_the_first_environment_is_there_again_after_the_last() {
    let bed = Bed::new();
    fs::write(bed.path("rule"), "theirs\n").unwrap();
    bed.prepare("one", &[bed.file("rule", FileKind::Journald)]).unwrap();
    fs::write(bed.path("rule"), "by hand\n").unwrap();
    bed.prepare("two", &[bed.file("rule", FileKind::Journald)]).unwrap();

    bed.remove("one", false);
    assert_eq!(text(&bed.path("rule")).unwrap(), "rule\n");
    bed.remove("two", false);
    assert_eq!(text(&bed.path("rule")).unwrap(), "theirs\n");
}

#[test]
fn what_somebody_took_back_by_hand_is_only_forgotten() {
    let (bed, nobody) = (Bed::new(), "cutover-test-nobody".to_owned());
    let parts = [
        Part::User { name: nobody.clone(), home: bed.path("home") },
        Part::Member { user: nobody.clone(), group: "systemd-journal".to_owned() },
        Part::Linger { user: nobody },
    ];
    let receipt = || {
        let mut receipt = bed.receipt("one");
        receipt.begin().unwrap();
        parts.iter().for_each(|part| receipt.note(&Made { part: part.clone(), before: None }, None).unwrap());
    };
    receipt();

    let report = bed.remove("one", false);

    assert_eq!((report.changes.len(), report.left.len(), bed.ran().len()), (3, 0, 0), "{report:?}");
    assert!(!bed.path("lib").exists());

    receipt();
    fs::create_dir(bed.path("home")).unwrap();
    assert!(bed.remove("one", true).left[0].contains("belongs to nobody any more"));
    assert!(bed.path("home").exists());
}

#[test]
fn an_account_that_lacks_its_home_gets_one_and_is_nobodys_to_take_away() {
    let bed = Bed::new();
    let account = Part::User { name: me(), home: bed.path("home") };

    let report = bed.prepare("one", &[account]).unwrap();

    assert_eq!((report.changes.len(), bed.ran(), bed.path("home").is_dir()), (1, Vec::new(), true), "{report:?}");
    let taken_back = removal(&bed.receipt("one"));
    assert!(taken_back.len() == 1 && taken_back[0].commands().is_empty(), "{taken_back:?}");
}

#[test]
fn what_a_setup_did_not_come_to_run_the_next_one_runs_though_it_has_nothing_else_to_do() {
    let (bed, unit) = (Bed::new(), |bed: &Bed| vec![bed.file("shop.service", FileKind::Unit)]);
    *bed.broken.borrow_mut() = Some(RELOAD);
    assert!(matches!(bed.prepare("one", &unit(&bed)), Err(SetupError::HalfWay(_))));
    assert_eq!(bed.ran(), Vec::<String>::new());

    *bed.broken.borrow_mut() = None;
    let report = bed.prepare("one", &unit(&bed)).unwrap();
    assert_eq!((report.changes.len(), bed.ran()), (0, vec![RELOAD.to_owned()]));
    assert_eq!((bed.prepare("one", &unit(&bed)).unwrap().afterwards.len(), bed.ran().len()), (0, 0));

    // The same for what is taken back: the receipt stays for it alone.
    *bed.broken.borrow_mut() = Some(RELOAD);
    assert!(bed.work("one", false, removal).is_err());
    assert!(!bed.path("shop.service").exists() && bed.path("lib/setup/one.json").exists());
    *bed.broken.borrow_mut() = None;
    bed.ran();
    bed.remove("one", false);
    assert_eq!(bed.ran(), [RELOAD]);
    assert!(!bed.path("lib").exists());
}

#[test]
fn a_unit_is_stopped_before_anything_is_taken_back_and_that_is_told() {
    let bed = Bed::new();
    bed.prepare("one", &[bed.file("shop.service", FileKind::Unit), bed.directory("shop")]).unwrap();
    fs::write(bed.path("shop/release"), "").unwrap();
    bed.ran();

    *bed.broken.borrow_mut() = Some("stop");
    assert!(bed.work("one", false, removal).is_err());
    assert!(bed.path("shop.service").exists());
    *bed.broken.borrow_mut() = None;
    bed.ran();
    let report = bed.remove("one", false);

    assert_eq!(report.stopped, ["shop.service"]);
    assert_eq!(report.left, [format!("directory {} is not empty", bed.path("shop").display())]);
    let show = "systemctl show --property=ActiveState --value -- shop.service";
    assert_eq!(bed.ran(), [show, "systemctl stop -- shop.service", RELOAD]);
}

#[test]
fn what_could_not_be_kept_is_not_replaced_and_where_it_was_it_is_not_taken_away() {
    let bed = Bed::new();
    let (large, rule) = (vec![b'x'; 300 << 10], bed.file("rule", FileKind::Journald));
    for content in [&large[..], &[0xff, 0xfe]] {
        fs::write(bed.path("rule"), content).unwrap();
        let told = look(&rule, &bed.path("cutover")).unwrap_err();
        assert!(told.message.contains("no copy can be kept") && told.hint.is_some(), "{told:?}");
    }

    fs::write(bed.path("cutover"), "new").unwrap();
    fs::write(bed.path("program"), [0xff]).unwrap();
    let program = Part::Program { path: bed.path("program") };
    let before =
        Some(crate::setup::Old { owner: crate::setup::Owner { uid: 0, gid: 0 }, mode: 0o755, text: None, to: None });
    let mut receipt = bed.receipt("one");
    receipt.begin().unwrap();
    receipt.note(&Made { part: program, before }, None).unwrap();
    assert!(bed.remove("one", false).left[0].contains("no copy"));
    assert!(bed.path("program").exists());
}

#[test]
fn a_link_where_keys_shall_be_is_told_and_leads_nowhere() {
    let bed = Bed::new();
    fs::write(bed.path("shadow"), "root:*\n").unwrap();
    std::os::unix::fs::symlink(bed.path("shadow"), bed.path("keys")).unwrap();
    std::os::unix::fs::symlink(bed.dir.path(), bed.path("ssh")).unwrap();

    for part in [bed.line("keys", "AAAAci"), bed.directory("ssh")] {
        let told = look(&part, &bed.path("cutover")).unwrap_err();
        assert!(told.message.contains("where a") && told.hint.is_some(), "{told:?}");
        assert!(act::make(&part, &bed.path("cutover")).is_err());
    }
    assert_eq!(text(&bed.path("shadow")).unwrap(), "root:*\n");
}

#[test]
fn what_is_no_file_where_keys_shall_be_is_told_and_neither_awaited_nor_replaced() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let bed = Bed::new();
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, bed.path("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _listens = std::os::unix::net::UnixListener::bind(bed.path("socket")).unwrap();
    fs::create_dir(bed.path("directory")).unwrap();

    for name in ["pipe", "socket", "directory"] {
        let kind = || fs::symlink_metadata(bed.path(name)).unwrap().file_type();
        let before = kind();
        for part in [bed.line(name, "AAAAci"), bed.file(name, FileKind::Unit)] {
            let told = look(&part, &bed.path("cutover")).unwrap_err();
            assert!(told.message.contains(name) && told.hint.is_some(), "{told:?}");
        }
        // Also where somebody put it there once all had been looked at, and when the key is taken back.
        let keys = bed.line(name, "AAAAci");
        assert!(act::make(&keys, &bed.path("cutover")).unwrap_err().message.contains("a file shall be"));
        assert!(act::take_back(&Made { part: keys, before: None }, false).is_err());
        assert_eq!(kind(), before, "{name}");
    }
}

#[test]
fn keys_that_others_may_write_are_made_ones_own_and_are_as_they_were_after_a_removal() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    let mode = || fs::metadata(bed.path("keys")).unwrap().permissions().mode() & 0o7777;
    fs::write(bed.path("keys"), "ssh-ed25519 AAAAci\n").unwrap();
    fs::set_permissions(bed.path("keys"), fs::Permissions::from_mode(0o664)).unwrap();

    bed.prepare("one", &[bed.line("keys", "AAAAci")]).unwrap();

    assert_eq!((mode(), text(&bed.path("keys")).unwrap().as_str()), (0o644, "ssh-ed25519 AAAAci\n"));
    bed.remove("one", false);
    assert_eq!((mode(), text(&bed.path("keys")).unwrap().as_str()), (0o664, "ssh-ed25519 AAAAci\n"));
}

#[test]
fn a_receipt_that_is_not_understood_ends_it_before_anything_is_done() {
    let bed = Bed::new();
    bed.prepare("one", &[bed.directory("shop")]).unwrap();
    let sound = text(&bed.path("lib/setup/one.json")).unwrap();
    for garbage in ["", "{", "[]", "null", &sound.replace("\"v\": 1", "\"v\": 9"), &sound.replace("owed", "other")] {
        fs::write(bed.path("lib/setup/one.json"), garbage).unwrap();
        // Also for the others: what they would take back may be needed.
        for environment in ["one", "two"] {
            let read = Receipt::read(&bed.path("lib/setup"), environment, environment);
            let told = read.map(drop).unwrap_err();
            assert!(told.message.contains("one.json") && told.hint.is_some(), "{garbage}: {told:?}");
        }
    }
    assert!(bed.path("shop").exists());
}
