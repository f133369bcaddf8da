//! What workflows ask GitHub's API: which run has kept an artifact, and who is asked before a deployment.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

/// A server that answers a job's question about this path, and knows no other; its URL.
pub(crate) fn serve(path: &str, answer: &Value) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (wanted, answer) = (format!("GET /repos/ada/shop/{path} "), answer.to_string());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let is_known = lines.next().is_some_and(|line| line.starts_with(&wanted));
            let is_authorized = lines.any(|line| line == "Authorization: Bearer a-token-that-ends-with-the-job");
            let (status, body) =
                if is_known && is_authorized { ("200 OK", answer.as_str()) } else { ("404 Not Found", "{}") };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _unheard = (&stream).write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

/// A server that knows what was kept under this artifact's name.
pub(crate) fn serve_kept(artifact: &str, kept: &[Value]) -> String {
    let path = format!("actions/artifacts?per_page=100&name=cutover-artifact-{artifact}");
    serve(&path, &serde_json::json!({ "artifacts": kept }))
}
