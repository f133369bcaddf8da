use super::*;
use crate::setup::parts::FileKind;
use crate::setup::place::Owner;

fn linger(user: &str) -> Part {
    Part::Linger { user: user.to_owned() }
}

fn account() -> Part {
    Part::User { name: "deploy".to_owned(), home: "/home/deploy".into() }
}

fn directory(path: &str, owner: &str) -> Part {
    Part::Directory { path: path.into(), owner: owner.to_owned(), mode: 0o755 }
}

fn line(key: &str) -> Part {
    let line = format!("ssh-ed25519 {key}");
    Part::Line { path: "/home/deploy/.ssh/authorized_keys".into(), owner: "deploy".to_owned(), line }
}

fn unit(text: &str) -> Part {
    let (path, owner) = ("/etc/systemd/system/shop.service".into(), "root".to_owned());
    Part::File { path, owner, mode: 0o644, text: text.to_owned(), kind: FileKind::Unit }
}

fn old() -> Old {
    Old { owner: Owner { uid: 0, gid: 0 }, mode: 0o644, text: None, to: None }
}

fn made(part: Part) -> Made {
    Made { part, before: None }
}

fn claims(title: &str, parts: &[Part]) -> Claims {
    let mut claims = Claims::none(title);
    claims.made = parts.iter().cloned().map(made).collect();
    claims
}

fn receipt(own: &[Part], others: &[Part]) -> Receipt {
    Receipt::of(claims("shop (production)", own), vec![claims("shop (staging)", others)])
}

#[test]
fn only_what_is_missing_or_different_is_made_and_what_is_not_wanted_any_more_is_taken_back() {
    let looked = vec![
        (linger("right"), Found::Right),
        (linger("absent"), Found::Absent),
        (linger("other"), Found::Other(old())),
    ];
    let mut receipt = receipt(&[linger("first"), linger("right"), linger("second")], &[]);
    receipt.own.made[2].before = Some(old());

    let changes = plan(looked, &receipt).unwrap();

    assert_eq!(
        changes,
        [
            Change::Make(made(linger("absent"))),
            Change::Make(Made { part: linger("other"), before: Some(old()) }),
            Change::TakeBack(Made { part: linger("second"), before: Some(old()) }),
            Change::TakeBack(made(linger("first"))),
        ]
    );
    let last_first: Vec<Change> = receipt.own.made.iter().rev().cloned().map(Change::TakeBack).collect();
    assert_eq!(removal(&receipt), last_first);
}

#[test]
fn the_keys_of_others_stay_when_one_sets_up_again() {
    let receipt = receipt(&[line("AAAAone")], &[]);
    assert_eq!(plan(vec![(line("AAAAtwo"), Found::Right)], &receipt).unwrap(), []);
}

#[test]
fn what_another_environment_made_is_written_down_here_too_and_only_once() {
    let theirs = [account(), line("AAAAone ada@laptop")];
    let looked =
        || vec![(account(), Found::Right), (line("AAAAone ada@desk"), Found::Right), (linger("deploy"), Found::Right)];

    let shared = plan(looked(), &receipt(&[], &theirs)).unwrap();

    assert_eq!(shared, [Change::Share(made(account())), Change::Share(made(line("AAAAone ada@desk")))]);
    assert_eq!(plan(looked(), &receipt(&[account(), line("AAAAone ada@desk")], &theirs)).unwrap(), []);
}

#[test]
fn what_another_environment_needs_is_left() {
    let needed = |ours: Part, theirs: Part| {
        let changes = removal(&receipt(std::slice::from_ref(&ours), &[theirs]));
        let left = Change::Leave { made: made(ours.clone()), needed_by: "shop (staging)".to_owned() };
        assert!(changes == [left.clone()] || changes == [Change::TakeBack(made(ours))], "{changes:?}");
        changes == [left]
    };
    assert!(needed(account(), account()));
    assert!(needed(linger("deploy"), linger("deploy")));
    assert!(needed(line("AAAAone ada@laptop"), line("AAAAone ada@desk")));
    assert!(needed(account(), directory("/opt/staging", "deploy")));
    assert!(needed(account(), directory("/home/deploy/staging", "root")));
    assert!(needed(directory("/opt", "root"), directory("/opt/staging", "deploy")));
    assert!(!needed(account(), directory("/home/deployment", "ada")));
    assert!(!needed(directory("/opt/shop", "deploy"), directory("/opt", "deploy")));
    assert!(!needed(line("AAAAone"), line("AAAAtwo")));
    assert!(!needed(linger("deploy"), linger("ada")));
}

#[test]
fn what_is_not_wanted_here_any_more_is_left_too_when_another_environment_needs_it() {
    let changes = plan(Vec::new(), &receipt(&[linger("deploy")], &[linger("deploy")])).unwrap();
    assert_eq!(changes, [Change::Leave { made: made(linger("deploy")), needed_by: "shop (staging)".to_owned() }]);
}

#[test]
fn two_environments_that_want_one_unit_or_directory_otherwise_are_told_before_anything_is_done() {
    let refused = |ours: Part, theirs: Part| plan(vec![(ours, Found::Right)], &receipt(&[], &[theirs])).err();
    let told = refused(unit("ours"), unit("theirs")).unwrap();
    assert!(told.message.contains("shop (staging) wants file /etc/systemd/system/shop.service"), "{told:?}");
    assert!(refused(directory("/opt/shop", "deploy"), directory("/opt/shop", "ada")).is_some());
    assert_eq!(refused(unit("same"), unit("same")), None);
    let moved = Part::User { name: "deploy".to_owned(), home: "/srv/deploy".into() };
    assert_eq!(refused(account(), moved), None);
}
