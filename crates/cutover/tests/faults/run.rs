//! A `cutover` that runs, and how it tells its end.

use crate::bed::PATIENCE;
use crate::ran::Ran;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

impl Ran {
    /// Fails the test unless it said one of these.
    #[track_caller]
    pub(crate) fn says_one_of(self, words: &[&str]) -> Self {
        let told = self.told();
        assert!(words.iter().any(|word| told.contains(word)), "none of {words:?} is said\n{told}");
        self
    }

    /// Fails the test unless it tells how it ended in exactly one line, which begins like this.
    #[track_caller]
    pub(crate) fn concludes(self, beginning: &str) -> Self {
        const CONCLUSIONS: [&str; 9] = [
            "✓ Deployed",
            "✓ Nothing changed",
            "✓ Rolled back",
            "✓ Restarted",
            "✓ Started",
            "↩ Rolled back",
            "✗ Failed",
            "✗ Stuck",
            "error:",
        ];
        let told = self.told();
        let is_one = |line: &&str| CONCLUSIONS.iter().any(|conclusion| line.starts_with(conclusion));
        let conclusions: Vec<&str> = told.lines().filter(is_one).collect();
        assert!(conclusions.len() == 1 && conclusions[0].starts_with(beginning), "{conclusions:?}\n{told}");
        self
    }
}

/// A process whose output is read while it runs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let read = |stream: Box<dyn Read + Send>, text: &Arc<Mutex<String>>| {
            let (text, sender) = (Arc::clone(text), sender.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                    let said = String::from_utf8_lossy(&line).into_owned();
                    text.lock().unwrap().push_str(&said);
                    let _nobody_waits = sender.send(said);
                    line.clear();
                }
            })
        };
        let readers = vec![
            read(Box::new(child.stdout.take().unwrap()), &stdout),
            read(Box::new(child.stderr.take().unwrap()), &stderr),
        ];
        Self { child, lines, readers, stdout, stderr }
    }

    /// Waits for a line with this text. False when the process ended without it.
    pub(crate) fn hears(&self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("never said {text:?}: {}", self.so_far()),
            }
        }
    }

    fn so_far(&self) -> String {
        format!("{}--- stderr\n{}", self.stdout.lock().unwrap(), self.stderr.lock().unwrap())
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, which must come.
    pub(crate) fn end(self) -> Ran {
        self.end_within(PATIENCE)
    }

    /// Waits for its end, which must come within this time.
    pub(crate) fn end_within(mut self, limit: Duration) -> Ran {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() >= deadline {
                let _killed = self.child.kill();
                panic!("it did not end within {limit:?}:\n{}", self.so_far());
            }
            thread::sleep(Duration::from_millis(5));
        };
        // Whoever outlives it with its output open is a child that was left behind.
        let silent = Instant::now() + Duration::from_secs(10);
        while !self.readers.iter().all(JoinHandle::is_finished) {
            assert!(Instant::now() < silent, "somebody still has its output open:\n{}", self.so_far());
            thread::sleep(Duration::from_millis(5));
        }
        let text = |text: &Arc<Mutex<String>>| text.lock().unwrap().clone();
        Ran { status, stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}
