//! A store of its own for each test, and shell commands that say when they run and wait to be let on.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Turns a hang into a failure; nothing takes a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a store in it.
#[derive(Debug)]
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// `beaker` on this bench's store, in its directory.
    pub(crate) fn beaker<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = with_default_signals(env!("CARGO_BIN_EXE_beaker"));
        command.env("BEAKER_URL", format!("file:{}", self.store().display()));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).args(args);
        command
    }

    /// `beaker run OPTIONS -- sh -c SCRIPT`.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Command {
        self.beaker([&["run"], options, &["--", "sh", "-c", script]].concat())
    }

    /// What `beaker ARGS` writes to standard output; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.beaker(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        text(output.stdout)
    }

    /// How often a script ran that begins with `echo >> count;`.
    pub(crate) fn count(&self) -> usize {
        fs::read_to_string(self.path("count")).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn gate(&self, name: &str) -> Gate {
        Gate::new(self.path(name))
    }

    /// The files of the store's entries.
    pub(crate) fn entry_files(&self) -> Vec<PathBuf> {
        files_below(&self.store(), |path| {
            path.components().any(|part| part.as_os_str() == "entries")
        })
    }

    /// The lock files of claims.
    pub(crate) fn claim_files(&self) -> Vec<PathBuf> {
        files_below(&self.store(), |path| {
            path.components().any(|part| part.as_os_str() == "claims")
        })
    }

    /// Waits until no process works in this directory any more: all runs in the background are over.
    pub(crate) fn wait_until_quiet(&self) {
        let here = self.dir.path().canonicalize().unwrap();
        eventually("nothing runs in the background", || {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            let mut places = processes.filter_map(|p| fs::read_link(p.path().join("cwd")).ok());
            !places.any(|place| place == here)
        });
    }

    /// Waits until `count` processes wait for a lock that another has.
    pub(crate) fn wait_for_waiters(&self, count: usize) {
        eventually("as many wait for the claim", || {
            let files = self.claim_files();
            let inodes = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|m| m.ino());
            inodes.map(waiters).sum::<usize>() == count
        });
    }
}

fn files_below(dir: &Path, wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files_below(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found
}

/// The processes that wait for a lock on the file `inode`, as the kernel lists them.
fn waiters(inode: u64) -> usize {
    let table = fs::read_to_string("/proc/locks").unwrap();
    let file = format!(":{inode} ");
    table.lines().filter(|line| line.contains("->") && line.contains(&file)).count()
}

/// A named pipe. A script that writes to it says "I am here"; one that reads from it waits.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
}

impl Gate {
    fn new(path: PathBuf) -> Self {
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self { path }
    }

    /// Waits until a script writes a line, which is returned.
    pub(crate) fn wait(&self) -> String {
        let path = self.path.clone();
        within(move || fs::read_to_string(path).unwrap()).trim().to_owned()
    }

    /// Lets one script that reads go on.
    pub(crate) fn open(&self) {
        let path = self.path.clone();
        within(move || {
            OpenOptions::new().write(true).open(path).unwrap().write_all(b"go\n").unwrap();
        });
    }
}

/// Runs `work` on another thread, and fails if it takes too long.
pub(crate) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).expect("it took too long")
}

/// Looks again and again until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        // sleep: other processes cannot wake this one; the deadline makes a hang a failure.
        thread::sleep(Duration::from_millis(1));
    }
}

/// A beaker that runs, its output captured.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end.
pub(crate) fn finish(child: Child) -> Output {
    within(move || child.wait_with_output().unwrap())
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Whether there is such a process, and it is no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    !matches!(state(pid), Some('Z' | 'X') | None)
}

pub(crate) fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// The state of a process, as `ps` shows it.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{signal} {pid}");
}

/// Reads from `from` up to a line end.
pub(crate) fn read_line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    text(line)
}

/// Writes over the bytes of a file in the middle.
pub(crate) fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    File::create(path).unwrap().write_all(&bytes).unwrap();
}

/// `program`, with the signals that these tests send at their defaults: a test that runs in the
/// background of a script, or under `nohup`, inherits some of them ignored.
pub(crate) fn with_default_signals(program: &str) -> Command {
    const HUP_INT_QUIT_TERM: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if ignored & HUP_INT_QUIT_TERM == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", program]);
    command
}
