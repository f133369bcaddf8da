//! Reads reports, and prints their record as JSON: `read_report FILE…`. What `bench/reports` measures.

use cutover_checks::report::{Reports, Tree};
use std::error::Error;
use std::fs::File;

fn main() -> Result<(), Box<dyn Error>> {
    let mut reports = Reports::new(Tree { top: "", is_file: &|_| false });
    for path in std::env::args().skip(1) {
        reports.read(&path, File::open(&path)?)?;
    }
    println!("{}", serde_json::to_string(&reports.report(None))?);
    Ok(())
}
