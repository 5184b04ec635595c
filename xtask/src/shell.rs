//! Running other programs: each command line is printed before it runs and has no standard input.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// How long [`Cmd::stream`] still reads once the program is gone, counted from its last line.
///
/// A grandchild that outlives its parent keeps the pipe open; without this bound it would hold us.
const DRAIN: Duration = Duration::from_secs(1);

/// One command line.
#[must_use = "a command does nothing until it is run"]
#[derive(Debug, Clone)]
pub(crate) struct Cmd {
    program: OsString,
    args: Vec<String>,
    envs: Vec<(&'static str, String)>,
    folder: Option<PathBuf>,
}

impl Cmd {
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), envs: Vec::new(), folder: None }
    }

    /// The cargo that runs us, so that the toolchain stays the same.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// The cargo of another toolchain.
    pub(crate) fn cargo_of(toolchain: &str) -> Self {
        Self::new("rustup").args(["run", toolchain, "cargo"])
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.envs.push((name, value.into()));
        self
    }

    /// Runs it in `folder` instead of where we are.
    pub(crate) fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Makes a cargo call with `--release` build apart, in `folder` of the target directory, and
    /// sooner: what is waited for here is other processes and models, which link-time optimization
    /// does not hasten, and the program that a user built stays as it was.
    pub(crate) fn release_apart(self, target: &Path, folder: &str) -> Self {
        self.args(["--release", "--target-dir"])
            .arg(target.join(folder).display().to_string())
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
    }

    /// Runs it with our output.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started or does not exit with 0.
    pub(crate) fn run(&self) -> Result<()> {
        println!("$ {self}");
        let mut child = self.spawn(Stdio::inherit(), Stdio::inherit())?;
        self.finish(&mut child)
    }

    /// Becomes it, so that what stops us stops it; where the system cannot do that, runs it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started; where it is run, also if it does not exit with 0.
    pub(crate) fn become_it(&self) -> Result<()> {
        #[cfg(unix)]
        {
            println!("$ {self}");
            let error = std::os::unix::process::CommandExt::exec(&mut self.command());
            Err(self.cannot_start(&error))
        }
        #[cfg(not(unix))]
        self.run()
    }

    /// Runs it and hands each line of its standard output to `on_line`, after printing the line.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started or does not exit with 0.
    pub(crate) fn stream(&self, mut on_line: impl FnMut(&str)) -> Result<()> {
        println!("$ {self}");
        let mut child = self.spawn(Stdio::piped(), Stdio::inherit())?;
        let lines = child.stdout.take().map(lines_of);
        let mut gone = false;
        while let Some(lines) = &lines {
            match lines.recv_timeout(DRAIN) {
                Ok(line) => {
                    println!("{line}");
                    on_line(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if gone => break,
                Err(RecvTimeoutError::Timeout) => gone = matches!(child.try_wait(), Ok(Some(_))),
            }
        }
        self.finish(&mut child)
    }

    /// Starts it while other commands run; what it says goes to the file `log` until it is waited for.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be started or there can be no such file.
    pub(crate) fn begin(self, log: PathBuf) -> Result<Background> {
        println!("$ {self} &");
        let files = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, errors) = files.map_err(|error| self.cannot_start(&error))?;
        let child = self.spawn(output.into(), errors.into())?;
        Ok(Background { cmd: self, child, log })
    }

    /// Runs it in silence and returns its standard output.
    ///
    /// # Errors
    ///
    /// Fails with what it wrote to standard error.
    pub(crate) fn read(&self) -> Result<String> {
        let output = self.command().output().map_err(|error| self.cannot_start(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::failed(format!("`{self}` failed: {}", said.trim())))
    }

    /// Whether it can be started and exits with 0; nothing is printed.
    pub(crate) fn succeeds(&self) -> bool {
        self.read().is_ok()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null());
        for (name, value) in &self.envs {
            command.env(name, value);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn spawn(&self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let mut command = self.command();
        command.stdout(stdout).stderr(stderr);
        command.spawn().map_err(|error| self.cannot_start(&error))
    }

    fn finish(&self, child: &mut Child) -> Result<()> {
        let status = child.wait().map_err(|error| self.cannot_start(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::failed(format!("`{self}` ended with {status}")))
    }

    fn cannot_start(&self, error: &std::io::Error) -> Error {
        Error::failed(format!("cannot run `{self}`: {error}"))
    }
}

/// A command that runs beside others. It is stopped if nobody waits for it.
#[derive(Debug)]
pub(crate) struct Background {
    cmd: Cmd,
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Waits until it ends, and prints all it said.
    ///
    /// # Errors
    ///
    /// Fails if it does not exit with 0.
    pub(crate) fn end(mut self) -> Result<()> {
        let ended = self.cmd.finish(&mut self.child);
        let said = std::fs::read(&self.log).unwrap_or_default();
        println!("$ {}\n{}", self.cmd, String::from_utf8_lossy(&said));
        ended
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // If it has ended there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows the command as a person would type it.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.envs {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let program = self.program.to_string_lossy();
        f.write_str(program.rsplit('/').next().unwrap_or(&program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "'\"|*".contains(c));
    if plain { text.to_owned() } else { format!("'{text}'") }
}

fn lines_of(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(std::io::Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed_with_its_environment() {
        let cmd = Cmd::new("/usr/bin/cargo").env("RUSTFLAGS", "--cfg x").args(["test", "a b"]);
        assert_eq!(cmd.to_string(), "RUSTFLAGS='--cfg x' cargo test 'a b'");
    }

    #[test]
    fn a_command_runs_in_the_folder_it_was_given() {
        let folder = std::fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap();
        let said = Cmd::new("pwd").arg("-P").within(&folder).read().unwrap();
        assert_eq!(said.trim(), folder.display().to_string());
    }

    #[test]
    fn a_failing_program_is_an_error_that_names_the_command() {
        let error = Cmd::new("sh").args(["-c", "exit 3"]).run().unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` ended with exit status: 3");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn a_missing_program_is_an_error_not_a_panic() {
        let error = Cmd::new("no-such-program-here").read().unwrap_err();
        assert!(error.to_string().starts_with("cannot run `no-such-program-here`"), "{error}");
        let error = Cmd::new("no-such-program-here").become_it().unwrap_err();
        assert!(error.to_string().starts_with("cannot run `no-such-program-here`"), "{error}");
    }

    #[test]
    fn a_command_in_the_background_says_all_to_its_file_and_its_failure_is_an_error() {
        let log = std::env::temp_dir().join(format!("xtask-background-{}", std::process::id()));
        let begun = |script: &str| Cmd::new("sh").args(["-c", script]).begin(log.clone()).unwrap();
        assert_eq!(begun("echo one; echo two >&2").end(), Ok(()));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n");
        let error = begun("exit 3").end().unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` ended with exit status: 3");
        let left = begun("exec sleep 30");
        let process = format!("/proc/{}", left.child.id());
        assert!(Path::new(&process).exists() || !cfg!(target_os = "linux"));
        drop(left);
        assert!(!Path::new(&process).exists(), "it goes on although nobody waits for it");
        std::fs::remove_file(&log).unwrap();
    }

    #[test]
    fn stream_sees_every_line_and_the_exit_code() {
        let mut seen = Vec::new();
        let cmd = Cmd::new("sh").args(["-c", "echo one; echo two; exit 1"]);
        let ended = cmd.stream(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two"]);
        assert!(ended.is_err());
    }

    #[test]
    fn stream_ends_although_an_orphan_holds_the_pipe() {
        let mut seen = Vec::new();
        let cmd = Cmd::new("sh").args(["-c", "sleep 30 & echo $!"]);
        cmd.stream(|line| seen.push(line.to_owned())).unwrap();
        let orphan = seen.first().expect("the shell prints the number of its child");
        assert!(Cmd::new("kill").arg(orphan).succeeds(), "the orphan outlived the read");
    }
}
