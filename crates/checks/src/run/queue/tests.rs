use super::*;
use cutover_core::config::CommandLine;
use proptest::prelude::*;
use std::path::PathBuf;

fn job(name: &str, needs: &[&str], seconds: u64) -> Job {
    Job {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        command: CommandLine::Shell("true".to_owned()),
        directory: PathBuf::new(),
        variables: BTreeMap::new(),
        timeout: Duration::from_secs(1),
        retries: 0,
        skip: None,
        expected: Some(Duration::from_secs(seconds)),
    }
}

/// Carries out checks in simulated seconds, and panics at whatever no executor may be asked.
struct Simulated<'a> {
    jobs: &'a [Job],
    fails: &'a [bool],
    slots: usize,
    fail_fast: bool,
    now: u64,
    running: BinaryHeap<Reverse<(u64, usize)>>,
    /// For each check how it ended: at which second, and whether it passed; lost ones never did.
    ended: Vec<Option<(u64, bool)>>,
    began: Vec<usize>,
    lost: BTreeMap<usize, Option<usize>>,
    is_stopped: bool,
}

impl<'a> Simulated<'a> {
    fn run(jobs: &'a [Job], fails: &'a [bool], slots: usize, fail_fast: bool) -> Self {
        let mut simulated = Self {
            jobs,
            fails,
            slots,
            fail_fast,
            now: 0,
            running: BinaryHeap::new(),
            ended: vec![None; jobs.len()],
            began: Vec::new(),
            lost: BTreeMap::new(),
            is_stopped: false,
        };
        drive(Queue::new(jobs).unwrap(), NonZeroUsize::new(slots).unwrap(), &mut simulated);
        simulated
    }

    fn seconds(&self, job: usize) -> u64 {
        self.jobs[job].expected.unwrap().as_secs()
    }

    fn needs(&self, job: usize) -> impl Iterator<Item = usize> {
        let place = |need: &String| self.jobs.iter().position(|job| job.name == *need).unwrap();
        self.jobs[job].needs.iter().map(place)
    }

    fn is_skipped(&self, job: usize) -> bool {
        self.jobs[job].skip.is_some()
    }

    /// Whether all has passed that a check waits for, directly or behind one that is left out.
    fn may_begin(&self, job: usize) -> bool {
        self.needs(job).all(|need| {
            if self.is_skipped(need) { self.may_begin(need) } else { matches!(self.ended[need], Some((_, true))) }
        })
    }

    /// How long the longest chain is that ends with a check.
    fn chain(&self, job: usize) -> u64 {
        let own = if self.is_skipped(job) { 0 } else { self.seconds(job) };
        own + self.needs(job).map(|need| self.chain(need)).max().unwrap_or(0)
    }

    fn names(&self) -> Vec<&str> {
        self.began.iter().map(|job| self.jobs[*job].name.as_str()).collect()
    }
}

impl Executor for Simulated<'_> {
    fn begin(&mut self, job: usize) {
        assert!(!self.is_stopped && !self.is_skipped(job) && !self.began.contains(&job), "begins wrongly: {job}");
        assert!(self.may_begin(job), "begins before its needs: {job}");
        self.began.push(job);
        self.running.push(Reverse((self.now + self.seconds(job), job)));
        assert!(self.running.len() <= self.slots, "more at once than allowed");
    }

    fn wait(&mut self) -> (usize, bool) {
        let Reverse((now, job)) = self.running.pop().expect("something is waited for");
        self.now = now;
        let passes = !self.fails[job];
        assert_eq!(self.ended[job].replace((now, passes)), None);
        self.is_stopped |= self.fail_fast && !passes;
        (job, passes)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    fn lost(&mut self, job: usize, root: Option<usize>) {
        assert!(!self.began.contains(&job) && !self.is_skipped(job), "lost though it began: {job}");
        assert_eq!(self.lost.insert(job, root), None, "lost twice: {job}");
    }
}

/// Graphs in which each check may need those of a lower rank; ranks are no order of the list.
fn graphs() -> impl Strategy<Value = (Vec<Job>, Vec<bool>)> {
    let one = (any::<u8>(), 1..20_u64, proptest::bits::u32::ANY, 0..10_u8, 0..10_u8);
    prop::collection::vec(one, 1..20).prop_map(|nodes| {
        let rank = |at: usize| (nodes[at].0, at);
        let make = |at: usize| {
            let (_, seconds, mask, skip, _) = nodes[at];
            // Two bits of three taken away, so that not everything needs everything.
            let needs = (0..nodes.len())
                .filter(|other| rank(*other) < rank(at) && mask >> other & mask >> (other + 7) & 1 == 1);
            let needs = needs.map(|need| format!("c{need}")).collect();
            let skip = (skip == 0).then(|| "nothing changed".to_owned());
            Job { needs, skip, ..job(&format!("c{at}"), &[], seconds) }
        };
        ((0..nodes.len()).map(make).collect(), nodes.iter().map(|node| node.4 == 0).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_graph_each_check_ends_once_after_its_needs_and_within_the_bound(
        (jobs, fails) in graphs(), slots in 1..7_usize, fail_fast in any::<bool>()
    ) {
        let ran = Simulated::run(&jobs, &fails, slots, fail_fast);
        for job in 0..jobs.len() {
            let ways = [ran.ended[job].is_some(), ran.lost.contains_key(&job), ran.is_skipped(job)];
            prop_assert_eq!(ways.iter().filter(|way| **way).count(), 1, "check {}: {:?}", job, ways);
            // Without a stop, only who cannot begin is lost; and it is told who is at fault.
            if let Some(root) = ran.lost.get(&job) {
                prop_assert!(!ran.may_begin(job) || fail_fast);
                prop_assert_eq!(root.is_some_and(|root| !fails[root]), false);
                prop_assert!(root.is_some() || fail_fast);
            }
        }
        // The bound of list scheduling (Graham, 1969): no processor idles but for the longest chain.
        let sum: u64 = ran.began.iter().map(|job| ran.seconds(*job)).sum();
        let chain = ran.began.iter().map(|job| ran.chain(*job)).max().unwrap_or(0);
        let slots = slots as u64;
        prop_assert!(slots * ran.now <= sum + (slots - 1) * chain, "{} s, sum {sum} s, chain {chain} s", ran.now);
    }

    #[test]
    fn with_room_for_all_the_longest_chain_is_the_whole_time((jobs, fails) in graphs()) {
        let none = vec![false; fails.len()];
        let ran = Simulated::run(&jobs, &none, jobs.len(), false);
        prop_assert_eq!(ran.now, (0..jobs.len()).map(|job| ran.chain(job)).max().unwrap_or(0));
    }
}

#[test]
fn the_longest_chain_begins_first_and_of_equal_ones_the_first() {
    let jobs = [job("lint", &[], 3), job("types", &[], 3), job("build", &[], 1), job("test", &["build"], 5)];
    assert_eq!(Simulated::run(&jobs, &[false; 4], 1, false).names(), ["build", "test", "lint", "types"]);
    let unknown = Job { expected: None, ..job("unknown", &[], 0) };
    let jobs = [Job { expected: Some(Duration::from_millis(999)), ..job("a", &[], 0) }, unknown];
    let mut queue = Queue::new(&jobs).unwrap();
    assert_eq!((queue.next(), queue.next(), queue.next()), (Some(1), Some(0), None));
}

#[test]
fn who_needs_what_failed_is_lost_by_its_name_also_behind_one_that_is_left_out() {
    let skipped = Job { skip: Some("nothing changed".to_owned()), ..job("test", &["build"], 1) };
    let jobs =
        [job("build", &[], 1), skipped, job("pack", &["test"], 1), job("ship", &["pack"], 1), job("lint", &[], 1)];
    let ran = Simulated::run(&jobs, &[true, false, false, false, false], 2, false);
    assert_eq!(ran.lost, BTreeMap::from([(2, Some(0)), (3, Some(0))]));
    let ran = Simulated::run(&jobs, &[false; 5], 2, false);
    assert_eq!((ran.names(), ran.now), (vec!["build", "lint", "pack", "ship"], 3));
}

fn refusal(jobs: &[Job]) -> String {
    Queue::new(jobs).unwrap_err().to_string()
}

#[test]
fn a_graph_that_is_none_is_refused_with_the_place() {
    assert_eq!(refusal(&[job("a", &["b"], 1)]), "check `a` needs `b`, which is not there");
    assert_eq!(refusal(&[job("a", &[], 1), job("a", &[], 1)]), "check `a` is there twice");
    assert_eq!(refusal(&[job("a", &["a"], 1)]), "checks need each other: a needs a");
    let ring = [job("x", &["a"], 1), job("a", &["b"], 1), job("b", &["c"], 1), job("c", &["a"], 1)];
    assert_eq!(refusal(&ring), "checks need each other: a needs b needs c needs a");
    for name in ["", "../a", ".a", "a b", &"a".repeat(NAME_BYTES_MAX + 1)] {
        assert!(refusal(&[job(name, &[], 1)]).contains("check name"), "{name:?}");
    }
}
