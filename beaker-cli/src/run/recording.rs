//! What is kept of a run, and its replay.

use std::io;

use beaker_namespace::{Codec, Entry, Error, Payload};
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, IO};
use crate::output;

/// Everything that a caller of the command sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(crate) exit_code: u8,
    #[serde(with = "serde_bytes")]
    pub(crate) stdout: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(crate) stderr: Vec<u8>,
}

impl Recording {
    /// As it is stored: MessagePack.
    pub(crate) fn encode(&self) -> Result<Payload, Error> {
        Codec::MessagePack.encode(self)
    }

    /// What is in `entry`; `None` if something else wrote it.
    pub(crate) fn decode(entry: &Entry) -> Option<Self> {
        match entry.payload() {
            Payload::Bytes { codec, bytes } => Codec::decode(*codec, bytes).ok(),
            Payload::Object(_) => None,
        }
    }

    /// Writes what the command wrote, each stream in one piece, and gives its exit code.
    pub(crate) fn replay(&self) -> Result<u8, Failure> {
        // A closed standard error is no reason to keep the output back.
        let _ = output::write_all(io::stderr(), &self.stderr);
        match output::write_all(io::stdout(), &self.stdout) {
            Ok(()) => Ok(self.exit_code),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::broken_pipe()),
            Err(error) => {
                Err(Failure::new(IO, format!("cannot write to standard output: {error}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use beaker_namespace::Timestamp;

    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let every: Vec<u8> = (0..=255).collect();
        let recording = Recording { exit_code: 255, stdout: every, stderr: vec![0, 255, b'\n'] };
        let entry = Entry::new(recording.encode().unwrap(), Timestamp::default());
        assert_eq!(Recording::decode(&entry), Some(recording));
    }

    #[test]
    fn what_something_else_wrote_is_no_recording() {
        let entry = |payload| Entry::new(payload, Timestamp::default());
        assert_eq!(Recording::decode(&entry(Payload::raw("text"))), None);
        assert_eq!(Recording::decode(&entry(Codec::MessagePack.encode(&1).unwrap())), None);
    }
}
