//! Many deployments in a row to several machines, any of which something may strike.

use crate::agent;
use crate::client::Started;
use crate::fault::{kill, ssh_of};
use crate::host::Host;
use crate::ran::Ran;
use crate::shop::{Shop, await_idle, version_on, wait_for};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many machines, and how many deployments to them; `CUTOVER_ROUNDS` says otherwise.
const HOST_COUNT: usize = 3;
const ROUND_COUNT: usize = 100;
/// After so many, what can be kept is kept: nothing may grow from there on.
const SETTLED: usize = 10;
/// How much more of the disk may be used in the end than when all had settled, in KiB: journals and logs of each attempt.
const GROWTH_KIB_PER_ROUND: u64 = 64;
/// How many lines a deployment says before something strikes, at most.
const LINE_COUNT_MAX: u64 = 30;

/// Numbers that are the same again for the same seed.
struct Dice(u64);

impl Dice {
    /// One of so many.
    fn of(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % count
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Strikes, and waits for the client's end.
fn strike(which: u64, host: &Host, client: Started) -> Ran {
    match which {
        0 => kill(client.pid()),
        1 => ssh_of(client.pid()).into_iter().for_each(kill),
        2 => agent::find(host).into_iter().for_each(kill),
        3 => client.signal(Signal::INT),
        4 => {
            host.unplug();
            std::thread::sleep(Duration::from_secs(1));
            host.plug_in();
        }
        5 => {
            host.cut_power();
            client.signal(Signal::KILL);
            host.power_on();
        }
        _ => {}
    }
    client.end()
}

const STRIKES: [&str; 8] =
    ["client killed", "an ssh killed", "agent killed", "Ctrl-C", "network away", "power cut", "nothing", "nothing"];

/// What is wrong on a machine.
fn faults_on(host: &Host, allowed: &BTreeSet<u32>) -> Vec<String> {
    await_idle(host);
    wait_for("no agent is left", || agent::find(host).is_none().then_some(()));
    let (current, address) = (version_on(host), format!("{}:8000", host.address()).parse().unwrap());
    let answer = wait_for("the service answers", || crate::prober::ask(address));
    let open = host.shell("root", "find /opt/shop/.cutover/journal/open -type f | wc -l");
    let mut faults = Vec::new();
    if !allowed.contains(&current) {
        faults.push(format!("{current} is live, not one of {allowed:?}"));
    }
    if answer != current.to_string() || open != "0" {
        faults.push(format!("{current} is live, {answer} answers, {open} journals are open"));
    }
    faults
}

/// KiB under `deploy_to`, and how many processes of whoever deploys there are.
fn usage(host: &Host) -> (u64, u64) {
    let numbers = host.shell("root", "du -sk /opt/shop | cut -f1; pgrep -c -u deploy python3 || true");
    let mut numbers = numbers.lines().map(|line| line.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn a_hundred_deployments_to_three_machines_with_random_faults() {
    let Some(shop) = Shop::open_on("a_hundred_deployments_to_three_machines_with_random_faults", HOST_COUNT) else {
        return;
    };
    let seed = number("CUTOVER_SEED").unwrap_or(0x5eed).max(1);
    let rounds = number("CUTOVER_ROUNDS").map_or(ROUND_COUNT, |rounds| usize::try_from(rounds).unwrap());
    let (mut dice, began, mut violations, mut settled) = (Dice(seed), Instant::now(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (about, found) = one_round(&shop, &mut dice);
        eprintln!("{round}: {about}");
        found.iter().for_each(|violation| eprintln!("VIOLATION {round}: {about}: {violation}"));
        violations.extend(found);
        if round + 1 == SETTLED.min(rounds) {
            settled = shop.hosts().map(usage).collect();
        }
    }
    let growth = GROWTH_KIB_PER_ROUND * rounds as u64;
    for ((before, processes), (after, processes_after)) in settled.into_iter().zip(shop.hosts().map(usage)) {
        eprintln!("disk: {before} KiB settled, {after} KiB in the end; {processes_after} service processes");
        if after > before + growth || processes_after != processes {
            violations.push(format!("it grew: {before} to {after} KiB, {processes} to {processes_after} processes"));
        }
    }
    let seconds = began.elapsed().as_secs();
    eprintln!(
        "{rounds} deployments to {HOST_COUNT} machines, seed {seed}: {} violations in {seconds} s",
        violations.len()
    );
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
}

fn one_round(shop: &Shop, dice: &mut Dice) -> (String, Vec<String>) {
    let hosts: Vec<&Host> = shop.hosts().collect();
    let mut allowed: BTreeSet<u32> = hosts.iter().map(|host| version_on(host)).collect();
    allowed.insert(shop.commit());
    let which = dice.of(STRIKES.len() as u64);
    let host = hosts[usize::try_from(dice.of(hosts.len() as u64)).unwrap()];
    let line_count = 1 + dice.of(LINE_COUNT_MAX);
    let mut client = shop.client.start(&["deploy", "production"]);
    let reached = client.await_lines(usize::try_from(line_count).unwrap());
    let told = if reached { strike(which, host, client) } else { client.end() };
    hosts.iter().for_each(|host| await_idle(host));
    let resumed = shop.client.run(&["resume", "production"]);
    let mut found: Vec<String> = hosts.iter().flat_map(|host| faults_on(host, &allowed)).collect();
    if !matches!(resumed.code(), 0 | 1 | 3) {
        found.push(format!("deploy: {}\nresume: {}", told.told(), resumed.told()));
    }
    let live: BTreeSet<u32> = hosts.iter().map(|host| version_on(host)).collect();
    if live.len() > 1 {
        found.push(format!("{live:?} are live\ndeploy: {}\nresume: {}", told.told(), resumed.told()));
    }
    let what = STRIKES[usize::try_from(which).unwrap()];
    (format!("{what} after {line_count} lines: exit {}, then {}; live {live:?}", told.code(), resumed.code()), found)
}
