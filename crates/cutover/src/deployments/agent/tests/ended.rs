//! What a client takes of deployments that came to their end, and what an agent tells of them.

use super::*;
use crate::deployments::remote::{Errand, Pulse, Trouble, Voice, hear};
use cutover_core::event::{Event, Nobody, Observer};
use cutover_core::rollout::Whole;
use cutover_targets::remote::frame::{ENDED_BYTES_MAX, ENDED_SUM_BYTES_MAX};
use cutover_targets::remote::patience::Patience;
use std::sync::Mutex;

/// A deployment that an agent carried out, and what was asked of it.
fn deployed() -> (Order, Ended) {
    static CANCEL: Cancel = Cancel::new();
    let files = Files([("a".to_owned(), "small".to_owned())].into());
    let mut bed = Bed::start(&CANCEL);
    let order = order(&[("app", bed.site())], files.manifest().id());
    bed.ask_as(order.clone(), &files.manifest());
    let lacking = bed.lacking();
    content::send(&bed.to_agent, &files.manifest(), &files, lacking).unwrap();
    let (kind, payload) = bed.hear().unwrap();
    assert_eq!(kind, Kind::Ended);
    (order, serde_json::from_slice(&payload).unwrap())
}

/// Has a client hear these messages and then the last one; gives why it hears no more.
fn heard(
    order: &Order,
    messages: &[(Kind, Vec<u8>)],
    observer: &dyn Observer,
    ended: &dyn Fn(&Ended),
    remark: &dyn Fn(&str),
) -> Option<String> {
    let (sender, never) = (Sender::new(Vec::new()), Cancel::new());
    messages.iter().for_each(|(kind, payload)| sender.send(*kind, payload).unwrap());
    sender.send_json(Kind::Done, &Answer { outcome: None }).unwrap();
    let (variables, artifact, ahead, voice) = (None, None, None, Voice::Cancel(&never));
    let hosts = &[order.host.clone(), "web2".to_owned()];
    let errand = Errand { order, variables, artifact, ahead, observer, voice, ended, hosts, remark };
    let pulse = Pulse::of(&errand, Patience::new(Duration::MAX));
    let heard = hear(&mut sender.into_inner().as_slice(), &errand, &pulse, &|_| {});
    heard.err().map(|trouble| match trouble {
        Trouble::Lost(why) => why,
        Trouble::Refused(error) => error.message().to_owned(),
    })
}

/// What a client keeps of these messages, and why it hears no more.
fn taken(order: &Order, messages: &[(Kind, Vec<u8>)]) -> (Vec<Ended>, Option<String>) {
    let kept = RefCell::new(Vec::new());
    let why = heard(order, messages, &Nobody, &|ended| kept.borrow_mut().push(ended.clone()), &|_| {});
    (kept.into_inner(), why)
}

/// What a client keeps of these messages, and what it tells the user that it does not.
fn kept_and_told(order: &Order, messages: &[(Kind, Vec<u8>)]) -> (Vec<Ended>, Vec<String>) {
    let (kept, told) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let keep = |ended: &Ended| kept.borrow_mut().push(ended.clone());
    let why = heard(order, messages, &Nobody, &keep, &|sentence| told.borrow_mut().push(sentence.to_owned()));
    assert_eq!(why, None);
    (kept.into_inner(), told.into_inner())
}

/// The message of a deployment whose steps all name this host.
fn naming(ended: &Ended, host: &str) -> (Kind, Vec<u8>) {
    let mut ended = ended.clone();
    ended.plan.steps.iter_mut().for_each(|step| step.host = host.into());
    (Kind::Ended, serde_json::to_vec(&ended).unwrap())
}

#[test]
fn what_a_host_did_under_an_earlier_name_is_kept_under_it_and_the_user_is_told() {
    let (order, ended) = deployed();

    let (kept, told) = kept_and_told(&order, &[naming(&ended, "10.0.0.1")]);

    let hosts: Vec<&str> = kept.iter().flat_map(|ended| &ended.plan.steps).map(|step| step.host.as_str()).collect();
    assert!(!hosts.is_empty() && hosts.iter().all(|host| *host == "10.0.0.1"), "{hosts:?}");
    let named = [ended.plan.deployment.as_str(), "web1 tells of", "as 10.0.0.1,"];
    assert!(told.len() == 1 && named.iter().all(|part| told[0].contains(part)), "{told:?}");
}

#[test]
fn a_host_has_part_in_a_deployment_once_whatever_names_it_gives() {
    let (order, ended) = deployed();
    let told_by = |hosts: &[&str]| {
        let messages: Vec<_> = hosts.iter().map(|host| naming(&ended, host)).collect();
        kept_and_told(&order, &messages)
    };

    let (kept, told) = told_by(&["10.0.0.1", "10.0.0.2", "10.0.0.1"]);

    assert_eq!(kept.len(), 2, "the same one again is no other one");
    assert!(kept.iter().all(|ended| ended.plan.steps[0].host == "10.0.0.1"), "{kept:?}");
    assert!(told.iter().any(|sentence| sentence.contains("names 10.0.0.2")), "{told:?}");
    // Nor any that is none.
    assert_eq!(told_by(&["\u{1b}]0;x", "", "a b", &"x".repeat(401)]).0.len(), 0);
}

#[test]
fn what_a_host_tells_of_another_one_is_left_out_and_the_user_is_told() {
    let (order, ended) = deployed();

    let (kept, told) = kept_and_told(&order, &[naming(&ended, "web2")]);

    assert_eq!((kept.len(), told.len()), (0, 1), "{told:?}");
    let named = [ended.plan.deployment.as_str(), "names web2", "speaks for itself alone"];
    assert!(named.iter().all(|part| told[0].contains(part)), "{told:?}");
}

#[test]
fn a_deployment_that_is_too_large_to_be_told_of_is_named_to_the_user() {
    let (order, ended) = deployed();
    let large = Ended { unfiled: Some("x".repeat(ENDED_BYTES_MAX)), ..ended.clone() };

    let (kept, told) = kept_and_told(&order, &as_messages(&[large, ended.clone()]).unwrap());

    assert_eq!((kept.len(), told.len()), (1, 1), "{told:?}");
    assert!(told[0].contains(ended.plan.deployment.as_str()) && told[0].contains("at most 4 MiB"), "{told:?}");
}

/// The message, blown up to so many bytes.
fn padded(ended: &Ended, bytes: usize) -> (Kind, Vec<u8>) {
    let mut message = serde_json::to_vec(ended).unwrap();
    message.resize(bytes, b' ');
    (Kind::Ended, message)
}

#[test]
fn a_host_cannot_fill_a_client_with_what_it_tells_of_deployments() {
    let (order, ended) = deployed();
    let (message, fit_count) = (padded(&ended, ENDED_BYTES_MAX), ENDED_SUM_BYTES_MAX / ENDED_BYTES_MAX);

    let (kept, why) = taken(&order, &vec![message.clone(); fit_count]);
    assert_eq!((kept.len(), why), (fit_count, None));
    let (kept, why) = taken(&order, &vec![message; fit_count + 1]);
    assert_eq!((kept.len(), why.as_deref()), (fit_count, Some("it told more of deployments than a host may")));
    let too_large = vec![b' '; ENDED_BYTES_MAX + 1];
    assert!(Sender::new(Vec::new()).send(Kind::Ended, &too_large).is_err());
}

#[test]
fn an_agent_tells_as_much_of_the_newest_as_a_client_hears_out() {
    let (_, ended) = deployed();
    let sized = |number: usize, bytes: usize| {
        let text = format!("{number} {}", "x".repeat(bytes));
        Ended { unfiled: Some(text), ..ended.clone() }
    };
    // Ten of 3 MiB, of which five fit, and among the newest one that fits into no message.
    let mut all: Vec<Ended> = (0..10).map(|number| sized(number, 3 << 20)).collect();
    all.insert(8, sized(99, ENDED_BYTES_MAX));

    let messages = as_messages(&all).unwrap();
    let told: Vec<Ended> = messages
        .iter()
        .filter(|(kind, _)| *kind == Kind::Ended)
        .map(|(_, message)| serde_json::from_slice(message).unwrap())
        .collect();

    let number = |ended: &Ended| ended.unfiled.as_ref().unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(told.iter().map(number).collect::<Vec<_>>(), ["5", "6", "7", "8", "9"]);
}

#[test]
fn a_host_tells_of_itself_alone_and_of_what_it_was_asked_about() {
    let (order, ended) = deployed();
    let told = |change: &dyn Fn(&mut Ended)| {
        let mut changed = ended.clone();
        change(&mut changed);
        taken(&order, &[(Kind::Ended, serde_json::to_vec(&changed).unwrap())]).0.len()
    };

    assert_eq!(told(&|_| {}), 1);
    assert_eq!(told(&|ended| ended.plan.environment = "staging".parse().unwrap()), 0);
    assert_eq!(told(&|ended| ended.plan.project = "till".parse().unwrap()), 0);
    assert_eq!(told(&|ended| ended.plan.steps.iter_mut().for_each(|step| step.target = "other".parse().unwrap())), 0);
    assert_eq!(told(&|ended| ended.plan.steps.iter_mut().for_each(|step| step.host = "web2".into())), 0);
    assert_eq!(told(&|ended| ended.plan.steps[1].host = "web2".into()), 0, "not a single step of another one");
    assert_eq!(told(&|ended| ended.records[0].host = Some("web2".into())), 0);
    assert_eq!(told(&|ended| ended.plan.steps.clear()), 0);
    // Of several hosts' deployments only of those that it has part in, and of what was asked here just with those hosts.
    let of = |hosts: &[&str], is_earlier: bool| {
        told(&|ended| {
            ended.plan.fleet = hosts.iter().map(|host| (*host).to_owned()).collect();
            if is_earlier {
                ended.plan.deployment = "20261101T120000-abcd".parse().unwrap();
            }
        })
    };
    let own = order.host.as_str();
    assert_eq!([of(&[own, "web2"], true), of(&["web2", "web3"], true), of(&[], true)], [1, 0, 1]);
    assert_eq!(of(&[own, "web2"], false), 0);
    // What no journal could have held, and what would steer a terminal.
    assert_eq!(told(&|ended| ended.records.iter_mut().for_each(|record| record.seq = 7)), 0);
    assert_eq!(told(&|ended| ended.plan.steps.swap(0, 1)), 0);
    assert_eq!(told(&|ended| ended.plan.commit = "\x1b]0;x".into()), 0);
    assert_eq!(told(&|ended| ended.plan.artifact = "a\r\n# H".into()), 0);
}

#[test]
fn what_a_host_says_of_the_future_is_told_and_not_taken_in() {
    use crate::deployments::ahead::sift;
    let (order, ended) = deployed();
    let latest = ended.records.iter().map(|record| record.at).chain([ended.plan.made_at]).max().unwrap();
    let (day, minute) = (jiff::SignedDuration::from_hours(24), jiff::SignedDuration::from_mins(1));
    let mut at_once = ended.clone();
    at_once.plan.made_at = Timestamp::MAX;
    let mut at_last = ended.clone();
    at_last.records.last_mut().unwrap().at = Timestamp::MAX;

    let all = [at_once, ended, at_last];
    let (sound, warnings) = sift(&all, latest);

    assert!(sound.len() == 1 && std::ptr::eq(sound[0], &all[1]), "{sound:?}");
    assert_eq!(warnings.len(), 1, "one for each host: {warnings:?}");
    let told = format!("web1 says of 2 deployments, {} among them", order.deployment);
    assert!(warnings[0].starts_with(&told), "{warnings:?}");
    // A clock that is a little ahead is no reason to forget.
    assert_eq!(sift(&all[1..2], latest - day + minute).0.len(), 1);
    assert_eq!(sift(&all[1..2], latest - day - minute).0.len(), 0);
}

/// Keeps what it is told.
#[derive(Default)]
struct Counter(Mutex<Vec<Event>>);

impl Observer for Counter {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// What reaches whoever watches of these events of a host, and whether it is heard out.
fn watched(order: &Order, events: &[Event]) -> (Vec<Event>, bool) {
    let messages: Vec<_> = events.iter().map(|event| (Kind::Event, serde_json::to_vec(event).unwrap())).collect();
    let counter = Counter::default();
    let why = heard(order, &messages, &counter, &|_| {}, &|_| {});
    (counter.0.into_inner().unwrap(), why.is_none())
}

#[test]
fn a_host_speaks_neither_for_the_others_nor_without_an_end() {
    let (order, _) = deployed();
    let waiting = |bytes: usize| Event::Waiting { holder: "x".repeat(bytes), ahead_count: 0 };

    let (told, is_heard_out) = watched(
        &order,
        &[
            Event::Wave { number: 1, count: 2, hosts: vec!["web2".to_owned()] },
            Event::OnHost { host: "web2".to_owned(), happened: Box::new(waiting(1)) },
            Event::FleetEnded { outcome: None, whole: Whole::NotDone, at: Timestamp::UNIX_EPOCH, elapsed_ms: 0 },
            waiting(1),
        ],
    );
    assert_eq!((told, is_heard_out), (vec![waiting(1)], true));

    // Three and a half MiB each: eighteen of them fit into 64 MiB.
    let (told, is_heard_out) = watched(&order, &vec![waiting(7 << 19); 20]);
    assert_eq!((told.len(), is_heard_out), (18, false));
}
