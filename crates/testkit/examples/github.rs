//! Serves the fake GitHub for other programs: `cargo run -p cutover-testkit --example github -- 127.0.0.1:4020`.
//!
//! Whoever has the token of `GITHUB_TOKEN` may do everything that the fake knows. It ends with its process.

use cutover_testkit::github::FakeGitHub;
use std::net::SocketAddr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4020".to_owned()).parse()?;
    let fake = FakeGitHub::listen(address, &std::env::var("GITHUB_TOKEN")?)?;
    fake.open_pull(7, "stranger", "topic", &"c".repeat(40));
    fake.open_pull(8, "shop", "tea", &"e".repeat(40));
    fake.merge_pull(8, &"d".repeat(40));
    fake.add_environment("production", 1, Some(&["main"]));
    fake.add_secret("production", "APP_TOKEN");
    fake.put_file("README.md", &"read me ".repeat(20));
    println!("{}", fake.url());
    loop {
        std::thread::park();
    }
}
