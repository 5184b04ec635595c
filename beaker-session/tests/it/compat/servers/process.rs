//! A server program on a socket of its own, for as long as a test needs it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to answer, or to start. Only a failure waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs its words and ends them when its own input ends: when the test drops it, and also when the
/// test is killed.
const UNTIL_THE_END_OF_INPUT: &str = r#""$@" & read -r _; kill -9 $!; wait $! 2>/dev/null"#;

/// A running server; ended when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    shell: Child,
    input: Option<ChildStdin>,
    dir: TempDir,
}

impl Process {
    /// Starts `program` with the socket that `arguments` names, and waits until it is there.
    pub(super) fn start(program: &Path, arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_THE_END_OF_INPUT, "sh"]).arg(program);
        command.args(arguments(&socket(&dir))).current_dir(dir.path());
        let mut shell =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell runs");
        let process = Self { input: shell.stdin.take(), shell, dir };
        let started = Instant::now();
        while UnixStream::connect(process.socket()).is_err() {
            assert!(started.elapsed() < PATIENCE, "{} does not start", program.display());
            // sleep: for a moment between two tries; the socket is what is waited for.
            std::thread::sleep(Duration::from_millis(2));
        }
        process
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.dir)
    }

    /// A directory that goes with the server.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("socket")
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

/// One connection, on which a command is a write and an answer some lines and bytes.
#[derive(Debug)]
pub(super) struct Connection(BufReader<UnixStream>);

impl Connection {
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn send(&mut self, command: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(command)
    }

    /// A line, without its end.
    pub(super) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// So many bytes, and the end of a line after them.
    pub(super) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// Where `program` is, as a shell finds it.
pub(super) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
