//! Children: this very test binary, run again with a role in its environment.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const ROLE: &str = "BEAKER_SQLITE_CHILD_ROLE";
const DB: &str = "BEAKER_SQLITE_CHILD_DB";

/// What a child's word begins with; its test harness writes to the same pipe.
const MARK: &str = "child says ";

/// What plays the roles.
#[test]
fn plays() {
    let (Ok(role), Some(db)) = (env::var(ROLE), env::var_os(DB)) else { return };
    let db = PathBuf::from(db);
    match role.as_str() {
        "share" => super::sharing::in_another_process(&db),
        "claim" => super::claims::in_another_process(&db),
        "hold" => super::writers::holding_the_lock(&db),
        "write" => super::writers::writing_without_end(&db),
        "count" => super::glance::counting(&db),
        "obey" => super::kept::doing_as_told(&db),
        "count to the end" => super::kept::counting(&db),
        "write in a crowd" => super::carried::writing_in_a_crowd(&db),
        "share until told" => super::damage::sharing_until_told(&db),
        "have open as the tool does" => super::damage::having_it_open_as_the_tool_does(&db),
        "wait in line" => super::writers::waiting_in_line(&db),
        "fill" => super::bounds::on_a_full_disk(&db),
        other => panic!("there is no role {other}"),
    }
}

/// A child, and the lines to it and from it.
pub(super) struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    /// Starts a child in `role`, which works on the database at `db`.
    pub(super) fn start(role: &str, db: &Path) -> Self {
        Self::start_by(Command::new(env::current_exe().expect("this binary")), role, db)
    }

    /// The same by `wrapper` and through the shell, which first does `script`.
    pub(super) fn start_in_shell(wrapper: &[&str], script: &str, role: &str, db: &Path) -> Self {
        let script = format!("{script}; exec \"$@\"");
        let words: Vec<&OsStr> = wrapper.iter().map(AsRef::as_ref).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["sh", "-c", &script, "sh"]);
        command.arg(env::current_exe().expect("this binary"));
        Self::start_by(command, role, db)
    }

    fn start_by(mut command: Command, role: &str, db: &Path) -> Self {
        let mut child = command
            .args(["--exact", "sqlite::children::plays", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(DB, db)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    /// The child's next word; `None` if it has ended.
    pub(super) fn hear(&mut self) -> Option<String> {
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
    pub(super) fn tell(&mut self, word: &str) {
        writeln!(self.input.as_ref().expect("it listens"), "{word}").expect("it listens");
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Waits until it has ended.
    pub(super) fn finish(mut self) -> ExitStatus {
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

/// Says `word` to the parent.
pub(super) fn say(word: &str) {
    // One write, so that no other line gets in between.
    let line = format!("{MARK}{word}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("the parent listens");
}

/// Says that a test cannot be run here, past the harness, which would keep it to itself.
pub(super) fn skip(why: &str) {
    let line = format!("\nSKIPPED {why}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("somebody reads it");
}

/// Waits for a word of the parent; ends this process if there is none to come.
pub(super) fn listen() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}
