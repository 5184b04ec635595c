//! Children: this very test binary, run again with a role in its environment.

use std::{
    env,
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};

const ROLE: &str = "BEAKER_SYNC_CHILD_ROLE";
const DIR: &str = "BEAKER_SYNC_CHILD_DIR";

/// What a child answers with; the test harness of the child writes to the same pipe.
const MARK: &str = "child says ";

/// A child in a role, and the lines to it and from it.
pub(crate) struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    /// Starts the test function `child_test` (a full name, as `processes::child`) as a child.
    pub(crate) fn start(child_test: &str, role: &str, dir: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", child_test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// The child's next word; `None` if it has ended.
    pub(crate) fn try_hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, word)) = line.trim_end().split_once(MARK) {
                return Some(word.to_owned());
            }
        }
    }

    pub(crate) fn hear(&mut self) -> String {
        self.try_hear().unwrap()
    }

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.input.as_ref().unwrap(), "{word}").unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it as `kill -9` does and waits until it is gone.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Waits until it has ended by itself, without a failure.
    pub(crate) fn finish(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

/// No child outlives its test, which may have failed.
impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The role and the directory this process was given, if it is a child.
pub(crate) fn given_role() -> Option<(String, PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var_os(DIR)?.into()))
}

/// Says `word` to the parent.
pub(crate) fn say(word: &str) {
    // One write, so that no other line gets in between.
    std::io::stdout().write_all(format!("{MARK}{word}\n").as_bytes()).unwrap();
}

/// Waits for a word of the parent; ends this process if there is none to come.
pub(crate) fn listen() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap() == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}

/// Nanoseconds of the monotonic clock, which all processes of the host share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// Appends one line to a log that processes share.
pub(crate) fn append(log: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(log).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Prints a row of the storm's table: the fault, the lock, what was measured, and the verdict.
pub(crate) fn report(fault: &str, lock: &str, measured: &str, holds: bool) {
    let verdict = if holds { "ok" } else { "FAILED" };
    println!("STORM|{fault}|{lock}|{measured}|{verdict}");
}

/// How long a storm lasts: `BEAKER_STORM_SECS` seconds, one if it is not set.
pub(crate) fn storm_time() -> Duration {
    let seconds = env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.0))
}

/// Whether times are judged, beside counts: in a storm that is long enough.
pub(crate) fn times_count() -> bool {
    storm_time() >= Duration::from_secs(30)
}
