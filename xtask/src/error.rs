//! The one error of these commands.

use std::fmt;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in one line for the person at the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    kind: ErrorKind,
    message: String,
}

/// What the person can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The command line is wrong: correct it.
    Usage,
    /// A gate failed or could not run: mend what it reports.
    Failed,
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Failed, message: message.into() }
    }

    /// The exit code of the process: 2 for a wrong command line, 1 for a failed gate.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage => 2,
            ErrorKind::Failed => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
