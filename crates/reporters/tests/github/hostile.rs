//! Answers that lead elsewhere, nowhere, or do not end.

use crate::support::{Slept, client, commit};
use cutover_reporters::github::{Client, Fault, Patience, login, pull};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Something that listens, and how often it was spoken to.
struct Listener {
    url: String,
    heard: Arc<AtomicUsize>,
}

impl Listener {
    /// Answers each request with what is made of its own address.
    fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (heard, address) = (Arc::new(AtomicUsize::new(0)), url.clone());
        let count = Arc::clone(&heard);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let _length = head.count();
                // Whoever has read enough goes away.
                let _sent = stream.write_all(&answer(&address));
            }
        });
        Self { url, heard }
    }

    fn count(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }

    fn client(&self) -> Client {
        let token = format!("ghs_{:016x}", RandomState::new().build_hasher().finish());
        client(&self.url, &token, &Arc::<Slept>::default(), Patience { attempt_count: 2, ..Patience::default() })
    }
}

fn reply(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Told\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn find_pull(client: &Client) -> Result<Option<u64>, Fault> {
    pull::with_head(client, "stranger", "topic", &commit("c"))
}

#[test]
fn no_answer_leads_the_token_anywhere_else() {
    let other = Listener::answering(|_| reply(200, "", "[]"));
    // One address that is another, and two that only begin like ours.
    let elsewhere = |own: &str, other: &str| [other.to_owned(), format!("{own}0"), format!("{own}@{}", &other[7..])];
    for place in 0..3 {
        for status in [301, 302, 307, 308] {
            let url = other.url.clone();
            let moved = Listener::answering(move |own| {
                reply(status, &format!("location: {}/user\r\n", elsewhere(own, &url)[place]), "{}")
            });
            let told = login(&moved.client()).unwrap_err().to_string();
            assert!(told.contains(&status.to_string()), "{told}");
            assert_eq!(moved.count(), 1, "what leads away is not asked for again");
        }
        let url = other.url.clone();
        let paged = Listener::answering(move |own| {
            reply(200, &format!("link: <{}/x?page=2>; rel=\"next\"\r\n", elsewhere(own, &url)[place]), "[]")
        });
        let told = find_pull(&paged.client()).unwrap_err().to_string();
        assert!(told.contains("its next page is at "), "{told}");
    }
    assert_eq!(other.count(), 0);
}

#[test]
fn who_is_sent_from_place_to_place_gives_up() {
    let round = Listener::answering(|own| reply(307, &format!("location: {own}/user\r\n"), "{}"));
    let told = login(&round.client()).unwrap_err().to_string();
    assert!(told.contains("it is sent from place to place, in the end to /user"), "{told}");
    assert_eq!(round.count(), 2 * 3);
}

#[test]
fn in_a_list_without_an_end_nobody_knows_what_is_not_there() {
    let endless = Listener::answering(|own| reply(200, &format!("link: <{own}/x>; rel=\"next\"\r\n"), "[]"));
    let told = find_pull(&endless.client()).unwrap_err().to_string();
    assert!(told.contains("the list has more than 30 pages"), "{told}");
    assert_eq!(endless.count(), 30);
}

#[test]
fn an_answer_that_is_too_large_is_none() {
    let large = Listener::answering(|_| reply(200, "", &format!("[{}]", " ".repeat(33 << 20))));
    let told = find_pull(&large.client()).unwrap_err().to_string();
    assert!(told.contains("its answer is larger than 32 MiB"), "{told}");
    assert_eq!(large.count(), 2);
}
