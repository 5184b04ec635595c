//! What all processes of a test created, and when.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// The log that the processes of one test write together.
pub(crate) struct Log(File);

/// One creation that runs. It ends when this is dropped.
pub(crate) struct Creating<'a> {
    log: &'a Log,
    key: String,
}

impl Log {
    pub(crate) fn open(dir: &Path) -> Self {
        Self(OpenOptions::new().append(true).create(true).open(dir.join("log")).unwrap())
    }

    pub(crate) fn creating(&self, key: impl ToString) -> Creating<'_> {
        let key = key.to_string();
        self.write('S', &key);
        Creating { log: self, key }
    }

    fn write(&self, what: char, key: &str) {
        let time = clock_gettime(ClockId::Monotonic);
        let line = format!("{:020}{:09} {what} {key}\n", time.tv_sec, time.tv_nsec);
        (&self.0).write_all(line.as_bytes()).unwrap();
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.log.write('E', &self.key);
    }
}

/// What a log says of the creations of each key.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Creations {
    /// How many each key had.
    pub(crate) of: BTreeMap<String, usize>,
    /// How many began while another one of the same key ran.
    pub(crate) overlaps: usize,
}

impl Creations {
    pub(crate) fn read(dir: &Path) -> Self {
        let log = std::fs::read_to_string(dir.join("log")).unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        let mut creations = Self::default();
        let mut running = BTreeMap::<&str, usize>::new();
        for line in lines {
            let (_, event) = line.split_once(' ').unwrap();
            let (what, key) = event.split_once(' ').unwrap();
            let running = running.entry(key).or_default();
            if what == "E" {
                *running -= 1;
                continue;
            }
            *creations.of.entry(key.to_owned()).or_default() += 1;
            creations.overlaps += usize::from(*running > 0);
            *running += 1;
        }
        creations
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn count(&self, key: &str) -> usize {
        self.of.get(key).copied().unwrap_or_default()
    }

    pub(crate) fn total(&self) -> usize {
        self.of.values().sum()
    }

    /// How many creations there were beside the first of each key.
    pub(crate) fn repeated(&self) -> usize {
        self.total() - self.of.len()
    }
}
