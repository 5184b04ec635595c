//! Exit codes, and the errors that lead to them.

use std::error::Error as StdError;
use std::fmt;

use beaker_namespace::ErrorKind;

/// All went well.
pub(crate) const OK: u8 = 0;
/// What was asked for is not there, or no longer valid.
pub(crate) const ABSENT: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// Stored bytes cannot be read back, or are too large.
pub(crate) const DATA: u8 = 65;
/// The store cannot be reached.
pub(crate) const UNAVAILABLE: u8 = 69;
/// The store is full.
pub(crate) const FULL: u8 = 73;
/// Reading standard input or writing standard output failed, or the file of an export.
pub(crate) const IO: u8 = 74;
/// Waited for too long; a retry may help.
pub(crate) const TIMEOUT: u8 = 75;
/// Access was refused.
pub(crate) const DENIED: u8 = 77;
/// The store's URL or its directory is wrong.
pub(crate) const CONFIG: u8 = 78;
/// `run`: the command ran longer than `--timeout` and was killed.
pub(crate) const COMMAND_TIMED_OUT: u8 = 124;
/// `run`: beaker itself failed before or while running the command.
pub(crate) const RUN_FAILED: u8 = 125;
/// `run`: the command was found but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// What a shell reports for a process that `signal` ended.
pub(crate) fn of_signal(signal: i32) -> u8 {
    u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128))
}

/// Why beaker gives up: one line for people, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

/// An exit code, or why there is none of the command's own.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    /// `message` is one lower-case phrase with the fix, without a full stop.
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A silent end: the reader of our output went away, as SIGPIPE would tell.
    pub(crate) fn broken_pipe() -> Self {
        Self::new(of_signal(signal_hook::consts::SIGPIPE), "")
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// What is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Tells standard error, and gives the exit code.
    pub(crate) fn report(&self) -> u8 {
        if !self.message.is_empty() {
            note(&self.message);
        }
        self.code
    }
}

impl From<beaker_namespace::Error> for Failure {
    fn from(error: beaker_namespace::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Timeout => TIMEOUT,
            ErrorKind::Full => FULL,
            ErrorKind::Denied => DENIED,
            ErrorKind::Config | ErrorKind::Unsupported => CONFIG,
            ErrorKind::Corrupt | ErrorKind::Codec | ErrorKind::TooLarge => DATA,
            _ => UNAVAILABLE,
        };
        Self::new(code, chain(&error))
    }
}

impl From<beaker_container::Error> for Failure {
    fn from(error: beaker_container::Error) -> Self {
        let source = error.source().and_then(|source| source.downcast_ref());
        match source {
            Some(store) => Self::from(beaker_namespace::Error::clone(store)),
            None => Self::new(UNAVAILABLE, chain(&error)),
        }
    }
}

impl From<beaker_sync::Error> for Failure {
    fn from(error: beaker_sync::Error) -> Self {
        Self::new(UNAVAILABLE, chain(&error))
    }
}

/// An error and its sources on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

/// Writes one line to standard error, in one piece. A closed standard error is no reason to fail.
pub(crate) fn note(message: impl fmt::Display) {
    let line = message.to_string().replace('\n', " ");
    let _ = crate::output::write_all(std::io::stderr(), format!("beaker: {line}\n").as_bytes());
}
