//! What a unit says in systemd's journal, as probes see it.

use crate::host::Host;
use crate::shop::Shop;

/// Says that it is well, once.
const CONNECTED: &str = "print('connected to the exchange', flush=True)\ntime.sleep(1000)";
/// Says that it is well, and then that it is not.
const FATAL: &str =
    "print('connected to the exchange', flush=True)\nprint('FATAL: the ledger is gone', flush=True)\ntime.sleep(1000)";

#[test]
fn a_line_counts_only_when_it_was_said_since_the_restart() {
    let Some(host) = Host::boot("a_line_counts_only_when_it_was_said_since_the_restart") else { return };
    let mut shop = Shop::with_unit(host, "root", "system");
    // Nothing but the service's own lines: its very first one must be found.
    shop.write_unit("LogLevelMax=warning\nSyslogLevel=warning\n");
    shop.verify =
        "within = \"2s\"\nfatal = [\"FATAL\"]\nprobes = [{ log = { contains = \"connected\" } }]\n".to_owned();
    shop.deploy(CONNECTED).expect(0);
    shop.deploy(CONNECTED).expect(0);

    let silent = shop.deploy(crate::shop::SILENT).expect(3);

    silent.says(&["not healthy within 2s", "no line since the restart contains \"connected\""]);
    assert_eq!(shop.current(), "2");
    shop.assert_at_rest("after the silent one");
}

#[test]
fn a_fatal_line_ends_the_waiting_at_once() {
    let Some(host) = Host::boot("a_fatal_line_ends_the_waiting_at_once") else { return };
    let mut shop = Shop::with_unit(host, "root", "system");
    shop.verify =
        "within = \"5m\"\nsoak = \"2s\"\nfatal = [\"FATAL\"]\nprobes = [{ unit = { stable = \"1s\" } }]\n".to_owned();
    shop.deploy(CONNECTED).expect(0);

    let ran = shop.deploy(FATAL).expect(3);

    let kept = ran.kept_log(&shop.host);
    ran.says(&["the service logged a fatal line: FATAL: the ledger is gone"]);
    assert!(kept.contains("FATAL: the ledger is gone"), "{kept}");
    assert_eq!(shop.current(), "1");
    shop.assert_at_rest("after the fatal one");
}

#[test]
fn what_the_old_release_says_while_it_is_stopped_is_not_held_against_the_new_one() {
    let Some(host) = Host::boot("what_the_old_release_says_while_it_is_stopped_is_not_held_against_the_new_one") else {
        return;
    };
    // Given a service that logs a fatal line whenever it is told to end.
    let mut shop = Shop::with_unit(host, "root", "system");
    shop.verify = "within = \"20s\"\nfatal = [\"FATAL\"]\nprobes = [{ log = { contains = \"ready\" } }]\n".to_owned();
    let noisy = "import signal\n\
                 signal.signal(signal.SIGTERM, lambda *_: (print('FATAL: interrupted', flush=True), os._exit(0)))\n\
                 print('ready', flush=True)\ntime.sleep(1000)";
    shop.deploy(noisy).expect(0);
    // When another release follows, and when one is taken back.
    shop.deploy(noisy).expect(0);
    shop.deploy(&noisy.replace("'ready'", "'FATAL: no till'")).expect(3);
    // Then each was judged by its own words.
    assert_eq!(shop.current(), "2");
    shop.assert_at_rest("after the one without a till");
}
