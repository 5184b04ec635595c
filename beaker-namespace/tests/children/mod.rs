//! Children: this very test binary, run again with a role in its environment.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const ROLE: &str = "BEAKER_NAMESPACE_CHILD_ROLE";
const DIR: &str = "BEAKER_NAMESPACE_CHILD_DIR";

/// What a child's word begins with; its test harness writes to the same pipe.
const MARK: &str = "child says ";

/// The test function that plays the roles; every binary that has children has one of this name.
const ENTRY: &str = "child";

/// A child, and the lines to it and from it.
pub(crate) struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    /// Starts a child in `role`, which works in `dir`.
    pub(crate) fn start(role: &str, dir: &Path) -> Self {
        Self::start_by(Command::new(env::current_exe().expect("this binary")), role, dir)
    }

    /// The same through the shell: `script` ends in `exec "$@"`, after what it does first.
    pub(crate) fn start_in_shell<S: AsRef<OsStr>>(
        wrapper: &[S],
        script: &str,
        role: &str,
        dir: &Path,
    ) -> Self {
        let shell: [&OsStr; 4] = ["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref()];
        let words: Vec<&OsStr> = wrapper.iter().map(AsRef::as_ref).chain(shell).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(env::current_exe().expect("this binary"));
        Self::start_by(command, role, dir)
    }

    fn start_by(mut command: Command, role: &str, dir: &Path) -> Self {
        let mut child = command
            .args(["--exact", ENTRY, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    /// The child's next word; `None` if it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((_, word)) = line.trim_end().split_once(MARK) {
                return Some(word.to_owned());
            }
        }
    }

    /// Says `word` to the child.
    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.input.as_ref().expect("it listens"), "{word}").expect("it listens");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Waits until it has ended.
    pub(crate) fn finish(mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().expect("it ends")
    }
}

/// Dropping it is `kill -9`. No child outlives its test, which may have failed.
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
    let line = format!("{MARK}{word}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("the parent listens");
}

/// Waits for a word of the parent; ends this process if there is none to come.
pub(crate) fn listen() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}
