//! Too little disk, too few inodes, too little memory; and two who want the same at once.

use crate::shop::{Shop, wait_for};
use crate::verdict;

/// Eats memory until it is ended.
const MEMORY: &str = "kept = []\nwhile True: kept.append(bytearray(1 << 20))\n";

/// Lets the install command run this program.
fn eat(shop: &Shop, program: &str) {
    shop.host.write("root", "/srv/eat", program);
}

fn nothing_to_eat(shop: &Shop) {
    shop.host.shell("root", "rm /srv/eat; rm -rf /opt/shop/eaten");
}

/// Eats all room but so much of what is there; the release is put together on what is left.
fn hungry(what: &str, left: u32) -> String {
    format!(
        "import os\n\
         os.makedirs('/opt/shop/eaten', exist_ok=True)\n\
         names = []\n\
         try:\n\
         \x20   while True:\n\
         \x20       names.append(f'/opt/shop/eaten/{{len(names)}}')\n\
         \x20       with open(names[-1], 'xb') as file:\n\
         \x20           if '{what}' == 'bytes': file.write(bytes(4096))\n\
         except OSError:\n\
         \x20   pass\n\
         for name in names[-1 - {left}:]:\n\
         \x20   if os.path.exists(name): os.remove(name)\n"
    )
}

#[test]
fn a_disk_that_fills_up_under_a_deployment_leaves_the_old_or_the_new_release() {
    let Some(shop) = Shop::open("a_disk_that_fills_up_under_a_deployment_leaves_the_old_or_the_new_release") else {
        return;
    };
    let small = "cp -a /opt/shop /srv/shop; mount -t tmpfs -o size=16m,nr_inodes=800,uid=$(id -u deploy),gid=$(id -g deploy),mode=755 \
         small /opt/shop; cp -a /srv/shop/. /opt/shop/; systemctl restart shop";
    shop.host.shell("root", small);
    let mut outcomes = Vec::new();
    for (what, left) in [("bytes", 0), ("bytes", 2), ("bytes", 6), ("inodes", 0), ("inodes", 2), ("inodes", 8)] {
        eat(&shop, &hungry(what, left));
        let versions = [shop.current(), shop.commit()];

        let ran = shop.client.run(&["deploy", "production"]);

        nothing_to_eat(&shop);
        assert!(matches!(ran.code(), 0 | 1 | 3), "{}", ran.told());
        assert_eq!(verdict::faults(&shop, versions, &ran), [""; 0], "{left} {what} left: {}", ran.told());
        outcomes.push(ran.code());
    }
    assert!(outcomes.iter().any(|code| *code != 0), "it was never full: {outcomes:?}");
    shop.commit();
    shop.client.run(&["deploy", "production"]).expect(0);
}

#[test]
fn an_install_that_the_kernel_ends_for_want_of_memory_touches_nothing() {
    let Some(shop) = Shop::open("an_install_that_the_kernel_ends_for_want_of_memory_touches_nothing") else { return };
    eat(&shop, MEMORY);
    let versions = [shop.current(), shop.commit()];
    let pid = shop.host.property("shop", "MainPID");
    if !shop.host.limit_memory(256 << 20) {
        return eprintln!("skipped: an_install_that_the_kernel_ends_for_want_of_memory: no memory can be limited here");
    }

    let ran = shop.client.run(&["deploy", "production"]).expect(1).says(&["✗ install", "SIGKILL"]);

    assert_eq!(shop.host.property("shop", "MainPID"), pid, "the service runs on");
    assert_eq!(verdict::faults(&shop, versions, &ran), [""; 0]);
    nothing_to_eat(&shop);
    shop.client.run(&["deploy", "production"]).expect(0);
}

#[test]
fn of_two_clients_at_once_one_deploys_and_the_other_is_told_or_waits() {
    let Some(shop) = Shop::open("of_two_clients_at_once_one_deploys_and_the_other_is_told_or_waits") else { return };
    let old = shop.current();
    eat(&shop, "import os, time\nopen('/tmp/reached', 'w')\nwhile not os.path.exists('/tmp/go'): time.sleep(0.02)\n");
    let new = shop.commit();
    let other = shop.client.colleague();
    let first = shop.client.start(&["deploy", "production"]);
    wait_for("the first one installs", || {
        shop.host.command("root", &["test", "-e", "/tmp/reached"]).status().unwrap().success().then_some(())
    });

    other.run(&["deploy", "production"]).expect(6).says(&["locked by ada"]);
    let mut waiting = other.start(&["deploy", "production", "--wait"]);
    waiting.await_words("waiting");
    shop.host.shell("root", "touch /tmp/go");

    let told = first.end().expect(0);
    waiting.end().expect(0);
    assert_eq!(verdict::faults(&shop, [old, new], &told), [""; 0]);
}
