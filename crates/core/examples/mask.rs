//! Measures how fast output is masked, for `bench/`: `mask`, with 100 made-up secrets.

use cutover_core::mask::Masker;
use cutover_core::secret::Secret;
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

const SECRET_COUNT: u64 = 100;
const TEXT_BYTES: usize = 16 << 20;
/// The best run counts: the others say what else the machine was doing.
const RUN_COUNT: usize = 15;
/// What a pipe gives at once, what a reader takes at once, and one line.
const CHUNK_BYTES: [usize; 3] = [64 << 10, 4 << 10, 100];

fn main() {
    let random = RandomState::new();
    let secrets: Vec<Secret> = (0..SECRET_COUNT).map(|n| Secret::new(made_up(&random, n))).collect();
    let began = Instant::now();
    let masker = Masker::new(secrets.iter().map(|secret| ("SECRET", secret)));
    println!("{masker:?} built in {:.2} ms", began.elapsed().as_secs_f64() * 1e3);
    let text = log(&random, &secrets);
    for chunk_bytes in CHUNK_BYTES {
        let best = (0..RUN_COUNT).map(|_| speed(&masker, &text, chunk_bytes)).fold(0.0, f64::max);
        println!("chunks of {chunk_bytes} bytes: {best:.0} MB/s");
    }
}

fn made_up(random: &RandomState, n: u64) -> String {
    format!("{:016x}+/{:016x}", random.hash_one(n), random.hash_one((n, n)))
}

/// Lines as services write them; each thousandth has a secret.
fn log(random: &RandomState, secrets: &[Secret]) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT_BYTES + 200);
    for line in 0_u64.. {
        let request = random.hash_one(("request", line));
        let secret = if line % 1_000 == 0 { secrets[(request % SECRET_COUNT) as usize].expose() } else { "-" };
        let written =
            format!("2026-11-21T10:15:00Z INFO GET /api/v1/items/{line} 200 in 12ms trace={request:016x} {secret}\n");
        text.extend_from_slice(written.as_bytes());
        if text.len() >= TEXT_BYTES {
            break;
        }
    }
    text
}

/// Megabytes a second.
fn speed(masker: &Masker, text: &[u8], chunk_bytes: usize) -> f64 {
    let (mut stream, mut out) = (masker.stream(), Vec::with_capacity(chunk_bytes * 2));
    let began = Instant::now();
    for chunk in text.chunks(chunk_bytes) {
        out.clear();
        stream.push(chunk, &mut out);
    }
    stream.finish(&mut out);
    text.len() as f64 / 1e6 / began.elapsed().as_secs_f64()
}
