//! Children: this very test binary, run again with a role, a store and a directory.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::stores::{Store, named};

const ROLE: &str = "BEAKER_BACKENDS_CHILD_ROLE";
const STORE: &str = "BEAKER_BACKENDS_CHILD_STORE";
const DIR: &str = "BEAKER_BACKENDS_CHILD_DIR";

/// Lets the children that may fail say why.
const LOUD: &str = "BEAKER_FAULTS_LOUD";

/// What a child's word begins with; its test harness writes to the same pipe.
const MARK: &str = "child says ";

/// The test function that plays the roles; each test binary has one of this name, and no other
/// test has it in its own.
const ENTRY: &str = "plays_a_child";

/// A child, and the lines to it and from it.
#[derive(Debug)]
pub(crate) struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    /// Starts a child in `role`, which works on `store` in `dir`.
    pub(crate) fn start(role: &str, store: &Store, dir: &Path) -> Self {
        Self::start_by(Command::new(env::current_exe().expect("this binary")), role, store, dir)
    }

    /// The same, without its complaints, unless `BEAKER_FAULTS_LOUD` is set.
    pub(crate) fn start_quietly(role: &str, store: &Store, dir: &Path) -> Self {
        let mut command = Command::new(env::current_exe().expect("this binary"));
        if env::var_os(LOUD).is_none() {
            command.stderr(Stdio::null());
        }
        Self::start_by(command, role, store, dir)
    }

    /// The same through the shell, which does `script` first; `wrapper` runs the shell.
    pub(crate) fn start_in_shell<S: AsRef<OsStr>>(
        wrapper: &[S],
        script: &str,
        role: &str,
        store: &Store,
        dir: &Path,
    ) -> Self {
        let script = format!("{script}; exec \"$@\"");
        let shell: [&OsStr; 4] = ["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref()];
        let words: Vec<&OsStr> = wrapper.iter().map(AsRef::as_ref).chain(shell).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(env::current_exe().expect("this binary"));
        Self::start_by(command, role, store, dir)
    }

    fn start_by(mut command: Command, role: &str, store: &Store, dir: &Path) -> Self {
        let mut child = command
            .args([ENTRY, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(STORE, store.name)
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

    /// Says `word` to the child, which may have ended.
    pub(crate) fn tell(&mut self, word: &str) {
        let _ended = writeln!(self.input.as_ref().expect("not finished"), "{word}");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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

/// What a child is to do.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) role: String,
    pub(crate) store: &'static Store,
    pub(crate) dir: PathBuf,
}

/// The role that this process was given, if it is a child.
pub(crate) fn given() -> Option<Given> {
    let role = env::var(ROLE).ok()?;
    let store = named(&env::var(STORE).expect("a child has a store"));
    let dir = env::var_os(DIR).expect("a child has a directory").into();
    Some(Given { role, store, dir })
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

/// All words of a child in `role`, whose shell first does `script`; it must end well.
#[track_caller]
pub(crate) fn words_of(
    wrapper: &[&str],
    script: &str,
    role: &str,
    store: &Store,
    dir: &Path,
) -> Vec<String> {
    let mut child = Role::start_in_shell(wrapper, script, role, store, dir);
    let words = std::iter::from_fn(|| child.hear()).collect();
    let status = child.finish();
    assert!(status.success(), "the child of {} failed by {status}: {words:?}", store.name);
    words
}

/// Whether `command` can be run here; says loudly if not.
pub(crate) fn possible(row: &str, command: &[&str]) -> bool {
    let works = Command::new(command[0])
        .args(&command[1..])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        // Not by a macro: the harness would keep that to itself.
        let line = format!("\nSKIPPED {row}: `{}` does not work here\n", command.join(" "));
        std::io::stdout().write_all(line.as_bytes()).expect("somebody reads it");
    }
    works
}
