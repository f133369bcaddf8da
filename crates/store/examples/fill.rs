//! Fills a history with made-up deployments, for `bench/`: `fill HISTORY COUNT`.

use cutover_core::store::Store;
use cutover_store::SqliteStore;
use cutover_testkit::{Story, Told};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), Some(count)) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return Err("usage: fill HISTORY COUNT".into());
    };
    let count: i64 = count.to_string_lossy().parse()?;
    let store = SqliteStore::open(&path)?;
    for number in 1..=count {
        let (plan, records) = tell(number, count);
        store.ingest(&plan, &records)?;
    }
    Ok(())
}

/// One a minute, the last one lately; each twentieth goes back.
fn tell(number: i64, count: i64) -> Told {
    let story = Story::new(number).at_minute(number - count);
    if number % 20 == 0 { story.rolled_back() } else { story.deployed() }
}
