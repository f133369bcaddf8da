//! Which hosts stay where they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use super::*;

/// A host that has the first release live and would go back to the second; `-` is none. Behind a release may stand what it was made
/// of: `r2=a1`.
fn host(live: &str, goal: &str) -> Outlook {
    let known = |text: &str| {
        let (release, artifact) = text.split_once('=').unwrap_or((text, text));
        (text != "-").then(|| Known { release: ReleaseId::new(release).unwrap(), artifact: artifact.to_owned() })
    };
    Outlook { live: known(live), goal: known(goal), is_unfinished: false, arrives: false }
}

/// A host that is back at this release as soon as what is unfinished there was taken back.
fn arriving(goal: &str) -> Outlook {
    Outlook { is_unfinished: true, arrives: true, ..host("-", goal) }
}

/// Where each host stays, in their order; `-` is said of those that go.
fn stays(hosts: &[Outlook]) -> Result<String, String> {
    let named: Vec<(String, Outlook)> =
        hosts.iter().enumerate().map(|(at, seen)| (format!("web-{at}"), seen.clone())).collect();
    let stays = agree(&named, true).map_err(|error| error.message().to_owned())?;
    let at = |(host, _): &(String, Outlook)| stays.get(host).map_or("-", |release| release.as_str()).to_owned();
    Ok(named.iter().map(at).collect::<Vec<_>>().join(" "))
}

#[test]
fn hosts_that_are_there_already_stay() {
    let table = [
        // The hosts are alike: all go.
        (vec![host("r2", "r1"), host("r2", "r1")], "- -"),
        // They are divided.
        (vec![host("r2", "r1"), host("r1", "r0")], "- r1"),
        (vec![host("r1", "-"), host("r2", "r1"), host("r2", "r1")], "r1 - -"),
        // A release that is named is live on some, or on all, which is refused there as on one host.
        (vec![host("r2", "r1"), host("r1", "r1")], "- r1"),
        (vec![host("r1", "r1"), host("r1", "r1")], "- -"),
        // What counts is what a release was made of.
        (vec![host("r2", "r1=a"), host("r3=a", "r0")], "- r3"),
        (vec![host("r3=a", "r1=a"), host("r2", "r1=a")], "- -"),
        // Nobody knows where all could go: each says why.
        (vec![host("r3", "-"), host("r2", "r1")], "- -"),
        (vec![host("r1", "-"), host("r1", "-")], "- -"),
    ];
    for (hosts, expected) in table {
        assert_eq!(stays(&hosts).as_deref(), Ok(expected), "{hosts:?}");
    }
}

#[test]
fn hosts_go_no_further_than_what_takes_them_back_by_itself() {
    assert_eq!(stays(&[arriving("r1"), arriving("r1")]).as_deref(), Ok("r1 r1"));
    // One was not switched yet, or went back already; one has settled.
    assert_eq!(stays(&[arriving("r1"), host("r1", "r0")]).as_deref(), Ok("r1 r1"));
    assert_eq!(stays(&[host("r2", "r1"), arriving("r1")]).as_deref(), Ok("- r1"));
}

#[test]
fn who_would_get_what_is_told_where_hosts_would_go_apart() {
    let told = "the hosts would go back to different releases: ";
    let apart = |hosts: &[Outlook]| stays(hosts).unwrap_err();
    assert_eq!(apart(&[host("r3", "r2"), host("r3", "r1")]), format!("{told}web-0 to r2, web-1 to r1"));
    let three = [host("r3", "r2"), host("r2", "r1"), host("r1", "r0")];
    assert_eq!(apart(&three), format!("{told}web-0 to r2, web-1 to r1, web-2 to r0"));
    // Each is where the other would go: neither is the one to go to.
    assert_eq!(apart(&[host("r1", "r2"), host("r2", "r1")]), format!("{told}web-0 to r2, web-1 to r1"));
    // Of one that was not seen nothing is known.
    let some = [("web-0".to_owned(), host("r3", "r2")), ("web-1".to_owned(), host("r3", "r1"))];
    assert_eq!(agree(&some, false).unwrap(), BTreeMap::new());
}
