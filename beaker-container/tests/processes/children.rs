//! Other processes, which are told what to do and tell what they did.
//
// A child is a test of this binary in a process of its own. What it is told comes in lines on its
// standard input, what it tells goes out in marked lines on its standard output. A parent that ends
// closes both, so no child outlives it by more than a wait of its own.

use std::io::{BufRead, BufReader, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Namespace, StoreUrl, Stores};
use rustix::process::{Pid, Signal, kill_process};

/// A hang is a failure after this long.
pub(crate) const HANG: Duration = Duration::from_secs(20);

const WORDS: &str = "BEAKER_PROCESSES_CHILD_WORDS";
const DIR: &str = "BEAKER_PROCESSES_CHILD_DIR";
const MARK: &str = "CHILD|";

/// Another process, as the test that started it sees it.
pub(crate) struct Other {
    process: Child,
    told: Receiver<String>,
}

impl Other {
    /// Runs the test `name` of this binary alone in a process of its own.
    pub(crate) fn start(name: &str, dir: &Path, words: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(WORDS, words)
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, line)) = line.split_once(MARK) {
                    let _gone_if_the_test_ended = tell.send(line.to_owned());
                }
            }
        });
        Self { process, told }
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// What it tells next.
    pub(crate) fn tells(&self) -> String {
        self.told.recv_timeout(HANG).expect("a process hangs or failed")
    }

    /// Waits until it tells `line`.
    pub(crate) fn await_line(&self, line: &str) {
        assert_eq!(self.tells(), line);
    }

    /// Closes its input, and sees it end well.
    pub(crate) fn end(mut self) {
        drop(self.process.stdin.take());
        let patience = Instant::now() + HANG;
        while self.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < patience, "a process is stuck");
            thread::yield_now();
        }
        assert!(self.process.wait().unwrap().success(), "a process failed");
    }
}

impl Drop for Other {
    /// Where the test failed, its processes go too.
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped_before = self.process.wait();
    }
}

/// This process, where it is a child.
pub(crate) struct Me {
    pub(crate) dir: PathBuf,
    pub(crate) words: String,
}

impl Me {
    /// `None` in a process that nobody started for a test.
    pub(crate) fn as_child() -> Option<Self> {
        let words = std::env::var(WORDS).ok()?;
        Some(Self { dir: PathBuf::from(std::env::var_os(DIR)?), words })
    }

    pub(crate) fn tell(line: &str) {
        println!("{MARK}{line}");
    }

    /// What it is told next; `None` at the end.
    pub(crate) fn hears() -> Option<String> {
        let mut line = String::new();
        let length = stdin().read_line(&mut line).unwrap();
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits until it is told `line`.
    pub(crate) fn await_line(line: &str) {
        assert_eq!(Self::hears().as_deref(), Some(line));
    }
}

/// Whose store a process works on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Store {
    /// The files of all.
    Shared,
    /// The control: each process has a memory of its own, and so has claims of its own.
    Own,
}

impl Store {
    pub(crate) fn word(self) -> &'static str {
        if self == Self::Shared { "shared" } else { "own" }
    }

    pub(crate) fn parse(word: &str) -> Self {
        if word == "shared" { Self::Shared } else { Self::Own }
    }

    pub(crate) fn open(self, dir: &Path) -> Arc<dyn Namespace> {
        let url = match self {
            Self::Shared => StoreUrl::new("file").with_path(dir.join("store")),
            Self::Own => StoreUrl::new("memory"),
        };
        // A memory is known by its name in the process: each directory has its own.
        Stores::new().open(&url, &format!("processes {}", dir.display())).unwrap()
    }
}

/// How long a storm may take.
pub(crate) fn storm_time() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(2.0))
}

/// Whether the times are judged, beside the counts: in a run that is long enough.
pub(crate) fn times_count() -> bool {
    storm_time() >= Duration::from_secs(30)
}
